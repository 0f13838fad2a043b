/* SPDX-License-Identifier: MIT */
/*
 * layout.h: how much memory the machine of this port has.  Write: the ranges that your firmware
 * reports at run time.
 */
#ifndef PORT_LAYOUT_H
#define PORT_LAYOUT_H

#include <quarry/mm_types.h>

#define PORT_PAGES (16 * PAGEBLOCK_PAGES)

extern struct pageblock_tree port_trees[];

#endif
