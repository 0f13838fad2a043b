/* SPDX-License-Identifier: MIT */
/*
 * progress.c: a line at the prompt that shows the progress of a long operation.
 *
 * Owns:       nothing; the line is the console's status line.
 * Locks:      none: one thread.
 * Invariants: an operation of less than PROGRESS_AFTER_NS shows nothing.
 * Tests:      progress, tests/qemu/test_prompt.py.
 */
#include "demo/live.h"
#include "demo/live_term.h"
#include "demo/progress.h"

#include <quarry/cmdline.h>
#include <quarry/console.h>
#include <quarry/machine.h>
#include <quarry/string.h>

static const struct {
	enum mm_event event;
	const char *one, *many;
} said[] = {
    {EV_OFFLINE_OK, "offline done", "offlines done"},
    {EV_OFFLINE_LOOPS, "pass", "passes"},
    {EV_MIGRATE_OK, "block moved", "blocks moved"},
    {EV_MIGRATE_AGAIN, "retry", "retries"},
    {EV_DRAIN_FORCED, "forced round", "forced rounds"},
};

/* run.sh sets picture= if there is a terminal; the value says whether a row can be rewritten. */
static bool rewrites(void)
{
	return strcmp(cmdline_get("picture", ""), "live") == 0;
}

void progress_begin(struct progress *p, const char *what, const char *hint, bool off)
{
	unsigned i;

	*p = (struct progress){.what = what,
	    .hint = hint,
	    .off = off || !cmdline_get("picture", NULL),
	    .began = arch_clock_ns()};
	for (i = 0; i < ARRAY_SIZE(said); i++)
		p->before[i] = mm_event_sum(&kernel_memory, said[i].event);
}

void progress_text(const struct progress *p, u64 now, char *buf, size_t size)
{
	size_t used = (size_t)ksnprintf(
	    buf, size, "%s: %llu s", p->what, (unsigned long long)((now - p->began) / 1000000000));
	unsigned i, parts = 0;
	enum mm_why why = p->blocker ? READ_ONCE(p->blocker->why) : WHY_NONE;

	if (why != WHY_NONE)
		used += (size_t)ksnprintf(buf + used, size - used, ": waits for pfn %#lx (%s)",
		    READ_ONCE(p->blocker->pfn), mm_why_text(why));
	else if (p->unit && p->total)
		used += (size_t)ksnprintf(buf + used, size - used, ": %llu of %llu %s",
		    (unsigned long long)p->done, (unsigned long long)p->total, p->unit);
	else if (p->unit)
		used += (size_t)ksnprintf(
		    buf + used, size - used, ": %llu %s", (unsigned long long)p->done, p->unit);
	for (i = 0; i < ARRAY_SIZE(said) && !p->unit && why == WHY_NONE && used < size; i++) {
		u64 n = mm_event_sum(&kernel_memory, said[i].event) - p->before[i];

		if (n)
			used += (size_t)ksnprintf(buf + used, size - used, "%s %llu %s",
			    parts++ ? "," : ":", (unsigned long long)n,
			    n == 1 ? said[i].one : said[i].many);
	}
	if (used < size && *p->hint)
		ksnprintf(buf + used, size - used, "; %s", p->hint);
}

void progress_tick(struct progress *p)
{
	u64 now = arch_clock_ns();
	char text[PROGRESS_WIDTH + 1];

	if (p->off || now - p->began < PROGRESS_AFTER_NS ||
	    (p->shown &&
	        now - p->shown < (rewrites() || live_on() ? PROGRESS_EVERY_NS : PROGRESS_LINE_NS)))
		return;
	p->shown = now;
	progress_text(p, now, text, sizeof(text));
	if (live_on())
		live_explain(text);
	else if (rewrites())
		live_tty.status(text, strlen(text));
	else
		printk("%s\n", text);
}

void progress_end(struct progress *p)
{
	if (p->shown && !live_on() && rewrites())
		live_tty.status("", 0);
}
