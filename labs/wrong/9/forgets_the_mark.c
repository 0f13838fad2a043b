/* SPDX-License-Identifier: MIT */
/*
 * title: a page in use is reported, and not marked: its free gives it back
 * layer: model
 * file: mm/poison/poison_judge.c
 */

static enum poison_verdict judge_stays(struct poison_request *r, int *err)
{
	return settled(r, r->hard ? POISON_IGNORED : POISON_FAILED, -EBUSY, err);
}
