/* SPDX-License-Identifier: MIT */
/*
 * title: a page that is flagged already is reported as taken once more
 * layer: model
 * file: mm/poison/poison_judge.c
 */

static enum poison_verdict judge_flagged(struct poison_request *r, enum page_state state, int *err)
{
	if (state == PG_HWPOISON)
		return settled(r, POISON_RECOVERED, 0, err);
	poison_doom(r->zone, r->head, r->pfn);
	return settled(r, r->hard ? POISON_DELAYED : POISON_FAILED, r->hard ? 0 : -EBUSY, err);
}
