/* SPDX-License-Identifier: MIT */
/* test_shelf.c: lists of page frames of lab 0, which another CPU uses too. */
#include "labs/0/shelf.h"
#include <quarry/ktest.h>

KTEST_SUITE(shelf, KTEST_EXTRA);

KTEST(the_first_card_is_put_on_an_empty_shelf)
{
	/* The cards come from another shelf: each still has its link. */
	struct card card = {.pfn = 8, .next = &card}, second = {.pfn = 9, .next = &card};
	struct shelf shelf;

	shelf_init(&shelf, "shelf");
	shelf_append(&shelf, &card);
	EXPECT_EQ(t, shelf.nr, 1);
	REQUIRE(t, shelf.first == &card && !card.next);
	shelf_append(&shelf, &second);
	EXPECT_EQ(t, shelf.nr, 2);
	EXPECT(t, shelf.first == &card && card.next == &second && !second.next);
}

/* Make a shelf as the functions under test would leave it, without calling them. */
static void fill(struct shelf *shelf, struct card *card, unsigned nr)
{
	unsigned i;

	shelf_init(shelf, "shelf");
	for (i = 0; i < nr; i++)
		card[i].next = i + 1 < nr ? &card[i + 1] : NULL;
	shelf->first = card;
	shelf->nr = nr;
}

KTEST(cards_of_a_range_are_counted)
{
	const pfn_t last = ~(pfn_t)0;
	struct card card[] = {{.pfn = 8}, {.pfn = 20}, {.pfn = 11}, {.pfn = 12}, {.pfn = last}};
	struct shelf shelf;

	fill(&shelf, card, ARRAY_SIZE(card));
	EXPECT_EQ(t, shelf_count(&shelf, 8, 4), 2);
	EXPECT_EQ(t, shelf_count(&shelf, 8, 13), 4);
	EXPECT_EQ(t, shelf_count(&shelf, 8, 0), 0);
	EXPECT_EQ(t, shelf_count(&shelf, 13, 7), 0);
	EXPECT_EQ(t, shelf_count(&shelf, last - 3, 4), 1);
}

KTEST(a_page_frame_is_put_once)
{
	struct card card[] = {{.pfn = 8}, {.pfn = 9}};
	struct card again = {.pfn = 9}, other = {.pfn = 10}, far = {.pfn = (1ULL << 32) + 8};
	struct shelf shelf;

	fill(&shelf, card, ARRAY_SIZE(card));
	EXPECT(t, !shelf_append_new(&shelf, &again));
	EXPECT_EQ(t, shelf.nr, 2);
	EXPECT(t, shelf_append_new(&shelf, &other));
	EXPECT_EQ(t, shelf.nr, 3);
	EXPECT(t, card[1].next == &other);
	EXPECT(t, shelf_append_new(&shelf, &far));
	EXPECT(t, !spin_is_held(&shelf.lock));
}

KTEST(the_first_card_counts_too)
{
	struct card card[] = {{.pfn = 8}, {.pfn = 9}}, again = {.pfn = 8};
	struct shelf shelf;

	shelf_init(&shelf, "empty");
	EXPECT(t, shelf_append_new(&shelf, &card[0]));
	REQUIRE(t, shelf.first == &card[0]);
	EXPECT(t, shelf_append_new(&shelf, &card[1]));
	EXPECT(t, !shelf_append_new(&shelf, &again));
}

/* ---- another CPU ---- */

/*
 * Before the code under test takes the lock, and when the lock is free again, the other CPU counts
 * the cards, and puts one on the shelf, unless its page frame is there.
 */
static struct {
	struct card *before, *card; /* NULL: put already, or none to put */
	unsigned locks;             /* how often the lock was taken by the code under test */
	bool miscounted;            /* the shelf had not as many cards as it says */
} other;

static void put(struct shelf *shelf, struct card **card)
{
	struct card **end = &shelf->first;
	unsigned nr = 0;

	spin_lock(&shelf->lock);
	for (; *end && !(*card && (*end)->pfn == (*card)->pfn); nr++)
		end = &(*end)->next;
	other.miscounted |= !*end && nr != shelf->nr;
	if (*card && !*end) {
		*end = *card;
		shelf->nr++;
	}
	*card = NULL;
	spin_unlock(&shelf->lock);
}

void shelf_lock(struct shelf *shelf)
{
	put(shelf, &other.before);
	spin_lock(&shelf->lock);
	other.locks++;
}

void shelf_unlock(struct shelf *shelf)
{
	spin_unlock(&shelf->lock);
	put(shelf, &other.card);
}

KTEST(the_lock_keeps_other_cpus_out)
{
	struct card card[] = {{.pfn = 8}, {.pfn = 9}};
	struct card ours = {.pfn = 10}, theirs = {.pfn = 10}, last = {.pfn = 11};
	struct card behind = {.pfn = 20}, early = {.pfn = 30}, late = {.pfn = 31}, *ten;
	struct shelf shelf;

	fill(&shelf, card, ARRAY_SIZE(card));
	other.card = &theirs;
	other.locks = 0;
	/* The other CPU cannot put the same page frame between the check and the change. */
	shelf_append_new(&shelf, &ours);
	EXPECT_EQ(t, shelf.nr, 3);
	ten = card[1].next;
	REQUIRE(t, ten && !ten->next);
	EXPECT(t, other.locks > 0);
	other.locks = 0;
	other.card = &behind;
	shelf_append(&shelf, &last);
	EXPECT(t, other.locks > 0);
	EXPECT(t, ten->next == &last && last.next == &behind);
	other.locks = 0;
	EXPECT_EQ(t, shelf_count(&shelf, 8, 4), 4);
	EXPECT(t, other.locks > 0);
	/* The end of the list is another one when the lock has been taken. */
	other.before = &early;
	shelf_append(&shelf, &late);
	EXPECT(t, behind.next == &early && early.next == &late && !late.next);
	EXPECT(t, !other.miscounted);
	other.card = NULL;
}
