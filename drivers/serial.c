/* SPDX-License-Identifier: MIT */
/*
 * serial.c: a 16550 UART at COM1: polled output, interrupt-driven input.
 *
 * Owns:       I/O ports 0x3f8-0x3ff, interrupt ISA 4, the ring of received bytes.
 * Locks:      output has none: the console (kernel/printk.c) keeps writers apart.  The ring has one
 *             producer, the interrupt, and one consumer, whoever reads the console.
 * Invariants: head - tail bytes are in the ring, never more than its size; what does not fit is
 *             lost.
 * Tests:      tests/qemu/test_shown.py, tests/qemu/test_boot.py.
 */
#include "x86.h"
#include <quarry/kernel.h>

/* Registers of the 16550 (National Semiconductor PC16550D data sheet, table II). */
#define COM1     0x3f8
#define UART_RBR 0 /* receive; transmit when written; divisor low */
#define UART_IER 1 /* divisor high */
#define UART_FCR 2
#define UART_LCR 3
#define UART_MCR 4
#define UART_LSR 5
#define UART_SCR 7
#define LSR_DATA 0x01 /* a byte has come */
#define LSR_ROOM 0x20 /* the transmit FIFO is empty: 16 bytes may go */
#define LSR_IDLE 0x40 /* and so is the shift register */
#define FIFO     16
#define ISA_IRQ  4

/* Turns of a wait before the port counts as gone; at 115200 baud 16 bytes take 1.4 ms. */
#define SPIN_LIMIT 10000000
#define MAX_BYTES  65536 /* that one interrupt takes */

static bool present;
static bool interrupt_driven;
static u8 ring[256];
static u32 ring_head; /* a: bytes ever put in */
static u32 ring_tail; /* a: bytes ever taken out */
static struct waitq readers;

static bool lsr_wait(u8 bits)
{
	for (unsigned i = 0; i < SPIN_LIMIT; i++) {
		if ((inb(COM1 + UART_LSR) & bits) == bits)
			return true;
		cpu_relax();
	}
	return false;
}

void serial_init(void)
{
	readers = WAITQ("serial");
	outb(COM1 + UART_SCR, 0x5a);
	if (inb(COM1 + UART_SCR) != 0x5a)
		return;
	outb(COM1 + UART_IER, 0);
	outb(COM1 + UART_LCR, 0x80); /* divisor latch: 115200 baud */
	outb(COM1 + UART_RBR, 1);
	outb(COM1 + UART_IER, 0);
	outb(COM1 + UART_LCR, 3);    /* 8 bits, no parity, 1 stop bit */
	outb(COM1 + UART_FCR, 0x07); /* FIFOs on and empty, interrupt at the first byte */
	outb(COM1 + UART_MCR, 0x0b); /* DTR, RTS, OUT2: interrupts get out */
	present = true;
}

bool serial_present(void)
{
	return present;
}

void serial_write(const char *s, size_t len)
{
	while (present && len) {
		size_t n = MIN(len, (size_t)FIFO);

		if (!lsr_wait(LSR_ROOM)) {
			present = false;
			return;
		}
		len -= n;
		while (n--)
			outb(COM1 + UART_RBR, (u8)*s++);
	}
}

void serial_flush(void)
{
	if (present)
		lsr_wait(LSR_IDLE);
}

int serial_getc(void)
{
	u32 tail = READ_ONCE(ring_tail);

	if (tail != load_acquire(&ring_head)) { /* pairs with serial_interrupt */
		u8 byte = ring[tail % sizeof(ring)];

		store_release(&ring_tail, tail + 1);
		return byte;
	}
	if (!present || interrupt_driven || !(inb(COM1 + UART_LSR) & LSR_DATA))
		return -1;
	return inb(COM1 + UART_RBR);
}

static bool byte_ready(void *arg)
{
	return READ_ONCE(ring_tail) != load_acquire(&ring_head);
}

int serial_getc_wait(void)
{
	int c = serial_getc();

	while (c < 0) {
		if (interrupt_driven)
			wait_until(&readers, byte_ready, NULL, WAIT_FOREVER);
		else
			thread_sleep(10000000);
		c = serial_getc();
	}
	return c;
}

void serial_interrupt(void)
{
	/* A port that is gone reads as all ones, for ever. */
	for (unsigned i = 0; i < MAX_BYTES && inb(COM1 + UART_LSR) & LSR_DATA; i++) {
		u8 byte = inb(COM1 + UART_RBR);
		u32 head = ring_head;

		if (head - load_acquire(&ring_tail) < sizeof(ring)) {
			ring[head % sizeof(ring)] = byte;
			store_release(&ring_head, head + 1);
		}
	}
	wake_up(&readers);
}

void serial_enable_irq(void)
{
	irqflags_t flags = arch_irq_save();

	if (present && !interrupt_driven && !ioapic_route_isa(ISA_IRQ, VEC_SERIAL)) {
		/* Bytes that came before make no edge: take them now. */
		interrupt_driven = true;
		outb(COM1 + UART_IER, 1);
		serial_interrupt();
	}
	arch_irq_restore(flags);
}

void serial_disable_irq(void)
{
	outb(COM1 + UART_IER, 0);
	interrupt_driven = false;
}
