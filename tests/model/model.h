/* SPDX-License-Identifier: MIT */
/*
 * model.h: the model that judges the results of calls: the owner of each page, the state of each
 * pageblock, the depth of each zone; and the memory in the arena.
 */
#ifndef QUARRY_MODEL_H
#define QUARRY_MODEL_H

#include "wire.h"
#include <setjmp.h>

#define NR_LIVE      2048
#define ARENA_PAGES  ((ARENA_BLOCKS + 1) * PAGEBLOCK_PAGES)
#define OWNER_LIVE   0x1000u /* + index in live[] */
#define OWNER_HANDLE 0x2000u /* + handle */
#define OWNER_KEPT   0x4000u /* reserved */
#define OWNER_BROKEN 0x8000u /* retired */

struct model_block {
	bool hole, reserved, lent, isolated, offline, reported;
	u8 zone;
};
struct model_live {
	u32 pfn;
	u8 order;
	u16 refs, pins; /* every pin is a reference too */
	gfp_t gfp;
};
struct model {
	/* the arena's memory, or the judge's copy of it, as after the last call */
	struct memory *mem;
	struct wire_shape shape;
	unsigned first, blocks; /* pageblocks [first, first + blocks) */
	struct model_block block[ARENA_BLOCKS + 1];
	u16 owner[ARENA_PAGES];
	bool doomed[ARENA_PAGES]; /* is the page broken, but in use? */
	unsigned nr_doomed, nr_retired;
	u64 at[NR_HANDLES]; /* pfn behind each handle; ~0: the handle is free */
	u8 handle_order[NR_HANDLES], handle_pins[NR_HANDLES];
	unsigned depth[MAX_ZONES];
	unsigned long managed, managed_at_start, in_use;
	s64 last_freed;
	s64 queried; /* result of the query of the next offline's range */
	unsigned nr_live;
	struct model_live live[NR_LIVE];
};
/* The memory as a call finds it, noted to judge its result; all but @must for allocations only. */
struct model_before {
	u32 word[ARENA_PAGES];
	u8 type[ARENA_BLOCKS + 1];  /* of each pageblock */
	u16 free[ARENA_BLOCKS + 1]; /* its number of free pages */
	bool must;                  /* the allocation must succeed */
	/* of each zone: zone_spare; all free pages, and those that are not lent */
	long spare[MAX_ZONES], free_in[MAX_ZONES], unlent[MAX_ZONES];
};
extern struct model_before before;
extern struct model m;

/* The broken expectation, in plain words; and its page, or -1. */
struct verdict {
	char text[400];
	s64 pfn;
};
extern struct verdict verdict;
extern jmp_buf verdict_given;
/* Report a broken expectation of the call that is judged; does not return. */
void broken(s64 pfn, const char *fmt, ...) __attribute__((format(printf, 2, 3), noreturn));
#define WANT_OF(cond, pfn, ...)                                                                    \
	do {                                                                                       \
		if (!(cond))                                                                       \
			broken((s64)(pfn), __VA_ARGS__);                                           \
	} while (0)
#define WANT(cond, ...) WANT_OF(cond, -1, __VA_ARGS__)

/* The grader, whose memories are neither, does not judge all that can be judged. */
static inline bool model_strict(void)
{
	return m.shape.bare || m.shape.kernel;
}
/* May a request with these flags wait, and other threads work meanwhile? */
static inline bool model_waits(gfp_t gfp)
{
	return m.shape.kernel && !(gfp & GFP_NOWAIT);
}

/* Begin the model of a memory of @shape, all free. */
void model_begin(const struct wire_shape *shape);
/* Is the pageblock wholly free, online, and all of it one free block? */
bool model_whole(unsigned block);
/* Before the call: note the state that is needed to judge it. */
void model_before(const struct wire_call *c);
/* After the call: judge its result, and update the model. */
void model_after(const struct wire_call *c, const struct wire_result *r);
/* Judge counts, caches and owners, and run check_memory over the view. */
void model_check(void);
/* At the end: judge whether all memory is free again. */
void model_end(void);

struct model_range {
	bool bad;
	bool beyond; /* outside the memory, or not whole pageblocks */
	unsigned blocks, offline, isolated, reserved;
	unsigned live;      /* live blocks */
	unsigned unmovable; /* live blocks outside movable pageblocks and zones */
	unsigned handles, pinned;
	s64 first; /* the first unmovable block */
};
struct model_range model_look(pfn_t start, unsigned long nr);

static inline unsigned block_index(pfn_t pfn)
{
	return (unsigned)(pfn >> PAGEBLOCK_ORDER);
}
static inline pfn_t block_pfn(unsigned index)
{
	return (pfn_t)index << PAGEBLOCK_ORDER;
}
static inline bool zone_there(unsigned id)
{
	return m.mem->zones[id].end_pfn > m.mem->zones[id].start_pfn;
}

/* A single page becomes a live block, even if it had an owner.  model_disown_page undoes that. */
void model_own_page(pfn_t pfn);
void model_disown_page(pfn_t pfn);
/* Is @pfn a live block of order 0, with one reference and no pin? */
bool model_plain_page(pfn_t pfn);
/* Before it: must a request succeed?  Some zone has a block, and is well above all watermarks. */
bool model_must_succeed(gfp_t gfp, unsigned order, unsigned cpu);
/*
 * A request was refused: judge whether no zone has a block that it may use, and so many pages above
 * its watermark, if model_strict().
 */
void judge_refusal(gfp_t gfp, unsigned order, unsigned cpu);
/* model_split.c: split_before notes the memory before an allocation. */
void split_before(void);
/* Judge the choice of the block at @pfn, the only block that the call has taken. */
void judge_split(pfn_t pfn, gfp_t gfp, unsigned order);
/* model_cache.c. */
void judge_cache(const struct wire_call *c, const struct wire_result *r);
/* stacks_before is called before each call, judge_stacks after the call. */
void stacks_before(const struct wire_call *c);
void judge_stacks(const struct wire_call *c, const struct wire_result *r);
/* model_count.c.  The call must count @nr events; the events of every call are judged. */
void model_counts(enum mm_event event, u64 nr);
void model_counts_alloc(gfp_t gfp, bool refused);
void counts_before(void);
void judge_counts(const struct wire_call *c);
/* model_record.c: the records of a call, if the shape is watched. */
void records_before(void);
void judge_records(const struct wire_call *c);
/* model_range.c: calls on ranges and movable pages. */
void judge_range(const struct wire_call *c, const struct wire_result *r);
void judge_handle(const struct wire_call *c, const struct wire_result *r);
void check_blocks(void);
/* Pages of handles have moved: replace their places by those in @at. */
void model_resync(const u64 *at);
/*
 * Choose a call that gives something back: caches on, ranges online and not isolated, blocks and
 * handles freed, pages repaired, and in the end all caches drained.  False: nothing is left.
 */
bool model_give_back(struct wire_call *c);

#endif
