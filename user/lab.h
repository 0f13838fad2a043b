/* SPDX-License-Identifier: MIT */
/*
 * lab.h: LAB_TODO() for functions of a program that are still to be written, as
 * include/quarry/lab.h for the kernel.
 */
#ifndef USER_LAB_H
#define USER_LAB_H

#include "quarry.h"

/*
 * Functions and variables that the emptied bodies used may be unused until the bodies are written.
 */
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-variable"

#define LAB_TODO()                                                                                 \
	do {                                                                                       \
		static bool told_;                                                                 \
		if (!told_)                                                                        \
			printf("# lab: %s is not written yet\n", __func__);                        \
		told_ = true;                                                                      \
	} while (0)

#endif
