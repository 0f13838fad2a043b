/* SPDX-License-Identifier: MIT */
/*
 * machines.c: the texts of all descriptions of machines.
 *
 * Owns: machine_texts, constant.  A new file gets a line here.
 */
#include "tests/machines/machine.h"

#define MACHINE(name)                                                                              \
	"\t.ascii \"machine " name "\\n\"\n\t.incbin \"tests/machines/" name ".machine\"\n"

/* clang-format off */
__asm__(
    ".pushsection .rodata.machine_texts,\"a\"\n"
    ".globl machine_texts\n"
    "machine_texts:\n"
    MACHINE("k8-board")
    MACHINE("core2-laptop")
    MACHINE("nehalem-server")
    MACHINE("sandybridge-desktop")
    MACHINE("jaguar-thin-client")
    MACHINE("haswell-server")
    MACHINE("baytrail-tablet")
    MACHINE("zen-desktop")
    MACHINE("surface-tablet")
    MACHINE("tigerlake-laptop")
    MACHINE("alderlake-desktop")
    MACHINE("zen5-server")
    MACHINE("arrowlake-desktop")
    MACHINE("pantherlake-laptop")
    "\t.byte 0\n"
    ".popsection\n");
/* clang-format on */
