/* SPDX-License-Identifier: MIT */
/*
 * test_text.c: text on a framebuffer: the cells that are drawn, those that are not, and bad input.
 */
#include "tests/lib/text_help.h"

/* The colour after one argument (ECMA-48, 8.3.117), from 0x6b; a reset gives 0x35. */
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

KTEST_SUITE(text, KTEST_QUICK);

KTEST(characters_are_drawn)
{
	static const u32 grey[] = {0, 0, 0xad55 /* RGB 21, 42, 21 */, 0xaaaaaa, 0xaaaaaa};
	u32 size;

	for (size = 2; size <= 4; size++) {
		REQUIRE(t, text_start(t, size));
		text_say("Hi\nyou");
		EXPECT(t, text_shows(0, 0, 'H', grey[size], 0));
		EXPECT(t, text_shows(0, 1, 'i', grey[size], 0));
		EXPECT(t, is_black(0, 2));
		EXPECT(t, text_shows(1, 2, 'u', grey[size], 0));
		expect_guards(t, 0);
	}
}

KTEST(lines_wrap)
{
	REQUIRE(t, text_start(t, 4));
	text_say("abcdefghijkl");
	EXPECT_EQ(
	    t, terminal.row, 0); /* the line is full, but a line feed now makes no empty line */
	text_say("\nmnopqrstuvwxyz");
	ROW(t, 0, "abcdefghijkl");
	ROW(t, 1, "mnopqrstuvwx");
	ROW(t, 2, "yz");
}

KTEST(control_characters_move_the_cursor)
{
	REQUIRE(t, text_start(t, 4));
	text_say("abc\rX\n12\b3\n\tT\n\b\bB\n\a\001\177N\n");
	ROW(t, 0, "Xbc");
	ROW(t, 1, "13");
	ROW(t, 2, "        T");
	ROW(t, 3, "B");
	ROW(t, 4, "N");
	text_say("abcdefghijkl\b \b"); /* as the monitor erases the last character of a full line */
	ROW(t, 5, "abcdefghijk");
	text_say("\t\tZ");
	ROW(t, 5, "abcdefghijkZ");
}

KTEST(text_scrolls)
{
	char line[] = "line A\n";
	u32 i;

	REQUIRE(t, text_start(t, 4));
	for (i = 0; i < ROWS; i++, line[5]++)
		text_say(line);
	/* The last line feed went beyond the bottom: two rows, an eighth of all, scrolled away. */
	ROW(t, 0, "line C");
	ROW(t, ROWS - 3, "line P");
	ROW(t, ROWS - 2, "");
	ROW(t, ROWS - 1, "");
	text_say("next\nlast");
	ROW(t, ROWS - 2, "next");
	ROW(t, ROWS - 1, "last");
	text_say("\n");
	ROW(t, 0, "line E");
	ROW(t, ROWS - 4, "next");
	ROW(t, ROWS - 3, "last");
	expect_guards(t, 0);
}

/* After other code has drawn over the screen, only changes are drawn again. */
KTEST_COST(only_changes_are_drawn)
{
	REQUIRE(t, text_start(t, 4));
	text_say("abc");
	memset(PIXELS, 0x11, (size_t)PITCH * HEIGHT);
	text_say("\rabX");
	EXPECT(t, text_shows(0, 2, 'X', 0xaaaaaa, 0));
	EXPECT_EQ(t, text_pixel(0, 0), 0x11111111);
	EXPECT_EQ(t, text_pixel(8 + 3, 4), 0x11111111);
	EXPECT_EQ(t, text_pixel(0, FONT_HEIGHT), 0x11111111);
}

KTEST(colours_are_set)
{
	REQUIRE(t, text_start(t, 4));
	text_say(
	    "\033[31mr\033[92;44mg\033[0mn\033[1;33my\033[22my\033[7mi\033[0;105;30mm\033[39;49md");
	EXPECT(t, text_shows(0, 0, 'r', 0xaa0000, 0));
	EXPECT(t, text_shows(0, 1, 'g', 0x55ff55, 0x0000aa));
	EXPECT(t, text_shows(0, 2, 'n', 0xaaaaaa, 0));
	EXPECT(t, text_shows(0, 3, 'y', 0xffff55, 0));
	EXPECT(t, text_shows(0, 4, 'y', 0xaa5500, 0));
	EXPECT(t, text_shows(0, 5, 'i', 0, 0xaa5500));
	EXPECT(t, text_shows(0, 6, 'm', 0, 0xff55ff));
	EXPECT(t, text_shows(0, 7, 'd', 0xaaaaaa, 0));
	text_set_colour(&terminal, TEXT_RED_ON_BLACK);
	text_say("R\033[32mg\033[0mR");
	EXPECT(t, text_shows(0, 8, 'R', 0xff5555, 0));
	EXPECT(t, text_shows(0, 9, 'g', 0x55ff55, 0)); /* another colour, still bright */
	EXPECT(t, text_shows(0, 10, 'R', 0xff5555, 0));
}

/* Another colour is a change too. A cell that already shows it is not drawn again. */
KTEST_COST(cell_with_a_new_colour_is_drawn_again)
{
	u32 i;

	REQUIRE(t, text_start(t, 4));
	text_say("AB\r\033[32mA");
	EXPECT(t, text_shows(0, 0, 'A', 0x00aa00, 0));
	EXPECT(t, text_shows(0, 1, 'B', 0xaaaaaa, 0));
	EXPECT_EQ(t, text_cells[0].shown_colour, 2);
	memset(PIXELS, 0x11, (size_t)PITCH * HEIGHT);
	text_say("\rA\033[H");
	EXPECT_EQ(t, text_pixel(0, 0), 0x11111111);
	text_say("\033[16;12H\033[46mZ");
	EXPECT(t, text_shows(ROWS - 1, COLUMNS - 1, 'Z', 0x00aa00, 0x00aaaa));
	for (i = 0; i < COLUMNS * ROWS; i++)
		EXPECT(t,
		    text_cells[i].c == text_cells[i].shown_c &&
		        text_cells[i].colour == text_cells[i].shown_colour);
	EXPECT_EQ(t, terminal.dirty_from, ROWS);
	EXPECT_EQ(t, terminal.dirty_to, 0);
}

/* The glyphs are 12 pixels wide: their right third comes from the second byte of each line. */
KTEST(wide_glyphs_are_drawn_whole)
{
	static const u8 header[32] = {0x72, 0xb5, 0x4a, 0x86, 0, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0,
	    128, 0, 0, 0, 6, 0, 0, 0, 3, 0, 0, 0, 12, 0, 0, 0};
	struct framebuffer fb = text_framebuffer(3);
	u32 i, x, y, wrong = 0;

	memcpy(text_font_file, header, sizeof(header));
	for (i = 0; i < 128 * 6; i++)
		text_font_file[32 + i] = (u8)(i * 89 + 7);
	memset(text_memory, GUARD_BYTE, sizeof(text_memory));
	REQUIRE(t, psf_parse(&text_font, text_font_file, 32 + 128 * 6) == 0);
	fb.width = 12 * TEXT_MIN_COLUMNS;
	REQUIRE(t, text_init(&terminal, &fb, PIXELS, &text_font, text_cells, COLUMNS * ROWS) == 0);
	EXPECT_EQ(t, terminal.columns, TEXT_MIN_COLUMNS);
	text_say("ab\ncd");
	for (i = 0; i < 4; i++) {
		const u8 *glyph = text_font_file + 32 + 6 * ('a' + i);

		for (y = 0; y < 3; y++)
			for (x = 0; x < 12; x++)
				wrong += text_pixel(12 * (i % 2) + x, 3 * (i / 2) + y) !=
				    ((glyph[2 * y] << 8 | glyph[2 * y + 1]) >> (15 - x) & 1
				            ? 0xaaaaaau
				            : 0);
	}
	EXPECT_EQ(t, wrong, 0);
}

#define LARGE_WIDTH  (2 * 8 * TEXT_MIN_COLUMNS + 3)
#define LARGE_HEIGHT (2 * FONT_HEIGHT * TEXT_MIN_ROWS + 3)

/* With fewer cells than the screen has places the font is drawn twice as large. */
KTEST(font_is_enlarged_for_a_large_screen)
{
	static u32 pixels[LARGE_HEIGHT][LARGE_WIDTH];
	struct framebuffer fb = text_framebuffer(4);
	u32 x, y, wrong = 0;

	fb.width = LARGE_WIDTH;
	fb.height = LARGE_HEIGHT;
	fb.pitch = sizeof(pixels[0]);
	REQUIRE(t, psf_parse(&text_font, text_font_file, make_font(text_font_file, 0)) == 0);
	REQUIRE(t, text_init(&terminal, &fb, pixels, &text_font, text_cells, 63) == 0);
	EXPECT_EQ(t, terminal.scale, 2);
	EXPECT_EQ(t, terminal.columns, TEXT_MIN_COLUMNS);
	EXPECT_EQ(t, terminal.rows, TEXT_MIN_ROWS);
	text_say("\n 7");
	for (y = 0; y < LARGE_HEIGHT; y++)
		for (x = 0; x < LARGE_WIDTH; x++) {
			u32 row = y / 2 / FONT_HEIGHT, column = x / 2 / 8;
			const u8 *glyph =
			    psf_glyph(&text_font, row == 1 && column == 1 ? '7' : ' ');
			bool set = row < TEXT_MIN_ROWS && column < TEXT_MIN_COLUMNS && row == 1 &&
			    column == 1 && glyph[y / 2 % FONT_HEIGHT] & 0x80 >> x / 2 % 8;

			wrong += pixels[y][x] != (set ? 0xaaaaaa : 0);
		}
	EXPECT_EQ(t, wrong, 0);
	/* With a cell for each place it is not. */
	REQUIRE(t, text_init(&terminal, &fb, pixels, &text_font, text_cells, 64) == 0);
	EXPECT_EQ(t, terminal.scale, 1);
}

/* A mode of 10 bits for each colour. */
KTEST(wide_colours_are_drawn)
{
	struct framebuffer fb = text_framebuffer(4);

	REQUIRE(t, text_start(t, 4));
	fb.red = (struct colour_field){20, 10};
	fb.green = (struct colour_field){10, 10};
	fb.blue = (struct colour_field){0, 10};
	REQUIRE(t, text_init(&terminal, &fb, PIXELS, &text_font, text_cells, COLUMNS * ROWS) == 0);
	text_say("\033[96mH");
	EXPECT(t, text_shows(0, 0, 'H', 0x154 << 20 | 0x3fc << 10 | 0x3fc, 0));
}

KTEST(cursor_is_shown_until_it_is_off)
{
	REQUIRE(t, text_start(t, 4));
	text_say("ab\b");
	text_cursor(&terminal, true);
	EXPECT(t, text_shows(0, 1, 'b', 0, 0xaaaaaa));
	text_say("c");
	EXPECT(t, text_shows(0, 1, 'c', 0xaaaaaa, 0));
	EXPECT(t, !is_black(0, 2));
	text_say("\033[2;12Hz"); /* a full line: the cursor is on its last cell */
	EXPECT(t, text_shows(0, 2, ' ', 0xaaaaaa, 0));
	EXPECT(t, text_shows(1, 11, 'z', 0, 0xaaaaaa));
	text_cursor(&terminal, false);
	EXPECT(t, text_shows(1, 11, 'z', 0xaaaaaa, 0));
	text_say("\r");
	EXPECT(t, is_black(1, 0));
	expect_guards(t, 0);
}

KTEST(cursor_moves)
{
	REQUIRE(t, text_start(t, 4));
	text_say("one\ntwo\nthree\n\033[2AT\033[BH\033[2DX\033[3Cx");
	ROW(t, 1, "Two");
	ROW(t, 2, "XHrex");
	text_say("\033[5;3HA\033[H1\033[99;99HZ\033[99A\033[99DB\033[99C\033[99B\bY");
	ROW(t, 4, "  A");
	ROW(t, 0, "Bne");
	ROW(t, ROWS - 1, "          YZ");
}

KTEST(erase_sequences_clear_their_part)
{
	REQUIRE(t, text_start(t, 4));
	text_say("aaaaaa\nbbbbbb\ncccccc\ndddddd\neeeeee");
	text_say("\033[2;3H\033[K\033[3;3H\033[1K\033[4;3H\033[2KX\033[5;3H\033[J");
	ROW(t, 0, "aaaaaa");
	ROW(t, 1, "bb");
	ROW(t, 2, "   ccc");
	ROW(t, 3, "  X");
	ROW(t, 4, "ee");
	text_say("\033[3;4H\033[1J");
	ROW(t, 0, "");
	ROW(t, 2, "    cc");
	ROW(t, 3, "  X");
	text_say("\033[2JY");
	ROW(t, 2, "   Y");
	ROW(t, 3, "");
}

/* An unknown sequence is swallowed whole, and the bytes after it are text again. */
KTEST(unknown_sequences_are_swallowed)
{
	REQUIRE(t, text_start(t, 4));
	text_say("a\033[?25lb\033[99999999999999999999Zc");
	ROW(t, 0, "abc");
	/* Only four arguments of a sequence count. One for more colours changes nothing. */
	text_say("\r\033[1;2;3;4;5;6;7;31;41md\033[38;5;200me\033(f\033[\ng");
	EXPECT(t, text_shows(0, 0, 'd', 0xffffff, 0));
	EXPECT(t, text_shows(0, 1, 'e', 0xffffff, 0));
	EXPECT(t, text_shows(0, 2, 'f', 0xffffff, 0));
	EXPECT(t, text_shows(1, 0, 'g', 0xffffff, 0));
}

KTEST(small_screens_are_handled)
{
	struct framebuffer fb = text_framebuffer(4);

	REQUIRE(t, psf_parse(&text_font, text_font_file, make_font(text_font_file, 0)) == 0);
	memset(text_memory, GUARD_BYTE, sizeof(text_memory));
	fb.width = TEXT_MIN_COLUMNS * 8 - 1;
	EXPECT_EQ(
	    t, text_init(&terminal, &fb, PIXELS, &text_font, text_cells, COLUMNS * ROWS), -EINVAL);
	fb.width = TEXT_MIN_COLUMNS * 8;
	fb.height = TEXT_MIN_ROWS * FONT_HEIGHT - 1;
	EXPECT_EQ(
	    t, text_init(&terminal, &fb, PIXELS, &text_font, text_cells, COLUMNS * ROWS), -EINVAL);
	EXPECT_EQ(t, PIXELS[0], GUARD_BYTE);
	fb.height++;
	EXPECT_EQ(t, text_init(&terminal, &fb, PIXELS, &text_font, text_cells, COLUMNS * ROWS), 0);
	text_say("abcdefgh12345678next");
	EXPECT(t, text_shows(0, 0, '1', 0xaaaaaa, 0));
	EXPECT(t, text_shows(1, 0, 'n', 0xaaaaaa, 0));
	/* With fewer cells than the screen can show, there are fewer rows. */
	fb = text_framebuffer(4);
	EXPECT_EQ(
	    t, text_init(&terminal, &fb, PIXELS, &text_font, text_cells, 2 * COLUMNS - 1), -EINVAL);
	EXPECT_EQ(t, text_init(&terminal, &fb, PIXELS, &text_font, text_cells, 2 * COLUMNS), 0);
	EXPECT_EQ(t, terminal.rows, 2);
	EXPECT_EQ(t, text_init(&terminal, &fb, PIXELS, &text_font, text_cells, 3 * COLUMNS + 1), 0);
	EXPECT_EQ(t, terminal.rows, 3);
}

/* The kernel may map the pixels at another address. */
KTEST(framebuffer_may_move)
{
	REQUIRE(t, text_start(t, 4));
	text_say("ab");
	text_move(&terminal, PIXELS + (size_t)2 * FONT_HEIGHT * PITCH);
	text_say("c");
	EXPECT(t, text_shows(0, 1, 'b', 0xaaaaaa, 0) && is_black(0, 2));
	EXPECT(t, text_shows(2, 2, 'c', 0xaaaaaa, 0) && is_black(2, 1));
}

KTEST(every_attribute_has_its_effect)
{
	char s[] = "\033[000m";
	u32 arg;

	REQUIRE(t, text_start(t, 4));
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

	REQUIRE(t, text_start(t, 2));
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
	REQUIRE(t, text_start(t, 4));
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

/* Whatever is written, the pixels show the cells, and nothing else is touched. */
KTEST(random_output_stays_within_the_screen, KTEST_SLOW)
{
	static const u8 pieces[] = "\033[\033[;019mABCDHJK\n\r\b\t xyz\377\177?";
	u64 state = t->seed | 1;
	u8 junk[64];
	u32 round, i, differ = 0;

	REQUIRE(t, text_start(t, 3));
	for (round = 0; round < 400; round++) {
		u32 len = (u32)(ktest_rand(&state) % sizeof(junk));

		for (i = 0; i < len; i++) {
			u64 chance = ktest_rand(&state);

			junk[i] =
			    chance & 0x100 ? (u8)chance : pieces[chance % (sizeof(pieces) - 1)];
		}
		/* A panic may have stopped another CPU while the terminal was in this state. */
		if (round % 16 == 0) {
			terminal.row = ROWS;
			terminal.column = round % 32 ? COLUMNS + 1 : 3;
			terminal.dirty_to = ROWS + 1;
		}
		text_write(&terminal, (const char *)junk, len);
	}
	expect_guards(t, 0);
	for (i = 0; i < COLUMNS * ROWS; i++) {
		const struct text_cell *cell = &text_cells[i];

		differ += cell->c != cell->shown_c || cell->colour != cell->shown_colour ||
		    !(text_shows(i / COLUMNS, i % COLUMNS, cell->c,
		          terminal.palette[cell->colour & 0xf],
		          terminal.palette[cell->colour >> 4]) ||
		        is_black(i / COLUMNS, i % COLUMNS));
	}
	EXPECT_EQ(t, differ, 0);
}
