/* SPDX-License-Identifier: MIT */
/*
 * test_play_drain.c: a thread that drains its CPU is moved to another CPU between two pieces.  The
 * test includes the source of mm/core/drain_cpu.c, chooses the CPU that the thread runs on, and
 * notes the zones that are drained there.  Hosted only.
 */
#include "tests/lib/mm_test.h"
#include "mm/core/drain.h"

static struct {
	unsigned cpu;        /* the CPU on which the thread runs */
	bool moved;          /* the thread has been moved from CPU 0 to CPU 1 */
	unsigned drained[2]; /* the zones drained on each CPU, a bit for each id */
} now;

/* On CPU 0, zone NORMAL needs a second piece; the thread is moved before it. */
static void note_zone(struct zone *zone)
{
	struct pcp *pcp = this_pcp_slow(zone->mem);

	pcp->work = 1;
	if (now.cpu == 0 && zone->kind == ZONE_NORMAL) {
		pcp->unfinished = true;
		now.moved = true;
	} else {
		now.drained[now.cpu] |= 1u << zone->id;
	}
}

static void restore_and_move(irqflags_t flags)
{
	arch_irq_restore(flags);
	now.cpu = now.moved;
}

void played_handler(void *arg);
void played_local(struct memory *mem, struct zone *zone);
void played_leave(struct memory *mem);
void played_join(struct memory *mem);
void played_changed(struct memory *mem);

#define arch_cpu_id()        (now.cpu)
#define arch_irq_restore     restore_and_move
#define pcp_drain_zone_local note_zone
#define drain_handler        played_handler
#define drain_local_pages    played_local
#define pcp_cpu_leave        played_leave
#define pcp_cpu_join         played_join
#define pcp_zones_changed    played_changed
#include "mm/core/drain_cpu.c" /* NOLINT(bugprone-suspicious-include): the tested source */

KTEST_SUITE(play_drain, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* All that the thread's new CPU caches is drained, not only what the old one had left. */
KTEST(thread_that_moves_drains_all_of_its_new_cpu)
{
	struct memory *mem = NEED(t, ktest_memory(t, 4, 4, 4));

	now.cpu = now.drained[0] = now.drained[1] = 0;
	now.moved = false;
	played_local(mem, NULL);
	EXPECT(t, now.moved && arch_irqs_enabled());
	EXPECT_EQ(t, now.drained[0], 1u << ZONE_DMA32);
	EXPECT_EQ(t, now.drained[1], 1u << ZONE_DMA32 | 1u << ZONE_NORMAL | 1u << ZONE_MOVABLE);
}
