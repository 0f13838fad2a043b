/* SPDX-License-Identifier: MIT */
/*
 * trace.h: recorded allocation traces: parsing, replay, report.  docs/bench.md has the format.
 *
 * The parser and the replay get their memory from the caller and also run hosted; the functions of
 * demo/trace_boot.c, at the end, work on the kernel's own memory and exist only in the kernel.
 */
#ifndef QUARRY_TRACE_H
#define QUARRY_TRACE_H

#include <quarry/mm.h>

/* Limits, so that a malformed header cannot cost memory; recorded traces are far below them. */
#define TRACE_MAX_IDS  (1u << 24)
#define TRACE_MAX_CPUS 4096u
#define TRACE_MAX_LINE 128u /* bytes, the newline not counted */

/*
 * A zeroed array of 16-byte items, in blocks of the kernel's own memory that are allocated when
 * needed.
 */
struct trace_array {
	void **chunk; /* NULL: not allocated yet */
	unsigned nr_chunks;
};
#define TRACE_ITEM_SIZE   16
#define TRACE_CHUNK_ORDER (MAX_ORDER < 4 ? MAX_ORDER : 4)
#define TRACE_CHUNK_ITEMS ((PAGE_SIZE << TRACE_CHUNK_ORDER) / TRACE_ITEM_SIZE)

/*
 * An event, the one with number @seq of its id.  Even numbers are allocations, odd ones are frees.
 */
struct trace_event {
	u32 id;
	u32 seq;
	u32 next; /* for the replay: index of the next event of the same CPU */
	u16 cpu;
	u8 order; /* of an allocation */
	u8 gfp;   /* of an allocation: GFP_UNMOVABLE, GFP_MOVABLE or GFP_RECLAIMABLE */
};
struct trace_id {
	struct page *page; /* owned by the CPU of the id's next event; NULL: not live */
	u32 done;          /* atomic: events of this id that are done */
	u16 waiting;       /* atomic: threads asleep until done changes */
	u16 order;
};
BUILD_ASSERT(sizeof(struct trace_event) == TRACE_ITEM_SIZE);
BUILD_ASSERT(sizeof(struct trace_id) == TRACE_ITEM_SIZE);

/* A parsed trace; constant except the replay's fields, so only one replay at a time. */
struct trace {
	const char *name; /* the caller's */
	u32 nr_events, nr_allocs, nr_frees, nr_ids, nr_cpus;
	u64 peak_pages; /* most pages live at once, in the order of the file */
	struct trace_array events, ids;
};

struct trace_error {
	u32 line; /* number of the line, from 1 */
	char reason[100];
};

struct trace_report {
	unsigned cpus;     /* number of CPUs that ran events */
	u64 events;        /* events of the trace; all were run or skipped */
	u64 allocs, frees; /* successful operations */
	u64 failed;        /* allocations that failed */
	u64 skipped;       /* frees of these failed allocations */
	u64 live;          /* blocks live at the end: allocs - frees */
	u64 live_pages;
	u64 peak_pages; /* most pages live at once */
	u64 waits;      /* events that waited for another CPU's event */
	u64 ticks;      /* clock ticks inside the allocator, summed over the CPUs */
	/* trace_replay only: per event, the part of ticks that reading the clock took */
	u64 reading;
	u64 elapsed_ns;
	u64 slow_allocs, slow_frees; /* operations not served by the caches */
	unsigned hits; /* share served by the caches; this and the shares below in 1/1000 */
	unsigned fragmented_before, fragmented; /* share of free memory outside the largest order */
	u64 wrong; /* blocks refused by free_pages or handed out twice: must be 0 */
};

/* The clock of a replay: any that does not go back, and the name of its unit. */
struct trace_clock {
	u64 (*read)(void);
	const char *unit;
};
extern const struct trace_clock trace_clock_ns;

/*
 * trace_parse - check all of @text (@len bytes) and turn it into @trace.
 * @name is kept by @trace and printed before each error, as NAME:LINE: reason.  @error may be NULL.
 * Returns 0; -EINVAL malformed, -ENOMEM: then *@error is filled and nothing is left to free.
 * Context: thread, may sleep.  Locks: slab, zone.
 */
int trace_parse(struct trace *trace, const char *name, const char *text, size_t len,
    struct trace_error *error) must_check;
void trace_free(struct trace *trace);

/*
 * trace_run - replay @trace on the first @cpus CPUs, with pages of @mem; events of CPU c run on CPU
 * c mod @cpus.  At the end, free the blocks that are still live.
 * Returns 0, even if allocations failed; -EUCLEAN if the counts do not add up or report->wrong;
 * -EINVAL no CPU, or a CPU that is offline or not @mem's; -ENOMEM (then nothing was run).
 * Context: thread on a CPU of @mem's, may sleep.  Locks: those of alloc_pages and drain_all_pages.
 */
int trace_run(struct trace *trace, struct memory *mem, unsigned cpus,
    const struct trace_clock *clock, struct trace_report *report) must_check;
/* Print @report; docs/bench.md explains the lines.  Any context. */
void trace_print_report(
    const struct trace *trace, const struct trace_clock *clock, const struct trace_report *report);

/* The item @index, whose chunk is allocated if necessary.  NULL: no memory.  As trace_parse. */
void *trace_array_make(struct trace_array *array, u32 index);

static inline void *trace_array_at(const struct trace_array *array, u32 index)
{
	return (char *)array->chunk[index / TRACE_CHUNK_ITEMS] +
	    index % TRACE_CHUNK_ITEMS * TRACE_ITEM_SIZE;
}
static inline struct trace_event *trace_event_at(const struct trace *trace, u32 index)
{
	return trace_array_at(&trace->events, index);
}
/* Valid only for ids that the trace uses. */
static inline struct trace_id *trace_id_at(const struct trace *trace, u32 id)
{
	return trace_array_at(&trace->ids, id);
}

/* A trace of over a thousand events in the kernel (demo/trace_short.c); not NUL-terminated. */
extern const char trace_short[], trace_short_end[];

/* ---- the kernel's own memory (demo/trace_boot.c) ---- */

/*
 * trace_replay - parse @text, run the trace on all online CPUs, free everything, print the report.
 * Returns 0, or as trace_parse and trace_run; errors have been printed.  @out may be NULL.
 * Context: thread, may sleep.
 */
int trace_replay(const char *name, const char *text, size_t len, struct trace_report *out);
/*
 * trace_replay_boot - trace_replay for a trace named at boot: the module of trace=NAME, or the only
 * module, which may have no name; without both, the short trace of the kernel.
 * Returns as trace_replay; -ENOENT (printed): trace=NAME without such a module.  *@out gets the
 * report, unless it is NULL.
 */
int trace_replay_boot(struct trace_report *out);

#endif
