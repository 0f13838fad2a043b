/* SPDX-License-Identifier: MIT */
/* memblock_help.c: see memblock_help.h. */
#include "tests/lib/memblock_help.h"

struct memblock *fresh_memblock(void)
{
	static struct memblock mb; /* too large for a stack */

	memset(&mb, 0, sizeof(mb));
	return &mb;
}
