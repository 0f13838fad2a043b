/* SPDX-License-Identifier: MIT */
/*
 * trace_short.c: the short trace, which is part of the kernel: an excerpt of
 * bench/traces/mixed-2cpu.trace.gz, made by tools/bench/trace_excerpt.py (bench/traces/README.md
 * describes how).
 *
 * Owns: trace_short, constant.
 */
#include <quarry/trace.h>

__asm__(".pushsection .rodata.trace_short,\"a\"\n"
        ".globl trace_short, trace_short_end\n"
        "trace_short:\n"
        ".incbin \"bench/traces/short.trace\"\n"
        "trace_short_end:\n"
        ".byte 0\n"
        ".popsection\n");
