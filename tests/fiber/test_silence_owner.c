/* SPDX-License-Identifier: MIT */
/*
 * test_silence_owner.c: the owner of a movable page goes while the page is migrated: at each point
 * of the migration in turn, where the migrator's CPU stands still.
 */
#include "fiber_threads.h"
#include "tests/fiber/silence_help.h"
#include "tests/lib/mm_test.h"
#include "tests/lib/movable_help.h"

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

KTEST_SUITE(silence_owner, 0);

/* At point number @at the owner's CPU goes on instead of the migrator's. */
KTEST(owner_that_has_drained_is_called_no_more)
{
	struct threads_cut cut = {.cpu = LEAVES};
	unsigned points = 1;

	mem = NEED(t, ktest_memory(t, 0, 0, 16));
	all_caches_off(t, mem);
	too_late = 0;
	for (cut.at = 1; cut.at <= points && !too_late; cut.at++) {
		page = NEED(t, mem_alloc_pages(mem, GFP_MOVABLE, 0));
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
	}
	EXPECT(t, cut.at > 20);
	EXPECT_EQ(t, too_late, 0);
	EXPECT_EQ(t, memory_free_pages(mem), memory_managed_pages(mem));
}
