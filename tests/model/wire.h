/* SPDX-License-Identifier: MIT */
/*
 * wire.h: calls of the allocator as data: a memory in an arena at a fixed address, calls of it, one
 * at a time, and their raw results, which the model judges (model.h).
 *
 * The search of all states (tests/states) and the fuzzer (tests/fuzz) make and judge the calls in
 * one process.  The grader makes them in another process, with the student's code (labs/model):
 * this process does not know the expected results, and the judge never runs the student's code.
 */
#ifndef QUARRY_MODEL_WIRE_H
#define QUARRY_MODEL_WIRE_H

#include <quarry/handle.h>
#include <quarry/mm.h>

/* File descriptors of the student's process: calls, results, the file of the arena. */
#define WIRE_CALLS   3
#define WIRE_RESULTS 4
#define WIRE_ARENA   5

/* Far from the addresses that a sanitizer, the loader and the heap use. */
#define ARENA_BASE   0x300000000000UL
#define ARENA_SIZE   (16UL << 20)
#define ARENA_BLOCKS 32
#define ARENA_CPUS   4
#define NR_HANDLES   16
#define WIRE_PFNS    40

/*
 * This struct is the beginning of the arena; the arrays and the caches lie behind it.  @mem is not
 * used, nor are the arrays, by a shape that asks for kernel_memory.
 */
struct arena {
	u64 used; /* bytes */
	struct memory mem;
	struct handle_table table;
	struct handle handle[NR_HANDLES];
	struct pageblock *pageblocks;
	struct pageblock_tree *trees;
	struct page *memmap;
};
#define ARENA ((struct arena *)ARENA_BASE)

/* One zone: its pageblocks begin at the end of the zone before. */
struct wire_zone {
	u8 node, kind, blocks;
};
#define WIRE_ZONES 6
struct wire_shape {
	struct wire_zone zone[WIRE_ZONES];
	u8 nodes, cpus;
	u8 hole, reserved, lent; /* pageblocks, by number from 1; 0: none */
	bool bare;               /* no bytes behind the pages, and no trace rings in the arena */
	bool kernel;             /* kernel_memory, with reclaim: an allocation may wait */
	bool watched;            /* though bare: bytes, and a ring that records all steps */
	/*
	 * If not 0, the stacks of the last zone hold so many blocks of orders 0 and 1, and none of
	 * larger ones, although so small a zone has no caches by itself (I-P7).
	 */
	u8 caches[2];
};

/*
 * The operands a, b, c, d of each call, and behind a colon its result r.  In struct wire_result,
 * pfn and why are those of a struct mm_fail.
 */
#define WIRE_CALLS_OF(C)                                                                           \
	C(BUILD)      /* a new memory; the shape is in pfns */                                     \
	C(ALLOC)      /* gfp, order: pfn, or -1 */                                                 \
	C(FREE)       /* pfn, order, bytes added to the page's address */                          \
	C(BULK_ALLOC) /* gfp, nr: how many; pfns */                                                \
	C(BULK_FREE)  /* nr; pfns: how many were refused */                                        \
	C(GET)        /* pfn */                                                                    \
	C(PUT)        /* pfn, also of no block */                                                  \
	C(PIN)        /* pfn */                                                                    \
	C(UNPIN)      /* pfn */                                                                    \
	C(DRAIN)      /* zone, or -1 */                                                            \
	C(DRAIN_HERE) /* zone, or -1 */                                                            \
	C(DISABLE)    /* zone */                                                                   \
	C(ENABLE)     /* zone */                                                                   \
	C(REFRESH)                                                                                 \
	C(ISOLATE)    /* start, nr, policy */                                                      \
	C(UNDO)       /* start, nr */                                                              \
	C(TEST)       /* start, nr */                                                              \
	C(OFFLINE)    /* start, nr, policy, OFFLINE_...: 0; also moved, rounds */                  \
	C(ONLINE)     /* start, nr */                                                              \
	C(QUERY)      /* start, nr */                                                              \
	C(HOLD)       /* handle, order, gfp */                                                     \
	C(DROP)       /* handle */                                                                 \
	C(HOLD_WRITE) /* handle, seed */                                                           \
	C(HOLD_CHECK) /* handle */                                                                 \
	C(HOLD_PIN)   /* handle */                                                                 \
	C(HOLD_UNPIN) /* handle */                                                                 \
	C(MOVE)       /* nr, MEANWHILE_..., its handle; pfns: how many stayed */                   \
	C(PUT_BACK)   /* the same */                                                               \
	C(CONTIG)     /* start, end, type */                                                       \
	C(FREE_RANGE) /* start, nr: how many were refused */                                       \
	C(BREAK)      /* pfn: its content is damaged */                                            \
	C(SOFT)       /* pfn: to be retired */                                                     \
	C(REPAIR)     /* pfn: no longer broken */                                                  \
	C(REPORT)     /* how many at once, told: how many pageblocks; pfns */
#define WIRE_CALL_ID(name) CALL_##name,
enum wire_code { WIRE_CALLS_OF(WIRE_CALL_ID) NR_CALLS };

/*
 * How an offline is asked for: cancelled before it begins, with a deadline of 1 ns, without
 * options.
 */
enum { OFFLINE_CANCELLED = 1, OFFLINE_LATE = 2, OFFLINE_PLAIN = 4 };
/* The fate of one of the pages between their isolation and their move. */
enum { MEANWHILE_NOTHING, MEANWHILE_PIN, MEANWHILE_DROP };

struct wire_call {
	u32 code, cpu;
	u32 irqs_off; /* called with interrupts off */
	u32 own;      /* call the kernel's own function: alloc_pages, not mem_alloc_pages */
	s64 a, b, c, d;
	u32 pfns[WIRE_PFNS];
};
struct wire_result {
	s64 r, pfn, why, moved;
	u32 irqs_off;       /* after the call */
	u16 dirty;          /* pages that GFP_ZERO has not zeroed */
	u16 rounds;         /* of drains, made by an offline */
	u64 at[NR_HANDLES]; /* the pfn behind each handle, or -1 */
	u32 pfns[WIRE_PFNS];
};

/*
 * Build the memory of @shape in the arena, which is all zeroes.  Returns 0, or the step that
 * failed.  The judge calls it with the reference's code, for the fields that never change; the
 * student's process with the student's code.
 */
int arena_build(const struct wire_shape *shape);
/* Map the arena, all zeroes, at its address in this process; clear it again. */
void arena_map(void);
void arena_clear(void);
/* Let each page of this memory, which has bytes, hold what GFP_ZERO must zero. */
void wire_use_all(void);
/* The memory that a shape asks for. */
static inline struct memory *shape_memory(const struct wire_shape *shape)
{
	return shape->kernel ? &kernel_memory : &ARENA->mem;
}
/* Every process calls this first, with the number of CPUs. */
void arena_machine(unsigned cpus);
/* Make the call @c in the arena's memory; *@r: its result.  BUILD clears the arena first. */
void wire_run(const struct wire_call *c, struct wire_result *r);

#endif
