/* SPDX-License-Identifier: MIT */
/* judge_help.c: see judge_help.h. */
#include "tests/host/judge_help.h"

struct judge judge;

void judge_clear(void)
{
	judge.len = 0;
	judge.text[0] = '\0';
}

void judge_again(void)
{
	memset(&judge.quiet, 0, sizeof(judge) - offsetof(struct judge, quiet));
	judge.tick = 1;
}

void judge_begin(void)
{
	judge_clear();
	judge_again();
}

static void judge_add(const char *fmt, va_list ap)
{
	judge.len += (size_t)kvsnprintf(judge.text + judge.len, JUDGE_TEXT - judge.len, fmt, ap);
	if (judge.len >= JUDGE_TEXT)
		panic("judge: the text is full");
}

void judge_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	judge_add(fmt, ap);
	va_end(ap);
}

void judge_note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (!judge.quiet)
		judge_add(fmt, ap);
	va_end(ap);
}

unsigned judge_times(const char *words)
{
	unsigned found = 0;
	size_t i;

	for (i = 0; i < judge.len; i++)
		found += strncmp(judge.text + i, words, strlen(words)) == 0;
	return found;
}

/* Print the text in pieces, because the length of a line is limited. */
static void judge_print(void)
{
	size_t i;

	printk("  # said:\n");
	for (i = 0; i < judge.len; i += 200)
		printk("%.200s", judge.text + i);
	printk("\n  # end\n");
}

void judge_expect(struct ktest *t, const char *file, const char *want, int line)
{
	size_t i;

	for (i = 0; judge.text[i] && judge.text[i] == want[i]; i++)
		;
	if (judge.text[i] != want[i]) {
		judge_print();
		ktest_fail(t, file, line, "from byte %lu on it is \"%.70s\", not \"%.70s\"",
		    (unsigned long)i, judge.text + i, want + i);
	}
	judge_clear();
}

void judge_complaint(struct ktest *t, const char *file, const char *words, int line)
{
	unsigned found = *words ? judge_times(words) : 0, all = judge_times("FAIL: "),
	         want = *words != '\0';

	if (found != want || all != want || judge.len < 6 ||
	    strcmp(judge.text + judge.len - 6, " FAIL\n") != 0) {
		judge_print();
		ktest_fail(t, file, line, "%u complaints, %u as expected: %s", all, found, words);
	}
	judge_clear();
}

/* ---- calls that every soak makes ---- */

u64 judge_clock(void)
{
	judge.now += judge.tick;
	return judge.now;
}

u64 judge_rand(u64 *state)
{
	return (*state)++;
}

struct thread *judge_start(const char *name, int cpu, void (*fn)(void *), void *arg)
{
	bool some = ++judge.jobs != judge.no_job;

	judge_note("[%s%s on %d]", some ? "" : "no ", name, cpu);
	judge.job[judge.jobs - 1] = (struct judge_job){name, fn, arg};
	return some ? (struct thread *)&judge.job[judge.jobs - 1] : NULL;
}

void judge_join(struct thread *thread)
{
	struct judge_job *job = (struct judge_job *)thread;

	job->fn(job->arg);
	judge_note("[%s joined]\n", job->name);
}

static void judge_turn(void)
{
	if (judge.stop && judge.sleeps && --judge.sleeps == 0)
		*judge.stop = 1;
}

void judge_yield(void)
{
	judge_turn();
}

void judge_sleep(u64 ns)
{
	judge_note("[sleep %llu]\n", (unsigned long long)ns);
	judge_turn();
}

unsigned judge_nr_online(void)
{
	return (unsigned)__builtin_popcountl(judge.online[0]);
}

static int shift(const char *what, unsigned cpu)
{
	judge_note("[%s %u]", what, cpu);
	if (!judge.cpu_err)
		judge.online[0] ^= 1UL << cpu;
	return judge.cpu_err;
}

int judge_cpu_down(unsigned cpu)
{
	return shift("down", cpu);
}

int judge_cpu_up(unsigned cpu)
{
	return shift("up", cpu);
}

int judge_check(struct memory *mem, struct mm_violation *v)
{
	judge_note("[check]\n");
	*v = judge.violation;
	return v->what ? -EUCLEAN : 0;
}

unsigned long judge_managed(struct memory *mem, unsigned long *from_standby)
{
	unsigned i = judge.asked < ARRAY_SIZE(judge.managed) - 1 ? judge.asked++ : judge.asked;

	if (from_standby)
		*from_standby = 7;
	return judge.managed[i];
}
