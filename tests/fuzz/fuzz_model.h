/* SPDX-License-Identifier: MIT */
/*
 * fuzz_model.h: the expected state of the allocator, kept by simpler means: the owner of each page,
 * the pageblocks that are isolated or offline, and the number of each error.
 */
#ifndef QUARRY_TESTS_FUZZ_MODEL_H
#define QUARRY_TESTS_FUZZ_MODEL_H

#include "fuzz.h"
#include "mm/check/mm_priv.h"
#include <quarry/handle.h>

#define MODEL_START   PAGEBLOCK_PAGES /* pfn 0 is outside: its descriptors may not be touched */
#define MODEL_BLOCKS  96
#define MODEL_LIVE    128
#define MODEL_HANDLES 16

struct model_block {
	bool hole, reserved, isolated, offline;
};
struct model_live {
	struct page *page;
	pfn_t pfn;
	u8 order;
	u16 refs, pins; /* every pin is a reference too */
};
struct model {
	struct memory *mem;
	unsigned nr_blocks;
	struct model_block block[MODEL_BLOCKS];
	u16 owner[(MODEL_BLOCKS + 1) << PAGEBLOCK_ORDER]; /* by pfn: 0 none, else OWNER_... */
	struct model_live live[MODEL_LIVE];
	unsigned nr_live;
	struct handle_table table;
	struct handle handle[MODEL_HANDLES];
	u8 handle_order[MODEL_HANDLES], handle_pins[MODEL_HANDLES];
	pfn_t handle_pfn[MODEL_HANDLES]; /* PFN_NONE: the handle is free */
	unsigned depth[MAX_ZONES];
	unsigned long managed, managed_at_start, in_use;
	u64 bad_free, bad_order, unbalanced, offlined, offlined_blocks;
	u64 compacted; /* blocks that compactions had moved when the handles were last read */
};
#define OWNER_LIVE     0x1000u /* plus the index in live[] */
#define OWNER_HANDLE   0x2000u /* plus the handle */
#define OWNER_RESERVED 0x4000u

extern struct model m;

/* Build a fresh kernel_memory, whose geometry @shape and @more choose, and its model. */
void model_build(u8 shape, u8 more);

static inline unsigned block_index(pfn_t pfn)
{
	return (unsigned)((pfn - MODEL_START) >> PAGEBLOCK_ORDER);
}
static inline pfn_t block_pfn(unsigned index)
{
	return MODEL_START + ((pfn_t)index << PAGEBLOCK_ORDER);
}

/* True: the free blocks and the watermarks alone are enough for an allocation to succeed. */
bool model_must_succeed(gfp_t gfp, unsigned order);
/* Judge an allocated block, and add it to the model. */
void model_allocated(struct page *page, gfp_t gfp, unsigned order);
/* Forget a live block that has been freed. */
void model_freed(unsigned index);
/* Forget the places of the handles' pages, which move, and read them again. */
void model_resync(void);
/*
 * Call model_resync() if a compaction has moved pages since its last call; nothing else may move
 * them.
 */
void model_compacted(void);

/* The facts about a range that keep it from being isolated. */
struct model_range {
	bool bad; /* has parts of pageblocks, holes, or two zones */
	unsigned blocks, offline, isolated, reserved;
	unsigned live;      /* unmovable blocks */
	unsigned unmovable; /* blocks of @live in pageblocks that are not movable */
	unsigned handles, pinned;
};
struct model_range model_look(pfn_t start, unsigned long nr);
/* The bits of all pageblocks must be as in the model. */
void model_check_blocks(const char *after);
/* Check counts, caches, owners, and the whole memory (check_memory). */
void model_check(void);

/* Calls on ranges and movable pages (fuzz_range.c); each takes its operands from @b. */
void op_isolate(struct bytes *b);
void op_undo(struct bytes *b, bool undo); /* @undo false: only check */
void op_offline(struct bytes *b);
void op_online(struct bytes *b);
void op_migrate(struct bytes *b);

#endif
