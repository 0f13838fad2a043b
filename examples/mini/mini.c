/* SPDX-License-Identifier: MIT */
/*
 * mini.c: a kernel that uses quarry.c: all its CPUs allocate and free pages at once.
 *
 * Owns:       the machine: CPUs, IDT, serial line; the memory that is taken before there are zones.
 * Locks:      calling: one cross-call at a time; out: what one printk prints stays together.
 * Invariants: a call lives on its sender's stack until every CPU asked has run it.
 */
#include "quarry.h"
#include <stdarg.h>

#define CALL_VECTOR 0x40
#define APIC(reg)   (*(volatile u32 *)(0xfee00000UL + (reg)))
#define ROUNDS      20000
#define BLOCK       (PAGEBLOCK_PAGES * PAGE_SIZE)
#define this_cpu    (&cpus[arch_cpu_id()])

struct cpu {
	u32 id;    /* boot.S sets it, arch_cpu_id reads it */
	u32 depth; /* of interrupt handlers; arch_in_interrupt reads it */
	u32 locks; /* held */
	u32 apic;  /* the id of its local APIC */
	struct mm_task task;
	struct call *call;           /* atomic: that it must run */
} __attribute__((aligned(1 << 14))); /* the rest is its stack */
struct call {
	void (*fn)(void *);
	void *arg;
	u32 left; /* atomic: CPUs that have not run fn */
};
struct map_entry {
	u32 size; /* of the rest */
	u64 start, length;
	u32 type; /* 1: RAM */
} __attribute__((packed));
struct frame;

extern char trampoline[], trampoline_end[], image_end[];
void run_kernel(const u32 *info, u64 magic) __attribute__((noreturn));
void run_cpu(void) __attribute__((noreturn));
int porting_check(void) __attribute__((weak)); /* linked in a test of this port */

/* quarry.c uses these, */
unsigned nr_cpus = 1;
cpumask_t *cpu_online_mask = (cpumask_t[CPUMASK_WORDS(NR_CPUS)]){0};
struct rwsem cpu_hotplug = RWSEM("cpu_hotplug");
char mini_pageblocks[RAM_MAX / BLOCK * sizeof(struct pageblock)] __attribute__((aligned(16)));
/* and boot.S these. */
struct cpu cpus[NR_CPUS];
u64 idt[256][2];

static u32 calling, go, done; /* atomic; go: 1 the other CPUs work, 2 they end it */
static struct spinlock out;
static u64 clock_mhz = 1;
static struct memblock boot;

/* ---- the machine ---- */

static void outb(u16 port, u8 value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static u8 inb(u16 port)
{
	u8 value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static void put(char c)
{
	while (!(inb(0x3fd) & 0x20))
		cpu_relax();
	outb(0x3f8, (u8)c);
}

static void __attribute__((noreturn)) stop(unsigned code)
{
	outb(0xf4, (u8)code);
	for (;;)
		__asm__ volatile("cli\n\thlt");
}

/* Wait for @us microseconds, at most 50000, by counter 2 of the PIT. */
static void wait_us(unsigned us)
{
	outb(0x61, 1);    /* it counts; the speaker is off */
	outb(0x43, 0xb0); /* counter 2, mode 0 */
	outb(0x42, (u8)(us * 1193 / 1000));
	outb(0x42, (u8)(us * 1193 / 1000 >> 8));
	while (!(inb(0x61) & 0x20))
		cpu_relax();
}

u64 arch_clock_ns(void)
{
	return __builtin_ia32_rdtsc() * 1000 / clock_mhz;
}

unsigned arch_cpu_node(unsigned cpu)
{
	return 0;
}

/* ---- locks and waiting ---- */

void spin_lock(struct spinlock *lock)
{
	while (!atomic_cas(&lock->locked, 0u, arch_cpu_id() + 1))
		cpu_relax();
	this_cpu->locks++;
}

void spin_unlock(struct spinlock *lock)
{
	this_cpu->locks--;
	store_release(&lock->locked, 0u);
}

irqflags_t spin_lock_irqsave(struct spinlock *lock)
{
	irqflags_t flags = arch_irq_save();

	spin_lock(lock);
	return flags;
}

void spin_unlock_irqrestore(struct spinlock *lock, irqflags_t flags)
{
	spin_unlock(lock);
	arch_irq_restore(flags);
}

bool spin_is_held(const struct spinlock *lock)
{
	return READ_ONCE(lock->locked) == arch_cpu_id() + 1;
}

unsigned spin_depth(void)
{
	return this_cpu->locks;
}

/* No other thread could run here: a thread that waits checks by itself, and needs no wake-up. */
bool wait_until(struct waitq *wq, bool (*cond)(void *), void *arg, u64 timeout_ns)
{
	u64 start = arch_clock_ns();

	while (!cond(arg)) {
		if (timeout_ns != WAIT_FOREVER && arch_clock_ns() - start >= timeout_ns)
			return cond(arg);
		cpu_relax();
	}
	return true;
}

void wake_up_locked(struct waitq *wq, const void *arg)
{
}

struct mm_task *port_task(void)
{
	return &this_cpu->task;
}

/* ---- output, panic ---- */

static void put_number(u64 n, unsigned base)
{
	if (n >= base)
		put_number(n / base, base);
	put("0123456789abcdef"[n % base]);
}

/* Widths are skipped. */
static void print(const char *fmt, va_list ap)
{
	const char *s;
	s64 n;

	for (; *fmt; fmt++) {
		bool wide = false;

		if (*fmt != '%') {
			put(*fmt);
			continue;
		}
		while (*++fmt < 'A' || *fmt == 'l' || *fmt == 'z')
			wide = *fmt >= 'A';
		if (*fmt == 's') {
			for (s = va_arg(ap, const char *); *s; s++)
				put(*s);
			continue;
		}
		wide = wide || *fmt == 'p';
		n = wide ? va_arg(ap, s64) : *fmt == 'd' ? va_arg(ap, int) : va_arg(ap, u32);
		if (*fmt == 'd' && n < 0)
			put('-');
		n = *fmt == 'd' && n < 0 ? -n : n;
		put_number((u64)n, *fmt == 'd' || *fmt == 'u' ? 10 : 16);
	}
}

void printk(const char *fmt, ...)
{
	irqflags_t flags = spin_lock_irqsave(&out);
	va_list ap;

	va_start(ap, fmt);
	print(fmt, ap);
	va_end(ap);
	spin_unlock_irqrestore(&out, flags);
}

void panic(const char *fmt, ...)
{
	va_list ap;

	printk("\nmini: panic: ");
	va_start(ap, fmt);
	print(fmt, ap);
	va_end(ap);
	put('\n');
	memory_panic_page();
	memory_panic_events();
	stop(1);
}

/* ---- interrupts, cross-calls ---- */

/* Send the interrupt @command to the local APIC @id. */
static void send(u32 id, u32 command)
{
	irqflags_t flags = arch_irq_save();

	APIC(0x310) = id << 24;
	APIC(0x300) = command;
	while (APIC(0x300) & 1 << 12)
		cpu_relax();
	arch_irq_restore(flags);
}

__attribute__((interrupt)) static void on_call(struct frame *frame)
{
	struct cpu *cpu = this_cpu;
	struct call *call = atomic_xchg(&cpu->call, NULL);

	APIC(0xb0) = 0; /* end of interrupt */
	cpu->depth++;
	cpu->task.call_again = false;
	call->fn(call->arg);
	cpu->depth--;
	if (cpu->task.call_again) {
		store_release(&cpu->call, call);
		send(cpu->apic, CALL_VECTOR); /* once more, in another interrupt */
	} else {
		atomic_sub(&call->left, 1u); /* the sender may return now */
	}
}

int smp_call_mask(const cpumask_t *mask, void (*fn)(void *), void *arg)
{
	struct call call = {.fn = fn, .arg = arg, .left = 1}; /* 1: the sender's own */
	unsigned self = arch_cpu_id(), cpu;
	irqflags_t flags;
	int asked = 0;

	if (!may_sleep())
		return -EDEADLK;
	while (atomic_xchg(&calling, 1u))
		cpu_relax(); /* interrupts are on: the sender before us may wait for this CPU */
	for (cpu = 0; cpu < nr_cpus; cpu++) {
		if (cpu == self || (mask && !cpumask_test(mask, cpu)) ||
		    !cpumask_test(cpu_online_mask, cpu))
			continue;
		atomic_add(&call.left, 1u);
		store_release(&cpus[cpu].call, &call);
		send(cpus[cpu].apic, CALL_VECTOR);
		asked++;
	}
	do {
		flags = arch_irq_save();
		port_task()->call_again = false;
		if (!mask || cpumask_test(mask, self))
			fn(arg);
		arch_irq_restore(flags);
	} while (port_task()->call_again);
	while (load_acquire(&call.left) > 1)
		cpu_relax();
	store_release(&calling, 0u);
	return asked;
}

/* One of the two words is the instruction's address: some faults push an error code before it. */
__attribute__((interrupt)) static void on_fault(struct frame *frame)
{
	u64 *word = (u64 *)(void *)frame;

	panic("fault: %lx %lx", word[0], word[1]);
}

static void set_gate(unsigned vector, void (*handler)(struct frame *))
{
	u64 at = (u64)handler;

	idt[vector][0] = (at & 0xffff) | 0x8e0000080000 | (at >> 16 & 0xffff) << 48;
	idt[vector][1] = at >> 32;
}

/* ---- CPUs ---- */

static void join(void)
{
	this_cpu->apic = APIC(0x20) >> 24;
	APIC(0xf0) = 0x1ff; /* on */
	__asm__ volatile("sti" : : : "memory");
	cpumask_set(cpu_online_mask, arch_cpu_id());
}

static void start_machine(void)
{
	u64 since = __builtin_ia32_rdtsc();
	unsigned i;

	wait_us(10000);
	clock_mhz = MAX((__builtin_ia32_rdtsc() - since) / 10000, 1ULL);
	for (i = 0; i < 32; i++)
		set_gate(i, on_fault);
	set_gate(CALL_VECTOR, on_call);
	outb(0x21, 0xff); /* the old controllers send nothing */
	outb(0xa1, 0xff);
	join();
}

/* All other CPUs start at once; they call run_cpu. */
static void start_cpus(void)
{
	unsigned cpu;

	memcpy((void *)0x8000, trampoline, trampoline_end - trampoline);
	if (nr_cpus > 1) {
		send(0, 0xc4500); /* INIT, to all but this one */
		wait_us(10000);
		send(0, 0xc4608); /* start up, in page 8 */
		wait_us(200);
		send(0, 0xc4608); /* again, for those that missed it */
	}
	for (cpu = 1; cpu < nr_cpus; cpu++) {
		while (!cpumask_test(cpu_online_mask, cpu))
			cpu_relax();
	}
}

/* ---- the kernel ---- */

/* The loader's map of memory, and the last character of its command line: the number of CPUs. */
static void read_info(const u32 *info)
{
	const char *line = (const char *)(u64)info[4];
	u64 at = info[12], end = at + info[11];

	while (*line && line[1])
		line++;
	nr_cpus = *line > '1' && *line <= '0' + NR_CPUS ? *line - '0' : 1;
	for (; at < end; at += ((struct map_entry *)at)->size + 4) {
		struct map_entry *e = (void *)at;

		printk("mini: %lx to %lx: %s\n", e->start, e->start + e->length,
		    e->type == 1 ? "RAM" : "reserved");
		if (e->type == 1)
			memblock_add(&boot, e->start, MIN(e->start + e->length, RAM_MAX));
	}
	memblock_reserve(&boot, 0, 0x10000); /* the firmware's data, the trampoline */
	memblock_reserve(&boot, 0x100000, (u64)image_end);
}

/* memory_ready calls it too, when all of memblock's memory has been handed over. */
static void *alloc_once(void *arg, size_t bytes)
{
	static char once[32768 * NR_CPUS] __attribute__((aligned(64)));
	static size_t used;

	used += ALIGN_UP(bytes, 64);
	return used <= sizeof(once) ? once + used - ALIGN_UP(bytes, 64) : NULL;
}

static int start_memory(void)
{
	static struct pageblock_tree trees[RAM_MAX / BLOCK];
	pfn_t end = ALIGN_UP(boot.ram.range[boot.ram.nr - 1].end, BLOCK) >> PAGE_SHIFT;
	struct memory_config cfg = {
	    .name = "mini",
	    .memmap = ARCH_MEMMAP,
	    .pageblocks = ARCH_PAGEBLOCKS,
	    .trees = trees,
	    .end_pfn = end,
	    .nr_cpus = nr_cpus,
	    .nr_nodes = 1,
	    .backed = true,
	    .alloc = alloc_once,
	};
	struct memblock_range free = {0, 0}, *ram;
	u64 size = end * sizeof(struct page), at = (u64)ARCH_MEMMAP;
	int err;

	if (memblock_alloc(&boot, size, PAGE_SIZE, at, at + size) != at)
		panic("no RAM at %lx for %lu bytes of descriptors", at, size);
	memset(ARCH_MEMMAP, 0, size);
	err = memory_init(&kernel_memory, &cfg);
	err = err ? err : memory_add_zone(&kernel_memory, 0, ZONE_NORMAL, 0, end);
	if (err)
		return err;
	for (ram = boot.ram.range; ram < boot.ram.range + boot.ram.nr; ram++)
		memory_add_ram(&kernel_memory, ram->start >> PAGE_SHIFT, ram->end >> PAGE_SHIFT);
	boot.closed = true;
	while (memblock_next_free(&boot, free.end, &free))
		memory_free_range(&kernel_memory, free.start >> PAGE_SHIFT, free.end >> PAGE_SHIFT);
	return memory_ready(&kernel_memory);
}

/*
 * Allocate and free at random.  CPU 0 drains all caches now and then and returns the number of its
 * IPIs; the others go on until it stops them.
 */
static int work(void)
{
	struct page *kept[64] = {NULL};
	u32 cpu = arch_cpu_id(), random = cpu, i, slot, last = 0;
	int ipis = 0;

	for (i = 0; last < 64; i++) {
		bool ends = i >= ROUNDS && (cpu == 0 || load_acquire(&go) == 2);

		random = random * 1664525 + 1013904223;
		slot = ends ? last++ : random >> 26;
		if (kept[slot]) {
			if (*(u64 *)page_address(kept[slot]) != ((u64)cpu << 32 | slot) ||
			    free_pages(kept[slot], slot % 4))
				panic("CPU %u: its block is not its own", cpu);
			kept[slot] = NULL;
		} else if (!ends && (kept[slot] = alloc_pages(GFP_KERNEL, slot % 4))) {
			*(u64 *)page_address(kept[slot]) = (u64)cpu << 32 | slot;
		}
		if (cpu == 0 && i % 1000 == 0)
			ipis += drain_all_pages(&kernel_memory, NULL);
	}
	return ipis;
}

void run_cpu(void)
{
	if (arch_cpu_id() < nr_cpus) {
		join();
		while (!load_acquire(&go))
			cpu_relax();
		work();
		atomic_add(&done, 1u);
	}
	for (;;)
		__asm__ volatile("hlt");
}

static unsigned long free_now(void)
{
	return kernel_memory.zones[ZONE_NORMAL].nr_free;
}

void run_kernel(const u32 *info, u64 magic)
{
	unsigned long before;
	int err, ipis;

	if (magic != 0x2badb002 || (info[0] & 0x44) != 0x44)
		panic("no multiboot, no command line or no map of memory");
	read_info(info);
	start_machine();
	start_cpus();
	if (porting_check && porting_check())
		panic("the port is wrong");
	err = start_memory();
	err = err ? err : memory_start(&kernel_memory);
	if (err)
		panic("no memory: error %d", err);
	before = free_now();
	printk("mini: %u CPU%s, %lu pages free\n", nr_cpus, nr_cpus > 1 ? "s" : "", before);
	store_release(&go, 1u);
	ipis = work();
	store_release(&go, 2u);
	while (load_acquire(&done) < nr_cpus - 1)
		cpu_relax();
	printk("mini: %lu pages in caches\n", before - free_now());
	ipis += drain_all_pages(&kernel_memory, NULL);
	printk("mini: %lu pages free; IPIs: %d\n", free_now(), ipis);
	if (free_now() != before || (unsigned)ipis < nr_cpus - 1)
		panic("pages or IPIs are missing");
	printk("mini: ok\n");
	stop(0x10);
}
