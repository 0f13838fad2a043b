/* SPDX-License-Identifier: MIT */
/*
 * qemu_count.c: a plugin of QEMU (-plugin count.so,spec=FILE,out=FILE) that counts in a guest.
 *
 * bench_count.py knows the kernel and writes the spec: lines "KIND FROM TO", hexadecimal, TO
 * exclusive.  The kernel stores to an array between operations (bench_mark): a store to element r
 * begins a window of row r, a store to element 0 ends it.  A call that the spec names ("call AT
 * ROW") is a window, up to the instruction behind the call.  For each row the plugin counts, on the
 * CPU that began the window and outside of interrupt handlers:
 *
 *   row R WINDOWS INSTRUCTIONS LOCKED LINES CODE_LINES TESTS RELINKS
 *   held R LOCK INSTRUCTIONS TIMES        executed while LOCK was held; TIMES that it was taken
 *   at R ADDRESS TIMES                    the executions of the instruction at ADDRESS
 *   off INSTRUCTIONS FROM TO MOST N       the longest sections with interrupts off in a row "load",
 *                                         on any CPU, without waits for locks.  N instructions are
 *                                         in the function at MOST; FROM and TO are outside of
 *                                         functions "through" (locks); a line for each FROM, MOST
 *
 * Needs one host thread for all CPUs (icount): nothing here is locked.
 *
 * Owns:       all counts.
 * Locks:      none.
 * Invariants: a section begins with cli or an entry that was executed while interrupts were on.
 * Tests:      tests/qemu/test_bench_count.py.
 */
#include "qemu_plugin.h"

#include <stdio.h>

/* ---- the spec ---- */

enum { OFF = 1, ON = 2, ENTRY = 4, LEAVE = 8, SPIN = 16, SPUN = 32, LOCKED = 64, TAKE = 128 };
enum { DROP = 256, TEST = 512, RELINK = 1024, MARK = 2048, CALL = 4096, THROUGH = 8192 };
static const struct {
	const char *name;
	unsigned bit;
} kinds[] = {{"off", OFF}, {"on", ON}, {"entry", ENTRY}, {"leave", LEAVE}, {"spin", SPIN},
    {"spun", SPUN}, {"locked", LOCKED}, {"take", TAKE}, {"drop", DROP}, {"test", TEST},
    {"relink", RELINK}, {"mark", MARK}, {"through", THROUGH}};
#define NR_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static uint64_t text, text_end, marks, stacks, stacks_end;
static uint16_t *flags;       /* of the instruction at each byte of the text */
static uint16_t *function_of; /* of each byte of the text: the number of its function, from 1 */
#define MAX_FUNCTIONS 8192
static uint64_t functions[MAX_FUNCTIONS];
static unsigned nr_functions;
static unsigned load_rows; /* bit r: row r is a "load": its sections with interrupts off count */
static FILE *out;

/* Calls that are rows: the addresses of the call and of the instruction behind it. */
#define MAX_CALLS 4096
static struct {
	uint64_t at, next;
	unsigned row;
} calls[MAX_CALLS];
static unsigned nr_calls;
static uint64_t returns_to; /* 0: no such call is running */

#define MAX_ROWS  32
#define MAX_LOCKS 64
#define MAX_CPUS  255
#define DEPTH     16
#define LINES     65536u /* a power of two */

struct lock_count {
	uint64_t lock, insns, times;
};

static struct {
	uint64_t windows, insns, locked, lines, code_lines, tests, relinks;
	struct lock_count locks[MAX_LOCKS];
	uint32_t *at; /* the executions of the instruction at each byte of the text */
} rows[MAX_ROWS];

static struct cpu {
	uint64_t insns;
	bool known, off, spinning, handler;
	uint64_t since, from, first, last; /* of the section with interrupts off */
	uint32_t spent[MAX_FUNCTIONS];     /* instructions of the section, by function */
	uint16_t seen[MAX_FUNCTIONS];      /* the functions for which spent is not 0 */
	unsigned nr_seen;
	unsigned nr_held;
	uint64_t held[DEPTH];
} cpus[MAX_CPUS + 1];

static unsigned row, owner; /* the window's row, or 0; the CPU that began the window */
#define of_load() (load_rows >> row & 1)
/* Do the instructions that @c executes count for the row? */
static bool counts(const struct cpu *c)
{
	return row && !of_load() && c == &cpus[owner] && !c->handler;
}

/* ---- sets of cache lines, emptied by a new epoch ---- */

struct set {
	uint32_t epoch, nr, at[LINES];
	uint64_t line[LINES];
};
static struct set data_lines, code_lines;

static void set_empty(struct set *s)
{
	s->epoch++;
	s->nr = 0;
}

/*
 * Returns 1 if @line is added.  A half full set takes no more: a long row has no figure of lines.
 */
static unsigned set_add(struct set *s, uint64_t line)
{
	uint32_t i = (uint32_t)(line * 0x9e3779b97f4a7c15ULL >> 48) & (LINES - 1), n;

	for (n = 0; n < LINES; n++, i = (i + 1) & (LINES - 1)) {
		if (s->at[i] != s->epoch) {
			if (s->nr == LINES / 2)
				return 0;
			s->nr++;
			s->at[i] = s->epoch;
			s->line[i] = line;
			return 1;
		}
		if (s->line[i] == line)
			return 0;
	}
	return 0;
}

/* ---- sections with interrupts off ---- */

#define SECTIONS 10
static struct section {
	uint64_t length, from, to, most, in_most;
} sections[SECTIONS];

static void note_section(const struct section *found)
{
	struct section *least = &sections[0];
	unsigned i;

	for (i = 0; i < SECTIONS; i++) {
		if (sections[i].from == found->from && sections[i].most == found->most)
			break;
		if (sections[i].length < least->length)
			least = &sections[i];
	}
	if (i < SECTIONS)
		least = &sections[i];
	if (found->length > least->length)
		*least = *found;
}

static void irqs_off(struct cpu *c, uint64_t at)
{
	if (c->known && c->off)
		return;
	c->off = c->known = true;
	c->since = c->insns;
	c->from = of_load() ? at : 0;
	c->first = c->last = 0;
	while (c->nr_seen)
		c->spent[c->seen[--c->nr_seen]] = 0;
}

/* Count an instruction of a section; @through: it is in a function "through". */
static void spend(struct cpu *c, uint64_t at, bool through)
{
	unsigned function = at - text < text_end - text ? function_of[at - text] : 0;

	if (!c->spent[function]++)
		c->seen[c->nr_seen++] = (uint16_t)function;
	if (through)
		return;
	c->first = c->first ? c->first : at;
	c->last = at;
}

static void irqs_on(struct cpu *c, uint64_t at)
{
	struct section found = {.length = c->insns - c->since};
	unsigned i;

	if (c->known && c->off && c->from && of_load()) {
		found.from = c->first ? c->first : c->from;
		found.to = c->last ? c->last : at;
		for (i = 0; i < c->nr_seen; i++) {
			if (c->spent[c->seen[i]] <= found.in_most)
				continue;
			found.in_most = c->spent[c->seen[i]];
			found.most = functions[c->seen[i]];
		}
		note_section(&found);
	}
	c->known = true;
	c->off = false;
}

/* ---- locks ---- */

static struct lock_count *count_of(uint64_t lock)
{
	struct lock_count *l = rows[row].locks;
	unsigned i;

	for (i = 0; i < MAX_LOCKS - 1 && l[i].lock && l[i].lock != lock; i++)
		;
	l[i].lock = lock;
	return &l[i];
}

static bool is_held(uint64_t lock)
{
	unsigned i, j;

	for (i = 0; i <= MAX_CPUS; i++)
		for (j = 0; j < cpus[i].nr_held; j++)
			if (cpus[i].held[j] == lock)
				return true;
	return false;
}

static void took(struct cpu *c, uint64_t lock)
{
	if (c->nr_held == DEPTH || is_held(lock))
		return;
	c->held[c->nr_held++] = lock;
	if (counts(c))
		count_of(lock)->times++;
}

static void dropped(struct cpu *c, uint64_t lock)
{
	unsigned i;

	for (i = 0; i < c->nr_held; i++)
		if (c->held[i] == lock)
			c->held[i] = c->held[--c->nr_held];
}

/* ---- what QEMU calls ---- */

static void marked(unsigned cpu, unsigned number)
{
	if (number >= MAX_ROWS)
		return;
	row = number;
	owner = cpu;
	if (!row)
		return;
	if (!rows[row].windows++ && !of_load())
		rows[row].at = calloc(text_end - text, sizeof(*rows[row].at));
	set_empty(&data_lines);
	set_empty(&code_lines);
}

static void called(unsigned cpu, uint64_t at)
{
	unsigned i;

	for (i = 0; i < nr_calls && calls[i].at != at; i++)
		;
	if (i == nr_calls || row)
		return;
	marked(cpu, calls[i].row);
	returns_to = calls[i].next;
}

static void executed(unsigned given, void *data)
{
	uint64_t at = (uint64_t)(uintptr_t)data;
	unsigned cpu = cpu_now(given);
	unsigned f = at - text < text_end - text ? flags[at - text] : 0, i;
	struct cpu *c = &cpus[cpu];

	if (returns_to == at && cpu == owner && !c->handler) {
		returns_to = 0;
		marked(cpu, 0);
	}
	if (f & SPIN)
		c->spinning = true;
	if (!c->spinning)
		c->insns++;
	if (f & SPUN)
		c->spinning = false;
	if (f & (OFF | ENTRY))
		irqs_off(c, at);
	if (c->off && of_load() && !c->spinning)
		spend(c, at, f & THROUGH);
	if (f & ENTRY)
		c->handler = true;
	if (counts(c) && !(f & MARK)) {
		rows[row].insns++;
		if (rows[row].at && at - text < text_end - text)
			rows[row].at[at - text]++;
		rows[row].locked += !!(f & LOCKED);
		rows[row].tests += !!(f & TEST);
		rows[row].relinks += !!(f & RELINK);
		rows[row].code_lines += set_add(&code_lines, at >> 6);
		for (i = 0; i < c->nr_held; i++)
			count_of(c->held[i])->insns++;
	}
	if (f & (ON | LEAVE))
		irqs_on(c, at);
	if (f & LEAVE)
		c->handler = false;
	if (f & CALL)
		called(cpu, at);
}

static void accessed(unsigned given, uint32_t info, uint64_t at, void *data)
{
	uint64_t insn = (uint64_t)(uintptr_t)data;
	unsigned cpu = cpu_now(given);
	unsigned f = insn - text < text_end - text ? flags[insn - text] : 0;
	struct cpu *c = &cpus[cpu];

	if (f & MARK) {
		if (qemu_plugin_mem_is_store(info) && at - marks < MAX_ROWS)
			marked(cpu, (unsigned)(at - marks));
		return;
	}
	if (f & TAKE)
		took(c, at);
	if ((f & DROP) && qemu_plugin_mem_is_store(info))
		dropped(c, at);
	if (counts(c) && at - stacks >= stacks_end - stacks)
		rows[row].lines += set_add(&data_lines, at >> 6);
}

static void translated(void *tb)
{
	size_t nr = qemu_plugin_tb_n_insns(tb), i;

	watch_cpu(tb);
	for (i = 0; i < nr; i++) {
		void *insn = qemu_plugin_tb_get_insn(tb, i);
		void *at = (void *)(uintptr_t)qemu_plugin_insn_vaddr(insn);

		qemu_plugin_register_vcpu_insn_exec_cb(insn, executed, NO_REGS, at);
		qemu_plugin_register_vcpu_mem_cb(insn, accessed, NO_REGS, READ_WRITE, at);
	}
}

static void print_profile(unsigned r)
{
	uint64_t at;

	for (at = 0; rows[r].at && at < text_end - text; at++)
		if (rows[r].at[at])
			fprintf(
			    out, "at %u %" PRIx64 " %" PRIu32 "\n", r, text + at, rows[r].at[at]);
}

static void print(void)
{
	unsigned r, i;

	for (r = 1; r < MAX_ROWS; r++) {
		if (!rows[r].windows)
			continue;
		fprintf(out, "row %u %" PRIu64 " %" PRIu64 " %" PRIu64, r, rows[r].windows,
		    rows[r].insns, rows[r].locked);
		fprintf(out, " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", rows[r].lines,
		    rows[r].code_lines, rows[r].tests, rows[r].relinks);
		for (i = 0; i < MAX_LOCKS && rows[r].locks[i].lock; i++)
			fprintf(out, "held %u %" PRIx64 " %" PRIu64 " %" PRIu64 "\n", r,
			    rows[r].locks[i].lock, rows[r].locks[i].insns, rows[r].locks[i].times);
		print_profile(r);
	}
	for (i = 0; i < SECTIONS; i++)
		if (sections[i].length)
			fprintf(out,
			    "off %" PRIu64 " %" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIu64 "\n",
			    sections[i].length, sections[i].from, sections[i].to, sections[i].most,
			    sections[i].in_most);
	fclose(out);
}

/* ---- start ---- */

static int flag_range(const char *kind, uint64_t from, uint64_t to)
{
	size_t i;

	if (!strcmp(kind, "text")) {
		text = from;
		text_end = to;
		flags = calloc(to - from, sizeof(*flags));
		function_of = calloc(to - from, sizeof(*function_of));
		return flags && function_of ? 0 : -1;
	}
	if (!strcmp(kind, "function") && flags && nr_functions < MAX_FUNCTIONS - 1 &&
	    from >= text && to <= text_end) {
		functions[++nr_functions] = from;
		for (; from < to; from++)
			function_of[from - text] = (uint16_t)nr_functions;
		return 0;
	}
	if (!strcmp(kind, "marks")) {
		marks = from;
		return 0;
	}
	if (!strcmp(kind, "stacks")) {
		stacks = from;
		stacks_end = to;
		return 0;
	}
	if (!strcmp(kind, "load")) {
		load_rows |= 1u << from % MAX_ROWS;
		return 0;
	}
	/* The lines "call AT ROW" and "next AT ROW" of one call follow each other. */
	if (!strcmp(kind, "call") && flags && nr_calls < MAX_CALLS && to && to < MAX_ROWS) {
		flags[from - text] |= CALL;
		calls[nr_calls].at = from;
		calls[nr_calls].row = (unsigned)to;
		return 0;
	}
	if (!strcmp(kind, "next") && nr_calls < MAX_CALLS) {
		calls[nr_calls++].next = from;
		return 0;
	}
	for (i = 0; i < NR_KINDS; i++) {
		if (strcmp(kind, kinds[i].name) != 0 || !flags || from < text || to > text_end)
			continue;
		for (; from < to; from++)
			flags[from - text] |= (uint16_t)kinds[i].bit;
		return 0;
	}
	return -1;
}

static int read_spec(const char *path)
{
	FILE *f = fopen(path, "r");
	char line[80], *rest;
	int err = f ? 0 : -1;

	while (!err && fgets(line, sizeof(line), f)) {
		rest = strchr(line, ' ');
		if (rest) {
			uint64_t from, to;

			*rest++ = 0;
			from = strtoull(rest, &rest, 16);
			to = strtoull(rest, NULL, 16);
			err = flag_range(line, from, to);
		} else {
			err = -1;
		}
	}
	if (f)
		fclose(f);
	return err;
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
	int i;

	for (i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "spec=", 5) && read_spec(argv[i] + 5)) {
			fprintf(stderr, "count: %s: not a spec\n", argv[i] + 5);
			return -1;
		}
		if (!strncmp(argv[i], "out=", 4))
			out = fopen(argv[i] + 4, "w");
	}
	if (!out || !flags)
		return -1;
	plugin_calls(id, translated, print);
	return 0;
}
