/* SPDX-License-Identifier: MIT */
/* hog.h: the interface between hog.c and programs that start it. */
#ifndef TESTS_HOG_H
#define TESTS_HOG_H

enum hog_kind {
	HOG_MAPPED,
	HOG_UNMAPPED, /* pages held by a handle only */
};

#endif
