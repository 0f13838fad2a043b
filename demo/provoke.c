/* SPDX-License-Identifier: MIT */
/*
 * provoke.c: deliberate faults, which show that the kernel detects them.
 *
 * Owns:       nothing; the caller provides struct fault_hang.
 * Locks:      none.
 * Invariants: a hang with a time limit ends without a call of fault_hang_end.
 * Tests:      hang, tests/qemu/test_exception.py, tests/qemu/test_panic.py, tests/qemu/test_mce.py.
 */
#include "demo/provoke.h"

#include <quarry/errname.h>
#include <quarry/errno.h>
#include <quarry/machine.h>
#include <quarry/mce.h>
#include <quarry/mm.h>

static void hang(void *arg)
{
	struct fault_hang *h = arg;
	irqflags_t flags = arch_irq_save();

	store_release(&h->deaf, 1u);
	while (!load_acquire(&h->release) && arch_clock_ns() < h->until)
		cpu_relax();
	arch_irq_restore(flags);
}

int fault_hang_start(struct fault_hang *h, unsigned cpu, u64 ns)
{
	u64 now = arch_clock_ns();

	if (cpu >= nr_cpus || !cpumask_test(cpu_online_mask, cpu))
		return -ENODEV;
	if (cpu == arch_cpu_id() && ns == WAIT_FOREVER)
		return -EDEADLK;
	*h = (struct fault_hang){
	    .cpu = cpu, .until = ns < WAIT_FOREVER - now ? now + ns : WAIT_FOREVER};
	h->thread = thread_start("hang", (int)cpu, hang, h);
	if (!h->thread)
		return -ENOMEM;
	while (!load_acquire(&h->deaf)) {
		cpu_relax();
		thread_yield();
	}
	return 0;
}

void fault_hang_end(struct fault_hang *h)
{
	store_release(&h->release, 1u);
	thread_join(h->thread);
}

/* ---- faults that must end in a panic ---- */

#define WILD_POINTER 0xdead000000000000UL /* not an address */

static void be_called(void *arg)
{
}

static void free_twice(void)
{
	struct page *page = alloc_pages(GFP_KERNEL, 0);

	if (page && free_pages(page, 0) == 0)
		(void)free_pages(page, 0);
}

/* Wait until all CPUs counted in @others are here. */
static void meet(u32 *others)
{
	atomic_sub(others, 1u);
	while (load_acquire(others))
		cpu_relax();
}

/* Write into the descriptor of a page in this CPU's cache; then allocate it. */
static void corrupt_cached(void *arg)
{
	struct page *page = alloc_pages(GFP_KERNEL, 0);

	if (!page || free_pages(page, 0))
		return;
	meet(arg);
	WRITE_ONCE(page->word, page_word(page) | PAGE_DIRTY);
	page = alloc_pages(GFP_KERNEL, 0);
	printk("fault: got page %p\n", (void *)page);
}

static void corrupt_one(void)
{
	u32 others = 1;

	corrupt_cached(&others);
}

/* Call @fn on this CPU and on another one, with a count for meet. */
static void on_two_cpus(void (*fn)(void *others))
{
	struct thread *other;
	u32 others = 2;

	other =
	    nr_boot_cpus > 1 ? thread_start("second", (int)nr_boot_cpus - 1, fn, &others) : NULL;
	if (!other)
		return;
	fn(&others);
	thread_join(other);
}

static void corrupt_on_two_cpus(void)
{
	on_two_cpus(corrupt_cached);
}

/*
 * Write into the descriptors of the first pages of free blocks; the kernel detects it under the
 * zone lock.
 */
static void corrupt_zone(struct zone *zone)
{
	irqflags_t flags = zone_lock_irqsave(zone);
	unsigned order, type;
	pfn_t pfn;

	for (order = 0; order < NR_ORDERS; order++) {
		for (type = 0; type < NR_MIGRATETYPES; type++) {
			for_each_free_block(zone, order, type, pfn) pfn_to_page_in(zone->mem, pfn)
			    ->word |= PAGE_DIRTY;
		}
	}
	zone_unlock_irqrestore(zone, flags);
}

static void corrupt_free_lists(void)
{
	unsigned i;

	for (i = 0; i < nr_zones(&kernel_memory); i++)
		corrupt_zone(&kernel_memory.zones[i]);
	/* Allocate more blocks than a cache holds. */
	for (i = 0; i < 16; i++) {
		if (!alloc_pages(GFP_KERNEL, MAX_ORDER))
			break;
	}
}

static void write_to_null(void)
{
	volatile u32 *volatile p = (volatile u32 *)16;

	*p = 1;
}

static void write_together(void *arg)
{
	meet(arg);
	write_to_null();
}

/* One CPU must report the fault; the other prints nothing. */
static void write_to_null_on_two_cpus(void)
{
	on_two_cpus(write_together);
}

static void push_for_ever(void *arg)
{
	__asm__ volatile("1: pushq $0\n\tjmp 1b");
}

/* Write word by word: the first write that fails is directly below the stack. */
static void overflow_a_stack(void)
{
	struct thread *deep = thread_start("deep", -1, push_for_ever, NULL);

	if (deep)
		thread_join(deep);
}

/* Inject a machine check after which the interrupted code cannot continue. */
static void break_the_processor(void)
{
	const struct mce_bank corrupt = {.status = MCE_VAL | MCE_UC | MCE_EN | MCE_PCC};
	irqflags_t flags = arch_irq_save();
	int err = mce_inject(0, &corrupt, MCG_STATUS_RIPV);

	arch_irq_restore(flags);
	if (err)
		printk("fault: error %s\n", errno_name(err));
}

static void print_wild_text(void)
{
	printk("fault: %s\n", (const char *)WILD_POINTER);
}

/* Make the trace rings that the report prints unreadable. */
static void break_the_report(void)
{
	struct page *page = alloc_pages(GFP_KERNEL, 0);
	unsigned cpu;

	if (!page || free_pages(page, 0))
		return;
	for (cpu = 0; cpu < nr_cpus; cpu++)
		WRITE_ONCE(kernel_memory.pcp[cpu]->ring, (struct trace_ring *)WILD_POINTER);
	(void)free_pages(page, 0);
}

static void call_a_silent_cpu(void)
{
	static struct fault_hang hang;

	if (nr_boot_cpus > 1 && fault_hang_start(&hang, nr_boot_cpus - 1, WAIT_FOREVER) == 0)
		smp_call_mask(NULL, be_called, NULL);
}

/*
 * Interrupts are off, so the ring's reader cannot be woken here.  If it runs on another CPU, it
 * prints a line for each record, and is slower than this loop.
 */
static void overflow_the_ring(void)
{
	const struct mce_bank deferred = {.status = MCE_VAL | MCE_UC | MCE_EN};
	irqflags_t flags = arch_irq_save();
	unsigned i;
	int err = 0;

	for (i = 0; i < 1000 * MCE_RING_SIZE && !err; i++)
		err = mce_inject(0, &deferred, MCG_STATUS_RIPV);
	arch_irq_restore(flags);
}

static u32 talked; /* atomic: lines that threads have printed */

static void talk(void *arg)
{
	meet(arg);
	for (;;) {
		printk("fault: CPU %u prints a line\n", arch_cpu_id());
		atomic_add(&talked, 1u);
	}
}

static void while_others_print(void (*fault)(void))
{
	u32 others = nr_boot_cpus;
	unsigned cpu;

	for (cpu = 1; cpu < nr_boot_cpus; cpu++)
		if (!thread_start("talk", (int)cpu, talk, &others))
			return;
	meet(&others);
	while (!READ_ONCE(talked))
		cpu_relax();
	fault();
}

static void free_twice_while_others_print(void)
{
	while_others_print(free_twice);
}

static void write_to_null_while_others_print(void)
{
	while_others_print(write_to_null);
}

void fault_provoke(const char *name)
{
	static const struct {
		const char *name;
		void (*fn)(void);
	} faults[] = {
	    {"badfree", free_twice},
	    {"corrupt", corrupt_one},
	    {"freelist", corrupt_free_lists},
	    {"null", write_to_null},
	    {"printk", print_wild_text},
	    {"both", corrupt_on_two_cpus},
	    {"report", break_the_report},
	    {"silent", call_a_silent_cpu},
	    {"mcering", overflow_the_ring},
	    {"nulls", write_to_null_on_two_cpus},
	    {"overflow", overflow_a_stack},
	    {"mce", break_the_processor},
	    {"talk", free_twice_while_others_print},
	    {"talknull", write_to_null_while_others_print},
	};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(faults); i++)
		if (strcmp(faults[i].name, name) == 0)
			faults[i].fn();
	printk("fault: %s: the machine continues\n", name);
}
