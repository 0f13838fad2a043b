/* SPDX-License-Identifier: MIT */
/*
 * virtio_balloon.c: pages lent to the host, statistics for it, and free memory that it may drop.
 *
 * Owns:       pages in state BALLOON, linked by their next and prev.
 * Locks:      balloon->lock, a mutex, for those pages and for the queues that report them: a
 *             migrator needs both.
 *             The balloon's thread holds the lock as long as it waits for the device; a migrator
 *             holds the lock for a few times MOVE_WAIT_NS.  Nothing is allocated under the lock: an
 *             allocation may wait for a thread that moves balloon pages.
 *             Statistics belong to the balloon's thread, reports to a thread of their own.
 * Invariants: the host is told before a page is lent, and before a page is used again.  A page
 *             whose request has no answer stays out of use until the device has been reset.  The
 *             thread that finds the device broken resets it before it releases any page; then the
 *             balloon's thread takes back all pages.
 * Tests:      balloon, tests/qemu/test_virtio.py.
 *
 * Virtio 1.2, 5.5.
 */
#include "drivers/virtio_balloon.h"

#include <quarry/lock.h>
#include <quarry/page_report.h>

/* The longest wait of a migrator, which may have a deadline: for the lock, for each answer. */
#define MOVE_WAIT_NS 50000000ULL

#define HAS(features, bit) ((features) >> (bit)&1)

BUILD_ASSERT(
    BALLOON_BATCH * sizeof(u32) + VIRTIO_BALLOON_S_NR * sizeof(struct virtio_balloon_stat) <=
    PAGE_SIZE);
BUILD_ASSERT(VIRTIO_BALLOON_PFN_SHIFT == PAGE_SHIFT);

/* ---- the list of pages; under the lock ---- */

static void link_page(struct virtio_balloon *b, pfn_t pfn) REQUIRES(b->lock)
{
	struct page *page = pfn_to_page_in(b->mem, pfn);

	page->prev = (u32)PFN_NONE;
	page->next = b->first;
	if (b->first != PFN_NONE)
		pfn_to_page_in(b->mem, b->first)->prev = (u32)pfn;
	b->first = (u32)pfn;
	WRITE_ONCE(b->nr, b->nr + 1);
}

static void unlink_page(struct virtio_balloon *b, pfn_t pfn) REQUIRES(b->lock)
{
	struct page *page = pfn_to_page_in(b->mem, pfn);

	if (page->prev == PFN_NONE)
		b->first = page->next;
	else
		pfn_to_page_in(b->mem, page->prev)->next = page->next;
	if (page->next != PFN_NONE)
		pfn_to_page_in(b->mem, page->next)->prev = page->prev;
	WRITE_ONCE(b->nr, b->nr - 1);
}

/* ---- telling the host; under the lock ---- */

static phys_t dma_phys(const struct virtio_balloon *b, const void *at)
{
	return ((phys_t)page_to_pfn_in(&kernel_memory, b->dma) << PAGE_SHIFT) +
	    ((uintptr_t)at - (uintptr_t)page_address(b->dma));
}

static bool is_broken(const struct virtio_balloon *b)
{
	return load_acquire(&b->broken);
}

int balloon_reset(struct virtio_balloon *b)
{
	virtio_reset(b->dev);
	store_release(&b->broken, 1u);
	wake_up(&b->dev->wq);
	return -EIO;
}

/* The device has returned the outstanding buffer: release the page that waited for it, if any. */
static void is_answered(struct virtio_balloon *b) REQUIRES(b->lock)
{
	pfn_t pfn = b->late_pfn;

	b->late = NULL;
	WRITE_ONCE(b->slow, 0u);
	if (pfn == PFN_NONE)
		return;
	unlink_page(b, pfn);
	page_release_movable(b->mem, pfn_to_page_in(b->mem, pfn));
}

/*
 * Wait until no buffer is outstanding, for @ns at most; the balloon's thread waits for a later
 * answer.  Returns 0: pfns[] may be written; -EAGAIN no answer yet; -EIO the device is broken.
 */
static int await(struct virtio_balloon *b, u64 ns) REQUIRES(b->lock)
{
	long len;

	if (is_broken(b))
		return -EIO;
	if (!b->late)
		return 0;
	len = virtqueue_wait(b->late, MIN(ns, MOVE_WAIT_NS));
	if (len == -EAGAIN) {
		store_release(&b->slow, 1u);
		if (ns <= MOVE_WAIT_NS)
			return -EAGAIN;
		len = virtqueue_wait(b->late, ns - MOVE_WAIT_NS);
	}
	if (len < 0)
		return balloon_reset(b);
	is_answered(b);
	return 0;
}

/* The longest time that a device may take. */
static u64 longest(const struct virtio_balloon *b)
{
	return VIRTIO_PATIENCES * b->dev->patience_ns;
}

/*
 * Report the first @nr of pfns[] to the host, with no buffer outstanding, and wait for the answer,
 * for @ns at most.  When the answer comes, page @then is released, unless it is PFN_NONE.  0;
 * -EAGAIN no answer yet; -EIO the device is broken.
 */
static int balloon_tell(struct virtio_balloon *b, struct virtqueue *q, unsigned nr, pfn_t then,
    u64 ns) REQUIRES(b->lock)
{
	struct virtio_buf buf = {dma_phys(b, b->pfns), nr * (u32)sizeof(u32)};

	if (virtqueue_add(q, &buf, 1, 0, b))
		return balloon_reset(b);
	b->late = q;
	b->late_pfn = then;
	virtqueue_notify(q);
	return await(b, ns);
}

/* ---- moving a page: another page is lent in its place ---- */

static int balloon_isolate(struct memory *mem, struct page *page)
{
	return 0;
}

static bool balloon_putback(struct memory *mem, struct page *page)
{
	return true;
}

/*
 * Lend @dst in place of @src.  @src is reported first: if the host does not answer, @src stays
 * lent, and @dst has not been reported.  0; -ENOENT @src is not lent any more; -EAGAIN no answer
 * yet; -EBUSY the device is broken: all pages will be taken back.
 */
static int lend_instead(struct virtio_balloon *b, struct page *dst, struct page *src)
    REQUIRES(b->lock)
{
	pfn_t from = page_to_pfn_in(b->mem, src), to = page_to_pfn_in(b->mem, dst);
	int err = await(b, MOVE_WAIT_NS);

	if (src->owner != &b->owner)
		return -ENOENT; /* @src was taken back meanwhile */
	if (!err) {
		b->pfns[0] = (u32)from;
		err = balloon_tell(b, &b->deflate, 1, from, MOVE_WAIT_NS);
	}
	if (err)
		return err == -EAGAIN ? err : -EBUSY;
	if (!page_make_movable(b->mem, dst, &b->owner, 0))
		return -ENOENT;
	b->pfns[0] = (u32)to;
	/* Whether the answer is late or a reset replaces it: the page is lent until taken back. */
	balloon_tell(b, &b->inflate, 1, PFN_NONE, MOVE_WAIT_NS);
	link_page(b, to);
	counter_add(&b->moved, 1u);
	return 0;
}

/*
 * Only the balloon's thread waits for a slow device: a migrator may have a deadline, and many pages
 * to move.
 */
static int balloon_migrate(struct movable_owner *owner, struct memory *mem, struct page *dst,
    struct page *src) NO_LOCK_ANALYSIS
{
	struct virtio_balloon *b = container_of(owner, struct virtio_balloon, owner);
	unsigned long nr;
	int err;

	if (load_acquire(&b->slow) || !mutex_lock_unless(&b->lock, NULL, MOVE_WAIT_NS))
		return -EAGAIN;
	nr = b->nr;
	err = lend_instead(b, dst, src);
	/* A page was taken back, late or for a @dst that broke: the thread lends another one. */
	if (b->nr < nr)
		store_release(&b->dev->config_changed, 1u);
	mutex_unlock(&b->lock);
	if (READ_ONCE(b->slow) || READ_ONCE(b->dev->config_changed))
		wake_up(&b->dev->wq);
	return err;
}

static const struct movable_ops balloon_ops = {
    .isolate = balloon_isolate,
    .migrate = balloon_migrate,
    .putback = balloon_putback,
    .balloon = true,
};

/* ---- lending and taking back ---- */

/* Lend up to @nr pages. */
static int inflate(struct virtio_balloon *b, unsigned long nr)
{
	struct page *pages[BALLOON_BATCH];
	unsigned got, i, lent = 0;
	int err;

	for (got = 0; got < MIN(nr, (unsigned long)BALLOON_BATCH); got++) {
		pages[got] = mem_alloc_pages(b->mem, GFP_MOVABLE | GFP_NORETRY, 0);
		if (!pages[got])
			break;
	}
	if (!got)
		return -ENOMEM;
	mutex_lock(&b->lock);
	err = await(b, longest(b));
	for (i = 0; i < got; i++) {
		if (!err && page_make_movable(b->mem, pages[i], &b->owner, 0)) {
			b->pfns[lent] = (u32)page_to_pfn_in(b->mem, pages[i]);
			pages[lent++] = pages[i];
		} else {
			mem_free_pages(b->mem, pages[i], 0);
		}
	}
	if (!err && lent)
		err = balloon_tell(b, &b->inflate, lent, PFN_NONE, longest(b));
	for (i = 0; i < lent; i++) {
		if (err)
			page_release_movable(b->mem, pages[i]);
		else
			link_page(b, page_to_pfn_in(b->mem, pages[i]));
	}
	mutex_unlock(&b->lock);
	return err;
}

/* Release the first @nr pages of the list; returns @nr.  Under the lock. */
static unsigned release(struct virtio_balloon *b, unsigned nr) REQUIRES(b->lock)
{
	unsigned i;

	for (i = 0; i < nr; i++) {
		pfn_t pfn = b->first;

		unlink_page(b, pfn);
		page_release_movable(b->mem, pfn_to_page_in(b->mem, pfn));
	}
	return nr;
}

/* Take back up to @nr pages; the host is told before the pages are used. */
static int deflate(struct virtio_balloon *b, unsigned long nr)
{
	unsigned n = (unsigned)MIN(nr, (unsigned long)BALLOON_BATCH), i;
	pfn_t pfn;
	int err;

	mutex_lock(&b->lock);
	err = await(b, longest(b));
	/* The answer to an outstanding buffer may have released a page. */
	n = (unsigned)MIN((unsigned long)n, b->nr);
	for (i = 0, pfn = b->first; !err && i < n; i++, pfn = pfn_to_page_in(b->mem, pfn)->next)
		b->pfns[i] = (u32)pfn;
	if (!err && n)
		err = balloon_tell(b, &b->deflate, n, PFN_NONE, longest(b));
	if (!err)
		release(b, n);
	mutex_unlock(&b->lock);
	return err;
}

static int read_want(struct virtio_balloon *b)
{
	static const struct virtio_field fields[] = {
	    VIRTIO_FIELD(struct virtio_balloon_config, num_pages)};
	struct virtio_balloon_config config;
	int err;

	/*
	 * Clear the flag before the read: a later change is seen by this read, or sets the flag
	 * again.
	 */
	store_release(&b->dev->config_changed, 0u);
	full_barrier();
	err = virtio_read_config(b->dev, fields, ARRAY_SIZE(fields), &config);
	if (!err)
		b->want = config.num_pages;
	return err;
}

/*
 * The number of pages lent, while no buffer is outstanding: the answer to a buffer may release a
 * page.
 */
static int count_lent(struct virtio_balloon *b, unsigned long *nr)
{
	int err;

	mutex_lock(&b->lock);
	err = await(b, longest(b));
	*nr = b->nr;
	mutex_unlock(&b->lock);
	return err;
}

int balloon_follow(struct virtio_balloon *b)
{
	int err = read_want(b), gone;
	unsigned long nr;

	gone = count_lent(b, &nr);
	while (!err && !gone && nr != b->want) {
		err = nr < b->want ? inflate(b, b->want - nr) : deflate(b, nr - b->want);
		gone = count_lent(b, &nr);
		b->dev->ops->write(
		    b->dev, offsetof(struct virtio_balloon_config, actual), 4, (u32)nr);
		if (!err && READ_ONCE(b->dev->config_changed))
			err = read_want(b);
	}
	return err ? err : gone;
}

/* ---- statistics (5.5.6.3) ---- */

static void fill_stats(struct virtio_balloon *b)
{
	unsigned long free = memory_free_pages(b->mem), evictable = 0;
	unsigned i;

	for (i = 0; i < b->mem->nr_nodes * NR_ZONE_KINDS; i++)
		evictable += READ_ONCE(b->mem->zones[i].lru[LRU_INACTIVE].nr) +
		    READ_ONCE(b->mem->zones[i].lru[LRU_ACTIVE].nr);
	b->stat[0] =
	    (struct virtio_balloon_stat){VIRTIO_BALLOON_S_MEMFREE, (u64)free << PAGE_SHIFT};
	b->stat[1] = (struct virtio_balloon_stat){VIRTIO_BALLOON_S_MEMTOT,
	    (u64)(memory_managed_pages(b->mem) - READ_ONCE(b->nr)) << PAGE_SHIFT};
	b->stat[2] = (struct virtio_balloon_stat){
	    VIRTIO_BALLOON_S_AVAIL, (u64)(free + evictable) << PAGE_SHIFT};
	b->stat[3] =
	    (struct virtio_balloon_stat){VIRTIO_BALLOON_S_CACHES, (u64)evictable << PAGE_SHIFT};
	b->stat[4] =
	    (struct virtio_balloon_stat){VIRTIO_BALLOON_S_MINFLT, mm_event_sum(b->mem, EV_FAULTS)};
}
#define NR_STATS 5

static int offer_stats(struct virtio_balloon *b)
{
	struct virtio_buf buf = {dma_phys(b, b->stat), NR_STATS * (u32)sizeof(b->stat[0])};
	int err;

	fill_stats(b);
	err = virtqueue_add(&b->stats, &buf, 1, 0, b);
	if (!err)
		virtqueue_notify(&b->stats);
	return err;
}

int balloon_serve_stats(struct virtio_balloon *b)
{
	u32 len;

	if (is_broken(b))
		return -EIO;
	if (!b->has_stats)
		return 0;
	if (virtqueue_take(&b->stats, &len)) {
		counter_add(&b->asked, 1u);
		return offer_stats(b);
	}
	return b->stats.broken ? balloon_reset(b) : 0;
}

/* ---- free page reporting (5.5.6.7) ---- */

int balloon_report(struct virtio_balloon *b)
{
	unsigned max = MIN(b->report.size, (unsigned)BALLOON_REPORT), nr, i;
	struct virtio_buf bufs[BALLOON_REPORT];
	struct report_walk walk = {0};
	pfn_t blocks[BALLOON_REPORT];

	while ((nr = take_unreported(b->mem, &walk, blocks, max))) {
		int err;

		for (i = 0; i < nr; i++)
			bufs[i] = (struct virtio_buf){
			    (phys_t)blocks[i] << PAGE_SHIFT, (u32)(PAGEBLOCK_PAGES << PAGE_SHIFT)};
		/*
		 * A device that has not answered may drop the pages at any time, until it is reset.
		 */
		err = is_broken(b) ? -EIO : 0;
		if (!err && virtqueue_call(&b->report, bufs, 0, nr) < 0)
			err = balloon_reset(b);
		give_reported(b->mem, blocks, nr, !err);
		if (err)
			return err;
		counter_add(&b->reported, nr);
	}
	return 0;
}

/* ---- opening and closing ---- */

static int start_queues(struct virtio_balloon *b, u64 offered)
{
	unsigned next = 2;
	int err = virtqueue_start(&b->inflate, b->dev, 0);

	err = err ? err : virtqueue_start(&b->deflate, b->dev, 1);
	/* A queue's number depends on the optional queues before it that the device offers. */
	if (!err && HAS(offered, VIRTIO_BALLOON_F_STATS_VQ))
		err = virtqueue_start(&b->stats, b->dev, next++);
	if (HAS(offered, VIRTIO_BALLOON_F_FREE_PAGE_HINT))
		next++;
	if (!err && b->has_report)
		err = virtqueue_start(&b->report, b->dev, next);
	return err;
}

static void free_all(struct virtio_balloon *b)
{
	virtqueue_free(&b->inflate);
	virtqueue_free(&b->deflate);
	virtqueue_free(&b->stats);
	virtqueue_free(&b->report);
	if (b->dma)
		free_pages(b->dma, 0);
	b->dma = NULL;
}

int balloon_open(struct virtio_balloon *b, struct virtio_device *dev, struct memory *mem)
{
	u64 want = 1ULL << VIRTIO_BALLOON_F_MUST_TELL_HOST | 1ULL << VIRTIO_BALLOON_F_STATS_VQ |
	    1ULL << VIRTIO_BALLOON_F_REPORTING;
	int err = virtio_begin(dev, want);

	*b = (struct virtio_balloon){.owner = {.ops = &balloon_ops},
	    .dev = dev,
	    .mem = mem,
	    .first = (u32)PFN_NONE,
	    .late_pfn = PFN_NONE};
	b->lock = MUTEX("balloon");
	if (err)
		return err;
	b->has_stats = HAS(dev->features, VIRTIO_BALLOON_F_STATS_VQ);
	b->has_report = HAS(dev->features, VIRTIO_BALLOON_F_REPORTING);
	err = start_queues(b, dev->offered);
	b->dma = err ? NULL : alloc_pages(GFP_KERNEL, 0);
	if (!b->dma) {
		virtio_reset(dev);
		free_all(b);
		return err ? err : -ENOMEM;
	}
	b->pfns = page_address(b->dma);
	b->stat = (struct virtio_balloon_stat *)(void *)(b->pfns + BALLOON_BATCH);
	virtio_ready(dev);
	return b->has_stats ? offer_stats(b) : 0;
}

void balloon_take_all(struct virtio_balloon *b)
{
	mutex_lock(&b->lock);
	b->late = NULL;
	WRITE_ONCE(b->slow, 0u);
	release(b, (unsigned)b->nr);
	mutex_unlock(&b->lock);
}

void balloon_close(struct virtio_balloon *b)
{
	virtio_reset(b->dev);
	balloon_take_all(b);
	movable_owner_drain(&b->owner);
	free_all(b);
}

bool balloon_has_work(const struct virtio_balloon *b)
{
	return is_broken(b) || load_acquire(&b->slow) || load_acquire(&b->dev->config_changed) ||
	    (b->has_stats && virtqueue_pending(&b->stats));
}
