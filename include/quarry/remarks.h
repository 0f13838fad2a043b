/* SPDX-License-Identifier: MIT */
/* remarks.h: the lines of the boot that say what was left out, or is unusual (kernel/remarks.c). */
#ifndef QUARRY_REMARKS_H
#define QUARRY_REMARKS_H

#include <quarry/types.h>

/*
 * Keep those lines of the log so far that are not part of every boot.  Called once, on the boot
 * CPU, after all devices have been found and before the selftests.
 */
void remarks_keep(void);
/* Remark @i, of at most 77 characters; NULL: there are fewer, or it was not kept. */
const char *remark(unsigned i);
/* All remarks, also those that were not kept. */
unsigned remarks_total(void);

/* Is @line, of the boot, one that not every boot has? */
bool is_remark(const char *line);

#endif
