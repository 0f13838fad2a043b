/* SPDX-License-Identifier: MIT */
/*
 * trace_replay.c: run a parsed allocation trace on several CPUs and count the results.
 *
 * Each CPU that has events gets one thread, pinned there, which runs them in the order of the file.
 * An event waits until the previous event of the same id is done, on any CPU.  So each id has the
 * same history for any number of CPUs, and the ids live at the end are the same ones.  No wait is
 * endless: the first event in the file that is not done waits for no other.
 *
 * Owns:       struct trace_id while a replay runs, and its block; page->index of these blocks.
 * Locks:      none; an id belongs to the CPU of the event whose turn it is (done == seq).
 * Invariants: pages live <= pages allocated, at any moment: live pages are added after the
 *             allocation and subtracted before the free.
 * Tests:      trace, trace_report, tests/qemu/test_trace.py.
 */
#include <quarry/smp.h>
#include <quarry/plural.h>
#include <quarry/trace.h>

#define NO_EVENT    (~0u)
#define PROGRESS_NS 2000000000ULL
/*
 * Checks for another CPU's event before the thread sleeps: the host may have fewer cores than
 * there are CPUs.
 */
#define SPINS 200

struct worker {
	struct replay *replay;
	struct thread *thread;
	u32 first; /* the first of its events, which are linked by next */
	u32 run;   /* events done; written by this worker only, read racily */
	u64 allocs, frees, failed, skipped, waits, wrong, ticks;
};

struct replay {
	const struct trace *trace;
	struct memory *mem;
	const struct trace_clock *clock;
	struct worker *workers;
	unsigned cpus;
	struct waitq wq;   /* for the start and the end */
	struct waitq turn; /* threads waiting for another CPU's event */
	u32 go;            /* atomic: 1 run, 2 end at once */
	u32 nr_workers;    /* threads started */
	u32 finished;      /* atomic: threads that have finished */
	u64 live, peak;    /* atomic: pages, now and at most */
};

const struct trace_clock trace_clock_ns = {arch_clock_ns, "ns"};

static void add_live(struct replay *r, u64 pages)
{
	u64 now = atomic_add(&r->live, pages) + pages, peak = READ_ONCE(r->peak);

	while (now > peak && !atomic_cas(&r->peak, peak, now))
		peak = READ_ONCE(r->peak);
}

/*
 * The timed calls: each is alone between two readings of the clock.  For the kernel's own memory
 * they call alloc_pages and free_pages, as other code does.
 */
static noinline struct page *timed_alloc(struct worker *w, gfp_t gfp, unsigned order)
{
	u64 (*read)(void) = w->replay->clock->read, start;
	struct memory *mem = w->replay->mem;
	struct page *page;

	if (mem == &kernel_memory) {
		start = read();
		page = alloc_pages(gfp, order);
	} else {
		start = read();
		page = mem_alloc_pages(mem, gfp, order);
	}
	w->ticks += read() - start;
	return page;
}

static noinline int timed_free(struct worker *w, struct page *page, unsigned order)
{
	u64 (*read)(void) = w->replay->clock->read, start;
	struct memory *mem = w->replay->mem;
	int err;

	if (mem == &kernel_memory) {
		start = read();
		err = free_pages(page, order);
	} else {
		start = read();
		err = mem_free_pages(mem, page, order);
	}
	w->ticks += read() - start;
	return err;
}

static void run_alloc(struct worker *w, struct trace_id *id, const struct trace_event *ev)
{
	struct replay *r = w->replay;
	struct page *page = timed_alloc(w, ev->gfp, ev->order);

	id->page = page;
	id->order = ev->order;
	if (!page) {
		w->failed++;
		return;
	}
	page->index = ev->id;
	w->allocs++;
	add_live(r, 1ULL << ev->order);
}

static void run_free(struct worker *w, struct trace_id *id, const struct trace_event *ev)
{
	struct replay *r = w->replay;
	struct page *page = id->page;

	if (!page) {
		w->skipped++;
		return;
	}
	id->page = NULL;
	/* Another id got the same block: leave the block to the id written in it. */
	if (page->index != ev->id) {
		w->wrong++;
		return;
	}
	atomic_sub(&r->live, 1ULL << id->order);
	w->wrong += timed_free(w, page, id->order) != 0;
	w->frees++;
}

struct turn {
	struct trace_id *id;
	u32 seq;
};

/* The acquire pairs with the release in run_event. */
static bool is_turn(void *arg)
{
	const struct turn *turn = arg;

	return load_acquire(&turn->id->done) == turn->seq;
}

/* Wait until the previous event of the same id is done. */
static void wait_turn(struct worker *w, struct trace_id *id, u32 seq)
{
	struct turn turn = {id, seq};
	unsigned spins;

	if (is_turn(&turn))
		return;
	w->waits++;
	for (spins = 0; spins < SPINS; spins++) {
		cpu_relax();
		if (is_turn(&turn))
			return;
	}
	atomic_add(&id->waiting, 1);
	wait_until(&w->replay->turn, is_turn, &turn, WAIT_FOREVER);
	atomic_sub(&id->waiting, 1);
}

static void run_event(struct worker *w, const struct trace_event *ev)
{
	struct trace_id *id = trace_id_at(w->replay->trace, ev->id);

	wait_turn(w, id, ev->seq);
	if (ev->seq % 2)
		run_free(w, id, ev);
	else
		run_alloc(w, id, ev);
	store_release(&id->done, ev->seq + 1);
	/* A sleeping thread has counted itself in id->waiting before its last check of id->done. */
	full_barrier();
	if (load_after_stores(&id->waiting))
		wake_up(&w->replay->turn);
	WRITE_ONCE(w->run, w->run + 1);
}

static bool has_gone(void *arg)
{
	return load_acquire(&((struct replay *)arg)->go) != 0;
}

static void worker_main(void *arg)
{
	struct worker *w = arg;
	struct replay *r = w->replay;
	const struct trace_event *ev;
	u32 i;

	wait_until(&r->wq, has_gone, r, WAIT_FOREVER);
	for (i = READ_ONCE(r->go) == 1 ? w->first : NO_EVENT; i != NO_EVENT; i = ev->next) {
		ev = trace_event_at(r->trace, i);
		run_event(w, ev);
	}
	atomic_add(&r->finished, 1);
	wake_up(&r->wq);
}

static bool have_finished(void *arg)
{
	struct replay *r = arg;

	return load_acquire(&r->finished) == r->nr_workers;
}

/* Give each CPU its events, in the order of the file; at the start no id has a page. */
static void deal_events(struct replay *r)
{
	const struct trace *trace = r->trace;
	unsigned cpu;
	u32 i;

	for (cpu = 0; cpu < r->cpus; cpu++) {
		r->workers[cpu].replay = r;
		r->workers[cpu].first = NO_EVENT;
	}
	for (i = trace->nr_events; i-- > 0;) {
		struct trace_event *ev = trace_event_at(trace, i);
		struct worker *w = &r->workers[ev->cpu % r->cpus];

		*trace_id_at(trace, ev->id) = (struct trace_id){.page = NULL};
		ev->next = w->first;
		w->first = i;
	}
}

/*
 * Start a thread for each CPU with events; the threads wait.  Returns 0; -EINVAL: such a CPU is
 * offline; -ENOMEM.
 */
static int start_workers(struct replay *r)
{
	unsigned cpu;

	for (cpu = 0; cpu < r->cpus; cpu++) {
		struct worker *w = &r->workers[cpu];

		if (w->first == NO_EVENT)
			continue;
		if (!cpumask_test(cpu_online_mask, cpu))
			return -EINVAL;
		w->thread = thread_start("trace", (int)cpu, worker_main, w);
		if (!w->thread)
			return -ENOMEM;
		r->nr_workers++;
	}
	return 0;
}

static void print_progress(const struct replay *r)
{
	unsigned cpu;
	u32 run = 0;

	for (cpu = 0; cpu < r->cpus; cpu++)
		run += READ_ONCE(r->workers[cpu].run);
	printk("trace %s: %u of %u events\n", r->trace->name, run, r->trace->nr_events);
}

static void let_run(struct replay *r, bool run)
{
	store_release(&r->go, run ? 1u : 2u);
	wake_up(&r->wq);
	while (!wait_until(&r->wq, have_finished, r, PROGRESS_NS))
		print_progress(r);
}

/*
 * Empty the caches; returns the share of free pages, in 1/1000, outside free blocks of the largest
 * order.
 */
static unsigned fragmentation(struct memory *mem)
{
	u64 free = 0, whole = 0;
	unsigned i, order, type;

	drain_all_pages(mem, NULL);
	for (i = 0; i < nr_zones(mem); i++) {
		struct zone *zone = &mem->zones[i];
		irqflags_t flags = zone_lock_irqsave(zone);

		for (order = 0; order < NR_ORDERS; order++)
			for (type = 0; type < NR_MIGRATETYPES; type++)
				free += (u64)zone_free_blocks(zone, order, type) << order;
		for (type = 0; type < NR_MIGRATETYPES; type++)
			whole += (u64)zone_free_blocks(zone, MAX_ORDER, type) << MAX_ORDER;
		zone_unlock_irqrestore(zone, flags);
	}
	return free ? (unsigned)((free - whole) * 1000 / free) : 0;
}

/* Count the live blocks, each exactly once. */
static void count_live(const struct replay *r, struct trace_report *report)
{
	const struct trace *trace = r->trace;
	u32 i;

	for (i = 0; i < trace->nr_events; i++) {
		const struct trace_event *ev = trace_event_at(trace, i);
		const struct trace_id *id = trace_id_at(trace, ev->id);

		/* Count a live id at its last event only. */
		if (!id->page || ev->seq + 1 != id->done)
			continue;
		report->live++;
		report->live_pages += 1ULL << id->order;
		report->wrong += id->page->index != ev->id;
	}
}

static void free_live(const struct replay *r, struct trace_report *report)
{
	const struct trace *trace = r->trace;
	u32 i;

	for (i = 0; i < trace->nr_events; i++) {
		struct trace_id *id = trace_id_at(trace, trace_event_at(trace, i)->id);

		if (id->page)
			report->wrong += mem_free_pages(r->mem, id->page, id->order) != 0;
		id->page = NULL;
	}
}

static void sum_up(const struct replay *r, struct trace_report *report)
{
	u64 operations;
	unsigned cpu;

	report->events = r->trace->nr_events;
	report->cpus = r->nr_workers;
	report->peak_pages = r->peak;
	for (cpu = 0; cpu < r->cpus; cpu++) {
		const struct worker *w = &r->workers[cpu];

		report->allocs += w->allocs;
		report->frees += w->frees;
		report->failed += w->failed;
		report->skipped += w->skipped;
		report->waits += w->waits;
		report->wrong += w->wrong;
		report->ticks += w->ticks;
	}
	operations = report->allocs + report->failed + report->frees;
	report->hits = operations
	    ? (unsigned)((operations - MIN(operations, report->slow_allocs + report->slow_frees)) *
	          1000 / operations)
	    : 0;
}

/* Do the report's numbers agree with the header's? */
static bool adds_up(const struct trace *trace, const struct trace_report *report)
{
	return !report->wrong && report->live == report->allocs - report->frees &&
	    report->allocs + report->failed == trace->nr_allocs &&
	    report->frees + report->skipped == trace->nr_frees;
}

static void run_workers(struct replay *r, struct trace_report *report)
{
	u64 slow_allocs = mm_event_sum(r->mem, EV_ALLOC_SLOW);
	u64 slow_frees = mm_event_sum(r->mem, EV_FREE_UNCACHED);
	u64 start = arch_clock_ns();

	let_run(r, true);
	report->elapsed_ns = arch_clock_ns() - start;
	report->slow_allocs = mm_event_sum(r->mem, EV_ALLOC_SLOW) - slow_allocs;
	report->slow_frees = mm_event_sum(r->mem, EV_FREE_UNCACHED) - slow_frees;
}

int trace_run(struct trace *trace, struct memory *mem, unsigned cpus,
    const struct trace_clock *clock, struct trace_report *report)
{
	struct replay r = {
	    .trace = trace,
	    .mem = mem,
	    .clock = clock,
	    .cpus = cpus,
	    .wq = WAITQ("trace"),
	    .turn = WAITQ("trace turn"),
	};
	unsigned cpu;
	int err;

	*report = (struct trace_report){.cpus = 0};
	if (cpus == 0 || cpus > mem->nr_cpus)
		return -EINVAL;
	r.workers = kmalloc(cpus * sizeof(*r.workers));
	if (!r.workers)
		return -ENOMEM;
	deal_events(&r);
	report->fragmented_before = fragmentation(mem);
	err = start_workers(&r);
	if (err)
		let_run(&r, false);
	else
		run_workers(&r, report);
	for (cpu = 0; cpu < cpus; cpu++)
		if (r.workers[cpu].thread)
			thread_join(r.workers[cpu].thread);
	if (!err) {
		sum_up(&r, report);
		report->fragmented = fragmentation(mem);
		count_live(&r, report);
		free_live(&r, report);
		err = adds_up(trace, report) ? 0 : -EUCLEAN;
	}
	kfree(r.workers);
	return err;
}

void trace_print_report(
    const struct trace *trace, const struct trace_clock *clock, const struct trace_report *report)
{
	typedef unsigned long long ull;
	u64 events = MAX(report->events, 1ULL), tenths = report->ticks * 10 / events;

	printk("trace %s: %llu events (%llu allocations, %llu frees) of %u CPU%s, run on %u\n",
	    trace->name, (ull)report->events, (ull)trace->nr_allocs, (ull)trace->nr_frees,
	    trace->nr_cpus, plural(trace->nr_cpus), report->cpus);
	printk("  %llu.%llu %s per event in the allocator; %llu ms in all, %llu waits\n",
	    (ull)(tenths / 10), (ull)(tenths % 10), clock->unit,
	    (ull)(report->elapsed_ns / 1000000), (ull)report->waits);
	printk("  peak pages: %llu (in the order of the file: %llu)\n", (ull)report->peak_pages,
	    (ull)trace->peak_pages);
	printk("  live at the end: %llu blocks, %llu pages (header: %llu blocks)\n",
	    (ull)report->live, (ull)report->live_pages, (ull)trace->nr_allocs - trace->nr_frees);
	printk("  fragmentation at the end: %u.%u %% of free memory outside order %u "
	       "(before: %u.%u %%)\n",
	    report->fragmented / 10, report->fragmented % 10, MAX_ORDER,
	    report->fragmented_before / 10, report->fragmented_before % 10);
	printk("  cache hit rate: %u.%u %% (%llu allocations and %llu frees went to the zone)\n",
	    report->hits / 10, report->hits % 10, (ull)report->slow_allocs,
	    (ull)report->slow_frees);
	printk("  failed allocations: %llu, frees skipped for them: %llu\n", (ull)report->failed,
	    (ull)report->skipped);
	if (report->wrong)
		printk("  WRONG: %llu blocks refused by free_pages or handed out twice\n",
		    (ull)report->wrong);
}
