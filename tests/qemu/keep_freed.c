/* SPDX-License-Identifier: MIT */
/*
 * keep_freed.c: loaded into QEMU (LD_PRELOAD), so that what it frees stays as it is, but for the
 * smallest blocks.
 *
 * QEMU 7.2 without KVM goes on writing to what belonged to a CPU that was taken out, whenever its
 * memory map changes.  In a block that nobody else is given, that harms nobody.
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
