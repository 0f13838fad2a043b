/* SPDX-License-Identifier: MIT */
/*
 * picture.c: a live picture of the pageblocks, read from their array while it changes.
 *
 * Owns:       the drawing thread.
 * Locks:      none: the array is read racily; each cell was true at some moment.
 * Invariants: a cell is one character, so that the picture can be read without colours.
 * Tests:      picture, silence_picture.
 */
#include "demo/picture.h"

#include <quarry/console.h>
#include <quarry/port.h>
#include <quarry/string.h>

#define ROW       64 /* pageblocks in a line: 128 MiB */
#define MAX_CELLS (ROW * 8)
#define FRAME_NS  100000000ULL /* between two pictures, or on request */

struct picture {
	struct memory *mem;
	pfn_t first;
	unsigned nr; /* pageblocks shown */
	bool ansi;
	u32 stop, asked, drawn; /* a */
	struct waitq wake;
	struct thread *thread;
	bool placed; /* ansi: rows have been printed once, so go up first */
	char cells[MAX_CELLS], shown[MAX_CELLS];
};

/*
 * The character of a pageblock: its type or state; a capital when more than half of it is in use.
 */
static char cell_of(const struct memory *mem, pfn_t pfn)
{
	const struct pageblock *pb = pageblock_of(mem, pfn);
	bool busy = READ_ONCE(pb->nr_free) < PAGEBLOCK_PAGES / 2;

	switch (pageblock_state(pb)) {
	case PB_HOLE: return ' ';
	case PB_OFFLINE: return '-';
	case PB_ONLINE: break;
	}
	if (pageblock_isolated(pb))
		return READ_ONCE(pb->nr_free) == PAGEBLOCK_PAGES ? 'i' : 'I';
	return (busy ? "UMRC" : "umrc")[pageblock_type(pb) & 3];
}

static const char *cell_colour(char c)
{
	switch (c) {
	case '-': return "\033[90m";
	case 'i': return "\033[30;43m";
	case 'I': return "\033[97;41m";
	case 'm': return "\033[32m";
	case 'M': return "\033[97;42m";
	case 'u': return "\033[34m";
	case 'U': return "\033[97;44m";
	case 'r': return "\033[36m";
	case 'R': return "\033[30;46m";
	default: return "\033[35m";
	}
}

static void draw_row_ansi(const struct picture *p, unsigned row)
{
	char line[ROW * 14 + 64];
	int at = ksnprintf(line, sizeof(line), "\033[2K  %#9lx ",
	    p->first + ((pfn_t)row * ROW << PAGEBLOCK_ORDER));
	unsigned i;

	for (i = row * ROW; i < (row + 1) * ROW && i < p->nr; i++)
		at += ksnprintf(line + at, sizeof(line) - (size_t)at, "%s%c\033[0m",
		    cell_colour(p->cells[i]), p->cells[i]);
	printk("%s\n", line);
}

/* Draw the rows that changed since the last time. */
static void draw(struct picture *p)
{
	unsigned i, row, rows = (p->nr + ROW - 1) / ROW;

	for (i = 0; i < p->nr; i++)
		p->cells[i] = cell_of(p->mem, p->first + ((pfn_t)i << PAGEBLOCK_ORDER));
	if (!memcmp(p->cells, p->shown, p->nr))
		return;
	if (p->ansi && p->placed)
		printk("\033[%uA", rows);
	for (row = 0; row < rows; row++) {
		unsigned len = MIN((unsigned)ROW, p->nr - row * ROW);

		if (p->ansi)
			draw_row_ansi(p, row);
		else if (memcmp(p->cells + row * ROW, p->shown + row * ROW, len) != 0)
			printk("  blocks %#lx %.*s\n",
			    p->first + ((pfn_t)row * ROW << PAGEBLOCK_ORDER), (int)len,
			    p->cells + row * ROW);
	}
	p->placed = true;
	memcpy(p->shown, p->cells, p->nr);
}

static bool wanted(void *arg)
{
	struct picture *p = arg;

	return READ_ONCE(p->stop) || READ_ONCE(p->asked) != READ_ONCE(p->drawn);
}

static void picture_thread(void *arg)
{
	struct picture *p = arg;

	while (!READ_ONCE(p->stop)) {
		u32 asked = load_acquire(&p->asked);

		draw(p);
		store_release(&p->drawn, asked);
		wake_up(&p->wake);
		wait_until(&p->wake, wanted, p, FRAME_NS);
	}
}

struct picture *picture_start(
    struct memory *mem, pfn_t start, unsigned long nr, const char *style, unsigned cpu)
{
	struct picture *p;
	unsigned long cells = MAX_CELLS;
	pfn_t first;

	if (strcmp(style, "off") == 0)
		return NULL;
	p = kmalloc(sizeof(*p));
	if (!p)
		return NULL;
	p->wake = WAITQ("picture");
	p->mem = mem;
	p->ansi = strcmp(style, "ansi") == 0;
	/* In place: all of a machine of up to 1 GiB; else only the rows of the range. */
	first = mem->start_pfn;
	if (!p->ansi || (mem->end_pfn - first) >> PAGEBLOCK_ORDER > MAX_CELLS) {
		unsigned long row = (unsigned long)ROW << PAGEBLOCK_ORDER;

		first = MAX(ALIGN_DOWN(start, row), first);
		cells = MIN((unsigned long)MAX_CELLS,
		    (ALIGN_UP(start + nr, row) - first) >> PAGEBLOCK_ORDER);
	}
	p->first = first;
	p->nr = (unsigned)MIN(cells, (mem->end_pfn - first) >> PAGEBLOCK_ORDER);
	p->thread = thread_start("picture", (int)cpu, picture_thread, p);
	if (!p->thread) {
		kfree(p);
		return NULL;
	}
	return p;
}

static bool has_drawn(void *arg)
{
	struct picture *p = arg;

	return load_acquire(&p->drawn) == READ_ONCE(p->asked);
}

void picture_sync(struct picture *p)
{
	if (!p)
		return;
	/* The drawing that answers this request began after it. */
	atomic_add(&p->asked, 1u);
	wake_up(&p->wake);
	wait_until(&p->wake, has_drawn, p, WAIT_FOREVER);
}

void picture_stop(struct picture *p)
{
	if (!p)
		return;
	WRITE_ONCE(p->stop, 1);
	wake_up(&p->wake);
	thread_join(p->thread);
	kfree(p);
}

void picture_legend(const char *style)
{
	if (strcmp(style, "off") != 0)
		printk("tour: each character is a pageblock of 2 MiB: u m r c its type, a capital "
		       "when more than "
		       "half is in use, I isolated, i isolated and free, - offline\n");
}
