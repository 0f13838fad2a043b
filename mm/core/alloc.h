/* SPDX-License-Identifier: MIT */
/* alloc.h: allocating and freeing (page_alloc.c, zonelist.c). */
#ifndef QUARRY_MM_ALLOC_H
#define QUARRY_MM_ALLOC_H

#include <quarry/mm.h>

/*
 * Try each zone that @gfp allows, nearest to @node first (zonelist.c).  An allocation's node is
 * that of its CPU.
 */
struct page *alloc_from_zonelist(const struct node *node, gfp_t gfp, unsigned order);
/* Report and count a free of @page that is wrong, for the reason @why; returns -EINVAL. */
int bad_free(struct memory *mem, const struct page *page, unsigned order, const char *why);
struct page *alloc_slow(struct memory *mem, gfp_t gfp, unsigned order) EXCLUDES(zone_class);
/* Zero a block and return it.  Not called inside an interrupt-off section of the allocator. */
struct page *zero_block(const struct memory *mem, struct page *page, unsigned order);
/*
 * Drop a reference to each of @nr pages, at most PUT_MANY, as mem_put_page.  Freed pages go past
 * the caches to the buddy allocator; neighbours in @pages of one zone share one hold of the zone
 * lock.  Any context.
 */
#define PUT_MANY 16u
void put_many(struct memory *mem, struct page **pages, unsigned nr) EXCLUDES(zone_class);
int free_slow(struct memory *mem, struct page *page, unsigned order) EXCLUDES(zone_class);

#endif
