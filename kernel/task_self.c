/* SPDX-License-Identifier: MIT */
/*
 * task_self.c: the running thread's page tables and FPU registers, which its CPU has loaded.
 *
 * Owns:       the page tables and FPU registers that a CPU has loaded.
 * Locks:      none: only the CPU itself loads tables and registers, with interrupts off.
 * Invariants: the loaded tables are those of the running thread's space.
 * Tests:      task, task_cpu, arch_fault, tests/fiber/explore_tasks.c.
 */
#include "thread.h"
#include <quarry/mm.h>
#include <quarry/task.h>
#include <quarry/user.h>

/*
 * Enter @to before its tables are loaded, leave @from after that: see vm.h.  With irqs off all this
 * happens on one CPU.
 */
static always_inline void space_switch(struct vm_space *from, struct vm_space *to)
{
	if (from == to)
		return;
	CHECKED_ASSERT(!arch_irqs_enabled());
	if (to)
		vm_space_enter(to);
	arch_load_tables(to ? to->pt.root : 0);
	if (from)
		vm_space_leave(from);
}

void task_switch(const struct thread *prev, const struct thread *next)
{
	space_switch(prev->space, next->space);
	arch_user_switch(prev->fpu, next->fpu, next->stack_top);
}

void space_use(struct vm_space *space)
{
	irqflags_t flags = arch_irq_save();
	struct thread *t = thread_current();

	space_switch(t->space, space);
	t->space = space;
	arch_irq_restore(flags);
}
