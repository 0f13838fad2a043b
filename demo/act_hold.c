/* SPDX-License-Identifier: MIT */
/*
 * act_hold.c: stops a CPU in the middle of a free, with interrupts off, for an act or a test.
 *
 * Owns:       nothing; the caller provides struct act_hold.
 * Locks:      none.
 * Invariants: while the CPU is stopped, its cache is empty: it was drained with interrupts already
 *             off.  The CPU continues by itself after LIMIT_NS.
 * Tests:      judge_act, free_held, tests/qemu/test_tour.py.
 */
#include "demo/act.h"

#include <quarry/free_held.h>
#include <quarry/smp.h>

#define LIMIT_NS 60000000000ULL

/* Runs at the point free.push_pending, for at most LIMIT_NS: waits for act_hold_push or a call. */
static void stand(void *arg)
{
	struct act_hold *h = arg;
	u64 now = arch_clock_ns(), end = now + LIMIT_NS, leave = WAIT_FOREVER;

	h->cached = true;
	store_release(&h->there, 1u);
	while (!load_acquire(&h->push) && now < leave && now < end) {
		if (h->until_call && leave == WAIT_FOREVER && smp_call_pending())
			leave = now + h->linger_ns;
		cpu_relax();
		now = arch_clock_ns();
	}
	h->late = now >= end;
}

static void hold(void *arg)
{
	struct act_hold *h = arg;
	irqflags_t flags = arch_irq_save();
	u64 end;

	drain_local_pages(h->mem, NULL);
	if (mem_free_held(h->mem, h->page, 0, stand, h))
		h->cached = false;
	preempt_disable();
	store_release(&h->there, 1u);
	store_release(&h->pushed, 1u);
	arch_irq_restore(flags);
	/* Interrupts are on, but no other thread may run here and take the page from the cache. */
	end = arch_clock_ns() + LIMIT_NS;
	while (h->cached && !h->until_call && !load_acquire(&h->end) && !h->late) {
		cpu_relax();
		h->late = arch_clock_ns() >= end;
	}
	preempt_enable();
}

int act_hold_start(struct act_hold *h)
{
	h->thread = thread_start("hold", (int)h->cpu, hold, h);
	if (!h->thread)
		return -ENOMEM;
	while (!load_acquire(&h->there))
		thread_yield();
	return 0;
}

void act_hold_push(struct act_hold *h)
{
	store_release(&h->push, 1u);
	while (!load_acquire(&h->pushed))
		thread_yield();
}

void act_hold_end(struct act_hold *h)
{
	store_release(&h->push, 1u);
	store_release(&h->end, 1u);
	thread_join(h->thread);
}
