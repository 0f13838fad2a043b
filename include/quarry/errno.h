/* SPDX-License-Identifier: MIT */
/* errno.h: error numbers, the host's own list (linux-libc-dev); functions return them negated. */
#ifndef QUARRY_ERRNO_H
#define QUARRY_ERRNO_H

#include <asm-generic/errno.h>

#endif
