/* SPDX-License-Identifier: MIT */
/* lab.h: a function of a program that is still to be written, as include/quarry/lab.h. */
#ifndef USER_LAB_H
#define USER_LAB_H

#include "quarry.h"

/* What the emptied bodies used is given, and may be unused until they are written. */
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
