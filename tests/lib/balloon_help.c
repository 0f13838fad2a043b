/* SPDX-License-Identifier: MIT */
/* balloon_help.c: see balloon_help.h. */
#include "tests/lib/balloon_help.h"

struct virtio_balloon balloon;
u8 balloon_lent[BOOK];
u8 balloon_dropped[TEST_MAX_BLOCKS];
unsigned nr_lent, nr_told, nr_reports;
unsigned most_reported;
unsigned balloon_fail_at;
unsigned balloon_late;
void (*balloon_meanwhile)(void);
struct virtio_balloon_stat balloon_stats[VIRTIO_BALLOON_S_NR];

static void told_pages(struct pretend *p, const struct pretend_buf *buf)
{
	const u32 *pfn = pretend_memory(buf->out[0].addr);
	unsigned i;

	EXPECT_EQ(p->t, buf->nr_out, 1);
	EXPECT_EQ(p->t, buf->nr_in, 0);
	for (i = 0; i < buf->out[0].len / sizeof(*pfn); i++) {
		REQUIRE(p->t, pfn[i] < BOOK);
		EXPECT_EQ(p->t, balloon_lent[pfn[i]], buf->queue == DEFLATE);
		balloon_lent[pfn[i]] = buf->queue == INFLATE;
		nr_lent += buf->queue == INFLATE ? 1u : ~0u;
		nr_told++;
		/*
		 * No other code can have the page: a page that goes to the host is the balloon's
		 * already, and a page that returns still is.
		 */
		if (buf->queue == DEFLATE)
			EXPECT(p->t,
			    pfn_to_page_in(balloon.mem, pfn[i])->owner == &balloon.owner ||
			        word_state(page_word(pfn_to_page_in(balloon.mem, pfn[i]))) ==
			            PG_ISO_MIG);
		else
			EXPECT_EQ(p->t, page_word(pfn_to_page_in(balloon.mem, pfn[i])),
			    PAGE_WORD(1, PG_BALLOON, 0));
	}
}

/* While the host drops the reported pages, no allocation may get one of them. */
static void told_free(struct pretend *p, const struct pretend_buf *buf)
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
		balloon_dropped[pfn >> PAGEBLOCK_ORDER]++;
		for (j = 0; j < hoard.nr; j++)
			EXPECT(p->t,
			    page_to_pfn_in(balloon.mem, hoard.page[j]) >> PAGEBLOCK_ORDER !=
			        pfn >> PAGEBLOCK_ORDER);
	}
	hoard_give(&hoard);
}

u32 balloon_host(struct pretend *p, const struct pretend_buf *buf)
{
	if (balloon_fail_at && --balloon_fail_at == 0) {
		p->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
		return NO_ANSWER;
	}
	if (buf->queue == STATS) {
		memcpy(balloon_stats, pretend_memory(buf->out[0].addr),
		    MIN(buf->out[0].len, (u32)sizeof(balloon_stats)));
		return NO_ANSWER; /* until the host wants new statistics */
	}
	if (buf->queue == REPORT)
		told_free(p, buf);
	else
		told_pages(p, buf);
	if (balloon_meanwhile && buf->queue == INFLATE)
		balloon_meanwhile();
	return balloon_late >> buf->queue & 1 ? NO_ANSWER : 0;
}

bool balloon_begin_with(struct ktest *t, u64 features, unsigned normal, unsigned movable)
{
	struct memory *mem = ktest_memory(t, 0, normal, movable);

	memset(balloon_lent, 0, sizeof(balloon_lent));
	memset(balloon_dropped, 0, sizeof(balloon_dropped));
	memset(balloon_stats, 0, sizeof(balloon_stats));
	nr_lent = nr_told = nr_reports = most_reported = balloon_fail_at = balloon_late = 0;
	balloon_meanwhile = NULL;
	pretend_init(&pretend_dev, t, features, balloon_host);
	pretend_dev.dev.patience_ns = 1000000;
	if (!mem)
		return false;
	EXPECT_EQ(t, balloon_open(&balloon, &pretend_dev.dev, mem), 0);
	return balloon.dma;
}

bool balloon_begin(struct ktest *t)
{
	return balloon_begin_with(t, ALL_FEATURES, 2, TEST_BLOCKS);
}

bool balloon_begin_again(struct ktest *t)
{
	return balloon_begin_again_with(t, ALL_FEATURES);
}

bool balloon_begin_again_with(struct ktest *t, u64 features)
{
	pretend_init(&pretend_dev, t, features, balloon_host);
	memset(balloon_lent, 0, sizeof(balloon_lent));
	pretend_dev.dev.patience_ns = 1000000;
	return balloon_open(&balloon, &pretend_dev.dev, t->mem) == 0;
}

void balloon_end(struct ktest *t)
{
	balloon_close(&balloon);
	drain_all_pages(balloon.mem, NULL);
	EXPECT_EQ(t, balloon.nr, 0);
	EXPECT_EQ(t, memory_free_pages(balloon.mem), memory_managed_pages(balloon.mem));
}

void balloon_ask_for(u32 pages)
{
	memcpy(pretend_dev.config + offsetof(struct virtio_balloon_config, num_pages), &pages,
	    sizeof(pages));
	virtio_interrupt(&pretend_dev.dev, VIRTIO_PCI_ISR_CONFIG);
}

int balloon_resize(u32 pages)
{
	balloon_ask_for(pages);
	return balloon_follow(&balloon);
}

static u32 said_actual(void)
{
	u32 actual;

	memcpy(&actual, pretend_dev.config + offsetof(struct virtio_balloon_config, actual),
	    sizeof(actual));
	return actual;
}

/* Each lent page is in the list once, and its two links lead to its neighbours. */
static void expect_list(struct ktest *t)
{
	u32 pfn = balloon.first, before = (u32)PFN_NONE, nr = 0;

	for (; pfn != (u32)PFN_NONE && nr <= balloon.nr; nr++) {
		const struct page *page = pfn_to_page_in(balloon.mem, pfn);

		EXPECT(
		    t, balloon_lent[pfn] && page->owner == &balloon.owner && page->prev == before);
		before = pfn;
		pfn = page->next;
	}
	EXPECT_EQ(t, nr, balloon.nr);
}

void expect_lent(struct ktest *t, unsigned long nr)
{
	unsigned long in_state = 0;
	pfn_t pfn;

	for (pfn = balloon.mem->start_pfn; pfn < balloon.mem->end_pfn; pfn++) {
		u32 word = page_word(pfn_to_page_in(balloon.mem, pfn));

		in_state += word_state(word) == PG_BALLOON;
		if (balloon_lent[pfn] != (word == PAGE_WORD(1, PG_BALLOON, 0)))
			ktest_fail(t, __FILE__, __LINE__, "pfn %#lx: lent %u, word %#x", pfn,
			    balloon_lent[pfn], word);
	}
	EXPECT_EQ(t, in_state, nr);
	EXPECT_EQ(t, nr_lent, nr);
	EXPECT_EQ(t, balloon.nr, nr);
	EXPECT_EQ(t, said_actual(), nr);
	expect_list(t);
	expect_sound(t, balloon.mem);
}

pfn_t block_with_lent(struct ktest *t)
{
	struct zone *zone = test_zone(balloon.mem, ZONE_MOVABLE);
	pfn_t pfn = zone->start_pfn;

	while (pfn < zone->end_pfn && !balloon_lent[pfn])
		pfn++;
	EXPECT(t, pfn < zone->end_pfn);
	return ALIGN_DOWN(pfn, PAGEBLOCK_PAGES);
}
