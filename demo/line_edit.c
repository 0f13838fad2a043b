/* SPDX-License-Identifier: MIT */
/*
 * line_edit.c: edits a line that is typed on a terminal: reads bytes, and keeps one row of the
 * terminal up to date.
 *
 * Owns:       struct line_edit.
 * Locks:      none: one thread per line.
 * Invariants: at <= len < LINE_MAX.  row[0..row_len) is the text that the terminal shows behind the
 *             prompt, and row_at is the cursor's index there: every change of the text goes through
 *             show().  A byte of an escape sequence is never part of the text.
 * Tests:      line_edit, line_complete, tests/qemu/test_prompt.py.
 */
#include "demo/line_edit.h"

#include <quarry/port.h>
#include <quarry/string.h>

#define CTRL(c)      ((c)&31)
#define ESCAPE       27
#define RUBOUT       127
#define LIST_COLUMNS 79
#define NUMBER_MAX   999

static void out(struct line_edit *e, const char *s, size_t len)
{
	if (len)
		e->ops->write(e->arg, s, len);
}

static void line_put(struct line_edit *e, const char *s)
{
	out(e, s, strlen(s));
}

/* ---- the row ---- */

/* Copy the part of the text around the cursor that fits in the row; returns its length. */
static unsigned visible(struct line_edit *e, char *row)
{
	unsigned n;

	if (e->len <= LINE_WIDTH)
		e->left = 0;
	else if ((e->left && e->at <= e->left) || e->at + 1 >= e->left + LINE_WIDTH)
		e->left = e->at > LINE_WIDTH / 2 ? e->at - LINE_WIDTH / 2 : 0;
	n = MIN(e->len - e->left, (unsigned)LINE_WIDTH);
	memcpy(row, e->text + e->left, n);
	if (e->left)
		row[0] = '<';
	if (e->left + n < e->len)
		row[n - 1] = '>';
	return n;
}

/* Move the terminal's cursor within the row. */
static void move_cursor(struct line_edit *e, unsigned at)
{
	for (; e->row_at > at; e->row_at--)
		line_put(e, "\b");
	/* Writing characters again moves the cursor to the right. */
	out(e, e->row + e->row_at, at - e->row_at);
	e->row_at = at;
}

/* Write the row to the terminal again, from the first difference on. */
static void show_line(struct line_edit *e)
{
	char row[LINE_WIDTH];
	unsigned n = visible(e, row), same = 0;

	while (same < n && same < e->row_len && row[same] == e->row[same])
		same++;
	if (same < n || n < e->row_len) {
		move_cursor(e, same);
		memcpy(e->row, row, n);
		out(e, row + same, n - same);
		e->row_at = n;
		if (n < e->row_len)
			line_put(e, "\033[K");
		e->row_len = n;
	}
	move_cursor(e, e->at - e->left);
}

/* Show the prompt and the text on a new row of the terminal. */
static void show_again(struct line_edit *e)
{
	line_put(e, e->prompt);
	e->row_len = e->row_at = 0;
	show_line(e);
}

/* ---- changes of the text ---- */

static void insert(struct line_edit *e, const char *s, size_t len)
{
	unsigned n = (unsigned)MIN(len, (size_t)(LINE_MAX - 1 - e->len));

	memmove(e->text + e->at + n, e->text + e->at, e->len - e->at);
	memcpy(e->text + e->at, s, n);
	e->len += n;
	e->at += n;
}

/* Delete [@from, @to); the cursor moves to @from. */
static void cut(struct line_edit *e, unsigned from, unsigned to)
{
	memmove(e->text + from, e->text + to, e->len - to);
	e->len -= to - from;
	e->at = from;
}

static void set(struct line_edit *e, const char *text)
{
	e->len = e->at = 0;
	insert(e, text, strlen(text));
}

/* The start of the word before the cursor; blanks between the word and the cursor are skipped. */
static unsigned word_before(const struct line_edit *e)
{
	unsigned from = e->at;

	while (from > 0 && e->text[from - 1] == ' ')
		from--;
	while (from > 0 && e->text[from - 1] != ' ')
		from--;
	return from;
}

/* ---- history ---- */

static void keep_in_history(struct line_edit *e)
{
	const char *last = e->history[(e->used + LINE_HISTORY - 1) % LINE_HISTORY];

	e->text[e->len] = '\0';
	if (!e->len || (e->used && !strcmp(last, e->text)))
		return;
	memcpy(e->history[e->used++ % LINE_HISTORY], e->text, e->len + 1);
}

/* Show the line that was typed @back lines ago; 0: the line that is being typed. */
static void recall(struct line_edit *e, unsigned back)
{
	if (back > MIN(e->used, (unsigned)LINE_HISTORY))
		return;
	if (!e->back) {
		e->text[e->len] = '\0';
		memcpy(e->draft, e->text, e->len + 1);
	}
	e->back = back;
	set(e, back ? e->history[(e->used - back) % LINE_HISTORY] : e->draft);
}

/* ---- completion ---- */

void line_offer(struct line_edit *e, const char *word, bool closed)
{
	size_t len = strlen(word), same = 0;

	if (strncmp(word, e->word, strlen(e->word)) != 0 || len >= LINE_MAX)
		return;
	if (e->listing) {
		bool fits = e->column + 2 + len <= LIST_COLUMNS;

		line_put(e, !e->column ? "" : fits ? "  " : "\n");
		line_put(e, word);
		e->column = (unsigned)len + (e->column && fits ? e->column + 2 : 0);
	} else if (e->matches++ == 0) {
		memcpy(e->common, word, len + 1);
		e->closed = closed;
	} else {
		while (word[same] && word[same] == e->common[same])
			same++;
		e->common[same] = '\0';
	}
}

static void ask_for_words(struct line_edit *e, bool listing)
{
	char before[LINE_MAX];
	unsigned from = e->at;

	while (from > 0 && e->text[from - 1] != ' ' && e->text[from - 1] != ',')
		from--;
	memcpy(before, e->text, from);
	before[from] = '\0';
	memcpy(e->word, e->text + from, e->at - from);
	e->word[e->at - from] = '\0';
	e->matches = e->column = 0;
	e->listing = listing;
	e->ops->complete(e->arg, e, before, e->word);
}

/* Add the letters that all matching words have in common; a second Tab in a row lists the words. */
static void complete(struct line_edit *e)
{
	size_t typed, common;

	if (!e->ops->complete)
		return;
	ask_for_words(e, false);
	typed = strlen(e->word);
	common = e->matches ? strlen(e->common) : 0;
	if (common > typed || (e->matches == 1 && e->closed)) {
		insert(e, e->common + typed, common - typed);
		if (e->matches == 1 && e->closed && e->text[e->at] != ' ' && e->at == e->len)
			insert(e, " ", 1);
		e->tabbed = false;
	} else if (e->matches > 1 && e->tabbed) {
		line_put(e, "\n");
		ask_for_words(e, true);
		line_put(e, "\n");
		show_again(e);
	} else {
		line_put(e, "\a");
		e->tabbed = true;
	}
}

/* ---- keys ---- */

static void left(struct line_edit *e)
{
	e->at -= e->at > 0;
}

static void right(struct line_edit *e)
{
	e->at += e->at < e->len;
}

/* Handle the sequence ESC [ NUMBER @c, or ESC O @c; @c is its last byte. */
static void special_key(struct line_edit *e, int c)
{
	switch (c == '~' ? e->number : 0) {
	case 1:
	case 7: e->at = 0; return;
	case 3:
		if (e->at < e->len)
			cut(e, e->at, e->at + 1);
		return;
	case 4:
	case 8: e->at = e->len; return;
	}
	switch (c) {
	case 'A': recall(e, e->back + 1); break;
	case 'B':
		if (e->back)
			recall(e, e->back - 1);
		break;
	case 'C': right(e); break;
	case 'D': left(e); break;
	case 'H': e->at = 0; break;
	case 'F': e->at = e->len; break;
	}
}

/* Take another byte of an escape sequence; an unknown sequence ends without effect. */
static void sequence(struct line_edit *e, int c)
{
	enum line_key_state state = e->state;

	e->state = KEY_PLAIN;
	if (state == KEY_ESCAPE) {
		e->number = 0;
		e->more_numbers = false;
		e->state = c == '['                                ? KEY_CSI
		    : c == 'O'                                     ? KEY_ONE
		    : c == ']' || c == 'P' || c == '^' || c == '_' ? KEY_STRING
		                                                   : KEY_PLAIN;
	} else if (state == KEY_STRING) {
		e->state = KEY_STRING;
	} else if (state == KEY_CSI && c < '@') {
		e->state = KEY_CSI;
		e->more_numbers |= c < '0' || c > '9';
		if (!e->more_numbers)
			e->number = MIN(e->number * 10 + (unsigned)(c - '0'), (unsigned)NUMBER_MAX);
	} else if (state == KEY_CSI && c == '[') {
		e->state = KEY_ANY; /* a function key of Linux' console */
	} else if (state != KEY_ANY) {
		special_key(e, c);
	}
}

static void control(struct line_edit *e, int c)
{
	switch (c) {
	case CTRL('A'): e->at = 0; break;
	case CTRL('C'): cut(e, 0, e->len); break;
	case CTRL('E'): e->at = e->len; break;
	case '\b':
	case RUBOUT:
		if (e->at > 0)
			cut(e, e->at - 1, e->at);
		break;
	case '\t': complete(e); break;
	case CTRL('K'): e->len = e->at; break;
	case CTRL('L'):
		line_put(e, "\033[H\033[2J");
		show_again(e);
		break;
	case CTRL('U'): cut(e, 0, e->at); break;
	case CTRL('W'): cut(e, word_before(e), e->at); break;
	case ESCAPE: e->state = KEY_ESCAPE; break;
	}
}

enum line_event line_feed(struct line_edit *e, int c)
{
	char byte = (char)c;

	if (c == CTRL('D') && e->len == 0 && e->state == KEY_PLAIN)
		return LINE_END;
	/* A control character ends a sequence that is not complete. */
	if (e->state != KEY_PLAIN && c >= ' ' && c != RUBOUT) {
		sequence(e, c);
		show_line(e);
		return LINE_GOES_ON;
	}
	e->state = KEY_PLAIN;
	if (c == '\r' || c == '\n') {
		keep_in_history(e);
		line_put(e, "\n");
		return LINE_READY;
	}
	if (c != '\t')
		e->tabbed = false;
	if (c >= ' ' && c < RUBOUT)
		insert(e, &byte, 1);
	else
		control(e, c);
	show_line(e);
	return LINE_GOES_ON;
}

void line_init(struct line_edit *e, const struct line_ops *ops, void *arg, const char *prompt)
{
	e->ops = ops;
	e->arg = arg;
	e->prompt = prompt;
}

void line_begin(struct line_edit *e)
{
	e->len = e->at = e->back = e->left = 0;
	e->state = KEY_PLAIN;
	e->tabbed = false;
	show_again(e);
}
