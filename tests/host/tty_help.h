/* SPDX-License-Identifier: MIT */
/* tty_help.h: the terminal of the hosted program: its size, its keys, and what it shows. */
#ifndef QUARRY_TESTS_TTY_HELP_H
#define QUARRY_TESTS_TTY_HELP_H

#include <quarry/ktest.h>
#include <quarry/mm.h>

struct tty {
	unsigned cols, rows; /* its size; 0: there is no terminal */
	const char *keys;    /* bytes not typed yet; a | ends the present read */
	bool open;           /* the alternate screen is shown */
	unsigned opened, erased;
	u64 drawn;            /* bytes of frames */
	bool preemptible;     /* a frame was drawn by a thread that may be preempted */
	char text[2048];      /* written to the terminal while it is closed */
	char status[128];     /* its status line */
	unsigned statuses;    /* status lines so far */
	size_t len;           /* of the text */
	void (*on_key)(void); /* called at each read of a key; may be NULL */
};
/* One thread types and sets the fields; drawing threads write only while the screen is open. */
extern struct tty tty;

/* Begin with picture=@picture on a terminal of that size, with these keys. */
void tty_begin(const char *picture, unsigned cols, unsigned rows, const char *keys);
/* No terminal any more. */
void tty_end(void);
/* The same, and free the live screen, whose memory the kernel keeps. */
void tty_forget(void);

/* False, and the test is skipped: small pageblocks, so the kernel has no block for a screen. */
static inline bool tty_fits(struct ktest *t)
{
	if (PAGEBLOCK_ORDER < 9)
		ktest_skip(t, "needs pageblocks of 2 MiB");
	return PAGEBLOCK_ORDER >= 9;
}

#endif
