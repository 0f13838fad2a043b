/* SPDX-License-Identifier: MIT */
/* test_uart.c: a 16550 UART: each access to its registers, and the ring of received bytes. */
#include "drivers/uart.h"

#include <quarry/console.h>
#include <quarry/ktest.h>

#define DONE_MAX 400

static struct uart uart;
static struct input input;

/* The pretended port: it receives the bytes @first, @first + 1 ... */
static struct {
	bool absent, gone; /* absent: register 7 reads all ones; gone: all registers do */
	u8 lsr;            /* line status, without "data" */
	u32 busy;          /* reads of the line status that show nothing yet */
	u32 waiting;       /* atomic: bytes that have come */
	u8 first;
	u32 reads, writes;
	u32 unlocked; /* bytes read without the lock */
	u8 scratch;
	char done[DONE_MAX];
	size_t len;
} fake;

static void note(const char *fmt, unsigned reg, unsigned value)
{
	if (fake.len < DONE_MAX - 10)
		fake.len += (size_t)ksnprintf(fake.done + fake.len, 10, fmt, reg, value);
}

static u8 fake_in(unsigned reg)
{
	fake.reads++;
	note("%u? ", reg, 0);
	if (fake.gone)
		return 0xff;
	if (reg == 7)
		return fake.absent ? 0xff : fake.scratch;
	if (reg == 5) {
		fake.busy -= fake.busy > 0;
		return (fake.busy ? 0 : fake.lsr) | (load_acquire(&fake.waiting) > 0);
	}
	if (reg == 0 && fake.waiting) {
		fake.unlocked += !spin_is_held(&input.receive);
		fake.waiting--;
		return fake.first++;
	}
	return 0;
}

static void fake_out(unsigned reg, u8 value)
{
	fake.writes++;
	note("%u=%x ", reg, value);
	if (reg == 7)
		fake.scratch = value;
}

static const struct uart_regs regs = {.in = fake_in, .out = fake_out};

static void forget(void)
{
	fake.len = fake.reads = fake.writes = 0;
	fake.done[0] = '\0';
}

static void start_over(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.lsr = 0x60;
	memset(&uart, 0xa5, sizeof(uart));
	input = (struct input)INPUT("typed");
	uart_init(&uart, &regs, &input);
	uart.spins = 1000;
	forget();
}

static void expect_done(struct ktest *t, const char *what, int line)
{
	if (strcmp(fake.done, what) != 0)
		ktest_fail(t, __FILE__, line, "done: %s, wanted: %s", fake.done, what);
	forget();
}
#define EXPECT_DONE(t, what) expect_done(t, what, __LINE__)
#define EXPECT_DOES(t, call, what)                                                                 \
	do {                                                                                       \
		call;                                                                              \
		EXPECT_DONE((t), (what));                                                          \
	} while (0)

KTEST_SUITE(uart, KTEST_QUICK);

KTEST(port_is_set_up_if_present)
{
	memset(&fake, 0, sizeof(fake));
	memset(&uart, 0xa5, sizeof(uart));
	EXPECT_DOES(t, uart_init(&uart, &regs, &input), "7=5a 7? 1=0 3=80 0=1 1=0 3=3 2=7 4=b ");
	EXPECT(t, uart.present && !uart.interrupt_driven && uart.input == &input);
	EXPECT_EQ(t, uart.spins, 10000000);
	fake.absent = true;
	EXPECT_DOES(t, uart_init(&uart, &regs, &input), "7=5a 7? ");
	EXPECT(t, !uart.present);
	/* Both locks of a ring are innermost but for the scheduler's. */
	input = (struct input)INPUT("typed");
	EXPECT_EQ(t, input.readers.lock.rank, RANK_WAIT);
	EXPECT_EQ(t, input.receive.rank, RANK_WAIT);
	/* The registers of an absent port are not read. */
	uart_write(&uart, "abc", 3);
	uart_flush(&uart);
	uart_poll(&uart);
	EXPECT_EQ(t, input_get(&input), -1);
	EXPECT_DONE(t, "");
}

KTEST(bytes_are_sent_in_groups_of_16)
{
	start_over();
	EXPECT_DOES(t, uart_write(&uart, "ab\377", 2), "5? 0=61 0=62 ");
	EXPECT_DOES(t, uart_write(&uart, "\377", 1), "5? 0=ff ");
	EXPECT_DOES(t, uart_write(&uart, "", 0), "");
	EXPECT_DOES(t, uart_write(&uart, "0123456789abcdef", 16),
	    "5? 0=30 0=31 0=32 0=33 0=34 0=35 0=36 0=37 0=38 0=39 0=61 0=62 0=63 0=64 0=65 0=66 ");
	EXPECT_DOES(t, uart_write(&uart, "0123456789abcdefg", 17),
	    "5? 0=30 0=31 0=32 0=33 0=34 0=35 0=36 0=37 0=38 0=39 0=61 0=62 0=63 0=64 0=65 0=66 5? "
	    "0=67 ");
	/* Before each 16 bytes the driver waits for the port. */
	fake.busy = 4;
	EXPECT_DOES(t, uart_write(&uart, "x", 1), "5? 5? 5? 5? 0=78 ");
	/* The port takes 16 bytes now, but a flush waits until the last bit has left. */
	fake.lsr = 0x20;
	EXPECT_DOES(t, uart_write(&uart, "x", 1), "5? 0=78 ");
	uart_flush(&uart);
	EXPECT_EQ(t, fake.reads, uart.spins);
	EXPECT(t, uart.present);
	forget();
	fake.lsr = 0x40;
	fake.busy = 3;
	EXPECT_DOES(t, uart_flush(&uart), "5? 5? 5? ");
}

KTEST(full_port_is_left_alone)
{
	start_over();
	fake.busy = uart.spins;
	uart_write(&uart, "x", 1);
	EXPECT(t, uart.present && fake.writes == 1 && fake.reads == uart.spins);
	forget();
	fake.lsr = 0x40;
	uart_write(&uart, "0123456789abcdefg", 17);
	EXPECT(t, !uart.present && !fake.writes && fake.reads == uart.spins);
	forget();
	uart_write(&uart, "x", 1);
	EXPECT_DOES(t, uart_flush(&uart), "");
}

KTEST(port_without_interrupts_is_polled)
{
	start_over();
	EXPECT_DOES(t, uart_poll(&uart), "5? ");
	fake.waiting = 2;
	fake.first = 0xfe;
	EXPECT_DOES(t, uart_poll(&uart), "5? 0? 5? 0? 5? ");
	EXPECT_EQ(t, input_get(&input), 0xfe);
	EXPECT_EQ(t, input_get(&input), 0xff);
	EXPECT_EQ(t, input_get(&input), -1);
	/* A poll takes a whole FIFO, and ends even if the port is gone. */
	fake.gone = true;
	forget();
	uart_poll(&uart);
	EXPECT_EQ(t, fake.reads, 2 * 16);
}

/* Fill and empty the ring, whose counts begin at @at. */
static void fill_and_empty(struct ktest *t, u32 at)
{
	unsigned i, wrong = 0;

	start_over();
	input.head = input.tail = at;
	fake.waiting = 3;
	fake.first = 7;
	/* Bytes that came before are taken when the interrupt is enabled. */
	EXPECT_DOES(t, uart_enable_irq(&uart), "1=1 5? 0? 5? 0? 5? 0? 5? ");
	EXPECT_EQ(t, input.head - at, 3);
	fake.waiting = 252;
	uart_interrupt(&uart);
	EXPECT_EQ(t, input.head - at, 255);
	/* One more byte fits; two are lost. */
	fake.waiting = 3;
	uart_interrupt(&uart);
	EXPECT_EQ(t, input.head - at, 256);
	EXPECT_EQ(t, input.tail, at);
	EXPECT_EQ(t, fake.waiting, 0);
	forget();
	for (i = 0; i < 256; i++)
		wrong += input_get(&input) != (u8)(7 + i);
	EXPECT_EQ(t, wrong, 0);
	EXPECT_EQ(t, input.tail, at + 256);
	EXPECT_EQ(t, input_get(&input), -1);
	/* A port that interrupts is not polled. */
	EXPECT_DOES(t, uart_poll(&uart), "");
	fake.waiting = 1;
	fake.first = 3;
	EXPECT_EQ(t, input_get(&input), -1);
	uart_interrupt(&uart);
	EXPECT_EQ(t, input_get(&input), 3);
}

KTEST(the_ring_keeps_the_oldest_256_bytes)
{
	fill_and_empty(t, 0);
	fill_and_empty(t, 200);
	fill_and_empty(t, (u32)-100);
}

/* While a CPU goes down, the port may interrupt that CPU and another one. */
KTEST(interrupts_of_two_cpus_take_turns)
{
	start_over();
	uart_enable_irq(&uart);
	fake.waiting = 2;
	uart_interrupt(&uart);
	EXPECT_EQ(t, input.head, 2);
	EXPECT_EQ(t, fake.unlocked, 0);
	EXPECT(t, !spin_is_held(&input.receive));
}

KTEST(without_interrupts_the_ring_comes_first)
{
	start_over();
	fake.first = 'a';
	fake.waiting = 1;
	uart_enable_irq(&uart);
	forget();
	EXPECT_DOES(t, uart_disable_irq(&uart), "1=0 ");
	fake.waiting = 1;
	EXPECT_EQ(t, input_get(&input), 'a');
	EXPECT_EQ(t, input_get(&input), -1);
	EXPECT_DONE(t, "");
	EXPECT_DOES(t, uart_poll(&uart), "5? 0? 5? ");
	EXPECT_EQ(t, input_get(&input), 'b');
}

KTEST_COST(interrupt_of_an_absent_port_ends)
{
	start_over();
	uart_enable_irq(&uart);
	forget();
	fake.gone = true;
	uart_interrupt(&uart);
	EXPECT_EQ(t, fake.reads, 2 * 65536);
	EXPECT_EQ(t, input.head, 256);
	EXPECT_EQ(t, input_get(&input), 0xff);
}

/* A byte arrives on the reader's CPU, after the reader has gone to sleep. */
static void bring_one(void *arg)
{
	irqflags_t flags = arch_irq_save();

	store_release(&fake.waiting, 1u);
	uart_interrupt(&uart);
	arch_irq_restore(flags);
}

KTEST(a_reader_sleeps_until_a_byte_comes)
{
	struct thread *other;

	start_over();
	uart_enable_irq(&uart);
	fake.first = 'q';
	other = NEED(t, thread_start("port", (int)arch_cpu_id(), bring_one, NULL));
	input_wait(&input, WAIT_FOREVER);
	EXPECT_EQ(t, input_get(&input), 'q');
	thread_join(other);
	EXPECT_EQ(t, input_get(&input), -1);
}
