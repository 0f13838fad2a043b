/* SPDX-License-Identifier: MIT */
/*
 * test_console.c: printed text is in the log, whole and only once; names of functions; and
 * backtraces, even through bad frames.
 */
#include <quarry/console.h>
#include <quarry/ktest.h>
#include <quarry/panic.h>
#include <quarry/string.h>

#define LOG_SIZE 65536u

static char have[8192], want[8192];

static size_t read_from(u64 pos)
{
	size_t n = log_read(&pos, have, sizeof(have) - 1);

	have[n] = '\0';
	return n;
}

KTEST_SUITE(console, KTEST_QUICK);

KTEST(log_holds_printed_text)
{
	u64 pos = log_position(), at = pos;
	char piece[5];

	printk("  # %s %d\n", "log", 42);
	EXPECT_EQ(t, log_position(), pos + 11);
	EXPECT_EQ(t, log_read(&at, piece, 5), 5);
	EXPECT(t, memcmp(piece, "  # l", 5) == 0 && at == pos + 5);
	EXPECT_EQ(t, log_read(&at, piece, 5), 5);
	EXPECT(t, memcmp(piece, "og 42", 5) == 0);
	EXPECT_EQ(t, log_read(&at, piece, 5), 1);
	EXPECT(t, piece[0] == '\n' && at == log_position());
	EXPECT_EQ(t, log_read(&at, piece, 5), 0);
	EXPECT_EQ(t, at, log_position());
	/* Exactly the given number of bytes is printed. */
	pos = log_position();
	console_write("  # twice\n  #", 10);
	EXPECT_EQ(t, log_position(), pos + 10);
	EXPECT(t, read_from(pos) == 10 && strcmp(have, "  # twice\n") == 0);
}

/* The line is longer than one formatting buffer. */
KTEST(long_lines_are_printed_whole)
{
	u64 pos = log_position();

	printk("  # %700s.%700s.\n", "a", "b");
	EXPECT_EQ(t, read_from(pos), 4 + 701 + 701 + 1);
	EXPECT(t, have[4 + 699] == 'a' && have[4 + 700] == '.' && have[4 + 701] == ' ');
	EXPECT(t, have[4 + 1400] == 'b' && have[4 + 1401] == '.' && have[4 + 1402] == '\n');
}

#define LINES    2u
#define LINE_LEN 560u /* longer than one formatting buffer */

static void print_lines(void *arg)
{
	char letters[LINE_LEN + 1];
	unsigned i;

	memset(letters, *(const char *)arg, LINE_LEN);
	letters[LINE_LEN] = '\0';
	for (i = 0; i < LINES; i++)
		printk("  # %s\n", letters);
}

/* Lines that CPUs print at the same time are not mixed. */
KTEST(lines_of_several_cpus_are_not_mixed, KTEST_SLOW)
{
	static const char names[] = "abcd";
	unsigned nr = MIN(ktest_cpus(), 4u), cpu, whole = 0;
	u64 pos = log_position();
	const char *at;

	for (cpu = 0; cpu < nr; cpu++)
		ktest_start(cpu, print_lines, (void *)(uintptr_t)&names[cpu]);
	for (cpu = 0; cpu < nr; cpu++)
		ktest_join(cpu);
	EXPECT(t, read_from(pos) >= nr * LINES * (LINE_LEN + 5));
	for (at = have; *at; at++) {
		unsigned len = 0;

		if (strncmp(at, "  # ", 4) != 0)
			continue;
		while (at[4 + len] == at[4] && at[4] >= 'a' && at[4] <= 'd')
			len++;
		whole += len == LINE_LEN && at[4 + len] == '\n';
	}
	EXPECT_EQ(t, whole, nr * LINES);
}

KTEST(log_starts_with_its_oldest_byte)
{
	u64 end = log_position(), pos = 0, oldest = end > LOG_SIZE ? end - LOG_SIZE : 0;
	size_t n = log_read(&pos, have, 100);

	EXPECT_EQ(t, n, 100);
	EXPECT_EQ(t, pos, oldest + 100);
	pos = oldest + 50;
	EXPECT_EQ(t, log_read(&pos, want, 50), 50);
	EXPECT(t, memcmp(have + 50, want, 50) == 0);
}

KTEST(buffers_are_not_overrun)
{
	char buf[8];

	memset(buf, 'x', sizeof(buf));
	ksnprintf(buf, 4, "%s", "abcdef");
	EXPECT(t, strcmp(buf, "abc") == 0 && buf[4] == 'x');
	EXPECT_EQ(t, ksnprintf(buf, sizeof(buf), "%d", 123), 3);
}

KTEST(functions_are_named)
{
	uintptr_t here = (uintptr_t)symbol_name;
	char name[64];

	EXPECT(t, strcmp(symbol_name(here, name, sizeof(name)), "symbol_name+0x0") == 0);
	EXPECT(t, strcmp(symbol_name(here + 1, name, sizeof(name)), "symbol_name+0x1") == 0);
	EXPECT(t, strncmp(symbol_name(here - 1, name, sizeof(name)), "symbol_name", 11) != 0);
	EXPECT(
	    t, strcmp(symbol_name((uintptr_t)printk + 2, name, sizeof(name)), "printk+0x2") == 0);
	/* Addresses outside the code have no name. */
	EXPECT(t, strcmp(symbol_name(0x1234, name, sizeof(name)), "0x1234") == 0);
	EXPECT(t, strcmp(symbol_name(~0UL, name, sizeof(name)), "0xffffffffffffffff") == 0);
	EXPECT(t, symbol_name(here, name, sizeof(name)) == name);
}

static void add_line(uintptr_t addr, uintptr_t named)
{
	size_t len = strlen(want);
	char name[64];

	ksnprintf(want + len, sizeof(want) - len, "  %016lx %s\n", addr,
	    symbol_name(named, name, sizeof(name)));
}

static void expect_trace(struct ktest *t, uintptr_t rip, uintptr_t rbp, int line)
{
	u64 pos = log_position();

	print_backtrace(rip, rbp);
	read_from(pos);
	if (strcmp(have, want) != 0)
		ktest_fail(t, __FILE__, line, "another backtrace");
}
#define EXPECT_TRACE(t, rip, rbp) expect_trace((t), (rip), (rbp), __LINE__)

#define FRAMES 40
static u64 frames[FRAMES][2];

/* Make frames with return addresses; @nr of them from @first on are expected in the trace. */
static void chain(unsigned first, unsigned nr)
{
	unsigned i;

	want[0] = '\0';
	for (i = 0; i < FRAMES; i++) {
		frames[i][0] = i + 1 < FRAMES ? (u64)(uintptr_t)frames[i + 1] : 0;
		frames[i][1] = (u64)(uintptr_t)printk + i;
	}
	for (i = first; i < first + nr; i++)
		add_line(frames[i][1], frames[i][1] - 1);
}

KTEST(backtraces_end_where_frames_do, KTEST_REPORTS)
{
	uintptr_t rip = (uintptr_t)printk + 3;

	/* All frames are printed, but at most 32. */
	chain(FRAMES - 3, 3);
	EXPECT_TRACE(t, 0, (uintptr_t)frames[FRAMES - 3]);
	chain(0, 32);
	EXPECT_TRACE(t, 0, (uintptr_t)frames[0]);
	/* The running function comes first. */
	chain(0, 0);
	add_line(rip, rip);
	EXPECT_TRACE(t, rip, 0);
	/*
	 * The trace ends at a frame without a return address. It also ends before a frame that is
	 * not above the previous frame, or too far above.
	 */
	chain(0, 5);
	frames[5][1] = 0;
	EXPECT_TRACE(t, 0, (uintptr_t)frames[0]);
	chain(0, 5);
	frames[4][0] = (u64)(uintptr_t)frames[4];
	EXPECT_TRACE(t, 0, (uintptr_t)frames[0]);
	chain(0, 5);
	frames[4][0] = (u64)(uintptr_t)frames[4] + (64UL << 10) + 8;
	EXPECT_TRACE(t, 0, (uintptr_t)frames[0]);
	/* A link to an address that no frame can have is not followed. */
	chain(0, 5);
	frames[4][0] = (u64)(uintptr_t)frames[5] + 4;
	EXPECT_TRACE(t, 0, (uintptr_t)frames[0]);
	want[0] = '\0';
	EXPECT_TRACE(t, 0, 0x1000);
	EXPECT_TRACE(t, 0, 0x7ffffffffff0);
	EXPECT_TRACE(t, 0, (uintptr_t)frames[0] + 1);
	EXPECT_TRACE(t, 0, ~0UL - 7);
}

/* A frame may lie above the previous frame by at most the length of a stack. */
KTEST(frames_lie_within_a_stack, KTEST_REPORTS)
{
	static u64 stack[(64UL << 10) / 8 + 4];

	want[0] = '\0';
	stack[0] = (u64)(uintptr_t)&stack[(64UL << 10) / 8];
	stack[1] = (u64)(uintptr_t)printk + 1;
	stack[(64UL << 10) / 8] = 0;
	stack[(64UL << 10) / 8 + 1] = (u64)(uintptr_t)printk + 2;
	add_line(stack[1], stack[1] - 1);
	add_line((uintptr_t)printk + 2, (uintptr_t)printk + 1);
	EXPECT_TRACE(t, 0, (uintptr_t)stack);
}
