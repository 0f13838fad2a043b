/* SPDX-License-Identifier: MIT */
/* paged.h: the interface between paged.c and its pager. */
#ifndef USER_PAGED_H
#define USER_PAGED_H

#include "quarry.h"

/* How pager.c behaves. */
enum paged_manner {
	PAGED_GOOD,
	PAGED_ODD_FAIL, /* refuses odd pages */
	PAGED_LIES,     /* reports pages as supplied, but supplies none */
	PAGED_SILENT,   /* does not answer */
	PAGED_DIES,     /* exits at the first request */
	NR_PAGED,
};

/* The first word of page i, before it is written to. */
#define PAGED_WORD(i) (0x5061676500000000UL + (i))

#endif
