/* SPDX-License-Identifier: MIT */
/* sound_help.c: see sound_help.h. */
#include "tests/lib/sound_help.h"
#include "mm/check/check.h"
#include <quarry/port.h>

static void judge(struct ktest *t, int err, const struct mm_violation *v)
{
	if (err)
		ktest_fail(t, __FILE__, __LINE__, "check_memory: %d %s: pfn %#lx have %ld want %ld",
		    err, v->what ? v->what : "?", v->pfn, (long)v->have, (long)v->want);
}

void expect_sound(struct ktest *t, struct memory *mem)
{
	struct mm_violation v = {.what = NULL};
	int err = check_memory(mem, &v);

	judge(t, err, &v);
}

void expect_sound_unshared(struct ktest *t, struct memory *mem) NO_LOCK_ANALYSIS
{
	struct mm_violation v = {.what = NULL};
	irqflags_t flags = arch_irq_save();

	if (check_zones(mem, false, &v))
		check_vm(mem, &v);
	arch_irq_restore(flags);
	judge(t, v.what ? -EUCLEAN : 0, &v);
}
