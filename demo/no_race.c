/* SPDX-License-Identifier: MIT */
/* no_race.c: replaces tests/races/ in a kernel that is not a race build. */
#include <quarry/port.h>
#include <quarry/race.h>

bool race_boot(const char *names)
{
	printk("race: this kernel has no scheduling points: make kernel RACE=1 B=build/race\n");
	return false;
}

void race_step_by_keys(const char *name)
{
	printk("race: this kernel has no scheduling points: make race NAME=%s STEP=1\n", name);
}
