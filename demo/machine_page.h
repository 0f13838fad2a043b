/* SPDX-License-Identifier: MIT */
/* machine_page.h: one page about this machine, for a person who reports how Quarry ran on it. */
#ifndef DEMO_MACHINE_PAGE_H
#define DEMO_MACHINE_PAGE_H

#include <quarry/types.h>

/*
 * Keep those lines of the log so far that are not part of every boot: they say what was left out,
 * and why.  Called once, after all devices have been found and before the selftests.
 */
void machine_page_keep(void);
/* Print the page: at most 24 lines of 79 columns.  One caller at a time. */
void machine_page(void);

/* Is @line, of the boot, one that not every boot has? */
bool machine_page_remark(const char *line);

#endif
