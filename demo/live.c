/* SPDX-License-Identifier: MIT */
/*
 * live.c: the output of demonstrations, selftests and commands while they run: on the live screen,
 * or as lines.
 *
 * The selftests count threads, so no thread draws while they run.  Instead the hook that is called
 * between two tests draws.
 *
 * Owns:       nothing: demo/live_screen.c has the state.
 * Locks:      live_screen.lock.
 * Invariants: all output is in the log, whether the screen is on or not; only the thread that makes
 *             the output reads keys.
 * Tests:      tests/qemu/test_map.py, tests/qemu/test_start.py.
 */
#include "demo/live.h"
#include "demo/live_screen.h"
#include "demo/live_term.h"

#include <quarry/console.h>
#include <quarry/ktest.h>
#include <quarry/string.h>

#define LINE       128  /* bytes of a line, with the NUL at its end */
#define LOOK_MS    1500 /* a command's last frame is shown this long */
#define RESULTS_MS 800  /* an act's results are shown this long before the next act */
#define KEYS(tab)  "[space] pause  [s] step  [tab] " tab "  [l] lines  [q] prompt"

bool live_quit(void)
{
	return live_screen.quit;
}

/* What the frames show.  From the first act on other threads draw, so the lock must be held. */
static struct live_view *content(void)
{
	KASSERT(mutex_is_held(&live_screen.lock));
	return &live_screen.s->view;
}

/* ---- lines that are kept ---- */

static void keep_on_screen(const char *text)
{
	struct screen *s = live_screen.s;

	ksnprintf(s->kept[s->nr_kept++ % LIVE_KEPT], LIVE_TEXT, "%s", text);
}

static void result(struct live_view *v, const char *text)
{
	ksnprintf(v->result[v->nr_results++ % LIVE_RESULTS], LIVE_TEXT, "%s", text);
	keep_on_screen(text);
}

/* ---- selftests ---- */

static u64 test_log; /* position in the log where the running test began */

static void live_on_test(const char *suite, const struct ktest *t, bool begins)
{
	struct live_view *v = &live_screen.s->view;

	v->suite = suite;
	if (begins)
		test_log = log_position();
	else
		v->tests_done++;
	if (arch_clock_ns() - live_screen.s->drawn >= LIVE_FRAME_NS)
		live_draw();
}

/* Keep the name of the failed test, and its output, as results. */
static void on_failed(const char *suite, const struct ktest *t)
{
	struct live_view *v = &live_screen.s->view;
	char text[LIVE_TEXT];
	unsigned len = 0;
	char c;

	v->tests_failed++;
	ksnprintf(text, sizeof(text), "not ok %s.%s", suite, t->name);
	result(v, text);
	while (log_read(&test_log, &c, 1)) {
		if (c != '\n') {
			if (len + 1 < sizeof(text))
				text[len++] = c;
			continue;
		}
		text[len] = '\0';
		len = 0;
		result(v, text);
	}
	live_draw();
}

void live_boot(const char *which)
{
	if (!live_screen_open())
		return;
	live_screen.s->view.tests = ktest_count(which);
	live_screen.s->view.suite = live_screen.s->view.tests ? "" : NULL;
	live_draw();
	ktest_hook = live_on_test;
	ktest_failed = on_failed;
}

void live_tested(unsigned failed)
{
	struct live_view *v;
	char text[LIVE_TEXT];

	if (!live_on())
		return;
	v = &live_screen.s->view;
	ktest_hook = NULL;
	ktest_failed = NULL;
	v->suite = NULL;
	v->tests_failed = failed;
	ksnprintf(text, sizeof(text), "selftests: %u of %u ok",
	    v->tests_done - MIN(failed, v->tests_done), v->tests);
	keep_on_screen(text);
	live_draw_start();
}

void live_stop(void)
{
	const struct screen *s = live_screen.s;
	unsigned i;

	if (!live_on())
		return;
	live_screen_close();
	for (i = s->nr_kept > LIVE_KEPT ? s->nr_kept - LIVE_KEPT : 0; i < s->nr_kept; i++)
		live_term_line(s->kept[i % LIVE_KEPT]);
}

/* ---- keys ---- */

/* Handle the typed keys; true: end the present wait. */
static bool keys(void)
{
	bool resized = false, go_on = false;
	int key;

	while ((key = live_term_key(&resized)) >= 0) {
		if (key == ' ')
			live_screen.paused = !live_screen.paused;
		else if (key == 's')
			live_screen.step = true;
		else if (key == 'l')
			live_screen.lines = true;
		else if (key == 'q')
			live_screen.quit = true;
		else if (key == '\t')
			live_screen.skip = live_screen.in_policy;
		go_on |= key == '\t' || key == 'q';
	}
	if (resized && !live_screen_resize())
		live_screen.lines = true;
	return go_on || live_screen.lines;
}

/*
 * Turn the screen off if a key or the terminal's size has asked for lines.  Not while an act holds
 * a CPU, on which a drawing thread may run.
 */
static void stop_for_lines(void)
{
	if (live_screen.lines)
		live_stop();
}

/* Wait for @ms, and longer while the user has paused. */
static void stay(unsigned ms)
{
	u64 until = arch_clock_ns() + ms * 1000000ULL;

	while (live_on() && !live_screen.quit && !keys() && !live_screen.skip) {
		if (live_screen.paused ? live_screen.step : arch_clock_ns() >= until)
			break;
		thread_sleep(LIVE_TURN_NS);
	}
	live_screen.step = false;
}

/*
 * A policy begins (@in_policy) or has a result.  Until the result, Tab moves to the next policy.
 * The caller holds live_screen.lock.
 */
static void set_policy(bool in_policy)
{
	live_screen.in_policy = in_policy;
	live_screen.skip = false;
	ksnprintf(content()->keys, LIVE_TEXT, "%s", in_policy ? KEYS("policy") : KEYS("next"));
}

void live_hold(unsigned ms)
{
	if (live_on())
		stay(ms);
}

/* ---- the output ---- */

static void line(const char *before, const char *text)
{
	printk("%s%s\n", before, text);
}

void live_act(unsigned nr, unsigned of, const char *fmt, ...)
{
	char text[128], claim[128];
	va_list ap;

	va_start(ap, fmt);
	kvsnprintf(claim, sizeof(claim), fmt, ap);
	va_end(ap);
	ksnprintf(text, sizeof(text), "act %u of %u: %s", nr, of, claim);
	stop_for_lines();
	line("", text);
	if (!live_on())
		return;
	if (nr > 1)
		stay(RESULTS_MS);
	mutex_lock(&live_screen.lock);
	if (nr > 1) /* results before the first act are those of failed selftests */
		content()->nr_results = 0;
	ksnprintf(content()->title, LIVE_TEXT, "act %u of %u   %s", nr, of, claim);
	set_policy(false);
	content()->say[0] = '\0';
	content()->stepping = false;
	live_screen.s->range = (struct pfn_range){PFN_NONE, PFN_NONE};
	live_screen.s->began = arch_clock_ns();
	keep_on_screen(text);
	mutex_unlock(&live_screen.lock);
	stay(0);
	stop_for_lines();
}

void live_range(pfn_t start, unsigned long nr)
{
	if (!live_on())
		return;
	mutex_lock(&live_screen.lock);
	content()->stepping = false;
	live_screen.s->range = (struct pfn_range){PFN_NONE, PFN_NONE};
	if (nr)
		live_screen.s->range = (struct pfn_range){start, start + nr};
	mutex_unlock(&live_screen.lock);
}

void live_offline(const struct offline_result *res)
{
	if (!live_on() || !res)
		return;
	mutex_lock(&live_screen.lock);
	content()->stepping = true;
	content()->steps = (struct live_steps){0};
	live_screen.s->rounds = live_drain_rounds(&kernel_memory);
	mutex_unlock(&live_screen.lock);
}

void live_policy(enum iso_policy policy, const struct live_policy *row)
{
	char text[128];

	ksnprintf(text, sizeof(text), "  %-8s %6u round%s %6u IPI%s %4u %% hits %6llu ms",
	    iso_policy_name(policy), row->rounds, row->rounds == 1 ? " " : "s", row->ipis,
	    row->ipis == 1 ? " " : "s", row->hit_rate, (unsigned long long)row->ms);
	stop_for_lines();
	if (!row->running)
		line("", text);
	if (!live_on())
		return;
	if (row->running)
		(void)keys(); /* discard earlier keys: they must not skip this policy */
	mutex_lock(&live_screen.lock);
	if (row->running)
		set_policy(true);
	content()->policy[policy] = *row;
	content()->policy_known[policy] = true;
	if (!row->running)
		keep_on_screen(text);
	mutex_unlock(&live_screen.lock);
	stay(0);
	stop_for_lines();
}

/* For live_say and live_result: format the text, and print it as a line. */
static void format_line(char text[LINE], const char *fmt, va_list ap)
{
	stop_for_lines();
	kvsnprintf(text, LINE, fmt, ap);
	line("  ", text);
}

void live_say(const char *fmt, ...)
{
	char text[LINE];
	va_list ap;

	va_start(ap, fmt);
	format_line(text, fmt, ap);
	va_end(ap);
	if (!live_on())
		return;
	live_explain(text);
	stay(0);
	stop_for_lines();
}

void live_explain(const char *text)
{
	if (!live_on())
		return;
	mutex_lock(&live_screen.lock);
	ksnprintf(content()->say, LIVE_TEXT, " %s", text);
	mutex_unlock(&live_screen.lock);
}

void live_result(const char *fmt, ...)
{
	char text[LINE];
	va_list ap;

	va_start(ap, fmt);
	format_line(text, fmt, ap);
	va_end(ap);
	if (!live_on())
		return;
	mutex_lock(&live_screen.lock);
	if (live_screen.in_policy)
		set_policy(false);
	result(content(), text);
	mutex_unlock(&live_screen.lock);
}

/* ---- at the prompt ---- */

bool live_begin(const char *title)
{
	if (!live_screen_open())
		return false;
	ksnprintf(live_screen.s->view.title, LIVE_TEXT, "%s", title);
	live_draw_start();
	return true;
}

void live_end(void)
{
	if (!live_on())
		return;
	mutex_lock(&live_screen.lock);
	ksnprintf(content()->keys, LIVE_TEXT, "[tab] prompt");
	mutex_unlock(&live_screen.lock);
	stay(LOOK_MS);
	live_screen_close();
	live_term_replay(live_screen.log);
}

/* Print one frame, as lines. */
static void print_frame(const char *where)
{
	struct screen *s = live_screen.s;
	unsigned row, len;

	s->view.utf8 = false;
	live_screen_forget();
	live_compose(&s->next, &s->view);
	for (row = 0; row < s->next.rows; row++) {
		char text[LIVE_MAX_COLS + 1];

		for (len = 0; len < s->next.cols; len++) {
			text[len] = (char)s->next.text[row][len];
			if (text[len] == MIDDLE_DOT)
				text[len] = '.';
		}
		while (len && text[len - 1] == ' ')
			len--;
		text[len] = '\0';
		if (len)
			printk("%s\n", text);
	}
	if (where[0])
		printk("%s\n", where);
}

static void look_until_key(const char *where)
{
	bool resized = false;

	live_explain(where);
	ksnprintf(live_screen.s->view.keys, LIVE_TEXT, "any key: the prompt");
	while (live_on() && live_term_key(&resized) < 0) {
		if (resized && !live_screen_resize())
			live_screen_close();
		resized = false;
		thread_sleep(LIVE_TURN_NS);
	}
	if (live_on())
		live_screen_close();
}

/* Write to @text which cell shows the pageblock of @focus.  The map must be laid out. */
static void say_where(char text[LIVE_TEXT], pfn_t focus)
{
	const struct live_map *map = &live_screen.s->view.map;

	ksnprintf(
	    text, LIVE_TEXT, "pfn %#lx: cell %u of the row with >", focus, map->focus_cell + 1);
}

void live_look(pfn_t focus, bool once)
{
	char where[LIVE_TEXT] = "";
	bool ready;

	live_screen.focus = focus;
	ready = !once && live_begin("map: all memory, as it is");
	if (!ready && (live_on() || !live_screen_prepare(LIVE_MIN_COLS, LIVE_MIN_ROWS))) {
		printk("map: no memory for a frame\n");
	} else {
		if (focus != PFN_NONE)
			say_where(where, focus);
		if (ready)
			look_until_key(where);
		else
			print_frame(where);
	}
	live_screen.focus = PFN_NONE;
}
