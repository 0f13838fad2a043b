/* SPDX-License-Identifier: MIT */
/*
 * check.c: check_memory stops every CPU, and has all structures recounted.
 *
 * Owns:       nothing; it never repairs.
 * Locks:      cpu_hotplug shared and pcp_ctl, so that no drain round is under way.  Then every CPU
 *             is held in a cross-call, interrupts off: none has a zone lock or changes a cache.
 * Invariants: while anything is recounted every online CPU is in stopped().
 * Tests:      check_stop and silence_check look at the stop.
 */
#include "mm/check/check.h"
#include "mm/core/drain.h"
#include "mm/core/event.h"

/* The checking CPU waits so long for the others to stop; then all continue and try again. */
#define ARRIVE_NS 1000000000ULL

struct check {
	struct memory *mem;
	struct mm_violation *v;
	/* The stop: the CPU that checks, and the number of CPUs that must stop. */
	unsigned cpu, want;
	unsigned arrived; /* atomic: CPUs that have stopped */
	unsigned release; /* atomic: 1: all CPUs may go on */
	bool missed;      /* not all CPUs stopped */
};

/* For the lock analysis: with all CPUs in stopped() none has a zone lock; pcp_ctl is held. */
static void all_stopped(void) ASSERT_HELD(zone_class, pcp_ctl_class)
{
}

bool check_zones(struct memory *mem, bool pending, struct mm_violation *v)
{
	struct check_sums sums = {.pending = pending};
	unsigned i;

	if (!check_setup(mem, v))
		return false;
	for (i = 0; i < mem->nr_nodes * NR_ZONE_KINDS; i++)
		if (!check_zone(mem, &mem->zones[i], &sums, v))
			return false;
	/* While keeping is held, a page and the count may be changing. */
	if (mem->vm.nr_kept == sums.kept || mutex_is_held(&mem->vm.keeping))
		return true;
	return bad(v, "I-S9 kept pages", PFN_NONE, mem->vm.nr_kept, sums.kept);
}

/*
 * Every CPU runs this, interrupts off; one of them checks while the others wait.  A CPU that never
 * arrives is reported by the sender of the cross-call, which waits with interrupts on.
 */
static void stopped(void *arg)
{
	u64 end = arch_clock_ns() + ARRIVE_NS;
	struct check *c = arg;

	KASSERT(!arch_irqs_enabled());
	atomic_add(&c->arrived, 1u);
	if (arch_cpu_id() != c->cpu) {
		while (!load_acquire(&c->release))
			cpu_relax();
		return;
	}
	do {
		cpu_relax();
		c->missed = load_acquire(&c->arrived) < c->want;
	} while (c->missed && arch_clock_ns() < end);
	if (!c->missed) {
		all_stopped();
		if (check_zones(c->mem, READ_ONCE(c->mem->iso_pending) > 0, c->v))
			check_vm(c->mem, c->v);
	}
	store_release(&c->release, 1u);
}

/* One stop at a time: two CPUs, interrupts off, would wait for each other without end. */
static struct mutex one_stop = MUTEX("check");

int check_memory(struct memory *mem, struct mm_violation *v)
{
	struct check c = {.mem = mem, .v = v};
	unsigned cpu;
	int asked;

	*v = (struct mm_violation){0};
	if (!may_sleep())
		return -EDEADLK;
	mutex_lock(&one_stop);
	rounds_lock(mem);
	for (cpu = 0; cpu < nr_cpus; cpu++)
		c.want += cpumask_test(cpu_online_mask, cpu);
	/* Any CPU may check: no CPU can go offline now. */
	c.cpu = arch_cpu_id();
	do {
		c.arrived = c.release = 0;
		asked = smp_call_mask(NULL, stopped, &c);
		KASSERT(asked >= 0);
	} while (c.missed);
	rounds_unlock(mem);
	mutex_unlock(&one_stop);
	return v->what ? -EUCLEAN : 0;
}
