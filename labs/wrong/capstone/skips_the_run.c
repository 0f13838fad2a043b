/* SPDX-License-Identifier: MIT */
/*
 * title: after a run that failed the search continues behind all of it
 * layer: contract
 * file: mm/hotplug/cma.c
 */

static unsigned long behind(
    const struct cma *cma, unsigned long at, unsigned long nr, const struct mm_fail *fail)
{
	return at + nr;
}
