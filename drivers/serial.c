/* SPDX-License-Identifier: MIT */
/*
 * serial.c: the machine's serial port: a 16550 UART at COM1.
 *
 * Owns:       I/O ports 0x3f8-0x3ff, interrupt ISA 4.
 * Locks:      as drivers/uart.c.
 * Tests:      play_input, tests/qemu/test_monitor.py, tests/qemu/test_screen.py.
 */
#include "drivers/uart.h"
#include "x86.h"
#include <quarry/console.h>

#define COM1    0x3f8
#define ISA_IRQ 4

static struct uart com1;

static u8 com1_in(unsigned reg)
{
	return inb((u16)(COM1 + reg));
}

static void com1_out(unsigned reg, u8 value)
{
	outb((u16)(COM1 + reg), value);
}

static const struct uart_regs com1_regs = {.in = com1_in, .out = com1_out};

void serial_init(void)
{
	uart_init(&com1, &com1_regs, &console_input);
}

bool serial_present(void)
{
	return com1.present;
}

void serial_write(const char *s, size_t len)
{
	uart_write(&com1, s, len);
}

void serial_flush(void)
{
	uart_flush(&com1);
}

bool serial_polled(void)
{
	return com1.present && !com1.interrupt_driven;
}

void serial_poll(void)
{
	uart_poll(&com1);
}

void serial_interrupt(void)
{
	uart_interrupt(&com1);
}

void serial_enable_irq(void)
{
	irqflags_t flags = arch_irq_save();

	if (com1.present && !com1.interrupt_driven && !ioapic_route_isa(ISA_IRQ, VEC_SERIAL))
		uart_enable_irq(&com1);
	arch_irq_restore(flags);
}

void serial_disable_irq(void)
{
	uart_disable_irq(&com1);
}
