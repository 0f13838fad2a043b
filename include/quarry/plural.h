/* SPDX-License-Identifier: MIT */
/* plural.h: the end of a noun that follows a number. */
#ifndef QUARRY_PLURAL_H
#define QUARRY_PLURAL_H

#include <quarry/types.h>

/* "" if @n is 1, else "s". */
static inline const char *plural(u64 n)
{
	return n == 1 ? "" : "s";
}

#endif
