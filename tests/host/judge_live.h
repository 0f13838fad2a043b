/* SPDX-License-Identifier: MIT */
/*
 * judge_live.h: a demonstration's screen as text, in the world of the test that includes this.
 * Text that is too wide for the screen is recorded as a fault.
 */
#ifndef QUARRY_TESTS_JUDGE_LIVE_H
#define QUARRY_TESTS_JUDGE_LIVE_H

#include "demo/live.h"
#include "tests/host/judge_help.h"

static struct {
	bool on;
	unsigned asked, quits; /* live_quit returns true from its @quits-th call on; 0: never */
} live;

static inline void judge_line(const char *what, size_t most, const char *fmt, va_list ap)
{
	char text[256];
	int len = kvsnprintf(text, sizeof(text), fmt, ap);

	judge_say("%s%s%s\n", what, text, (size_t)len > most ? " [too wide]" : "");
}

static inline void judge_live_act(unsigned nr, unsigned of, const char *fmt, ...)
{
	va_list ap;

	judge_say("act %u of %u: ", nr, of);
	va_start(ap, fmt);
	judge_line("", 60, fmt, ap);
	va_end(ap);
}

static inline void judge_live_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	judge_line("say: ", 78, fmt, ap);
	va_end(ap);
}

static inline void judge_live_result(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	judge_line("  ", 78, fmt, ap);
	va_end(ap);
}

static inline void judge_live_range(pfn_t start, unsigned long nr)
{
	if (nr)
		judge_note("[range %#lx %lu]", start, nr);
	else
		judge_note("[no range]\n");
}

static inline void judge_live_offline(const struct offline_result *res)
{
	judge_note("[%s]", res ? "watch" : "watched");
}

static inline void judge_live_policy(enum iso_policy policy, const struct live_policy *row)
{
	if (row->running)
		judge_note("[row %u runs]", policy);
	else
		judge_note("[row %u: %u %u %u%% %llu]\n", policy, row->rounds, row->ipis,
		    row->hit_rate, (unsigned long long)row->ms);
}

static inline void judge_live_hold(unsigned ms)
{
	judge_note("[hold %u]", ms);
	judge.now += live.on ? ms * 1000000ULL : 0;
}

static inline bool judge_live_on(void)
{
	return live.on;
}

static inline bool judge_live_quit(void)
{
	return ++live.asked >= live.quits && live.quits;
}

#define live_act         judge_live_act
#define live_say         judge_live_say
#define live_result      judge_live_result
#define live_range       judge_live_range
#define live_offline     judge_live_offline
#define live_policy(...) judge_live_policy(__VA_ARGS__)
#define live_hold        judge_live_hold
#define live_on          judge_live_on
#define live_quit        judge_live_quit

#endif
