/* SPDX-License-Identifier: MIT */
/*
 * test_silence_owner.c: the owner of a movable page goes while the page is migrated: at each point
 * of the migration in turn, where the migrator's CPU stands still.
 */
#include "fiber_threads.h"
#include "tests/fiber/silence_help.h"
#include "tests/lib/mm_test.h"
#include "tests/lib/movable_help.h"
#include <quarry/errno.h>
#include <quarry/movable.h>

#define MIGRATES 2u
#define LEAVES   3u

static struct memory *mem;
static struct page *page;
static struct movable_owner owner;
static bool gone;         /* the owner would have been freed */
static unsigned too_late; /* calls of an owner that is gone */

static int take(struct memory *m, struct page *p)
{
	return 0;
}

/* The page is in use. */
static int stay(struct movable_owner *o, struct memory *m, struct page *dst, struct page *src)
{
	too_late += READ_ONCE(gone);
	return -EBUSY;
}

static bool put_back(struct memory *m, struct page *p)
{
	too_late += READ_ONCE(gone);
	return true;
}

static const struct movable_ops ops = {.isolate = take, .migrate = stay, .putback = put_back};

static void migrate(void *arg)
{
	struct page *list[1] = {page};

	if (!isolate_movable_page(mem, page_to_pfn_in(mem, page)))
		migrate_pages(mem, list, 1, NULL);
}

static void leave(void *arg)
{
	page_release_movable(mem, page);
	movable_owner_drain(&owner);
	WRITE_ONCE(gone, true);
}

/* Returns the number of points; at number @at the owner's CPU goes on instead of the migrator's. */
static unsigned migrate_and_leave(struct ktest *t, unsigned at)
{
	const struct threads_cut cut = {.at = at, .cpu = LEAVES};
	unsigned points;

	page = mem_alloc_pages(mem, GFP_MOVABLE, 0);
	if (!page) {
		ktest_fail(t, __FILE__, __LINE__, "no page");
		return 0;
	}
	owner = (struct movable_owner){.ops = &ops};
	make_movable(mem, page, &owner, 0);
	gone = false;
	threads_plan(&cut, 1);
	ktest_start(MIGRATES, migrate, NULL);
	ktest_start(LEAVES, leave, NULL);
	ktest_join(MIGRATES);
	ktest_join(LEAVES);
	points = threads_plan_end();
	EXPECT_EQ(t, owner.users, 0);
	return points;
}

KTEST_SUITE(silence_owner, 0);

KTEST(owner_that_has_drained_is_called_no_more)
{
	unsigned at = 1;

	mem = NEED(t, ktest_memory(t, 0, 0, 16));
	all_caches_off(t, mem);
	too_late = 0;
	while (at <= migrate_and_leave(t, at) && !too_late)
		at++;
	EXPECT(t, at > 20);
	EXPECT_EQ(t, too_late, 0);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}
