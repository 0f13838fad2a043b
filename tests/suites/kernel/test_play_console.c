/* SPDX-License-Identifier: MIT */
/*
 * test_play_console.c: kernel/printk.c with a serial line, a screen and a log port that keep their
 * text: hidden text, and its use in a panic.
 */
#define console_cursor      play_cursor
#define printk              play_printk
#define vprintk             play_vprintk
#define console_write       play_write
#define console_hide        play_hide
#define console_unhide      play_unhide
#define console_hidden      play_hidden
#define console_mark        play_mark
#define console_show_marked play_show_marked
#define console_say         play_say
#define console_bust_lock   play_bust_lock
#define console_invite      play_invite
#define terminal_write      play_terminal
#define ksnprintf           play_snprintf
#define kvsnprintf          play_vsnprintf
#define log_position        play_position
#define log_read            play_read
#include "tests/host/moment.h"
#include <quarry/console.h>
#include <quarry/ktest.h>
#include <quarry/lock.h>
#include <quarry/log_ring.h>
#include <quarry/string.h>

struct kept {
	char text[20000];
	size_t len;
};
static struct kept line, monitor, port;
static unsigned as_cpu;
static bool in_interrupt;

static void keep(struct kept *k, const char *s, size_t len)
{
	KASSERT(k->len + len < sizeof(k->text));
	memcpy(k->text + k->len, s, len);
	k->len += len;
	k->text[k->len] = '\0';
}

static void line_write(const char *s, size_t len)
{
	keep(&line, s, len);
}

static void monitor_write(const char *s, size_t len)
{
	keep(&monitor, s, len);
}

static void port_write(const char *s, size_t len)
{
	keep(&port, s, len);
}

static bool cursor;

static void monitor_cursor(bool on)
{
	cursor = on;
}

#define arch_cpu_id()       as_cpu
#define arch_in_interrupt() in_interrupt
#define serial_write        line_write
#define screen_write        monitor_write
#define screen_cursor       monitor_cursor
#define log_port_write      port_write
#include "kernel/printk.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static void begin(void)
{
	bust = invited = hidden = 0;
	restore = NULL;
	as_cpu = 0;
	in_interrupt = false;
	printed.end = mark = 0;
	line.len = monitor.len = port.len = 0;
	line.text[0] = monitor.text[0] = port.text[0] = '\0';
}

/* @shown must be on the line and on the screen alike, and @logged in the ring and the port. */
static void expect(struct ktest *t, const char *shown, const char *logged, int at)
{
	char text[256];
	u64 pos = 0;
	size_t n = log_read(&pos, text, sizeof(text) - 1);

	text[n] = '\0';
	if (strcmp(line.text, shown) != 0 || strcmp(monitor.text, shown) != 0)
		ktest_fail(t, __FILE__, at, "shown: %s", line.text);
	if (strcmp(text, logged) != 0 || strcmp(port.text, logged) != 0)
		ktest_fail(t, __FILE__, at, "logged: %s", text);
}
#define EXPECT_TEXT(t, shown, logged) expect((t), (shown), (logged), __LINE__)

KTEST_SUITE(play_console, KTEST_QUICK);

KTEST(hidden_text_goes_to_the_log_only)
{
	begin();
	printk("a%d", 1);
	console_cursor(true);
	EXPECT(t, cursor);
	console_cursor(false);
	EXPECT(t, !cursor);
	EXPECT(t, !console_hidden());
	console_hide();
	printk("b%s", "2");
	console_write("c", 1);
	EXPECT(t, console_hidden());
	EXPECT_TEXT(t, "a1", "a1b2c");
	console_hide();
	console_unhide();
	printk("d");
	EXPECT(t, console_hidden());
	console_unhide();
	printk("e");
	EXPECT(t, !console_hidden());
	EXPECT_TEXT(t, "a1e", "a1b2cde");
	/* This is one unhide too many. */
	console_unhide();
	console_hide();
	printk("f");
	EXPECT_TEXT(t, "a1e", "a1b2cdef");
}

KTEST(said_text_is_shown_and_logged_once)
{
	begin();
	console_say("a%d", 1);
	console_hide();
	console_say("b%d", 2);
	EXPECT_TEXT(t, "a1b2", "a1b2");
}

KTEST(marked_text_is_shown_once_on_request)
{
	begin();
	printk("a");
	console_hide();
	printk("b");
	console_mark();
	printk("c");
	console_show_marked();
	EXPECT_TEXT(t, "ac", "abc");
	console_show_marked();
	printk("d");
	console_show_marked();
	EXPECT_TEXT(t, "acd", "abcd");
	/* Text that is not hidden was shown already. */
	console_unhide();
	printk("e");
	console_show_marked();
	EXPECT_TEXT(t, "acde", "abcde");
	/* Hiding text also marks its beginning. */
	console_hide();
	printk("f");
	console_show_marked();
	EXPECT_TEXT(t, "acdef", "abcdef");
}

KTEST(a_panic_shows_hidden_text_and_all_that_follows)
{
	begin();
	console_hide();
	console_hide();
	printk("a");
	console_mark();
	printk("b");
	terminal_write("(drawn)", 7, "(sane)");
	console_bust_lock();
	EXPECT(t, strcmp(line.text, "(drawn)(sane)b") == 0);
	line.len = 0;
	keep(&line, "b", 1);
	printk("c");
	terminal_write("(drawn)", 7, NULL);
	console_unhide();
	console_bust_lock(); /* the report fails, and goes on */
	EXPECT_TEXT(t, "bc", "abc");
}

/* Only the last part of much hidden text is shown in a panic. */
KTEST(a_panic_shows_the_last_of_much_hidden_text)
{
	unsigned i;

	begin();
	console_hide();
	for (i = 0; i < 1000; i++)
		printk("%9u\n", i);
	console_bust_lock();
	EXPECT_EQ(t, line.len, 8192);
	EXPECT(t, strcmp(line.text + line.len - 10, "      999\n") == 0);
}

KTEST(others_print_in_a_panic_only_when_invited)
{
	begin();
	as_cpu = 2;
	console_invite(3); /* there is no panic */
	console_bust_lock();
	printk("a");
	as_cpu = 3;
	printk("b");
	console_say("c");
	console_write("d", 1);
	console_invite(3); /* only the CPU that panics invites */
	in_interrupt = true;
	printk("e");
	in_interrupt = false;
	EXPECT_TEXT(t, "a", "a");
	as_cpu = 2;
	console_invite(3);
	printk("f");
	as_cpu = 3;
	printk("F"); /* a thread of the invited CPU */
	in_interrupt = true;
	printk("g");
	in_interrupt = false;
	as_cpu = 0;
	printk("h");
	EXPECT_TEXT(t, "afg", "afg");
	as_cpu = 2;
	console_invite(2);
	as_cpu = 3;
	printk("i");
	console_bust_lock(); /* too late: the report of the first CPU goes on */
	printk("j");
	as_cpu = 2;
	printk("k");
	EXPECT_TEXT(t, "afgk", "afgk");
}

static bool interruptible;

static void note_interrupts(void)
{
	interruptible = arch_irqs_enabled();
}

/* A handler in between could take no lock: this one is the innermost of all. */
KTEST(lock_is_released_before_interrupts_come)
{
	begin();
	EXPECT_AT(t, (printk("text"), 0), 0, .lock = &console_lock, .step = LOCK_LEAVING,
	    .act = note_interrupts);
	EXPECT(t, !interruptible && arch_irqs_enabled());
}
