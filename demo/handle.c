/* SPDX-License-Identifier: MIT */
/*
 * handle.c: movable objects behind handles, the example owner of struct movable_ops.
 *
 * Owns:       struct handle_table, and the content of its objects' pages.
 * Locks:      each handle's lock (RANK_OBJECT) for its page pointer and for each access to the
 *             content; the zone's lru lock, inside a handle's lock, where a page enters or leaves
 *             the table.
 * Invariants: a handle's page is MOVABLE_OPS, or ISO_MIG while a migrator has it; its content
 *             matches the handle's checksum whenever the lock is free.
 * Tests:      handle, handle_exact, migrate, held, tests/qemu/test_monitor.py.
 */
#include <quarry/handle.h>

#include <quarry/mm.h>
#include <quarry/sched_point.h>

static void handle_lock(struct handle *h) ACQUIRE(h->lock, object_class) NO_LOCK_ANALYSIS
{
	spin_lock(&h->lock);
}

static void handle_unlock(struct handle *h) RELEASE(h->lock, object_class) NO_LOCK_ANALYSIS
{
	spin_unlock(&h->lock);
}

/* Number of words in an object of order @order. */
static size_t object_words(unsigned order)
{
	return (PAGE_SIZE << order) / sizeof(u64);
}

/* The checksum of a block; it depends on the order of words and on each bit. */
static u64 block_checksum(struct memory *mem, const struct page *page, unsigned order)
{
	const u64 *p = page_address_in(mem, page);
	u64 sum = 0x9e3779b97f4a7c15ULL;
	size_t i;

	for (i = 0; i < object_words(order); i++)
		sum = (sum << 5 | sum >> 59) ^ (p[i] * 0xff51afd7ed558ccdULL);
	return sum;
}

/* Fill a block with words that depend on seed and place; returns their checksum. */
static u64 block_fill(struct memory *mem, struct page *page, unsigned order, u64 seed)
{
	u64 *p = page_address_in(mem, page);
	size_t i;

	for (i = 0; i < object_words(order); i++)
		p[i] = (seed + i) * 0x9e3779b97f4a7c15ULL;
	return block_checksum(mem, page, order);
}

static int verify(struct handle_table *t, const struct handle *h) REQUIRES(h->lock, object_class)
{
	if (!t->mem->backed ||
	    block_checksum(t->mem, h->page, word_order(page_word(h->page))) == h->checksum)
		return 0;
	counter_add(&t->corrupt, 1u);
	return -EUCLEAN;
}

static int handle_isolate(struct memory *mem, struct page *page)
{
	return 0;
}

static bool handle_putback(struct memory *mem, struct page *page)
{
	return true;
}

static int handle_migrate(
    struct movable_owner *owner, struct memory *mem, struct page *dst, struct page *src)
{
	struct handle_table *t = container_of(owner, struct handle_table, owner);
	struct handle *h = &t->handles[src->index];
	unsigned order = word_order(page_word(src));
	int err = 0;

	handle_lock(h);
	if (h->page != src) {
		err = -ENOENT;
	} else if (READ_ONCE(src->pincount)) {
		err = -EBUSY;
	} else if (word_ref(page_word(src)) != 2) {
		err = -EAGAIN; /* the third reference is a pin that is being dropped */
	} else {
		verify(t, h);
		if (mem->backed)
			memcpy(page_address_in(mem, dst), page_address_in(mem, src),
			    PAGE_SIZE << order);
		sched_point("mig.copied");
		err = page_make_movable(mem, dst, owner, src->index) ? 0 : -EAGAIN;
	}
	if (!err) {
		h->page = dst;
		h->moves++;
		counter_add(&t->moved, 1);
		page_release_movable(mem, src);
	}
	handle_unlock(h);
	return err;
}

static const struct movable_ops handle_ops = {
    .isolate = handle_isolate,
    .migrate = handle_migrate,
    .putback = handle_putback,
};

void handle_table_init(struct handle_table *t, struct memory *mem, struct handle *handles, u32 nr)
{
	u32 i;

	*t = (struct handle_table){
	    .owner.ops = &handle_ops, .mem = mem, .handles = handles, .nr = nr};
	for (i = 0; i < nr; i++)
		handles[i] = (struct handle){.lock = SPINLOCK("handle", RANK_OBJECT)};
}

/*
 * The page is made movable before it is filled, under the lock that a migrator needs too.  Before
 * it is movable it can be neither moved nor freed, and an offline would have to wait for it.
 */
int handle_alloc(struct handle_table *t, u32 h, unsigned order, gfp_t gfp, u64 seed)
{
	struct handle *handle;
	struct page *page;
	int err = -EBUSY;

	if (h >= t->nr || order > 3)
		return -EINVAL;
	handle = &t->handles[h];
	page = mem_alloc_pages(t->mem, gfp | GFP_MOVABLE, order);
	if (!page)
		return -ENOMEM;
	sched_point("own.page");
	handle_lock(handle);
	/* A page that broke since its allocation is freed, and the caller may try again. */
	if (!handle->page && page_make_movable(t->mem, page, &t->owner, h)) {
		handle->page = page;
		handle->moves = 0;
		handle->checksum = t->mem->backed ? block_fill(t->mem, page, order, seed) : 0;
		err = 0;
	}
	handle_unlock(handle);
	if (err)
		mem_free_pages(t->mem, page, order);
	return err;
}

int handle_free(struct handle_table *t, u32 h)
{
	struct page *page;
	int err = -EINVAL;

	if (h >= t->nr)
		return -EINVAL;
	handle_lock(&t->handles[h]);
	page = t->handles[h].page;
	if (page && READ_ONCE(page->pincount)) {
		err = -EBUSY;
	} else if (page) {
		err = verify(t, &t->handles[h]);
		t->handles[h].page = NULL;
		page_release_movable(t->mem, page);
	}
	handle_unlock(&t->handles[h]);
	return err;
}

int handle_write(struct handle_table *t, u32 h, u64 seed)
{
	struct handle *handle;
	int err = -EINVAL;

	if (h >= t->nr)
		return -EINVAL;
	handle = &t->handles[h];
	handle_lock(handle);
	if (handle->page) {
		err = verify(t, handle);
		if (t->mem->backed)
			handle->checksum = block_fill(
			    t->mem, handle->page, word_order(page_word(handle->page)), seed);
	}
	handle_unlock(handle);
	return err;
}

int handle_verify(struct handle_table *t, u32 h)
{
	int err = -EINVAL;

	if (h >= t->nr)
		return -EINVAL;
	handle_lock(&t->handles[h]);
	if (t->handles[h].page)
		err = verify(t, &t->handles[h]);
	handle_unlock(&t->handles[h]);
	return err;
}

int handle_pin(struct handle_table *t, u32 h)
{
	int err = -EINVAL;

	if (h >= t->nr)
		return -EINVAL;
	handle_lock(&t->handles[h]);
	if (t->handles[h].page)
		err = pin_page(t->handles[h].page);
	handle_unlock(&t->handles[h]);
	return err;
}

int handle_unpin(struct handle_table *t, u32 h)
{
	int err = -EINVAL;

	if (h >= t->nr)
		return -EINVAL;
	handle_lock(&t->handles[h]);
	if (t->handles[h].page && READ_ONCE(t->handles[h].page->pincount)) {
		mem_unpin_page(t->mem, t->handles[h].page);
		err = 0;
	}
	handle_unlock(&t->handles[h]);
	return err;
}

pfn_t handle_pfn(struct handle_table *t, u32 h)
{
	pfn_t pfn = PFN_NONE;

	if (h >= t->nr)
		return PFN_NONE;
	handle_lock(&t->handles[h]);
	if (t->handles[h].page)
		pfn = page_to_pfn_in(t->mem, t->handles[h].page);
	handle_unlock(&t->handles[h]);
	return pfn;
}
