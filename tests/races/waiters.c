/* SPDX-License-Identifier: MIT */
/*
 * waiters.c: many threads touch the very pages that are being moved (race=waiters, in a race
 * build).
 *
 *   hammer   64 threads read and write 4 pages as fast as they can while these are moved, again and
 *            again
 *   storm    64 pages are moved in a batch; whenever its entries are gone, 64 threads that slept
 *            wake up, and each touches a page.  Half of them find a migration entry; the others
 *            touch the page by a space without an entry, and find the marker in its slot.  Under
 *            icount (QEMU counts instructions) the phase counts the instructions that run while
 *            the batch moves, and until each thread has its page
 *   late     the same, and every fourth thread is late: after it saw the marker it continues when
 *            the try is over; then the memory is checked
 *
 * Owns:       w, and the memory that ops_build makes.
 * Locks:      none of its own.
 * Invariants: a thread writes to words of its own only, so it must read there the value that
 *             it wrote last.
 */
#include "ops.h"
#include "tests/lib/mm_priv.h"
#include "mm/vm/vm.h"
#include "tests/lib/soft_mmu.h"
#include <quarry/ktest.h>
#include <quarry/string.h>

#define THREADS       64u
#define PAGES         64u /* pages of the object, moved in one batch */
#define HOT           4u  /* pages of the object that are hammered */
#define HAMMER_ROUNDS 20u
#define STORM_ROUNDS  8u
#define LATE          4u  /* every fourth thread */
#define TRIES         10u /* tries of a move; each uses a space that was not touched */
#define BASE          0x400000UL
#define STUCK_NS      10000000000ULL
#define HOLD          50000u /* passes of the migrator's loop while the others arrive */

struct waiter {
	unsigned nr, cpu;
	struct thread *thread;
	struct mm_task *task;
	u32 done;      /* atomic: the number of the last alarm that it has answered */
	bool late;     /* it was late in this round */
	u64 last[HOT]; /* the last value written to its word of each page */
};

static struct {
	struct memory *mem;
	struct vm_object *object;
	struct vm_space *space; /* every page has an entry in this space */
	/* a space for each try of a round; no page has an entry in it */
	struct vm_space *fresh[TRIES];
	struct waiter waiter[THREADS];
	struct thread *migrator_thread;
	struct mm_task *migrator;
	u32 stop;               /* atomic */
	u32 loaded[RACE_ROLES]; /* atomic: CPUs that have the space loaded */
	u32 leaving;            /* atomic: threads that do not use the space any more */
	u32 alarm, first_alarm; /* atomic: tries of all rounds; tries before this round */
	bool lateness;          /* phase late */
	u32 over, looked;       /* atomic: rounds whose batch is over; rounds checked after that */
	u32 errors, touches;    /* atomic */
	struct waitq alarmed, answered;
	struct migrate_stats stats;
	unsigned failed, stuck;
	u64 instructions;
	struct mm_violation found; /* @what is NULL: no damage */
} w;

static struct isolated_pages isolated;

static uintptr_t address(unsigned page)
{
	return BASE + ((uintptr_t)page << PAGE_SHIFT);
}

static pfn_t pfn_now(u32 index)
{
	u64 slot;

	spin_lock(&w.object->lock);
	slot = object_lookup(w.object, index);
	spin_unlock(&w.object->lock);
	KASSERT(slot && !slot_is_marker(slot));
	return page_to_pfn_in(w.mem, slot_page(slot));
}

/* Move the first @nr pages, in one batch. */
static void move(unsigned nr)
{
	u64 start = arch_clock_ns();
	unsigned i;

	isolated.nr_lru = isolated.nr_movable = 0;
	for (i = 0; i < nr; i++)
		if (isolate_page(w.mem, pfn_now(i), &isolated))
			counter_add(&w.errors, 1u);
	w.failed += migrate_isolated(w.mem, &isolated, NULL, &w.stats);
	w.instructions += arch_clock_ns() - start;
}

/* ---- hammer ---- */

static void hammer_once(struct waiter *t, u64 *chance)
{
	unsigned page = (unsigned)(ktest_rand(chance) % HOT);
	uintptr_t word = address(page) + (t->nr + 1) * sizeof(u64);
	u64 value = 0;

	if (soft_read(word, &value) || value != t->last[page])
		counter_add(&w.errors, 1u);
	t->last[page] = ktest_rand(chance);
	if (soft_write(word, t->last[page]))
		counter_add(&w.errors, 1u);
	counter_add(&w.touches, 1u);
}

/*
 * The first thread of each CPU loads the space there, and unloads it when all threads have stopped.
 */
static void hammer_main(void *arg)
{
	struct waiter *t = arg;
	u64 chance = t->nr + 1;
	bool leader = t->nr < nr_cpus - 1;

	if (leader) {
		soft_load_space(w.space);
		store_release(&w.loaded[t->cpu], 1u);
	}
	while (!load_acquire(&w.loaded[t->cpu]))
		thread_yield();
	while (!load_acquire(&w.stop))
		hammer_once(t, &chance);
	counter_add(&w.leaving, 1u);
	wake_up(&w.answered);
	while (leader && load_acquire(&w.leaving) < THREADS)
		thread_yield();
	if (leader)
		soft_unload_space();
}

static bool all_left(void *arg)
{
	return load_acquire(&w.leaving) == THREADS;
}

static void hammer_migrator(void *arg)
{
	unsigned round;

	while (load_acquire(&w.touches) < THREADS)
		thread_yield();
	/* End after so many failures: such a migration does not converge. */
	for (round = 0; round < HAMMER_ROUNDS && w.failed < 2 * HOT; round++) {
		move(HOT);
		thread_yield();
	}
	store_release(&w.stop, 1u);
	if (!wait_until(&w.answered, all_left, NULL, STUCK_NS))
		w.stuck = THREADS - w.leaving;
}

/* ---- storm ---- */

/*
 * Every fourth thread is late, one time in a round: it has seen the marker, and continues only when
 * the try is over. After its wake-up it waits until the memory has been checked.
 */
static void be_late(const char *name)
{
	u32 alarm = load_acquire(&w.alarm), over = load_acquire(&w.over);
	unsigned i;

	for (i = LATE - 1; i < THREADS; i += LATE)
		if (w.waiter[i].task == port_task())
			break;
	if (i >= THREADS)
		return;
	if (!strcmp(name, "migwait.queued") && !w.waiter[i].late) {
		w.waiter[i].late = true;
		while (load_acquire(&w.alarm) == alarm && load_acquire(&w.over) == over)
			thread_yield();
	} else if (!strcmp(name, "migwait.woken")) {
		while (load_acquire(&w.looked) != load_acquire(&w.over))
			thread_yield();
	}
}

/* Alarm the threads at every try of a batch, when its entries have been removed. */
static void at_point(const char *name)
{
	unsigned turn;

	if (w.lateness && !strncmp(name, "migwait.", 8))
		be_late(name);
	if (port_task() != READ_ONCE(w.migrator) || strcmp(name, "mig.unmapped") != 0)
		return;
	counter_add(&w.alarm, 1u);
	wake_up(&w.alarmed);
	/*
	 * This loop is work, not a delay: with icount, time counts the instructions of all CPUs,
	 * waiting ones too.
	 */
	for (turn = 0; turn < HOLD; turn++)
		cpu_relax();
}

static bool is_alarmed(void *arg)
{
	const struct waiter *t = arg;

	return load_acquire(&w.alarm) != t->done || load_acquire(&w.stop);
}

/* Fault until the page is there. */
static void touch(struct vm_space *space, uintptr_t va)
{
	const u64 *entry;
	int err;

	do {
		err = vm_fault(space, va, VM_READ);
		entry = pt_entry(&space->pt, va);
	} while (!err && !(entry && READ_ONCE(*entry) & PTE_PRESENT));
	if (err)
		counter_add(&w.errors, 1u);
	counter_add(&w.touches, 1u);
}

static void storm_main(void *arg)
{
	struct waiter *t = arg;

	WRITE_ONCE(t->task, port_task());
	for (;;) {
		u32 alarm, try;

		wait_until(&w.alarmed, is_alarmed, t, WAIT_FOREVER);
		if (load_acquire(&w.stop))
			return;
		alarm = load_acquire(&w.alarm);
		try = alarm - load_acquire(&w.first_alarm);
		touch(
		    t->nr % 2 && try <= TRIES ? w.fresh[try - 1] : w.space, address(t->nr % PAGES));
		store_release(&t->done, alarm);
		wake_up(&w.answered);
	}
}

static bool all_answered(void *arg)
{
	unsigned i;

	for (i = 0; i < THREADS; i++)
		if (load_acquire(&w.waiter[i].done) != load_acquire(&w.alarm))
			return false;
	return true;
}

static int make_space(struct vm_space **space)
{
	int err = vm_space_create(w.mem, space);

	return err ? err : vm_map(*space, BASE, PAGES, VM_READ | VM_WRITE, w.object, 0);
}

/* The batch is over: let late threads continue, then check the memory. */
static void look(void)
{
	unsigned turn;

	counter_add(&w.over, 1u);
	for (turn = 0; turn < HOLD; turn++)
		cpu_relax();
	if (!w.found.what && check_memory(w.mem, &w.found))
		counter_add(&w.errors, 1u);
	store_release(&w.looked, w.over);
}

static void storm_round(void)
{
	unsigned i;
	u64 start;

	for (i = 0; i < THREADS; i++)
		w.waiter[i].late = false;
	for (i = 0; i < TRIES; i++)
		if (make_space(&w.fresh[i]))
			panic("waiters: no space");
	store_release(&w.first_alarm, w.alarm);
	move(PAGES);
	if (w.lateness)
		look();
	start = arch_clock_ns();
	if (!wait_until(&w.answered, all_answered, NULL, STUCK_NS)) {
		for (i = 0; i < THREADS; i++)
			w.stuck += load_acquire(&w.waiter[i].done) != w.alarm;
		return;
	}
	w.instructions += arch_clock_ns() - start;
	for (i = 0; i < TRIES; i++)
		vm_space_put(w.fresh[i]);
}

static void storm_migrator(void *arg)
{
	const char *phase = arg;
	unsigned round;

	WRITE_ONCE(w.migrator, port_task());
	w.lateness = !strcmp(phase, "late");
	race_spy = at_point;
	for (round = 0; round < STORM_ROUNDS && !w.stuck; round++)
		storm_round();
	race_spy = NULL;
	store_release(&w.stop, 1u);
	wake_up(&w.alarmed);
}

/* ---- all phases ---- */

static bool report(const char *phase)
{
	const struct migrate_stats *s = &w.stats;
	const struct mm_violation *v = &w.found;
	bool good = !w.failed && !w.errors && !w.stuck && !s->at_try[2] && !s->at_try[3];
	unsigned pages = s->moved + w.failed;

	printk("waiters: phase=%s threads=%u moves=%u moved=%u failed=%u try1=%u try2=%u try3=%u "
	       "later=%u retries=%u "
	       "waits=%llu touches=%u errors=%u stuck=%u instructions=%llu\n",
	    phase, THREADS, pages, s->moved, w.failed, s->at_try[0], s->at_try[1], s->at_try[2],
	    s->at_try[3], s->retries, (unsigned long long)mm_event_sum(w.mem, EV_MIGWAIT_QUEUED),
	    w.touches, w.errors, w.stuck, (unsigned long long)w.instructions);
	if (!w.stuck && !v->what && check_memory(w.mem, &w.found))
		good = false;
	if (v->what) {
		printk("waiters: %s: FAIL: %s: at %#lx: %lu, should be %lu\n", phase, v->what,
		    v->pfn, v->have, v->want);
		return false;
	}
	if (w.failed)
		printk("waiters: %s: FAIL: %u of %u moves given up\n", phase, w.failed, pages);
	else if (w.stuck)
		printk("waiters: %s: FAIL: %u threads wait for ever\n", phase, w.stuck);
	else if (!good)
		printk("waiters: %s: FAIL: more than 2 tries, or wrong content\n", phase);
	return good;
}

/* Run a phase on a fresh memory. */
static bool run_phase(const char *phase, void (*waiter)(void *), void (*migrator)(void *))
{
	static struct race_script s;
	unsigned i;
	bool good;

	memset(&w, 0, sizeof(w));
	race_parse("race: waiters\nsetup: A:scene(V)\nscript: check\n", &s);
	s.nr_cpus = nr_cpus;
	ops_build(&s);
	w.mem = ops.mem;
	w.alarmed = WAITQ("alarm");
	w.answered = WAITQ("answers");
	if (vm_object_create(w.mem, OBJ_ANON, PAGES, NULL, NULL, &w.object) || make_space(&w.space))
		panic("waiters: no object");
	for (i = 0; i < PAGES; i++)
		touch(w.space, address(i));
	w.touches = 0;
	for (i = 0; i < THREADS; i++) {
		w.waiter[i].nr = i;
		w.waiter[i].cpu = 1 + i % (nr_cpus - 1);
		w.waiter[i].thread =
		    thread_start("waiter", (int)w.waiter[i].cpu, waiter, &w.waiter[i]);
		if (!w.waiter[i].thread)
			panic("waiters: no thread");
	}
	w.migrator_thread = thread_start("migrator", 0, migrator, (void *)(uintptr_t)phase);
	thread_join(w.migrator_thread);
	for (i = 0; i < THREADS && !w.stuck; i++)
		thread_join(w.waiter[i].thread);
	good = report(phase);
	if (good) {
		vm_space_put(w.space);
		vm_object_put(w.object);
	}
	if (!w.stuck)
		ops_stop(false);
	return good;
}

bool waiters_run(void)
{
	bool good;

	if (nr_cpus < 2 || nr_cpus > RACE_ROLES) {
		printk("waiters: needs 2 to %u CPUs\n", RACE_ROLES);
		return false;
	}
	good = run_phase("storm", storm_main, storm_migrator);
	/* A thread that waits for ever uses the memory for ever, so no other phase can follow. */
	if (!w.stuck)
		good &= run_phase("late", storm_main, storm_migrator);
	if (!w.stuck)
		good &= run_phase("hammer", hammer_main, hammer_migrator);
	return good;
}
