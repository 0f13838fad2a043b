/* SPDX-License-Identifier: MIT */
/*
 * mm_types.h: the structures of the memory manager: page, pageblock, cache, zone, node, memory.
 *
 * They are public because code that supplies the arrays (the boot code, a test, another kernel)
 * must know their sizes; only mm/ writes them.  docs/mm/model.md explains them in prose.  Their
 * parts for reclaim, the OOM killer and memory hotplug are in reclaim_state.h, oom_state.h and
 * hotplug_state.h.
 *
 * Letters after fields: z zone lock; l lru lock; c constant after set-up; a atomic; o owning CPU
 * with interrupts off; h mem->hotplug; p mem->pcp_ctl.  Where one lock is enough for both reading
 * and writing, GUARDED_BY repeats it for clang (lock_attr.h).
 */
#ifndef QUARRY_MM_TYPES_H
#define QUARRY_MM_TYPES_H

#include <quarry/hotplug_state.h>
#include <quarry/mm_event.h>
#include <quarry/oom_state.h>
#include <quarry/port.h>
#include <quarry/reclaim_state.h>
#include <quarry/trace_ring.h>
#include <quarry/types.h>
#include <sys/queue.h>

/*
 * Geometry.  A pageblock is 2 MiB, the largest free block is one pageblock, a section (128 MiB) is
 * the piece in which the array of struct page is mapped.  A free block lies in one pageblock, so
 * isolating a pageblock splits no free block.  The hosted suites are also built with
 * PAGEBLOCK_ORDER=3.
 */
#ifndef PAGEBLOCK_ORDER
#define PAGEBLOCK_ORDER 9
#endif
#define MAX_ORDER       PAGEBLOCK_ORDER
#define NR_ORDERS       (MAX_ORDER + 1)
#define SECTION_ORDER   (PAGEBLOCK_ORDER + 6)
#define PAGEBLOCK_PAGES (1UL << PAGEBLOCK_ORDER)
#define SECTION_PAGES   (1UL << SECTION_ORDER)
BUILD_ASSERT(MAX_ORDER <= PAGEBLOCK_ORDER && PAGEBLOCK_ORDER <= SECTION_ORDER);
/* at least 3: four small orders are cached; at most 10: counts of free blocks fit into 64 bits */
BUILD_ASSERT(MAX_ORDER >= 3 && MAX_ORDER <= 10);

/*
 * "No page": the end of links, a head not found, and so on.  Links are 32-bit pfns, enough for 16
 * TiB.
 */
#define PFN_NONE ((pfn_t)0xffffffffUL)

/* The use of pages.  Each pageblock has one type; the zone's lists are by type. */
enum migratetype {
	MT_UNMOVABLE,
	MT_MOVABLE,
	MT_RECLAIMABLE,
	MT_CMA, /* lent to movable allocations, never cached */
	NR_MIGRATETYPES,
};
#define NR_CACHED_TYPES 3 /* the first three have stacks in the caches */

/*
 * The head of a block in use has the block's state; the other pages are TAIL, which is 0.  All
 * pages of a free block are TAIL too: only the tree of its pageblock shows that the block is free.
 * docs/mm/model.md has the table of legal edges (changes of state); code with any other edge does
 * not compile (page.h).
 */
enum page_state {
	PG_TAIL,        /* not a head: a later page of a block, or free */
	PG_RESERVED,    /* never the allocator's: kernel, firmware, missing RAM */
	PG_FREE,        /* never in a word: block_word returns it for a free block */
	PG_PCP,         /* in one slot of one CPU's cache */
	PG_FREEING,     /* in transit: a thread frees it, or reports it to the host */
	PG_ALLOC,       /* allocated; only its owner can find it */
	PG_SLAB,        /* small-object allocator */
	PG_PGTABLE,     /* page table */
	PG_OBJECT,      /* page of a memory object */
	PG_MOVABLE_OPS, /* movable through its owner's struct movable_ops */
	PG_LRU,         /* on a reclaim list */
	PG_ISO_MIG,     /* taken by a migrator, which holds a reference */
	PG_BALLOON,     /* lent to the host */
	PG_HWPOISON,    /* broken memory, retired */
	NR_PAGE_STATES,
};

/*
 * struct page.word: refcount:15 | pinned:1 | state:4 | order:4 | flags:8.  A free checks the page
 * by one plain compare of all 32 bits, and then changes the word by a plain store.  Five laws make
 * that correct:
 *  1. No speculative references: code that does not own a page takes a reference only under its
 *     finding lock, which keeps the page where it was found.  A scanner by pfn reads the state and
 *     takes no reference.
 *  2. free_pages is for pages that no other CPU can reach; any other page is first unlinked under
 *     its finding lock, then dropped with mem_put_page, whose last step clears the in-use flags.
 *  3. Every other change of the word of a page in use is a compare-and-swap, never a decrement,
 *     whose underflow would borrow into the state.
 *  4. HWPOISON and HAS_HWPOISON are set by compare-and-swap under the zone lock.  On a page in use,
 *     either the zone's caches are off, or the page is in transit (ISO_MIG) and the setter holds a
 *     reference, which it drops by a put.  The slow free reads the word again under the zone lock.
 *  5. pin_page sets PAGE_PINNED until the page is free again; so a free of a page that was ever
 *     pinned takes the slow path, which checks pincount.
 */
#define PAGE_REF_MASK       0x00007fffu
#define PAGE_PINNED         0x00008000u /* has been pinned since it was allocated: see pincount */
#define PAGE_STATE_SHIFT    16
#define PAGE_STATE_MASK     0x000f0000u
#define PAGE_ORDER_SHIFT    20
#define PAGE_ORDER_MASK     0x00f00000u
#define PAGE_LOCKED         0x01000000u
#define PAGE_DIRTY          0x02000000u
#define PAGE_REFERENCED     0x04000000u
#define PAGE_ACTIVE         0x08000000u
#define PAGE_UPTODATE       0x10000000u
#define PAGE_UNEVICTABLE    0x20000000u
#define PAGE_F_HWPOISON     0x40000000u /* this frame is broken; also legal on a TAIL */
#define PAGE_F_HAS_HWPOISON 0x80000000u /* on a head: some page of this block has the flag above */
#define PAGE_POISON         (PAGE_F_HWPOISON | PAGE_F_HAS_HWPOISON)
#define PAGE_REF_MAX        0x7ff0u /* further references are refused, before the field overflows */
#define PAGE_WORD(ref, state, order)                                                               \
	((u32)(ref) | (u32)(state) << PAGE_STATE_SHIFT | (u32)(order) << PAGE_ORDER_SHIFT)

struct page {
	u32 word;    /* see above */
	u32 next;    /* l: pfn links of a reclaim list; PFN_NONE at the ends */
	u32 prev;    /* l */
	u32 index;   /* owner: number of the page in its object, or a driver's value */
	void *owner; /* owner: object, slab cache or struct movable_owner, as the state says */
	/* under its object's lock: page-table entries that map it; each holds a reference */
	u16 mapcount;
	u16 pincount; /* a: long-term pins; each also holds a reference */
	u16 spare;    /* for check_memory: page-table entries found */
	/* under vm.keeping: one of its pins is that of a CPU that may still use an old TLB entry */
	u8 kept;
} __attribute__((aligned(8))); /* so the size is 32 bytes even where pointers have 4 */
BUILD_ASSERT(sizeof(struct page) == 32);

/* Orders that the caches keep: 0-4 and the largest. */
#define NR_SMALL_CACHED  (MAX_ORDER > 4 ? 5 : 4)
#define NR_CACHED_ORDERS (NR_SMALL_CACHED + (MAX_ORDER >= NR_SMALL_CACHED))
/* A stack for each cached order and type. */
#define STACKS_PER_ZONE (NR_CACHED_ORDERS * NR_CACHED_TYPES)

/* The state of a pageblock; OFFLINE and HOLE take precedence over the words of its pages. */
enum pageblock_state { PB_HOLE, PB_OFFLINE, PB_ONLINE };

/* The free blocks of a pageblock: mm/core/free_map.h. */
struct free_map {
	u64 counts;                               /* numbers of free blocks, by order */
	u64 bit[(2 * PAGEBLOCK_PAGES + 63) / 64]; /* a bit for each node of the tree of blocks */
};

/*
 * A pageblock's free blocks, and the list that holds the pageblock.  For standby memory the bytes
 * here have no meaning: they are zeroed when it comes online.
 */
struct pageblock_tree {
	struct free_map map GUARDED_BY(zone_class); /* z: its free blocks */
	/* z: pfn links of the list that holds the pageblock; PFN_NONE at the ends */
	u32 next GUARDED_BY(zone_class), prev GUARDED_BY(zone_class);
	u8 list GUARDED_BY(zone_class); /* z: the order of that list, plus 1; 0: on no list */
	/* z: isolated by start_isolate_page_range alone: its policy, plus 1; else 0 */
	u8 alone GUARDED_BY(zone_class);
} __attribute__((aligned(64)));

/* log2 of the bytes of a pageblock's descriptor. */
#define PAGEBLOCK_SHIFT 3

/*
 * A pageblock: its state, and the number of the stack for its freed pages.  The number follows from
 * zone, type, isolate bit and state; when one of these changes, it is recomputed under the zone
 * lock.  A free reads it without a lock, with interrupts off until it has pushed the page.
 */
struct pageblock {
	/* z, read racily: the stack of order 0: stacks_of(zone) + type, or 0, that of no zone */
	u16 stack GUARDED_BY(zone_class);
	u16 nr_free GUARDED_BY(zone_class); /* z: pages in its free blocks */
	/* z: ONLINE: retired pages; OFFLINE: flagged pages; standby: all pages, or 0 */
	u16 nr_poisoned GUARDED_BY(zone_class);
	u8 zone; /* z; read racily if HOLE; index in mem->zones */
	/* z, read racily: migratetype:3, isolated:1, pageblock_state:2, evacuated:1, reported:1 */
	u8 bits GUARDED_BY(zone_class);
};
BUILD_ASSERT(sizeof(struct pageblock) == 1 << PAGEBLOCK_SHIFT);
#define PB_TYPE_MASK   0x07u
#define PB_ISOLATED    0x08u
#define PB_STATE_SHIFT 4
#define PB_STATE_MASK  0x30u
#define PB_EVACUATED   0x40u /* offlined with its node: mm/hotplug/offline_node.c */
#define PB_REPORTED    0x80u /* wholly free since the host was told so: mm/hotplug/page_report.c */

/*
 * If the firmware's tables name more nodes, the extra ones are merged into node 0, and the kernel
 * reports this.
 */
#define MAX_NODES 8
enum zone_kind { ZONE_DMA32, ZONE_NORMAL, ZONE_MOVABLE, NR_ZONE_KINDS };
#define MAX_ZONES (MAX_NODES * NR_ZONE_KINDS)
struct zone;
struct memory;
/* A stack of blocks: slot[0] is the oldest, top[-1] the newest.  All NULL: never used. */
struct pcp_stack {
	struct page **top; /* o, read racily by drains that need not be complete */
	/* o: top may not pass it: slot while the zone's pcp_depth > 0, else by the zone's limits */
	struct page **limit;
	struct page **slot; /* o: an array as long as the largest capacity */
};
/*
 * One CPU's cache of one memory.  Only the owning CPU reads or writes it, with interrupts off;
 * other CPUs may read the counts, as a hint.
 */
struct pcp {
	struct page **slots[MAX_ZONES]; /* c: by zone, memory for its stacks' slots; NULL: none */
	/* o, read racily: by zone, the sum of its stacks' slot fields (seems_to_cache) */
	uintptr_t given[MAX_ZONES];
	u16 first[256];       /* o: by the low byte of gfp: order-0 stack of the last zone used */
	struct zone *home[8]; /* o: by the type and zone bits of gfp: the first zone */
	u64 event[NR_MM_EVENTS]; /* a: written by this CPU; any CPU may read */
	struct trace_ring *ring; /* c: its last records; NULL: nothing is recorded */
	/*
	 * o: progress of a drain round that is done in pieces (mm/core/drain_cpu.c,
	 * mm/hotplug/page_isolation.c)
	 */
	u8 unfinished, work, round_zone;
	u16 scan_stack, scan_left;
	/* STACKS_PER_ZONE of no zone, whose capacity is 0; then those of each zone. */
	struct pcp_stack stack[];
};

/*
 * Lists of pages of objects, by age.  The flag ACTIVE of a page says on which of the first two
 * lists it is.  Anonymous pages are on the third list, which reclaim does not scan: they can be
 * moved but not dropped (there is no swap).
 */
enum { LRU_INACTIVE, LRU_ACTIVE, LRU_UNEVICTABLE, NR_LRU };
struct lru_list {
	u32 head, tail;   /* l: pfn or PFN_NONE; new pages come at the head */
	unsigned long nr; /* l, read racily, as a hint */
};

struct zone {
	struct spinlock lock;     /* RANK_ZONE: pageblocks, lists, counts */
	struct spinlock lru_lock; /* RANK_LRU: pages enter and leave MOVABLE_OPS, ISO_MIG, LRU */
	struct memory *mem;       /* c */
	u8 id, node, kind;        /* c: index in mem->zones; enum zone_kind */
	/*
	 * h and z to change, read racily: span, pageblock aligned.  It only grows, and may contain
	 * pageblocks of other zones: each pageblock names its zone.
	 */
	pfn_t start_pfn, end_pfn;
	/*
	 * h and z to change, read racily: [standby, standby_end) is standby memory; standby
	 * only rises.
	 */
	pfn_t standby, standby_end;
	/* z, read racily, as a hint; in pages: */
	/* free in pageblocks that are not isolated; not cached */
	unsigned long nr_free GUARDED_BY(zone_class);
	/* the part of nr_free in CMA areas: for movable requests only */
	unsigned long nr_free_cma GUARDED_BY(zone_class);
	unsigned long present GUARDED_BY(zone_class); /* pages of ONLINE pageblocks */
	/* present without RESERVED pages: the pages that the allocator manages */
	unsigned long managed GUARDED_BY(zone_class);
	/* pages that standby memory has added to managed; only rises */
	unsigned long from_standby GUARDED_BY(zone_class);
	unsigned long wmark[3] GUARDED_BY(zone_class); /* min, low, high */
	/* pages kept from requests that could also use a higher kind of zone */
	unsigned long reserve GUARDED_BY(zone_class);
	unsigned long nr_isolated GUARDED_BY(zone_class); /* z, read racily: pageblocks */
	/* z: flagged pages that are still in use; retired when freed */
	unsigned long nr_doomed GUARDED_BY(zone_class);
	/*
	 * z: lists of pageblocks that have free pages and are not isolated, by type and order of
	 * their largest free block.  blocks: the first page of a list's first pageblock; PFN_NONE:
	 * empty.  have: by type, a bit for each order whose list is not empty; a racy hint
	 */
	u32 blocks[NR_MIGRATETYPES][NR_ORDERS] GUARDED_BY(zone_class);
	u32 have[NR_MIGRATETYPES] GUARDED_BY(zone_class);
	/* p, read racily by pcp_update_capacity: zone_pcp_disable calls not undone yet */
	u32 pcp_depth GUARDED_BY(pcp_ctl_class);
	union { /* h: limits per CPU, in blocks; pcp_limit is the same array, by stack number */
		u16 pcp_capacity[NR_CACHED_ORDERS][NR_CACHED_TYPES] GUARDED_BY(mem_hotplug_class);
		u16 pcp_limit[NR_CACHED_ORDERS * NR_CACHED_TYPES] GUARDED_BY(mem_hotplug_class);
	};
	struct lru_list lru[NR_LRU] GUARDED_BY(lru_class); /* l */
	u32 nr_reclaiming; /* a: pages that reclaim has taken off the lists and still holds */
	u32 nr_moving;     /* a: likewise, to move to zone MOVABLE; some may have moved already */
	u64 lru_came GUARDED_BY(lru_class); /* l, read racily: droppable pages ever put on lists */
	u64 freed; /* a: pages outside CMA freed here by reclaim, or brought online from standby */
	u64 freed_cma;    /* a: the same for pages in CMA pageblocks: only for movable requests */
	u32 futile;       /* a: a run did not help this low zone; being low starts no other run */
	u32 nr_reporting; /* a: pageblocks of which the host is told; soon they are free again */
	/* a: lru_came at the start of that run; futile is ignored if lru_came has changed */
	u64 futile_came;
	/* a: where the scanners of the last compaction stopped; 0: at an end of the zone */
	pfn_t compact_window, compact_free;
	/* a: the order for which they made no block from the ends on, see compact.c; 0: none */
	u32 compact_vain;
};
enum { WMARK_MIN, WMARK_LOW, WMARK_HIGH };

struct node {
	u8 id;
	u8 distance[MAX_NODES]; /* c: as in the ACPI table SLIT; 10: the node itself */
	/*
	 * For each highest kind of zone allowed: ids of zones, nearest first.  Changed under
	 * mem->adding, when a zone gets its first pages; read racily.
	 */
	u8 zonelist[NR_ZONE_KINDS][MAX_ZONES];
	u8 nr_zones[NR_ZONE_KINDS]; /* likewise */
	struct memory *mem;         /* c */
	struct reclaim reclaim;
};

/*
 * A refill of a stack from the zone, or a spill back, moves blocks of at least this many pages,
 * where there is space for them.  A course may choose this and the next constant
 * (docs/instructor.md).
 */
#ifndef PCP_BATCH
#define PCP_BATCH 16
#endif
/* The most passes over a range, to move pages that were in use at earlier passes. */
#ifndef MIGRATE_PASSES
#define MIGRATE_PASSES 10
#endif
/*
 * The most pages that a stack of order 0 may hold.  PCP_ENOUGH of them are always its own; the rest
 * comes from the part of the limit that the zone's other stacks do not use.
 */
#define PCP_MOST   512u
#define PCP_ENOUGH 64u
BUILD_ASSERT(PCP_BATCH >= 8 && PCP_BATCH <= PCP_ENOUGH);
/*
 * The most blocks that a refill moves; a spill moves at most half as many.  Interrupts are off
 * meanwhile.
 */
#define PCP_BATCH_MOST 128u
/* Slots for blocks of one type, in the cache of one zone and CPU. */
#define PCP_SLOTS (PCP_MOST + 32 + 16 + 8 + 2 + 2)

/*
 * The ways to keep pages of a range that goes offline out of the caches.  Each policy has an entry
 * here with its name, a row in mm/hotplug/isolate_policy.c, and the reasoning behind it in
 * mm/hotplug/page_isolation.c.
 */
/* clang-format off */
#define ISO_POLICIES(P, between) \
	P(ISO_REDRAIN, "redrain") between \
	P(ISO_DISABLE, "disable") between \
	P(ISO_PRECISE, "precise")
/* clang-format on */
#define ISO_POLICY_ID(id, name) id,
enum iso_policy { ISO_POLICIES(ISO_POLICY_ID, ) NR_ISO_POLICIES };

/* Regions visited in one hold of an object's lock, at some hundred instructions each. */
#define RMAP_AT_ONCE 128
/* Pageblocks isolated, offlined or brought online in one hold of the zone lock. */
#define BLOCKS_AT_ONCE 16

/* The spaces and objects made of a memory's pages (vm.h).  check_memory walks these lists. */
struct vm_lists {
	struct spinlock lock; /* RANK_SPACE: both lists; taken alone */
	LIST_HEAD(, vm_space) spaces;
	LIST_HEAD(, vm_object) objects;
	u32 at_once;  /* c: RMAP_AT_ONCE, unless a test changes it */
	u32 flushing; /* a: unmappings that still hold references to the pages they unmapped */
	struct mutex keeping; /* innermost: pages are kept, or kept pages released (tlb.c) */
	u32 nr_kept;          /* under keeping, read racily: kept pages */
};

/* One memory: zones over an array of descriptors that the caller supplied. */
struct memory {
	const char *name;
	struct page *memmap;          /* c: address of pfn 0's descriptor, even if none is there */
	struct pageblock *pageblocks; /* c: descriptor of pageblock 0, likewise */
	/* c: the descriptors of page start_pfn (its address) and of its pageblock */
	uintptr_t first_page;
	const struct pageblock *first_block;
	unsigned long nr_pfns;        /* c: end_pfn - start_pfn */
	u32 tracing;                  /* a: allocations and frees are recorded */
	struct pageblock_tree *trees; /* c: tree of pageblock 0, as pageblocks */
	pfn_t start_pfn, end_pfn; /* c: the range that the arrays can cover, pageblock aligned */
	const struct memory_arrays *arrays; /* c: NULL: all descriptors exist from the start */
	/* c: pages of standby that come online together; whole pageblocks */
	unsigned long standby_step;
	unsigned nr_cpus;      /* c: CPUs that may use this memory: 0 .. nr_cpus - 1 */
	unsigned thread_cpus;  /* c: its threads are bound to CPU thread_cpus - 1; 0: to none */
	struct pcp **pcp;      /* c: by CPU */
	cpumask_t *drain_mask; /* p: CPUs that a masked round sends an IPI to */
	struct zone zones[MAX_ZONES]; /* by id = node * NR_ZONE_KINDS + kind */
	struct node nodes[MAX_NODES];
	unsigned nr_nodes; /* c */
	struct standby_thread standby;
	struct mutex adding;  /* taken before hotplug: one thread adds or removes */
	struct mutex hotplug; /* RANK_MEM_HOTPLUG: claims, commits, onlining */
	u64 hotplug_since;    /* h: the time when hotplug was taken */
	u64 hotplug_longest;  /* h: nanoseconds of the longest hold */
	u64 nr_claims;        /* h: claims ever made */
	u64 nr_commits;       /* a, raised under h: chunks of pageblocks ever offlined */
	struct mutex poison;  /* RANK_POISON: one broken page at a time; no removal meanwhile */
	/* a: a page was reported broken by the machine: no unpoison from then on */
	bool machine_check;
	struct mutex pcp_ctl; /* RANK_PCP_CTL: depths, and rounds, one at a time */
	/* p, round_started read racily: numbers of masked rounds of all zones, begun and ended */
	u64 round_started GUARDED_BY(pcp_ctl_class), round_done GUARDED_BY(pcp_ctl_class);
	LIST_HEAD(, range_claim) claims GUARDED_BY(mem_hotplug_class); /* h */
	struct vm_lists vm;
	struct oom_state oom;
	u32 blocks_at_once;     /* c: BLOCKS_AT_ONCE, unless a test changes it */
	u32 iso_pending;        /* a: isolations during which caches may hold isolated pages */
	u32 nr_isolating;       /* a: operations under way that may isolate pageblocks */
	enum iso_policy policy; /* a: for offlines that name no policy */
	bool badpage_panic;     /* a: a bad free panics after its report */
	bool backed;            /* c: pages have memory behind them (GFP_ZERO, patterns) */
	/* c: allocates zeroed memory for slots; returns NULL if there is none */
	void *(*alloc)(void *arg, size_t bytes);
	void *alloc_arg;
	const struct reclaim_ops *reclaim; /* c: NULL: nothing is reclaimed */
	LIST_ENTRY(memory) link;           /* in memories, from memory_start to memory_stop */
};

#endif
