/* SPDX-License-Identifier: MIT */
/* host_machine.c: the machine that a test simulates. */
#include <quarry/types.h>
#include <x86_instr.h>

__thread const struct host_machine *host_machine;
