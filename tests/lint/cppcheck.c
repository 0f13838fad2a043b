/* SPDX-License-Identifier: MIT */
/* cppcheck.c: what cppcheck must find (tools/lint/analyse.py).  Never linked. */
#include <quarry/types.h>

int plants(unsigned n);

static int outside(void)
{
	int array[2] = {0, 1};

	return array[2]; /* finds: arrayIndexOutOfBounds */
}

static int never_written(void)
{
	int value;

	return value; /* finds: uninitvar */
}

static int shifted(unsigned n)
{
	return 1 << 40; /* finds: shiftTooManyBits */
}

static int null_followed(void)
{
	int *p = NULL;

	return *p; /* finds: nullPointer */
}

int plants(unsigned n)
{
	return outside() + never_written() + shifted(n) + null_followed();
}
