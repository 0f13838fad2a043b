/* SPDX-License-Identifier: MIT */
/* test_picture.c: the picture of the pageblocks: each letter, each row, in lines and in place. */
#include "demo/picture.h"
#include <quarry/console.h>
#include <quarry/ktest.h>
#include <quarry/string.h>

#define BLOCK(n) ((pfn_t)(n) << PAGEBLOCK_ORDER)
#define ALL      PAGEBLOCK_PAGES
#define HALF     (PAGEBLOCK_PAGES / 2)
#define NORMAL   8u
#define BLOCKS   72u /* a row, and 8 */
#define TURNS    1000
#define TURN_NS  10000000ULL

static const struct {
	enum pageblock_state state;
	enum migratetype type;
	bool isolated;
	u16 nr_free;
	char letter;
	const char *colour;
} kinds[] = {
    {PB_ONLINE, MT_UNMOVABLE, false, HALF, 'u', "\033[34m"},
    {PB_ONLINE, MT_UNMOVABLE, false, HALF - 1, 'U', "\033[97;44m"},
    {PB_ONLINE, MT_MOVABLE, false, ALL, 'm', "\033[32m"},
    {PB_ONLINE, MT_MOVABLE, false, 0, 'M', "\033[97;42m"},
    {PB_ONLINE, MT_RECLAIMABLE, false, HALF, 'r', "\033[36m"},
    {PB_ONLINE, MT_RECLAIMABLE, false, HALF - 1, 'R', "\033[30;46m"},
    {PB_ONLINE, MT_CMA, false, ALL, 'c', "\033[35m"},
    {PB_ONLINE, MT_CMA, false, 0, 'C', "\033[35m"},
    {PB_ONLINE, MT_MOVABLE, true, ALL, 'i', "\033[30;43m"},
    {PB_ONLINE, MT_MOVABLE, true, ALL - 1, 'I', "\033[97;41m"},
    {PB_ONLINE, MT_UNMOVABLE, true, 0, 'I', "\033[97;41m"},
    {PB_OFFLINE, MT_MOVABLE, false, 0, '-', "\033[90m"},
    {PB_HOLE, MT_UNMOVABLE, false, 0, ' ', "\033[35m"},
};
static struct pageblock saved[ARRAY_SIZE(kinds)];
static char have[4096], want[4096];

/* The text printed from @pos on is @want; with @last it may follow a drawing of half the change. */
static void expect_printed(struct ktest *t, u64 pos, bool last, int line)
{
	size_t len = log_read(&pos, have, sizeof(have) - 1), wanted = strlen(want);

	have[len] = '\0';
	if ((last ? len < wanted : len != wanted) || strcmp(have + len - wanted, want) != 0)
		ktest_fail(t, __FILE__, line, "printed %zu bytes, not %zu: %s", len, wanted, want);
}
#define EXPECT_PRINTED(t, pos)      expect_printed((t), (pos), false, __LINE__)
#define EXPECT_PRINTED_LAST(t, pos) expect_printed((t), (pos), true, __LINE__)

static void add(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void add(const char *fmt, ...)
{
	size_t len = strlen(want);
	va_list ap;

	va_start(ap, fmt);
	kvsnprintf(want + len, sizeof(want) - len, fmt, ap);
	va_end(ap);
}

/*
 * Pageblocks from @first on look as each of the kinds until undo_kinds; no other CPU may see them
 * meanwhile.
 */
static void do_kinds(struct memory *mem, unsigned first)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct pageblock *pb = pageblock_of(mem, BLOCK(first + i));

		saved[i] = *pb;
		WRITE_ONCE(pb->nr_free, kinds[i].nr_free);
		WRITE_ONCE(pb->bits,
		    (u8)((unsigned)kinds[i].type | (unsigned)kinds[i].state << PB_STATE_SHIFT |
		        (kinds[i].isolated ? PB_ISOLATED : 0)));
	}
}

static void undo_kinds(struct memory *mem, unsigned first)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct pageblock *pb = pageblock_of(mem, BLOCK(first + i));

		WRITE_ONCE(pb->nr_free, saved[i].nr_free);
		WRITE_ONCE(pb->bits, saved[i].bits);
	}
}

/* @nr cells of free movable memory, with the kinds from cell @at on. */
static void add_cells(unsigned nr, unsigned at, bool ansi)
{
	unsigned i;

	for (i = 0; i < nr; i++) {
		bool kind = i >= at && i - at < ARRAY_SIZE(kinds);
		int letter = kind ? kinds[i - at].letter : 'm';

		if (ansi)
			add("%s%c\033[0m", kind ? kinds[i - at].colour : "\033[32m", letter);
		else
			add("%c", letter);
	}
	add("\n");
}

#define NONE 1000u

static void lines_show_each_kind_of_pageblock(struct ktest *t)
{
	struct memory *mem = ktest_memory(t, 0, NORMAL, 16);
	u64 pos = log_position();
	struct picture *p;

	REQUIRE(t, mem);
	do_kinds(mem, 3);
	p = picture_start(mem, 0, BLOCK(1), "plain", 0);
	if (!p)
		undo_kinds(mem, 3);
	REQUIRE(t, p);
	picture_sync(p);
	ksnprintf(want, sizeof(want), "  blocks 0 ");
	add_cells(NORMAL + 16, 3, false);
	EXPECT_PRINTED(t, pos);
	/* Unchanged cells are not drawn again. */
	pos = log_position();
	want[0] = '\0';
	picture_sync(p);
	EXPECT_PRINTED(t, pos);
	undo_kinds(mem, 3);
	picture_sync(p);
	ksnprintf(want, sizeof(want), "  blocks 0 ");
	add_cells(NORMAL + 16, NONE, false);
	EXPECT_PRINTED_LAST(t, pos);
	picture_stop(p);
	EXPECT_PRINTED_LAST(t, pos);
}

/* Only the rows of the range, and of these the changed one. */
static void lines_show_the_rows_of_the_range(struct ktest *t)
{
	struct memory *mem = ktest_memory(t, 0, NORMAL, BLOCKS - NORMAL);
	u64 pos = log_position();
	struct picture *p;

	REQUIRE(t, mem);
	p = picture_start(mem, BLOCK(65), BLOCK(2), "plain", 0);
	REQUIRE(t, p);
	picture_sync(p);
	picture_stop(p);
	ksnprintf(want, sizeof(want), "  blocks %#lx ", BLOCK(64));
	add_cells(8, NONE, false);
	EXPECT_PRINTED(t, pos);

	pos = log_position();
	p = picture_start(mem, BLOCK(63), BLOCK(1), "plain", 0);
	REQUIRE(t, p);
	picture_sync(p);
	picture_stop(p);
	ksnprintf(want, sizeof(want), "  blocks 0 ");
	add_cells(64, NONE, false);
	EXPECT_PRINTED(t, pos);

	pos = log_position();
	p = picture_start(mem, BLOCK(63), BLOCK(2), "plain", 0);
	REQUIRE(t, p);
	picture_sync(p);
	add("  blocks %#lx ", BLOCK(64));
	add_cells(8, NONE, false);
	EXPECT_PRINTED(t, pos);
	pos = log_position();
	do_kinds(mem, 51);
	picture_sync(p);
	ksnprintf(want, sizeof(want), "  blocks 0 ");
	add_cells(64, 51, false);
	EXPECT_PRINTED_LAST(t, pos);
	undo_kinds(mem, 51);
	picture_stop(p);
}

static void add_ansi(unsigned at)
{
	add("\033[2K  %#9lx ", BLOCK(0));
	add_cells(64, at, true);
	add("\033[2K  %#9lx ", BLOCK(64));
	add_cells(BLOCKS - 64, NONE, true);
}

/* All of a small machine; from the second drawing on the cursor moves up by as many lines. */
static void colours_are_drawn_in_place(struct ktest *t)
{
	struct memory *mem = ktest_memory(t, 0, NORMAL, BLOCKS - NORMAL);
	u64 pos = log_position();
	struct picture *p;

	REQUIRE(t, mem);
	p = picture_start(mem, BLOCK(65), BLOCK(1), "ansi", 0);
	REQUIRE(t, p);
	picture_sync(p);
	want[0] = '\0';
	add_ansi(NONE);
	EXPECT_PRINTED(t, pos);
	pos = log_position();
	do_kinds(mem, 7);
	picture_sync(p);
	ksnprintf(want, sizeof(want), "\033[2A");
	add_ansi(7);
	EXPECT_PRINTED_LAST(t, pos);
	undo_kinds(mem, 7);
	picture_stop(p);
}

static void picture_redraws_changes_by_itself(struct ktest *t)
{
	struct memory *mem = ktest_memory(t, 0, NORMAL, 16);
	struct picture *p;
	unsigned turn;
	u64 pos;

	REQUIRE(t, mem);
	p = picture_start(mem, 0, BLOCK(1), "plain", 0);
	REQUIRE(t, p);
	picture_sync(p);
	pos = log_position();
	do_kinds(mem, 1);
	for (turn = 0; turn < TURNS && log_position() == pos; turn++)
		thread_sleep(TURN_NS);
	EXPECT(t, log_position() > pos);
	undo_kinds(mem, 1);
	picture_stop(p);
}

static void without_a_style_nothing_is_drawn(struct ktest *t)
{
	struct memory *mem = ktest_memory(t, 0, NORMAL, 16);
	u64 pos = log_position();

	REQUIRE(t, mem);
	EXPECT(t, !picture_start(mem, 0, BLOCK(1), "off", 0));
	picture_sync(NULL);
	picture_stop(NULL);
	picture_legend("off");
	EXPECT_EQ(t, log_position(), pos);
	picture_legend("plain");
	have[log_read(&pos, have, sizeof(have) - 1)] = '\0';
	EXPECT(t, strncmp(have, "tour: each character is a pageblock", 35) == 0);
}

KTEST_SUITE(picture, KTEST_QUICK, KTEST(lines_show_each_kind_of_pageblock),
    KTEST(lines_show_the_rows_of_the_range), KTEST(colours_are_drawn_in_place),
    KTEST(picture_redraws_changes_by_itself), KTEST(without_a_style_nothing_is_drawn));
