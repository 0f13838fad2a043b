/* SPDX-License-Identifier: MIT */
/*
 * asm-generic/errno.h: the error numbers that mm/ and its headers name, for a port without a C
 * library.
 *
 * The values are Linux's; mm/ uses the names only.  Where the machine has an <asm-generic/errno.h>
 * of its own, that one is used: this directory is searched last (docs/porting.md).
 */
#ifndef QUARRY_ALONE_ERRNO_H
#define QUARRY_ALONE_ERRNO_H

#define ENOENT     2
#define EINTR      4
#define EIO        5
#define ENXIO      6
#define ENOEXEC    8
#define EBADF      9
#define EAGAIN     11
#define ENOMEM     12
#define EACCES     13
#define EFAULT     14
#define EBUSY      16
#define EEXIST     17
#define ENODEV     19
#define EINVAL     22
#define EMFILE     24
#define ENOSPC     28
#define EMLINK     31
#define EPIPE      32
#define ERANGE     34
#define EDEADLK    35
#define ETIME      62
#define EOVERFLOW  75
#define EOPNOTSUPP 95
#define ETIMEDOUT  110
#define EALREADY   114
#define EUCLEAN    117
#define EDQUOT     122
#define EHWPOISON  133

#endif
