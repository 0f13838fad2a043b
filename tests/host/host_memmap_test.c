/* SPDX-License-Identifier: MIT */
/*
 * host_memmap_test.c: counts one by one the page descriptors that an offline of a free range
 * touches.
 *
 * The descriptors of the range are made inaccessible; each access faults, is noted, and is let
 * through for one instruction.  Only heads of pageblocks may be touched: the work is by pageblock,
 * not by page. Needs the x86_64 trap flag and an address space without a sanitizer's handlers.
 */
#define _GNU_SOURCE
#include "tests/lib/mm_priv.h"
#include <quarry/ktest.h>
#include <quarry/memory_hotplug.h>
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>

/*
 * Pageblocks before and behind the range: at least a host page of descriptors, so that no watched
 * page holds other data.
 */
#define FIRST_BLOCK  (PAGEBLOCK_PAGES < 16 ? 8 : 4)
#define RANGE_BLOCKS (72 - 2 * FIRST_BLOCK) /* 128 MiB, if pageblocks are 2 MiB */

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

KTEST_SUITE(memmap, KTEST_QUICK | KTEST_MOSTLY_COST);

#if defined(__x86_64__) && !defined(SANITIZED)

#define TRAP_FLAG 0x100

/* Shared with the handlers; one thread is watched at a time. */
static struct {
	uintptr_t from, end;       /* the watched addresses, aligned to host pages */
	uintptr_t first, behind;   /* descriptors of the range itself */
	u32 touched[RANGE_BLOCKS]; /* accesses to the head of each pageblock */
	u32 others;                /* accesses to any other page of the range */
	u32 stray;                 /* faults outside the watched pages */
} watch;
static struct sigaction old_segv, old_trap;

static void protect(int prot)
{
	if (mprotect((void *)watch.from, watch.end - watch.from, prot))
		panic("memmap test: mprotect");
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr;
	ucontext_t *uc = context;

	if (at < watch.from || at >= watch.end) {
		/* Not a watched page: let the fault happen again without this handler. */
		watch.stray++;
		sigaction(SIGSEGV, &old_segv, NULL);
		return;
	}
	if (at >= watch.first && at < watch.behind) {
		unsigned long pfn = (at - watch.first) / sizeof(struct page);

		if (pfn % PAGEBLOCK_PAGES)
			watch.others++;
		else
			watch.touched[pfn / PAGEBLOCK_PAGES]++;
	}
	protect(PROT_READ | PROT_WRITE);
	uc->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void on_step(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	uc->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
	protect(PROT_NONE);
}

static void watch_range(struct memory *mem, pfn_t start, unsigned long nr)
{
	struct sigaction segv = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
	struct sigaction trap = {.sa_sigaction = on_step, .sa_flags = SA_SIGINFO};

	memset(&watch, 0, sizeof(watch));
	watch.first = (uintptr_t)pfn_to_page_in(mem, start);
	watch.behind = (uintptr_t)pfn_to_page_in(mem, start + nr);
	/* The neighbours are descriptors too: their pages may be watched, but are not counted. */
	watch.from = ALIGN_DOWN(watch.first, (uintptr_t)4096);
	watch.end = ALIGN_UP(watch.behind, (uintptr_t)4096);
	sigaction(SIGSEGV, &segv, &old_segv);
	sigaction(SIGTRAP, &trap, &old_trap);
	protect(PROT_NONE);
}

static void unwatch(void)
{
	protect(PROT_READ | PROT_WRITE);
	sigaction(SIGSEGV, &old_segv, NULL);
	sigaction(SIGTRAP, &old_trap, NULL);
}

static void expect_no_access(struct ktest *t, struct memory *mem, enum iso_policy policy)
{
	const pfn_t start = FIRST_BLOCK * PAGEBLOCK_PAGES;
	const struct offline_opts opts = {.policy = policy};
	struct offline_result res;
	unsigned i;
	int err;

	watch_range(mem, start, RANGE_BLOCKS * PAGEBLOCK_PAGES);
	err = offline_pages(mem, start, RANGE_BLOCKS * PAGEBLOCK_PAGES, &opts, &res);
	EXPECT_EQ(t, err, 0);
	err = online_pages(mem, start, RANGE_BLOCKS * PAGEBLOCK_PAGES, NULL);
	unwatch();
	EXPECT_EQ(t, err, 0);
	EXPECT_EQ(t, res.loops, 1);
	EXPECT_EQ(t, watch.others, 0);
	EXPECT_EQ(t, watch.stray, 0);
	for (i = 0; i < RANGE_BLOCKS; i++)
		EXPECT_EQ(t, watch.touched[i], 0);
}

KTEST_INSIDE(the_watch_sees_every_access)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, RANGE_BLOCKS + 2 * FIRST_BLOCK));
	const pfn_t start = FIRST_BLOCK * PAGEBLOCK_PAGES;
	u32 words;

	watch_range(mem, start, RANGE_BLOCKS * PAGEBLOCK_PAGES);
	words = page_word(pfn_to_page_in(mem, start));
	words += page_word(pfn_to_page_in(mem, start + PAGEBLOCK_PAGES));
	words += page_word(pfn_to_page_in(mem, start + PAGEBLOCK_PAGES));
	words += page_word(pfn_to_page_in(mem, start + 2 * PAGEBLOCK_PAGES - 1));
	words += page_word(pfn_to_page_in(mem, start - 1));
	unwatch();
	EXPECT_EQ(t, words, 0);
	EXPECT_EQ(t, watch.touched[0], 1);
	EXPECT_EQ(t, watch.touched[1], 2);
	EXPECT_EQ(t, watch.others, 1);
}

KTEST(offline_of_free_memory_touches_no_page)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 0, RANGE_BLOCKS + 2 * FIRST_BLOCK));

	expect_no_access(t, mem, ISO_DISABLE);
	expect_no_access(t, mem, ISO_PRECISE);
}

#else

KTEST_INSIDE(the_watch_sees_every_access)
{
	ktest_skip(t, "needs x86_64 and no sanitizer");
}

KTEST(offline_of_free_memory_touches_no_page)
{
	ktest_skip(t, "needs x86_64 and no sanitizer");
}

#endif
