/* SPDX-License-Identifier: MIT */
/* moment.c: see moment.h. */
#include "tests/host/moment.h"
#include <quarry/console.h>
#include <quarry/string.h>

struct moment moment;

static void pass(bool here)
{
	if (!here || ++moment.seen < moment.nth || (moment.acted && !moment.always) || !moment.act)
		return;
	moment.acted++;
	moment.act();
}

static void at_point(const char *name)
{
	pass(moment.point && !strcmp(name, moment.point));
}

static void at_spin(struct spinlock *lock, enum lock_step step)
{
	pass(lock == moment.lock && step == moment.step);
}

static void at_sleep(struct sleep_lock *lock, enum lock_step step)
{
	pass(lock == moment.lock && step == moment.step);
}

static void at_store(const void *to)
{
	pass(moment.store && to == moment.store);
}

const struct watch moment_watch = {
    .point = at_point, .spin = at_spin, .sleep = at_sleep, .store = at_store};

/* ---- panics ---- */

struct panicked panicked;

static void at_panic(const char *text)
{
	ksnprintf(panicked.text, sizeof(panicked.text), "%s", text);
	longjmp(panicked.end, 1);
}

static void note_held(struct spinlock *lock, enum lock_step step)
{
	if (step == LOCK_TAKEN || step == LOCK_LEAVING)
		panicked.held = step == LOCK_TAKEN ? lock : NULL;
}

const struct watch panic_watch = {.panic = at_panic, .spin = note_held};

bool panic_over(bool ended) NO_LOCK_ANALYSIS
{
	if (!ended && panicked.held)
		spin_unlock(panicked.held);
	port_task()->blamed = NULL;
	return ended;
}
