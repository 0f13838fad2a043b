/* SPDX-License-Identifier: MIT */
/*
 * title: a soft report of a doomed page that its object has released is refused as delayed
 * layer: contract
 * file: mm/poison/poison_judge.c
 */

static enum poison_verdict judge_flagged(struct poison_request *r, enum page_state state, int *err)
{
	if (state == PG_HWPOISON)
		return settled(r, POISON_FAILED, r->hard ? -EHWPOISON : 0, err);
	if (r->hard && object_has(r, state))
		return TAKE;
	if (last_put_missing(r, state))
		return settled(r, POISON_DELAYED, -EHWPOISON, err);
	return settled(r, POISON_FAILED, r->hard ? -EHWPOISON : -EBUSY, err);
}
