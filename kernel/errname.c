/* SPDX-License-Identifier: MIT */
/*
 * errname.c: error numbers by name.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Invariants: each number that a function of this tree returns has its name here.
 * Tests:      errname, tests/qemu/test_prompt.py.
 */
#include <quarry/errname.h>
#include <quarry/errno.h>
#include <quarry/port.h>

#define NAMES(f)                                                                                   \
	f(EPERM) f(ENOENT) f(ESRCH) f(EMLINK) f(EINTR) f(EIO) f(ENXIO) f(E2BIG) f(ENOEXEC)         \
	    f(EBADF) f(EAGAIN) f(ENOMEM) f(EACCES) f(EFAULT) f(EBUSY) f(EEXIST) f(ENODEV)          \
	        f(EINVAL) f(EMFILE) f(EFBIG) f(ENOSPC) f(EPIPE) f(EDOM) f(ERANGE) f(EDEADLK)       \
	            f(ENAMETOOLONG) f(ENOSYS) f(ELOOP) f(ENOMSG) f(ENODATA) f(ETIME) f(EPROTO)     \
	                f(EBADMSG) f(EOVERFLOW) f(EMSGSIZE) f(EOPNOTSUPP) f(ENOBUFS) f(ETIMEDOUT)  \
	                    f(EALREADY) f(EINPROGRESS) f(EUCLEAN) f(EDQUOT) f(ECANCELED)           \
	                        f(EOWNERDEAD) f(EHWPOISON)

const char *errno_name(long err)
{
	static const char *const names[] = {
#define NAME(e) [e] = #e,
	    NAMES(NAME)
#undef NAME
	};
	unsigned long n = err < 0 ? 0UL - (unsigned long)err : (unsigned long)err;

	if (n == 0)
		return "none";
	return n < ARRAY_SIZE(names) && names[n] ? names[n] : "E?";
}
