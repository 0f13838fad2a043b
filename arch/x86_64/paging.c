/* SPDX-License-Identifier: MIT */
/*
 * paging.c: the kernel's page tables.
 *
 * Owns:       the kernel's half of the address space; kernel_cr3.
 * Locks:      paging_lock, a mutex, for all changes but those at boot; held while allocating.
 * Invariants: no page is both writable and executable, under any address.
 *             The direct map has all RAM of bootinfo, added memory, and nothing that is not RAM.
 *             Address 0 and the whole lower half are unmapped.
 *             All addresses of memmap, pageblocks and trees can be read: those without memory are
 *             mapped, read-only, to one page of zeros, by tables that all such addresses share.
 * Tests:      arch_page, arch_map, arch_full, memory_add, tests/qemu/test_arch.py.
 */
#include <quarry/acpi.h>
#include <quarry/bootinfo.h>
#include <quarry/errno.h>
#include <quarry/machine.h>
#include <quarry/mm.h>

#include "x86.h"

/* Page table entry bits (SDM vol. 3A, 4.5). */
#define PTE_PRESENT  0x1UL
#define PTE_WRITE    0x2UL
#define PTE_PWT      0x8UL
#define PTE_PCD      0x10UL
#define PTE_ACCESSED 0x20UL
#define PTE_DIRTY    0x40UL
#define PTE_LARGE    0x80UL
#define PTE_GLOBAL   0x100UL
#define PTE_NX       (1UL << 63)
#define PTE_ADDRESS  0x000ffffffffff000UL
#define PTE_TABLE    (PTE_PRESENT | PTE_WRITE)
#define PTE_ZEROS    (PTE_PRESENT | PTE_ACCESSED | PTE_NX) /* not global, not writable */

/* Levels: 0 is 4 KiB, 1 is 2 MiB, 2 is 1 GiB, 3 the root. */
#define ROOT_LEVEL       3
#define LEVEL_SHIFT(l)   (PAGE_SHIFT + 9 * (l))
#define LEVEL_SIZE(l)    (1UL << LEVEL_SHIFT(l))
#define TABLE_ENTRIES    512
#define MMIO_WINDOW_SIZE (1UL << 30)

static u64 *root;
u64 kernel_cr3;
static struct mutex paging_lock;
static bool boot_memory_over;
static uintptr_t mmio_next GUARDED_BY(paging_lock) = ARCH_MMIO_BASE; /* the first free address */
/* The shared table or page that an entry of level 0, 1, 2 leads to: it reads as zeros. */
static u64 zeros[ROOT_LEVEL + 1];

static u64 pte_flags(unsigned flags)
{
	u64 pte = PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY | PTE_GLOBAL;

	KASSERT((flags & (MAP_WRITE | MAP_EXEC)) != (MAP_WRITE | MAP_EXEC));
	if (flags & MAP_WRITE)
		pte |= PTE_WRITE;
	if (!(flags & MAP_EXEC))
		pte |= PTE_NX;
	if (flags & MAP_UNCACHED)
		pte |= PTE_PCD | PTE_PWT;
	if (flags & MAP_COMBINE)
		pte |= PTE_PWT; /* entry 1 of the PAT, which start.c sets */
	return pte;
}

static void *page_alloc(gfp_t gfp)
{
	struct page *page;

	if (!boot_memory_over)
		return boot_alloc(PAGE_SIZE, PAGE_SIZE);
	page = alloc_pages(gfp, 0);
	return page ? memset(page_address(page), 0, PAGE_SIZE) : NULL;
}

void *arch_page_alloc(void)
{
	return page_alloc(GFP_KERNEL);
}

/* For tables and arrays: no task is killed for them, because a dying task may need paging_lock. */
static void *paging_table_alloc(void)
{
	return page_alloc(GFP_KERNEL | GFP_NORETRY);
}

/* Does the entry, of @level, lead to the shared tables of zeros? */
static bool is_zeros(u64 entry, unsigned level)
{
	return entry & PTE_PRESENT && (entry & PTE_ADDRESS) == zeros[level];
}

/* The entry for @va in @table, a table of @level. */
static u64 *entry_in(u64 *table, unsigned level, uintptr_t va)
{
	return &table[va >> LEVEL_SHIFT(level) & (TABLE_ENTRIES - 1)];
}

/*
 * The entry for @va at @level, or of a larger page that maps @va; *@found: its level.  NULL: none.
 */
static u64 *entry_of(uintptr_t va, unsigned level, unsigned *found)
{
	u64 *entry = entry_in(root, ROOT_LEVEL, va);

	for (*found = ROOT_LEVEL; *found != level && !(*entry & PTE_LARGE); (*found)--) {
		if (!(*entry & PTE_PRESENT))
			return NULL;
		entry = entry_in(arch_phys_to_virt(*entry & PTE_ADDRESS), *found - 1, va);
	}
	return entry;
}

/* Called without paging_lock: a flush waits for cpu_hotplug, whose holder may need paging_lock. */
static bool flush_all(void) EXCLUDES(paging_lock)
{
	return flush_everywhere();
}

static void set_entry(u64 *entry, u64 value) REQUIRES(paging_lock)
{
	WRITE_ONCE(*entry, value);
}

/* As entry_of, but allocates missing tables and copies shared ones.  NULL: no memory. */
static u64 *make_entry(uintptr_t va, unsigned level, unsigned *found) REQUIRES(paging_lock)
{
	u64 *entry = entry_in(root, ROOT_LEVEL, va);

	for (*found = ROOT_LEVEL; *found != level && !(*entry & PTE_LARGE); (*found)--) {
		bool shared = is_zeros(*entry, *found);

		if (!(*entry & PTE_PRESENT) || shared) {
			u64 *next = paging_table_alloc();

			if (!next)
				return NULL;
			if (shared)
				memcpy(next, arch_phys_to_virt(*entry & PTE_ADDRESS), PAGE_SIZE);
			set_entry(entry, arch_virt_to_phys(next) | PTE_TABLE);
		}
		entry = entry_in(arch_phys_to_virt(*entry & PTE_ADDRESS), *found - 1, va);
	}
	return entry;
}

/* As make_entry, but faster for the page after that of @entry (level *@at), which may be NULL. */
static u64 *next_entry(u64 *entry, uintptr_t va, unsigned level, unsigned *at) REQUIRES(paging_lock)
{
	return entry && *at == level && va % LEVEL_SIZE(level + 1) ? entry + 1
	                                                           : make_entry(va, level, at);
}

/* Map the range with the largest possible pages, of @max_level at most. */
static int map_range(uintptr_t va, phys_t pa, size_t len, u64 flags, unsigned max_level)
    REQUIRES(paging_lock)
{
	while (len) {
		unsigned level = max_level, found;
		u64 *entry, pte;

		while (level && ((va | pa) & (LEVEL_SIZE(level) - 1) || len < LEVEL_SIZE(level)))
			level--;
		entry = make_entry(va, level, &found);
		if (!entry)
			return -ENOMEM;
		pte = pa | flags | (level ? PTE_LARGE : 0);
		if (!(*entry & PTE_PRESENT))
			set_entry(entry, pte);
		else if (*entry != pte)
			return -EEXIST;
		va += LEVEL_SIZE(level);
		pa += LEVEL_SIZE(level);
		len -= LEVEL_SIZE(level);
	}
	return 0;
}

static void map_at_boot(uintptr_t va, phys_t start, phys_t end, unsigned flags) NO_LOCK_ANALYSIS
{
	unsigned max_level = cpu_has_gib_pages() ? 2 : 1;

	if (map_range(va, start, end - start, pte_flags(flags), max_level))
		panic("paging: cannot map %lx-%lx", start, end);
}

/* Map one range of RAM; the kernel's code and constants are read-only here too. */
static void map_direct(phys_t start, phys_t end)
{
	phys_t ro_start = image_phys(image_start), ro_end = image_phys(rodata_end);
	phys_t cut_start = MIN(MAX(start, ro_start), end), cut_end = MIN(MAX(start, ro_end), end);

	map_at_boot(ARCH_DIRECT_MAP + start, start, cut_start, MAP_WRITE);
	map_at_boot(ARCH_DIRECT_MAP + cut_start, cut_start, cut_end, 0);
	map_at_boot(ARCH_DIRECT_MAP + cut_end, cut_end, end, MAP_WRITE);
}

/* Make a table in which all entries are @entry. */
static u64 shared_table(u64 entry)
{
	u64 *table = boot_alloc(PAGE_SIZE, PAGE_SIZE);

	for (unsigned i = 0; i < TABLE_ENTRIES; i++)
		table[i] = entry;
	return arch_virt_to_phys(table);
}

static void map_zero_tables(uintptr_t va, uintptr_t end) NO_LOCK_ANALYSIS
{
	unsigned found;

	for (; va < end; va += LEVEL_SIZE(1))
		set_entry(make_entry(va, 1, &found), zeros[1] | PTE_TABLE);
}

/* Map memmap, pageblocks and trees of 2^32 pages to zeros: a pfn in a link has 32 bits. */
static void map_zeros(void) NO_LOCK_ANALYSIS
{
	const u64 pages = 1ULL << 32, blocks = pages >> PAGEBLOCK_ORDER;
	uintptr_t va = (uintptr_t)ARCH_MEMMAP, end = (uintptr_t)(ARCH_MEMMAP + pages);
	unsigned found;

	zeros[0] = arch_virt_to_phys(boot_alloc(PAGE_SIZE, PAGE_SIZE));
	zeros[1] = shared_table(zeros[0] | PTE_ZEROS);
	zeros[2] = shared_table(zeros[1] | PTE_TABLE);
	for (; va < end; va += LEVEL_SIZE(2))
		set_entry(make_entry(va, 2, &found), zeros[2] | PTE_TABLE);
	map_zero_tables((uintptr_t)ARCH_PAGEBLOCKS, (uintptr_t)(ARCH_PAGEBLOCKS + blocks));
	map_zero_tables((uintptr_t)ARCH_TREES, (uintptr_t)(ARCH_TREES + blocks));
}

/* Fill the root's entries for the direct map of memory that may be added later. */
static void expect_hotplug(void) NO_LOCK_ANALYSIS
{
	unsigned found;

	for (unsigned i = 0; i < acpi.nr_affinity; i++) {
		phys_t pa = ALIGN_DOWN(acpi.affinity[i].start, LEVEL_SIZE(ROOT_LEVEL));

		for (; acpi.affinity[i].hotplug && pa < acpi.affinity[i].end && pa < ARCH_MAX_RAM;
		     pa += LEVEL_SIZE(ROOT_LEVEL))
			make_entry(ARCH_DIRECT_MAP + pa, ROOT_LEVEL - 1, &found);
	}
}

void arch_paging_init(void) NO_LOCK_ANALYSIS
{
	static const uintptr_t windows[] = {ARCH_MMIO_BASE, ARCH_STACK_BASE, (uintptr_t)ARCH_MEMMAP,
	    (uintptr_t)ARCH_PAGEBLOCKS, (uintptr_t)ARCH_TREES};
	unsigned found;

	paging_lock = MUTEX("paging");
	root = boot_alloc(PAGE_SIZE, PAGE_SIZE);
	map_at_boot(
	    (uintptr_t)image_start, image_phys(image_start), image_phys(text_end), MAP_EXEC);
	map_at_boot((uintptr_t)rodata_start, image_phys(rodata_start), image_phys(rodata_end), 0);
	map_at_boot(
	    (uintptr_t)data_start, image_phys(data_start), image_phys(image_end), MAP_WRITE);
	for (unsigned i = 0; i < bootinfo.nr_ram; i++)
		map_direct(bootinfo.ram[i].start, bootinfo.ram[i].end);
	/* Address spaces copy the root's upper half, so all its tables must exist first. */
	for (unsigned i = 0; i < ARRAY_SIZE(windows); i++)
		make_entry(windows[i], ROOT_LEVEL - 1, &found);
	expect_hotplug();
	map_zeros();
	kernel_cr3 = arch_virt_to_phys(root);
	__asm__ volatile("movq %0, %%cr3" : : "r"(kernel_cr3) : "memory");
}

void arch_boot_memory_done(void)
{
	boot_memory_over = true;
}

int arch_map(uintptr_t va, phys_t pa, size_t len, unsigned flags)
{
	int ret;

	KASSERT(!((va | pa | len) & (PAGE_SIZE - 1)));
	mutex_lock(&paging_lock);
	ret = map_range(va, pa, len, pte_flags(flags), 0);
	mutex_unlock(&paging_lock);
	return ret;
}

/* Make the tables for 4 KiB pages of [va, va + len); they are never freed.  False: no memory. */
static bool mmio_tables(uintptr_t va, size_t len) REQUIRES(paging_lock)
{
	unsigned found;

	for (uintptr_t at = ALIGN_DOWN(va, LEVEL_SIZE(1)); at < va + len; at += LEVEL_SIZE(1))
		if (!make_entry(at, 0, &found))
			return false;
	return true;
}

/* A failed call uses up no addresses. */
void *arch_map_device(phys_t pa, size_t len, unsigned flags)
{
	phys_t start = ALIGN_DOWN(pa, PAGE_SIZE);
	size_t size = ALIGN_UP(pa + len, PAGE_SIZE) - start;
	uintptr_t va = 0;

	if (!len || len > MMIO_WINDOW_SIZE)
		return NULL;
	mutex_lock(&paging_lock);
	if (size <= ARCH_MMIO_BASE + MMIO_WINDOW_SIZE - mmio_next && mmio_tables(mmio_next, size)) {
		int err = map_range(mmio_next, start, size, pte_flags(MAP_WRITE | flags), 0);

		KASSERT(!err); /* nothing was mapped there before */
		va = mmio_next + (pa - start);
		mmio_next += size;
	}
	mutex_unlock(&paging_lock);
	return (void *)va;
}

/* A large page is mapped where all of it is requested and unmapped.  Without memory: panic. */
void arch_map_array(uintptr_t start, size_t len, bool zeroed) NO_LOCK_ANALYSIS
{
	uintptr_t va, end = ALIGN_UP(start + len, PAGE_SIZE);
	unsigned found;

	for (va = ALIGN_DOWN(start, PAGE_SIZE); va < end;
	     va = ALIGN_UP(va + 1, LEVEL_SIZE(found))) {
		u64 *entry = make_entry(va, 1, &found);
		phys_t pa;

		if (va % LEVEL_SIZE(1) || end - va < LEVEL_SIZE(1) || !is_zeros(*entry, 1))
			entry = make_entry(va, 0, &found);
		if (!is_zeros(*entry, found))
			continue;
		pa = boot_alloc_raw(LEVEL_SIZE(found), LEVEL_SIZE(found));
		/* Parts of the first and last page may belong to other arrays, which need zeros. */
		if (zeroed || va < start || va + LEVEL_SIZE(found) > start + len)
			memset(arch_phys_to_virt(pa), 0, LEVEL_SIZE(found));
		set_entry(entry, pa | pte_flags(MAP_WRITE) | (found ? PTE_LARGE : 0));
		invlpg(va);
	}
}

int arch_array_grow(uintptr_t va, size_t len)
{
	struct page *pages[32]; /* allocated together */
	unsigned long have = 0, grown = 0;
	uintptr_t end = va + len;
	unsigned at = 0; /* level of entry */
	int err = 0;

	KASSERT(!((va | len) & (PAGE_SIZE - 1)));
	mutex_lock(&paging_lock);
	for (u64 *entry = NULL; va < end && !err; va += PAGE_SIZE) {
		entry = next_entry(entry, va, 0, &at);
		if (entry && !is_zeros(*entry, at))
			continue;
		if (entry && !have)
			have = alloc_pages_bulk(GFP_KERNEL | GFP_NORETRY | GFP_ZERO,
			    MIN((end - va) / PAGE_SIZE, ARRAY_SIZE(pages)), pages);
		err = entry && have ? 0 : -ENOMEM;
		if (!err)
			set_entry(entry,
			    arch_virt_to_phys(page_address(pages[--have])) | pte_flags(MAP_WRITE));
		grown += !err;
	}
	free_pages_bulk(have, pages);
	mutex_unlock(&paging_lock);
	if (grown)
		flush_all();
	return err;
}

static bool paging_trylock(void) TRY_ACQUIRE(true, paging_lock) NO_LOCK_ANALYSIS
{
	return mutex_trylock(&paging_lock);
}

int arch_array_place(uintptr_t va, phys_t pa, size_t len)
{
	uintptr_t end = va + len;
	int err = 0;

	KASSERT(!((va | pa | len) & (LEVEL_SIZE(1) - 1)));
	if (!paging_trylock())
		return -EAGAIN;
	for (; va < end && !err; va += LEVEL_SIZE(1), pa += LEVEL_SIZE(1)) {
		unsigned found;
		u64 *entry = make_entry(va, 1, &found);

		err = entry ? 0 : -ENOMEM;
		if (entry)
			set_entry(entry, pa | pte_flags(MAP_WRITE) | PTE_LARGE);
	}
	mutex_unlock(&paging_lock);
	flush_all();
	return err;
}

void arch_array_shrink(uintptr_t va, size_t len)
{
	struct page *gone = NULL, *page;
	uintptr_t end = va + len;

	KASSERT(!((va | len) & (PAGE_SIZE - 1)));
	/* A dead CPU may use its old entries when it continues: the pages stay where they are. */
	if (!flush_all())
		return;
	mutex_lock(&paging_lock);
	for (; va < end; va += PAGE_SIZE) {
		unsigned found;
		u64 *entry = entry_of(va, 0, &found);

		if (!entry || found || is_zeros(*entry, 0))
			continue;
		page = pfn_to_page_in(&kernel_memory, (*entry & PTE_ADDRESS) >> PAGE_SHIFT);
		/* Boot memory is not freed. */
		if (word_state(page_word(page)) != PG_ALLOC)
			continue;
		set_entry(entry, zeros[0] | PTE_ZEROS);
		page->owner = gone;
		gone = page;
	}
	mutex_unlock(&paging_lock);
	if (!flush_all()) {
		printk("paging: a CPU died: unmapped pages of descriptors are lost\n");
		return;
	}
	for (page = gone; page; page = gone) {
		gone = page->owner; /* before the page is freed, which changes it */
		free_pages(page, 0);
	}
}

int arch_direct_map(phys_t pa, size_t len)
{
	phys_t end = pa + len;
	unsigned at = 0; /* level of entry */
	int err = 0;

	mutex_lock(&paging_lock);
	for (u64 *entry = NULL; pa < end && !err; pa += LEVEL_SIZE(1)) {
		entry = next_entry(entry, ARCH_DIRECT_MAP + pa, 1, &at);
		err = entry ? 0 : -ENOMEM;
		if (entry && !(*entry & PTE_PRESENT))
			set_entry(entry, pa | pte_flags(MAP_WRITE) | PTE_LARGE);
	}
	mutex_unlock(&paging_lock);
	return err;
}

void arch_direct_unmap(phys_t pa, size_t len)
{
	phys_t end = pa + len;

	mutex_lock(&paging_lock);
	for (; pa < end; pa += LEVEL_SIZE(1)) {
		unsigned found;
		u64 *entry = entry_of(ARCH_DIRECT_MAP + pa, 1, &found);

		if (entry && found == 1 && *entry & PTE_LARGE)
			set_entry(entry, 0);
	}
	mutex_unlock(&paging_lock);
	flush_all();
}

bool arch_unmap(uintptr_t va, size_t len)
{
	bool all = true;

	mutex_lock(&paging_lock);
	for (; len; va += PAGE_SIZE, len -= PAGE_SIZE) {
		unsigned found;
		u64 *entry = entry_of(va, 0, &found);

		if (!entry || found || !(*entry & PTE_PRESENT)) {
			all = false;
			continue;
		}
		set_entry(entry, 0);
		invlpg(va);
	}
	mutex_unlock(&paging_lock);
	return all;
}

phys_t arch_mapped_at(uintptr_t va)
{
	unsigned found;
	u64 *entry = entry_of(va, 0, &found);

	if (!entry || !(*entry & PTE_PRESENT))
		return 0;
	/* A large page is aligned to its size: the low bits of its address are 0. */
	return (*entry & PTE_ADDRESS) + (va & (LEVEL_SIZE(found) - 1));
}
