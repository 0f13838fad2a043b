/* SPDX-License-Identifier: MIT */
/*
 * live_draw.h: the live screen as text: its content becomes a frame of characters, and the
 * difference of two frames becomes bytes for a terminal.
 */
#ifndef DEMO_LIVE_DRAW_H
#define DEMO_LIVE_DRAW_H

#include "demo/live.h"
#include "demo/live_cells.h"

#define LIVE_TEXT    79 /* bytes of a line of text, with the NUL at its end */
#define LIVE_RESULTS 24 /* results that are kept */

enum live_colour {
	LIVE_PLAIN,
	LIVE_BOLD,
	LIVE_DIM,
	LIVE_GREEN,
	LIVE_BUSY,
	LIVE_ISOLATED,
	LIVE_EMPTIED,
	LIVE_OFFLINE,
	LIVE_KERNEL,
	LIVE_BROKEN,
	LIVE_ASKED,
	LIVE_KEY,
	NR_LIVE_COLOURS
};

/* A terminal's characters: for each a byte of text (ASCII or MIDDLE_DOT) and a byte of colour. */
#define MIDDLE_DOT '\x7f'
struct live_frame {
	unsigned cols, rows;
	u8 text[LIVE_MAX_ROWS][LIVE_MAX_COLS], colour[LIVE_MAX_ROWS][LIVE_MAX_COLS];
};

/* The content of a frame. */
struct live_view {
	bool utf8; /* the terminal shows a middle dot */
	unsigned nr_cpus, nr_nodes;
	unsigned long mib;
	/* selftests: of @tests, @tests_done have run; @suite is NULL when no selftest runs */
	unsigned tests, tests_done, tests_failed;
	const char *suite;
	char title[LIVE_TEXT]; /* of an act, or of a command */
	unsigned seconds;
	bool stepping; /* draw @steps */
	struct live_steps steps;
	struct live_map map;
	struct live_cpu *cpu; /* an array of nr_cpus */
	struct live_policy policy[NR_ISO_POLICIES];
	bool policy_known[NR_ISO_POLICIES];
	char say[LIVE_TEXT], keys[LIVE_TEXT];
	char result[LIVE_RESULTS][LIVE_TEXT];
	unsigned nr_results; /* results so far; the last LIVE_RESULTS are kept */
};

/*
 * Make a blank frame; -EINVAL, with @f unchanged: @cols or @rows is below LIVE_MIN_COLS or _ROWS.
 */
int live_frame_init(struct live_frame *f, unsigned cols, unsigned rows);
/* The largest numbers of the map's rows, and of cells in a row, in a frame of @f's size. */
unsigned live_map_rows(const struct live_view *v, const struct live_frame *f);
unsigned live_map_cols(const struct live_frame *f);
/* Fill the frame from the view. */
void live_compose(struct live_frame *f, const struct live_view *v);

/* The state of the terminal's cursor, as far as it is known. */
struct live_pen {
	unsigned row, col; /* row LIVE_MAX_ROWS: unknown */
	u8 colour;         /* NR_LIVE_COLOURS: unknown */
	unsigned next;     /* the row at which the next live_frame_send begins */
	bool utf8;
	/* Send @bytes in one piece; no escape sequence is cut at their ends. */
	void (*send)(void *arg, const char *bytes, size_t len);
	void *arg;
};
/*
 * Send at most about @budget bytes that change a terminal from @shown to @next, and note the
 * changes in @shown.  The next call continues where this one ended.  Returns the number of bytes
 * sent.
 */
size_t live_frame_send(
    struct live_pen *pen, struct live_frame *shown, const struct live_frame *next, size_t budget);

/* ---- input ---- */

enum live_event { LIVE_NOTHING, LIVE_TYPED, LIVE_SIZE };
/* The state of live_input between two bytes of a key or of an answer; all zero at the start. */
struct live_input {
	unsigned state, row, col;
	u8 key; /* with LIVE_TYPED: the key; 0: a key of several bytes */
};
/* Take one byte.  LIVE_SIZE: the terminal has said that it has row × col characters. */
enum live_event live_input(struct live_input *in, u8 byte);

#endif
