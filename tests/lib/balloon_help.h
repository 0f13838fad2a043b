/* SPDX-License-Identifier: MIT */
/*
 * balloon_help.h: a balloon on a device that keeps a book of what it was told, for the suites of its driver.
 */
#ifndef QUARRY_TESTS_BALLOON_HELP_H
#define QUARRY_TESTS_BALLOON_HELP_H

#include "drivers/virtio_balloon.h"
#include "tests/lib/mm_help.h"
#include "tests/lib/pretend_virtio.h"

#define INFLATE 0
#define DEFLATE 1
#define STATS   2
#define REPORT  3
#define ALL_FEATURES                                                                               \
	(1ULL << VIRTIO_BALLOON_F_MUST_TELL_HOST | 1ULL << VIRTIO_BALLOON_F_STATS_VQ |             \
	    1ULL << VIRTIO_BALLOON_F_REPORTING)
#define BOOK (TEST_MAX_BLOCKS * PAGEBLOCK_PAGES)

/* One test at a time. */
static struct pretend dev;
static struct virtio_balloon balloon;
static u8 lent[BOOK];               /* by page: what the host was told last */
static u8 dropped[TEST_MAX_BLOCKS]; /* by pageblock: times reported */
static unsigned nr_lent, nr_told, nr_reports;
static unsigned most_reported; /* pageblocks in one report */
static unsigned fail_at; /* the so manieth buffer breaks the device; 0: none */
static unsigned late; /* mask of queues that it serves and does not answer */
static void (*meanwhile)(void); /* called while the device is told of pages that it gets */
static struct virtio_balloon_stat stats[VIRTIO_BALLOON_S_NR];

static inline void told_pages(struct pretend *p, const struct pretend_buf *buf)
{
	const u32 *pfn = pretend_memory(buf->out[0].addr);
	unsigned i;

	EXPECT_EQ(p->t, buf->nr_out, 1);
	EXPECT_EQ(p->t, buf->nr_in, 0);
	for (i = 0; i < buf->out[0].len / sizeof(*pfn); i++) {
		REQUIRE(p->t, pfn[i] < BOOK);
		EXPECT_EQ(p->t, lent[pfn[i]], buf->queue == DEFLATE);
		lent[pfn[i]] = buf->queue == INFLATE;
		nr_lent += buf->queue == INFLATE ? 1u : ~0u;
		nr_told++;
		/* Nobody can have it now: on its way in it is nobody's yet, on its way out it is still ours. */
		if (buf->queue == DEFLATE)
			EXPECT(p->t, pfn_to_page_in(balloon.mem, pfn[i])->owner == &balloon.owner ||
			        word_state(page_word(pfn_to_page_in(balloon.mem, pfn[i]))) == PG_ISO_MIG);
		else
			EXPECT_EQ(p->t, page_word(pfn_to_page_in(balloon.mem, pfn[i])),
			    PAGE_WORD(1, PG_ALLOC, 0));
	}
}

/* While the host drops them nobody can be given a page of them, however much is wanted. */
static inline void told_free(struct pretend *p, const struct pretend_buf *buf)
{
	static struct hoard hoard;
	unsigned i, j;

	hoard = (struct hoard){.mem = balloon.mem, .gfp = GFP_MOVABLE};
	nr_reports++;
	most_reported = MAX(most_reported, buf->nr_in);
	if (nr_reports == 1)
		hoard_take(&hoard);
	for (i = 0; i < buf->nr_in; i++) {
		pfn_t pfn = buf->in[i].addr >> PAGE_SHIFT;

		REQUIRE(p->t, pfn < BOOK && !(pfn & (PAGEBLOCK_PAGES - 1)));
		EXPECT_EQ(p->t, buf->in[i].len, PAGEBLOCK_PAGES << PAGE_SHIFT);
		EXPECT_EQ(p->t, page_word(pfn_to_page_in(balloon.mem, pfn)),
		    PAGE_WORD(0, PG_FREEING, MAX_ORDER));
		dropped[pfn >> PAGEBLOCK_ORDER]++;
		for (j = 0; j < hoard.nr; j++)
			EXPECT(p->t, page_to_pfn_in(balloon.mem, hoard.page[j]) >> PAGEBLOCK_ORDER !=
			        pfn >> PAGEBLOCK_ORDER);
	}
	hoard_give(&hoard);
}

static inline u32 host(struct pretend *p, const struct pretend_buf *buf)
{
	if (fail_at && --fail_at == 0) {
		p->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
		return NO_ANSWER;
	}
	if (buf->queue == STATS) {
		memcpy(stats, pretend_memory(buf->out[0].addr), MIN(buf->out[0].len, (u32)sizeof(stats)));
		return NO_ANSWER; /* until it wants others */
	}
	if (buf->queue == REPORT)
		told_free(p, buf);
	else
		told_pages(p, buf);
	if (meanwhile && buf->queue == INFLATE)
		meanwhile();
	return late >> buf->queue & 1 ? NO_ANSWER : 0;
}

static inline bool begin_with(struct ktest *t, u64 features, unsigned normal, unsigned movable)
{
	struct memory *mem = ktest_memory(t, 0, normal, movable);

	memset(lent, 0, sizeof(lent));
	memset(dropped, 0, sizeof(dropped));
	memset(stats, 0, sizeof(stats));
	nr_lent = nr_told = nr_reports = most_reported = fail_at = late = 0;
	meanwhile = NULL;
	pretend_init(&dev, t, features, host);
	dev.dev.patience_ns = 1000000;
	if (!mem)
		return false;
	EXPECT_EQ(t, balloon_open(&balloon, &dev.dev, mem), 0);
	return balloon.dma;
}

static inline bool begin(struct ktest *t)
{
	return begin_with(t, ALL_FEATURES, 2, TEST_BLOCKS);
}

static inline void end(struct ktest *t)
{
	balloon_close(&balloon);
	drain_all_pages(balloon.mem, NULL);
	EXPECT_EQ(t, balloon.nr, 0);
	EXPECT_EQ(t, memory_free_pages(balloon.mem), memory_managed_pages(balloon.mem));
}

static inline void ask_for(u32 pages)
{
	memcpy(dev.config + offsetof(struct virtio_balloon_config, num_pages), &pages, sizeof(pages));
	virtio_interrupt(&dev.dev, VIRTIO_PCI_ISR_CONFIG);
}

static inline u32 said_actual(void)
{
	u32 actual;

	memcpy(&actual, dev.config + offsetof(struct virtio_balloon_config, actual), sizeof(actual));
	return actual;
}

/* Each page that is lent is in the list once, and both links of it lead to its neighbours. */
static inline void expect_list(struct ktest *t)
{
	u32 pfn = balloon.first, before = (u32)PFN_NONE, nr = 0;

	for (; pfn != (u32)PFN_NONE && nr <= balloon.nr; nr++) {
		const struct page *page = pfn_to_page_in(balloon.mem, pfn);

		EXPECT(t, lent[pfn] && page->owner == &balloon.owner && page->prev == before);
		before = pfn;
		pfn = page->next;
	}
	EXPECT_EQ(t, nr, balloon.nr);
}

/* The pages that the host has are in state BALLOON, and no others. */
static inline void expect_lent(struct ktest *t, unsigned long nr)
{
	unsigned long in_state = 0;
	pfn_t pfn;

	for (pfn = balloon.mem->start_pfn; pfn < balloon.mem->end_pfn; pfn++) {
		u32 word = page_word(pfn_to_page_in(balloon.mem, pfn));

		in_state += word_state(word) == PG_BALLOON;
		if (lent[pfn] != (word == PAGE_WORD(1, PG_BALLOON, 0)))
			ktest_fail(t, __FILE__, __LINE__, "pfn %#lx: lent %u, word %#x", pfn, lent[pfn], word);
	}
	EXPECT_EQ(t, in_state, nr);
	EXPECT_EQ(t, nr_lent, nr);
	EXPECT_EQ(t, balloon.nr, nr);
	EXPECT_EQ(t, said_actual(), nr);
	expect_list(t);
	expect_sound(t, balloon.mem);
}

/* A pageblock of zone MOVABLE with lent pages in it. */
static inline pfn_t block_with_lent(struct ktest *t)
{
	struct zone *zone = test_zone(balloon.mem, ZONE_MOVABLE);
	pfn_t pfn = zone->start_pfn;

	while (pfn < zone->end_pfn && !lent[pfn])
		pfn++;
	EXPECT(t, pfn < zone->end_pfn);
	return ALIGN_DOWN(pfn, PAGEBLOCK_PAGES);
}

#endif
