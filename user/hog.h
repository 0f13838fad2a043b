/* SPDX-License-Identifier: MIT */
/* hog.h: what hog.c and who starts it have agreed on. */
#ifndef USER_HOG_H
#define USER_HOG_H

enum hog_kind {
	HOG_MAPPED,
	HOG_UNMAPPED, /* pages that are held by a handle only */
};

#endif
