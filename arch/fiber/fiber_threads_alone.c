/* SPDX-License-Identifier: MIT */
/*
 * fiber_threads_alone.c: a replacement of mm/vm/slab.c for programs that explore the kernel's
 * threads: it counts small objects, and notices that one is used after its end.
 *
 * Owns: the count of allocations; freed[], the last objects that were freed.
 */
#include "fiber_stores.h"
#include "fiber_threads.h"
#include <quarry/account.h>
#include <quarry/mm.h>
#include <malloc.h>
#include <stdlib.h>

#define FREED 0xdd /* each byte of a freed object */

/* An object stays here until its place is needed, or a run ends.  A sanitizer keeps its own. */
#if defined(__SANITIZE_ADDRESS__)
static u8 *freed[1];
#else
static u8 *freed[64];
#endif
static long allocated;
unsigned threads_fail_at;

void threads_count(long nr)
{
	allocated += nr;
}

long threads_allocated(void)
{
	return allocated;
}

void *kmalloc(size_t size)
{
	if (threads_fail_at && !--threads_fail_at)
		return NULL;
	threads_count(1);
	return calloc(1, size);
}

/* The host may use the memory again; nobody must have written to it since kfree. */
static void let_go(u8 **object)
{
	size_t i, size = malloc_usable_size(*object);

	for (i = 0; i < size; i++)
		if ((*object)[i] != FREED)
			panic("byte %zu of %zu was changed after the free", i, size);
	free(*object);
	*object = NULL;
}

void kfree(void *ptr)
{
	static unsigned next;

	stores_drain(); /* another CPU may get this memory next */
	if (!ptr)
		return;
	threads_count(-1);
	/* Overwrite the memory, so that a use after free shows. */
	memset(ptr, FREED, malloc_usable_size(ptr));
	let_go(&freed[next]);
	freed[next] = ptr;
	next = (next + 1) % ARRAY_SIZE(freed);
}

void threads_let_go(void)
{
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(freed); i++)
		let_go(&freed[i]);
}

/* Counts by size are not kept here. */
void kmalloc_counts(u64 in_use[NR_SLAB_COUNTS])
{
	memset(in_use, 0, NR_SLAB_COUNTS * sizeof(*in_use));
}
