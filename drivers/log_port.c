/* SPDX-License-Identifier: MIT */
/*
 * log_port.c: the log port: an emulator writes each byte sent to it to a file of the host.
 *
 * Owns:       I/O port 0xe9 (QEMU: -device isa-debugcon; Bochs: port_e9_hack).
 * Locks:      none: the console (kernel/printk.c) serialises writers.
 * Tests:      tests/qemu/test_make.py.
 */
#include "x86.h"
#include <quarry/console.h>

#define LOG_PORT 0xe9 /* a read returns this value if the port exists, else 0xff */

static bool present;

void log_port_init(void)
{
	present = inb(LOG_PORT) == LOG_PORT;
}

void log_port_write(const char *s, size_t len)
{
	if (!READ_ONCE(present))
		return;
	while (len--)
		outb(LOG_PORT, (u8)*s++);
}
