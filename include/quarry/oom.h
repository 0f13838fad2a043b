/* SPDX-License-Identifier: MIT */
/*
 * oom.h: the OOM killer: choosing a victim when no memory is left, and none can be reclaimed.
 *
 * mm/ decides when a task is ended; the code that has the tasks chooses the task, and ends it.
 * docs/mm/reclaim.md.
 */
#ifndef QUARRY_OOM_H
#define QUARRY_OOM_H

#include <quarry/mm.h>

/*
 * memory_set_oom - install the OOM killer @kill.  It chooses a victim, prints the table that it
 * chose from, and ends the victim: its threads get mm_task.reserve, so that they need not wait for
 * memory to exit.  During the call mem->oom.going is the victim's number.  @kill returns true if a
 * victim is exiting. It returns false if there is none to choose: the allocation fails, or starts
 * over if memory_oom_outdated(). It is called in a thread that allocates (order @order, flags
 * @gfp), which may be the victim's, one call at a time for each memory.  It may sleep, but not
 * allocate, nor make a cross-call.  NULL: no task is ever killed.
 */
void memory_set_oom(struct memory *mem,
    bool (*kill)(struct memory *mem, gfp_t gfp, unsigned order, void *arg), void *arg);
/*
 * memory_set_boost - for a scheduler with groups of threads: each allocation that needs a decision
 * waits for the thread that makes it, so this thread should not wait for the other threads of its
 * task.  boost(true) is called in a thread that needs a decision, boost(false) in the same thread
 * when it has been made or is not needed.  Context of the calls: thread, may sleep.  Set it before
 * there are tasks.
 */
void memory_set_boost(struct memory *mem, void (*boost)(bool on));
/*
 * The victim with the number @victim has released everything: threads that waited for it try again,
 * and another victim may be chosen.  If mm/ had stopped waiting for it, its memory is free too, but
 * a later victim still counts as exiting.  Any context.
 */
void memory_oom_gone(struct memory *mem, u32 victim);
/*
 * A task that @kill could choose has released its memory, for any reason.  Called while @kill can
 * still find the task.  Any context.
 */
void memory_oom_left(struct memory *mem);
/*
 * For @kill, when it has its table: has a task released its memory since the request last searched?
 * Then that memory may be enough, and @kill ends no task.  False if mm/ has no request under way.
 */
bool memory_oom_outdated(struct memory *mem);
/*
 * For @kill: the number of pages of objects in zones below MOVABLE that reclaim could move to
 * MOVABLE if pages were free there.  A hint: the count may change.  Any context.
 */
unsigned long memory_can_move_up(struct memory *mem);

#endif
