/* SPDX-License-Identifier: MIT */
/*
 * keep_freed.c: loaded into QEMU (LD_PRELOAD), so that the memory it frees keeps its content,
 * except for the smallest blocks.
 *
 * QEMU 7.2 without KVM goes on writing to the memory of a CPU that was unplugged, whenever its
 * memory map changes. This harms nothing if the block is never given out again.
 */
#define SMALL 64

unsigned long malloc_usable_size(void *p);
void __libc_free(void *p);
void free(void *p);

void free(void *p)
{
	if (malloc_usable_size(p) < SMALL)
		__libc_free(p);
}
