/* SPDX-License-Identifier: MIT */
/*
 * panic.c: the report of a failed run: the failure, the page, its history, the backtrace of each
 * CPU, and the command that repeats the run.
 *
 * Owns:       the number of the CPU that panics, and the progress of its report.
 * Locks:      none; a panic breaks the console's lock, whose holder may never continue.
 * Invariants: one CPU reports; others that panic meanwhile stop with interrupts off (an NMI still
 *             gets their backtraces), and so does each CPU after its backtrace is printed.
 *             Each part of the report is started once.  A part that fails panics again and says so,
 *             and the report continues with the next part: so it always ends.
 * Tests:      console, tests/qemu/test_panic.py.
 */
#include <quarry/bootinfo.h>
#include <quarry/console.h>
#include <quarry/machine.h>
#include <quarry/mm.h>
#include <quarry/panic.h>
#include <quarry/sched.h>
#include <quarry/string.h>

#define MAX_FRAMES  32
#define STACK_SPAN  (64UL << 10) /* the largest distance of two frames */
#define KERNEL_HALF 0xffff800000000000UL
#define MAX_PANICS  8 /* the first panic, one in each part of the report, and a few more */

/* Written by tools/run/symtab.sh; sorted by address. */
struct symbol {
	u64 address;
	u64 name; /* offset in ksymtab_names */
};
extern const struct symbol ksymtab[];
extern const u64 ksymtab_count;
extern const char ksymtab_names[];

u64 run_seed;
static u32 panic_cpu; /* atomic: 1 + number of the CPU that reports; 0: none */
static u32 panics;    /* number of panics of that CPU */
static u32 next_part; /* index of the report's next part */
/* Positions in the log: where the report begins, and the line with its reason. */
static u64 report_at, reason_at;

bool panicking(void)
{
	return READ_ONCE(panic_cpu) != 0;
}

/* The last symbol at or below @addr; NULL outside the code. */
static const struct symbol *find_symbol(uintptr_t addr)
{
	u64 low = 0, high = ksymtab_count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (ksymtab[middle].address <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	/* The last symbol marks the end of the code, or lies too close to the end to matter. */
	return low > 0 && low < ksymtab_count ? &ksymtab[low - 1] : NULL;
}

const char *symbol_name(uintptr_t addr, char *buf, size_t size)
{
	const struct symbol *symbol = find_symbol(addr);

	if (symbol)
		ksnprintf(buf, size, "%s+0x%llx", ksymtab_names + symbol->name,
		    (unsigned long long)(addr - symbol->address));
	else
		ksnprintf(buf, size, "%#lx", addr);
	return buf;
}

static bool plausible(uintptr_t frame)
{
	return frame >= KERNEL_HALF && frame % 8 == 0 && frame <= ~0UL - 16;
}

/*
 * A frame is the caller's frame pointer and, above it, the return address.  Stacks grow down, so
 * each caller's frame lies above.  The walk ends at a frame that lies below or too far above.
 */
void print_backtrace(uintptr_t rip, uintptr_t rbp)
{
	const uintptr_t *frame;
	char name[96];
	unsigned i;

	if (rip)
		printk("  %016lx %s\n", rip, symbol_name(rip, name, sizeof(name)));
	for (i = 0; i < MAX_FRAMES && plausible(rbp); i++) {
		frame = (const uintptr_t *)rbp;
		if (!frame[1])
			break;
		/*
		 * Look up the byte before: a call that never returns may be its function's last
		 * instruction.
		 */
		printk("  %016lx %s\n", frame[1], symbol_name(frame[1] - 1, name, sizeof(name)));
		if (frame[0] <= rbp || frame[0] - rbp > STACK_SPAN)
			break;
		rbp = frame[0];
	}
}

void panic_stop(void)
{
	u32 reporter = READ_ONCE(panic_cpu);

	if (!reporter || reporter == arch_cpu_id() + 1)
		return;
	arch_irq_disable();
	for (;;)
		cpu_relax();
}

void panic_begin(void)
{
	arch_irq_disable();
	if (!atomic_cas(&panic_cpu, 0u, arch_cpu_id() + 1))
		panic_stop();
	console_bust_lock();
	if (!report_at)
		report_at = log_position();
}

static bool given(const char *cmdline, const char *option)
{
	size_t len = strlen(option);

	for (; *cmdline; cmdline++)
		if (strncmp(cmdline, option, len) == 0)
			return true;
	return false;
}

/* RAM that the firmware keeps for itself is unknown, so the size is approximate. */
static void how_to_run_again(void)
{
	u64 ram = 0;
	unsigned i;

	for (i = 0; i < bootinfo.nr_ram; i++)
		ram += bootinfo.ram[i].end - bootinfo.ram[i].start;
	printk("To run it again: make run BOOT=%s CPUS=%u NODES=%u MEM=%lluM CMDLINE=\"%s",
	    bootinfo.path && strcmp(bootinfo.path, "pvh") == 0 ? "pvh" : "grub", nr_cpus,
	    MAX(kernel_memory.nr_nodes, 1u), (unsigned long long)(ram + (1 << 20) - 1) >> 20,
	    bootinfo.cmdline);
	if (run_seed && !given(bootinfo.cmdline, "seed="))
		printk(
		    "%sseed=%#llx", bootinfo.cmdline[0] ? " " : "", (unsigned long long)run_seed);
	printk("\"\n");
}

static void where_all_are(void)
{
	printk("CPU %u: panics\n", arch_cpu_id());
	print_backtrace(0, (uintptr_t)__builtin_frame_address(0));
	arch_backtrace_others();
}

static void (*const parts[])(void) = {
    memory_panic_page,
    memory_panic_events,
    where_all_are,
    how_to_run_again,
};

/* A screen may be too small for the report: its reason is printed again, as the last line. */
static void repeat_reason(void)
{
	u64 at = reason_at;
	char line[CONSOLE_COLUMNS * 3];
	size_t len = log_read(&at, line, sizeof(line) - 1), i;

	for (i = 0; i < len && line[i] != '\n'; i++)
		;
	line[i] = '\0';
	printk("%s\n", line);
}

void panic_pages(void)
{
	u64 end, at = report_at;

	if (!screen_present() || !keyboard_present())
		return;
	printk("panic: any key shows the report from its beginning, page by page\n");
	for (end = log_position();; cpu_relax())
		if (keyboard_getc_in_panic() >= 0) {
			at = screen_page(at < end ? at : report_at, end);
			screen_write("any key: the next page", 22);
		}
}

void panic(const char *fmt, ...)
{
	va_list ap;

	panic_begin();
	if (++panics > MAX_PANICS)
		machine_power_off(false);
	if (!reason_at)
		reason_at = log_position() + 1;
	/* In a second panic the thread may be broken. */
	printk("\nPANIC on CPU %u, thread %s: ", arch_cpu_id(),
	    panics > 1 ? "?, in the report" : thread_name());
	va_start(ap, fmt);
	vprintk(fmt, ap);
	va_end(ap);
	printk("\n");
	while (next_part < ARRAY_SIZE(parts))
		parts[next_part++]();
	if (screen_present())
		repeat_reason();
	machine_power_off(false);
}
