/* SPDX-License-Identifier: MIT */
/* uart.h: a 16550 UART: the machine's (serial.c), or that of a test. */
#ifndef DRIVERS_UART_H
#define DRIVERS_UART_H

#include <quarry/port.h>

/* How its eight registers are reached. */
struct uart_regs {
	u8 (*in)(unsigned reg);
	void (*out)(unsigned reg, u8 value);
};

struct uart {
	const struct uart_regs *regs;
	u32 spins; /* turns of a wait before the port counts as gone */
	bool present, interrupt_driven;
	u8 ring[256];
	u32 head; /* a: bytes ever put into the ring */
	u32 tail; /* a: bytes ever taken out */
	struct waitq readers;
};

/* Zeroed memory is a port that is not there.  115200 baud, 8N1, polled.  Boot CPU. */
void uart_init(struct uart *u, const struct uart_regs *regs);
/* Send @len bytes; a port that is not there, or does not take them in time, is left alone from then on. */
void uart_write(struct uart *u, const char *s, size_t len);
/* Wait until all has been sent. */
void uart_flush(struct uart *u);
/* Next byte received, or -1: does not wait. */
int uart_getc(struct uart *u);
/* Sleep until a byte has come; thread context. */
int uart_getc_wait(struct uart *u);
/* The receive interrupt: all that has come goes into the ring, as far as there is room.  irqs off. */
void uart_interrupt(struct uart *u);
/* From here on received bytes come by uart_interrupt; those that came before are taken now.  irqs off. */
void uart_enable_irq(struct uart *u);
/* From here on uart_getc asks the port. */
void uart_disable_irq(struct uart *u);

#endif
