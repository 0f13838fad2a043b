/* SPDX-License-Identifier: MIT */
/* add_help.c: see add_help.h. */
#include "tests/lib/add_help.h"

/* ---- a memory that can grow ---- */

struct arrays arrays;

static unsigned side(pfn_t section)
{
	return section >= BORDER;
}

struct page *descriptors(struct memory *mem, pfn_t section, size_t *size)
{
	pfn_t start = MAX(section, mem->start_pfn),
	      end = MIN(section + SECTION_PAGES, mem->end_pfn);

	*size = (end - start) * sizeof(struct page);
	return pfn_to_page_in(mem, start);
}

/* Record that the memory of the pageblocks of @range is mapped from now on, or unmapped. */
static void set_bytes(const struct memory *mem, struct pfn_range range, bool there)
{
	pfn_t pfn;

	KASSERT(range_ok(mem, range));
	for_each_block(pfn, range) {
		size_t block = (pfn - mem->start_pfn) >> PAGEBLOCK_ORDER;

		KASSERT(block < ARRAY_SIZE(arrays.bytes));
		arrays.mapped += there;
		arrays.mapped -= arrays.bytes[block];
		arrays.bytes[block] = there;
	}
}

int test_map(struct memory *mem, pfn_t start, unsigned long nr)
{
	if (arrays.maps_left-- == 0)
		return -ENOMEM;
	set_bytes(mem, pfn_range(start, nr), true);
	return 0;
}

void test_unmap(struct memory *mem, pfn_t start, unsigned long nr)
{
	set_bytes(mem, pfn_range(start, nr), false);
}

int test_grow(struct memory *mem, pfn_t start, unsigned long nr)
{
	KASSERT(nr == SECTION_PAGES && start % SECTION_PAGES == 0 && !arrays.behind[side(start)]);
	if (arrays.grows_left-- == 0)
		return -ENOMEM;
	arrays.behind[side(start)] = true;
	arrays.grown++;
	return 0;
}

/* The descriptors stay, as those from the boot do (arch_array_shrink). */
void test_shrink(struct memory *mem, pfn_t start, unsigned long nr)
{
	KASSERT(nr == SECTION_PAGES && start % SECTION_PAGES == 0);
	arrays.shrunk += arrays.behind[side(start)];
	arrays.behind[side(start)] = false;
}

static const struct memory_arrays test_arrays = {
    .map = test_map, .unmap = test_unmap, .grow = test_grow, .shrink = test_shrink};

void expect_untouched(struct ktest *t, struct memory *mem)
{
	unsigned i;

	for (i = 0; i < 2; i++) {
		size_t size, at;
		pfn_t section = BORDER - SECTION_PAGES + i * SECTION_PAGES;
		const char *page = (const char *)descriptors(mem, section, &size);

		for (at = 0; !arrays.behind[i] && at < size; at++) {
			if (page[at])
				ktest_fail(t, __FILE__, __LINE__,
				    "written to: a descriptor with nothing behind it");
		}
	}
}

struct memory *growing(
    struct ktest *t, unsigned nr_nodes, const struct zone_spec *specs, unsigned nr)
{
	struct memory_config cfg;
	struct memory *mem;
	int err;

	memset(&arrays, 0, sizeof(arrays));
	arrays.maps_left = arrays.grows_left = -1;
	arrays.behind[0] = true; /* zones present at the start lie before the border */
	if (!bare_config(t, &cfg, START, 2 * HALF))
		return NULL;
	cfg.nr_nodes = nr_nodes;
	cfg.arrays = &test_arrays;
	mem = cfg.alloc(cfg.arg, sizeof(*mem));
	err = mem ? memory_init(mem, &cfg) : -ENOMEM;
	return begin_memory(t, mem, err ? err : add_zones(mem, specs, nr));
}

struct memory *one_node(struct ktest *t)
{
	static const struct zone_spec specs[] = {{0, ZONE_NORMAL, SIZE}, {0, ZONE_MOVABLE, SIZE}};

	return growing(t, 1, specs, ARRAY_SIZE(specs));
}

struct memory *growing_normal(struct ktest *t, unsigned nr_nodes)
{
	static const struct zone_spec specs[] = {{0, ZONE_NORMAL, SIZE}};

	return growing(t, nr_nodes, specs, ARRAY_SIZE(specs));
}

void add_online(struct ktest *t, struct memory *mem, pfn_t start, unsigned long nr, unsigned node)
{
	EXPECT_EQ(t, add_memory(mem, start, nr, node), 0);
	EXPECT_EQ(t, online_pages(mem, start, nr, NULL), 0);
}

enum pageblock_state state_at(const struct memory *mem, pfn_t pfn)
{
	return pageblock_state(pageblock_of(mem, pfn));
}

unsigned long pile_inside(struct memory *mem, const struct pile *pile, pfn_t start, pfn_t end)
{
	const struct page *page;
	unsigned long nr = 0;

	for (page = pile->top; page; page = page->owner) {
		pfn_t pfn = page_to_pfn_in(mem, page);

		nr += pfn >= start && pfn < end;
	}
	return nr;
}
