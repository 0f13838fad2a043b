/* SPDX-License-Identifier: MIT */
/* uart.h: a 16550 UART: the machine's (serial.c), or a test's. */
#ifndef DRIVERS_UART_H
#define DRIVERS_UART_H

#include <quarry/port.h>

/* Access to the UART's eight registers. */
struct uart_regs {
	u8 (*in)(unsigned reg);
	void (*out)(unsigned reg, u8 value);
};

struct uart {
	const struct uart_regs *regs;
	u32 spins; /* passes of a waiting loop before the port counts as missing */
	bool present, interrupt_driven;
	u8 ring[256];
	u32 head; /* atomic: number of bytes ever put into the ring */
	u32 tail; /* atomic: number of bytes ever taken out */
	/* RANK_WAIT: from the look at the port until the byte is in the ring */
	struct spinlock receive;
	struct waitq readers;
};

/*
 * Initialise: 115200 baud, 8N1, polled.  A zeroed struct uart is a missing port.  Context: boot
 * CPU.
 */
void uart_init(struct uart *u, const struct uart_regs *regs);
/* Send @len bytes.  A port that is missing, or too slow, is not used any more. */
void uart_write(struct uart *u, const char *s, size_t len);
/* Wait until all bytes have been sent. */
void uart_flush(struct uart *u);
/* The next received byte, or -1; does not wait. */
int uart_getc(struct uart *u);
/* Sleep until a byte has arrived.  Context: thread. */
int uart_getc_wait(struct uart *u);
/* The receive interrupt: moves received bytes to the ring, as far as there is space.  irqs off. */
void uart_interrupt(struct uart *u);
/* Receive by uart_interrupt from here on; bytes that arrived before are taken now.  irqs off. */
void uart_enable_irq(struct uart *u);
/* Let uart_getc poll the port from here on. */
void uart_disable_irq(struct uart *u);

#endif
