/* SPDX-License-Identifier: MIT */
/*
 * trace_short.c: the short trace, which is part of the kernel: an excerpt of
 * traces/mixed-2cpu.trace.gz, made by tools/trace_excerpt.py (traces/README.md describes how).
 *
 * Owns: trace_short, constant.
 */
#include <quarry/trace.h>

__asm__(".pushsection .rodata.trace_short,\"a\"\n"
        ".globl trace_short, trace_short_end\n"
        "trace_short:\n"
        ".incbin \"traces/short.trace\"\n"
        "trace_short_end:\n"
        ".byte 0\n"
        ".popsection\n");
