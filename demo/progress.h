/* SPDX-License-Identifier: MIT */
/* progress.h: a line at the prompt that shows the progress of a long operation. */
#ifndef DEMO_PROGRESS_H
#define DEMO_PROGRESS_H

#include <quarry/mm.h>

#define PROGRESS_AFTER_NS 2000000000ULL /* guest time; shorter operations print nothing */
#define PROGRESS_EVERY_NS 500000000ULL
#define PROGRESS_LINE_NS                                                                           \
	10000000000ULL /* between two lines, if the output cannot overwrite the last one */
#define PROGRESS_WIDTH 79

struct progress {
	const char *what, *hint; /* name of the command; how to end it, or "" */
	bool off;                /* nothing is shown */
	u64 began, shown;        /* ns */
	const char *unit;        /* e.g. "MiB"; NULL: show the memory's own counters */
	u64 done, total;         /* numbers of units; total 0: unknown */
	/* NULL, or the page that the operation waits for; read while it changes */
	const struct mm_fail *blocker;
	u64 before[NR_MM_EVENTS];
};

/*
 * The operation @what begins now; @hint tells how to end it.  With @off, or without a terminal (no
 * picture=), nothing is shown.  The live screen shows the line as its explanation.  Where no row
 * can be rewritten, the line is printed every ten seconds.
 */
void progress_begin(struct progress *p, const char *what, const char *hint, bool off);
/* Show the line if it is time.  Context: thread, at the start of a row. */
void progress_tick(struct progress *p);
/* Write the line, as of @now, to @buf. */
void progress_text(const struct progress *p, u64 now, char *buf, size_t size);
/* The operation is over: remove the line. */
void progress_end(struct progress *p);

#endif
