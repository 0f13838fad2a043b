/* SPDX-License-Identifier: MIT */
/*
 * live_compose.c: the layout of the live screen.
 *
 * From top to bottom: the machine; the act, or the selftests; the map; its legend; the CPUs'
 * caches; the steps of an offline; the policies' figures and results; an explanation; the keys.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Invariants: a frame depends on the view alone; text that does not fit is cut off.
 * Tests:      live_draw, tests/qemu/test_map.py.
 */
#include "demo/live_draw.h"

#include <quarry/console.h>
#include <quarry/plural.h>
#include <quarry/string.h>

#define TOP         2 /* rows above the map */
#define LEGEND      2 /* rows of the legend, below the map */
#define BOTTOM      2 /* rows of the explanation and of the keys */
#define POLICY_ROWS (NR_ISO_POLICIES + 1)
#define CPU_COLS    40 /* columns of a CPU that is shown with its bar */
#define LABEL       9  /* columns before the cells of a row */
#define BAR         10

/* ---- text ---- */

static void put_text(struct live_frame *f, unsigned row, unsigned col, u8 colour, const char *text)
{
	for (; *text && col < f->cols && row < f->rows; col++, text++) {
		f->text[row][col] = (u8)*text;
		f->colour[row][col] = colour;
	}
}

static unsigned put_cells(struct live_frame *f, unsigned row, unsigned col, u8 colour,
    const char *fmt, ...) __attribute__((format(printf, 5, 6)));
/* Write text into the frame; returns the column behind the text. */
static unsigned put_cells(
    struct live_frame *f, unsigned row, unsigned col, u8 colour, const char *fmt, ...)
{
	char text[LIVE_MAX_COLS + 1];
	va_list ap;

	va_start(ap, fmt);
	kvsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put_text(f, row, col, colour, text);
	return col + (unsigned)strlen(text);
}

static void bar(char *text, unsigned width, unsigned part, unsigned whole)
{
	unsigned i, full = whole ? MIN(part, whole) * width / whole : 0;

	if (part && !full)
		full = 1;
	for (i = 0; i < width; i++)
		text[i] = i < full ? '#' : '.';
	text[width] = '\0';
}

/* ---- sizes of the parts ---- */

static unsigned cpus_in_row(const struct live_frame *f)
{
	return f->cols / CPU_COLS;
}

static unsigned rows_with_bars(const struct live_view *v, const struct live_frame *f)
{
	return (v->nr_cpus + cpus_in_row(f) - 1) / cpus_in_row(f);
}

/* Are there too many CPUs for bars?  Then each CPU is shown by a digit. */
static bool cpus_by_digits(const struct live_view *v, const struct live_frame *f)
{
	return rows_with_bars(v, f) > f->rows / 6;
}

/* CPUs that need more than a third of the screen are left out. */
static unsigned cpu_rows(const struct live_view *v, const struct live_frame *f)
{
	unsigned cells = live_map_cols(f);

	if (!cpus_by_digits(v, f))
		return rows_with_bars(v, f);
	return MIN(1 + (v->nr_cpus + cells - 1) / cells, f->rows / 3);
}

unsigned live_map_cols(const struct live_frame *f)
{
	return (f->cols - LABEL) / 8 * 8;
}

unsigned live_map_rows(const struct live_view *v, const struct live_frame *f)
{
	unsigned rest = TOP + LEGEND + 1 + POLICY_ROWS + BOTTOM + cpu_rows(v, f);

	return f->rows - rest;
}

/* ---- the parts ---- */

static void put_header(struct live_frame *f, const struct live_view *v)
{
	char dot[4] = {' ', v->utf8 ? MIDDLE_DOT : '-', ' ', '\0'};
	unsigned col = put_cells(f, 0, 0, LIVE_BOLD, "QUARRY  ");

	col = put_cells(f, 0, col, LIVE_PLAIN, "%u CPU%s%s%u node%s%s%lu MiB", v->nr_cpus,
	    plural(v->nr_cpus), dot, v->nr_nodes, plural(v->nr_nodes), dot, v->mib);
	if (v->suite || !v->tests)
		return;
	put_cells(f, 0, col, v->tests_failed ? LIVE_BROKEN : LIVE_PLAIN, "%sselftests %u/%u %s",
	    dot, v->tests_done - MIN(v->tests_failed, v->tests_done), v->tests,
	    v->tests_failed ? "not ok" : "ok");
}

static void put_title(struct live_frame *f, const struct live_view *v)
{
	char text[41];

	if (v->suite) {
		bar(text, sizeof(text) - 1, v->tests_done, v->tests);
		put_cells(f, 1, 0, LIVE_PLAIN, "selftests [%s] %u/%u %s", text, v->tests_done,
		    v->tests, v->suite);
		return;
	}
	put_text(f, 1, 0, LIVE_BOLD, v->title);
	put_cells(
	    f, 1, f->cols - 6, LIVE_PLAIN, "%3u:%02u", v->seconds / 60 % 1000, v->seconds % 60);
}

static u8 cell_colour(char c)
{
	switch (c) {
	case '.': return LIVE_DIM;
	case '+': return LIVE_GREEN;
	case '#': return LIVE_BUSY;
	case 'I': return LIVE_ISOLATED;
	case 'i': return LIVE_EMPTIED;
	case '-': return LIVE_OFFLINE;
	case 'x': return LIVE_BROKEN;
	case ' ': return LIVE_PLAIN;
	default: return LIVE_KERNEL;
	}
}

/* Draw the map; returns the row below it. */
static unsigned put_map(struct live_frame *f, const struct live_view *v)
{
	const struct live_map *map = &v->map;
	unsigned r, i;

	for (r = 0; r < map->nr_rows; r++) {
		const struct live_row *row = &map->row[r];

		if (row->first)
			put_cells(f, TOP + r, 0, LIVE_PLAIN, " node %u", row->node);
		if (map->focused && r == map->focus_row)
			put_text(f, TOP + r, LABEL - 1, LIVE_KEY, ">");
		for (i = 0; i < row->cells && LABEL + i < f->cols; i++) {
			char c = map->cell[r][i];

			f->text[TOP + r][LABEL + i] = (u8)(c == '.' ? MIDDLE_DOT : c);
			f->colour[TOP + r][LABEL + i] = cell_colour(c);
		}
	}
	return TOP + map->nr_rows;
}

static void put_legend(struct live_frame *f, const struct live_view *v, unsigned row)
{
	static const struct {
		char cell;
		const char *name;
	} legend[] = {{'.', "free"}, {'+', "some"}, {'#', "busy"}, {'I', "isolated"},
	    {'i', "emptied"}, {'-', "OFFLINE"}, {'u', NULL}, {'r', "kernel"}, {'x', "broken"}};
	unsigned long kib = (PAGEBLOCK_PAGES << PAGE_SHIFT >> 10) * v->map.cell_blocks;
	unsigned i, col = 1;

	for (i = 0; i < ARRAY_SIZE(legend); i++) {
		char c = legend[i].cell;

		f->text[row][col] = (u8)(c == '.' ? MIDDLE_DOT : c);
		f->colour[row][col] = cell_colour(c);
		col += 2;
		if (legend[i].name)
			col = put_cells(f, row, col, LIVE_PLAIN, "%s", legend[i].name) + 2;
	}
	col = put_cells(f, row + 1, 1, LIVE_PLAIN, "1 cell = %lu %s", kib >= 1024 ? kib >> 10 : kib,
	    kib >= 1024 ? "MiB" : "KiB");
	if (v->map.cell_blocks > 1)
		put_cells(f, row + 1, col, LIVE_PLAIN,
		    ", %u pageblocks, the most telling shown; U R: over half", v->map.cell_blocks);
	else
		put_cells(f, row + 1, col, LIVE_PLAIN,
		    ", a pageblock; # U R: more than half of it is in use");
}

static void put_cpu(
    struct live_frame *f, const struct live_cpu *c, unsigned cpu, unsigned row, unsigned col)
{
	char text[BAR + 1], hits[8];

	col = put_cells(f, row, col, LIVE_PLAIN, "cpu%u ", cpu);
	if (!c->online) {
		put_cells(f, row, col, LIVE_DIM, "offline");
		return;
	}
	if (c->waiting || c->asked_until) {
		col = put_cells(f, row, col, LIVE_ASKED, "<<IPI>>");
		if (c->waiting)
			put_cells(f, row, col, LIVE_PLAIN, " no answer yet");
		else
			put_cells(f, row, col, LIVE_PLAIN, " gives back %llu",
			    (unsigned long long)c->given);
		return;
	}
	bar(text, BAR, c->fill, c->capacity);
	ksnprintf(hits, sizeof(hits), c->hits < 0 ? "-" : "%d%%", c->hits);
	if (c->capacity || c->fill)
		put_cells(f, row, col, LIVE_PLAIN, "cache [%s] %u/%u hit %s", text, c->fill,
		    c->capacity, hits);
	else
		put_cells(f, row, col, LIVE_PLAIN, "cache [   off    ] hit %s", hits);
}

/* The fill of the CPU's cache, in tenths; or a character for another state. */
static char cpu_digit(const struct live_cpu *c)
{
	if (!c->online)
		return '-';
	if (c->waiting)
		return '?';
	if (c->asked_until)
		return '!';
	if (!c->capacity)
		return 'o';
	return (char)('0' + MIN(c->fill * 10 / c->capacity, 9u));
}

static unsigned put_cpus(struct live_frame *f, const struct live_view *v, unsigned row)
{
	unsigned cpu, in_row = cpus_in_row(f), cells = live_map_cols(f), rows = cpu_rows(v, f);

	if (!cpus_by_digits(v, f)) {
		for (cpu = 0; cpu < v->nr_cpus; cpu++)
			put_cpu(
			    f, &v->cpu[cpu], cpu, row + cpu / in_row, 1 + cpu % in_row * CPU_COLS);
		return row + rows;
	}
	put_cells(f, row, 1, LIVE_PLAIN,
	    "CPUs' caches, in tenths; o off, ? asked by an IPI, ! has answered, - offline");
	for (cpu = 0; cpu < v->nr_cpus && 1 + cpu / cells < rows; cpu++) {
		const struct live_cpu *c = &v->cpu[cpu];
		unsigned at = row + 1 + cpu / cells, col = LABEL + cpu % cells;

		if (cpu % cells == 0)
			put_cells(f, at, 1, LIVE_PLAIN, "cpu%u", cpu);
		f->text[at][col] = (u8)cpu_digit(c);
		f->colour[at][col] = c->waiting || c->asked_until ? LIVE_ASKED : LIVE_PLAIN;
	}
	return row + rows;
}

/* Write one of the four steps: done, @part of @whole, or (@whole 0) not begun. */
static unsigned put_step(struct live_frame *f, unsigned row, unsigned col, const char *name,
    unsigned long part, unsigned long whole, const char *unit, bool done)
{
	if (done)
		return put_cells(f, row, col, LIVE_GREEN, "%s [done]", name);
	if (whole)
		return put_cells(f, row, col, LIVE_BOLD, "%s [%lu/%lu%s]", name, part, whole, unit);
	return put_cells(f, row, col, LIVE_PLAIN, "%s", name);
}

static void put_steps(struct live_frame *f, const struct live_view *v, unsigned row)
{
	const struct live_steps *s = &v->steps;
	bool isolated = s->blocks && s->isolated + s->offline == s->blocks;
	bool off = s->blocks && s->offline == s->blocks;
	bool drained = (s->rounds && !s->waiting) || off;
	unsigned col;

	col = put_step(
	    f, row, 1, "1 isolate", s->isolated + s->offline, s->blocks, "", isolated || off);
	col = put_cells(f, row, col, LIVE_PLAIN, " > ");
	col = put_step(f, row, col, "2 drain", s->asked - s->waiting, s->waiting ? s->asked : 0,
	    " CPUs", drained);
	col = put_cells(f, row, col, LIVE_PLAIN, " > ");
	col = put_step(f, row, col, "3 move", s->most - s->in_use, isolated ? s->most : 0, "",
	    off || (isolated && drained && s->in_use == 0));
	col = put_cells(f, row, col, LIVE_PLAIN, " > ");
	put_step(f, row, col, "4 offline", s->offline, s->offline ? s->blocks : 0, "", off);
}

static unsigned put_policies(struct live_frame *f, const struct live_view *v, unsigned row)
{
	unsigned i, col, best = 0;

	for (i = 0; i < NR_ISO_POLICIES; i++)
		if (v->policy_known[i])
			best = MAX(best, v->policy[i].hit_rate);
	for (i = 0; i < NR_ISO_POLICIES && !v->policy_known[i]; i++)
		;
	if (i == NR_ISO_POLICIES)
		return row;
	put_cells(f, row++, 13, LIVE_PLAIN, "rounds  IPIs  cache hits meanwhile  time");
	for (i = 0; i < NR_ISO_POLICIES; i++) {
		const struct live_policy *p = &v->policy[i];

		col = put_cells(f, row, 2, LIVE_PLAIN, "%-8s", iso_policy_name((enum iso_policy)i));
		if (v->policy_known[i]) {
			col = put_cells(f, row, col, p->running ? LIVE_BOLD : LIVE_PLAIN,
			    "  %5u %5u  %10u %%           ", p->rounds, p->ipis, p->hit_rate);
			if (p->running)
				put_cells(f, row, col, LIVE_BOLD, "running");
			else
				put_cells(f, row, col, LIVE_PLAIN, "%llu.%02llu s%s",
				    (unsigned long long)p->ms / 1000,
				    (unsigned long long)p->ms / 10 % 100,
				    p->hit_rate < best / 2 ? "  <- price" : "");
		}
		row++;
	}
	return row;
}

static void put_results(struct live_frame *f, const struct live_view *v, unsigned row)
{
	unsigned end = f->rows - BOTTOM, n = MIN(v->nr_results, (unsigned)LIVE_RESULTS), i;

	n = row < end ? MIN(n, end - row) : 0;
	for (i = v->nr_results - n; i != v->nr_results; i++)
		put_text(f, row++, 1, LIVE_PLAIN, v->result[i % LIVE_RESULTS]);
}

void live_compose(struct live_frame *f, const struct live_view *v)
{
	unsigned row;

	live_frame_init(f, f->cols, f->rows);
	put_header(f, v);
	put_title(f, v);
	row = put_map(f, v);
	put_legend(f, v, row);
	row = put_cpus(f, v, row + LEGEND);
	if (v->stepping)
		put_steps(f, v, row);
	row = put_policies(f, v, row + 1);
	put_results(f, v, row);
	put_text(f, f->rows - 2, 0, LIVE_PLAIN, v->say);
	put_text(f, f->rows - 1, 1, LIVE_KEY, v->keys);
}
