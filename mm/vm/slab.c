/* SPDX-License-Identifier: MIT */
/*
 * slab.c: small objects for the kernel's own use: power-of-two sizes, one free list per page.
 *
 * Owns:       pages in state SLAB; larger requests pass through to alloc_pages.
 * Locks:      one lock per size (RANK_SLAB); pages are allocated and freed with none of them held.
 * Invariants: struct slab's `used' counts a page's objects in use; a page with a free object is on
 *             the size's list; pages without objects in use go back to the allocator, except one
 *             for each size.
 * Tests:      slab, account, short, play_slab.
 */
#include "mm/core/event.h"
#include "mm/core/page.h"
#include <quarry/account.h>
#include <quarry/alloc_check.h>

#define MIN_SHIFT SLAB_MIN_SHIFT
#define MAX_SHIFT SLAB_MAX_SHIFT /* half a page; larger requests get whole blocks */
BUILD_ASSERT(MAX_SHIFT + 1 == PAGE_SHIFT);

/* At the start of each slab page; objects follow, aligned to their size. */
struct slab {
	/* on the list of its size; le_prev is NULL: all objects in use */
	LIST_ENTRY(slab) link GUARDED_BY(slab_class);
	void *free GUARDED_BY(slab_class); /* the first free object, which points to the next */
	u32 used GUARDED_BY(slab_class);   /* objects in use */
	u32 shift;
	/* A bit for each object in use, by its place in units of the smallest size. */
	u64 taken[PAGE_SIZE >> MIN_SHIFT >> 6] GUARDED_BY(slab_class);
};
#define SLAB_HEADER 64
BUILD_ASSERT(sizeof(struct slab) <= SLAB_HEADER);

struct slab_size {
	struct spinlock lock;
	LIST_HEAD(, slab) partial GUARDED_BY(slab_class); /* pages with a free object */
	unsigned nr_empty GUARDED_BY(slab_class); /* pages in partial with no object in use */
	u64 in_use GUARDED_BY(slab_class);        /* objects of this size in use */
};
static struct slab_size sizes[MAX_SHIFT + 1] = {
    [0 ... MAX_SHIFT] = {.lock = {.rank = RANK_SLAB, .name = "slab"}},
};
static u64 blocks_in_use; /* atomic: blocks for requests above the largest size */

static void slab_lock(struct slab_size *size) ACQUIRE(size->lock, slab_class) NO_LOCK_ANALYSIS
{
	spin_lock(&size->lock);
}

static void slab_unlock(struct slab_size *size) RELEASE(size->lock, slab_class) NO_LOCK_ANALYSIS
{
	spin_unlock(&size->lock);
}

static void slab_list_remove(struct slab *slab) REQUIRES(slab_class)
{
	KASSERT(*slab->link.le_prev == slab && spin_is_held(&sizes[slab->shift].lock));
	LIST_REMOVE(slab, link);
	slab->link.le_prev = NULL;
}

static struct slab *slab_new(unsigned shift)
{
	struct page *page;
	struct slab *slab;
	size_t at, first = MAX((size_t)1 << shift, (size_t)SLAB_HEADER);
	void *free = NULL;

	while ((page = alloc_pages(GFP_KERNEL, 0)) && !page_take_state(page, PG_SLAB))
		free_pages(page, 0);
	if (!page)
		return NULL;
	slab = page_address(page);
	for (at = first; at + ((size_t)1 << shift) <= PAGE_SIZE; at += (size_t)1 << shift) {
		void **object = (void **)((char *)slab + at);

		*object = free;
		free = object;
	}
	*slab = (struct slab){.free = free, .shift = shift};
	MM_EVENT(&kernel_memory, SLAB_PAGES);
	return slab;
}

/* The word of slab->taken with the bit of the object at @ptr; *@bit is that bit. */
static u64 *taken_word(struct slab *slab, const void *ptr, u64 *bit) REQUIRES(slab_class)
{
	unsigned long place = ((const char *)ptr - (const char *)slab) >> MIN_SHIFT;

	*bit = 1ULL << (place % 64);
	return &slab->taken[place / 64];
}

/* Take an object from the size's first listed page that is not broken; NULL: there is none. */
static void *take_object(struct slab_size *size) REQUIRES(size->lock, slab_class)
{
	struct slab *slab;
	u64 *word, bit;
	void **object;

	CHECKED_ASSERT(spin_is_held(&size->lock));
	LIST_FOREACH(slab, &size->partial, link)
		if (likely(!page_poisoned(virt_to_page(slab))))
			break;
	if (!slab)
		return NULL;
	CHECKED_ASSERT(slab->used > 0 || size->nr_empty > 0);
	if (slab->used++ == 0)
		size->nr_empty--;
	size->in_use++;
	object = slab->free;
	CHECKED_ASSERT((uintptr_t)object - (uintptr_t)slab - SLAB_HEADER < PAGE_SIZE - SLAB_HEADER);
	slab->free = *object;
	word = taken_word(slab, object, &bit);
	*word |= bit;
	if (!slab->free)
		slab_list_remove(slab);
	return object;
}

static void *alloc_small(unsigned shift)
{
	struct slab_size *size = &sizes[shift];
	struct slab *fresh;
	void *object;

	slab_lock(size);
	object = take_object(size);
	slab_unlock(size);
	/* No lock is held here, since slab_new may sleep.  Again, if the new page has broken. */
	while (!object && (fresh = slab_new(shift))) {
		slab_lock(size);
		LIST_INSERT_HEAD(&size->partial, fresh, link);
		size->nr_empty++;
		object = take_object(size);
		slab_unlock(size);
	}
	return object;
}

void *kmalloc(size_t size)
{
	unsigned shift = MIN_SHIFT;
	void *object;

	if (size == 0 || size > PAGE_SIZE << MAX_ORDER)
		return NULL;
	while ((size_t)1 << shift < size)
		shift++;
	if (shift > MAX_SHIFT) {
		struct page *page = alloc_pages(GFP_KERNEL | GFP_ZERO, shift - PAGE_SHIFT);

		if (page)
			atomic_add(&blocks_in_use, 1ull);
		return page ? page_address(page) : NULL;
	}
	object = alloc_small(shift);
	if (object)
		memset(object, 0, (size_t)1 << shift);
	return object;
}

static void __attribute__((noreturn, cold))
bad_kfree(const struct page *page, void *ptr, const char *why)
{
	panic_blame(&kernel_memory, page);
	panic("kfree(%p): %s", ptr, why);
}

/* Free a slab page that is on no list. */
static void release_slab(struct slab *slab)
{
	struct page *page = virt_to_page(slab);

	PAGE_ASSERT(&kernel_memory, page, !READ_ONCE(slab->used) && !READ_ONCE(slab->link.le_prev));
	page_cas_state(page, PG_SLAB, PG_ALLOC);
	free_pages(page, 0);
}

static void free_small(struct page *page, void *ptr)
{
	struct slab *slab = page_address(page);
	struct slab_size *size = &sizes[slab->shift];
	bool release = false;
	u64 *word, bit;

	slab_lock(size);
	/* Objects are aligned to their full size and follow the header. */
	if (slab->used == 0 || ((uintptr_t)ptr & ((1UL << slab->shift) - 1)) ||
	    (char *)ptr < (char *)slab + SLAB_HEADER)
		bad_kfree(page, ptr, "not an object of its slab");
	word = taken_word(slab, ptr, &bit);
	if (!(*word & bit))
		bad_kfree(page, ptr, "freed twice");
	*word &= ~bit;
	free_check(ptr, (size_t)1 << slab->shift);
	CHECKED_ASSERT(size->in_use >= slab->used);
	size->in_use--;
	*(void **)ptr = slab->free;
	slab->free = ptr;
	if (!slab->link.le_prev)
		LIST_INSERT_HEAD(&size->partial, slab, link);
	/* A broken page is not kept: its free retires it. */
	if (--slab->used == 0 && (size->nr_empty++ > 0 || page_poisoned(page))) {
		size->nr_empty--;
		slab_list_remove(slab);
		release = true;
	}
	slab_unlock(size);
	if (release)
		release_slab(slab);
}

void kfree(void *ptr)
{
	struct page *page = virt_to_page(ptr);
	u32 word;

	if (!ptr)
		return;
	if (!pfn_valid_in(&kernel_memory, virt_to_pfn(ptr)))
		panic("kfree(%p): not memory of the kernel", ptr);
	word = page_word(page);
	if (word_state(word) == PG_SLAB) {
		free_small(page, ptr);
	} else if (word_state(word) == PG_ALLOC && !((uintptr_t)ptr & (PAGE_SIZE - 1))) {
		atomic_sub(&blocks_in_use, 1ull);
		free_pages(page, word_order(word));
	} else {
		bad_kfree(page, ptr, "its page is no slab's, and not allocated");
	}
}

void kmalloc_counts(u64 in_use[NR_SLAB_COUNTS])
{
	unsigned shift;

	for (shift = MIN_SHIFT; shift <= MAX_SHIFT; shift++) {
		slab_lock(&sizes[shift]);
		in_use[shift - MIN_SHIFT] = sizes[shift].in_use;
		slab_unlock(&sizes[shift]);
	}
	in_use[shift - MIN_SHIFT] = READ_ONCE(blocks_in_use);
}

/* Take a page without objects in use off its size's list; NULL: there is none. */
static struct slab *take_empty(struct slab_size *size)
{
	struct slab *slab;

	slab_lock(size);
	LIST_FOREACH(slab, &size->partial, link) {
		if (slab->used)
			continue;
		KASSERT(size->nr_empty > 0);
		size->nr_empty--;
		slab_list_remove(slab);
		break;
	}
	slab_unlock(size);
	return slab;
}

void kmalloc_trim(void)
{
	unsigned shift;
	struct slab *slab;

	for (shift = MIN_SHIFT; shift <= MAX_SHIFT; shift++) {
		while ((slab = take_empty(&sizes[shift])))
			release_slab(slab);
	}
}
