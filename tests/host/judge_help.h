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
#include <quarry/mm.h>
#include <quarry/string.h>

#define JUDGE_TEXT 16384
#define JUDGE_JOBS 8

/* A thread of the soak; it runs when it is joined. */
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
	struct judge_job job[JUDGE_JOBS];
	unsigned sleeps; /* sleeps and yields until *stop is set */
	u32 *stop;
	struct mm_violation violation; /* reported by check_memory, if its @what is set */
	unsigned long managed[4];      /* answers of memory_managed_by_request, in turn */
	unsigned asked;
	cpumask_t online[1];
	int cpu_err; /* result of each cpu_down and cpu_up */
};
extern struct judge judge;

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
 * @words must be the only complaint in the output, whose last line is a failure. "": there is no
 * complaint before that line.
 */
void judge_complaint(struct ktest *t, const char *file, const char *words, int line);
#define EXPECT_COMPLAINT(t, words) judge_complaint((t), __FILE__, (words), __LINE__)

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

#endif
