/* SPDX-License-Identifier: MIT */
/*
 * play_cpus.h: simulated CPUs for the suite play_cpus, which includes the sources that start them:
 * they start when the test wants them to, and each interrupt sent to them is noted.
 */
#ifndef QUARRY_TESTS_PLAY_CPUS_H
#define QUARRY_TESTS_PLAY_CPUS_H

#include "tests/host/play_help.h"
#include <quarry/acpi.h>
#include <quarry/hotplug.h>
#include <quarry/lock.h>
#include <quarry/machine.h>
#include <quarry/smp.h>
#include <quarry/string.h>

#define CPUS 4u
#define PAGE 0x7000u /* address of the trampoline */
#define CODE 0xb0u   /* size of the trampoline */
#define US   1000ULL
#define SEC  1000000000ULL

/* The trampoline: the offsets of its parts count, not their content. */
extern char played_code[];
char played_code[CODE + 1];
char boot_pml4[8], ap_entry64[8];
__asm__(".globl ap_trampoline, ap_trampoline_end, ap_start32, ap_start64\n"
        ".globl ap_slot_gdtr, ap_slot_far32, ap_slot_far64, ap_slot_cr3, ap_slot_entry\n"
        ".set ap_trampoline, played_code\n"
        ".set ap_start32, played_code + 0x20\n"
        ".set ap_start64, played_code + 0x34\n"
        ".set ap_slot_gdtr, played_code + 0x60\n"
        ".set ap_slot_far32, played_code + 0x70\n"
        ".set ap_slot_far64, played_code + 0x7c\n"
        ".set ap_slot_cr3, played_code + 0x88\n"
        ".set ap_slot_entry, played_code + 0x90\n"
        ".set ap_trampoline_end, played_code + 0xb0\n");

static struct cpu area[CPUS], *areas[CPUS], **all;
static unsigned nr_all, nr_first;
static struct {
	struct acpi_cpu cpu[8];
	unsigned nr_all; /* nr_cpus in the source, where a macro renames it */
	u16 cpu_slots_port;
} firmware;
static phys_t trampoline;
static u8 pool[65536] __attribute__((aligned(256)));
static size_t pool_used;
static u32 own_id, most;
static struct {
	u64 at; /* time at which the CPU starts, in ns; 0: never */
	u32 started;
	s64 ahead; /* of its time stamp counter */
} comes[CPUS];
static bool given_up; /* a CPU is given up while it loads its tables */

static void *zeroed(size_t bytes, size_t align)
{
	void *at = pool + ALIGN_UP(pool_used, align);

	if (align < 8 || align > 256 || align & (align - 1) ||
	    pool_used + align + bytes > sizeof(pool))
		panic("no room for %lu bytes, aligned to %lu", (unsigned long)bytes,
		    (unsigned long)align);
	pool_used = ALIGN_UP(pool_used, align) + bytes;
	return at;
}

static void prepare(struct cpu *cpu)
{
	judge_note("CPU %u: id %x, node %u\n", cpu->id, cpu->apic_id, cpu->node);
	cpu->boot_stack_top = pool + cpu->id;
}

static void absent(struct cpu *cpu)
{
	judge_note("CPU %u: absent\n", cpu->id);
}

static u32 read_id(void)
{
	return own_id;
}

static u32 max_id(void)
{
	return most;
}

/*
 * Note the time, the state that the target has stored, and whether the trampoline is in its place.
 */
static bool starts_at_the_end; /* CPU 1, after its last interrupt */

static void send(u32 dest, u32 low)
{
	unsigned i;

	judge_note("%llu us: %x to %x%s", play_llu(judge.now / US), low, dest,
	    host_ram[PAGE] == played_code[0] ? "" : ", no page");
	for (i = 0; i < CPUS; i++) {
		if (areas[i] && areas[i]->apic_id == dest && i)
			judge_note(", %u%s", areas[i]->started,
			    areas[i]->quiet_until == judge.now + 100000 * US ? ", quiet" : "");
	}
	if (starts_at_the_end && judge.now > 5 * SEC)
		areas[1]->started = 1;
	judge_note("\n");
}

static u64 read_tsc(void)
{
	return 1000 + judge.now / US;
}

static u64 look(void)
{
	u64 now = judge_clock();
	unsigned i;

	for (i = 0; i < CPUS; i++) {
		if (comes[i].at && now >= comes[i].at) {
			areas[i]->started = comes[i].started;
			areas[i]->start_tsc = read_tsc() + (u64)comes[i].ahead;
			comes[i].at = 0;
		}
	}
	return now;
}

/* The time stamp counters of two CPUs are compared. */
static void compare(unsigned cpu, u64 before, u64 at, u64 after)
{
	if (at < before || at > after)
		judge_note("CPU %u: TSC %s\n", cpu, at < before ? "behind" : "ahead");
}

static void load(struct cpu *cpu)
{
	judge_note("load %u, %u\n", cpu->id, cpu->started);
	if (given_up)
		cpu->started = STARTED_GIVEN_UP;
}

static void enable(void)
{
	judge_note("APIC, %u\n", area[1].started);
}

static void enter(void) __attribute__((noreturn));
static void enter(void)
{
	judge_note("enter, %u\n", area[1].started);
	longjmp(play.end, 1);
}

static void parked(void)
{
	judge_note("parked, %u\n", play.cpu.started);
}

static void move(u32 from, u32 to)
{
	judge_note("lines from %x to %x\n", from, to);
}

static bool dead; /* a CPU is */

static bool any_out_of_reach(void)
{
	return dead;
}

static void call(const cpumask_t *mask, void (*fn)(void *arg), void *arg)
{
	judge_note("call%s\n",
	    mask || rwsem_lock_exclusive_timeout(&cpu_hotplug, 0) ? " some, or unlocked" : "");
	fn(arg);
}

#endif
