/* SPDX-License-Identifier: MIT */
/* main.h: how the kernel ends. */
#ifndef KERNEL_MAIN_H
#define KERNEL_MAIN_H

#include <quarry/types.h>

/* Print the last line, "quarry: PASS" or "quarry: FAIL", and power off accordingly. */
void kernel_finish(bool pass) __attribute__((noreturn));

#endif
