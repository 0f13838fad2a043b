/* SPDX-License-Identifier: MIT */
/* monitor.h: the prompt on the serial line. */
#ifndef DEMO_MONITOR_H
#define DEMO_MONITOR_H

#include <quarry/mm_types.h>
#include <quarry/types.h>

/* The number that @word says, in *@value; false: not a number, which was printed. */
bool monitor_number(const char *word, u64 *value);
/* The policy of that name likewise. */
bool monitor_policy(const char *word, enum iso_policy *policy);
/* Commands of monitor_offline.c, with their arguments.  Context of all: thread. */
void cmd_offline(unsigned n, char **arg);
void cmd_online(unsigned n, char **arg);
void cmd_add(unsigned n, char **arg);
void cmd_remove(unsigned n, char **arg);
void cmd_query(unsigned n, char **arg);
void cmd_evacuate(unsigned n, char **arg);
void cmd_compact(unsigned n, char **arg);
void cmd_busy(unsigned n, char **arg);
/* Commands of load.c. */
void cmd_load(unsigned n, char **arg);
void cmd_burst(unsigned n, char **arg);
/* Command of monitor_cma.c. */
void cmd_cma(unsigned n, char **arg);
/* Commands of monitor_poison.c. */
void cmd_poison(unsigned n, char **arg);
void cmd_soft(unsigned n, char **arg);
void cmd_unpoison(unsigned n, char **arg);

#endif
