/* SPDX-License-Identifier: MIT */
/*
 * cma.c: areas of pageblocks, lent to movable allocations until their users want contiguous memory.
 *
 * Owns:       struct cma, and the pages of its users.
 * Locks:      cma->lock, a mutex taken before all others of mm/: without it two allocations that
 *             isolate the same pageblock would refuse each other.
 * Invariants: every pageblock of an area is of type CMA until it is removed.  Memory added in its
 *             place is not part of the area: it is in zone MOVABLE, whose types do not change.
 *             Pages of a user keep their pageblock online and their bits of cma->used set.
 * Tests:      cma, cma_hotplug, cma_lent, cma_exact, held.
 */
#include "mm/core/buddy.h"
#include "mm/core/zone.h"
#include "mm/hotplug/isolate.h"
#include <quarry/contig.h>

/* The most places tried in a zone for an area that may lie anywhere; a try ends within seconds. */
#define PLACES 16
/* After this time an allocation tries no further run: owners may refuse to move each page. */
#define SEARCH_NS 5000000000ULL

static bool is_used(const struct cma *cma, unsigned long at)
{
	return cma->used[at / 64] >> (at % 64) & 1;
}

static void mark_used(struct cma *cma, unsigned long at, unsigned long nr, bool used)
{
	unsigned long i;

	KASSERT(mutex_is_held(&cma->lock));
	KASSERT(at + nr <= cma->end - cma->start);
	for (i = at; i < at + nr; i++) {
		KASSERT(is_used(cma, i) != used);
		if (used)
			cma->used[i / 64] |= 1ULL << (i % 64);
		else
			cma->used[i / 64] &= ~(1ULL << (i % 64));
	}
	WRITE_ONCE(cma->nr_used, used ? cma->nr_used + nr : cma->nr_used - nr);
}

/* An unlocked read: is the pageblock in the area, and online?  alloc_contig_range checks again. */
static bool block_serves(const struct cma *cma, pfn_t pfn)
{
	return zone_owns_block(cma->zone, pfn) &&
	    pageblock_state(pageblock_of(cma->mem, pfn)) == PB_ONLINE;
}

static void cma_set_types(struct cma *cma, enum migratetype type)
{
	struct zone *zone = cma->zone;
	pfn_t pfn;

	for (pfn = cma->start; pfn < cma->end; pfn += PAGEBLOCK_PAGES) {
		irqflags_t flags = zone_lock_irqsave(zone);

		/* A pageblock that was removed is skipped; removal takes this lock. */
		if (zone_owns_block(zone, pfn))
			pageblock_change_type(zone, pfn, type);
		zone_unlock_irqrestore(zone, flags);
	}
}

static int create_at(struct cma *cma, const char *name, struct memory *mem, pfn_t start,
    unsigned long nr, struct mm_fail *fail)
{
	int err;

	*cma = (struct cma){.name = name, .mem = mem, .start = start, .end = start + nr};
	cma->lock = MUTEX("cma");
	if (!range_ok(mem, pfn_range(start, nr)))
		return -EINVAL;
	cma->used = kmalloc((nr + 63) / 64 * sizeof(u64));
	if (!cma->used)
		return -ENOMEM;
	/* MT_UNMOVABLE: the range is neither in zone MOVABLE nor in another area. */
	err = alloc_contig_range(mem, start, start + nr, MT_UNMOVABLE, fail);
	if (err) {
		kfree(cma->used);
		cma->used = NULL;
		return err;
	}
	/* The area's pages are allocated now, so its pageblocks stay in their zone. */
	cma->zone = zone_of(mem, start);
	cma_set_types(cma, MT_CMA);
	free_contig_range(mem, start, nr);
	return 0;
}

int cma_create(struct cma *cma, const char *name, struct memory *mem, pfn_t start, unsigned long nr)
{
	return create_at(cma, name, mem, start, nr, NULL);
}

/* An unlocked read: may the pageblock become part of an area?  create_at checks again. */
static bool block_may_join(const struct zone *zone, pfn_t pfn)
{
	const struct pageblock *pb = pageblock_of(zone->mem, pfn);

	return zone_owns_block(zone, pfn) && pageblock_state(pb) == PB_ONLINE &&
	    !pageblock_isolated(pb) && pageblock_type(pb) != MT_CMA &&
	    (pageblock_type(pb) == MT_MOVABLE || pageblock_all_free(pb));
}

/* Free pages that kernel allocations can use: not those in zone MOVABLE or of type CMA.  A hint. */
static unsigned long kernel_free(struct memory *mem)
{
	unsigned long nr = 0;
	const struct zone *zone;
	pfn_t pfn;

	for_each_zone(mem, zone) {
		if (zone->kind == ZONE_MOVABLE)
			continue;
		for_each_zone_block(zone, pfn) {
			const struct pageblock *pb = pageblock_of(mem, pfn);

			if (pageblock_state(pb) == PB_ONLINE && pageblock_type(pb) != MT_CMA)
				nr += READ_ONCE(pb->nr_free);
		}
	}
	return nr;
}

/*
 * Try at most PLACES places, from the top of the zone down: boot memory lies low.  Returns the
 * result of the last try, or @err if there is no place to try.
 */
static int create_in_zone(
    struct cma *cma, const char *name, struct zone *zone, unsigned long nr, int err)
{
	pfn_t pfn = READ_ONCE(zone->end_pfn);
	unsigned long run = 0, tries = PLACES;

	while (pfn > READ_ONCE(zone->start_pfn) && tries > 0 && err) {
		struct mm_fail fail = {.pfn = PFN_NONE};

		pfn -= PAGEBLOCK_PAGES;
		run = block_may_join(zone, pfn) ? run + PAGEBLOCK_PAGES : 0;
		if (run < nr)
			continue;
		err = create_at(cma, name, zone->mem, pfn, nr, &fail);
		/* The place has changed since the check. */
		if (err == -EINVAL)
			err = -EBUSY;
		tries--;
		/* The next place to try ends below the blocker. */
		if (fail.pfn >= pfn && fail.pfn < pfn + nr)
			run = ALIGN_DOWN(fail.pfn, PAGEBLOCK_PAGES) - pfn;
	}
	return err;
}

int cma_create_anywhere(struct cma *cma, const char *name, struct memory *mem, unsigned long nr)
{
	unsigned i = mem->nr_nodes * NR_ZONE_KINDS;
	int err = -ENOMEM;

	*cma = (struct cma){.name = name, .mem = mem};
	cma->lock = MUTEX("cma");
	if (nr == 0 || nr % PAGEBLOCK_PAGES)
		return -EINVAL;
	if (!may_sleep())
		return -EDEADLK;
	if (nr > kernel_free(mem) / 2)
		return -ENOMEM;
	while (i-- > 0 && err)
		if (mem->zones[i].kind != ZONE_MOVABLE && zone_has_span(&mem->zones[i]))
			err = create_in_zone(cma, name, &mem->zones[i], nr, err);
	return err;
}

int cma_destroy(struct cma *cma)
{
	int err;

	mutex_lock(&cma->lock);
	err = !cma->used ? -EINVAL : cma->nr_used ? -EBUSY : 0;
	if (!err) {
		cma_set_types(cma, MT_MOVABLE);
		kfree(cma->used);
		WRITE_ONCE(cma->used, NULL);
	}
	mutex_unlock(&cma->lock);
	return err;
}

/* The first @nr online, unused pages from @from on, aligned to 2^@align; none: the area's size. */
static unsigned long find_run(
    const struct cma *cma, unsigned long from, unsigned long nr, unsigned align)
{
	unsigned long size = cma->end - cma->start, at, i;

	for (at = from; at + nr <= size; at = i + 1) {
		at = ALIGN_UP(cma->start + at, 1UL << align) - cma->start;
		for (i = at; i < at + nr && i < size && !is_used(cma, i) &&
		     block_serves(cma, cma->start + i);
		     i++)
			;
		if (i == at + nr)
			return at;
	}
	return size;
}

/* The place to try after the run at @at has failed: the first place behind the blocker. */
static unsigned long behind(
    const struct cma *cma, unsigned long at, unsigned long nr, const struct mm_fail *fail)
{
	pfn_t pfn = cma->start + at;

	/* Another operation works on the whole pageblock. */
	if (fail->why == WHY_ISOLATED)
		return ALIGN_DOWN(fail->pfn, PAGEBLOCK_PAGES) + PAGEBLOCK_PAGES - cma->start;
	return (fail->pfn >= pfn && fail->pfn < pfn + nr ? fail->pfn - cma->start : at) + 1;
}

static int alloc_run(struct cma *cma, unsigned long nr, unsigned align, pfn_t *out)
{
	unsigned long size = cma->end - cma->start, at = 0;
	u64 deadline = deadline_from_now(SEARCH_NS);
	int err = -ENOMEM;

	while ((at = find_run(cma, at, nr, align)) < size) {
		pfn_t pfn = cma->start + at;
		struct mm_fail fail = {.pfn = pfn};

		KASSERT(!(pfn & ((1UL << align) - 1)) && pfn + nr <= cma->end);
		err = alloc_contig_range(cma->mem, pfn, pfn + nr, MT_CMA, &fail);
		if (!err) {
			mark_used(cma, at, nr, true);
			*out = pfn;
		}
		/* A pageblock that went offline since the check is a blocker, too. */
		if (err == -EINVAL)
			err = -EBUSY;
		if (err != -EBUSY || deadline_past(deadline))
			return err;
		at = behind(cma, at, nr, &fail);
	}
	return err;
}

int cma_alloc(struct cma *cma, unsigned long nr, unsigned align, struct page **out)
{
	pfn_t pfn = PFN_NONE;
	int err;

	if (nr == 0 || nr > cma->end - cma->start || align > SECTION_ORDER)
		return -EINVAL;
	if (!may_sleep())
		return -EDEADLK;
	mutex_lock(&cma->lock);
	err = cma->used ? alloc_run(cma, nr, align, &pfn) : -EINVAL;
	mutex_unlock(&cma->lock);
	if (!err)
		*out = pfn_to_page_in(cma->mem, pfn);
	return err;
}

int cma_free(struct cma *cma, const struct page *page, unsigned long nr)
{
	pfn_t pfn = page_to_pfn_in(cma->mem, page);
	unsigned long at, i;
	int err, refused = 0;

	if (nr == 0 || pfn < cma->start || pfn >= cma->end || nr > cma->end - pfn)
		return -EINVAL;
	at = pfn - cma->start;
	mutex_lock(&cma->lock);
	err = cma->used ? 0 : -EINVAL;
	for (i = at; i < at + nr && !err; i++)
		err = is_used(cma, i) ? 0 : -EINVAL;
	/* A page that is still referenced stays its user's. */
	for (i = at; i < at + nr && !err; i++) {
		if (mem_free_pages(cma->mem, pfn_to_page_in(cma->mem, cma->start + i), 0))
			refused = -EBUSY;
		else
			mark_used(cma, i, 1, false);
	}
	mutex_unlock(&cma->lock);
	return err ? err : refused;
}

struct cma_use cma_count(const struct cma *cma)
{
	struct cma_use use = {.users = READ_ONCE(cma->nr_used)};
	unsigned long online = 0, free = 0;
	pfn_t pfn;

	if (!READ_ONCE(cma->used))
		return use;
	for (pfn = cma->start; pfn < cma->end; pfn += PAGEBLOCK_PAGES) {
		if (block_serves(cma, pfn)) {
			online += PAGEBLOCK_PAGES;
			free += READ_ONCE(pageblock_of(cma->mem, pfn)->nr_free);
		} else if (zone_owns_block(cma->zone, pfn)) {
			use.offline += PAGEBLOCK_PAGES;
		} else {
			use.gone += PAGEBLOCK_PAGES;
		}
	}
	/* The counts are from different moments; no difference may become negative. */
	use.users = MIN(use.users, online);
	use.free = MIN(free, online - use.users);
	use.lent = online - use.users - use.free;
	return use;
}
