/* SPDX-License-Identifier: MIT */
/*
 * test_smp.c: cross-calls: which CPUs run them, how often, when they end, and in which contexts
 * they are refused.
 */
#include "tests/lib/mm_test.h"
#include "tests/lib/wait_help.h"
#include <quarry/ktest.h>
#include <quarry/smp.h>

#define MAX_CPUS 8
#define ROUNDS   200

#define MASK_WORDS 64 /* as many as nr_cpus may need */

struct seen {
	u32 runs[MAX_CPUS]; /* atomic: by CPU */
	u32 others;         /* atomic: runs on CPUs from MAX_CPUS on */
	u32 irqs_on;        /* atomic: runs with interrupts on */
};

static void note(void *arg)
{
	struct seen *seen = arg;
	unsigned cpu = arch_cpu_id();

	if (arch_irqs_enabled())
		counter_add(&seen->irqs_on, 1);
	counter_add(cpu < MAX_CPUS ? &seen->runs[cpu] : &seen->others, 1);
}

KTEST_SUITE(smp, 0);

KTEST(call_runs_once_on_every_cpu)
{
	struct seen seen = {.others = 0};
	unsigned cpu;

	EXPECT_EQ(t, smp_call_mask(NULL, note, &seen), nr_cpus_online() - 1);
	for (cpu = 0; cpu < ktest_cpus(); cpu++)
		EXPECT_EQ(t, seen.runs[cpu], cpumask_test(cpu_online_mask, cpu));
	EXPECT_EQ(t, seen.irqs_on, 0);
}

KTEST(call_runs_on_the_masked_cpus_only)
{
	unsigned asked, cpu;

	for (asked = 0; asked < ktest_cpus(); asked++) {
		struct seen seen = {.others = 0};

		EXPECT_EQ(t, call_cpu(asked, note, &seen), asked != arch_cpu_id());
		for (cpu = 0; cpu < ktest_cpus(); cpu++)
			EXPECT_EQ(t, seen.runs[cpu], cpu == asked);
		EXPECT_EQ(t, seen.others, 0);
	}
}

KTEST_COST(call_on_the_own_cpu_is_direct)
{
	cpumask_t nobody[MASK_WORDS] = {0};
	struct seen seen = {.others = 0};
	u64 ipis = READ_ONCE(smp_stats.ipis);

	EXPECT_EQ(t, call_cpu(arch_cpu_id(), note, &seen), 0);
	EXPECT_EQ(t, seen.runs[arch_cpu_id()], 1);
	EXPECT_EQ(t, seen.irqs_on, 0);
	EXPECT_EQ(t, READ_ONCE(smp_stats.ipis), ipis);
	EXPECT(t, arch_irqs_enabled());
	EXPECT_EQ(t, smp_call_mask(nobody, note, &seen), 0);
	EXPECT_EQ(t, seen.runs[arch_cpu_id()], 1);
}

KTEST(invalid_targets_are_counted)
{
	struct seen seen = {.others = 0};
	u64 bad = READ_ONCE(smp_stats.bad_cpu);

	if (nr_cpus % 64 == 0) {
		ktest_skip(t, "no bit of the mask is out of range");
		return;
	}
	EXPECT_EQ(t, call_cpu(nr_cpus, note, &seen), 0);
	EXPECT_EQ(t, READ_ONCE(smp_stats.bad_cpu), bad + 1);
}

/* All CPUs call all others at the same time: each waits for the others while they wait for it. */
struct crossing {
	u32 ready, done; /* atomic */
	u32 runs;        /* atomic */
	u32 wrong;       /* atomic: calls that reached another number of CPUs */
	unsigned cpus;
};

static void count_run(void *arg)
{
	counter_add((u32 *)arg, 1);
}

static void call_all(void *arg)
{
	struct crossing *c = arg;
	unsigned i;

	atomic_add(&c->ready, 1);
	SPIN_UNTIL(READ_ONCE(c->ready) >= c->cpus);
	for (i = 0; i < ROUNDS; i++)
		if (smp_call_mask(NULL, count_run, &c->runs) != (int)nr_cpus_online() - 1)
			counter_add(&c->wrong, 1);
}

KTEST(crossing_calls_end)
{
	struct crossing c = {.cpus = ktest_cpus()};

	run_from(0, call_all, &c);
	EXPECT_EQ(t, c.runs, ROUNDS * c.cpus * nr_cpus_online());
	EXPECT_EQ(t, c.wrong, 0);
}

/*
 * One CPU keeps its interrupts off until all others have called it: all requests are served,
 * although they share one pending bit.
 */
struct merging {
	u32 deaf;  /* atomic: the target's interrupts are off */
	u32 ran;   /* atomic: requests that have run */
	u32 asked; /* atomic: senders about to call */
	u32 early; /* atomic: requests served while interrupts were off */
	unsigned senders;
};
struct sender {
	struct merging *m;
	u32 ran; /* atomic: the sender's request has run */
	u32 unserved;
};

static void mark(void *arg)
{
	WRITE_ONCE(((struct sender *)arg)->ran, 1u);
	counter_add(&((struct sender *)arg)->m->ran, 1);
}

static void be_deaf(void *arg)
{
	struct merging *m = arg;
	irqflags_t flags = arch_irq_save();

	store_release(&m->deaf, 1u);
	SPIN_UNTIL(load_acquire(&m->asked) >= m->senders && (!m->senders || smp_call_pending()));
	if (READ_ONCE(m->ran))
		counter_add(&m->early, 1);
	arch_irq_restore(flags);
}

static void call_deaf(void *arg)
{
	struct sender *s = arg;

	SPIN_UNTIL(load_acquire(&s->m->deaf));
	atomic_add(&s->m->asked, 1);
	if (call_cpu(0, mark, s) != 1 || !READ_ONCE(s->ran))
		s->unserved = 1;
}

KTEST(merged_requests_are_all_served)
{
	struct merging m = {.senders = ktest_cpus() - 1};
	struct sender senders[MAX_CPUS] = {{.m = NULL}};
	unsigned cpu, round;

	for (round = 0; round < 20; round++) {
		m = (struct merging){.senders = ktest_cpus() - 1};
		for (cpu = 1; cpu < ktest_cpus(); cpu++) {
			senders[cpu] = (struct sender){.m = &m};
			ktest_start(cpu, call_deaf, &senders[cpu]);
		}
		ktest_on_cpu(0, be_deaf, &m);
		for (cpu = 1; cpu < ktest_cpus(); cpu++) {
			ktest_join(cpu);
			EXPECT_EQ(t, senders[cpu].unserved, 0);
		}
		EXPECT_EQ(t, m.ran, m.senders);
		EXPECT_EQ(t, m.early, 0);
	}
}

/*
 * CPU 1 is held inside the called function while CPU 0 waits for its answer and serves calls of
 * CPU 2.  CPU 0 looks for the answer after each of these, so it would notice one that came early.
 */
#define LOOKS 100
struct held {
	u32 began, go, ended; /* atomic: the function on CPU 1 */
	u32 returned;         /* atomic: the call of CPU 0 has ended */
	u32 early;            /* atomic: it had ended before the function */
	u32 served;           /* atomic: calls of CPU 2 */
};

static void run_until_told(void *arg)
{
	struct held *h = arg;

	store_release(&h->began, 1u);
	SPIN_UNTIL(load_acquire(&h->go));
	store_release(&h->ended, 1u);
}

static void call_held(void *arg)
{
	struct held *h = arg;

	call_cpu(1, run_until_told, h);
	WRITE_ONCE(h->early, !load_acquire(&h->ended));
	store_release(&h->returned, 1u);
}

static void keep_sender_looking(void *arg)
{
	struct held *h = arg;

	SPIN_UNTIL(load_acquire(&h->began));
	while (READ_ONCE(h->served) < LOOKS && !load_acquire(&h->returned))
		call_cpu(0, count_run, &h->served);
	store_release(&h->go, 1u);
}

KTEST(answer_comes_after_fn_returned)
{
	struct held h = {.go = 0};

	if (!ktest_needs_cpus(t, 3))
		return;
	ktest_start(0, call_held, &h);
	ktest_on_cpu(2, keep_sender_looking, &h);
	ktest_join(0);
	EXPECT(t, SPIN_UNTIL(load_acquire(&h.ended)));
	EXPECT(t, !READ_ONCE(h.early));
}

/* A function that runs several times: its count on each CPU, and a call that arrived in between. */
#define PIECES 5
struct pieces {
	struct seen seen;
	u32 other; /* atomic: a call of another CPU was served */
	u32 wait;  /* run on until that call was served */
};

static void run_in_pieces(void *arg)
{
	struct pieces *p = arg;
	const u32 *runs = &p->seen.runs[arch_cpu_id()];

	if (p->wait && READ_ONCE(p->other))
		return;
	note(&p->seen);
	if (READ_ONCE(*runs) < (p->wait ? 1000000u : PIECES))
		smp_call_again();
}

KTEST(function_runs_again_before_it_is_answered)
{
	cpumask_t mask[MASK_WORDS] = {0};
	struct pieces p = {.wait = 0};
	u64 ipis = READ_ONCE(smp_stats.ipis);
	unsigned cpu, nr = ktest_cpus();

	for (cpu = 0; cpu < nr; cpu++)
		cpumask_set(mask, cpu);
	EXPECT_EQ(t, smp_call_mask(mask, run_in_pieces, &p), nr - (arch_cpu_id() < nr));
	for (cpu = 0; cpu < nr; cpu++)
		EXPECT_EQ(t, READ_ONCE(p.seen.runs[cpu]), PIECES);
	EXPECT_EQ(t, p.seen.irqs_on, 0);
	EXPECT_EQ(t, READ_ONCE(smp_stats.ipis), ipis + nr - (arch_cpu_id() < nr));
}

static void note_other(void *arg)
{
	WRITE_ONCE(((struct pieces *)arg)->other, 1u);
}

/* Make a call as soon as the pieces have begun. */
static void call_in_between(void *arg)
{
	struct pieces *p = arg;

	SPIN_UNTIL(READ_ONCE(p->seen.runs[0]) > 0);
	call_cpu(0, note_other, p);
}

static void call_in_pieces(void *arg)
{
	call_cpu(0, run_in_pieces, arg);
}

/* CPU 0 runs the pieces; the call comes from CPU 0, then from CPU 1. */
KTEST(calls_are_served_between_the_pieces_of_one)
{
	unsigned from;

	if (!ktest_needs_cpus(t, 3))
		return;
	for (from = 0; from < 2; from++) {
		struct pieces p = {.wait = 1};

		/* Start this call first: the pieces leave CPU 0 no time for the test's thread. */
		ktest_start(2, call_in_between, &p);
		ktest_start(from, call_in_pieces, &p);
		ktest_join(from);
		ktest_join(2);
		EXPECT(t, READ_ONCE(p.other));
		EXPECT(t, READ_ONCE(p.seen.runs[0]) < 1000000u);
	}
}

struct refusal {
	struct seen seen;
	int irqs_off, locked, nested;
};

/* Make a call inside a call, in whichever context a CPU runs it. */
static void call_again(void *arg)
{
	struct refusal *r = arg;

	r->nested = smp_call_mask(NULL, note, &r->seen);
}

KTEST(call_in_a_wrong_context_sends_nothing,
    .reports = "?smp: a cross-call was refused: irqs off,|?smp: a cross-call was refused: irqs on,")
{
	struct refusal r = {.nested = 0};
	struct spinlock lock = SPINLOCK("test", RANK_OBJECT);
	u64 refused = READ_ONCE(smp_stats.bad_context);
	irqflags_t flags = arch_irq_save();

	r.irqs_off = smp_call_mask(NULL, note, &r.seen);
	arch_irq_restore(flags);
	spin_lock(&lock);
	r.locked = smp_call_mask(NULL, note, &r.seen);
	spin_unlock(&lock);
	call_cpu(ktest_cpus() - 1, call_again, &r);
	EXPECT_EQ(t, r.irqs_off, -EDEADLK);
	EXPECT_EQ(t, r.locked, -EDEADLK);
	EXPECT_EQ(t, r.nested, -EDEADLK);
	EXPECT_EQ(t, READ_ONCE(smp_stats.bad_context), refused + 3);
	/* Every CPU answers once more: a call that was not refused would be served by now. */
	smp_call_mask(NULL, note, &r.seen);
	EXPECT_EQ(t, r.seen.runs[0], 1);
	EXPECT_EQ(t, r.seen.runs[ktest_cpus() - 1], 1);
	EXPECT_EQ(t, spin_depth(), 0);
}

KTEST(calls_from_an_allocation_are_counted,
    .reports = "?smp: a cross-call was made inside an allocation")
{
	u64 before = READ_ONCE(smp_stats.from_alloc);
	struct seen seen = {.others = 0};

	port_task()->in_alloc++;
	call_cpu(arch_cpu_id(), note, &seen);
	port_task()->in_alloc--;
	EXPECT_EQ(t, READ_ONCE(smp_stats.from_alloc), before + 1);
	/* The figure counts calls of the allocator; this was no allocation. */
	atomic_sub(&smp_stats.from_alloc, 1);
}

KTEST(waiting_for_senders_ends)
{
	struct crossing c = {.cpus = ktest_cpus() - 1};
	struct seen seen = {.others = 0};
	unsigned i;

	/* Waiting for a call that has ended returns at once, whatever its number. */
	for (i = 0; i < 2; i++) {
		smp_call_mask(NULL, note, &seen);
		smp_wait_senders();
	}
	start_from(1, call_all, &c);
	for (i = 0; i < 20; i++)
		smp_wait_senders();
	join_from(1);
	EXPECT_EQ(t, c.runs, ROUNDS * c.cpus * nr_cpus_online());
}
