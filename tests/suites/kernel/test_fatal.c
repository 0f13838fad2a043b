/* SPDX-License-Identifier: MIT */
/* test_fatal.c: a test that ends in a panic, so that its report can be tested. */
#include <quarry/ktest.h>
#include <quarry/port.h>

KTEST_SUITE(fatal, KTEST_EXTRA);

KTEST(panics_as_it_should)
{
	printk("  # said before the panic\n");
	panic("as it should");
}
