/* SPDX-License-Identifier: MIT */
/* live_screen.h: the live screen's state and its drawing, for live.c, which sets its content. */
#ifndef DEMO_LIVE_SCREEN_H
#define DEMO_LIVE_SCREEN_H

#include "demo/live_draw.h"

#define LIVE_KEPT     48 /* lines */
#define LIVE_FRAME_NS 100000000ULL
#define LIVE_TURN_NS  10000000ULL /* the pause between two checks for a key */

struct screen {
	struct live_view view;
	struct live_frame shown, next;
	struct live_pen pen;
	struct pfn_range range;
	u64 rounds;                      /* drain rounds when the shown offline began */
	u64 all_rounds;                  /* drain rounds at the last frame */
	u64 began, second;               /* when the title was set; when the rates were last read */
	u64 drawn;                       /* when the last frame was drawn */
	char kept[LIVE_KEPT][LIVE_TEXT]; /* lines that are printed when the screen ends */
	unsigned nr_kept;                /* lines so far; the last LIVE_KEPT are kept */
};

#define NR_LIVE_THREADS 2
struct live_screen {
	struct mutex lock;                      /* protects *s while a drawing thread runs */
	struct waitq wake;                      /* drawing threads sleep here */
	struct screen *s;                       /* allocated once, when first needed */
	struct thread *thread[NR_LIVE_THREADS]; /* the drawing threads; NULL: none */
	pfn_t focus;  /* the map's rows are around this page, or PFN_NONE */
	u64 log;      /* position in the log when the screen was opened */
	u32 on, stop; /* atomic */
	bool paused, step, quit;
	bool lines;           /* the next line of output turns the screen off */
	bool in_policy, skip; /* a policy is shown; the rest of its pauses are skipped */
};
extern struct live_screen live_screen;

/* The number of drain rounds of @mem so far. */
u64 live_drain_rounds(const struct memory *mem);
/*
 * Open the screen if picture=live and a terminal says that it is large enough; false: not opened.
 * live_screen_close closes it.
 */
bool live_screen_open(void);
void live_screen_close(void);
/* Prepare the screen's memory for a terminal of that size; false: too small, or no memory. */
bool live_screen_prepare(unsigned cols, unsigned rows);
/* Clear the content, and read the memory. */
void live_screen_forget(void);
/* Fit the screen to the terminal's new size; false: the size is too small. */
bool live_screen_resize(void);
/* Draw a frame now.  Context: thread. */
void live_draw(void);
/* Start the threads that draw, on other CPUs than this one if there are some. */
void live_draw_start(void);

#endif
