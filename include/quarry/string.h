/* SPDX-License-Identifier: MIT */
/*
 * string.h: string functions that mm/ does not need (port.h has the others); on a host they are
 * libc's.
 */
#ifndef QUARRY_STRING_H
#define QUARRY_STRING_H

#include <quarry/types.h>

int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strncmp(const char *a, const char *b, size_t n);

#endif
