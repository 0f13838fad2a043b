/* SPDX-License-Identifier: MIT */
/*
 * lab.h: a function that is still to be written, in the tree of a lab (tools/skeleton.py).
 *
 * An emptied body says so on the console when it is first called, and returns a neutral value.
 * Tests do not wait long any more then.
 */
#ifndef QUARRY_LAB_H
#define QUARRY_LAB_H

#include <quarry/port.h>

/* Functions that the emptied bodies called are given, and unused until these are written. */
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-variable"
#pragma GCC diagnostic ignored "-Wunused-const-variable"

/* Has an emptied body been called?  Where no tests are linked, nothing has it. */
extern bool lab_unwritten __attribute__((weak));

#define LAB_TODO()                                                                                 \
	do {                                                                                       \
		static u32 told_;                                                                  \
		if (!told_) {                                                                      \
			told_ = 1;                                                                 \
			if (&lab_unwritten)                                                        \
				lab_unwritten = true;                                              \
			printk("# lab: %s is not written yet\n", __func__);                        \
		}                                                                                  \
	} while (0)

#endif
