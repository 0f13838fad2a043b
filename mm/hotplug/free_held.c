/* SPDX-License-Identifier: MIT */
/*
 * free_held.c: a second copy of the free path, which stops just before it pushes the page.
 *
 * Owns:       the state of the one free in progress.
 * Locks:      none of its own.
 * Invariants: the body of every free (pcp_inline.h) is compiled here again, with scheduling points;
 *             so the kernel's free path has no instruction for them.
 * Tests:      free_held.
 */
#include "mm/core/page.h"
#include <quarry/free_held.h>

static struct {
	void (*at)(void *arg);
	void *arg;
} held;

/* Unused in a lab's tree, where the body of free is still to be written (quarry/lab.h). */
static unused void free_held_point(const char *name)
{
	if (held.at && strcmp(name, "free.push_pending") == 0)
		held.at(held.arg);
}

#undef SCHED_POINT
#define SCHED_POINT(name) free_held_point(name)
#include "mm/core/pcp_inline.h"

int mem_free_held(
    struct memory *mem, struct page *page, unsigned order, void (*at)(void *arg), void *arg)
{
	bool cached;

	KASSERT(!held.at);
	held.arg = arg;
	held.at = at;
	cached = order_index(order) < NR_CACHED_ORDERS && free_body(mem, page, order);
	held.at = NULL;
	if (cached)
		return 0;
	return mem_free_pages(mem, page, order) ? -EINVAL : 1;
}
