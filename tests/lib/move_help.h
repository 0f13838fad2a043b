/* SPDX-License-Identifier: MIT */
/* move_help.h: for suites that take pageblocks out of service in the kernel's own memory. */
#ifndef QUARRY_TESTS_MOVE_HELP_H
#define QUARRY_TESTS_MOVE_HELP_H

#include "tests/lib/mm_help.h"
#include <quarry/vm.h>

/* Take all pages of those: so that what is moved does not come to lie there, and stays too. */
void hoard_pages(struct ktest *t);

void release_pages(struct ktest *t);

/* The frame that page @index of @object lies in just now. */
pfn_t frame_of(struct vm_object *object, u32 index);

#endif
