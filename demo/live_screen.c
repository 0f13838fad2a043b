/* SPDX-License-Identifier: MIT */
/*
 * live_screen.c: the live screen: opening, drawing, closing it.
 *
 * A thread draws it ten times a second, on another CPU than the demonstration's.  When that thread
 * does not draw, a second thread on a third CPU does.
 *
 * Owns:       live_screen: the content of the screen, and the state of the terminal.
 * Locks:      live_screen.lock, a mutex: the content.  The memory is read without locks.
 * Invariants: a frame reads and sends a bounded amount.
 * Tests:      tests/qemu/test_map.py; its callees: live_cells, live_draw.
 */
#include "demo/live_screen.h"
#include "demo/live_term.h"

#include <quarry/cmdline.h>
#include <quarry/console.h>
#include <quarry/cpu.h>
#include <quarry/smp.h>
#include <quarry/string.h>

#define FRAME_BYTES 1152  /* bytes that a line of 115200 baud carries during a frame */
#define READ_BLOCKS 65536 /* pageblocks read for a frame: 128 GiB */
#define SECOND_NS   1000000000ULL

struct live_screen live_screen = {.focus = PFN_NONE,
    .lock = {.l = {.wq = WAITQ_BARE("live")}},
    .wake = WAITQ_BARE("live screen")};

bool live_on(void)
{
	return READ_ONCE(live_screen.on);
}

/* ---- drawing ---- */

u64 live_drain_rounds(const struct memory *mem)
{
	return mm_event_sum(mem, EV_DRAIN_ROUNDS) + mm_event_sum(mem, EV_DRAIN_FORCED);
}

/* Has some CPU sent @cpu a cross-call that @cpu has not answered? */
static bool is_called(unsigned cpu)
{
	unsigned from;

	for (from = 0; from < nr_cpus; from++)
		if (smp_calling(from) && smp_unanswered(from, cpu))
			return true;
	return false;
}

static void read_cpus(struct screen *s, const struct memory *mem, u64 now)
{
	bool second = now - s->second >= SECOND_NS, draining = s->view.stepping;
	struct live_steps *steps = &s->view.steps;
	u64 rounds = live_drain_rounds(mem);
	bool round = rounds != s->all_rounds && draining;
	unsigned cpu;

	s->all_rounds = rounds;
	steps->asked = steps->waiting = 0;
	steps->rounds = (unsigned)(rounds - s->rounds);
	for (cpu = 0; cpu < s->view.nr_cpus; cpu++) {
		struct live_cpu *c = &s->view.cpu[cpu];
		bool asked = cpumask_test(mem->drain_mask, cpu);

		live_cpu_read(c, mem, cpu, s->range.start, now, second);
		c->online = cpumask_test(cpu_online_mask, cpu);
		c->waiting = draining && asked && is_called(cpu);
		if (now >= c->asked_until)
			c->asked_until = c->given = 0;
		if (round && asked && !c->asked_until)
			c->asked_until = now + SECOND_NS;
		steps->asked += asked;
		steps->waiting += c->waiting;
	}
	if (second)
		s->second = now;
}

static void read_memory(struct screen *s, const struct memory *mem, unsigned long budget)
{
	u64 now = arch_clock_ns();

	s->view.mib = memory_managed_pages(mem) >> (20 - PAGE_SHIFT);
	s->view.seconds = (unsigned)((now - s->began) / SECOND_NS);
	live_map_read(&s->view.map, mem, budget, s->range);
	if (s->view.stepping)
		live_steps_read(&s->view.steps, mem, s->range);
	read_cpus(s, mem, now);
}

/* Clang cannot follow a lock that is not always taken. */
void live_draw(void) NO_LOCK_ANALYSIS
{
	struct screen *s = live_screen.s;

	/* While the lock is held, no other thread may preempt this one: it might run for long. */
	preempt_disable();
	/* If another thread draws or changes the content, the next frame comes soon. */
	if (mutex_trylock(&live_screen.lock)) {
		read_memory(s, &kernel_memory, READ_BLOCKS);
		live_compose(&s->next, &s->view);
		live_frame_send(&s->pen, &s->shown, &s->next, FRAME_BYTES);
		WRITE_ONCE(s->drawn, arch_clock_ns());
		mutex_unlock(&live_screen.lock);
	}
	preempt_enable();
}

static bool shall_stop(void *arg)
{
	return READ_ONCE(live_screen.stop);
}

/* The second thread draws when the first one does not: a demonstration may stop a CPU. */
static void draw_thread(void *arg)
{
	bool second = arg != NULL;

	do {
		u64 since = arch_clock_ns() - READ_ONCE(live_screen.s->drawn);

		if (!second || since > LIVE_FRAME_NS * 3 / 2)
			live_draw();
	} while (!wait_until(&live_screen.wake, shall_stop, NULL, LIVE_FRAME_NS));
}

/* The threads run on the last CPUs that are online, but not on this one if there are others. */
void live_draw_start(void)
{
	unsigned cpu = nr_cpus, n = 0;

	WRITE_ONCE(live_screen.stop, 0);
	while (cpu-- > 0 && n < NR_LIVE_THREADS)
		if (cpumask_test(cpu_online_mask, cpu) && cpu != arch_cpu_id()) {
			live_screen.thread[n] =
			    thread_start("live", (int)cpu, draw_thread, n ? &live_screen : NULL);
			n++;
		}
	if (n < NR_LIVE_THREADS)
		live_screen.thread[n] =
		    thread_start("live", -1, draw_thread, n ? &live_screen : NULL);
}

static void stop_drawing(void)
{
	unsigned i;

	WRITE_ONCE(live_screen.stop, 1);
	wake_up(&live_screen.wake);
	for (i = 0; i < NR_LIVE_THREADS; i++) {
		if (live_screen.thread[i])
			thread_join(live_screen.thread[i]);
		live_screen.thread[i] = NULL;
	}
}

/* ---- begin and end ---- */

/* Prepare the screen's memory for a terminal of @cols x @rows; false: too small, or no memory. */
bool live_screen_prepare(unsigned cols, unsigned rows)
{
	struct screen *s = live_screen.s;
	struct live_cpu *cpu;

	if (!s) {
		s = kmalloc(sizeof(*s));
		cpu = s ? kmalloc(nr_cpus * sizeof(*cpu)) : NULL;
		if (!cpu) {
			kfree(s);
			return false;
		}
		s->view.cpu = cpu;
		live_screen.s = s;
	}
	s->view.utf8 = strcmp(cmdline_get("charset", "ascii"), "utf8") == 0;
	s->pen = (struct live_pen){.row = LIVE_MAX_ROWS,
	    .colour = NR_LIVE_COLOURS,
	    .utf8 = s->view.utf8,
	    .send = live_term_send};
	s->view.nr_cpus = MIN(nr_cpus, kernel_memory.nr_cpus);
	s->view.nr_nodes = kernel_memory.nr_nodes;
	if (live_frame_init(&s->shown, cols, rows))
		return false;
	live_frame_init(&s->next, cols, rows);
	live_map_layout(&s->view.map, &kernel_memory, live_map_cols(&s->next),
	    live_map_rows(&s->view, &s->next), live_screen.focus);
	return true;
}

void live_screen_forget(void)
{
	struct screen *s = live_screen.s;

	s->range = (struct pfn_range){PFN_NONE, PFN_NONE};
	s->view.stepping = false;
	s->view.steps = (struct live_steps){0};
	memset(s->view.policy_known, 0, sizeof(s->view.policy_known));
	s->view.say[0] = s->view.keys[0] = s->view.title[0] = '\0';
	s->view.nr_results = s->nr_kept = 0;
	s->began = arch_clock_ns();
	/* Hit rates and drained blocks are counted from this moment on. */
	s->second = 0;
	read_memory(s, &kernel_memory, ~0UL);
	for (unsigned cpu = 0; cpu < s->view.nr_cpus; cpu++)
		s->view.cpu[cpu].asked_until = 0;
}

bool live_screen_open(void)
{
	unsigned cols, rows;

	if (live_on() || strcmp(cmdline_get("picture", "plain"), "live") != 0 || !live_term_ask())
		return false;
	live_term_size(&cols, &rows);
	if (!live_screen_prepare(cols, rows))
		return false;
	live_screen_forget();
	live_screen.paused = live_screen.step = live_screen.quit = live_screen.lines = false;
	live_screen.in_policy = live_screen.skip = false;
	live_screen.log = log_position();
	live_term_open();
	WRITE_ONCE(live_screen.on, 1);
	return true;
}

void live_screen_close(void)
{
	stop_drawing();
	WRITE_ONCE(live_screen.on, 0);
	live_term_close();
}

/* Fit the screen to the terminal's new size; false: the size is too small. */
bool live_screen_resize(void)
{
	unsigned cols, rows;
	bool fits;

	live_term_size(&cols, &rows);
	mutex_lock(&live_screen.lock);
	fits = live_screen_prepare(cols, rows);
	if (fits)
		live_term_send(NULL, "\033[0m\033[2J", 8);
	mutex_unlock(&live_screen.lock);
	return fits;
}
