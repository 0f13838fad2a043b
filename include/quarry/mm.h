/* SPDX-License-Identifier: MIT */
/*
 * mm.h: the memory manager's interface: allocate, free, drain, check.  Moving pages is in
 * movable.h, isolating them in isolation.h, offlining memory and bringing it back online in
 * memory_hotplug.h, building a memory in memory_init.h.
 *
 * Most functions take the memory that they work on, or a zone or page of it.  alloc_pages and
 * free_pages are the same code as mem_alloc_pages and mem_free_pages, compiled for the kernel's own
 * memory, whose array addresses are constants.
 *
 * Errors are negative errno values; a struct mm_fail gives the reason where it matters.
 */
#ifndef QUARRY_MM_H
#define QUARRY_MM_H

#include <quarry/errno.h>
#include <quarry/mm_types.h>
#include <quarry/version.h>

/* The kernel's own memory: its page descriptors are at ARCH_MEMMAP. */
extern struct memory kernel_memory;

/* The memories whose pages CPUs cache; memory_start adds one, memory_stop removes it. */
LIST_HEAD(memory_list, memory);
extern struct memory_list memories;
extern struct spinlock memories_lock; /* RANK_CPU_HOTPLUG, irqs off */

/* Allocation flags.  The low three bits choose the first zone and the type, and index pcp.home. */
#define GFP_UNMOVABLE   0x00u
#define GFP_MOVABLE     0x01u /* = MT_MOVABLE: its owner can move the page; zone MOVABLE will do */
#define GFP_RECLAIMABLE 0x02u /* = MT_RECLAIMABLE */
#define GFP_TYPE_MASK   0x03u
#define GFP_DMA32       0x04u /* below 4 GiB */
#define GFP_NOWAIT      0x08u /* do not sleep; any context */
#define GFP_ATOMIC      0x18u /* do not sleep; half of the pages below min; any context */
#define GFP_RESERVE     0x10u /* the bit of ATOMIC that allows half of the pages below min */
#define GFP_ZERO        0x20u /* zeroed; the memory must be backed */
#define GFP_THISNODE    0x40u /* no other node than the CPU's own */
#define GFP_NORETRY     0x80u /* may fail early: no page is moved, no task killed (oom.h) */
#define GFP_KERNEL      GFP_UNMOVABLE

/* The reason why a request failed.  The request concerns a range or a page. */
enum mm_why {
	WHY_NONE,
	WHY_RANGE,     /* empty, unaligned, wrapping or outside */
	WHY_HOLE,      /* no memory is there */
	WHY_ZONES,     /* in more than one zone */
	WHY_MIXED,     /* partly offline */
	WHY_ALREADY,   /* in the wanted state already */
	WHY_CLAIMED,   /* another operation works on the range */
	WHY_ISOLATED,  /* already isolated */
	WHY_RESERVED,  /* firmware, kernel or memmap */
	WHY_UNMOVABLE, /* allocated, and its owner cannot move it */
	WHY_PINNED,    /* movable, but pinned */
	WHY_BUSY,      /* being freed or changed by another thread */
	WHY_NO_TARGET, /* no memory to move to */
	WHY_LAST,      /* too little would be left */
	WHY_CANCELLED,
	WHY_DEADLINE,
	WHY_TYPE,     /* pageblocks of a type that does not fit */
	WHY_STANDBY,  /* standby: comes online by itself */
	WHY_HWPOISON, /* broken pages, in use or retired, are blockers */
	NR_MM_WHY,
};
struct mm_fail {
	pfn_t pfn; /* the first blocker; PFN_NONE: no page in particular */
	enum mm_why why;
};
/* A few words for @why.  Any context. */
const char *mm_why_text(enum mm_why why);

/* ---- pages and blocks ---- */

static always_inline pfn_t page_to_pfn_in(const struct memory *mem, const struct page *page)
{
	return ((uintptr_t)page - (uintptr_t)mem->memmap) / sizeof(struct page);
}

/*
 * The number of @page from the memory's first one on; @page may be any pointer.  False: it is no
 * descriptor of @mem.  The rotation by log2 of a descriptor's size puts the low bits, which a
 * pointer into a descriptor has, on top.
 */
static always_inline bool page_number(const struct memory *mem, const struct page *page, size_t *nr)
{
	uintptr_t offset = (uintptr_t)page - mem->first_page;

	*nr = offset >> 5 | offset << (8 * sizeof(offset) - 5);
	return *nr < mem->nr_pfns;
}

static always_inline struct page *pfn_to_page_in(const struct memory *mem, pfn_t pfn)
{
	return (struct page *)((uintptr_t)mem->memmap + pfn * sizeof(struct page));
}

static always_inline struct pageblock *pageblock_of(const struct memory *mem, pfn_t pfn)
{
	return (struct pageblock *)((uintptr_t)mem->pageblocks +
	    (pfn >> PAGEBLOCK_ORDER) * sizeof(struct pageblock));
}

static always_inline struct pageblock_tree *tree_of(const struct memory *mem, pfn_t pfn)
{
	return (struct pageblock_tree *)((uintptr_t)mem->trees +
	    (pfn >> PAGEBLOCK_ORDER) * sizeof(struct pageblock_tree));
}

static always_inline unsigned word_ref(u32 word)
{
	return word & PAGE_REF_MASK;
}

static always_inline enum page_state word_state(u32 word)
{
	return (enum page_state)((word & PAGE_STATE_MASK) >> PAGE_STATE_SHIFT);
}

static always_inline unsigned word_order(u32 word)
{
	return (word & PAGE_ORDER_MASK) >> PAGE_ORDER_SHIFT;
}

static always_inline u32 page_word(const struct page *page)
{
	return READ_ONCE(page->word);
}

static always_inline unsigned pfn_in_block(pfn_t pfn)
{
	return (unsigned)(pfn & (PAGEBLOCK_PAGES - 1));
}

static inline enum migratetype pageblock_type(const struct pageblock *pb)
{
	return (enum migratetype)(READ_ONCE(pb->bits) & PB_TYPE_MASK);
}

static inline bool pageblock_isolated(const struct pageblock *pb)
{
	return READ_ONCE(pb->bits) & PB_ISOLATED;
}

static inline enum pageblock_state pageblock_state(const struct pageblock *pb)
{
	return (enum pageblock_state)((READ_ONCE(pb->bits) & PB_STATE_MASK) >> PB_STATE_SHIFT);
}

/* True if @mem has a descriptor of @pfn, and RAM is or was there.  Any context. */
bool pfn_valid_in(const struct memory *mem, pfn_t pfn);

/*
 * The order of the free block that begins at @pfn, in an ONLINE pageblock; negative: none begins
 * there.  Exact under the zone lock; else the result may be out of date.
 */
int free_order_at(const struct memory *mem, pfn_t pfn);
/* For block_word: the result for a page whose own word is TAIL. */
u32 free_word_at(const struct memory *mem, pfn_t pfn);
/*
 * The block that begins at @pfn, as one word: the word of its head or, for a free block, whose head
 * reads TAIL, the state FREE with the order.  State TAIL: no block begins there.
 * Locking as free_order_at.
 */
static inline u32 block_word(const struct memory *mem, pfn_t pfn)
{
	u32 word = page_word(pfn_to_page_in(mem, pfn));

	return likely(word_state(word) != PG_TAIL) ? word : free_word_at(mem, pfn);
}

/*
 * The head of the block that @pfn lies in, in at most MAX_ORDER + 1 probes.  Exact under the zone
 * lock or for a page that the caller owns; else PFN_NONE means "unknown just now, try again".
 */
pfn_t page_head(const struct memory *mem, pfn_t pfn);
const char *page_state_name(enum page_state state);
extern const char *const migratetype_names[NR_MIGRATETYPES];
/* Print one line that names the page, its block, its pageblock and its zone.  Any context. */
void dump_page(const struct memory *mem, pfn_t pfn, const char *why);
/*
 * For panic().  memory_panic_page prints the page that the panic concerns, if any, with its recent
 * history; memory_panic_events prints the last events of all pages.  No lock is taken; any lock may
 * be held.
 */
void memory_panic_page(void);
void memory_panic_events(void);

/* The zone of @pfn, which must be valid. */
static inline struct zone *zone_of(struct memory *mem, pfn_t pfn)
{
	return &mem->zones[pageblock_of(mem, pfn)->zone];
}

/*
 * The zone lock protects the pageblocks of @zone, their lists, and the counts.  The functions
 * without irqsave expect interrupts off.  These four declare to clang that the lock stands for its
 * class; so clang does not check their bodies (lock_attr.h).
 */
static inline void zone_lock(struct zone *zone) ACQUIRE(zone->lock, zone_class) NO_LOCK_ANALYSIS
{
	spin_lock(&zone->lock);
}

static inline void zone_unlock(struct zone *zone) RELEASE(zone->lock, zone_class) NO_LOCK_ANALYSIS
{
	spin_unlock(&zone->lock);
}

static inline irqflags_t zone_lock_irqsave(struct zone *zone) ACQUIRE(zone->lock, zone_class)
    NO_LOCK_ANALYSIS
{
	return spin_lock_irqsave(&zone->lock);
}

static inline void zone_unlock_irqrestore(struct zone *zone, irqflags_t flags)
    RELEASE(zone->lock, zone_class) NO_LOCK_ANALYSIS
{
	spin_unlock_irqrestore(&zone->lock, flags);
}

/*
 * The number of free blocks of @order that @zone can allocate as @type, without those of isolated
 * pageblocks.  It visits all pageblocks.  Without the zone lock the result is a hint.
 */
unsigned zone_free_blocks(const struct zone *zone, unsigned order, unsigned type);

/*
 * The next free block that zone_free_blocks counts, after @pfn; the first if @pfn is PFN_NONE.
 * Returns PFN_NONE if there are no more.  The caller holds the zone lock from the first call to the
 * last.
 */
pfn_t zone_next_free(const struct zone *zone, unsigned order, unsigned type, pfn_t pfn)
    REQUIRES(zone->lock, zone_class);

/* Walk the free blocks that zone_next_free finds. */
#define for_each_free_block(zone, order, type, pfn)                                                \
	for ((pfn) = zone_next_free((zone), (order), (type), PFN_NONE); (pfn) != PFN_NONE;         \
	     (pfn) = zone_next_free((zone), (order), (type), (pfn)))

/* The address of the bytes of a block of backed memory.  Any context. */
static inline void *page_address_in(const struct memory *mem, const struct page *page)
{
	return arch_phys_to_virt((phys_t)page_to_pfn_in(mem, page) << PAGE_SHIFT);
}
static inline void *page_address(const struct page *page)
{
	return page_address_in(&kernel_memory, page);
}
/* The page at an address in the direct map; another address has a pfn that is not valid. */
static inline pfn_t virt_to_pfn(const void *va)
{
	return ((uintptr_t)va - (uintptr_t)arch_phys_to_virt(0)) >> PAGE_SHIFT;
}
static inline struct page *virt_to_page(const void *va)
{
	return pfn_to_page_in(&kernel_memory, virt_to_pfn(va));
}

/* The zones that the machine's nodes can have; some may be empty. */
static always_inline unsigned nr_zones(const struct memory *mem)
{
	return mem->nr_nodes * NR_ZONE_KINDS;
}

/*
 * The number of the first stack of the zone @id.  The lowest numbers are those of the stacks of no
 * zone, which are always full, so that pages of isolated and CMA pageblocks are not cached.
 */
static always_inline unsigned stacks_of(unsigned id)
{
	return (id + 1) * STACKS_PER_ZONE;
}

/* The number of stacks that a CPU has. */
static always_inline unsigned nr_stacks(const struct memory *mem)
{
	return stacks_of(nr_zones(mem));
}

/* The blocks in a stack, and the most that it may hold.  A hint, if the stack is another CPU's. */
static always_inline unsigned stack_count(const struct pcp_stack *stack)
{
	return (unsigned)(READ_ONCE(stack->top) - READ_ONCE(stack->slot));
}

static always_inline unsigned stack_capacity(const struct pcp_stack *stack)
{
	return (unsigned)(READ_ONCE(stack->limit) - READ_ONCE(stack->slot));
}

static always_inline void stack_set_top(struct pcp_stack *stack, struct page **top)
{
	WRITE_ONCE(stack->top, top);
}

static always_inline void stack_set_count(struct pcp_stack *stack, unsigned count)
{
	stack_set_top(stack, stack->slot + count);
}

static always_inline void stack_set_capacity(struct pcp_stack *stack, unsigned capacity)
{
	WRITE_ONCE(stack->limit, stack->slot + capacity);
}

/* ---- allocate and free ---- */

/*
 * alloc_pages - allocate a block of 2^order pages.  Returns its head, state ALLOC with one
 * reference, or NULL: order > MAX_ORDER (counted), or no memory that the flags allow (counted).  A
 * request that may sleep (neither NOWAIT nor ATOMIC) waits before it fails, for reclaim and for one
 * drain of all caches by the reclaim thread; unless NORETRY, also for compaction, standby memory
 * and the OOM killer (docs/mm/reclaim.md has the order).  It never makes a cross-call.  Context:
 * any with NOWAIT or ATOMIC; else thread, irqs on, no spin lock held.  Locks: zone locks.
 */
static always_inline must_check struct page *alloc_pages(gfp_t gfp, unsigned order)
    EXCLUDES(zone_class);
struct page *mem_alloc_pages(struct memory *mem, gfp_t gfp, unsigned order)
    must_check EXCLUDES(zone_class);

/*
 * free_pages - free a block that no other code can find.  It must have state ALLOC, one reference
 * and @order.  @page: a descriptor of the kernel's memory; mem_free_pages also refuses those of
 * other memories.  Returns 0; -EINVAL for anything else (NULL, double free, wrong order, never
 * allocated, still pinned): then the page is reported, counted and left as it is; with
 * badpage=panic the kernel panics.  If two CPUs free one page at once, the kernel may notice only
 * when the page is next taken, and panics then.  Context: any.  Locks: zone lock when the cache is
 * full or off.
 */
static always_inline int free_pages(struct page *page, unsigned order) EXCLUDES(zone_class);
int mem_free_pages(struct memory *mem, struct page *page, unsigned order) EXCLUDES(zone_class);

/* mem_alloc_pages for order 0 without GFP_ZERO; mem_free_pages for order 0. */
struct page *mem_alloc_page(struct memory *mem, gfp_t gfp) must_check EXCLUDES(zone_class);
int mem_free_page(struct memory *mem, struct page *page) EXCLUDES(zone_class);

static always_inline struct page *alloc_pages(gfp_t gfp, unsigned order)
{
	if (__builtin_constant_p(order | (gfp & GFP_ZERO)) && !(order | (gfp & GFP_ZERO)))
		return mem_alloc_page(&kernel_memory, gfp);
	return mem_alloc_pages(&kernel_memory, gfp, order);
}

static always_inline int free_pages(struct page *page, unsigned order)
{
	if (__builtin_constant_p(order) && !order)
		return mem_free_page(&kernel_memory, page);
	return mem_free_pages(&kernel_memory, page, order);
}

/*
 * Allocate up to @nr pages of order 0 into pages[], with one lock hold per batch; returns how many
 * it got.  Context and locks as alloc_pages.
 */
unsigned long mem_alloc_pages_bulk(
    struct memory *mem, gfp_t gfp, unsigned long nr, struct page **pages);
static inline unsigned long alloc_pages_bulk(gfp_t gfp, unsigned long nr, struct page **pages)
{
	return mem_alloc_pages_bulk(&kernel_memory, gfp, nr, pages);
}
/*
 * Free @nr order-0 pages, in chunks with interrupts off.  Returns how many were refused (reported
 * like free_pages).  Context: any.
 */
unsigned long mem_free_pages_bulk(struct memory *mem, unsigned long nr, struct page **pages);
static inline unsigned long free_pages_bulk(unsigned long nr, struct page **pages)
{
	return mem_free_pages_bulk(&kernel_memory, nr, pages);
}

/*
 * get_page - take one more reference to a page.  The caller owns the page or holds its finding
 * lock.  Returns 0; -EAGAIN at the limit.  Any context.
 */
int get_page(struct page *page) must_check;
/*
 * mem_put_page - drop a reference; the last one frees the block, whatever its in-use state was (the
 * caller has unlinked it).  Returns 0, or -EINVAL for a page without references (reported,
 * counted).  Context: any.
 */
int mem_put_page(struct memory *mem, struct page *page) EXCLUDES(zone_class);
/* mem_put_page for @page of the kernel's own memory. */
int put_page(struct page *page) EXCLUDES(zone_class);

/*
 * Long-term pins.  Each holds a reference and makes migration fail with -EBUSY.  pin_page returns
 * as get_page.
 */
int pin_page(struct page *page) must_check;
void mem_unpin_page(struct memory *mem, struct page *page);

/* ---- small objects (mm/vm/slab.c) ---- */

/*
 * kmalloc - @size bytes, aligned to 16, from the kernel's memory; zeroed.  NULL if there is no
 * memory, or @size is 0 or above 2 MiB.  Context: thread (it may sleep).  Locks: slab, zone.
 */
void *kmalloc(size_t size) must_check EXCLUDES(slab_class, zone_class);
/*
 * Free memory of kmalloc.  NULL does nothing.  Any other wrong @ptr panics, except the start of a
 * block of alloc_pages, which is freed like a large one of kmalloc.  Context as kmalloc.
 */
void kfree(void *ptr) EXCLUDES(slab_class, zone_class);
/*
 * Free the empty page that each size class may keep, so that every page allocated is really in
 * use.  Context as kmalloc.
 */
void kmalloc_trim(void) EXCLUDES(slab_class, zone_class);

/* ---- caches and drains (mm/core/pcp.c, mm/core/drain.c) ---- */

/*
 * drain_all_pages - make the CPUs that seem to hold pages of @zone (NULL: of any zone) give them
 * back.  The check of the counts is racy: a page that is being put into a cache may be missed.
 * Concurrent callers share a round if it started after their calls.
 * Context: thread, may sleep; not from an allocation.  Locks: cpu_hotplug shared, pcp_ctl.
 * Returns the number of CPUs that got an IPI, or -EDEADLK (where smp_call_mask may not be called).
 */
int drain_all_pages(struct memory *mem, struct zone *zone) EXCLUDES(pcp_ctl_class, zone_class);
/*
 * Give back the pages of @zone (NULL: of any zone) that this CPU caches.  Any context.  Locks:
 * zone.
 */
void drain_local_pages(struct memory *mem, struct zone *zone) EXCLUDES(zone_class);

/*
 * zone_pcp_disable - switch the zone's caches off on all CPUs and empty them; nests.  When it
 * returns, no CPU caches a page of the zone and none will until the matching enable.  A CPU that
 * died (docs/hotplug.md) keeps the pages that it had.
 * Context: thread, may sleep.  Locks: cpu_hotplug shared, pcp_ctl.
 * Returns 0; -EOVERFLOW after 65535 nested calls; -EDEADLK (context).
 */
int zone_pcp_disable(struct zone *zone) must_check EXCLUDES(pcp_ctl_class, zone_class);
/*
 * zone_pcp_enable - undo one zone_pcp_disable.  It sends no IPIs: after the last enable, a CPU
 * caches pages again when it next refills or spills a stack.  Returns 0; -EINVAL (counted) if no
 * disable is to be undone.  Context and locks as zone_pcp_disable.
 */
int zone_pcp_enable(struct zone *zone) EXCLUDES(pcp_ctl_class, zone_class);

/*
 * pcp_cpu_leave: this CPU goes down.  Give back all its cached pages and set every capacity to 0;
 * the CPU does not use @mem afterwards.  pcp_cpu_join: before the CPU is online, set its
 * capacities; they stay 0 in zones whose depth is not 0.  Called for each memory, under
 * memories_lock.  Context: that CPU, irqs off, cpu_hotplug held exclusively on its behalf.  Locks:
 * zone.
 */
void pcp_cpu_leave(struct memory *mem);
void pcp_cpu_join(struct memory *mem);
/* Recompute and apply capacities after a change of CPUs or memory.  Context as drain_all_pages. */
void pcp_refresh_all(struct memory *mem) EXCLUDES(pcp_ctl_class, zone_class);
/* True if @cpu seems to cache pages of @zone.  Racy; any context. */
bool pcp_zone_nonempty(const struct memory *mem, unsigned cpu, const struct zone *zone);
/* Pages in all caches of @zone; exact only while no CPU allocates or frees. */
unsigned long zone_pcp_pages(const struct zone *zone);

/* ---- seeing and checking ---- */

/* Sum of one event over all CPUs. */
u64 mm_event_sum(const struct memory *mem, enum mm_event ev);
const char *mm_event_name(enum mm_event ev);

/* The first broken invariant that check_memory found. */
struct mm_violation {
	const char *what; /* NULL: none */
	pfn_t pfn;
	unsigned long have, want;
};
/*
 * check_memory - recount everything from scratch and compare: every invariant of docs/mm/check.md.
 * It stops all CPUs meanwhile, interrupts off, and repairs nothing.  Returns 0; -EUCLEAN (*@v has
 * the first broken invariant); -EDEADLK where it may not sleep.  Context: thread, may sleep.
 */
int check_memory(struct memory *mem, struct mm_violation *v) must_check EXCLUDES(pcp_ctl_class);
/* All free pages: listed, isolated and cached.  Exact while no CPU allocates or frees. */
unsigned long memory_free_pages(struct memory *mem);
unsigned long memory_managed_pages(const struct memory *mem);
/* The pages that requests with @gfp may take now, without those in caches.  A hint; any context. */
unsigned long memory_spare_pages(const struct memory *mem, gfp_t gfp);
void show_mem(struct memory *mem);
/* @before: NULL, or for each event the number that is left out. */
void show_events(const struct memory *mem, const u64 *before);
void show_zones(struct memory *mem);
void show_pcp(struct memory *mem);
void show_block(struct memory *mem, pfn_t pfn);

#endif
