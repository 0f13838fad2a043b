/* SPDX-License-Identifier: MIT */
/*
 * trace_ring.h: the history of pages: a ring of 16-byte records for each CPU.
 *
 * Slow paths are always recorded, the fast paths only while tracing is on.  While it is off, a fast
 * path only tests a word of the memory.  Reports and panics print a page's history from the rings.
 */
#ifndef QUARRY_TRACE_RING_H
#define QUARRY_TRACE_RING_H

#include <quarry/types.h>

struct memory;
struct page;

#define TRACE_KINDS(X)                                                                             \
	X(alloc)    /* taken from a cache (only while tracing is on) */                            \
	X(free)     /* pushed into a cache (only while tracing is on) */                           \
	X(refill)   /* moved from the buddy allocator into a cache */                              \
	X(take)     /* taken from the buddy allocator for a caller */                              \
	X(give)     /* moved from a cache back to the buddy allocator */                           \
	X(direct)   /* freed to the buddy allocator */                                             \
	X(put)      /* last reference dropped */                                                   \
	X(isolate)  /* pageblock: isolate bit set */                                               \
	X(restore)  /* pageblock: isolate bit cleared by an undo */                                \
	X(offline)  /* pageblock: went offline */                                                  \
	X(online)   /* pageblock: came online */                                                   \
	X(movable)  /* made movable by its owner */                                                \
	X(lru_take) /* isolated by a migrator */                                                   \
	X(moved)    /* its content was moved */                                                    \
	X(dropped)  /* reclaimed: its pager has the content */                                     \
	X(retired)  /* broken: retired */                                                          \
	X(bad_free) /* the free was refused */

enum trace_kind {
#define TRACE_ENUM(name) TR_##name,
	TRACE_KINDS(TRACE_ENUM)
#undef TRACE_ENUM
	    NR_TRACE_KINDS,
};

struct trace_record {
	u64 time; /* arch_ticks */
	union {
		struct {
			u32 pfn; /* head of the block */
			u8 kind; /* enum trace_kind */
			u8 order;
			u16 blocks; /* number of blocks of @order side by side; 0: one */
		};
		u64 rest; /* pfn to blocks, as one number */
	};
};
BUILD_ASSERT(sizeof(struct trace_record) == 16);

#define TRACE_RECORDS 256 /* for each CPU; a power of two */
struct trace_ring {
	u64 next; /* records ever written; the newest is at (next - 1) % TRACE_RECORDS */
	struct trace_record rec[TRACE_RECORDS];
};

struct trace_hit {
	struct trace_record rec;
	unsigned cpu;
};

/*
 * Record an event of a block of 2^order pages, or of a range of @nr pages, on this CPU.  Any
 * context.
 */
void trace_page(struct memory *mem, enum trace_kind kind, pfn_t pfn, unsigned order);
/*
 * trace_page for @nr blocks, whose orders are in their words; blocks side by side share a record.
 */
void trace_pages(struct memory *mem, enum trace_kind kind, struct page **pages, unsigned nr);
void trace_range(struct memory *mem, enum trace_kind kind, pfn_t pfn, unsigned long nr);
/* trace_page for @nr blocks, all of @order. */
void trace_blocks(
    struct memory *mem, enum trace_kind kind, struct page **pages, unsigned nr, unsigned order);
/* Write record number @next of @ring, which is not counted yet. */
static always_inline void trace_put(struct trace_ring *ring, u64 next, u64 now,
    enum trace_kind kind, pfn_t pfn, unsigned order, u16 blocks)
{
	struct trace_record *rec = &ring->rec[next % TRACE_RECORDS];

	/* pfn, kind, order and blocks in one store, from the low end on. */
	WRITE_ONCE(rec->time, now);
	WRITE_ONCE(rec->rest, (u32)pfn | (u64)kind << 32 | (u64)order << 40 | (u64)blocks << 48);
}
/* Add a record to @ring, which is this CPU's; irqs off. */
static always_inline void trace_store(
    struct trace_ring *ring, enum trace_kind kind, pfn_t pfn, unsigned order, u16 blocks)
{
	u64 next = ring->next;

	trace_put(ring, next, arch_ticks(), kind, pfn, order, blocks);
	store_release(&ring->next, next + 1);
}
/* This CPU's ring of @mem, or NULL: the CPU is not one of @mem's, or has no ring yet.  irqs off. */
struct trace_ring *trace_ring_own(const struct memory *mem);
/*
 * @on: record the fast paths too; false: only slow paths.  Each CPU notices at its next allocation
 * or free.
 */
void trace_switch(struct memory *mem, bool on);
/* Are the fast paths recorded?  Any context. */
bool trace_is_on(const struct memory *mem);
/*
 * Print the last records, oldest first, that concern the block that @pfn lies in; PFN_NONE: of all
 * pages.  Any context.
 */
void trace_history(const struct memory *mem, pfn_t pfn);
/*
 * Copy the last @max records that concern @pfn (PFN_NONE: all records) into out[], oldest first;
 * returns their number.
 */
unsigned trace_find(const struct memory *mem, pfn_t pfn, struct trace_hit *out, unsigned max);
const char *trace_kind_name(enum trace_kind kind);

#endif
