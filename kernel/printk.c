/* SPDX-License-Identifier: MIT */
/*
 * printk.c: formatted output to the console, and the ring that keeps the log.
 *
 * All text goes to the log: the ring, and the log port, if the machine has one.  Text is also shown
 * on the serial line and the screen.  While text is hidden, only that of console_say is shown.
 *
 * Owns:       the log ring; the console lock; the number of calls that hide text.
 * Locks:      console_lock (RANK_CONSOLE, innermost of all), irqs off.
 * Invariants: output of one call is not mixed with that of others.  After the lock is broken, only
 *             the CPU that broke it prints, and a CPU that it invites.
 * Tests:      console, log, tests/qemu/test_panic.py.
 */
#include <quarry/console.h>
#include <quarry/lock.h>
#include <quarry/log_ring.h>
#include <quarry/port.h>
#include <quarry/string.h>

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
#define LOCK_TURNS (1U << 22) /* polls for the lock, about a second; then print without it */
#define BUST_TURNS (1U << 21) /* polls before the lock is broken: its holder may end a line */
#define CLEAR_LINE "\r\033[K"
#define MAX_SHOWN  8192 /* bytes of hidden text that a panic shows */

static struct spinlock console_lock = {.name = "console", .rank = RANK_CONSOLE};
static u32 closing; /* atomic: 1 + the CPU that will break the lock; no other CPU takes the lock */
static u32 bust;    /* atomic: 1 + the CPU that broke the lock */
static u32 invited; /* atomic: 1 + a CPU that may print too after the lock is broken */
static u32 hidden;  /* console_lock to write: calls of console_hide that are not undone yet */
static u64 mark;    /* console_lock: if hidden text must be shown, it begins at this position */
/* console_lock: the text that restores a terminal on which a screen is drawn, or NULL */
static const char *restore;
static bool status; /* console_lock: the last row of the terminal is a status line */
static char log_bytes[LOG_SIZE];
static struct log_ring printed = {.bytes = log_bytes, .size = LOG_SIZE}; /* console_lock */

/* Does another CPU panic and wait for the lock?  Then no CPU begins a line. */
static bool closed(void)
{
	u32 by = READ_ONCE(closing);

	return by && by != arch_cpu_id() + 1;
}

/*
 * Poll for the lock, with a limit.  An NMI that prints while the CPU that it interrupted holds the
 * lock would wait for ever.  Also, the text may report why the holder does not continue.
 */
static bool lock_console(void) TRY_ACQUIRE(true, console_lock)
{
	u32 turns;

	for (turns = 0; turns < LOCK_TURNS && !READ_ONCE(bust); turns++) {
		if (!closed() && spin_trylock(&console_lock))
			return true;
		if (spin_is_held(&console_lock))
			break;
		cpu_relax();
	}
	return false;
}

struct hold {
	irqflags_t flags;
	bool locked;
};

/* Clang cannot follow a lock that is not always taken. */
static struct hold hold_console(void) NO_LOCK_ANALYSIS
{
	struct hold hold = {.flags = arch_irq_save()};

	hold.locked = lock_console();
	return hold;
}

static void release_console(struct hold hold) NO_LOCK_ANALYSIS
{
	if (hold.locked)
		spin_unlock(&console_lock);
	arch_irq_restore(hold.flags);
}

static void show(const char *s, size_t len)
{
	if (status)
		serial_write(CLEAR_LINE, sizeof(CLEAR_LINE) - 1);
	status = false;
	serial_write(s, len);
	screen_write(s, len);
}

/*
 * During a panic's report other CPUs print nothing, except an invited CPU in its NMI.
 */
static bool silenced(void)
{
	u32 self;

	if (!READ_ONCE(bust))
		return false;
	self = arch_cpu_id() + 1;
	return READ_ONCE(bust) != self && (READ_ONCE(invited) != self || !arch_in_interrupt());
}

static void emit(const char *s, size_t len)
{
	if (silenced())
		return;
	log_ring_put(&printed, s, len);
	log_port_write(s, len);
	if (!READ_ONCE(hidden))
		show(s, len);
}

void console_write(const char *s, size_t len)
{
	struct hold hold = hold_console();

	emit(s, len);
	release_console(hold);
}

void console_cursor(bool on)
{
	struct hold hold = hold_console();

	if (hold.locked)
		screen_cursor(on);
	release_console(hold);
}

static char *emit_piece(const char *s, void *buf, int len)
{
	emit(s, (size_t)len);
	return buf;
}

/* Format in pieces, under the lock: lines may have any length, and little stack is used. */
void vprintk(const char *fmt, va_list ap)
{
	struct hold hold = hold_console();
	char piece[STB_SPRINTF_MIN];

	stbsp_vsprintfcb(emit_piece, piece, piece, fmt, ap);
	release_console(hold);
}

void printk(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintk(fmt, ap);
	va_end(ap);
}

void console_hide(void)
{
	struct hold hold = hold_console();

	if (!hidden)
		mark = printed.end;
	WRITE_ONCE(hidden, hidden + 1);
	release_console(hold);
}

void console_unhide(void)
{
	struct hold hold = hold_console();

	if (hidden) /* 0 after a panic, which shows all text */
		WRITE_ONCE(hidden, hidden - 1);
	release_console(hold);
}

bool console_hidden(void)
{
	return READ_ONCE(hidden) != 0;
}

void console_mark(void)
{
	struct hold hold = hold_console();

	mark = printed.end;
	release_console(hold);
}

/* Show one piece of the log from *@pos on; false: there is no more. */
static bool show_piece(u64 *pos)
{
	char piece[128];
	size_t n = log_ring_get(&printed, pos, piece, sizeof(piece));

	show(piece, n);
	return n > 0;
}

void console_show_marked(void)
{
	u64 end = log_position();
	struct hold hold;
	bool more;

	do {
		hold = hold_console();
		more = READ_ONCE(hidden) && !restore && mark < end && show_piece(&mark);
		release_console(hold);
	} while (more);
}

static char *say_piece(const char *s, void *buf, int len)
{
	emit(s, (size_t)len);
	if (READ_ONCE(hidden) && !silenced() && !restore)
		show(s, (size_t)len);
	return buf;
}

void console_say(const char *fmt, ...)
{
	struct hold hold = hold_console();
	char piece[STB_SPRINTF_MIN];
	va_list ap;

	va_start(ap, fmt);
	stbsp_vsprintfcb(say_piece, piece, piece, fmt, ap);
	va_end(ap);
	release_console(hold);
}

void console_status(const char *s, size_t len)
{
	struct hold hold = hold_console();

	if (!READ_ONCE(bust) && (len || status)) {
		serial_write(CLEAR_LINE, sizeof(CLEAR_LINE) - 1);
		serial_write(s, len);
		status = len > 0;
	}
	release_console(hold);
}

void terminal_write(const char *s, size_t len, const char *undo)
{
	struct hold hold = hold_console();

	if (!READ_ONCE(bust)) {
		restore = undo;
		serial_write(s, len);
	}
	release_console(hold);
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

void console_bust_lock(void) NO_LOCK_ANALYSIS
{
	bool locked = false;
	u32 turns;

	atomic_cas(&closing, 0u, arch_cpu_id() + 1);
	/* With the lock held no CPU is in the middle of a line. */
	for (turns = 0; turns < BUST_TURNS && !READ_ONCE(bust) && !locked; turns++) {
		if (spin_is_held(&console_lock))
			break;
		locked = spin_trylock(&console_lock);
		if (!locked)
			cpu_relax();
	}
	atomic_cas(&bust, 0u, arch_cpu_id() + 1);
	if (locked)
		spin_unlock(&console_lock);
	if (restore)
		serial_write(restore, strlen(restore));
	restore = NULL;
	mark = MAX(mark, printed.end - MIN(printed.end, (u64)MAX_SHOWN));
	while (READ_ONCE(hidden) && show_piece(&mark))
		;
	WRITE_ONCE(hidden, 0u);
}

void console_invite(unsigned cpu)
{
	if (READ_ONCE(bust) == arch_cpu_id() + 1)
		WRITE_ONCE(invited, cpu + 1);
}

u64 log_position(void)
{
	return READ_ONCE(printed.end);
}

size_t log_read(u64 *pos, char *buf, size_t size)
{
	struct hold hold = hold_console();
	size_t n = log_ring_get(&printed, pos, buf, size);

	release_console(hold);
	return n;
}
