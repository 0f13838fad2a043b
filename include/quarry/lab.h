/* SPDX-License-Identifier: MIT */
/*
 * lab.h: a function that is still to be written, in the tree of a lab (tools/grade/skeleton.py).
 *
 * When an emptied body is first called, it prints a line that says so, and returns a neutral value.
 * The line is a comment, for which no test fails.  From then on tests do not wait long.
 */
#ifndef QUARRY_LAB_H
#define QUARRY_LAB_H

#include <quarry/port.h>

/*
 * The functions that an emptied body called are still there, and unused until the body is written.
 */
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-variable"
#pragma GCC diagnostic ignored "-Wunused-const-variable"

/* Has an emptied body been called?  Not defined where no tests are linked. */
extern bool lab_unwritten __attribute__((weak));

#define LAB_TODO()                                                                                 \
	do {                                                                                       \
		static u32 told_;                                                                  \
		if (!told_) {                                                                      \
			told_ = 1;                                                                 \
			if (&lab_unwritten)                                                        \
				lab_unwritten = true;                                              \
			printk("  # lab: %s is not written yet\n", __func__);                      \
		}                                                                                  \
	} while (0)

#endif
