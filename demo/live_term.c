/* SPDX-License-Identifier: MIT */
/*
 * live_term.c: the terminal at the serial line.
 *
 * Owns:       the known state of the terminal, and the query that it has not answered yet.
 * Locks:      none: one thread asks, opens and closes; any thread may send.
 * Invariants: while the screen is open a panic first restores the terminal; closing the screen
 *             waits for the terminal's answer, if it has not come yet.
 * Tests:      live, tests/qemu/test_map.py; the bytes: live_draw.
 */
#include "demo/live_term.h"
#include "demo/live_draw.h"

#include <quarry/console.h>
#include <quarry/port.h>
#include <quarry/string.h>

#define OPEN      "\033[?1049h\033[?25l\033[0m\033[2J"
#define RESTORE   "\033[0m\033[?25h\033[?1049l"
#define ASK       "\0337\033[999;999H\033[6n\0338" /* ask for the place of the lower right corner */
#define ANSWER_NS 1000000000ULL
#define AGAIN_NS  2000000000ULL
#define TURN_NS   2000000ULL

static struct {
	unsigned cols, rows;
	bool open, waiting; /* waiting for an answer */
	u64 asked_at;
	struct live_input input;
} term;

static void write_term(const char *s)
{
	live_tty.write(s, strlen(s), term.open ? RESTORE : NULL);
}

void live_term_send(void *arg, const char *bytes, size_t len)
{
	live_tty.write(bytes, len, RESTORE);
}

static void ask(void)
{
	term.waiting = true;
	term.asked_at = arch_clock_ns();
	write_term(ASK);
}

/* Take the bytes that have arrived; returns a key, or -1. */
static int take(bool *resized)
{
	int c;

	while ((c = live_tty.key()) >= 0) {
		switch (live_input(&term.input, (u8)c)) {
		case LIVE_NOTHING: break;
		case LIVE_TYPED: return term.input.key;
		case LIVE_SIZE:
			term.waiting = false;
			*resized |= term.cols != term.input.col || term.rows != term.input.row;
			term.cols = term.input.col;
			term.rows = term.input.row;
			break;
		}
	}
	return -1;
}

static void wait_for_answer(void)
{
	u64 until = arch_clock_ns() + ANSWER_NS;
	bool resized = false;

	while (term.waiting && arch_clock_ns() < until) {
		if (take(&resized) < 0)
			thread_sleep(TURN_NS);
	}
}

bool live_term_ask(void)
{
	if (!live_tty.present())
		return false;
	term.cols = term.rows = 0;
	ask();
	wait_for_answer();
	return term.cols >= LIVE_MIN_COLS && term.rows >= LIVE_MIN_ROWS;
}

void live_term_size(unsigned *cols, unsigned *rows)
{
	*cols = term.cols;
	*rows = term.rows;
}

void live_term_open(void)
{
	term.open = true;
	console_hide();
	write_term(OPEN);
}

void live_term_close(void)
{
	wait_for_answer();
	term.open = false;
	write_term(RESTORE);
	console_unhide();
}

int live_term_key(bool *resized)
{
	int key = take(resized);

	if (term.open && arch_clock_ns() - term.asked_at > AGAIN_NS)
		ask();
	return key;
}

void live_term_replay(u64 pos)
{
	char piece[96];
	size_t n;

	while ((n = log_read(&pos, piece, sizeof(piece))) > 0)
		live_tty.write(piece, n, NULL);
}

void live_term_line(const char *text)
{
	write_term(text);
	write_term("\n");
}
