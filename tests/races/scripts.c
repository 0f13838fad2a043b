/* SPDX-License-Identifier: MIT */
/*
 * scripts.c: the texts of all scripts, part of the kernel and of the fiber program.
 *
 * Owns: race_texts, constant.  A new file is named here.
 */
#include "engine.h"

#define RACE(name) "\t.incbin \"tests/races/" name ".race\"\n"

/* clang-format off */
__asm__(
    ".pushsection .rodata.race_texts,\"a\"\n"
    ".globl race_texts\n"
    "race_texts:\n"
    RACE("R-S0A") RACE("R-S0A-disable") RACE("R-S0A-redrain") RACE("R-S0B")
    RACE("R-S0B-redrain") RACE("R-S0C") RACE("R-S0D") RACE("R-S0E") RACE("R-S0E-disable")
    RACE("R-S0E-redrain") RACE("R-S0F") RACE("R-S0F-disable") RACE("R-S0F-redrain")
    RACE("R-S0G-redrain")
    RACE("R-S1") RACE("R-S1b") RACE("R-S1c") RACE("R-S1d")
    RACE("R-ISO")
    RACE("R-ISO-zone")
    RACE("R-OVL")
    RACE("R-S2") RACE("R-S2-ten") RACE("R-S2-stray") RACE("R-S2-stranger") RACE("R-S2-first")
    RACE("R-S2-all")
    RACE("R-S3A") RACE("R-S3B") RACE("R-S3C") RACE("R-S3D") RACE("R-S3E") RACE("R-S3F")
    RACE("R-S3G") RACE("R-S3H") RACE("R-S3I") RACE("R-S3J") RACE("R-S3K")
    RACE("R-S4") RACE("R-S4-busy") RACE("R-S4-mark") RACE("R-S4-refs") RACE("R-S4b")
    RACE("R-S4c") RACE("R-S4d") RACE("R-S4e") RACE("R-S4f")
    RACE("R-PSN") RACE("R-PSN2") RACE("R-PSN-put") RACE("R-PSN-soft") RACE("R-PSN-for-ever")
    RACE("R-PSN-tail") RACE("R-PSN-moved") RACE("R-PSN-gone") RACE("R-PSN-owner")
    RACE("R-PSN-target") RACE("R-PSN-late") RACE("R-PSN-first")
    RACE("R-PSN-late-removed") RACE("R-PSN-late-moving")
    RACE("R-ADD") RACE("R-ADD-online") RACE("R-ADD-remove")
    RACE("R-SBY") RACE("R-SBY-broken") RACE("R-SBY-online")
    RACE("R-PUT")
    RACE("R-VM-table") RACE("R-VM-limit") RACE("R-VM-leaf") RACE("R-VM-page")
    RACE("R-VM-supply") RACE("R-VM-late") RACE("R-VM-unmap") RACE("R-VM-hidden")
    RACE("R-VM-remap") RACE("R-VM-shift") RACE("R-VM-protect") RACE("R-VM-lower")
    RACE("R-VM-remove") RACE("R-VM-close") RACE("R-VM-leave") RACE("R-VM-last")
    RACE("R-VM-gone") RACE("R-VM-gone-protect")
    RACE("R-TSO")
    RACE("R-TSO-round")
    RACE("R-STUCK")
    "\t.byte 0\n"
    ".popsection\n");
/* clang-format on */
