/* SPDX-License-Identifier: MIT */
/* uart.h: a 16550 UART: the machine's (serial.c), or a test's. */
#ifndef DRIVERS_UART_H
#define DRIVERS_UART_H

#include "drivers/input.h"

/* Access to the UART's eight registers. */
struct uart_regs {
	u8 (*in)(unsigned reg);
	void (*out)(unsigned reg, u8 value);
};

struct uart {
	const struct uart_regs *regs;
	u32 spins; /* passes of a waiting loop before the port counts as missing */
	bool present, interrupt_driven;
	struct input *input; /* received bytes go here */
};

/*
 * Initialise: 115200 baud, 8N1, polled; received bytes go to @input.  A zeroed struct uart is a
 * missing port.  Context: boot CPU.
 */
void uart_init(struct uart *u, const struct uart_regs *regs, struct input *input);
/* Send @len bytes.  A port that is missing, or too slow, is not used any more. */
void uart_write(struct uart *u, const char *s, size_t len);
/* Wait until all bytes have been sent. */
void uart_flush(struct uart *u);
/* If the port does not interrupt, move received bytes to the ring.  Any context. */
void uart_poll(struct uart *u);
/* The receive interrupt: moves received bytes to the ring, as far as there is space.  irqs off. */
void uart_interrupt(struct uart *u);
/* Receive by uart_interrupt from here on; bytes that arrived before are taken now.  irqs off. */
void uart_enable_irq(struct uart *u);
/* From here on only uart_poll receives. */
void uart_disable_irq(struct uart *u);

#endif
