/* SPDX-License-Identifier: MIT */
/*
 * printk.c: formatted output to the console, and the ring that keeps the log.
 *
 * Owns:       the log ring; the console lock.
 * Locks:      console_lock (RANK_CONSOLE, innermost of all), irqs off.
 * Invariants: output of one call is not mixed with that of others, until the lock is broken.
 * Tests:      console, log, tests/qemu/test_panic.py.
 */
#include <quarry/console.h>
#include <quarry/lock.h>
#include <quarry/log_ring.h>
#include <quarry/port.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wundef"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wcast-qual"
#pragma GCC diagnostic ignored "-Wimplicit-fallthrough"
#define STB_SPRINTF_NOFLOAT
#define STB_SPRINTF_STATIC
#define STB_SPRINTF_IMPLEMENTATION
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include <stb/stb_sprintf.h>
#pragma GCC diagnostic pop

#define LOG_SIZE   65536U
#define LOCK_TURNS (1U << 22) /* of waiting for the lock, about a second; then print without it */
#define BUST_TURNS (1U << 16) /* the same before the lock is broken: a line takes less */

static struct spinlock console_lock = {.name = "console", .rank = RANK_CONSOLE};
static u32 bust; /* a */
static char log_bytes[LOG_SIZE];
static struct log_ring printed = {.bytes = log_bytes, .size = LOG_SIZE}; /* console_lock */

/*
 * Polls, with a limit.  An NMI that prints while the CPU that it interrupted holds the lock would
 * wait for ever; and the text may be the report of why the holder does not continue.
 */
static bool lock_console(void) TRY_ACQUIRE(true, console_lock)
{
	u32 turns;

	for (turns = 0; turns < LOCK_TURNS && !READ_ONCE(bust); turns++) {
		if (spin_trylock(&console_lock))
			return true;
		if (spin_is_held(&console_lock))
			break;
		cpu_relax();
	}
	return false;
}

static void emit(const char *s, size_t len)
{
	log_ring_put(&printed, s, len);
	serial_write(s, len);
	screen_write(s, len);
}

void console_write(const char *s, size_t len)
{
	irqflags_t flags = arch_irq_save();
	bool locked = lock_console();

	emit(s, len);
	if (locked)
		spin_unlock(&console_lock);
	arch_irq_restore(flags);
}

static char *emit_piece(const char *s, void *buf, int len)
{
	emit(s, (size_t)len);
	return buf;
}

/* Formats in pieces, under the lock: lines of any length, small stacks. */
void vprintk(const char *fmt, va_list ap)
{
	irqflags_t flags = arch_irq_save();
	bool locked = lock_console();
	char piece[STB_SPRINTF_MIN];

	stbsp_vsprintfcb(emit_piece, piece, piece, fmt, ap);
	if (locked)
		spin_unlock(&console_lock);
	arch_irq_restore(flags);
}

void printk(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintk(fmt, ap);
	va_end(ap);
}

int kvsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	return stbsp_vsnprintf(buf, (int)size, fmt, ap);
}

int ksnprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = kvsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}

void console_bust_lock(void)
{
	u32 turns;

	for (turns = 0; turns < BUST_TURNS && !READ_ONCE(bust); turns++) {
		if (!READ_ONCE(console_lock.locked) || spin_is_held(&console_lock))
			break;
		cpu_relax();
	}
	WRITE_ONCE(bust, 1u);
}

u64 log_position(void)
{
	return READ_ONCE(printed.end);
}

size_t log_read(u64 *pos, char *buf, size_t size)
{
	irqflags_t flags = arch_irq_save();
	bool locked = lock_console();
	size_t n = log_ring_get(&printed, pos, buf, size);

	if (locked)
		spin_unlock(&console_lock);
	arch_irq_restore(flags);
	return n;
}
