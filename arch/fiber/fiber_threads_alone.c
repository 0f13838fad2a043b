/* SPDX-License-Identifier: MIT */
/*
 * fiber_threads_alone.c: a replacement of mm/vm/slab.c for programs that explore the kernel's
 * threads: it counts small objects.
 *
 * Owns: the count of allocations.
 */
#include "fiber_stores.h"
#include "fiber_threads.h"
#include <quarry/account.h>
#include <quarry/mm.h>
#include <malloc.h>
#include <stdlib.h>

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

void kfree(void *ptr)
{
	threads_count(ptr ? -1 : 0);
	stores_drain(); /* another CPU may get this memory next */
	/* Overwrite the memory, so that a use after free shows. */
	if (ptr)
		memset(ptr, 0xdd, malloc_usable_size(ptr));
	free(ptr);
}

/* Counts by size are not kept here. */
void kmalloc_counts(u64 in_use[NR_SLAB_COUNTS])
{
	memset(in_use, 0, NR_SLAB_COUNTS * sizeof(*in_use));
}
