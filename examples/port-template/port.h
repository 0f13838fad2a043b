/* SPDX-License-Identifier: MIT */
/* port.h: the functions that the files of this port share. */
#ifndef PORT_H
#define PORT_H

#include <quarry/port.h>

/*
 * Make the machine run on @cpus CPUs, or on all if there are fewer.  Afterwards all of arch.h and
 * port.h works.
 */
void port_start(unsigned cpus);
/* Raise the call interrupt of @cpu, whose handler calls port_serve_calls.  Any context. */
void port_send_interrupt(unsigned cpu);
/* Print @len bytes.  Any context. */
void port_console(const char *text, size_t len);
/* Stop the machine; @status is 0 when all went well. */
void port_halt(int status) __attribute__((noreturn));

#endif
