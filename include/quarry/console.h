/* SPDX-License-Identifier: MIT */
/*
 * console.h: where what is printed goes, and what is typed comes from: the log, the serial port,
 * the screen.
 */
#ifndef QUARRY_CONSOLE_H
#define QUARRY_CONSOLE_H

#include <quarry/types.h>
#include <stdarg.h>

/* ---- printing (kernel/printk.c), beyond port.h ---- */

/* printk with the list of its arguments.  Any context. */
void vprintk(const char *fmt, va_list ap);
/* snprintf and vsnprintf, with the formatter of printk: no floating point. */
int ksnprintf(char *buf, size_t size, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int kvsnprintf(char *buf, size_t size, const char *fmt, va_list ap);
/*
 * The log: at least the last 16 KiB that printk printed.  log_position is where the next byte will
 * stand; log_read copies up to @size bytes from *@pos on (or from the oldest there is), moves *@pos
 * behind them and returns how many.  Any context.
 */
u64 log_position(void);
size_t log_read(u64 *pos, char *buf, size_t size);
/* Write bytes as they are, whole: no other CPU's output comes between.  Any context. */
void console_write(const char *s, size_t len);
/*
 * Printing bypasses the lock from now on.  If another CPU has it just now, a moment is given to it
 * to end its line.  For panic; irqs off.
 */
void console_bust_lock(void);

/* ---- serial port (drivers/serial.c), 16550 at COM1 ---- */

void serial_init(void);
bool serial_present(void);
void serial_write(const char *s, size_t len);
/* Wait until all has been sent. */
void serial_flush(void);
/* Next byte received, or -1: does not wait.  Interrupt-driven once serial_enable_irq was called. */
int serial_getc(void);
/* Sleep until a byte has come; thread context. */
int serial_getc_wait(void);
void serial_enable_irq(void);
/*
 * From here on serial_getc asks the port, on whatever CPU: the one that gets its interrupt may be
 * busy.
 */
void serial_disable_irq(void);

/* ---- screen (drivers/screen.c), where the loader set up a framebuffer ---- */

/*
 * screen_init: what has been printed appears, and what will be; on the initial tables, after
 * cmdline_init. screen_map: the same on the final ones, with nothing printed since they were
 * loaded.  Boot CPU.
 */
void screen_init(void);
void screen_map(void);
/* Is there one that shows what is printed?  Any context. */
bool screen_present(void);
/* For kernel/printk.c, which keeps writers apart, but for a panic.  Any context. */
void screen_write(const char *s, size_t len);

#endif
