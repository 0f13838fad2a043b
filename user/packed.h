/* SPDX-License-Identifier: MIT */
/*
 * packed.h: pages that can be stored as one number: over.c writes them, packer.c keeps them.
 *
 * Each word of a page is computed from the page's index and its version, which is in the first
 * word.  So a store keeps only the version, and every word can be verified.  Version 0 is a page
 * that was never written.
 */
#ifndef USER_PACKED_H
#define USER_PACKED_H

#include "quarry.h"

#define PACKED_WORDS (ABI_PAGE_SIZE / 8)

static inline u64 packed_word(u64 index, u32 version, u64 i)
{
	return i ? (index << 32 | version) * 0x9e3779b97f4a7c15UL + i * 0x2545f4914f6cdd1dUL
	         : index << 32 | version;
}

static inline void packed_write(volatile u64 *page, u64 index, u32 version)
{
	u64 i;

	for (i = 0; i < PACKED_WORDS; i++)
		page[i] = packed_word(index, version, i);
}

/* The index of the first wrong word, or PACKED_WORDS. */
static inline u64 packed_check(const volatile u64 *page, u64 index, u32 version)
{
	u64 i;

	for (i = 0; i < PACKED_WORDS && page[i] == packed_word(index, version, i); i++)
		;
	return i;
}

#endif
