/* SPDX-License-Identifier: MIT */
/*
 * compare.c: Quarry's allocator on a host, and beside it the allocator of a shared object
 * (plugin.h).
 *
 * Churn: all memory is allocated, even below the watermarks, and a random half of the blocks is
 * freed.  Then, 100 times, a random tenth of the held blocks is freed and as many are allocated.
 * The figure is the number of 2 MiB blocks of which nothing is held at the end.  A 2 MiB block of
 * which nothing was held when all memory was allocated does not count.
 * Instructions are counted by single steps of a child process.
 *
 *     compare [file.so]      figures as "bench: NAME VALUE UNIT", the plugin's as plugin_NAME
 *     compare --curve [file.so]   this figure every ten rounds, of the plugin if there is one
 *     compare --trace FILE [file.so]   fragmentation at the end of that trace, in 1 GiB: the share
 *                                      of free memory in blocks of 2 MiB of which something is held
 *
 * Owns:       the memory, and the table of the blocks held.
 * Locks:      none: one thread.
 * Invariants: the same requests for each allocator, from a fixed seed.
 * Tests:      tests/qemu/test_bench.py.
 */
#include "plugin.h"

#include <dlfcn.h>
#include <host.h>
#include <quarry/memory_init.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES                ((u64)2 << 20) /* 8 GiB */
#define FIRST                ((u64)1 << 20) /* number of the first page */
#define BLOCKS               (PAGES / PAGEBLOCK_PAGES)
#define ROUNDS               100
#define PAIRS                64
#define BEFORE(array, first) ((void *)((uintptr_t)(array) - (first) * sizeof((array)[0])))

/* An allocator under test: frames count from 0. */
struct subject {
	const char *prefix;
	u64 (*get)(unsigned cpu, unsigned order);
	int (*put)(unsigned cpu, u64 frame, unsigned order);
	u64 (*bytes)(void);
};

static u64 nr_pages = PAGES; /* fewer with a trace */
static struct memory arena;
static struct page *pages;
static struct pageblock *blocks;
static struct pageblock_tree *trees;
static gfp_t type; /* the type of the next request */

static void *alloc_once(void *arg, size_t bytes)
{
	return calloc(1, bytes);
}

static int set_up(void)
{
	struct memory_config cfg = {.name = "compare",
	    .start_pfn = FIRST,
	    .end_pfn = FIRST + nr_pages,
	    .nr_cpus = nr_cpus,
	    .nr_nodes = 1,
	    .alloc = alloc_once};

	pages = aligned_alloc(_Alignof(struct page), PAGES * sizeof(*pages));
	blocks = calloc(BLOCKS, sizeof(*blocks));
	trees = aligned_alloc(_Alignof(struct pageblock_tree), BLOCKS * sizeof(*trees));
	if (!pages || !blocks || !trees)
		return -ENOMEM;
	memset(trees, 0, BLOCKS * sizeof(*trees));
	memset(pages, 0, PAGES * sizeof(*pages));
	cfg.memmap = BEFORE(pages, FIRST);
	cfg.pageblocks = BEFORE(blocks, FIRST / PAGEBLOCK_PAGES);
	cfg.trees = BEFORE(trees, FIRST / PAGEBLOCK_PAGES);
	if (memory_init(&arena, &cfg) ||
	    memory_add_zone(&arena, 0, ZONE_NORMAL, FIRST, FIRST + nr_pages))
		return -EINVAL;
	memory_add_ram(&arena, FIRST, FIRST + nr_pages);
	memory_free_range(&arena, FIRST, FIRST + nr_pages);
	return memory_ready(&arena) || memory_start(&arena) ? -ENOMEM : 0;
}

static u64 our_get(unsigned cpu, unsigned order)
{
	struct page *page = mem_alloc_pages(&arena, type | GFP_NOWAIT, order);

	return page ? page_to_pfn_in(&arena, page) - FIRST : PLUGIN_NONE;
}

static int our_put(unsigned cpu, u64 frame, unsigned order)
{
	return mem_free_pages(&arena, pfn_to_page_in(&arena, FIRST + frame), order);
}

static u64 our_bytes(void)
{
	return PAGES * sizeof(*pages) + BLOCKS * (sizeof(*blocks) + sizeof(*trees));
}

/* ---- churn ---- */

static u32 held[PAGES]; /* frame * 4 + order */
static u64 nr_held;
static u16 used[BLOCKS];    /* frames held of each 2 MiB block */
static bool taken[PAGES];   /* is the frame held? */
static bool filled[BLOCKS]; /* was a frame of the 2 MiB block held when all was allocated? */
static u64 state;

/* Record that a block was allocated, or will be freed. */
static void mark(const struct subject *s, u64 frame, unsigned order, bool is_held)
{
	u64 nr = (u64)1 << order, i;

	if (frame % nr || frame > nr_pages - nr)
		panic("compare: %sget gave frame %llu for order %u, of %llu frames", s->prefix,
		    (unsigned long long)frame, order, (unsigned long long)nr_pages);
	for (i = frame; i < frame + nr; i++) {
		if (taken[i] == is_held)
			panic("compare: %sget gave frame %llu twice", s->prefix,
			    (unsigned long long)i);
		taken[i] = is_held;
	}
	used[frame / PAGEBLOCK_PAGES] += (u16)(is_held ? nr : -nr);
}

static u64 number(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* A random order: 0 to 3 for 70, 15, 10 and 5 % of the requests. */
static unsigned order_of(bool mixed)
{
	u64 n = mixed ? number() % 100 : 0;

	return n < 70 ? 0 : n < 85 ? 1 : n < 95 ? 2 : 3;
}

static bool hold(const struct subject *s, bool mixed)
{
	unsigned order = order_of(mixed);
	u64 frame;

	type = !mixed || (number() & 1) ? GFP_MOVABLE : GFP_UNMOVABLE;
	frame = s->get(0, order);
	if (frame == PLUGIN_NONE && order)
		frame = s->get(0, order = 0);
	if (frame == PLUGIN_NONE)
		return false;
	mark(s, frame, order, true);
	held[nr_held++] = (u32)(frame * 4 + order);
	return true;
}

static void drop(const struct subject *s)
{
	u64 i = number() % nr_held;
	u32 frame = held[i] / 4, order = held[i] % 4;

	held[i] = held[--nr_held];
	mark(s, frame, order, false);
	if (s->put(0, frame, order))
		panic("compare: a free of frame %u was refused", frame);
}

static u64 whole(void)
{
	u64 i, nr = 0;

	for (i = 0; i < BLOCKS; i++)
		nr += filled[i] && !used[i];
	return nr;
}

static u64 churn(const struct subject *s, bool mixed, bool curve)
{
	u64 i, part, result;
	unsigned round;

	state = 88172645463325252ULL;
	nr_held = 0;
	/* Allocate the pages below the watermarks too: half of all pages are to be freed. */
	WRITE_ONCE(port_task()->reserve, 1);
	while (hold(s, mixed))
		;
	WRITE_ONCE(port_task()->reserve, 0);
	for (i = 0; i < BLOCKS; i++)
		filled[i] = used[i] != 0;
	for (i = nr_held / 2; i > 0; i--)
		drop(s);
	for (round = 0; round < ROUNDS; round++) {
		if (curve && round % 10 == 0)
			printk("churn %u %llu\n", round, (unsigned long long)whole());
		part = nr_held / 10;
		for (i = 0; i < part; i++)
			drop(s);
		for (i = 0; i < part; i++)
			hold(s, mixed);
	}
	result = whole();
	if (curve)
		printk("churn %u %llu\n", round, (unsigned long long)result);
	while (nr_held)
		drop(s);
	return result;
}

/* ---- traces ---- */

#define TRACE_PAGES ((u64)1 << 18) /* 1 GiB */
#define MAX_IDS     16777216u
#define NOTHING     UINT32_MAX

/* The share of free frames in 2 MiB blocks of which a frame is held, in tenths of a percent. */
static u64 fragmented(void)
{
	u64 free = 0, split = 0, i;

	for (i = 0; i < TRACE_PAGES / PAGEBLOCK_PAGES; i++) {
		free += PAGEBLOCK_PAGES - used[i];
		split += used[i] ? PAGEBLOCK_PAGES - used[i] : 0;
	}
	return free ? (split * 1000 + free / 2) / free : 0;
}

/* Read the number at *@at, and move *@at behind it. */
static bool read_number(const char **at, unsigned *value)
{
	char *end;
	unsigned long n = strtoul(*at, &end, 10);
	bool is = end != *at && n <= (u32)~0;

	*at = end;
	*value = (unsigned)n;
	return is;
}

static bool one_event(const struct subject *s, const char *line, u32 *of)
{
	const char *at = line + 1;
	unsigned id, order;
	u64 frame;

	if (*at != ' ' || !read_number(&at, &id) || id >= MAX_IDS)
		return false;
	if (line[0] == 'a') {
		if (!read_number(&at, &order))
			return false;
		while (*at == ' ')
			at++;
		type = *at == 'M' ? GFP_MOVABLE : *at == 'R' ? GFP_RECLAIMABLE : GFP_UNMOVABLE;
		frame = s->get(0, order);
		of[id] = frame == PLUGIN_NONE ? NOTHING : (u32)frame << 4 | order;
		if (frame != PLUGIN_NONE)
			mark(s, frame, order, true);
		return true;
	}
	if (line[0] != 'f')
		return false;
	if (of[id] == NOTHING)
		return true;
	order = of[id] & 15;
	frame = of[id] >> 4;
	mark(s, frame, order, false);
	return s->put(0, frame, order) == 0;
}

/* Replay the trace at @path; false: it cannot be read. */
static bool replay(const struct subject *s, const char *path)
{
	u32 *of = malloc(MAX_IDS * sizeof(*of));
	FILE *f = fopen(path, "r");
	bool good = f && of;
	char line[128];
	u64 share;

	while (good && fgets(line, sizeof(line), f))
		good = line[0] == '#' || one_event(s, line, of);
	if (f)
		fclose(f);
	free(of);
	share = fragmented();
	if (good)
		printk("bench: %sfragmentation %llu.%llu %%\n", s->prefix,
		    (unsigned long long)share / 10, (unsigned long long)share % 10);
	else
		printk("compare: %s: not a trace\n", path);
	return good;
}

/* ---- instructions ---- */

static void pairs(const struct subject *s, unsigned nr)
{
	while (nr-- > 0)
		(void)s->put(0, s->get(0, 0), 0);
}

/* The number of instructions of a child process for @nr pairs, and for the code around them. */
static u64 steps(const struct subject *s, unsigned nr)
{
	int status;
	u64 count = 0;
	pid_t pid = fork();

	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		pairs(s, PAIRS);
		raise(SIGSTOP);
		pairs(s, nr);
		raise(SIGSTOP);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return 0;
	do {
		ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL);
		count++;
	} while (
	    waitpid(pid, &status, 0) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return count;
}

static void figures(const struct subject *s)
{
	typedef unsigned long long ull;
	u64 bytes = (s->bytes() * 10000 + PAGES / 2) / PAGES;
	u64 more, less;

	type = GFP_UNMOVABLE;
	more = steps(s, 2 * PAIRS);
	less = steps(s, PAIRS);
	type = GFP_MOVABLE;
	printk("bench: %sblocks_back_after_churn %llu pageblocks\n", s->prefix,
	    (ull)churn(s, false, false));
	printk(
	    "bench: %sblocks_back_mixed %llu pageblocks\n", s->prefix, (ull)churn(s, true, false));
	printk("bench: %shosted_pair %llu instructions\n", s->prefix, (ull)(more - less) / PAIRS);
	printk("bench: %shosted_bytes_per_page %llu.%04llu bytes\n", s->prefix, (ull)bytes / 10000,
	    (ull)bytes % 10000);
}

/* ---- the program ---- */

static const char *path, *trace;
static bool curve;
static int status;

static void *symbol(void *object, const char *name)
{
	void *found = dlsym(object, name);

	if (!found) {
		printk("compare: %s has no function %s (examples/plugin/plugin.h)\n", path, name);
		exit(1);
	}
	return found;
}

static struct subject plugin(void)
{
	struct subject s = {.prefix = "plugin_"};
	void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	int (*start)(uint64_t frames, unsigned cpus);

	if (!object) {
		printk("compare: %s\n", dlerror());
		exit(1);
	}
	*(void **)&start = symbol(object, "init");
	*(void **)&s.get = symbol(object, "get");
	*(void **)&s.put = symbol(object, "put");
	*(void **)&s.bytes = symbol(object, "metadata_bytes");
	if (start(nr_pages, 1)) {
		printk("compare: %s: init failed\n", path);
		exit(1);
	}
	return s;
}

static void work(void *arg)
{
	struct subject ours = {"", our_get, our_put, our_bytes}, other = ours;

	if (path)
		other = plugin();
	if (curve) {
		churn(&other, false, true);
		return;
	}
	if (trace) {
		status = !replay(path ? &other : &ours, trace);
		return;
	}
	/* The plugin runs first, so that its faults are reported at once. */
	if (path)
		figures(&other);
	figures(&ours);
}

int main(int argc, char **argv)
{
	int words = 1;

	host_start_with(1, NULL);
	curve = argc > 1 && !strcmp(argv[1], "--curve");
	trace = argc > 2 && !strcmp(argv[1], "--trace") ? argv[2] : NULL;
	words += curve + (trace ? 2 : 0);
	path = argc > words ? argv[words] : NULL;
	nr_pages = trace ? TRACE_PAGES : PAGES;
	if (set_up())
		panic("compare: no memory");
	thread_join(thread_start("compare", 0, work, NULL));
	return status;
}
