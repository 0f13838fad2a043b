/* SPDX-License-Identifier: MIT */
/*
 * fiber_whole.c: the hosted program "silence": mm/, the kernel's threads, CPU hotplug, messages,
 * pagers and the virtio drivers on CPUs that are fibers, with a clock that advances when all of
 * them wait.  The programs that grade labs have the same machine, without drivers.
 *
 *   check [SUITE.TEST,...]    KTAP, as the other hosted programs
 *
 * A wait of a minute takes no time here, and an endless wait is detected: no CPU makes progress
 * (threads_patience).
 *
 * Owns: the arrays behind kernel_memory.
 */
#include "fiber_whole.h"
#include "fiber_threads.h"
#include <quarry/cpu.h>
#include <quarry/hotplug.h>
#include <quarry/ktest.h>
#include <quarry/machine.h>
#include <quarry/memory_init.h>
#include <quarry/string.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define WHOLE_PAGES (PAGEBLOCK_ORDER >= 9 ? 65536UL : 1024 * PAGEBLOCK_PAGES)
#define PATIENCE    60000 /* ticks: ten minutes, longer than any sequence of waits */
#define SEED        0x5eed

char fiber_memmap[WHOLE_PAGES * sizeof(struct page)] __attribute__((aligned(4096)));
char fiber_pageblocks[WHOLE_PAGES / PAGEBLOCK_PAGES * sizeof(struct pageblock)]
    __attribute__((aligned(4096)));
static struct pageblock_tree trees[WHOLE_PAGES / PAGEBLOCK_PAGES];
char fiber_ram[WHOLE_PAGES << PAGE_SHIFT] __attribute__((aligned(PAGE_SIZE)));
int (*whole_run)(const char *which, u64 seed) = ktest_run;

/* ---- the machine's side ---- */

unsigned arch_cpu_node(unsigned cpu)
{
	return 0;
}

void arch_pagetable_init(u64 *root)
{
}

void arch_tlb_flush_page(phys_t root, uintptr_t va)
{
}

void arch_tlb_flush_user(void)
{
}

void threads_count(long nr)
{
}

/* ---- the program ---- */

static void on_stuck(void)
{
	printf("  # STUCK: nobody gets on: a wait has no end\n");
	fflush(stdout);
	_exit(WHOLE_STUCK);
}

static void on_panic(const char *text)
{
	printf("  # PANIC: %s\n", text);
	fflush(stdout);
	abort();
}

/* The result of a child process. */
static struct last_words {
	bool panicked;
	u64 at;
	char text[256];
} * last_words;

static void on_wanted_panic(const char *text)
{
	last_words->panicked = true;
	last_words->at = arch_clock_ns();
	snprintf(last_words->text, sizeof(last_words->text), "%s", text);
	_exit(0);
}

/* One OS thread is the whole machine, so a forked child is a copy of the machine. */
bool whole_panics(void (*fn)(void *), void *arg, const char *words, u64 *ns)
{
	u64 began = arch_clock_ns();
	int status = 1;
	pid_t child;

	if (!last_words)
		last_words = mmap(NULL, sizeof(*last_words), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (last_words == MAP_FAILED)
		abort();
	memset(last_words, 0, sizeof(*last_words));
	fflush(stdout);
	child = fork();
	if (!child) {
		threads_on_panic = on_wanted_panic;
		threads_verbose = false;
		fn(arg);
		_exit(0);
	}
	waitpid(child, &status, 0);
	*ns = last_words->at - began;
	if (last_words->panicked && __builtin_strstr(last_words->text, words))
		return true;
	printf("  # it %s\n",
	    last_words->panicked ? last_words->text
	        : status         ? "ended otherwise"
	                         : "returned");
	return false;
}

static void *alloc(void *arg, size_t bytes)
{
	return arch_boot_zalloc(bytes);
}

/* Set up memory as at boot, before there are threads. */
static void set_up_memory(void)
{
	struct memory_config cfg = {.name = "kernel",
	    .memmap = ARCH_MEMMAP,
	    .pageblocks = ARCH_PAGEBLOCKS,
	    .trees = trees,
	    .end_pfn = WHOLE_PAGES,
	    .nr_cpus = nr_cpus,
	    .nr_nodes = 1,
	    .backed = true,
	    .reclaim = &memory_reclaim,
	    .alloc = alloc};
	const pfn_t border[] = {0, WHOLE_PAGES / 4, WHOLE_PAGES / 2, WHOLE_PAGES};
	int err, kind;

	err = memory_init(&kernel_memory, &cfg);
	for (kind = 0; kind < NR_ZONE_KINDS && !err; kind++) {
		err = memory_add_zone(
		    &kernel_memory, 0, (enum zone_kind)kind, border[kind], border[kind + 1]);
		if (!err)
			memory_add_ram(&kernel_memory, border[kind], border[kind + 1]);
		/* The first pageblock stays reserved, as on a real machine. */
		if (!err)
			memory_free_range(
			    &kernel_memory, MAX(border[kind], PAGEBLOCK_PAGES), border[kind + 1]);
	}
	err = err ? err : memory_ready(&kernel_memory);
	if (err)
		panic("silence: no kernel memory: error %d", err);
}

static int run(void *which)
{
	if (memory_start(&kernel_memory))
		panic("silence: no reclaim thread");
	return whole_run(which, SEED) ? 1 : 0;
}

int main(int argc, char **argv)
{
	const char *which = "all";
	int a;

	for (a = 1; a < argc; a++)
		if (strncmp(argv[a], "--", 2) != 0)
			which = argv[a];
	threads_on_stuck = on_stuck;
	threads_on_panic = on_panic;
	threads_patience = PATIENCE;
	threads_verbose = true;
	threads_set_up = set_up_memory;
	threads_boot(run, (void *)(uintptr_t)which);
}
