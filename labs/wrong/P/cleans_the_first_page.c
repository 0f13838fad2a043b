/* SPDX-License-Identifier: MIT */
/*
 * title: every page that is cleaned is written to the start of the store
 * layer: kernel
 * file: user/pager.c
 */

static u64 clean(u64 page)
{
	s64 err = pager_take_back(object, page, store);

	__atomic_fetch_add(err ? &failed : &taken_back, 1, __ATOMIC_RELAXED);
	return err ? ABI_PAGER_FAILED : ABI_PAGER_DONE;
}
