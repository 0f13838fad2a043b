/* SPDX-License-Identifier: MIT */
/* bench.h: measures the cost of the kernel's operations, in guest instructions under icount. */
#ifndef DEMO_BENCH_H
#define DEMO_BENCH_H

#include <quarry/isolation.h>
#include <quarry/machine.h>
#include <quarry/mm.h>

/*
 * Measure, and print one line "bench: NAME VALUE UNIT" for each figure.  Meaningful under icount
 * with shift 0, where the TSC counts instructions.  The option bench= names the groups to measure,
 * separated by commas; with `all`, or without a name, the groups marked `always` are measured.
 * False: something could not be measured; if a name is unknown, nothing is.
 */
bool bench_run(void);

/* Print one figure; or the quotient @total / @count, with up to four decimals. */
void bench_figure(const char *name, u64 value, const char *unit);
void bench_ratio(const char *name, u64 total, u64 count, const char *unit);
/* The next number of a xorshift generator.  From BENCH_SEED on, every run gets the same numbers. */
u64 bench_random(u64 *state);
#define BENCH_SEED 88172645463325252ULL

/*
 * Empty functions with the arguments of alloc_pages and free_pages, not inlined: they give the cost
 * of the loop alone.
 */
struct page *bench_no_page(gfp_t gfp, unsigned order);
int bench_no_free(struct page *page, unsigned order);

#define BENCH_RUNS  32
#define BENCH_PAIRS 64

/*
 * Run two statements, each BENCH_PAIRS times in a loop, and repeat this BENCH_RUNS times.  Print
 * the difference of the two least costs, per pair.  As macro arguments, the statements are compiled
 * as in any other code.
 */
#define BENCH_LEAST(best, statement)                                                               \
	do {                                                                                       \
		u64 began_ = arch_tsc(), took_;                                                    \
		unsigned pair_;                                                                    \
                                                                                                   \
		for (pair_ = 0; pair_ < BENCH_PAIRS; pair_++) {                                    \
			statement;                                                                 \
		}                                                                                  \
		took_ = arch_tsc() - began_;                                                       \
		(best) = MIN(best, took_);                                                         \
	} while (0)
#define BENCH_NET(name, statement, nothing)                                                        \
	do {                                                                                       \
		u64 best_ = ~0ULL, empty_ = ~0ULL;                                                 \
		unsigned run_;                                                                     \
                                                                                                   \
		for (run_ = 0; run_ < BENCH_RUNS; run_++) {                                        \
			BENCH_LEAST(empty_, nothing);                                              \
			BENCH_LEAST(best_, statement);                                             \
		}                                                                                  \
		bench_ratio((name), best_ - empty_, BENCH_PAIRS, "instructions");                  \
	} while (0)
#define BENCH_PAIR(name, order)                                                                    \
	BENCH_NET(name, (void)free_pages(alloc_pages(GFP_KERNEL, (order)), (order)),               \
	    (void)bench_no_free(bench_no_page(GFP_KERNEL, (order)), (order)))

/* ---- groups; false: the group could not be measured ---- */

/* bench_pairs.c */
bool bench_pairs(void);
bool bench_batches(void);
bool bench_largest(void);
bool bench_recorded(void);
/* bench_fill.c */
bool bench_fill(void);
bool bench_stranded(void);
bool bench_elsewhere(void);
/* Each CPU in turn fills its own caches.  False: no memory for a thread. */
bool bench_fill_caches(void);
/* Make a table of page numbers in a block that the caller frees; NULL: no memory. */
struct page *bench_table_make(void);
struct page *bench_page_at(u64 i);
void bench_table_set(u64 i, const struct page *page);
/*
 * Allocate every free page, and note each in the table; returns their number.  *@cost: the cost in
 * instructions.
 */
u64 bench_take_all(u64 *cost);
void bench_shuffle(u64 nr, u64 *state);
/* Free the first @nr pages of the table; returns the instructions, without the loop's. */
u64 bench_free_all(u64 nr);
/* bench_count.c */
/* From here on QEMU's plugin counts for row @row; @row 0 ends the count. */
void bench_mark(unsigned row);
unsigned bench_policy_row(enum iso_policy policy);
/* Print the names of the plugin's rows, and the addresses of the zones' locks. */
void bench_say_rows(void);
bool bench_counted(void);
bool bench_load(void);
bool bench_drain_full(void);
/* bench_wait.c */
bool bench_wait(void);
/* bench_range.c */
bool bench_drain(void);
bool bench_offline(void);
bool bench_fresh(void);
bool bench_soft_free(void);
/* bench_vm.c */
bool bench_migrate(void);
bool bench_contig(void);
bool bench_teardown(void);
bool bench_object(void);
/* bench_policy.c */
bool bench_policies(void);

/*
 * Make a space that maps an anonymous object of @pages pages at BENCH_AT, and touch all its pages.
 * The calling thread uses the space.
 */
struct bench_space {
	struct vm_object *object;
	struct vm_space *space;
};
#define BENCH_AT 0x10000000UL
bool bench_map(struct bench_space *made, unsigned long pages) must_check;
void bench_unmap(struct bench_space *made);
/*
 * The first range of @nr pages, at a multiple of @step, whose pages all belong to objects;
 * PFN_NONE: none.
 */
pfn_t bench_full_range(unsigned long nr, unsigned long step);

#endif
