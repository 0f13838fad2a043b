/* SPDX-License-Identifier: MIT */
/*
 * user.h: ring 3 for the rest of the kernel: entering it, its registers, its memory.
 *
 * arch/x86_64/user.c implements the first half.  The functions of the second half are called by
 * arch/x86_64/user.c; they are in kernel/task_thread.c and kernel/syscall.c.
 */
#ifndef QUARRY_USER_H
#define QUARRY_USER_H

#include <quarry/vm.h>

/* The end of user addresses.  It excludes the last page below the non-canonical hole. */
#define USER_END VM_USER_END

/* ---- the machine's part ---- */

/*
 * Memory for the FPU registers of a thread of ring 3, with the start values of a program; NULL
 * without memory.  Freed by kfree.
 * Context: thread.
 */
void *arch_fpu_alloc(void) must_check;
/*
 * Another thread is about to run: save this CPU's FPU registers to @from, and load them from @to.
 * NULL: that thread has none.  The selectors DS, ES, FS and GS become 0.  Unless @to is NULL, from
 * now on the CPU enters the kernel from ring 3 on the stack that ends at @top.  irqs off.
 */
void arch_user_switch(void *from, const void *to, void *top);
/* From now on this CPU translates by the tables with root @root; 0: the kernel's own.  irqs off. */
void arch_load_tables(phys_t root);

/*
 * Continue in ring 3 at @entry, with @sp and these arguments; the content of this kernel stack is
 * dropped.
 * Context: thread that has FPU memory and an address space, irqs on.
 */
void arch_enter_user(uintptr_t entry, uintptr_t sp, const u64 arg[3]) __attribute__((noreturn));

/*
 * Copy @len bytes from or to the user memory of the running thread.
 * Returns 0; or -EFAULT if part of it is not user memory that may be read (written); then some
 * bytes may have been copied.
 * Context: thread, may sleep, no lock held.
 */
int copy_from_user(void *dst, u64 src, size_t len) must_check;
int copy_to_user(u64 dst, const void *src, size_t len) must_check;
/*
 * copy_from_user that never waits: returns -EFAULT also where a page is not mapped yet.  Preemption
 * is off meanwhile.  Any context with interrupts on.
 */
int copy_from_user_now(void *dst, u64 src, size_t len) must_check;

/* Call fn(arg) with interrupts off; 0, or -EFAULT if it caused a page fault.  For tests. */
int arch_probe(void (*fn)(void *), void *arg);
/* Does this machine prevent the kernel from executing (SMEP) and accessing (SMAP) user memory? */
bool arch_has_smep(void);
bool arch_has_smap(void);
/* Can this machine save more than x87 and SSE registers? */
bool arch_has_xsave(void);

/* ---- functions that arch/x86_64/user.c calls ---- */

/* The registers of a system call, in and out; all but @nr may be changed. */
struct syscall_regs {
	u64 nr;
	u64 arg[7];
};
/* kernel/syscall.c: returns the result for the caller.  Context: thread, irqs on. */
s64 syscall(struct syscall_regs *regs);

/*
 * kernel/task_thread.c: the running thread touched @va, below USER_END.  @access: VM_READ, VM_WRITE
 * or VM_EXEC.  Returns as vm_fault; -EFAULT without a space.  Context: thread, irqs on, may sleep.
 */
int user_page_fault(uintptr_t va, unsigned access);
/*
 * The memory at @va is lost: call the task's fault handler, if it has one.
 * Returns 0: try the access again; -EHWPOISON the task ends because of it; -EINTR it is ending
 * anyway.
 * Context: its thread, from ring 3.
 */
int user_page_lost(uintptr_t va) must_check;
/*
 * Report an error of the running thread that ends its task: print its name and @what, before the
 * registers are printed.  Context: thread, irqs on.
 */
void user_fault_report(const char *what);
/* Called after user_fault_report: end the task, and with it this thread. */
void user_fault_end(void) __attribute__((noreturn));
/*
 * Called before each return to ring 3; does not return if the task has ended meanwhile. irqs off.
 */
void user_may_return(void);

#endif
