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
    "\t.byte 0\n"
    ".popsection\n");
/* clang-format on */
