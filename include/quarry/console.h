/* SPDX-License-Identifier: MIT */
/*
 * console.h: output and input of the kernel: the log, the serial port, the keyboard, the screen.
 */
#ifndef QUARRY_CONSOLE_H
#define QUARRY_CONSOLE_H

#include <quarry/types.h>
#include <stdarg.h>

#define CONSOLE_COLUMNS 80 /* the most in a line */

/* ---- printing (kernel/printk.c), beyond port.h ---- */

/* printk with a va_list.  Any context. */
void vprintk(const char *fmt, va_list ap);
/* snprintf and vsnprintf, with the formatter of printk: no floating point. */
int ksnprintf(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int kvsnprintf(char *buf, size_t size, const char *fmt, va_list ap);
/*
 * The log: at least the last 16 KiB that printk printed.  log_position is the position of the next
 * byte.  log_read copies up to @size bytes from *@pos on (or from the oldest available), moves
 * *@pos behind them and returns their number.  Any context.
 */
u64 log_position(void);
size_t log_read(u64 *pos, char *buf, size_t size);
/*
 * From now on the text of all CPUs goes to the log only and is not shown, until console_unhide has
 * been called as often.  A panic shows all of it.  Any context.
 */
void console_hide(void);
void console_unhide(void);
bool console_hidden(void);
/*
 * Hidden text that was printed after the last console_mark, or console_hide, can still be shown:
 * the next console_show_marked shows it, or a panic (only the last 8 KiB).  Any context.
 */
void console_mark(void);
void console_show_marked(void);
/*
 * printk that is shown even where text is hidden, unless the terminal is being drawn on
 * (terminal_write).  Any context.
 */
void console_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/*
 * Write @len bytes to the terminal at the serial line alone: neither the log nor the screen gets
 * them.  After a panic has begun, nothing is written.  @undo: text that a panic writes first, so
 * that its report can be read on a terminal that is being drawn on; NULL: the terminal is not being
 * drawn on.  The text at @undo must stay valid.  Any context.
 */
void terminal_write(const char *s, size_t len, const char *undo);
/*
 * A status line of @len bytes on the terminal at the serial line alone; the next status line, or
 * the next shown text, takes its place.  0 bytes: no status line any more.  Call it at the start of
 * a row, and not while a screen is drawn by terminal_write.  Any context.
 */
void console_status(const char *s, size_t len);
/* Show the cursor on the screen, or no longer.  Any context. */
void console_cursor(bool on);
/* Write bytes unchanged, without output of other CPUs in between.  Any context. */
void console_write(const char *s, size_t len);
/*
 * From now on printing ignores the lock, nothing is hidden, and what other CPUs print is dropped.
 * If another CPU holds the lock, it gets a moment to end its line.  For panic; irqs off.
 */
void console_bust_lock(void);
/*
 * After console_bust_lock, on the same CPU: @cpu may print too in an interrupt, such as the NMI
 * that asks for its backtrace, instead of the CPU invited before.  Otherwise no effect.
 */
void console_invite(unsigned cpu);

/* ---- serial port (drivers/serial.c), 16550 at COM1 ---- */

void serial_init(void);
bool serial_present(void);
void serial_write(const char *s, size_t len);
/* Wait until all bytes have been sent. */
void serial_flush(void);
/* Move received bytes to the console's input, if there is no interrupt that does it. */
void serial_poll(void);
/* Is there a port whose bytes are received by polls only? */
bool serial_polled(void);
void serial_enable_irq(void);
/*
 * From now on the port is polled, on any CPU, because the CPU that gets the interrupt may be busy.
 */
void serial_disable_irq(void);

/* ---- keyboard (drivers/i8042.c), a PC's or the firmware's emulation of one ---- */

/*
 * Find and start its controller; says why there is none.  Keys are received from here on, by
 * interrupt if there is a route for it.  Boot CPU, after arch_apic_init.
 */
void keyboard_init(void);
bool keyboard_present(void);
/* Does an interrupt announce keys?  (Else only polls find them.) */
bool keyboard_by_interrupt(void);
/* Move received keys to the console's input.  Any context where RANK_WAIT may be taken. */
void keyboard_poll(void);
/* The next character, or -1; takes no lock.  For a CPU that panics. */
int keyboard_getc_in_panic(void);

/* ---- input (drivers/console_in.c): what is typed at the serial port or at the keyboard ---- */

/* Can a person who sees the output type?  Any context. */
bool console_can_read(void);
/* The next byte typed, or -1; does not wait.  One reader at a time. */
int console_getc(void);
/* Sleep until a byte has been typed.  Context: thread. */
int console_getc_wait(void);

/* ---- log port (drivers/log_port.c), if an emulator has one ---- */

/* Look for the port; all later output goes there too.  Boot CPU. */
void log_port_init(void);
/* For kernel/printk.c, which serialises writers.  Any context. */
void log_port_write(const char *s, size_t len);

/* ---- screen (drivers/screen.c), if the loader set up a framebuffer ---- */

/*
 * screen_init: show the log and all further output; with the initial tables, after cmdline_init.
 * screen_map: continue with the final tables, before anything is printed with them.  Boot CPU.
 */
void screen_init(void);
void screen_map(void);
/* For kernel/printk.c: show where the next character goes, or no longer. */
void screen_cursor(bool on);
/* Is there a screen that shows the output?  Any context. */
bool screen_present(void);
/*
 * Clear the screen, and show the log from position @from on, up to @end, in all rows but the last.
 * Returns the position of the next page, at most @end.  For a CPU that panics.
 */
u64 screen_page(u64 from, u64 end);
/* For kernel/printk.c, which serialises writers except in a panic.  Any context. */
void screen_write(const char *s, size_t len);

#endif
