/* SPDX-License-Identifier: MIT */
/*
 * fuzz_trace.c: demo/trace_parse.c. An accepted trace is counted again; a refused one leaves no
 * memory in use.
 */
#include "fuzz.h"
#include "tests/model/wire.h"
#include <quarry/string.h>
#include <quarry/trace.h>

/* One empty page of each size of small objects may stay behind; a lost table is far more. */
#define SLACK 9

static void recount(const struct trace *t)
{
	u32 i, allocs = 0, frees = 0;
	u64 live = 0, peak = 0;

	MUST(t->nr_events == t->nr_allocs + t->nr_frees, "%u events", t->nr_events);
	for (i = 0; i < t->nr_events; i++) {
		const struct trace_event *ev = trace_event_at(t, i);
		const struct trace_id *id;

		MUST(ev->id < t->nr_ids && ev->cpu < t->nr_cpus, "event %u: id %u cpu %u", i,
		    ev->id, ev->cpu);
		id = trace_id_at(t, ev->id);
		MUST(ev->order <= MAX_ORDER, "event %u: order %u", i, ev->order);
		MUST(ev->seq < id->done, "event %u: number %u of %u", i, ev->seq, id->done);
		if (ev->seq % 2 == 0) {
			MUST(ev->gfp <= GFP_RECLAIMABLE, "event %u: type %u", i, ev->gfp);
			allocs++;
			live += 1ULL << ev->order;
		} else {
			u32 j = i;

			while (trace_event_at(t, --j)->id != ev->id)
				;
			frees++;
			live -= 1ULL << trace_event_at(t, j)->order;
		}
		peak = MAX(peak, live);
	}
	MUST(allocs == t->nr_allocs && frees == t->nr_frees, "%u allocs, %u frees", allocs, frees);
	MUST(peak == t->peak_pages, "peak %llu", (unsigned long long)peak);
}

static void build(void)
{
	static const struct wire_shape shape = {
	    .zone = {{0, ZONE_NORMAL, 32}}, .nodes = 1, .cpus = 1, .kernel = true};

	arena_map();
	arena_machine(shape.cpus);
	if (arena_build(&shape))
		panic("fuzz: no memory");
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static unsigned long at_start;
	struct trace_error error = {0};
	struct trace t;

	if (!at_start) {
		build();
		at_start = memory_free_pages(&kernel_memory);
	}
	if (trace_parse(&t, "fuzz", (const char *)data, size, &error)) {
		MUST(error.line >= 1 && error.reason[0], "refused without a reason");
		MUST(strlen(error.reason) < sizeof(error.reason), "reason not ended");
	} else {
		recount(&t);
		trace_free(&t);
	}
	MUST(memory_free_pages(&kernel_memory) + SLACK >= at_start,
	    "%lu pages free, %lu at the start", memory_free_pages(&kernel_memory), at_start);
	return 0;
}
