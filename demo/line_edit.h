/* SPDX-License-Identifier: MIT */
/*
 * line_edit.h: edits a line that is typed on a terminal: reads bytes, and keeps one row of the
 * terminal up to date.
 *
 * The row is redrawn with backspaces and the sequence that clears up to the end of the row.  So the
 * terminal's size need not be known; a line longer than LINE_WIDTH scrolls within its row.
 */
#ifndef DEMO_LINE_EDIT_H
#define DEMO_LINE_EDIT_H

#include <quarry/types.h>

#define LINE_MAX     120 /* bytes of a line, with the NUL at its end */
#define LINE_WIDTH   70  /* columns of a row, behind the prompt */
#define LINE_HISTORY 16

struct line_edit;

struct line_ops {
	void (*write)(void *arg, const char *s, size_t len);
	/*
	 * Call line_offer with each word that may follow @before, the text up to the word under the
	 * cursor; @word is that word up to the cursor.  May be NULL.
	 */
	void (*complete)(void *arg, struct line_edit *e, const char *before, const char *word);
};

/* KEY_ANY: any one byte more ends the sequence. */
enum line_key_state { KEY_PLAIN, KEY_ESCAPE, KEY_CSI, KEY_ONE, KEY_ANY, KEY_STRING };

struct line_edit {
	const struct line_ops *ops;
	void *arg;
	const char *prompt;
	char text[LINE_MAX];
	unsigned len, at; /* bytes of the text; index of the cursor */
	/* The text that the terminal shows behind the prompt. */
	char row[LINE_WIDTH];
	unsigned row_len, row_at, left; /* left: index of the first byte shown */
	char history[LINE_HISTORY][LINE_MAX];
	/* used: lines kept so far; back: which of them is shown, 1: the newest, 0: none */
	unsigned used, back;
	char draft[LINE_MAX]; /* the line being typed, while back > 0 */
	enum line_key_state state;
	unsigned number; /* first parameter of a sequence */
	bool more_numbers;
	bool tabbed; /* the key before was a Tab that added nothing */
	/* Completion. */
	char word[LINE_MAX], common[LINE_MAX];
	unsigned matches, column;
	bool listing, closed;
};

enum line_event {
	LINE_GOES_ON,
	LINE_READY, /* text has the line, NUL at its end */
	LINE_END,   /* Ctrl-D on an empty line */
};

/* Prepare @e, which the caller has zeroed. */
void line_init(struct line_edit *e, const struct line_ops *ops, void *arg, const char *prompt);
/* Print the prompt, and begin an empty line; the history stays. */
void line_begin(struct line_edit *e);
/* Handle the typed byte @c. */
enum line_event line_feed(struct line_edit *e, int c);
/*
 * Offer @word for completion; it is ignored unless it begins with the typed word.  @closed: a blank
 * is added behind the completed @word.
 */
void line_offer(struct line_edit *e, const char *word, bool closed);

#endif
