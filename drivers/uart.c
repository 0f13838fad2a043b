/* SPDX-License-Identifier: MIT */
/*
 * uart.c: a 16550 UART: polled output, interrupt-driven input.
 *
 * Owns:       struct uart.
 * Locks:      output has none: the console (kernel/printk.c) serialises writers.  Input is under
 *             the ring's lock receive (drivers/input.c).
 * Tests:      uart, tests/qemu/test_prompt.py.
 */
#include "drivers/uart.h"

/* Registers of the 16550 (National Semiconductor PC16550D data sheet, table II). */
#define UART_RBR 0 /* receive; transmit when written; divisor low */
#define UART_IER 1 /* divisor high */
#define UART_FCR 2
#define UART_LCR 3
#define UART_MCR 4
#define UART_LSR 5
#define UART_SCR 7
#define LSR_DATA 0x01 /* a byte has arrived */
#define LSR_ROOM 0x20 /* the transmit FIFO is empty: it takes 16 bytes */
#define LSR_IDLE 0x40 /* the shift register is empty too */
#define FIFO     16

/* The most passes of a waiting loop: at 115200 baud 16 bytes take 1.4 ms. */
#define SPIN_LIMIT 10000000
#define MAX_BYTES  65536 /* bytes that one interrupt takes, at most */

static bool lsr_wait(struct uart *u, u8 bits)
{
	for (unsigned i = 0; i < u->spins; i++) {
		if ((u->regs->in(UART_LSR)&bits) == bits)
			return true;
		cpu_relax();
	}
	return false;
}

void uart_init(struct uart *u, const struct uart_regs *regs, struct input *input)
{
	*u = (struct uart){.regs = regs, .spins = SPIN_LIMIT, .input = input};
	regs->out(UART_SCR, 0x5a);
	if (regs->in(UART_SCR) != 0x5a)
		return;
	regs->out(UART_IER, 0);
	regs->out(UART_LCR, 0x80); /* divisor latch: 115200 baud */
	regs->out(UART_RBR, 1);
	regs->out(UART_IER, 0);
	regs->out(UART_LCR, 3);    /* 8 bits, no parity, 1 stop bit */
	regs->out(UART_FCR, 0x07); /* FIFOs on and empty, interrupt at the first byte */
	regs->out(UART_MCR, 0x0b); /* DTR, RTS, OUT2: enable the interrupt pin */
	u->present = true;
}

void uart_write(struct uart *u, const char *s, size_t len)
{
	while (u->present && len) {
		size_t n = MIN(len, (size_t)FIFO);

		if (!lsr_wait(u, LSR_ROOM)) {
			u->present = false;
			return;
		}
		len -= n;
		while (n--)
			u->regs->out(UART_RBR, (u8)*s++);
	}
}

void uart_flush(struct uart *u)
{
	if (u->present)
		lsr_wait(u, LSR_IDLE);
}

/* Move at most @most received bytes to the ring. */
static void receive(struct uart *u, unsigned most)
{
	struct input *in = u->input;
	irqflags_t flags = spin_lock_irqsave(&in->receive);
	unsigned i;

	for (i = 0; i < most && u->regs->in(UART_LSR)&LSR_DATA; i++)
		input_put(in, u->regs->in(UART_RBR));
	spin_unlock_irqrestore(&in->receive, flags);
	if (i)
		wake_up(&in->readers);
}

void uart_poll(struct uart *u)
{
	if (u->present && !u->interrupt_driven)
		receive(u, FIFO);
}

void uart_interrupt(struct uart *u)
{
	receive(u, MAX_BYTES); /* bounded, because a missing port always reads as all ones */
}

void uart_enable_irq(struct uart *u)
{
	/* Bytes that arrived before raise no interrupt: take them now. */
	u->interrupt_driven = true;
	u->regs->out(UART_IER, 1);
	uart_interrupt(u);
}

void uart_disable_irq(struct uart *u)
{
	u->regs->out(UART_IER, 0);
	u->interrupt_driven = false;
}
