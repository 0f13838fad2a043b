/* SPDX-License-Identifier: MIT */
/*
 * free_held.c: the free path once more, with a stop between its reading and its push.
 *
 * Owns:       the free under way.
 * Locks:      none of its own.
 * Invariants: it is the body of every free (pcp_inline.h), compiled with scheduling points: the
 *             free path of the kernel has no instruction for this.
 * Tests:      free_held.
 */
#include "mm/page.h"
#include <quarry/free_held.h>

static struct {
	void (*at)(void *arg);
	void *arg;
} held;

/* Unused where the body of a free is not written yet (quarry/lab.h). */
static unused void free_held_point(const char *name)
{
	if (held.at && strcmp(name, "free.push_pending") == 0)
		held.at(held.arg);
}

#undef SCHED_POINT
#define SCHED_POINT(name) free_held_point(name)
#include "mm/pcp_inline.h"

int mem_free_held(
    struct memory *mem, struct page *page, unsigned order, void (*at)(void *arg), void *arg)
{
	bool cached;

	KASSERT(!held.at);
	held.arg = arg;
	held.at = at;
	cached = free_body(mem, false, page, order);
	held.at = NULL;
	if (cached)
		return 0;
	return mem_free_pages(mem, page, order) ? -EINVAL : 1;
}
