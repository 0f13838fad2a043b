/* SPDX-License-Identifier: MIT */
/*
 * test_text_sequences.c: control characters and sequences of the terminal, each with its exact
 * effect.
 */
#include "tests/lib/text_help.h"

/*
 * The colour after one argument (ECMA-48, 8.3.117), from bright yellow on cyan. A reset gives
 * magenta on yellow.
 */
static u8 colour_after(u32 arg)
{
	if (arg == 0)
		return 0x35;
	if (arg == 1)
		return 0x6b;
	if (arg == 7)
		return 0xb6;
	if (arg == 22)
		return 0x63;
	if (arg >= 30 && arg <= 37)
		return (u8)(0x68 + (arg - 30));
	if (arg == 39)
		return 0x65;
	if (arg >= 40 && arg <= 47)
		return (u8)(0x0b + 0x10 * (arg - 40));
	if (arg == 49)
		return 0x3b;
	if (arg >= 90 && arg <= 97)
		return (u8)(0x68 + (arg - 90));
	if (arg >= 100 && arg <= 107)
		return (u8)(0x8b + 0x10 * (arg - 100));
	return 0x6b;
}

KTEST_SUITE(text_sequences, KTEST_QUICK);

KTEST(every_attribute_has_its_effect)
{
	char s[] = "\033[000m";
	u32 arg;

	if (!text_start(t, 4))
		return;
	text_set_colour(&terminal, 0x35);
	for (arg = 0; arg < 1000; arg++) {
		s[2] = (char)('0' + arg / 100);
		s[3] = (char)('0' + arg / 10 % 10);
		s[4] = (char)('0' + arg % 10);
		terminal.colour = 0x6b;
		text_say(s);
		if (terminal.colour != colour_after(arg) || terminal.normal != 0x35 ||
		    terminal.state != TEXT_PLAIN)
			ktest_fail(t, __FILE__, __LINE__, "%u: colour %#x, not %#x", arg,
			    terminal.colour, colour_after(arg));
	}
	terminal.colour = 0x13;
	text_say("\033[1m");
	EXPECT_EQ(t, terminal.colour, 0x1b);
	/* Each argument counts, in order, and a missing argument is 0. */
	text_say("\033[31;42;7m");
	EXPECT_EQ(t, terminal.colour, 0x92);
	text_say("\033[33;;44m");
	EXPECT_EQ(t, terminal.colour, 0x45);
	text_say("\033[m");
	EXPECT_EQ(t, terminal.colour, 0x35);
}

static void expect_cursor(struct ktest *t, const char *s, u32 row, u32 column)
{
	terminal.row = 4;
	terminal.column = 5;
	text_say(s);
	if (terminal.row != row || terminal.column != column || terminal.state != TEXT_PLAIN)
		ktest_fail(t, __FILE__, __LINE__, "%s: %u, %u, not %u, %u", s + 1, terminal.row,
		    terminal.column, row, column);
}

KTEST(cursor_moves_to_its_target)
{
	static const struct {
		const char *s;
		u32 row, column;
	} moves[] = {{"\033[A", 3, 5}, {"\033[0A", 3, 5}, {"\033[1A", 3, 5}, {"\033[4A", 0, 5},
	    {"\033[5A", 0, 5}, {"\033[B", 5, 5}, {"\033[2B", 6, 5}, {"\033[11B", 15, 5},
	    {"\033[12B", 15, 5}, {"\033[99999999999B", 15, 5}, {"\033[C", 4, 6}, {"\033[6C", 4, 11},
	    {"\033[7C", 4, 11}, {"\033[D", 4, 4}, {"\033[5D", 4, 0}, {"\033[6D", 4, 0},
	    {"\033[H", 0, 0}, {"\033[;H", 0, 0}, {"\033[1;1H", 0, 0}, {"\033[3H", 2, 0},
	    {"\033[;3H", 0, 2}, {"\033[16;12H", 15, 11}, {"\033[17;13H", 15, 11},
	    {"\033[2;3;7;7;9;9H", 1, 2}, {"\033[2x", 4, 5}, {"\033[2@", 4, 5}, {"\033[2~", 4, 5},
	    {"\033[ 2?B", 6, 5}, {"\033B", 4, 5}, {"\033[2\rB", 4, 1}, {"\033[2\033[B", 5, 5},
	    {"\t", 4, 8}, {"\t\t", 4, 11}, {"\t\t\t", 4, 11}, {"\r\t", 4, 8}, {"\r\b", 4, 0},
	    {"\b", 4, 4}, {"\n", 5, 0}, {"\r", 4, 0}, {"\177", 4, 5}, {"\001\037", 4, 5},
	    {" ", 4, 6}};
	u32 i;

	if (!text_start(t, 2))
		return;
	for (i = 0; i < ARRAY_SIZE(moves); i++)
		expect_cursor(t, moves[i].s, moves[i].row, moves[i].column);
	/* A sequence may come in pieces. */
	text_say("\033[3;");
	EXPECT_EQ(t, terminal.state, TEXT_SEQUENCE);
	text_say("4");
	text_say("H");
	EXPECT(t, terminal.row == 2 && terminal.column == 3 && terminal.state == TEXT_PLAIN);
	/* After a full line, the cursor stands behind its last cell. */
	text_say("\033[3Habcdefghijkl");
	EXPECT(t, terminal.row == 2 && terminal.column == COLUMNS);
	text_say("\033[D");
	EXPECT(t, terminal.row == 2 && terminal.column == COLUMNS - 1);
	expect_guards(t, 0);
}

KTEST(a_full_line_is_erased_from_its_last_cell_on)
{
	if (!text_start(t, 4))
		return;
	text_say("mnopqrstuvwx\rabcdefghijkl\033[K");
	ROW(t, 0, "abcdefghijk");
	text_say("\033[Habcdefghijkl\033[3K\033[3J\033[9J");
	ROW(t, 0, "abcdefghijkl");
	text_say("\033[2;1Hmno\033[Habcdefghijkl\033[J");
	ROW(t, 0, "abcdefghijk");
	ROW(t, 1, "");
	text_say("\033[2;1Hmno\033[Habcdefghijkl\033[1K");
	ROW(t, 0, "");
	ROW(t, 1, "mno");
	text_say("\033[16;1Hmnopqrstuvwx\033[2K");
	ROW(t, 15, "");
	ROW(t, 1, "mno");
	/* Erased cells get the current colour, which stays. */
	text_say("\033[44m\033[2J");
	EXPECT_EQ(t, terminal.colour, 0x47);
	text_say("\033[J\033[K");
	EXPECT_EQ(t, terminal.colour, 0x47);
	EXPECT(t, text_shows(ROWS - 1, COLUMNS - 1, ' ', 0xaaaaaa, 0x0000aa));
	expect_guards(t, 0);
}
