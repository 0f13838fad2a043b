/* SPDX-License-Identifier: MIT */
/*
 * oom.h: who dies when there is no memory left, and nothing to reclaim.
 *
 * mm/ decides when; who, and how, is the business of who knows tasks.  docs/mm/reclaim.md.
 */
#ifndef QUARRY_OOM_H
#define QUARRY_OOM_H

#include <quarry/mm.h>

/*
 * memory_set_oom - @kill chooses a victim, prints the table that it chose from, and tells the victim to
 * go: its threads get mm_task.reserve, so that they need not wait for the memory they need to do so.
 * Returns true if somebody is going, false if there is nobody to choose, and the allocation fails; or if
 * memory_oom_outdated(): then the allocation begins anew.
 * Called in a thread that allocates (order @order, flags @gfp), which may be the victim's, one at a time
 * for each memory: it may sleep, but not allocate, nor make a cross-call.  NULL: nobody is ever killed.
 */
void memory_set_oom(struct memory *mem,
    bool (*kill)(struct memory *mem, gfp_t gfp, unsigned order, void *arg), void *arg);
/*
 * The victim has gone and its memory is back: who waits for that looks again, and another one may be
 * chosen.  Any context.
 */
void memory_oom_gone(struct memory *mem);
/*
 * One that @kill could choose has given its memory back, whatever made it go.  Called before @kill cannot find it any
 * more.  Any context.
 */
void memory_oom_left(struct memory *mem);
/*
 * For @kill, once it knows whom it can choose from: has one left since the request last looked for memory?  Then that
 * memory may do, and nobody shall die for want of it.  False if nobody in mm/ has asked.
 */
bool memory_oom_outdated(struct memory *mem);

#endif
