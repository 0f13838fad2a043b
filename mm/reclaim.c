/* SPDX-License-Identifier: MIT */
/*
 * reclaim.c: the reclaim thread of each node: drains caches on behalf of allocations that would fail.
 *
 * Owns:       struct reclaim: tickets of those who asked, and the drain under way.
 * Locks:      none of its own; drain_all_pages takes cpu_hotplug and pcp_ctl.
 * Invariants: done <= started <= asked; a ticket is served only by a drain that started after it was
 *             handed out, so that what its holder saw missing has been looked for since.
 * Tests:      tests/test_reclaim.c.
 */
#include "mm/mm_priv.h"

static struct reclaim *my_reclaim(struct memory *mem)
{
	unsigned node = arch_cpu_node(arch_cpu_id());

	return &mem->nodes[node < mem->nr_nodes ? node : 0].reclaim;
}

static bool wanted(void *arg)
{
	struct reclaim *r = arg;

	return READ_ONCE(r->stop) || READ_ONCE(r->asked) != READ_ONCE(r->started);
}

static void reclaim_thread(void *arg)
{
	struct node *node = arg;
	struct reclaim *r = &node->reclaim;

	for (;;) {
		u64 upto;

		wait_until(&r->wake, wanted, r, WAIT_FOREVER);
		if (READ_ONCE(r->stop))
			return;
		sched_point("reclaim.woken");
		/* Every ticket up to here was handed out before the drain below starts. */
		upto = load_acquire(&r->asked);
		WRITE_ONCE(r->started, upto);
		drain_all_pages(node->mem, NULL);
		MM_EVENT(node->mem, RECLAIM_RUNS);
		store_release(&r->done, upto);
		wake_up(&r->served);
	}
}

struct ticket {
	struct reclaim *r;
	u64 number;
};

static bool served(void *arg)
{
	struct ticket *t = arg;

	return load_acquire(&t->r->done) >= t->number || READ_ONCE(t->r->stop);
}

bool reclaim_wait_drain(struct memory *mem)
{
	struct ticket t = {.r = my_reclaim(mem)};

	if (!READ_ONCE(t.r->thread) || READ_ONCE(t.r->stop))
		return false;
	t.number = atomic_add(&t.r->asked, 1) + 1;
	sched_point("reclaim.ticket");
	wake_up(&t.r->wake);
	wait_until(&t.r->served, served, &t, WAIT_FOREVER);
	return true;
}

int reclaim_start(struct memory *mem)
{
	unsigned n;

	for (n = 0; n < mem->nr_nodes; n++) {
		struct reclaim *r = &mem->nodes[n].reclaim;

		WRITE_ONCE(r->stop, 0);
		WRITE_ONCE(r->thread, thread_start("reclaim", -1, reclaim_thread, &mem->nodes[n]));
		if (!r->thread) {
			reclaim_stop(mem);
			return -ENOMEM;
		}
	}
	return 0;
}

void reclaim_stop(struct memory *mem)
{
	unsigned n;

	for (n = 0; n < mem->nr_nodes; n++) {
		struct reclaim *r = &mem->nodes[n].reclaim;
		struct thread *thread = r->thread;

		if (!thread)
			continue;
		WRITE_ONCE(r->stop, 1);
		wake_up(&r->wake);
		thread_join(thread);
		WRITE_ONCE(r->thread, NULL);
		wake_up(&r->served);
	}
}
