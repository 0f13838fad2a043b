/* SPDX-License-Identifier: MIT */
/*
 * fiber_user.c: a simulated ring 3 and its memory, on CPUs that are fibers.
 *
 * Owns:       the arrays behind kernel_memory; each CPU's loaded page tables and TLB.
 * Locks:      none: one OS thread.
 * Invariants: an access runs with interrupts off from the TLB lookup to its end, like one
 *             instruction.
 *             A CPU's TLB has entries of its loaded tables only.
 *             When a CPU loads other tables, the spaces of both have its bit.
 */
#include "fiber_user.h"
#include <quarry/cpu.h>
#include <quarry/errno.h>
#include <quarry/machine.h>
#include <quarry/mm.h>
#include <quarry/memory_init.h>
#include <quarry/sched.h>

#define TLB_LINES 16
#define FPU_SIZE  64

char fiber_memmap[THREADS_PAGES * sizeof(struct page)] __attribute__((aligned(4096)));
char fiber_pageblocks[THREADS_PAGES / PAGEBLOCK_PAGES * sizeof(struct pageblock)]
    __attribute__((aligned(64)));
static struct pageblock_tree trees[THREADS_PAGES / PAGEBLOCK_PAGES];
char fiber_ram[THREADS_PAGES << PAGE_SHIFT] __attribute__((aligned(PAGE_SIZE)));
void (*threads_program)(uintptr_t entry, const u64 arg[3]);

static struct mmu {
	phys_t root; /* of the loaded tables; 0: the kernel's, without user addresses */
	struct line {
		uintptr_t page; /* 0: empty */
		u64 pte;
	} tlb[TLB_LINES];
} mmus[THREADS_CPUS];

/* ---- memory ---- */

static void *alloc_for_memory(void *arg, size_t bytes)
{
	return arch_boot_zalloc(bytes);
}

void threads_memory_start(void)
{
	struct memory_config cfg = {
	    .name = "kernel",
	    .memmap = ARCH_MEMMAP,
	    .pageblocks = ARCH_PAGEBLOCKS,
	    .trees = trees,
	    .end_pfn = THREADS_PAGES,
	    .nr_cpus = THREADS_CPUS,
	    .nr_nodes = 1,
	    .backed = true,
	    .reclaim = &memory_reclaim,
	    .alloc = alloc_for_memory,
	};
	const pfn_t border[] = {0, THREADS_PAGES / 4, THREADS_PAGES / 2, THREADS_PAGES};
	int err, kind;

	err = memory_init(&kernel_memory, &cfg);
	for (kind = 0; kind < NR_ZONE_KINDS && !err; kind++) {
		err = memory_add_zone(
		    &kernel_memory, 0, (enum zone_kind)kind, border[kind], border[kind + 1]);
		if (err)
			break;
		memory_add_ram(&kernel_memory, border[kind], border[kind + 1]);
		/* The first pageblock stays reserved: a table at address 0 would count as none. */
		memory_free_range(
		    &kernel_memory, MAX(border[kind], PAGEBLOCK_PAGES), border[kind + 1]);
	}
	err = err ? err : memory_ready(&kernel_memory);
	err = err ? err : memory_start(&kernel_memory);
	if (err)
		panic("no kernel memory: error %d", err);
}

unsigned arch_cpu_node(unsigned cpu)
{
	return 0;
}

/* ---- page tables ---- */

void arch_pagetable_init(u64 *root)
{
}

/*
 * This CPU is about to use the tables of @root, or has just used them: their space must know it, or
 * a shootdown between the two steps of a switch would leave the CPU out.
 */
static void expect_active(phys_t root)
{
	const struct vm_space *space;

	LIST_FOREACH(space, &kernel_memory.vm.spaces, link)
		if (root && space->pt.root == root && !cpumask_test(space->active, arch_cpu_id()))
			panic("CPU %u loads or leaves tables whose space does not know it",
			    arch_cpu_id());
}

void arch_load_tables(phys_t root)
{
	struct mmu *m = &mmus[arch_cpu_id()];

	expect_active(m->root);
	expect_active(root);
	*m = (struct mmu){.root = root};
}

static struct line *line_of(struct mmu *m, uintptr_t page)
{
	return &m->tlb[page >> PAGE_SHIFT & (TLB_LINES - 1)];
}

void arch_tlb_flush_page(phys_t root, uintptr_t va)
{
	struct mmu *m = &mmus[arch_cpu_id()];
	struct line *line = line_of(m, va);

	if (m->root == root && line->page == va)
		line->page = 0;
}

void arch_tlb_flush_user(void)
{
	arch_load_tables(mmus[arch_cpu_id()].root);
}

static bool allows(u64 pte, unsigned access)
{
	return pte & PTE_PRESENT && pte & PTE_USER && (!(access & VM_WRITE) || pte & PTE_WRITE) &&
	    (!(access & VM_EXEC) || !(pte & PTE_NX));
}

/* The entry of the last level for @va; NULL: a table is missing. */
static u64 *entry_of(phys_t table, uintptr_t va)
{
	int level;

	for (level = PT_LEVELS - 1; table; level--) {
		u64 *entry = (u64 *)arch_phys_to_virt(table) + (va >> PT_SHIFT(level)) % PT_ENTRIES;

		if (!level)
			return entry;
		table = *entry & PTE_PRESENT ? *entry & PTE_ADDRESS : 0;
	}
	return NULL;
}

/* The memory behind @va, for access @access; NULL: a fault.  Interrupts off. */
static void *reach(uintptr_t va, unsigned access)
{
	const u64 bits = PTE_ACCESSED | (access & VM_WRITE ? PTE_DIRTY : 0);
	struct mmu *m = &mmus[arch_cpu_id()];
	uintptr_t page = ALIGN_DOWN(va, PAGE_SIZE);
	struct line *line = line_of(m, page);

	if (line->page != page || !allows(line->pte, access) || (line->pte & bits) != bits) {
		u64 *entry = entry_of(m->root, page);

		if (!entry || !allows(*entry, access))
			return NULL;
		*entry |= bits;
		*line = (struct line){.page = page, .pte = *entry};
	}
	return (char *)arch_phys_to_virt(line->pte & PTE_ADDRESS) + (va - page);
}

/* ---- access to user memory by the kernel ---- */

static int copy(void *kernel, u64 va, size_t len, unsigned access)
{
	assert_may_sleep("copying user memory");
	if (va >= USER_END || len > USER_END - va)
		return -EFAULT;
	while (len > 0) {
		size_t some = MIN(len, PAGE_SIZE - va % PAGE_SIZE);
		irqflags_t flags;
		void *user;

		fiber_at_lock();
		flags = arch_irq_save();
		user = reach(va, access);
		if (user && access == VM_WRITE)
			memcpy(user, kernel, some);
		else if (user)
			memcpy(kernel, user, some);
		arch_irq_restore(flags);
		if (user) {
			kernel = (char *)kernel + some;
			va += some;
			len -= some;
		} else if (user_page_fault(va, access)) {
			return -EFAULT;
		}
	}
	return 0;
}

int copy_from_user(void *dst, u64 src, size_t len)
{
	return copy(dst, src, len, VM_READ);
}

int copy_from_user_now(void *dst, u64 src, size_t len)
{
	irqflags_t flags;
	int err = 0;

	if (src >= USER_END || len > USER_END - src)
		return -EFAULT;
	fiber_at_lock();
	flags = arch_irq_save();
	while (len > 0 && !err) {
		size_t some = MIN(len, PAGE_SIZE - src % PAGE_SIZE);
		const void *user = reach(src, VM_READ);

		if (user)
			memcpy(dst, user, some);
		else
			err = -EFAULT;
		dst = (char *)dst + some;
		src += some;
		len -= some;
	}
	arch_irq_restore(flags);
	return err;
}

int copy_to_user(u64 dst, const void *src, size_t len)
{
	return copy((void *)(uintptr_t)src, dst, len, VM_WRITE);
}

/* ---- ring 3 ---- */

void *arch_fpu_alloc(void)
{
	return kmalloc(FPU_SIZE);
}

void arch_user_switch(void *from, const void *to, void *top)
{
	if (from)
		memset(from, 0, FPU_SIZE);
}

/* Called at each return to ring 3. */
static void leave(void)
{
	KASSERT(arch_irqs_enabled() && !arch_preempt_count());
	arch_irq_disable();
	user_may_return();
	arch_irq_enable();
}

void user_turn(void)
{
	fiber_at_lock();
	leave();
}

s64 user_call(struct syscall_regs *regs)
{
	s64 ret;

	fiber_at_lock();
	ret = syscall(regs);
	leave();
	return ret;
}

void arch_enter_user(uintptr_t entry, uintptr_t sp, const u64 arg[3])
{
	struct syscall_regs end = {.nr = SYS_THREAD_EXIT};
	const u64 args[3] = {arg[0], arg[1], arg[2]};

	leave();
	threads_program(entry, args);
	user_call(&end);
	panic("a thread of ring 3 runs on after its end");
}

static u64 access_word(uintptr_t va, unsigned access, u64 value)
{
	for (;;) {
		irqflags_t flags;
		u64 *word;
		int err;

		fiber_at_lock();
		flags = arch_irq_save();
		word = va < USER_END ? reach(va, access) : NULL;
		if (word && access == VM_WRITE)
			*word = value;
		else if (word)
			value = *word;
		arch_irq_restore(flags);
		if (word)
			return value;
		err = va < USER_END ? user_page_fault(va, access) : -EFAULT;
		if (err == -EHWPOISON)
			err = user_page_lost(va);
		if (err && err != -EINTR) {
			user_fault_report("page fault");
			user_fault_end();
		}
		leave();
	}
}

u64 user_load(uintptr_t va)
{
	return access_word(va, VM_READ, 0);
}

void user_store(uintptr_t va, u64 value)
{
	access_word(va, VM_WRITE, value);
}
