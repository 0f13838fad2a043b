/* SPDX-License-Identifier: MIT */
/*
 * judge_help.h: a simulated world around a soak: one text has every call that the soak makes and
 * all that it prints, and a test compares the text with the expected one. A suite includes the
 * source of a soak, and replaces the names of called functions by those of this world.
 */
#ifndef QUARRY_TESTS_JUDGE_HELP_H
#define QUARRY_TESTS_JUDGE_HELP_H

#include <quarry/console.h>
#include <quarry/ktest.h>
#include <quarry/memory_hotplug.h>
#include <quarry/mm.h>
#include <quarry/stress.h>
#include <quarry/string.h>

#define JUDGE_TEXT 16384
#define JUDGE_JOBS 8

/* A thread of the soak; it runs when it is joined or, with judge.at_once, when it is started. */
struct judge_job {
	const char *name;
	void (*fn)(void *arg);
	void *arg;
};

struct judge {
	char text[JUDGE_TEXT];
	size_t len;
	bool quiet;            /* calls are not noted, only the soak's output */
	u64 now, tick;         /* the clock, and the time that each reading takes */
	unsigned jobs, no_job; /* threads started; number, from 1, of the one that does not start */
	bool at_once;
	struct judge_job job[JUDGE_JOBS];
	unsigned sleeps; /* sleeps and yields until *stop is set */
	u32 *stop;
	struct mm_violation violation; /* reported by check_memory, if its @what is set */
	unsigned long managed[4];      /* answers of memory_managed_by_request, in turn */
	unsigned asked;
	cpumask_t online[1];
	int cpu_err; /* result of each cpu_down and cpu_up */
	bool no_range;
	/* offlines so far; the one, from 1, that returns offline_err: 0: each */
	unsigned offlines, fails;
	int offline_err, online_err;
	struct offline_result res; /* of each offline */
	u64 takes;                 /* nanoseconds of each offline */
	/* Called in each offline, after its on_isolated; may be NULL. */
	void (*isolated)(struct offline_result *res);
	u64 event[NR_MM_EVENTS], each[NR_MM_EVENTS]; /* counts; their increase at each reading */
	bool no_stress;
	int stop_err;
	struct stress_report report;
	bool live; /* the live screen is on */
	unsigned asked_quit,
	    quits; /* live_quit returns true from its @quits-th call on; 0: never */
};
extern struct judge judge;
extern struct memory judge_memory; /* cleared by no function of these */

/* As judge.violation it is printed as "NAME: FAIL: word at 0x5: 0x6, should be 0x7\n". */
#define JUDGE_BAD_WORD ((struct mm_violation){"word", 5, 6, 7})

void judge_clear(void);

/* Begin another run; its text is appended to that of the run before. */
void judge_again(void);

void judge_begin(void);

/* Append text that the soak prints. */
void judge_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Append a call that the soak makes, unless judge.quiet is set. */
void judge_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

unsigned judge_times(const char *words);

/* The text so far must be @want; then the text is cleared. */
void judge_expect(struct ktest *t, const char *file, const char *want, int line);
#define EXPECT_SAID(t, want) judge_expect((t), __FILE__, (want), __LINE__)

/*
 * @words, apart from each other by |, must be in the text, each once, or as often as a number and a
 * colon before it say.  No FAIL is in the text but theirs.  Then the text is cleared.
 */
void judge_words(struct ktest *t, const char *file, const char *words, int line);
#define EXPECT_WORDS(t, words) judge_words((t), __FILE__, (words), __LINE__)
/*
 * A row of a table of verdicts: begin() a world, change it by @setup, and make the call.  Its
 * result and its words must be these.
 */
#define EXPECT_VERDICT(t, setup, call, result, words)                                              \
	do {                                                                                       \
		begin();                                                                           \
		setup;                                                                             \
		EXPECT_EQ((t), (call), (result));                                                  \
		EXPECT_WORDS((t), (words));                                                        \
	} while (0)

/* ---- calls that every soak makes ---- */

u64 judge_clock(void);

/* Simple "random" numbers: each is one more than the number before. */
u64 judge_rand(u64 *state);

struct thread *judge_start(const char *name, int cpu, void (*fn)(void *), void *arg);

void judge_join(struct thread *thread);

void judge_yield(void);

void judge_sleep(u64 ns);

unsigned judge_nr_online(void);

int judge_cpu_down(unsigned cpu);

int judge_cpu_up(unsigned cpu);

int judge_check(struct memory *mem, struct mm_violation *v);

/* Returns the numbers of judge.managed in turn; the last one is repeated. */
unsigned long judge_managed(struct memory *mem, unsigned long *from_standby);

/* All that is wanted, at 0x200. */
pfn_t judge_range(struct memory *mem, unsigned long want, unsigned long *nr);

int judge_offline(struct memory *mem, pfn_t start, unsigned long nr,
    const struct offline_opts *opts, struct offline_result *res);

int judge_online(struct memory *mem, pfn_t start, unsigned long nr, struct mm_fail *fail);

u64 judge_events(const struct memory *mem, enum mm_event ev);

struct stress *judge_stress_start(struct memory *mem, unsigned first, unsigned nr, u64 seed);

int judge_stress_stop(struct stress *s, struct stress_report *report);

#endif
