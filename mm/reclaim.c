/* SPDX-License-Identifier: MIT */
/*
 * reclaim.c: the reclaim thread of each node: drains caches, and compacts, on behalf of allocations that
 *             would fail.
 *
 * Owns:       struct reclaim: tickets of those who asked, and the drain under way.
 * Locks:      none of its own; drain_all_pages takes cpu_hotplug and pcp_ctl, compaction what it says.
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

/* The bit of struct reclaim's words for blocks of @order for requests with @gfp. */
static unsigned compact_bit(gfp_t gfp, unsigned order)
{
	return gfp_kind(gfp) * NR_ORDERS + order;
}
BUILD_ASSERT(NR_ZONE_KINDS * NR_ORDERS <= 64);

/* Compact for all who asked; the largest order first, which may serve others too. */
static void compact_wanted(struct node *node)
{
	static const gfp_t gfps[NR_ZONE_KINDS] = {
	    [ZONE_DMA32] = GFP_DMA32, [ZONE_NORMAL] = GFP_KERNEL, [ZONE_MOVABLE] = GFP_MOVABLE};
	struct reclaim *r = &node->reclaim;
	u64 want = atomic_and(&r->compact, 0ULL);
	unsigned kind, order;

	for (kind = 0; want && kind < NR_ZONE_KINDS; kind++) {
		for (order = NR_ORDERS; order-- > 0;) {
			u64 bit = 1ULL << compact_bit(gfps[kind], order);

			if (!(want & bit))
				continue;
			if (compact_zonelist(node, gfps[kind], order) == -ENOMEM)
				atomic_or(&r->in_vain, bit);
			else
				atomic_and(&r->in_vain, ~bit);
		}
	}
}

static void reclaim_thread(void *arg)
{
	struct node *node = arg;
	struct reclaim *r = &node->reclaim;

	port_task()->reclaims = 1;
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
		compact_wanted(node);
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

/* Wait until @r has done what it is asked, which is more than a drain with bits in @compact. */
static bool reclaim_wait(struct reclaim *r, u64 compact)
{
	struct ticket t = {.r = r};

	if (!READ_ONCE(t.r->thread) || READ_ONCE(t.r->stop) || port_task()->reclaims)
		return false;
	/* Before the ticket: so the run that serves it sees them, if no earlier one has. */
	if (compact)
		atomic_or(&r->compact, compact);
	t.number = atomic_add(&t.r->asked, 1) + 1;
	sched_point("reclaim.ticket");
	wake_up(&t.r->wake);
	wait_until(&t.r->served, served, &t, WAIT_FOREVER);
	return true;
}

bool reclaim_wait_drain(struct memory *mem)
{
	return reclaim_wait(my_reclaim(mem), 0);
}

bool reclaim_wait_compact(struct memory *mem, gfp_t gfp, unsigned order)
{
	struct reclaim *r = my_reclaim(mem);
	u64 bit = 1ULL << compact_bit(gfp, order);

	return reclaim_wait(r, bit) && !(READ_ONCE(r->in_vain) & bit);
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
