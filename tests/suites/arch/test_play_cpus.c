/* SPDX-License-Identifier: MIT */
/*
 * test_play_cpus.c: CPUs are found, started, given up, stopped, parked and woken: the interrupts
 * sent to them, with their times, and their data. The CPUs are simulated: they start when a test
 * wants them to.
 */
#include "tests/host/play_help.h"

#include <quarry/hotplug.h>
#include <quarry/lock.h>
#include <quarry/machine.h>
#include <quarry/smp.h>

#define CPUS 4u
#define PAGE 0x7000u /* address of the trampoline */
#define US   1000ULL
#define SEC  1000000000ULL

extern char boot_pml4[], ap_entry64[];

static struct cpu area[CPUS], *areas[HOST_MAX_CPUS];
static struct {
	u64 at; /* time at which the CPU starts, in ns; 0: never */
	u32 started;
	s64 ahead; /* of its time stamp counter */
} comes[CPUS];
static bool starts_at_the_end; /* CPU 1, after its last interrupt */

/* Note the time, the target's state, and whether the trampoline is in its place. */
static void send(u32 dest, u32 low)
{
	unsigned i;

	judge_note("%llu us: %x to %x%s", play_llu(judge.now / US), low, dest,
	    host_ram[PAGE] == play_code[0] ? "" : ", no page");
	for (i = 1; i < CPUS; i++) {
		if (area[i].apic_id == dest)
			judge_note(", %u%s%s", area[i].started,
			    area[i].quiet_until == judge.now + 100000 * US ? ", quiet" : "",
			    low == 0x4500 && area[i].preempt ? ", in use" : "");
	}
	if (starts_at_the_end && judge.now > 5 * SEC)
		area[1].started = 1;
	judge_note("\n");
}

static void pass(u64 now)
{
	unsigned i;

	play.tsc = 1000 + now / US;
	for (i = 0; i < CPUS; i++) {
		if (comes[i].at && now >= comes[i].at) {
			area[i].started = comes[i].started;
			area[i].start_tsc = play.tsc + (u64)comes[i].ahead;
			comes[i].at = 0;
		}
	}
}

/* CPUs with the ids 3 (this one), 0x11, 0x22 and 0x33; each clock read takes @tick. */
static void begin(u64 tick)
{
	unsigned i;

	play_begin();
	play_apics(1);
	play_timed(tick);
	play.sent = send;
	play.clocked = pass;
	play.tsc = 1000;
	clock_tsc_hz = 1000000;
	memset(area, 0, sizeof(area));
	memset(comes, 0, sizeof(comes));
	memset(host_ram + PAGE, 0xee, 2 * PLAY_CODE);
	for (i = 0; i < PLAY_CODE; i++)
		play_code[i] = (char)(i ^ 0x5a);
	for (i = 0; i < CPUS; i++) {
		areas[i] = &area[i];
		area[i].id = i;
		area[i].apic_id = i ? 0x11 * i : 3;
		area[i].preempt = area[i].irq_depth = area[i].need_resched = 7;
	}
	area[0].started = STARTED_RUNS;
	cpus = areas;
	nr_boot_cpus = CPUS;
	boot_trampoline_page = PAGE;
	starts_at_the_end = false;
}

/* ---- the CPUs that exist ---- */

static unsigned find_cpus(bool slots)
{
	static const struct acpi_cpu found[] = {{0x12, 1, true}, {0x40, 2, false}, {5, 3, true},
	    {0xff, 4, true}, {0x07, 5, true}, {0x100, 6, false}, {0xfe, 7, false},
	    {0x11, 0, false}};

	begin(1);
	play_pool_clear();
	play.lapic[0x20 / 4] = 5 << 24;
	play.cpu.apic_id = 0x1234; /* not read yet */
	acpi.nr_cpus = ARRAY_SIZE(found);
	memcpy(acpi.cpu, found, sizeof(found));
	acpi.cpu_slots_port = slots ? 0xcd8 : 0;
	return cpus_find();
}

#define FIRST                                                                                      \
	"CPU 1: id 12, node 1\nsmp: CPU with APIC id 255: above 254, not used\nCPU 2: id 7, node " \
	"5\n"
#define LATER                                                                                      \
	"CPU 3: id 40, node 2\nCPU 3: absent\nsmp: CPU with APIC id 256: above 254, not used\n"    \
	"CPU 4: id fe, node 7\nCPU 4: absent\nCPU 5: id 11, node 0\nCPU 5: absent\n"

static void expect_slots(struct ktest *t, unsigned found, u32 nr)
{
	unsigned i, used = 0;

	EXPECT_EQ(t, ap_nr_slots, nr);
	for (i = 0; i < nr; i++)
		used += ap_slots[i].cpu != NULL;
	EXPECT_EQ(t, used, found - 1);
	for (i = 1; i < found; i++) {
		EXPECT(t, ap_slots[cpus[i]->apic_id].cpu == cpus[i]);
		EXPECT_EQ(t, (uintptr_t)cpus[i] % __alignof__(struct cpu), 0);
		EXPECT(t, ap_slots[cpus[i]->apic_id].stack_top == play_stack(i));
	}
}

KTEST_SUITE(play_cpus, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(cpus_are_those_of_the_firmware)
{
	EXPECT_CALL(t, find_cpus(false), 3, FIRST);
	EXPECT_EQ(t, nr_boot_cpus, 3);
	EXPECT(t, cpus[0] == &play.cpu);
	EXPECT_EQ(t, cpus[0]->apic_id, 5);
	EXPECT_EQ(t, cpus[0]->node, 3);
	expect_slots(t, 3, 0x13);
	EXPECT_CALL(t, find_cpus(true), 6, FIRST LATER);
	EXPECT_EQ(t, nr_boot_cpus, 3);
	expect_slots(t, 6, 0xff);
	/* The largest id is this CPU's. */
	begin(1);
	play_pool_clear();
	play.lapic[0x20 / 4] = 9 << 24;
	acpi.nr_cpus = 1;
	acpi.cpu[0] = (struct acpi_cpu){9, 2, true};
	EXPECT_CALL(t, cpus_find(), 1, "");
	EXPECT_EQ(t, ap_nr_slots, 10);
	EXPECT_EQ(t, cpus[0]->node, 2);
}

/* ---- the trampoline ---- */

static void put(u8 *want, unsigned at, u64 value, unsigned bytes)
{
	memcpy(want + at, &value, bytes);
}

static void expect_trampoline(struct ktest *t)
{
	u8 want[PLAY_CODE + 16];
	u32 gdt;

	memset(want, 0xee, sizeof(want));
	memcpy(want, play_code, PLAY_CODE);
	memcpy(&gdt, play_code + 0x62, 4);
	put(want, 0x62, gdt + PAGE, 4);
	put(want, 0x70, PAGE + 0x20, 4);
	put(want, 0x7c, PAGE + 0x34, 4);
	put(want, 0x88, (uintptr_t)boot_pml4 - 0xffffffff80000000, 4);
	put(want, 0x90, (uintptr_t)ap_entry64, 8);
	EXPECT(t, !memcmp(host_ram + PAGE, want, sizeof(want)));
}

/* ---- all CPUs at once ---- */

#define ALL "0 us: c4500 to 0\n0 us: c4607 to 0\n"

KTEST(all_cpus_start_by_one_broadcast)
{
	unsigned i;

	begin(50 * US);
	for (i = 1; i < CPUS; i++)
		comes[i].at = 50 * US * i, comes[i].started = STARTED_RUNS;
	EXPECT_DOES(t, smp_start_aps(), ALL);
	EXPECT_EQ(t, judge.now, 150 * US);
	expect_trampoline(t);
	begin(50 * US);
	nr_boot_cpus = 1; /* the others are absent */
	EXPECT_DOES(t, smp_start_aps(), "");
	begin(50 * US);
	boot_trampoline_page = 0;
	area[2].started = STARTED_RUNS;
	smp_start_aps();
	EXPECT_SAID(t,
	    "smp: no free page below 640 KiB for the other CPUs to start in\n"
	    "smp: CPU 1 (APIC id 17) did not start\nsmp: CPU 3 (APIC id 51) did not start\n");
	EXPECT(t, area[1].started == STARTED_GIVEN_UP && area[3].started == STARTED_GIVEN_UP);
}

/*
 * A CPU that has not started after 200 us gets another interrupt, and further ones each time the
 * wait has doubled: an old CPU needs one 10 ms after its INIT. If the CPU starts within five
 * seconds, it is used.
 */
KTEST(late_cpus_get_further_start_up_interrupts)
{
	begin(50 * US);
	comes[1].at = 50 * US, comes[1].started = STARTED_RUNS;
	comes[2].at = 100 * US, comes[2].started = 1;
	comes[3].at = 5250 * 1000 * US, comes[3].started = STARTED_RUNS;
	area[2].started = 0;
	judge.tick = 50 * US;
	smp_start_aps();
	EXPECT_EQ(t, judge_times("\n250 us: 4607 to 33, 0\n450 us: 4607 to 33, 0\n"), 1);
	EXPECT_EQ(t, judge_times("\n12850 us: 4607 to 33, 0\n"), 1);
	EXPECT_EQ(t, judge_times(" to 33, 0\n"), 15);
	EXPECT_EQ(t, judge_times(" to "), 17);
	EXPECT_EQ(t, judge_times("smp: CPU 3 (APIC id 51) did not start\n"), 1);
	EXPECT_EQ(t, judge_times("smp: CPU 2 (APIC id 34) hangs in start-up\n"), 1);
	EXPECT_EQ(t, judge_times("smp: "), 2);
	EXPECT_EQ(t, judge.now, 5000050 * US);
	EXPECT(t, area[2].started == STARTED_GIVEN_UP && area[3].started == STARTED_GIVEN_UP);
	begin(50 * US);
	comes[1].at = comes[2].at = 250 * US;
	comes[3].at = 5000050 * US;
	comes[1].started = comes[2].started = comes[3].started = STARTED_RUNS;
	smp_start_aps();
	EXPECT_EQ(t, judge_times("smp: ") + judge_times(" to 11") + judge_times(" to 22"), 0);
	EXPECT_EQ(t, judge.now, 5000050 * US);
}

#define ANOTHER_TIME(cpu, how) "clock: the time stamp counter of CPU " #cpu " is " how "\n"

KTEST(cpu_with_another_time_is_reported)
{
	unsigned i;

	begin(50 * US);
	for (i = 1; i < CPUS; i++)
		comes[i].at = 100 * US, comes[i].started = STARTED_RUNS;
	comes[1].ahead = -500;
	comes[3].ahead = 500;
	EXPECT_DOES(t, smp_start_aps(),
	    ALL ANOTHER_TIME(1, "400 us or more behind") ANOTHER_TIME(3, "500 us or more ahead"));
	begin(50 * US);
	comes[2].at = 100 * US, comes[2].started = 1, comes[2].ahead = 500;
	EXPECT(t, arch_cpu_start(2));
	EXPECT_EQ(t, judge_times(ANOTHER_TIME(2, "500 us or more ahead")), 1);
	PLAY_TO_THE_END(1, ap_main(&area[1]));
	EXPECT_EQ(t, area[1].start_tsc, 1100);
}

/* ---- one by one ---- */

KTEST(one_cpu_is_started_and_stopped)
{
	begin(50 * US);
	area[2].started = STARTED_GIVEN_UP;
	comes[2].at = 100 * US, comes[2].started = 1;
	EXPECT(t, arch_cpu_start(2));
	EXPECT_SAID(t, "0 us: 4500 to 22, 0\n0 us: 4607 to 22, 0\n");
	EXPECT_EQ(t, area[2].preempt + area[2].irq_depth + area[2].need_resched, 0);
	EXPECT_EQ(t, area[1].preempt, 7);
	EXPECT_EQ(t, area[2].started, 1);
	expect_trampoline(t);
	EXPECT_DOES(t, arch_cpu_stop(2), "100 us: 4500 to 22, 1\n");
	EXPECT_EQ(t, area[2].started, 0);
	/* Without a page for the trampoline nothing is changed. */
	begin(50 * US);
	area[2].started = 9;
	boot_trampoline_page = 0;
	EXPECT(t, !arch_cpu_start(2));
	EXPECT_SAID(t, "");
	EXPECT_EQ(t, area[2].started, 9);
}

/* It gets interrupts as at the boot, and is stopped unless it has just begun to start. */
KTEST(cpu_that_does_not_start_is_stopped)
{
	begin(100 * US);
	comes[1].at = 850 * US, comes[1].started = 1;
	EXPECT(t, arch_cpu_start(1));
	EXPECT_SAID(t,
	    "0 us: 4500 to 11, 0\n0 us: 4607 to 11, 0\n300 us: 4607 to 11, 0\n500 us: 4607 to 11, "
	    "0\n");
	EXPECT_EQ(t, judge.now, 900 * US);
	begin(SEC);
	EXPECT(t, !arch_cpu_start(1));
	EXPECT_EQ(t, judge.now, 6 * SEC);
	EXPECT_EQ(t, judge_times("6000000 us: 4500 to 11, 3\n"), 1);
	EXPECT_EQ(t, area[1].started, 0);
	/* It starts between the last look and the end. */
	begin(6 * SEC);
	starts_at_the_end = true;
	EXPECT(t, arch_cpu_start(1));
	EXPECT_EQ(t, judge_times(": 4500 to 11"), 1);
	EXPECT_EQ(t, area[1].started, 1);
}

static void give_up(struct cpu *cpu)
{
	cpu->started = STARTED_GIVEN_UP;
}

#define APIC_ON "msr 1b=fee00900\n80=0\nf0=1ff\n320=10000\n350=10000\n360=400\n370=10000\nb0=0\n"
#define STOPPED "cli hlt\ncli hlt\n"

/* The steps of a CPU that comes up.  A CPU that was given up, at any step, goes no further. */
KTEST(a_cpu_comes_up)
{
	irqflags_t flags = arch_irq_save();

	begin(1);
	PLAY_TO_THE_END(1, ap_main(&area[1]));
	EXPECT_SAID(t, "load 1, 1\n" APIC_ON "enter\n");
	EXPECT_EQ(t, area[1].started, STARTED_RUNS);
	begin(1);
	area[1].started = STARTED_GIVEN_UP;
	PLAY_TO_THE_END(2, ap_main(&area[1]));
	EXPECT_SAID(t, STOPPED);
	EXPECT_EQ(t, area[1].started, STARTED_GIVEN_UP);
	begin(1);
	play.loaded = give_up;
	PLAY_TO_THE_END(2, ap_main(&area[1]));
	EXPECT_SAID(t, "load 1, 1\n" APIC_ON STOPPED);
	EXPECT_EQ(t, area[1].started, STARTED_GIVEN_UP);
	arch_irq_restore(flags);
}

/* ---- offline and back online ---- */

static u32 word;

static void look_at_state(void)
{
	judge_note("%u\n", play.cpu.started);
	word++;
}

KTEST(a_cpu_is_parked_and_woken)
{
	irqflags_t flags = arch_irq_save();

	begin(1);
	play.noted = look_at_state;
	play.cr4 = 0x6a0;
	play.mce_started = true;
	play.lapic[0x270 / 4] = 1; /* an interrupt is pending */
	word = 5;
	play.cpu.started = STARTED_RUNS;
	arch_cpu_park(&word, 7);
	arch_irq_restore(flags);
	/*
	 * The CPU reports that it is parked before it passes an interrupt on, and before it checks
	 * its word.  It reports that it runs only after its TLB has been emptied.
	 */
	EXPECT_SAID(
	    t, "0 us: 404f to 3, no page\nhlt\n4\nhlt\n4\ncr4=620\n4\ncr4=6a0\n4\nlldt\n4\n");
	EXPECT_EQ(t, play.cpu.started, STARTED_RUNS);
	begin(1);
	area[2].started = STARTED_PARKED;
	memcpy(host_ram + PAGE, play_code, 1);
	EXPECT_DOES(t, arch_cpu_unpark(2), "0 us: 4400 to 22, 4, quiet\n");
	play.redirect[0][0x10] = 0x43;
	play.redirect[0][0x11] = 0x11000000;
	EXPECT_DOES(t, arch_irqs_move(1, 3), "io0 11=33000000\n");
}

KTEST(interrupts_move_to_a_cpu_that_an_io_apic_can_name)
{
	begin(1);
	area[2].apic_id = 0x100;
	play.redirect[0][0x10] = 0x43;
	play.redirect[0][0x11] = 0x11000000;
	EXPECT_DOES(t, arch_irqs_move(1, 2), "io0 11=3000000\n");
	play.redirect[0][0x11] = 0x3000000;
	EXPECT_DOES(t, arch_irqs_move(0, 2), "io0 11=11000000\n");
}

static void look_at_lock(void)
{
	if (!rwsem_is_held(&cpu_hotplug))
		judge_note("a CPU may come online now\n");
}

KTEST(all_cpus_forget_their_mappings)
{
	begin(1);
	play.noted = look_at_lock;
	play.cr4 = 0x6a0;
	EXPECT(t, flush_everywhere());
	EXPECT_SAID(t, "cr4=620\ncr4=6a0\n");
	play.out_of_reach = true;
	EXPECT(t, !flush_everywhere());
	EXPECT(t, !rwsem_is_held(&cpu_hotplug));
}
