/* SPDX-License-Identifier: MIT */
/*
 * test_arch_map.c: the kernel's own addresses: their permissions, and that no CPU uses a stale
 * mapping.
 *
 * To have an old translation in its TLB, a CPU first reads the address, in a thread that then only
 * spins until it reads again. So only the operation under test can flush the TLB.
 */
#include "tests/lib/hotplug_help.h"
#include "x86.h"
#include <quarry/bootinfo.h>
#include <quarry/acpi.h>
#include <quarry/errno.h>
#include <quarry/user.h>

#define NR_STACKS_TRIED 80 /* more kernel stacks than are kept for reuse */
#define LARGE           (2UL << 20)
/* Where the descriptor of the page at 8 TiB would lie: no machine here has so much memory. */
#define UNBACKED ((uintptr_t)(ARCH_MEMMAP + (1UL << 31)))
/* Behind the last slot of kernel stacks, in the same window. */
#define SCRATCH (ARCH_STACK_BASE + (1UL << 30))

/* ---- accesses on a CPU ---- */

struct access {
	uintptr_t va;
	u64 value; /* the word read at @va */
	int err;
};

static void read_word(void *arg)
{
	struct access *a = arg;

	a->value = *(volatile u64 *)a->va;
}

static void rewrite_byte(void *arg)
{
	struct access *a = arg;
	volatile u8 *byte = (volatile u8 *)a->va;
	u8 value = *byte;

	*byte = value;
}

static void call_there(void *arg)
{
	struct access *a = arg;
	void (*fn)(void) = (void (*)(void))a->va;

	fn();
}

static void probe_read(void *arg)
{
	struct access *a = arg;

	a->err = arch_probe(read_word, a);
}

/* The value that @cpu reads at @va; *@err: 0 or -EFAULT. */
static u64 read_on(unsigned cpu, uintptr_t va, int *err)
{
	struct access a = {.va = va};

	ktest_on_cpu(cpu, probe_read, &a);
	*err = a.err;
	return a.value;
}

static void expect_read(struct ktest *t, unsigned cpu, uintptr_t va, u64 want)
{
	int err;
	u64 value = read_on(cpu, va, &err);

	EXPECT_EQ(t, err, 0);
	EXPECT_EQ(t, value, want);
}

static void expect_fault(struct ktest *t, unsigned cpu, uintptr_t va)
{
	int err;

	read_on(cpu, va, &err);
	EXPECT_EQ(t, err, -EFAULT);
}

/* ---- reading before and after ---- */

#define SPIN_NS 20000000000ULL

/* The state of each CPU's thread: it reads, waits for @go, and reads again. */
struct watch {
	struct access before, after;
	u32 seen, go; /* atomic */
};
static struct watch watching[8];

static void watch(void *arg)
{
	struct watch *w = arg;
	u64 until = arch_clock_ns() + SPIN_NS;

	probe_read(&w->before);
	store_release(&w->seen, 1u);
	while (!load_acquire(&w->go) && arch_clock_ns() < until)
		cpu_relax();
	probe_read(&w->after);
}

/* Let all CPUs read @va, and expect the result @err. */
static void watch_begin(struct ktest *t, uintptr_t va, int err)
{
	unsigned cpu;

	for (cpu = 0; cpu < ktest_cpus(); cpu++) {
		struct watch *w = &watching[cpu];

		*w = (struct watch){.before.va = va, .after.va = va};
		ktest_start(cpu, watch, w);
	}
	for (cpu = 0; cpu < ktest_cpus(); cpu++) {
		EXPECT(t, YIELD_UNTIL(load_acquire(&watching[cpu].seen)));
		EXPECT_EQ(t, watching[cpu].before.err, err);
	}
}

/* Let all CPUs read the address again, and expect the result @err. */
static void watch_end(struct ktest *t, int err)
{
	unsigned cpu;

	for (cpu = 0; cpu < ktest_cpus(); cpu++)
		store_release(&watching[cpu].go, 1u);
	for (cpu = 0; cpu < ktest_cpus(); cpu++) {
		ktest_join(cpu);
		EXPECT_EQ(t, watching[cpu].after.err, err);
	}
}

/* Each CPU has read @before first, and @after then. */
static void expect_values(struct ktest *t, u64 before, u64 after)
{
	unsigned cpu;

	for (cpu = 0; cpu < ktest_cpus(); cpu++) {
		EXPECT_EQ(t, watching[cpu].before.value, before);
		EXPECT_EQ(t, watching[cpu].after.value, after);
	}
}

/* ---- permissions ---- */

static int try_access(void (*fn)(void *), uintptr_t va)
{
	struct access a = {.va = va};

	return arch_probe(fn, &a);
}

static uintptr_t direct(const char *p)
{
	return ARCH_DIRECT_MAP + image_phys(p);
}

KTEST_SUITE(arch_map, 0);

KTEST(text_is_read_only_under_every_address)
{
	const char *text = (const char *)(uintptr_t)text_is_read_only_under_every_address;
	static const char constant[] = "a constant";

	EXPECT_EQ(t, try_access(rewrite_byte, (uintptr_t)text), -EFAULT);
	EXPECT_EQ(t, try_access(rewrite_byte, direct(text)), -EFAULT);
	EXPECT_EQ(t, try_access(rewrite_byte, direct(image_start)), -EFAULT);
	EXPECT_EQ(t, try_access(rewrite_byte, direct(text_end) - 1), -EFAULT);
	EXPECT_EQ(t, try_access(rewrite_byte, (uintptr_t)constant), -EFAULT);
	EXPECT_EQ(t, try_access(rewrite_byte, direct(constant)), -EFAULT);
	EXPECT_EQ(t, try_access(rewrite_byte, direct(rodata_end) - 1), -EFAULT);
	EXPECT_EQ(t, try_access(rewrite_byte, direct(data_start)), 0);
}

KTEST(direct_map_is_never_executed)
{
	EXPECT_EQ(t, try_access(call_there, direct((const char *)(uintptr_t)needs_two)), -EFAULT);
	EXPECT_EQ(t, try_access(call_there, direct(data_start)), -EFAULT);
	EXPECT_EQ(t, try_access(call_there, (uintptr_t)data_start), -EFAULT);
}

/* ---- stacks ---- */

struct stacks {
	char *top[NR_STACKS_TRIED];
	unsigned nr;
};

static void alloc_stacks(void *arg)
{
	struct stacks *s = arg;

	while (s->nr < NR_STACKS_TRIED && (s->top[s->nr] = arch_stack_alloc()) != NULL)
		s->nr++;
}

static void free_stacks(void *arg)
{
	struct stacks *s = arg;
	unsigned i;

	for (i = 0; i < s->nr; i++)
		arch_stack_free(s->top[i]);
}

static uintptr_t last_word(const struct stacks *s, unsigned i)
{
	return (uintptr_t)s->top[i] - 8;
}

/* Expect @cpu to fault at each stack that was freed on CPU 0 and whose pages were unmapped. */
static void expect_stacks_gone(struct ktest *t, const struct stacks *s, unsigned cpu)
{
	unsigned i, gone = 0;

	for (i = 0; i < s->nr; i++) {
		if (arch_mapped_at(last_word(s, i)))
			continue;
		gone++;
		expect_fault(t, cpu, last_word(s, i));
	}
	EXPECT(t, gone > 0);
}

static bool begin_stacks(struct ktest *t, struct stacks *s, unsigned cpu)
{
	unsigned i;

	s->nr = 0;
	ktest_on_cpu(0, alloc_stacks, s);
	EXPECT_EQ(t, s->nr, NR_STACKS_TRIED);
	for (i = 0; i < s->nr; i++) {
		*(u64 *)last_word(s, i) = i;
		expect_read(t, cpu, last_word(s, i), i);
	}
	return s->nr == NR_STACKS_TRIED;
}

static struct stacks stacks;

KTEST(freed_stack_is_reached_by_no_cpu)
{
	unsigned cpu = ktest_cpus() - 1;

	if (!needs_two(t) || !begin_stacks(t, &stacks, cpu))
		return;
	ktest_on_cpu(0, free_stacks, &stacks);
	expect_stacks_gone(t, &stacks, cpu);
	expect_stacks_gone(t, &stacks, 0);
	/* The same addresses get new pages, which the other CPU must see. */
	if (begin_stacks(t, &stacks, cpu))
		ktest_on_cpu(0, free_stacks, &stacks);
}

/* Read the lowest and the highest word of a stack; true: both can be read. */
static bool reach(uintptr_t top, int *low, int *high)
{
	struct access first = {.va = top - 16384}, last = {.va = top - 8};

	*low = arch_probe(read_word, &first);
	*high = arch_probe(read_word, &last);
	return !*low && !*high;
}

struct reader {
	uintptr_t top;
	int low, high;
	u32 seen, go; /* atomic */
};

static void go_on_reading(void *arg)
{
	struct reader *r = arg;

	while (!load_acquire(&r->go)) {
		if (reach(r->top, &r->low, &r->high))
			store_release(&r->seen, 1u);
	}
	reach(r->top, &r->low, &r->high);
}

/* The reader is told at once, because later frees may flush more entries. */
static void free_while_read(void *arg)
{
	struct reader *r = arg;

	free_stacks(&stacks);
	store_release(&r->go, 1u);
}

/* A CPU can read the stack until the stack is freed; after that its reads fault. */
KTEST(freed_stack_is_unmapped_on_every_cpu)
{
	unsigned cpu = ktest_cpus() - 1;
	struct reader r = {.go = 0};

	if (!needs_two(t) || !begin_stacks(t, &stacks, cpu))
		return;
	r.top = (uintptr_t)stacks.top[NR_STACKS_TRIED - 1];
	ktest_start(cpu, go_on_reading, &r);
	EXPECT(t, YIELD_UNTIL(load_acquire(&r.seen)));
	ktest_on_cpu(0, free_while_read, &r);
	ktest_join(cpu);
	EXPECT(t, !arch_mapped_at(r.top - 8));
	EXPECT_EQ(t, r.low, -EFAULT);
	EXPECT_EQ(t, r.high, -EFAULT);
}

/* An offline CPU gets no flush request. */
KTEST(returning_cpu_has_no_stale_stack_entries)
{
	unsigned cpu = ktest_cpus() - 1;

	if (!needs_two(t) || !begin_stacks(t, &stacks, cpu))
		return;
	EXPECT_EQ(t, cpu_down(cpu), 0);
	ktest_on_cpu(0, free_stacks, &stacks);
	EXPECT_EQ(t, cpu_up(cpu), 0);
	expect_stacks_gone(t, &stacks, cpu);
}

/* ---- the kernel's own mappings ---- */

static void map_and_unmap(void *arg)
{
	struct ktest *t = arg;
	phys_t pa = arch_mapped_at((uintptr_t)data_start);
	struct access a = {.va = SCRATCH};

	EXPECT_EQ(t, arch_probe(read_word, &a), -EFAULT);
	EXPECT(t, !arch_unmap(SCRATCH, PAGE_SIZE));
	EXPECT_EQ(t, arch_map(SCRATCH, pa, PAGE_SIZE, 0), 0);
	EXPECT_EQ(t, arch_probe(read_word, &a), 0);
	EXPECT_EQ(t, arch_probe(rewrite_byte, &a), -EFAULT);
	EXPECT_EQ(t, arch_map(SCRATCH, pa + PAGE_SIZE, PAGE_SIZE, 0), -EEXIST);
	EXPECT(t, arch_unmap(SCRATCH, PAGE_SIZE));
	EXPECT_EQ(t, arch_probe(read_word, &a), -EFAULT);
	EXPECT_EQ(t, arch_mapped_at(SCRATCH), 0);
}

KTEST(unmapped_page_is_not_reached)
{
	ktest_on_cpu(0, map_and_unmap, t);
}

/* All CPUs read zeros at UNBACKED; once memory is mapped there, what one wrote. */
KTEST(every_cpu_sees_an_array_grow)
{
	watch_begin(t, UNBACKED, 0);
	REQUIRE(t, arch_array_grow(UNBACKED, PAGE_SIZE) == 0);
	*(volatile u64 *)UNBACKED = 77;
	watch_end(t, 0);
	expect_values(t, 0, 77);
	arch_array_shrink(UNBACKED, PAGE_SIZE);
}

KTEST(every_cpu_sees_an_array_shrink)
{
	REQUIRE(t, arch_array_grow(UNBACKED, PAGE_SIZE) == 0);
	*(volatile u64 *)UNBACKED = 78;
	watch_begin(t, UNBACKED, 0);
	arch_array_shrink(UNBACKED, PAGE_SIZE);
	watch_end(t, 0);
	expect_values(t, 78, 0);
	EXPECT_EQ(t, try_access(rewrite_byte, UNBACKED), -EFAULT);
}

#define POLLS 100000u

/* The page at UNBACKED; did the last CPU look, reach it after the unmapping, find it free then? */
static phys_t array_page;
static u32 looked, reached, early; /* atomic */

/* With interrupts off this CPU is not flushed.  While it can reach the page, that is in use. */
static void reach_page(void *arg)
{
	const struct page *page = pfn_to_page_in(&kernel_memory, array_page >> PAGE_SHIFT);
	u32 word = page_word(page);
	unsigned i;

	while (arch_mapped_at(UNBACKED) == array_page) {
		irqflags_t flags = arch_irq_save();
		u64 value = *(volatile u64 *)UNBACKED;

		store_release(&looked, 1u);
		for (i = 0; i < POLLS && arch_mapped_at(UNBACKED) == array_page; i++)
			cpu_relax();
		if (i < POLLS && *(volatile u64 *)UNBACKED == value) {
			reached = 1;
			for (i = 0; i < POLLS && page_word(page) == word; i++)
				cpu_relax();
			early = i < POLLS;
		}
		arch_irq_restore(flags);
	}
}

KTEST(page_of_an_array_is_freed_behind_the_last_flush)
{
	unsigned turn;

	if (!ktest_needs_cpus(t, 2))
		return;
	for (reached = early = turn = 0; turn < 100 && !reached; turn++) {
		REQUIRE(t, arch_array_grow(UNBACKED, PAGE_SIZE) == 0);
		*(volatile u64 *)UNBACKED = 79;
		array_page = arch_mapped_at(UNBACKED);
		looked = 0;
		ktest_start(ktest_cpus() - 1, reach_page, NULL);
		EXPECT(t, YIELD_UNTIL(load_acquire(&looked)));
		arch_array_shrink(UNBACKED, PAGE_SIZE);
		ktest_join(ktest_cpus() - 1);
	}
	EXPECT(t, reached && !early);
}

/* The array, a copy of the memmap, stays mapped as a large page: each run uses another address. */
KTEST(every_cpu_sees_a_placed_array)
{
	static unsigned placed;
	phys_t pa = ALIGN_DOWN(
	    arch_mapped_at((uintptr_t)pfn_to_page_in(&kernel_memory, kernel_memory.start_pfn)),
	    LARGE);
	uintptr_t va = UNBACKED + (1 + placed++) * LARGE;
	const u64 *word = arch_phys_to_virt(pa);
	unsigned i = 0, cpu;

	while (i < LARGE / sizeof(*word) && !READ_ONCE(word[i]))
		i++;
	REQUIRE(t, pa && i < LARGE / sizeof(*word) && placed < 64);
	watch_begin(t, va + i * sizeof(*word), 0);
	REQUIRE(t, arch_array_place(va, pa, LARGE) == 0);
	watch_end(t, 0);
	for (cpu = 0; cpu < ktest_cpus(); cpu++) {
		EXPECT_EQ(t, watching[cpu].before.value, 0);
		EXPECT(t, watching[cpu].after.value != 0);
	}
}

/* The memory is the firmware's, outside the direct map; the test only reads it. */
KTEST(every_cpu_forgets_memory_removed_from_the_direct_map)
{
	const phys_t pa = (1UL << 32) - LARGE;
	const uintptr_t va = ARCH_DIRECT_MAP + (1UL << 32) - 16;
	unsigned cpu;

	REQUIRE(t, !arch_mapped_at(va));
	for (cpu = 0; cpu < ktest_cpus(); cpu++)
		expect_fault(t, cpu, va);
	REQUIRE(t, arch_direct_map(pa, LARGE) == 0);
	watch_begin(t, va, 0);
	arch_direct_unmap(pa, LARGE);
	watch_end(t, -EFAULT);
}

/* ---- device registers ---- */

/* Refused calls use no addresses: the next mapping directly follows the first one. */
KTEST(refused_registers_use_no_addresses)
{
	phys_t pa = acpi.ioapic[0].address, limit = cpu_physical_end();
	char *first = arch_map_mmio(pa, PAGE_SIZE), *next;

	REQUIRE(t, first);
	/* The first size is that of the whole window, part of which is in use. */
	EXPECT(t, !arch_map_mmio(pa, 1UL << 30));
	EXPECT(t, !arch_map_mmio(pa, 3UL << 30));
	EXPECT(t, !arch_map_mmio(pa, ~0UL));
	EXPECT(t, !arch_map_mmio(pa, ~0UL - pa));
	EXPECT(t, !arch_map_mmio(pa, 0));
	EXPECT(t, !arch_map_mmio(limit, 1));
	EXPECT(t, !arch_map_mmio(limit - PAGE_SIZE, PAGE_SIZE + 1));
	EXPECT(t, !arch_map_mmio(~0UL, 1));
	next = arch_map_mmio(pa, PAGE_SIZE);
	EXPECT_EQ(t, (uintptr_t)next, (uintptr_t)first + PAGE_SIZE);
	EXPECT_EQ(t, arch_mapped_at((uintptr_t)next), pa);
	EXPECT(t, arch_map_mmio(limit - PAGE_SIZE, PAGE_SIZE));
}

/* A BAR, or an ACPI table, may name addresses of RAM as a device's. */
KTEST(ram_is_no_device)
{
	phys_t end = bootinfo.ram[bootinfo.nr_ram - 1].end;

	EXPECT(t, !arch_map_mmio(image_phys(image_start), PAGE_SIZE));
	EXPECT(t, !arch_map_mmio(bootinfo.ram[0].start, 1));
	EXPECT(t, !arch_map_mmio(end - 1, 1));
	EXPECT(t, !arch_map_mmio(end - 1, PAGE_SIZE));
	EXPECT(t, arch_map_mmio(end, PAGE_SIZE));
}
