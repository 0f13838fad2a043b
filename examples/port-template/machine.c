/* SPDX-License-Identifier: MIT */
/*
 * machine.c: the machine of this port: clock, nodes, interrupts between CPUs, console; and the
 * functions of a C library.
 *
 * As it is, the machine is a Linux process without a C library, of one CPU: so this directory can
 * be run where it is compiled, also with -m32.
 *
 * Owns:       nr_cpus, the arrays behind the kernel's own memory.
 * Locks:      none.
 * Invariants: none.
 */
#include "port.h"
#include "layout.h"

unsigned nr_cpus = 1;
char port_memmap[PORT_PAGES * sizeof(struct page)] __attribute__((aligned(16)));
char port_pageblocks[PORT_PAGES / PAGEBLOCK_PAGES * sizeof(struct pageblock)]
    __attribute__((aligned(16)));
struct pageblock_tree port_trees[PORT_PAGES / PAGEBLOCK_PAGES];
char port_ram[PORT_PAGES * PAGE_SIZE] __attribute__((aligned(4096)));

/*
 * Write: nanoseconds since some moment; it never goes back on one CPU.  Here each call takes a
 * microsecond.
 */
u64 arch_clock_ns(void)
{
	static u64 now;

	return atomic_add(&now, 1000ULL) + 1000;
}

/* Write: the NUMA node of @cpu; 0 where there are none. */
unsigned arch_cpu_node(unsigned cpu)
{
	return 0;
}

/*
 * Write: raise the call interrupt on @cpu.  Here each CPU checks by itself, in cpu_relax and when
 * interrupts are turned on.
 */
void port_send_interrupt(unsigned cpu)
{
}

/*
 * Write: start the other CPUs.  Each CPU sets its bit of cpu_online_mask once its call interrupt is
 * live.
 */
void port_start(unsigned cpus)
{
	nr_cpus = MIN(cpus, 1u);
}

/* ---- the process ---- */

static long linux_call(long nr, long a, long b, long c)
{
	long result;

#ifdef __x86_64__
	__asm__ volatile("syscall"
	                 : "=a"(result)
	                 : "a"(nr), "D"(a), "S"(b), "d"(c)
	                 : "rcx", "r11", "memory");
#else
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(nr), "b"(a), "c"(b), "d"(c) : "memory");
#endif
	return result;
}

/* Write: print on your console. */
void port_console(const char *text, size_t len)
{
	linux_call(sizeof(long) == 8 ? 1 : 4, 1, (long)text, (long)len);
}

/* Write: stop all CPUs. */
void port_halt(int status)
{
	for (;;)
		linux_call(sizeof(long) == 8 ? 60 : 1, status, 0, 0);
}

int main(void);
void _start(void);

/* The entry point of the process.  Write: nothing; your kernel has its own entry point. */
__attribute__((force_align_arg_pointer)) void _start(void)
{
	port_halt(main());
}

/*
 * ---- the string functions, if your kernel has none: a barrier keeps compilers from turning a loop
 * into a call of its own function ----
 */

void *memcpy(void *dst, const void *src, size_t n)
{
	return memmove(dst, src, n);
}

void *memmove(void *dst, const void *src, size_t n)
{
	const char *from = src;
	char *to = dst;
	size_t i;

	for (i = 0; i < n; i++) {
		size_t at = to < from ? i : n - 1 - i;

		to[at] = from[at];
		__asm__ volatile("" : : : "memory");
	}
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	char *to = dst;
	size_t i;

	for (i = 0; i < n; i++) {
		to[i] = (char)c;
		__asm__ volatile("" : : : "memory");
	}
	return dst;
}
