/* SPDX-License-Identifier: MIT */
/*
 * test_line_edit.c: the line editor on a simulated terminal: the effect of each key on the line.
 * After each byte the terminal must show that line and its cursor.
 */
#include "demo/line_edit.h"

#include <quarry/console.h>
#include <quarry/ktest.h>
#include <quarry/string.h>

#define COLUMNS 80
#define PROMPT  "> "

/* The terminal: the text above the present row, and that row. */
static struct {
	struct line_edit e;
	char above[4096], row[COLUMNS + 1];
	size_t above_len;
	unsigned at, sequence, bells, cleared, beyond;
	const char *const *words; /* words offered for completion, closed by NULL */
	char before[LINE_MAX], word[LINE_MAX];
} tty;

static void new_row(void)
{
	size_t len = strlen(tty.row);

	while (len && tty.row[len - 1] == ' ')
		len--;
	if (tty.above_len + len + 2 < sizeof(tty.above)) {
		memcpy(tty.above + tty.above_len, tty.row, len);
		tty.above_len += len;
		tty.above[tty.above_len++] = '\n';
		tty.above[tty.above_len] = '\0';
	}
	memset(tty.row, 0, sizeof(tty.row));
	tty.at = 0;
}

static void terminal_byte(char c)
{
	if (tty.sequence == 1) {
		tty.sequence = c == '[' ? 2 : 0;
	} else if (tty.sequence == 2) {
		if (c == '2')
			return;
		tty.sequence = 0;
		if (c == 'K')
			memset(tty.row + tty.at, 0, COLUMNS - tty.at);
		else if (c == 'H')
			tty.at = 0;
		else if (c == 'J')
			memset(tty.row, 0, sizeof(tty.row)), tty.cleared++;
	} else if (c == '\033') {
		tty.sequence = 1;
	} else if (c == '\b') {
		tty.beyond += tty.at == 0;
		tty.at -= tty.at > 0;
	} else if (c == '\n') {
		new_row();
	} else if (c == '\a') {
		tty.bells++;
	} else if (tty.at < COLUMNS) {
		tty.row[tty.at++] = c;
	} else {
		tty.beyond++;
	}
}

static void write(void *arg, const char *s, size_t len)
{
	while (len--)
		terminal_byte(*s++);
}

static void complete(void *arg, struct line_edit *e, const char *before, const char *word)
{
	const char *const *w;

	ksnprintf(tty.before, sizeof(tty.before), "%s", before);
	ksnprintf(tty.word, sizeof(tty.word), "%s", word);
	/* A word that ends in * is offered without the *, as a word that more text must follow. */
	for (w = tty.words; w && *w; w++) {
		char text[2 * LINE_MAX];
		size_t len = strlen(*w);

		ksnprintf(text, sizeof(text), "%s", *w);
		if (text[len - 1] == '*')
			text[len - 1] = '\0';
		line_offer(e, text, (*w)[len - 1] != '*');
	}
}

static const struct line_ops ops = {write, complete};

static void begin(void)
{
	memset(&tty, 0, sizeof(tty));
	line_init(&tty.e, &ops, NULL, PROMPT);
	line_begin(&tty.e);
}

/* The row shows the line, or the part of it that it has space for, and the cursor is right. */
static bool shown(void)
{
	const struct line_edit *e = &tty.e;
	unsigned i, skip = (unsigned)strlen(PROMPT);

	if (strncmp(tty.row, PROMPT, skip) != 0 || e->at < e->left || e->at > e->len ||
	    tty.at != skip + e->at - e->left || tty.beyond)
		return false;
	for (i = 0; i < LINE_WIDTH && e->left + i < e->len; i++) {
		bool first = i == 0 && e->left, last = i + 1 == LINE_WIDTH;

		if (last && e->left + i + 1 < e->len
		        ? tty.row[skip + i] != '>'
		        : tty.row[skip + i] != (first ? '<' : e->text[e->left + i]))
			return false;
	}
	return tty.row[skip + i] == '\0';
}

/* Type the bytes; returns the event of the last byte, or -1 if the terminal was wrong. */
static int type(const char *bytes)
{
	int event = LINE_GOES_ON;

	for (; *bytes; bytes++) {
		event = line_feed(&tty.e, (u8)*bytes);
		if (event == LINE_GOES_ON && !shown())
			return -1;
	}
	return event;
}

/* The line is @left of the cursor and @right of it. */
static bool is(const char *left, const char *right)
{
	size_t n = strlen(left);

	return tty.e.at == n && tty.e.len == n + strlen(right) && !memcmp(tty.e.text, left, n) &&
	    !memcmp(tty.e.text + n, right, strlen(right));
}

#define EXPECT_TYPED(t, keys, left, right)                                                         \
	do {                                                                                       \
		EXPECT_EQ(t, type(keys), LINE_GOES_ON);                                            \
		EXPECT(t, is(left, right));                                                        \
	} while (0)
#define EXPECT_KEYS(t, keys, left, right)                                                          \
	do {                                                                                       \
		begin();                                                                           \
		EXPECT_TYPED(t, keys, left, right);                                                \
	} while (0)

KTEST_SUITE(line_edit, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

/* ---- keys ---- */

KTEST(typed_bytes_are_shown)
{
	EXPECT_KEYS(t, "", "", "");
	EXPECT_KEYS(t, "mem 12~!", "mem 12~!", "");
	/* These bytes are no keys, or belong to another alphabet. */
	EXPECT_KEYS(t, "m\x01\x05\x02\x80\xc3\xa9\xffo", "mo", "");
	begin();
	EXPECT_EQ(t, type("mem\r"), LINE_READY);
	EXPECT(t, !strcmp(tty.e.text, "mem") && !strcmp(tty.above, "> mem\n"));
	begin();
	EXPECT_EQ(t, type("\n"), LINE_READY);
	EXPECT(t, !strcmp(tty.e.text, ""));
	/* Enter in the middle takes the whole line. */
	begin();
	EXPECT_EQ(t, type("mem\033[D\033[D\r"), LINE_READY);
	EXPECT(t, !strcmp(tty.e.text, "mem"));
}

KTEST(the_cursor_moves_within_the_line)
{
	EXPECT_KEYS(t, "abc\033[D", "ab", "c");
	EXPECT_KEYS(t, "abc\033[D\033[D\033[D\033[D", "", "abc");
	EXPECT_KEYS(t, "abc\033[D\033[D\033[C", "ab", "c");
	EXPECT_KEYS(t, "abc\033[C", "abc", "");
	EXPECT_KEYS(t, "abc\x01", "", "abc");
	EXPECT_KEYS(t, "abc\x01x", "x", "abc");
	EXPECT_KEYS(t, "abc\x01\x05x", "abcx", "");
	EXPECT_KEYS(t, "abc\033[H", "", "abc");
	EXPECT_KEYS(t, "abc\033[H\033[F", "abc", "");
	EXPECT_KEYS(t, "abc\033[1~", "", "abc");
	EXPECT_KEYS(t, "abc\033[7~", "", "abc");
	EXPECT_KEYS(t, "abc\x01\033[4~", "abc", "");
	EXPECT_KEYS(t, "abc\x01\033[8~", "abc", "");
	/* Cursor keys of a terminal in application mode, and a cursor key with Ctrl. */
	EXPECT_KEYS(t, "abc\033OH\033OC", "a", "bc");
	EXPECT_KEYS(t, "abc\033[1;5D", "ab", "c");
}

KTEST(bytes_are_taken_away)
{
	EXPECT_KEYS(t, "abc\b", "ab", "");
	EXPECT_KEYS(t, "abc\x7f\x7f", "a", "");
	EXPECT_KEYS(t, "a\b\b\x7f", "", "");
	EXPECT_KEYS(t, "abcd\033[D\b", "ab", "d");
	EXPECT_KEYS(t, "abc\x01\b", "", "abc");
	EXPECT_KEYS(t, "abc\x01\033[3~", "", "bc");
	EXPECT_KEYS(t, "abc\033[D\033[3~\033[3~", "ab", "");
	EXPECT_KEYS(t, "abc\033[D\x0b", "ab", "");
	EXPECT_KEYS(t, "abc\x0b", "abc", "");
	EXPECT_KEYS(t, "abc\033[D\x15", "", "c");
	EXPECT_KEYS(t, "abc\x15", "", "");
	EXPECT_KEYS(t, "abc\033[D\x03", "", "");
	/* Ctrl-W removes a word, with the blanks behind it. */
	EXPECT_KEYS(t, "offline 12  \x17", "offline ", "");
	EXPECT_KEYS(t, "offline 12\x17\x17\x17", "", "");
	EXPECT_KEYS(t, "offline 12\033[D\x17", "offline ", "2");
}

KTEST(the_line_ends_before_its_limit)
{
	char full[LINE_MAX + 10];
	unsigned i;

	memset(full, 0, sizeof(full));
	for (i = 0; i < LINE_MAX + 5; i++)
		full[i] = (char)('a' + i % 26);
	begin();
	EXPECT_EQ(t, type(full), LINE_GOES_ON);
	EXPECT(t, tty.e.len == LINE_MAX - 1 && tty.e.left > 0);
	/* The cursor can reach each place of the line, which is then visible. */
	for (i = 0; i < LINE_MAX; i++)
		EXPECT_EQ(t, type("\033[D"), LINE_GOES_ON);
	EXPECT(t, tty.e.at == 0 && tty.e.left == 0 && tty.row[LINE_WIDTH + 1] == '>');
	for (i = 0; i < LINE_MAX; i++)
		EXPECT_EQ(t, type("\033[C"), LINE_GOES_ON);
	EXPECT_EQ(t, type("\x01z"), LINE_GOES_ON);
	EXPECT(t, tty.e.len == LINE_MAX - 1);
	EXPECT_TYPED(t, "\033[3~z\x05\x17", "", "");
	EXPECT_EQ(t, type(full), LINE_GOES_ON);
	EXPECT_EQ(t, type("\r"), LINE_READY);
	EXPECT_EQ(t, strlen(tty.e.text), LINE_MAX - 1);
}

KTEST(unknown_sequences_are_never_typed)
{
	static const char *const sequences[] = {"\033[2~", "\033[5~", "\033[15~", "\033OP",
	    "\033[24;80R", "\033[?1;2c", "\033[<0;3;4M", "\033[200~", "\033x", "\033[ q",
	    "\033[99999999999999~", "\033[1;2;3;4;5;6;7Q", "\033]0;title\a", "\033P1$r\033\\",
	    "\033\033[Z", "\033[3;x", "\033[;3~", "\033[[A", "\033[[E"};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(sequences); i++) {
		begin();
		EXPECT_EQ(t, type("ab"), LINE_GOES_ON);
		EXPECT_EQ(t, type(sequences[i]), LINE_GOES_ON);
		EXPECT_EQ(t, type("c"), LINE_GOES_ON);
		if (!is("abc", ""))
			ktest_fail(t, __FILE__, __LINE__, "sequence %u was typed", i);
	}
	/* An incomplete sequence ends at a control byte, and with its line. */
	EXPECT_KEYS(t,
	    "ab\033[3\x01"
	    "c",
	    "c", "ab");
	begin();
	EXPECT_EQ(t, type("ab\033[\r"), LINE_READY);
	EXPECT(t, !strcmp(tty.e.text, "ab"));
	line_begin(&tty.e);
	EXPECT_EQ(t, type("ab\033"), LINE_GOES_ON);
	new_row();
	line_begin(&tty.e);
	EXPECT_TYPED(t, "[c", "[c", "");
}

/* The terminal shows the line after each key of any kind, and after bytes that are no keys. */
KTEST(random_keys_leave_no_garbage)
{
	static const char *const keys[] = {"\033[A", "\033[B", "\033[C", "\033[D", "\033[H",
	    "\033[F", "\033[3~", "\033[1~", "\033[4~", "\033OP", "\033OH", "\033[[A", "\033[15~",
	    "\033[24;80R", "\033", "\033[", "\033]0;t\a", "\001", "\005", "\013", "\014", "\025",
	    "\027", "\003", "\t", "\b", "\177", "\r", "\n", "\200\377", "offline 0x8000 512",
	    "abcdefghijklmnopqrstuvwxyz"};
	static const char *const words[] = {"offline", "online", "zone", "run lock.*", NULL};
	u64 rand = t->seed;
	unsigned n, event;

	begin();
	tty.words = words;
	for (n = 0; n < 20000; n++) {
		u64 r = ktest_rand(&rand);
		char one[2] = {(char)(' ' + (r >> 16) % 95), '\0'};
		const char *key = r & 1 ? one : keys[(r >> 8) % ARRAY_SIZE(keys)];

		for (; *key; key++) {
			event = line_feed(&tty.e, (u8)*key);
			if (event == LINE_READY)
				line_begin(&tty.e);
			tty.above_len = 0;
			if (event == LINE_END || !shown()) {
				ktest_fail(t, __FILE__, __LINE__, "after %u keys: event %u, row %s",
				    n, event, tty.row);
				return;
			}
		}
	}
}

KTEST(control_d_ends_only_an_empty_line)
{
	begin();
	EXPECT_EQ(t, type("\x04"), LINE_END);
	EXPECT_KEYS(t, "a\x04", "a", "");
	EXPECT_EQ(t, type("\b\x04"), LINE_END);
}

KTEST(control_l_draws_on_a_clear_screen)
{
	EXPECT_KEYS(t, "abc\033[D\x0c", "ab", "c");
	EXPECT(t, tty.cleared == 1 && !strcmp(tty.row, PROMPT "abc"));
}

/* ---- history ---- */

static void enter(const char *line)
{
	if (tty.at)
		new_row();
	line_begin(&tty.e);
	type(line);
	type("\r");
}

KTEST(earlier_lines_come_back)
{
	EXPECT_KEYS(t, "\033[A\033[B", "", "");
	enter("one");
	enter("two");
	enter("two");
	enter("");
	line_begin(&tty.e);
	EXPECT_TYPED(t, "\033[A", "two", "");
	EXPECT_TYPED(t, "\033[A", "one", "");
	EXPECT_TYPED(t, "\033[A", "one", "");
	EXPECT_TYPED(t, "\033OB", "two", "");
	/* A recalled line that is changed becomes a new line; the old line stays. */
	EXPECT_EQ(t, type("!\r"), LINE_READY);
	line_begin(&tty.e);
	EXPECT_TYPED(t, "\033[A", "two!", "");
	EXPECT_TYPED(t, "\033[A", "two", "");
}

KTEST(the_line_being_typed_is_kept_meanwhile)
{
	begin();
	enter("one");
	enter("two");
	line_begin(&tty.e);
	EXPECT_TYPED(t, "draft\033[A\033[A\033[B\033[B", "draft", "");
	EXPECT_TYPED(t, "\033[B!", "draft!", "");
	/* No part of the draft is left in the next line. */
	EXPECT_EQ(t, type("\r"), LINE_READY);
	line_begin(&tty.e);
	EXPECT_TYPED(t, "\033[A\033[B", "", "");
}

KTEST(the_oldest_line_is_forgotten_first)
{
	char line[8];
	unsigned i;

	begin();
	for (i = 0; i < LINE_HISTORY + 3; i++) {
		ksnprintf(line, sizeof(line), "n%u", i);
		enter(line);
	}
	line_begin(&tty.e);
	for (i = 0; i < LINE_HISTORY + 9; i++)
		type("\033[A");
	EXPECT(t, is("n3", ""));
	for (i = 0; i < LINE_HISTORY - 1; i++)
		type("\033[B");
	EXPECT(t, is("n18", ""));
}

/* ---- completion ---- */

static const char *const few[] = {"offline", "online", "policy", NULL};

KTEST_SUITE(line_complete, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(a_word_that_is_alone_is_completed)
{
	begin();
	tty.words = few;
	EXPECT_TYPED(t, "p\t", "policy ", "");
	EXPECT(t, !tty.bells);
	EXPECT(t, !strcmp(tty.before, "") && !strcmp(tty.word, "p"));
	EXPECT_TYPED(t, "on\t", "policy online ", "");
	EXPECT(t, !strcmp(tty.before, "policy ") && !strcmp(tty.word, "on"));
	/* A word that was typed completely gets a blank. */
	EXPECT_TYPED(t, "online\t", "policy online online ", "");
	/* Behind a comma another word begins. */
	EXPECT_EQ(t, type("mem,on\t"), LINE_GOES_ON);
	EXPECT(t, !strcmp(tty.before, "policy online online mem,") && !strcmp(tty.word, "on"));
	EXPECT(t, is("policy online online mem,online ", ""));
	/* A word in the middle is completed, and the rest stays. */
	begin();
	tty.words = few;
	EXPECT_TYPED(t, "x\x01pol\t", "policy", "x");
}

KTEST(what_all_words_have_in_common_is_added)
{
	static const char *const same[] = {"lock", "lock_order", "lockdown*", NULL};
	static const char *const open[] = {"lock*", NULL};

	begin();
	tty.words = few;
	EXPECT_TYPED(t, "o\t", "o", "");
	EXPECT(t, tty.bells == 1);
	tty.words = same;
	EXPECT_TYPED(t, "\x15l\t", "lock", "");
	EXPECT(t, tty.bells == 1);
	/* A word that more text must follow gets no blank. */
	tty.words = open;
	EXPECT_TYPED(t, "\x15l\t", "lock", "");
	EXPECT_TYPED(t, "\x15z\t\t", "z", "");
	EXPECT(t, !tty.above_len);
}

KTEST(the_second_tab_lists_the_words)
{
	begin();
	tty.words = few;
	EXPECT_EQ(t, type("o\t"), LINE_GOES_ON);
	EXPECT(t, !tty.above_len);
	EXPECT_EQ(t, type("\t"), LINE_GOES_ON);
	EXPECT(t, !strcmp(tty.above, "> o\noffline  online\n") && is("o", ""));
	/* The list is shown again only after two Tabs in a row. */
	EXPECT_EQ(t, type("n\b\t"), LINE_GOES_ON);
	EXPECT(t, !strcmp(tty.above, "> o\noffline  online\n"));
}

KTEST(a_long_list_has_rows_of_80_columns)
{
	static char text[40][24];
	const char *list[41] = {NULL};
	const char *p;
	unsigned i, column = 0, widest = 0;

	for (i = 0; i < 40; i++) {
		ksnprintf(
		    text[i], sizeof(text[i]), "w%u_%.*s", i, (int)(i % 19), "abcdefghijklmnopqrs");
		list[i] = text[i];
	}
	begin();
	tty.words = list;
	EXPECT_EQ(t, type("w\t\t"), LINE_GOES_ON);
	for (p = tty.above; *p; p++) {
		column = *p == '\n' ? 0 : column + 1;
		widest = MAX(widest, column);
	}
	EXPECT(t, widest > 60 && widest < 80);
	for (i = 0; i < 40; i++)
		EXPECT(t, strlen(tty.above) > 0);
}

KTEST(words_that_cannot_fit_are_not_offered)
{
	static char huge[LINE_MAX + 9];
	static const char *const list[] = {huge, "hush", NULL};

	memset(huge, 'h', sizeof(huge) - 1);
	begin();
	tty.words = list;
	EXPECT_TYPED(t, "h\t", "hush ", "");
}
