/* SPDX-License-Identifier: MIT */
/*
 * live.h: the output of a demonstration while it runs: the live screen where a terminal can show
 * it, else lines.
 *
 * The demonstration reports its steps by these functions and prints nothing itself.  The state of
 * the memory (pageblocks, caches, counters) is not passed: the screen reads it.
 * All functions may be called whether the screen is on or not.  Context: thread, one at a time.
 */
#ifndef DEMO_LIVE_H
#define DEMO_LIVE_H

#include <quarry/isolation.h>
#include <quarry/memory_hotplug.h>
#include <quarry/mm.h>

/* One policy's row of figures; `running` is set until the row is complete. */
struct live_policy {
	unsigned rounds, ipis;
	unsigned hit_rate; /* hits of the caches meanwhile, in per cent */
	u64 ms;
	bool running;
};

/* ---- the screen as a whole ---- */

/*
 * Before the selftests: with picture=live on a terminal that is large enough, the screen is on from
 * here to live_stop, and shows the selftests @which of ktest_run.
 */
void live_boot(const char *which);
/* The selftests have run; @failed of them failed. */
void live_tested(unsigned failed);
/* End the screen, if it is on; the lines that it kept are printed. */
void live_stop(void);
/*
 * The same for a command of the prompt: the screen is on, with @title, from live_begin to live_end;
 * then the output of the command is shown.  False: there is no screen.
 */
bool live_begin(const char *title);
void live_end(void);
/*
 * Show the screen until a key is pressed, or print it once, as lines, where there is none (@once:
 * in any case).  @focus: PFN_NONE, or a page: only the rows around it are shown, with one pageblock
 * in a cell.
 */
void live_look(pfn_t focus, bool once);
/* Is the live screen on? */
bool live_on(void);

/* ---- the content ---- */

/* An act begins: its number, the number of acts, and its claim in at most 60 characters. */
void live_act(unsigned nr, unsigned of, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The act is about these pages from now on; nr 0: about none. */
void live_range(pfn_t start, unsigned long nr);
/*
 * An offline of these pages runs, or has ended (NULL): the screen draws its steps, which it reads
 * from the memory, until the next range or act.
 */
void live_offline(const struct offline_result *res);
/* Show the row of a policy, and print it if it is complete. */
void live_policy(enum iso_policy policy, const struct live_policy *row);
/* Show a line of at most 78 characters that explains the picture; it replaces the last one. */
void live_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* A result of at most 78 characters: it is kept, and is a line of the log. */
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
