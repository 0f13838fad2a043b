/* SPDX-License-Identifier: MIT */
/*
 * kernel_end.c: the suite lab_end, which runs last: once it has begun, all tests before it have
 * ended (kernel_begin.c).
 *
 * Owns:       nothing.
 * Locks:      none.
 * Invariants: none.
 * Tests:      tests/qemu/test_grade_kernel.py.
 */
#include <quarry/ktest.h>

KTEST_SUITE(lab_end, KTEST_EXTRA);

KTEST(end)
{
}
