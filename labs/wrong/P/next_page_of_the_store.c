/* SPDX-License-Identifier: MIT */
/*
 * title: a page is supplied from the place behind its own
 * layer: kernel
 * file: user/pager.c
 */

static u64 get(u64 page)
{
	s64 err;

	if (manner == PAGED_ODD_FAIL && page % 2)
		return ABI_PAGER_FAILED;
	if (manner == PAGED_LIES)
		return ABI_PAGER_DONE;
	if (manner == PAGED_DIES)
		exit(3);
	err = pager_supply(object, page, store + (page + 1) % pages * ABI_PAGE_SIZE);
	if (err == -ENOMEM)
		return ABI_PAGER_NO_MEMORY;
	return err && err != -EEXIST && err != -EAGAIN ? ABI_PAGER_FAILED : ABI_PAGER_DONE;
}
