/* SPDX-License-Identifier: MIT */
/*
 * title: a page is reported as clean, and what was written to it is not taken back
 * layer: kernel
 * file: user/pager.c
 */

static u64 clean(u64 page)
{
	__atomic_fetch_add(&taken_back, 1, __ATOMIC_RELAXED);
	return ABI_PAGER_DONE;
}
