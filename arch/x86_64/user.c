/* SPDX-License-Identifier: MIT */
/*
 * user.c: ring 3: entering it, entries from it, its FPU registers, and access to its memory.
 *
 * Owns:       the MSRs of SYSCALL; the format of saved FPU registers.
 * Locks:      none.
 * Invariants: no thread returns to ring 3 with an RIP at or above USER_END.
 *             User memory is accessed by user_copy alone, between stac and clac.
 *             The kernel uses no FPU register: they are the running thread's, or unused.
 * Tests:      arch_fault, arch_cpu, arch, mce_bank, task, task_cpu, tests/qemu/test_arch.py,
 *             tests/qemu/test_exception.py.
 */
#include <quarry/console.h>
#include <quarry/errno.h>
#include <quarry/mce.h>
#include <quarry/mm.h>
#include <quarry/sched.h>
#include <quarry/user.h>

#include "x86.h"

/* RFLAGS bits that SYSCALL clears: AC, NT, IOPL, DF, IF, TF. */
#define SYSCALL_FMASK 0x47700

/*
 * Offsets of FCW and MXCSR in the legacy part of an FPU area (SDM vol. 1, table 10-2), and their
 * initial values: for FCW, the value that FNINIT sets.
 */
#define FPU_FCW   0
#define FPU_MXCSR 24
/*
 * Processors do not use the bytes of the legacy part from this offset on (SDM vol. 1, 10.5.1): the
 * kernel keeps DS, ES, FS and GS there.
 */
#define FPU_SELECTORS 464
#define FCW_INITIAL   0x037f
#define MXCSR_INITIAL 0x1f80
#define FXSAVE_SIZE   512
/* Bits of the extended states: x87, SSE, AVX. */
#define XSTATE_MASK 7u

/*
 * syscall_entry.S: the two instructions at which a page fault on a user address is expected; the
 * place to continue if the fault cannot be served; and the place to continue after a fault in a
 * probe.
 */
extern char user_copy_words[], user_copy_bytes[], user_copy_end[], probe_faulted[];
size_t user_copy(void *dst, const void *src, size_t len);
/* Read by syscall_entry.S. */
extern u8 user_smap;

u8 user_smap;
static u32 xstate;     /* states that XSAVE saves; 0: there is FXSAVE only */
static u32 fpu_size;   /* bytes of an FPU area */
static bool x87_leaks; /* registers that FXRSTOR and XRSTOR may leave as they are */

void user_init_cpu(void)
{
	/*
	 * SYSRET loads SS with STAR[63:48] + 8.  Intel's processors then set the selector's RPL to
	 * 3, AMD's do not (APM vol. 3, SYSRET), and a return from the next trap needs an RPL of 3.
	 */
	wrmsr(MSR_STAR, (u64)SEL_KERNEL_CODE << 32 | (u64)(SEL_KERNEL_DATA | 3) << 48);
	wrmsr(MSR_LSTAR, (uintptr_t)syscall_entry);
	wrmsr(MSR_FMASK, SYSCALL_FMASK);
	wrmsr(MSR_SYSENTER_CS, 0);    /* SYSENTER faults, whatever entry the firmware has left */
	wrmsr(MSR_KERNEL_GS_BASE, 0); /* ring 3's GS base, until the first swapgs */
	if (read_cr4() & CR4_OSXSAVE) {
		u32 mask = cpuid(0xd, 0).eax & XSTATE_MASK;

		__asm__ volatile("xsetbv" : : "c"(0), "a"(mask), "d"(0));
		xstate = mask;
		fpu_size = cpuid(0xd, 0).ebx;
	} else {
		fpu_size = FXSAVE_SIZE;
	}
	x87_leaks = cpu_keeps_x87_pointers();
	user_smap = (read_cr4() & CR4_SMAP) != 0;
}

bool arch_has_smep(void)
{
	return read_cr4() & CR4_SMEP;
}

bool arch_has_smap(void)
{
	return user_smap;
}

bool arch_has_xsave(void)
{
	return xstate != 0;
}

/* ---- FPU registers ---- */

/* The area of a new program is zeros but for two words; FXRSTOR and XRSTOR can both load it. */
void *arch_fpu_alloc(void)
{
	/*
	 * XSAVE needs an alignment of 64.  kmalloc aligns an area to its size, which is larger, or
	 * to a page if it is larger than half a page.
	 */
	char *fpu = kmalloc(fpu_size);

	if (!fpu)
		return NULL;
	*(u16 *)(fpu + FPU_FCW) = FCW_INITIAL;
	*(u32 *)(fpu + FPU_MXCSR) = MXCSR_INITIAL;
	return fpu;
}

/*
 * Ring 3 may load a null selector or any GDT selector that it is allowed, so the kernel saves
 * selectors like other registers.
 */
static always_inline u32 selectors(void)
{
	u32 ds, es, fs, gs;

	__asm__ volatile("movl %%ds, %0\n\t"
	                 "movl %%es, %1\n\t"
	                 "movl %%fs, %2\n\t"
	                 "movl %%gs, %3"
	                 : "=r"(ds), "=r"(es), "=r"(fs), "=r"(gs));
	return ds | es | fs | gs;
}

static u64 saved_selectors(const char *fpu)
{
	return *(const u64 *)(fpu + FPU_SELECTORS);
}

static void selectors_save(char *fpu)
{
	u16 *to = (u16 *)(fpu + FPU_SELECTORS);

	__asm__ volatile("movw %%ds, %0\n\t"
	                 "movw %%es, %1\n\t"
	                 "movw %%fs, %2\n\t"
	                 "movw %%gs, %3"
	                 : "=m"(to[0]), "=m"(to[1]), "=m"(to[2]), "=m"(to[3]));
}

/*
 * Loading GS sets the GS base.  The two swapgs protect the kernel's base.  Ring 3's base is 0, and
 * stays 0.
 */
static void selectors_load(const char *fpu)
{
	const u16 *from = (const u16 *)(fpu + FPU_SELECTORS);

	__asm__ volatile("movw %0, %%ds\n\t"
	                 "movw %1, %%es\n\t"
	                 "movw %2, %%fs\n\t"
	                 "swapgs\n\t"
	                 "movw %3, %%gs\n\t"
	                 "swapgs"
	                 :
	                 : "m"(from[0]), "m"(from[1]), "m"(from[2]), "m"(from[3])
	                 : "memory");
}

static always_inline void xsave(void *to, u32 states)
{
	__asm__ volatile("xsave64 (%0)" : : "r"(to), "a"(states), "d"(0) : "memory");
}

static always_inline void xrstor(const void *from, u32 states)
{
	__asm__ volatile("xrstor64 (%0)" : : "r"(from), "a"(states), "d"(0) : "memory");
}

/*
 * Put the addresses of an x87 instruction of the kernel in place of those of the last program's.
 * The program's pending exception, and a full register stack, would make that instruction fault.
 */
static void x87_forget(void)
{
	static const u32 zero;

	__asm__ volatile("fnclex\n\temms\n\tfildl %0" : : "m"(zero));
}

static always_inline void fpu_switch(void *from, const void *to, void *top)
{
	u32 states = xstate;

	if (likely(states)) {
		if (from)
			xsave(from, states);
		if (unlikely(x87_leaks) && to)
			x87_forget();
		if (to)
			xrstor(to, states);
	} else {
		if (from)
			__asm__ volatile("fxsave64 (%0)" : : "r"(from) : "memory");
		if (x87_leaks && to)
			x87_forget();
		if (to)
			__asm__ volatile("fxrstor64 (%0)" : : "r"(to) : "memory");
	}
	if (to)
		arch_set_kernel_stack(top);
}

static noinline void switch_any(void *from, const void *to, void *top)
{
	u64 any = selectors();

	if (from)
		any |= saved_selectors(from);
	if (to)
		any |= saved_selectors(to);
	if (from && any)
		selectors_save(from);
	if (to && any)
		selectors_load(to);
	fpu_switch(from, to, top);
}

/* Usually the selectors of both threads and of the CPU are null, and need neither save nor load. */
void arch_user_switch(void *from, const void *to, void *top)
{
	if (likely(from && to) &&
	    likely(!(selectors() | saved_selectors(from) | saved_selectors(to))))
		fpu_switch(from, to, top);
	else
		switch_any(from, to, top);
}

/* ---- user memory ---- */

void user_access_off(void)
{
	if (user_smap)
		__asm__ volatile("clac" : : : "memory");
}

static bool is_user(u64 va, size_t len)
{
	return va < USER_END && len <= USER_END - va;
}

int copy_from_user(void *dst, u64 src, size_t len)
{
	assert_may_sleep("copy_from_user");
	return is_user(src, len) && !user_copy(dst, (const void *)src, len) ? 0 : -EFAULT;
}

int copy_to_user(u64 dst, const void *src, size_t len)
{
	assert_may_sleep("copy_to_user");
	return is_user(dst, len) && !user_copy((void *)dst, src, len) ? 0 : -EFAULT;
}

int copy_from_user_now(void *dst, u64 src, size_t len)
{
	size_t left;

	if (!is_user(src, len))
		return -EFAULT;
	preempt_disable();
	left = user_copy(dst, (const void *)src, len);
	preempt_enable();
	return left ? -EFAULT : 0;
}

bool user_copies(const struct trap_frame *f)
{
	return f->rip == (uintptr_t)user_copy_words || f->rip == (uintptr_t)user_copy_bytes;
}

static unsigned fault_access(u64 error)
{
	return error & PF_EXECUTE ? VM_EXEC : error & PF_WRITE ? VM_WRITE : VM_READ;
}

bool user_kernel_fault(struct trap_frame *f)
{
	struct cpu *cpu = this_cpu();
	uintptr_t va = read_cr2();

	if (user_copies(f) && va < USER_END) {
		if (arch_preempt_count()) { /* copy_from_user_now */
			f->rip = (uintptr_t)user_copy_end;
			return true;
		}
		arch_irq_enable(); /* interrupts were on: copy_from_user asserts that */
		if (user_page_fault(va, fault_access(f->error)))
			f->rip = (uintptr_t)user_copy_end;
		return true;
	}
	if (cpu->probe_sp) {
		f->rip = (uintptr_t)probe_faulted;
		f->rsp = (uintptr_t)cpu->probe_sp;
		return true;
	}
	return false;
}

/* The copy fails; the thread "mce" retires the page. */
void user_kernel_machine_check(struct trap_frame *f)
{
	struct mce_record hit;

	if (trap_machine_check(f, &hit))
		f->rip = (uintptr_t)user_copy_end;
}

/* ---- entries from ring 3, and the return ---- */

static void __attribute__((noreturn)) user_dies(const struct trap_frame *f, const char *what)
{
	arch_irq_enable();
	user_fault_report(what);
	print_registers(f, "  ");
	user_fault_end();
}

static void page_fault(const struct trap_frame *f)
{
	unsigned access = fault_access(f->error);
	uintptr_t va = read_cr2();
	char what[96];
	int err;

	if (f->error & PF_RESERVED)
		panic("page fault: reserved bit set in a table of a user address, %016lx", va);
	/*
	 * The CPU itself accessed a descriptor. The kernel's tables are always present, so ring 3
	 * has made the CPU access another address.  If the fault were served, the CPU might still
	 * repeat it for ever.  (In QEMU a far return reads the stack like this, and with SMAP
	 * repeats it for ever.)
	 */
	if (!(f->error & PF_USER)) {
		ksnprintf(what, sizeof(what), "page fault: %s of %016lx by the CPU itself",
		    access == VM_WRITE ? "write" : "read", va);
		user_dies(f, what);
	}
	arch_irq_enable();
	err = user_page_fault(va, access);
	if (err == -EHWPOISON)
		err = user_page_lost(va);
	if (!err || err == -EINTR) /* served, or the task is ending */
		return;
	ksnprintf(what, sizeof(what), "page fault: %s of %016lx: %s",
	    access == VM_EXEC        ? "execute"
	        : access == VM_WRITE ? "write"
	                             : "read",
	    va,
	    va >= USER_END          ? "not a user address"
	        : err == -EFAULT    ? "not mapped"
	        : err == -EACCES    ? "not allowed there"
	        : err == -ENOMEM    ? "no memory"
	        : err == -EDQUOT    ? "as many page tables as it may have"
	        : err == -EHWPOISON ? "lost, its memory broke"
	                            : "not supplied");
	user_dies(f, what);
}

/*
 * The data that this thread was about to use is damaged.  The thread retires the page itself, so it
 * waits for no other thread.  After that the access faults, as for any lost page: the task's fault
 * handler is called, or the task ends, or the page's pager supplies the page again.  If the page
 * cannot be retired, the task ends: the thread would meet the error again.  So it does if the CPU
 * does not know where to continue.
 */
static void machine_check(const struct trap_frame *f)
{
	struct mce_record hit;

	if (!trap_machine_check(f, &hit))
		return;
	arch_irq_enable();
	if (!mce_deal(&hit))
		user_dies(f, "machine check: data that it needs is damaged, and cannot be retired");
	if (hit.ends)
		user_dies(
		    f, "machine check: data that it needs is damaged, and it cannot continue");
}

/*
 * A non-canonical RIP would fault in the kernel: at SYSRET on the user's stack, at IRET with the
 * user's GS base.  A program can get such an RIP, for instance by a SYSCALL in the last bytes of
 * the lower half.  The program could not have continued anyway.  irqs off at return.
 */
static void leave(const struct trap_frame *f)
{
	arch_irq_disable();
	user_may_return();
	if (unlikely(f->rip >= USER_END))
		user_dies(f, "continues at an address that is not a user's");
}

void trap_from_user(struct trap_frame *f)
{
	user_access_off();
	if (f->vector >= NR_EXCEPTION)
		trap_irq((unsigned)f->vector);
	else if (f->vector == VEC_PF)
		page_fault(f);
	else if (f->vector == VEC_MC)
		machine_check(f);
	else
		user_dies(f, exception_text(f->vector));
	leave(f);
}

#define CALL_REG(reg) (offsetof(struct trap_frame, reg) - offsetof(struct trap_frame, rax))
BUILD_ASSERT(CALL_REG(rdi) == offsetof(struct syscall_regs, arg[0]));
BUILD_ASSERT(CALL_REG(rsi) == offsetof(struct syscall_regs, arg[1]));
BUILD_ASSERT(CALL_REG(rdx) == offsetof(struct syscall_regs, arg[2]));
BUILD_ASSERT(CALL_REG(r10) == offsetof(struct syscall_regs, arg[3]));
BUILD_ASSERT(CALL_REG(r8) == offsetof(struct syscall_regs, arg[4]));
BUILD_ASSERT(CALL_REG(r9) == offsetof(struct syscall_regs, arg[5]));
BUILD_ASSERT(CALL_REG(r12) == offsetof(struct syscall_regs, arg[6]));

/* The call works on the registers in the frame; its result replaces its number in RAX. */
void syscall_from_user(struct trap_frame *f)
{
	arch_irq_enable();
	f->rax = (u64)syscall((struct syscall_regs *)&f->rax);
	leave(f);
}

void arch_enter_user(uintptr_t entry, uintptr_t sp, const u64 arg[3])
{
	struct trap_frame f = {
	    .rdi = arg[0],
	    .rsi = arg[1],
	    .rdx = arg[2],
	    .rip = entry,
	    .cs = SEL_USER_CODE | 3,
	    .rflags = X86_FLAGS_IF,
	    .rsp = sp,
	    .ss = SEL_USER_DATA | 3,
	};

	leave(&f);
	user_resume(&f);
}
