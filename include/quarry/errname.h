/* SPDX-License-Identifier: MIT */
/* errname.h: error numbers by name, for what the console says. */
#ifndef QUARRY_ERRNAME_H
#define QUARRY_ERRNAME_H

/*
 * "EBUSY" for -EBUSY and for EBUSY; "none" for 0; "E?" for a number that no function returns.
 * Context: any.
 */
const char *errno_name(long err);

#endif
