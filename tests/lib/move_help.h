/* SPDX-License-Identifier: MIT */
/* move_help.h: for suites that offline pageblocks of the kernel's own memory. */
#ifndef QUARRY_TESTS_MOVE_HELP_H
#define QUARRY_TESTS_MOVE_HELP_H

#include "tests/lib/mm_help.h"
#include <quarry/vm.h>

/* Take all free pages of pageblocks that cannot go offline: migrated pages then go elsewhere. */
void hoard_pages(struct ktest *t);

void release_pages(struct ktest *t);
/* The frame that page @index of @object lies in just now. */
pfn_t frame_of(struct vm_object *object, u32 index);

#endif
