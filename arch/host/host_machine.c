/* SPDX-License-Identifier: MIT */
/* host_machine.c: the machine whose instructions a test plays. */
#include <quarry/types.h>
#include <x86_instr.h>

const struct host_machine *host_machine;
