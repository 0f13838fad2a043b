/* SPDX-License-Identifier: MIT */
/*
 * title: a page that stays in use is marked, although nothing is wrong with it yet
 * layer: model
 * file: mm/poison/poison_judge.c
 */

static enum poison_verdict judge_stays(struct poison_request *r, int *err)
{
	poison_doom(r->zone, r->head, r->pfn);
	return settled(r, r->hard ? POISON_IGNORED : POISON_FAILED, -EBUSY, err);
}
