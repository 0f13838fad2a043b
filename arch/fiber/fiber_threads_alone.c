/* SPDX-License-Identifier: MIT */
/*
 * fiber_threads_alone.c: what the kernel's threads on fibers have in place of mm/slab.c, where they are
 * explored: small objects that are counted.
 *
 * Owns: the count of what is allocated.
 */
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
	/* So that who still uses it is seen to. */
	if (ptr)
		memset(ptr, 0xdd, malloc_usable_size(ptr));
	free(ptr);
}

/* By size they are not counted here. */
void kmalloc_counts(u64 in_use[NR_SLAB_COUNTS])
{
	memset(in_use, 0, NR_SLAB_COUNTS * sizeof(*in_use));
}
