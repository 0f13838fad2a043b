/* SPDX-License-Identifier: MIT */
/*
 * judge_help.h: a world that a test makes up around a soak: all that the soak asks of it, and all that it says, is in one
 * text, which must be the expected one.  For suites that include the source of a soak, with the names of what it
 * calls changed into those of this world.
 */
#ifndef QUARRY_TESTS_JUDGE_HELP_H
#define QUARRY_TESTS_JUDGE_HELP_H

#include <quarry/ktest.h>
#include <quarry/mm.h>

#define JUDGE_TEXT 16384
#define JUDGE_JOBS 8

/* A thread of the soak; it runs when it is joined. */
struct judge_job {
	const char *name;
	void (*fn)(void *arg);
	void *arg;
};

static struct judge {
	char text[JUDGE_TEXT];
	size_t len;
	bool quiet;      /* calls are not noted, only what the soak says */
	u64 now, tick;   /* the clock, and what each look at it adds */
	unsigned jobs, no_job; /* started; the one that finds no memory, from 1 on */
	struct judge_job job[JUDGE_JOBS];
	unsigned sleeps; /* and yields: after so many, *stop is set */
	u32 *stop;
	struct mm_violation violation; /* what: check_memory finds it */
	unsigned long managed[4]; /* answers of memory_managed_by_request, in turn */
	unsigned asked;
} judge;

static inline void judge_clear(void)
{
	judge.len = 0;
	judge.text[0] = '\0';
}

/* Another run, of which the text follows that of the one before. */
static inline void judge_again(void)
{
	memset(&judge.quiet, 0, sizeof(judge) - offsetof(struct judge, quiet));
	judge.tick = 1;
}

static inline void judge_begin(void)
{
	judge_clear();
	judge_again();
}

static inline void judge_add(const char *fmt, va_list ap)
{
	judge.len += (size_t)kvsnprintf(judge.text + judge.len, JUDGE_TEXT - judge.len, fmt, ap);
	if (judge.len >= JUDGE_TEXT)
		panic("judge: the text is full");
}

/* What the soak says. */
static inline void judge_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static inline void judge_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	judge_add(fmt, ap);
	va_end(ap);
}

/* What it does. */
static inline void judge_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static inline void judge_note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (!judge.quiet)
		judge_add(fmt, ap);
	va_end(ap);
}

static inline unsigned judge_times(const char *words)
{
	unsigned found = 0;
	size_t i;

	for (i = 0; i < judge.len; i++)
		found += strncmp(judge.text + i, words, strlen(words)) == 0;
	return found;
}

/* In pieces, for a line may only be so long. */
static inline void judge_print(void)
{
	size_t i;

	printk("  # said:\n");
	for (i = 0; i < judge.len; i += 200)
		printk("%.200s", judge.text + i);
	printk("\n  # end\n");
}

/* The text so far is @want; it begins anew. */
static inline void judge_expect(struct ktest *t, const char *file, const char *want, int line)
{
	size_t i;

	for (i = 0; judge.text[i] && judge.text[i] == want[i]; i++)
		;
	if (judge.text[i] != want[i]) {
		judge_print();
		ktest_fail(t, file, line, "from byte %lu on it is \"%.70s\", not \"%.70s\"", (unsigned long)i,
		    judge.text + i, want + i);
	}
	judge_clear();
}
#define EXPECT_SAID(t, want) judge_expect((t), __FILE__, (want), __LINE__)

/* Of all that was said @words is the only complaint, and the last line a failure; "": there is none before that. */
static inline void judge_complaint(struct ktest *t, const char *file, const char *words, int line)
{
	unsigned found = *words ? judge_times(words) : 0, all = judge_times("FAIL: "), want = *words != '\0';

	if (found != want || all != want || judge.len < 6 || strcmp(judge.text + judge.len - 6, " FAIL\n") != 0) {
		judge_print();
		ktest_fail(t, file, line, "%u complaints, %u as expected: %s", all, found, words);
	}
	judge_clear();
}
#define EXPECT_COMPLAINT(t, words) judge_complaint((t), __FILE__, (words), __LINE__)

/* ---- what every soak asks for ---- */

static inline u64 judge_clock(void)
{
	judge.now += judge.tick;
	return judge.now;
}

/* Chance that a reader can follow. */
static inline u64 judge_rand(u64 *state)
{
	return (*state)++;
}

static inline struct thread *judge_start(const char *name, int cpu, void (*fn)(void *), void *arg)
{
	bool some = ++judge.jobs != judge.no_job;

	judge_note("[%s%s on %d]", some ? "" : "no ", name, cpu);
	judge.job[judge.jobs - 1] = (struct judge_job){name, fn, arg};
	return some ? (struct thread *)&judge.job[judge.jobs - 1] : NULL;
}

static inline void judge_join(struct thread *thread)
{
	struct judge_job *job = (struct judge_job *)thread;

	job->fn(job->arg);
	judge_note("[%s joined]\n", job->name);
}

static inline void judge_turn(void)
{
	if (judge.stop && judge.sleeps && --judge.sleeps == 0)
		*judge.stop = 1;
}

static inline void judge_yield(void)
{
	judge_turn();
}

static inline void judge_sleep(u64 ns)
{
	judge_note("[sleep %llu]\n", (unsigned long long)ns);
	judge_turn();
}

static inline int judge_check(struct memory *mem, struct mm_violation *v)
{
	judge_note("[check]\n");
	*v = judge.violation;
	return v->what ? -EUCLEAN : 0;
}

/* The last answer stays. */
static inline unsigned long judge_managed(struct memory *mem, unsigned long *from_standby)
{
	unsigned i = judge.asked < ARRAY_SIZE(judge.managed) - 1 ? judge.asked++ : judge.asked;

	if (from_standby)
		*from_standby = 7;
	return judge.managed[i];
}

#endif
