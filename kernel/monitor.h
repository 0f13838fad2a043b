/* SPDX-License-Identifier: MIT */
/* monitor.h: the prompt on the serial line. */
#ifndef KERNEL_MONITOR_H
#define KERNEL_MONITOR_H

#include <quarry/types.h>

/* Read and carry out commands until "halt"; then returns.  Context: thread. */
void monitor(u64 seed);

#endif
