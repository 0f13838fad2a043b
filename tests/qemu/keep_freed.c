/* SPDX-License-Identifier: MIT */
/*
 * keep_freed.c: loaded into QEMU (LD_PRELOAD), so that memory that QEMU frees is not used again,
 * except for the smallest blocks.
 *
 * QEMU 7.2 without KVM goes on writing to freed memory of an unplugged CPU, whenever the memory
 * map changes. This is harmless if that memory is never allocated again.
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
