/* SPDX-License-Identifier: MIT */
/* fuzz.h: shared by the fuzz targets; tests/fuzz/host_fuzz.c is the machine they run on. */
#ifndef QUARRY_TESTS_FUZZ_H
#define QUARRY_TESTS_FUZZ_H

#include <quarry/mm.h>

/* The trees of the pageblocks, as ARCH_PAGEBLOCKS has their descriptors (host_fuzz.c). */
extern struct pageblock_tree host_trees[];

/*
 * Run the target on one input; always returns 0. At a finding it panics, or a sanitizer stops it.
 */
int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
/* Set the state after a boot with @cpus CPUs: no threads, empty caches, nothing counted. */
void host_fuzz_reset(unsigned cpus);
/* Let the target run on @cpu from now on. */
void host_fuzz_cpu(unsigned cpu);
/* True: printk formats its arguments; false only for speed.  FUZZ_VERBOSE=1 prints the text. */
extern bool host_fuzz_log;

/* @cond must hold for every input; the text names the broken law. */
#define MUST(cond, ...)                                                                            \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			host_fuzz_log = true;                                                      \
			panic("oracle: " __VA_ARGS__);                                             \
		}                                                                                  \
	} while (0)

/* The next bytes of an input; they are 0 after its end. */
struct bytes {
	const u8 *at, *end;
};
static inline u8 take_u8(struct bytes *b)
{
	return b->at < b->end ? *b->at++ : 0;
}
static inline u16 take_u16(struct bytes *b)
{
	u16 low = take_u8(b);

	return (u16)(low | take_u8(b) << 8);
}

#endif
