/* SPDX-License-Identifier: MIT */
/*
 * add_help.h: a memory that can grow, and a record of the calls for its arrays; for the suites of
 * memory hotplug.
 */
#ifndef QUARRY_TESTS_ADD_HELP_H
#define QUARRY_TESTS_ADD_HELP_H

#include "tests/lib/mov_help.h"

#include <quarry/memory_hotplug.h>
#include <quarry/memory_init.h>

/*
 * The memory begins HALF pageblocks before the border of two sections, and ends HALF behind it.
 * Neither section starts at pfn SECTION_PAGES: a call that confuses start and size is noticed.
 */
#define HALF   24u
#define BORDER (3 * SECTION_PAGES)
#define START  (BORDER - BLOCK(HALF))
#define END    (BORDER + BLOCK(HALF))
/* Pageblocks of each zone that is present at the start. */
#define SIZE 8u

/* ---- a memory that can grow ---- */

/*
 * A record of the calls for the memory's arrays. Descriptors of absent memory are zeros and must
 * stay so.
 */
struct arrays {
	unsigned mapped;           /* pageblocks whose own memory is mapped */
	bool bytes[2 * HALF];      /* by pageblock: is its own memory mapped? */
	bool behind[2];            /* have the sections before and behind the border descriptors? */
	unsigned grown, shrunk;    /* calls of grow and shrink */
	int maps_left, grows_left; /* calls of map and grow until one fails */
};
extern struct arrays arrays;

struct page *descriptors(struct memory *mem, pfn_t section, size_t *size);
int test_map(struct memory *mem, pfn_t start, unsigned long nr);
void test_unmap(struct memory *mem, pfn_t start, unsigned long nr);
int test_grow(struct memory *mem, pfn_t start, unsigned long nr);
void test_shrink(struct memory *mem, pfn_t start, unsigned long nr);
void expect_untouched(struct ktest *t, struct memory *mem);
/* A memory with these zones, one after the other from START on; its other pageblocks are holes. */
struct memory *growing(
    struct ktest *t, unsigned nr_nodes, const struct zone_spec *specs, unsigned nr);

struct memory *one_node(struct ktest *t);
/* As growing, with SIZE pageblocks of zone NORMAL of node 0, and nothing else. */
struct memory *growing_normal(struct ktest *t, unsigned nr_nodes);
/* Add memory to node @node, and bring it online. */
void add_online(struct ktest *t, struct memory *mem, pfn_t start, unsigned long nr, unsigned node);

enum pageblock_state state_at(const struct memory *mem, pfn_t pfn);
/* Pages of @pile that lie in [@start, @end). */
unsigned long pile_inside(struct memory *mem, const struct pile *pile, pfn_t start, pfn_t end);

#endif
