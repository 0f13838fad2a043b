/* SPDX-License-Identifier: MIT */
/*
 * uart.c: a 16550 UART: polled output, interrupt-driven input.
 *
 * Owns:       struct uart: the ring of received bytes.
 * Locks:      output has none: the console (kernel/printk.c) serialises writers.  The ring has one
 *             consumer, the reader of the console.  Its producer is the interrupt, under the lock
 *             receive: while a CPU goes down, two CPUs may take the interrupt.
 * Invariants: head - tail bytes are in the ring, never more than its size; bytes beyond that are
 *             lost.
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
#define POLL_NS    10000000ULL

static bool lsr_wait(struct uart *u, u8 bits)
{
	for (unsigned i = 0; i < u->spins; i++) {
		if ((u->regs->in(UART_LSR)&bits) == bits)
			return true;
		cpu_relax();
	}
	return false;
}

void uart_init(struct uart *u, const struct uart_regs *regs)
{
	*u = (struct uart){.regs = regs,
	    .spins = SPIN_LIMIT,
	    .receive = SPINLOCK("uart", RANK_WAIT),
	    .readers = WAITQ("serial")};
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

static bool byte_ready(void *arg)
{
	struct uart *u = arg;

	return READ_ONCE(u->tail) != load_acquire(&u->head); /* pairs with uart_interrupt */
}

int uart_getc(struct uart *u)
{
	if (byte_ready(u)) {
		u32 tail = READ_ONCE(u->tail);
		u8 byte = u->ring[tail % sizeof(u->ring)];

		store_release(&u->tail, tail + 1);
		return byte;
	}
	if (!u->present || u->interrupt_driven || !(u->regs->in(UART_LSR)&LSR_DATA))
		return -1;
	return u->regs->in(UART_RBR);
}

int uart_getc_wait(struct uart *u)
{
	int c = uart_getc(u);

	while (c < 0) {
		if (u->interrupt_driven)
			wait_until(&u->readers, byte_ready, u, WAIT_FOREVER);
		else
			thread_sleep(POLL_NS);
		c = uart_getc(u);
	}
	return c;
}

void uart_interrupt(struct uart *u)
{
	irqflags_t flags = spin_lock_irqsave(&u->receive);

	/* Bounded, because a missing port always reads as all ones. */
	for (unsigned i = 0; i < MAX_BYTES && u->regs->in(UART_LSR)&LSR_DATA; i++) {
		u8 byte = u->regs->in(UART_RBR);
		u32 head = u->head;

		if (head - load_acquire(&u->tail) < sizeof(u->ring)) {
			u->ring[head % sizeof(u->ring)] = byte;
			store_release(&u->head, head + 1);
		}
	}
	spin_unlock_irqrestore(&u->receive, flags);
	wake_up(&u->readers);
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
