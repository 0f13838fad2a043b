/* SPDX-License-Identifier: MIT */
/* movable_help.h: page_make_movable in tests where no page breaks. */
#ifndef QUARRY_TESTS_MOVABLE_HELP_H
#define QUARRY_TESTS_MOVABLE_HELP_H

#include <quarry/movable.h>
#include <quarry/port.h>

static inline void make_movable(
    struct memory *mem, struct page *page, struct movable_owner *owner, u32 index)
{
	if (!page_make_movable(mem, page, owner, index))
		panic("a page of a test broke");
}

#endif
