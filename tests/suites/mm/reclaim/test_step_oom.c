/* SPDX-License-Identifier: MIT */
/*
 * test_step_oom.c: an allocation that decides in the middle of the report of a victim's end.  The
 * test includes the source of mm/reclaim/alloc_oom.c, which calls it there.  Hosted only.
 */
#include "mm/core/zone.h"
#include "tests/lib/oom_help.h"
#include "tests/lib/request_help.h"

static struct request *asker; /* decides as soon as no victim is going; NULL: nobody asks */
static enum outcome decision;

static bool cas_and_ask(u32 *going, u32 victim, u32 none)
{
	bool was = atomic_cas(going, victim, none);
	struct request *q = asker;

	asker = NULL;
	if (q)
		decision = oom_alloc(q);
	return was;
}

extern u64 stepped_wait_ns;
void stepped_set(struct memory *mem,
    bool (*kill)(struct memory *mem, gfp_t gfp, unsigned order, void *arg), void *arg);
void stepped_boost(struct memory *mem, void (*boost)(bool on));
void stepped_gone(struct memory *mem, u32 victim);
void stepped_left(struct memory *mem);
bool stepped_outdated(struct memory *mem);
void stepped_begin(struct request *q);
enum outcome stepped_alloc(struct request *q);

#undef atomic_cas
#define atomic_cas          cas_and_ask
#define oom_wait_ns         stepped_wait_ns
#define memory_set_oom      stepped_set
#define memory_set_boost    stepped_boost
#define memory_oom_gone     stepped_gone
#define memory_oom_left     stepped_left
#define memory_oom_outdated stepped_outdated
#define oom_begin           stepped_begin
#define oom_alloc           stepped_alloc
#include "mm/reclaim/alloc_oom.c" /* NOLINT(bugprone-suspicious-include): the tested source */

KTEST_SUITE(oom_steps, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* The first victim has ended, so the request searches again; nobody else is chosen for it. */
KTEST(end_of_a_victim_is_counted_before_another_may_be_chosen)
{
	struct pile hoard = {NULL, 0};
	struct memory *mem = killer_begin(t, &hoard);
	struct request q;

	if (!mem)
		return;
	killer.nobody = true;
	q = request_for(mem, GFP_MOVABLE, 0);
	stepped_begin(&q);
	WRITE_ONCE(mem->oom.going, 1);
	asker = &q;
	decision = TRY_NEXT;
	stepped_gone(mem, 1);
	EXPECT(t, !asker && decision == TRY_ANEW);
	EXPECT_EQ(t, killer.calls, 0);
	EXPECT_EQ(t, mem->oom.gone, 1);
	killer_end(t, mem);
}
