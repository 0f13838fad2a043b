/* SPDX-License-Identifier: MIT */
/* cma_area.h: the kernel's own area of contiguous memory. */
#ifndef KERNEL_CMA_AREA_H
#define KERNEL_CMA_AREA_H

#include <quarry/contig.h>

#define CMA_AREA_MAX_MIB (16ULL << 20)

/*
 * Make the area given by cma= on the command line.  Context: the boot thread, after the caches are
 * on.
 */
void cma_area_boot(void);
/*
 * Make an area of @mib MiB, rounded up to pageblocks.  0; -EEXIST: there is an area already;
 * -ENOMEM: more than CMA_AREA_MAX_MIB; else as cma_create_anywhere.  Context: thread.
 */
int cma_area_make(u64 mib) must_check;
/* Destroy the area.  0; -ENOENT: there is none; else as cma_destroy. */
int cma_area_end(void) must_check;
/* The area; NULL: there is none. */
struct cma *cma_area(void);
/* Print the state of the area's pages. */
void cma_area_show(void);

#endif
