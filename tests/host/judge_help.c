/* SPDX-License-Identifier: MIT */
/* judge_help.c: see judge_help.h. */
#define smp_stats judge_smp
#include <quarry/errno.h>
#include <quarry/isolation.h>
#include <quarry/smp.h>

#include "tests/host/judge_help.h"

struct judge judge;
struct memory judge_memory;
struct judge_smp judge_smp;

void judge_clear(void)
{
	judge.len = 0;
	judge.text[0] = '\0';
}

void judge_again(void)
{
	memset(&judge.quiet, 0, sizeof(judge) - offsetof(struct judge, quiet));
	judge.tick = 1;
	judge.res = (struct offline_result){
	    .rounds = 1, .ipis = 3, .loops = 3, .moved = 9, .fail = {5, WHY_PINNED}};
	judge.report = (struct stress_report){.ops = 50, .frees = 40, .frees_remote = 10};
	judge_smp = (struct judge_smp){.ipis = 70, .from_alloc = 3};
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

static unsigned times_in(const char *text, size_t size, const char *words, size_t len)
{
	unsigned found = 0;
	size_t i;

	for (i = 0; i + len <= size; i++)
		found += strncmp(text + i, words, len) == 0;
	return found;
}

unsigned judge_times(const char *words)
{
	return times_in(judge.text, judge.len, words, strlen(words));
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

void judge_words(struct ktest *t, const char *file, const char *words, int line)
{
	unsigned failures = 0, said = judge_times("FAIL: ");
	bool good = true;

	while (*words) {
		unsigned len, found, want = 1;

		if (words[1] == ':') {
			want = (unsigned)(*words - '0');
			words += 2;
		}
		for (len = 0; words[len] && words[len] != '|'; len++)
			;
		found = times_in(judge.text, judge.len, words, len);
		if (found != want) {
			ktest_fail(
			    t, file, line, "%u times, not %u: %.*s", found, want, (int)len, words);
			good = false;
		}
		failures += want * times_in(words, len, "FAIL: ", 6);
		words += len + (words[len] == '|');
	}
	if (failures != said)
		ktest_fail(t, file, line, "%u failures are printed, not %u", said, failures);
	if (!good || failures != said)
		judge_print();
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
	struct judge_job *job = &judge.job[(judge.jobs - 1) % JUDGE_JOBS];

	judge_note("[%s%s on %d]", some ? "" : "no ", name, cpu);
	*job = (struct judge_job){name, fn, arg};
	if (some && judge.at_once)
		fn(arg);
	return some ? (struct thread *)job : NULL;
}

void judge_join(struct thread *thread)
{
	struct judge_job *job = (struct judge_job *)thread;

	if (!judge.at_once)
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

/* ---- memory, and the stress on it ---- */

pfn_t judge_range(struct memory *mem, unsigned long want, unsigned long *nr)
{
	*nr = want;
	return judge.no_range ? PFN_NONE : 0x200;
}

int judge_offline(struct memory *mem, pfn_t start, unsigned long nr,
    const struct offline_opts *opts, struct offline_result *res)
{
	bool fails = ++judge.offlines == judge.fails || !judge.fails;

	judge_note("[offline %lu at %#lx, %s, %llu ns%s]", nr, start, iso_policy_name(opts->policy),
	    (unsigned long long)opts->deadline_ns,
	    !judge.stop || opts->cancel == judge.stop ? "" : ", not to be cancelled");
	judge.res.policy = opts->policy;
	if (opts->on_isolated)
		opts->on_isolated(opts->arg);
	if (judge.isolated)
		judge.isolated(&judge.res);
	*res = judge.res;
	if (opts->cancel && READ_ONCE(*opts->cancel))
		return -EINTR;
	if (opts->on_commit)
		opts->on_commit(opts->arg);
	judge.now += judge.takes;
	return fails ? judge.offline_err : 0;
}

int judge_online(struct memory *mem, pfn_t start, unsigned long nr, struct mm_fail *fail)
{
	judge_note("[online %lu at %#lx]\n", nr, start);
	*fail = (struct mm_fail){5, WHY_BUSY};
	return judge.online_err;
}

u64 judge_events(const struct memory *mem, enum mm_event ev)
{
	return judge.event[ev] += judge.each[ev];
}

struct stress *judge_stress_start(struct memory *mem, unsigned first, unsigned nr, u64 seed)
{
	judge_note("[stress on %u from %u, seed %llu]\n", nr, first, (unsigned long long)seed);
	return judge.no_stress ? NULL : (struct stress *)&judge;
}

int judge_stress_stop(struct stress *s, struct stress_report *report)
{
	judge_note("[stress ends]\n");
	*report = judge.report;
	return judge.stop_err;
}
