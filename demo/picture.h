/* SPDX-License-Identifier: MIT */
/* picture.h: a live picture of the pageblocks, drawn by a thread on another CPU. */
#ifndef DEMO_PICTURE_H
#define DEMO_PICTURE_H

#include <quarry/mm.h>

struct picture;

/*
 * Start drawing the pageblocks of @mem around [start, start + nr), on @cpu, whenever they change.
 * @style: "plain" (a line for each change), "ansi" (in place, with colours) or "off".  NULL: no
 * thread.
 */
struct picture *picture_start(
    struct memory *mem, pfn_t start, unsigned long nr, const char *style, unsigned cpu);
/* Wait until the present state has been drawn. */
void picture_sync(struct picture *p);
void picture_stop(struct picture *p);
void picture_legend(const char *style);

#endif
