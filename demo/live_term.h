/* SPDX-License-Identifier: MIT */
/*
 * live_term.h: the terminal at the serial line: its size, its alternate screen, its keys.
 * Context: thread, one at a time; live_term_send: any.
 */
#ifndef DEMO_LIVE_TERM_H
#define DEMO_LIVE_TERM_H

#include <quarry/types.h>

/* The terminal at the serial line: the kernel's (demo/monitor.c), or one that a test simulates. */
struct live_tty {
	bool (*present)(void);
	int (*key)(void); /* the next byte that was typed; -1: none yet */
	/* As terminal_write and console_status of console.h. */
	void (*write)(const char *s, size_t len, const char *undo);
	void (*status)(const char *s, size_t len);
};
extern const struct live_tty live_tty;

/*
 * Ask the terminal for its size, and wait for the answer a second of guest time at most.  False:
 * there is no terminal that can show the screen.
 */
bool live_term_ask(void);
/* The size that the terminal reported last. */
void live_term_size(unsigned *cols, unsigned *rows);
/*
 * Switch to the alternate screen, without a cursor, and hide other text; live_term_close undoes it.
 */
void live_term_open(void);
void live_term_close(void);
/* Write to the terminal; for struct live_pen.  Any context. */
void live_term_send(void *arg, const char *bytes, size_t len);
/*
 * The next key that was typed, or -1: none yet.  Now and then asks for the size again.  Sets
 * *@resized if the size has changed.
 */
int live_term_key(bool *resized);
/* Write the hidden text that the log has from @pos on. */
void live_term_replay(u64 pos);
/* Write one line to the terminal only. */
void live_term_line(const char *text);

#endif
