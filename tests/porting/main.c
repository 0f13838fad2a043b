/* SPDX-License-Identifier: MIT */
/*
 * main.c: porting_check() as a program, for ports that run as a process (tools/run/lib.mk).
 *
 * Owns:       nothing.
 * Locks:      none.
 * Invariants: none.
 */
#include "porting_check.h"

int main(void)
{
	port_start(4);
	return porting_check() != 0;
}
