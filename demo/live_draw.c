/* SPDX-License-Identifier: MIT */
/*
 * live_draw.c: frames of the live screen, and the bytes that change a terminal from one frame to
 * the next.
 *
 * Owns:       nothing: the caller owns struct live_frame and live_pen.
 * Locks:      none.
 * Invariants: nothing is written outside of a frame; @shown holds the characters that were sent; a
 *             frame can be read without its colours.
 * Tests:      live_draw, tests/qemu/test_map.py.
 */
#include "demo/live_draw.h"

#include <quarry/console.h>
#include <quarry/errno.h>
#include <quarry/string.h>

#define GAP   5  /* most unchanged characters sent again: a cursor move is no shorter */
#define PIECE 96 /* bytes sent at a time */

/* Indexed by enum live_colour. */
static const char *const colours[NR_LIVE_COLOURS] = {
    "", ";1", ";90", ";32", ";92;1", ";97;41", ";30;43", ";95;1", ";36", ";97;45", ";30;103", ";7"};

int live_frame_init(struct live_frame *f, unsigned cols, unsigned rows)
{
	if (cols < LIVE_MIN_COLS || rows < LIVE_MIN_ROWS)
		return -EINVAL;
	f->cols = MIN(cols, (unsigned)LIVE_MAX_COLS);
	f->rows = MIN(rows, (unsigned)LIVE_MAX_ROWS);
	memset(f->text, ' ', sizeof(f->text));
	memset(f->colour, LIVE_PLAIN, sizeof(f->colour));
	return 0;
}

/* ---- sending ---- */

struct buffer {
	struct live_pen *pen;
	size_t len, sent;
	char bytes[PIECE];
};

static void flush(struct buffer *b)
{
	if (b->len)
		b->pen->send(b->pen->arg, b->bytes, b->len);
	b->sent += b->len;
	b->len = 0;
}

/* Add @len bytes that are sent in one piece. */
static void put_bytes(struct buffer *b, const char *bytes, size_t len)
{
	if (b->len + len > sizeof(b->bytes))
		flush(b);
	memcpy(b->bytes + b->len, bytes, len);
	b->len += len;
}

static void put_cursor(struct buffer *b, unsigned row, unsigned col)
{
	char text[24];

	if (b->pen->row == row && b->pen->col == col)
		return;
	put_bytes(b, text, (size_t)ksnprintf(text, sizeof(text), "\033[%u;%uH", row + 1, col + 1));
	b->pen->row = row;
	b->pen->col = col;
}

static void put_cell(struct buffer *b, u8 c, u8 colour)
{
	char text[16] = {(char)c};

	if (b->pen->colour != colour) {
		put_bytes(
		    b, text, (size_t)ksnprintf(text, sizeof(text), "\033[0%sm", colours[colour]));
		b->pen->colour = colour;
	}
	if (c == (u8)MIDDLE_DOT)
		put_bytes(b, b->pen->utf8 ? "\xc2\xb7" : ".", b->pen->utf8 ? 2 : 1);
	else
		put_bytes(b, (const char *)&c, 1);
	b->pen->col++;
}

static bool differs(
    const struct live_frame *a, const struct live_frame *b, unsigned row, unsigned col)
{
	return a->text[row][col] != b->text[row][col] || a->colour[row][col] != b->colour[row][col];
}

/* Send the differences in the row, as far as the budget allows; true: all were sent. */
static bool send_row(struct buffer *b, struct live_frame *shown, const struct live_frame *next,
    unsigned row, size_t budget)
{
	unsigned col, i;

	for (col = 0; col < next->cols; col++) {
		if (!differs(shown, next, row, col))
			continue;
		if (b->sent + b->len >= budget)
			return false;
		/* Send the text in between again, if it is no longer than a cursor move. */
		i = col;
		if (b->pen->row == row && b->pen->col < col && col - b->pen->col <= GAP)
			i = b->pen->col;
		put_cursor(b, row, i);
		for (; i <= col; i++) {
			put_cell(b, next->text[row][i], next->colour[row][i]);
			shown->text[row][i] = next->text[row][i];
			shown->colour[row][i] = next->colour[row][i];
		}
		/*
		 * Behind the last column, terminals place the cursor differently: its row is
		 * unknown.
		 */
		if (b->pen->col >= next->cols)
			b->pen->row = LIVE_MAX_ROWS;
	}
	return true;
}

size_t live_frame_send(
    struct live_pen *pen, struct live_frame *shown, const struct live_frame *next, size_t budget)
{
	struct buffer b = {.pen = pen};
	unsigned n;

	for (n = 0; n < next->rows; n++) {
		if (pen->next >= next->rows)
			pen->next = 0;
		if (!send_row(&b, shown, next, pen->next, budget))
			break;
		pen->next++;
	}
	flush(&b);
	return b.sent;
}

/* ---- input ---- */

enum { AT_START, AFTER_ESC, IN_ROW, IN_COL, IN_OTHER };

enum live_event live_input(struct live_input *in, u8 byte)
{
	unsigned *number = in->state == IN_ROW ? &in->row : &in->col;
	unsigned was = in->state;
	/* ESC [ [ begins a function key of Linux' console, and another byte ends it. */
	bool first_of_two = was == IN_ROW && byte == '[' && !in->row;

	if (was == AT_START) {
		in->key = byte;
		if (byte != 27)
			return LIVE_TYPED;
		in->state = AFTER_ESC;
		return LIVE_NOTHING;
	}
	if (was == AFTER_ESC && byte == 27) {
		in->key = byte; /* the ESC before this one was a key of its own */
		return LIVE_TYPED;
	}
	if (was == AFTER_ESC && byte == '[') {
		in->row = in->col = 0;
		in->state = IN_ROW;
	} else if ((was == IN_ROW || was == IN_COL) && byte >= '0' && byte <= '9') {
		*number = MIN(*number * 10 + byte - '0', 9999u);
	} else if (was == IN_ROW && byte == ';') {
		in->state = IN_COL;
	} else if (was == AFTER_ESC ? byte == 'O' : byte < '@' || byte > '~' || first_of_two) {
		/* inside the sequence of some other key, until a letter ends it */
		in->state = IN_OTHER;
	} else {
		in->state = AT_START;
		in->key = 0;
		return was == IN_COL && byte == 'R' ? LIVE_SIZE : LIVE_TYPED;
	}
	return LIVE_NOTHING;
}
