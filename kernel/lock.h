/* SPDX-License-Identifier: MIT */
/* lock.h: set-up of the locks' records. */
#ifndef KERNEL_LOCK_H
#define KERNEL_LOCK_H

#include <quarry/port.h>

/* Allocate every CPU's record of held locks; called by smp_init.  Context: the first CPU, alone. */
void lock_init(void);

#endif
