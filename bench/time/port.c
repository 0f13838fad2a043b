/* SPDX-License-Identifier: MIT */
/*
 * port.c: the core of mm/ in a process, a thread for each of up to two CPUs, for
 * `make bench TIME=1`: the machine, port.h, and the functions of subject.h.
 *
 * Locks are those of the tree's kernel/lock.c.  The memmap is mapped in pages of 2 MiB where the
 * host has them, and touched before anything is measured, as the kernel's is.
 *
 * Owns:       the CPUs' blocks, the arrays behind kernel_memory.
 * Locks:      none of its own.
 * Invariants: no CPU is asked for anything, and nothing is waited for but a lock.
 */
#define _GNU_SOURCE
#include "subject.h"
#include <asm/prctl.h>
#include <quarry/lock.h>
#include <quarry/memory_init.h>
#include <quarry/mm.h>
#include <quarry/smp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define HUGE (2UL << 20)

#define CPUS 2
struct time_cpu time_block[CPUS] __attribute__((aligned(4096)));
static struct pageblock_tree trees[SUBJECT_FRAMES / PAGEBLOCK_PAGES] __attribute__((aligned(4096)));
static cpumask_t online;
cpumask_t *cpu_online_mask = &online;
struct rwsem cpu_hotplug = RWSEM("cpu_hotplug");
unsigned nr_cpus;
#ifdef TIME_EARLIER
static struct pcp *time_pcp[] = {
    (struct pcp *)(void *)time_block[0].pcp, (struct pcp *)(void *)time_block[1].pcp};
#endif

/* ---- the machine, and port.h ---- */

void printk(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
}

void panic(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("time: panic: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

void time_attend(void)
{
	panic("a request to a CPU");
}

u64 arch_clock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (u64)ts.tv_sec * 1000000000 + (u64)ts.tv_nsec;
}

unsigned arch_cpu_node(unsigned cpu)
{
	return 0;
}

struct mm_task *port_task(void)
{
	static struct mm_task task[CPUS];

	return &task[arch_cpu_id()];
}

bool wait_until(struct waitq *wq, bool (*cond)(void *), void *arg, u64 timeout_ns)
{
	if (!cond(arg))
		panic("a wait");
	return true;
}

void wake_up_locked(struct waitq *wq, const void *arg)
{
}

int smp_call_mask(const cpumask_t *mask, void (*fn)(void *), void *arg)
{
	do {
		irqflags_t flags = arch_irq_save();

		port_task()->call_again = false;
		fn(arg);
		arch_irq_restore(flags);
	} while (port_task()->call_again);
	return 0;
}

/* ---- memory ---- */

static void *zeroed(void *arg, size_t bytes)
{
	void *ptr = aligned_alloc(64, ALIGN_UP(bytes, 64));

	return ptr ? memset(ptr, 0, ALIGN_UP(bytes, 64)) : NULL;
}

static void map_at(void *at, size_t bytes)
{
	size_t size = ALIGN_UP(bytes, HUGE);

	if (mmap(at, size, PROT_READ | PROT_WRITE,
	        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != at)
		panic("no %zu bytes at %p", size, at);
	madvise(at, size, MADV_HUGEPAGE);
	memset(at, 0, size);
}

void enter(unsigned cpu)
{
	time_block[cpu].id = cpu;
	if (syscall(SYS_arch_prctl, ARCH_SET_GS, &time_block[cpu]))
		panic("the host sets no GS base");
	arch_set_top_lock(&lock_none);
}

int init(uint64_t nr, unsigned cpus)
{
	struct memory_config cfg = {.name = "kernel",
	    .memmap = ARCH_MEMMAP,
	    .pageblocks = ARCH_PAGEBLOCKS,
	    .trees = trees,
	    .end_pfn = nr,
	    .nr_cpus = cpus,
	    .nr_nodes = 1,
	    .backed = true,
	    .alloc = zeroed};
	int err;

	if (cpus > CPUS)
		return -EINVAL;
	nr_cpus = cpus;
	online = (1u << cpus) - 1;
	enter(0);
#ifdef TIME_EARLIER
	cfg.pcp = time_pcp;
#endif
	map_at(ARCH_MEMMAP, nr * sizeof(struct page));
	map_at(ARCH_PAGEBLOCKS, nr / PAGEBLOCK_PAGES * sizeof(struct pageblock));
	err = memory_init(&kernel_memory, &cfg);
	err = err ? err : memory_add_zone(&kernel_memory, 0, ZONE_NORMAL, 0, nr);
	if (err)
		return err;
	memory_add_ram(&kernel_memory, 0, nr);
	memory_free_range(&kernel_memory, PAGEBLOCK_PAGES, nr);
	err = memory_ready(&kernel_memory);
	return err ? err : memory_start(&kernel_memory);
}

uint64_t get(unsigned cpu, unsigned order)
{
	return (uintptr_t)alloc_pages(GFP_MOVABLE | GFP_NOWAIT, order);
}

int put(unsigned cpu, uint64_t at, unsigned order)
{
	return free_pages((struct page *)at, order);
}

void put_many(unsigned cpu, uint64_t *at, unsigned nr)
{
	free_pages_bulk(nr, (struct page **)(void *)at);
}

int cache(int on)
{
	struct zone *zone = zone_of(&kernel_memory, PAGEBLOCK_PAGES);

	return on ? zone_pcp_enable(zone) : zone_pcp_disable(zone);
}
