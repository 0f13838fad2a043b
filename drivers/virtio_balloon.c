/* SPDX-License-Identifier: MIT */
/*
 * virtio_balloon.c: pages lent to the host, statistics for it, and free memory that it may drop.
 *
 * Owns:       pages in state BALLOON, linked by their next and prev.
 * Locks:      balloon->lock, a mutex, for them and for the queues that tell of them: a migrator needs both.
 *             Nothing is allocated under it: an allocation may wait for a thread that moves our pages.
 *             Statistics belong to the balloon's thread, reports to a thread of their own.
 * Invariants: the host is told before a page is lent, and before one is used again.  What the device has
 *             not answered stays out of use until the device has been reset.  Who finds it broken resets it,
 *             before he lets go of anything, and has the balloon's thread take back all pages.
 * Tests:      tests/test_balloon.c, tests/qemu/test_balloon.py.
 *
 * Virtio 1.2, 5.5.
 */
#include "drivers/virtio_balloon.h"

#include <quarry/page_report.h>

/* Between two attempts to find pages for the host; between two looks for free memory to report. */
#define RETRY_NS  1000000000ULL
#define REPORT_NS 500000000ULL

#define HAS(features, bit) ((features) >> (bit) & 1)

BUILD_ASSERT(BALLOON_BATCH * sizeof(u32) + VIRTIO_BALLOON_S_NR * sizeof(struct virtio_balloon_stat) <=
    PAGE_SIZE);
BUILD_ASSERT(VIRTIO_BALLOON_PFN_SHIFT == PAGE_SHIFT);

static struct virtio_balloon *balloon; /* the kernel's own; NULL: none */

/* ---- the list of pages; under the lock ---- */

static void link_page(struct virtio_balloon *b, pfn_t pfn)
{
	struct page *page = pfn_to_page_in(b->mem, pfn);

	page->prev = (u32)PFN_NONE;
	page->next = b->first;
	if (b->first != PFN_NONE)
		pfn_to_page_in(b->mem, b->first)->prev = (u32)pfn;
	b->first = (u32)pfn;
	WRITE_ONCE(b->nr, b->nr + 1);
}

static void unlink_page(struct virtio_balloon *b, pfn_t pfn)
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

/* The device is broken: once it has been reset, all that it had is ours. */
static int give_up(struct virtio_balloon *b)
{
	virtio_reset(b->dev);
	store_release(&b->broken, 1u);
	wake_up(&b->dev->wq);
	return -EIO;
}

/* Hand over one buffer, and wait until it comes back.  0; -EIO: it is ours all the same. */
static int hand_over(struct virtio_balloon *b, struct virtqueue *q, const struct virtio_buf *bufs, unsigned out,
    unsigned in)
{
	if (is_broken(b))
		return -EIO;
	return virtqueue_call(q, bufs, out, in) < 0 ? give_up(b) : 0;
}

/* Tell of the first @nr of pfns[], and wait until the host knows. */
static int tell(struct virtio_balloon *b, struct virtqueue *q, unsigned nr)
{
	struct virtio_buf buf = {dma_phys(b, b->pfns), nr * (u32)sizeof(u32)};

	return hand_over(b, q, &buf, 1, 0);
}

/* ---- moving a page: another one is lent in its place ---- */

static int balloon_isolate(struct memory *mem, struct page *page)
{
	return 0;
}

static bool balloon_putback(struct memory *mem, struct page *page)
{
	return true;
}

static int balloon_migrate(struct movable_owner *owner, struct memory *mem, struct page *dst,
    struct page *src)
{
	struct virtio_balloon *b = container_of(owner, struct virtio_balloon, owner);
	pfn_t from = page_to_pfn_in(mem, src), to = page_to_pfn_in(mem, dst);
	int err = 0;

	mutex_lock(&b->lock);
	if (src->owner != owner) {
		err = -ENOENT; /* taken back meanwhile */
	} else {
		b->pfns[0] = (u32)to;
		if (tell(b, &b->inflate, 1))
			err = -EBUSY; /* the device is broken: all will be taken back */
	}
	if (!err) {
		page_make_movable(mem, dst, owner, 0);
		link_page(b, to);
		unlink_page(b, from);
		b->pfns[0] = (u32)from;
		/* Should that fail the device has been reset, and nothing is lent any more. */
		tell(b, &b->deflate, 1);
		page_release_movable(mem, src);
		counter_add(&b->moved, 1u);
	}
	mutex_unlock(&b->lock);
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
	unsigned got, i;
	int err;

	for (got = 0; got < MIN(nr, (unsigned long)BALLOON_BATCH); got++) {
		pages[got] = mem_alloc_pages(b->mem, GFP_MOVABLE | GFP_NORETRY, 0);
		if (!pages[got])
			break;
	}
	if (!got)
		return -ENOMEM;
	mutex_lock(&b->lock);
	for (i = 0; i < got; i++)
		b->pfns[i] = (u32)page_to_pfn_in(b->mem, pages[i]);
	err = tell(b, &b->inflate, got);
	for (i = 0; !err && i < got; i++) {
		page_make_movable(b->mem, pages[i], &b->owner, 0);
		link_page(b, page_to_pfn_in(b->mem, pages[i]));
	}
	mutex_unlock(&b->lock);
	for (i = 0; err && i < got; i++)
		mem_free_pages(b->mem, pages[i], 0);
	return err;
}

/* Let go of up to BALLOON_BATCH pages, the first of the list; returns how many.  Under the lock. */
static unsigned release(struct virtio_balloon *b, unsigned nr)
{
	unsigned i;

	for (i = 0; i < nr; i++) {
		pfn_t pfn = b->first;

		unlink_page(b, pfn);
		page_release_movable(b->mem, pfn_to_page_in(b->mem, pfn));
	}
	return nr;
}

/* Take back up to @nr pages: the host knows before anybody uses them. */
static int deflate(struct virtio_balloon *b, unsigned long nr)
{
	unsigned n = (unsigned)MIN(nr, (unsigned long)BALLOON_BATCH), i;
	pfn_t pfn;
	int err;

	mutex_lock(&b->lock);
	for (i = 0, pfn = b->first; i < n; i++, pfn = pfn_to_page_in(b->mem, pfn)->next)
		b->pfns[i] = (u32)pfn;
	err = tell(b, &b->deflate, n);
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

	/* First: what changes from here on is seen by the read, or the next time. */
	store_release(&b->dev->config_changed, 0u);
	full_barrier();
	err = virtio_read_config(b->dev, fields, ARRAY_SIZE(fields), &config);
	if (!err)
		b->want = config.num_pages;
	return err;
}

int balloon_follow(struct virtio_balloon *b)
{
	int err = read_want(b);

	while (!err && b->nr != b->want) {
		err = b->nr < b->want ? inflate(b, b->want - b->nr) : deflate(b, b->nr - b->want);
		b->dev->ops->write(b->dev, offsetof(struct virtio_balloon_config, actual), 4, (u32)b->nr);
		if (!err && READ_ONCE(b->dev->config_changed))
			err = read_want(b);
	}
	return err;
}

/* ---- statistics (5.5.6.3) ---- */

static void fill_stats(struct virtio_balloon *b)
{
	unsigned long free = memory_free_pages(b->mem), evictable = 0;
	unsigned i;

	for (i = 0; i < b->mem->nr_nodes * NR_ZONE_KINDS; i++)
		evictable += READ_ONCE(b->mem->zones[i].lru[LRU_INACTIVE].nr) +
		    READ_ONCE(b->mem->zones[i].lru[LRU_ACTIVE].nr);
	b->stat[0] = (struct virtio_balloon_stat){VIRTIO_BALLOON_S_MEMFREE, (u64)free << PAGE_SHIFT};
	b->stat[1] = (struct virtio_balloon_stat){VIRTIO_BALLOON_S_MEMTOT,
	    (u64)(memory_managed_pages(b->mem) - READ_ONCE(b->nr)) << PAGE_SHIFT};
	b->stat[2] = (struct virtio_balloon_stat){VIRTIO_BALLOON_S_AVAIL,
	    (u64)(free + evictable) << PAGE_SHIFT};
	b->stat[3] = (struct virtio_balloon_stat){VIRTIO_BALLOON_S_CACHES, (u64)evictable << PAGE_SHIFT};
	b->stat[4] = (struct virtio_balloon_stat){VIRTIO_BALLOON_S_MINFLT, mm_event_sum(b->mem, EV_FAULTS)};
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
	return b->stats.broken ? give_up(b) : 0;
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
			bufs[i] = (struct virtio_buf){(phys_t)blocks[i] << PAGE_SHIFT,
			    (u32)(PAGEBLOCK_PAGES << PAGE_SHIFT)};
		/* A device that has not answered may drop them at any time, until it is reset. */
		err = hand_over(b, &b->report, bufs, 0, nr);
		give_reported(b->mem, blocks, nr, !err);
		if (err)
			return err;
		counter_add(&b->reported, nr);
	}
	return 0;
}

/* ---- start and end ---- */

static int start_queues(struct virtio_balloon *b, u64 offered)
{
	unsigned next = 2;
	int err = virtqueue_start(&b->inflate, b->dev, 0);

	err = err ? err : virtqueue_start(&b->deflate, b->dev, 1);
	/* A queue's number depends on what is offered before it. */
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
	u64 offered, want = 1ULL << VIRTIO_BALLOON_F_MUST_TELL_HOST | 1ULL << VIRTIO_BALLOON_F_STATS_VQ |
	    1ULL << VIRTIO_BALLOON_F_REPORTING;
	int err = virtio_begin(dev, want);

	*b = (struct virtio_balloon){
	    .owner = {.ops = &balloon_ops}, .dev = dev, .mem = mem, .first = (u32)PFN_NONE};
	b->lock = MUTEX("balloon");
	if (err)
		return err;
	offered = dev->ops->features(dev);
	b->has_stats = HAS(dev->features, VIRTIO_BALLOON_F_STATS_VQ);
	b->has_report = HAS(dev->features, VIRTIO_BALLOON_F_REPORTING);
	err = start_queues(b, offered);
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

void balloon_close(struct virtio_balloon *b)
{
	virtio_reset(b->dev);
	mutex_lock(&b->lock);
	release(b, (unsigned)b->nr);
	mutex_unlock(&b->lock);
	movable_owner_drain(&b->owner);
	free_all(b);
}

/* ---- the kernel's own ---- */

bool balloon_has_work(const struct virtio_balloon *b)
{
	return is_broken(b) || load_acquire(&b->dev->config_changed) ||
	    (b->has_stats && virtqueue_pending(&b->stats));
}

static bool work_to_do(void *arg)
{
	return balloon_has_work(arg);
}

static void balloon_thread(void *arg)
{
	struct virtio_balloon *b = arg;
	int err = 0;

	while (err != -EIO) {
		unsigned long was = b->nr;

		err = balloon_serve_stats(b);
		err = err ? err : balloon_follow(b);
		if (b->nr != was)
			printk("%s: %lu MiB lent to the host, which wants %lu%s\n", b->dev->name,
			    b->nr >> (20 - PAGE_SHIFT), b->want >> (20 - PAGE_SHIFT),
			    err == -ENOMEM ? ": no more to be had" : "");
		if (err != -EIO)
			wait_until(&b->dev->wq, work_to_do, b, err ? RETRY_NS : WAIT_FOREVER);
	}
	/* Its memory stays: somebody may be looking at it. */
	give_up(b);
	printk("%s: broken: reset, and not used any more; all pages are taken back\n", b->dev->name);
	mutex_lock(&b->lock);
	release(b, (unsigned)b->nr);
	mutex_unlock(&b->lock);
}

static void report_thread(void *arg)
{
	struct virtio_balloon *b = arg;

	while (balloon_report(b) == 0)
		thread_sleep(REPORT_NS);
	printk("%s: free memory is no longer reported\n", b->dev->name);
}

int virtio_balloon_probe(struct virtio_device *dev)
{
	struct virtio_balloon *b = balloon ? NULL : kmalloc(sizeof(*b));
	int err = b ? balloon_open(b, dev, &kernel_memory) : balloon ? -EBUSY : -ENOMEM;

	if (err) {
		printk("%s: no balloon: error %d\n", dev->name, err);
		kfree(b);
		return err;
	}
	balloon = b;
	if (!thread_start("balloon", -1, balloon_thread, b) ||
	    (b->has_report && !thread_start("report", -1, report_thread, b)))
		printk("%s: no memory for a thread\n", dev->name);
	return 0;
}

void virtio_balloon_show(void)
{
	const struct virtio_balloon *b = balloon;

	if (!b)
		return;
	printk("%s: virtio-balloon: %lu pages lent, %lu asked for, %llu moved; %llu statistics given; "
	       "%llu free pageblocks reported\n",
	    b->dev->name, READ_ONCE(b->nr), READ_ONCE(b->want), (unsigned long long)READ_ONCE(b->moved),
	    (unsigned long long)READ_ONCE(b->asked), (unsigned long long)READ_ONCE(b->reported));
}
