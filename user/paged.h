/* SPDX-License-Identifier: MIT */
/* paged.h: what paged.c and its pager have agreed on. */
#ifndef USER_PAGED_H
#define USER_PAGED_H

#include "quarry.h"

/* How pager.c behaves. */
enum paged_manner {
	PAGED_GOOD,
	PAGED_ODD_FAIL, /* there are no odd pages */
	PAGED_LIES,     /* says that it has supplied, and has not */
	PAGED_SILENT,   /* does not answer */
	PAGED_DIES,     /* when it is asked */
	NR_PAGED,
};

/* What page i begins with, before anybody has written to it. */
#define PAGED_WORD(i) (0x5061676500000000UL + (i))

#endif
