/* SPDX-License-Identifier: MIT */
/*
 * live.h: the output of a demonstration while it runs: the live screen where a terminal can show
 * it, else lines.
 *
 * The demonstration reports its steps by these functions and prints nothing itself.  The state of
 * the memory (pageblocks, caches, counters) is not passed: the screen reads it.
 * All functions may be called whether the screen is on or not.  Context: thread, one at a time.
 * If a key has asked for lines, live_act, live_policy, live_say and live_result turn the screen
 * off.  This waits for threads on other CPUs, so call them while no CPU is held.
 */
#ifndef DEMO_LIVE_H
#define DEMO_LIVE_H

#include <quarry/isolation.h>
#include <quarry/memory_hotplug.h>
#include <quarry/mm.h>

/* One policy's row of figures; `running` is set until the row is complete. */
struct live_policy {
	unsigned rounds, ipis;
	unsigned hit_rate; /* cache hits during the offline, in per cent */
	u64 ms;
	bool running;
};

/* ---- the screen as a whole ---- */

/*
 * Call this before the selftests.  With picture=live on a terminal that is large enough, the screen
 * is on from here to live_stop.  It shows the selftests that ktest_run(@which) runs.
 */
void live_boot(const char *which);
/* The selftests have run; @failed of them failed. */
void live_tested(unsigned failed);
/* Turn the screen off, if it is on, and print the lines that it kept. */
void live_stop(void);
/*
 * For a command of the prompt: the screen is on, with @title, from live_begin to live_end; then the
 * output of the command is shown.  False: there is no screen.
 */
bool live_begin(const char *title);
void live_end(void);
/*
 * Show the map until a key is pressed.  Without a screen, or with @once, print one frame as lines.
 * @focus: a page: show only the rows around it, with one pageblock in a cell; or PFN_NONE.
 */
void live_look(pfn_t focus, bool once);
/* Is the live screen on? */
bool live_on(void);

/* ---- the content ---- */

/* An act begins: its number, the number of acts, and its claim in at most 60 characters. */
void live_act(unsigned nr, unsigned of, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* From now on the act is about the @nr pages from @start on; @nr 0: about no pages. */
void live_range(pfn_t start, unsigned long nr);
/*
 * An offline of live_range's pages begins, with result @res, or has ended (@res NULL).  The screen
 * reads the steps of the offline from the memory, and draws them until the next range or act.
 */
void live_offline(const struct offline_result *res);
/* Show the row of a policy, and print it if it is complete. */
void live_policy(enum iso_policy policy, const struct live_policy *row);
/* Show a line of at most 78 characters that explains the picture, instead of the line before. */
void live_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Show and keep a result of at most 78 characters; it is a line of the log too. */
void live_result(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* As live_say, but on the screen only. */
void live_explain(const char *text);
/*
 * Keep the picture for @ms of guest time if the screen is on; without it, return at once.  The user
 * may pause, or end the wait by a key.
 */
void live_hold(unsigned ms);
/* Has the user asked for the prompt?  Then the demonstration ends early, and says so. */
bool live_quit(void);

#endif
