/* SPDX-License-Identifier: MIT */
/*
 * test_play_cpus.c: CPUs are found, started, given up, stopped, parked and woken: the interrupts
 * sent to them, with their times, and their data. The CPUs are simulated: they start when a test
 * wants them to.
 */
#include "tests/host/play_cpus.h"

#define acpi                 firmware
#define cpus                 all
#define nr_cpus              nr_all
#define nr_boot_cpus         nr_first
#define boot_trampoline_page trampoline
#define boot_alloc           zeroed
#define cpu_prepare          prepare
#define cpu_set_absent       absent
#define cpu_load             load
#define cpu_out_of_reach     any_out_of_reach
#define apic_id()            read_id()
#define apic_max_id          max_id
#define apic_send            send
#define apic_enable          enable
#define kernel_ap_entry      enter
#define arch_clock_ns        look
#define arch_tsc             read_tsc
#define clock_compare        compare
#define ioapic_move          move
#define mce_parked           parked
#define smp_call_mask        call
#define cpu_relax            play_turn
#define printk               judge_say
#include "arch/x86_64/smp_boot.c" /* NOLINT(bugprone-suspicious-include): the tested source */
#include "arch/x86_64/flush.c"    /* NOLINT(bugprone-suspicious-include): the tested source */
#include "arch/x86_64/cpu_park.c" /* NOLINT(bugprone-suspicious-include): the tested source */
#undef printk

/* CPUs with the ids 3 (this one), 0x11, 0x22 and 0x33; each clock read takes @tick. */
static void begin(u64 tick)
{
	unsigned i;

	play_begin();
	judge.tick = tick;
	memset(area, 0, sizeof(area));
	memset(comes, 0, sizeof(comes));
	memset(host_ram + PAGE, 0xee, 2 * CODE);
	for (i = 0; i < CODE; i++)
		played_code[i] = (char)(i ^ 0x5a);
	for (i = 0; i < CPUS; i++) {
		areas[i] = &area[i];
		area[i].id = i;
		area[i].apic_id = i ? 0x11 * i : 3;
		area[i].preempt = area[i].irq_depth = area[i].need_resched = 7;
	}
	area[0].started = STARTED_RUNS;
	all = areas;
	nr_all = nr_first = CPUS;
	trampoline = PAGE;
	given_up = starts_at_the_end = false;
}

/* ---- the CPUs that exist ---- */

static void find_cpus(bool slots)
{
	static const struct acpi_cpu found[] = {{0x12, 1, true}, {0x40, 2, false}, {5, 3, true},
	    {0xff, 4, true}, {0x07, 5, true}, {0x100, 6, false}, {0xfe, 7, false},
	    {0x11, 0, false}};

	begin(1);
	memset(pool, 0, sizeof(pool));
	pool_used = 0;
	own_id = 5;
	most = 0xfe;
	play.cpu.apic_id = 0x1234; /* not read yet */
	firmware.nr_all = ARRAY_SIZE(found);
	memcpy(firmware.cpu, found, sizeof(found));
	firmware.cpu_slots_port = slots ? 0xcd8 : 0;
	arch_cpus_init();
}

#define FIRST                                                                                      \
	"CPU 1: id 12, node 1\nsmp: CPU with APIC id 255: above 254, not used\nCPU 2: id 7, node " \
	"5\n"
#define LATER                                                                                      \
	"CPU 3: id 40, node 2\nCPU 3: absent\nsmp: CPU with APIC id 256: above 254, not used\n"    \
	"CPU 4: id fe, node 7\nCPU 4: absent\nCPU 5: id 11, node 0\nCPU 5: absent\n"

static void expect_slots(struct ktest *t, u32 nr)
{
	unsigned i, used = 0;

	EXPECT_EQ(t, ap_nr_slots, nr);
	for (i = 0; i < nr; i++)
		used += ap_slots[i].cpu != NULL;
	EXPECT_EQ(t, used, nr_all - 1);
	for (i = 1; i < nr_all; i++) {
		EXPECT(t, ap_slots[all[i]->apic_id].cpu == all[i]);
		EXPECT_EQ(t, (uintptr_t)all[i] % __alignof__(struct cpu), 0);
		EXPECT(t, ap_slots[all[i]->apic_id].stack_top == pool + i);
	}
}

KTEST_SUITE(play_cpus, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(cpus_are_those_of_the_firmware)
{
	EXPECT_DOES(t, find_cpus(false), FIRST);
	EXPECT_EQ(t, nr_all, 3);
	EXPECT_EQ(t, nr_first, 3);
	EXPECT(t, all[0] == &play.cpu);
	EXPECT_EQ(t, all[0]->apic_id, 5);
	EXPECT_EQ(t, all[0]->node, 3);
	expect_slots(t, 0x13);
	EXPECT_DOES(t, find_cpus(true), FIRST LATER);
	EXPECT_EQ(t, nr_all, 6);
	EXPECT_EQ(t, nr_first, 3);
	expect_slots(t, 0xff);
	/* The largest id is this CPU's. */
	begin(1);
	pool_used = 0;
	own_id = 9;
	firmware.nr_all = 1;
	firmware.cpu[0] = (struct acpi_cpu){9, 2, true};
	EXPECT_DOES(t, arch_cpus_init(), "");
	EXPECT_EQ(t, nr_all, 1);
	EXPECT_EQ(t, ap_nr_slots, 10);
	EXPECT_EQ(t, all[0]->node, 2);
}

/* ---- the trampoline ---- */

static void put(u8 *want, unsigned at, u64 value, unsigned bytes)
{
	memcpy(want + at, &value, bytes);
}

static void expect_trampoline(struct ktest *t)
{
	u8 want[CODE + 16];
	u32 gdt;

	memset(want, 0xee, sizeof(want));
	memcpy(want, played_code, CODE);
	memcpy(&gdt, played_code + 0x62, 4);
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
	EXPECT_EQ(t, play.turns, 1);
	expect_trampoline(t);
	begin(50 * US);
	nr_first = 1; /* the others are absent */
	EXPECT_DOES(t, smp_start_aps(), "");
	begin(50 * US);
	trampoline = 0;
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

KTEST(cpu_with_another_time_is_reported)
{
	unsigned i;

	begin(50 * US);
	for (i = 1; i < CPUS; i++)
		comes[i].at = 100 * US, comes[i].started = STARTED_RUNS;
	comes[1].ahead = -500;
	comes[3].ahead = 500;
	EXPECT_DOES(t, smp_start_aps(), ALL "CPU 1: TSC behind\nCPU 3: TSC ahead\n");
	begin(50 * US);
	comes[2].at = 100 * US, comes[2].started = 1, comes[2].ahead = 500;
	EXPECT(t, arch_cpu_start(2));
	EXPECT_EQ(t, judge_times("CPU 2: TSC ahead\n"), 1);
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
	EXPECT_EQ(t, play.turns, 0);
	expect_trampoline(t);
	EXPECT_DOES(t, arch_cpu_stop(2), "100 us: 4500 to 22, 1\n");
	EXPECT_EQ(t, area[2].started, 0);
	/* Without a page for the trampoline nothing is changed. */
	begin(50 * US);
	area[2].started = 9;
	trampoline = 0;
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

/* The steps of a CPU that comes up.  A CPU that was given up, at any step, goes no further. */
KTEST(a_cpu_comes_up)
{
	irqflags_t flags = arch_irq_save();

	begin(1);
	PLAY_TO_THE_END(1, ap_main(&area[1]));
	EXPECT_SAID(t, "load 1, 1\nAPIC, 1\nenter, 2\n");
	begin(1);
	area[1].started = STARTED_GIVEN_UP;
	PLAY_TO_THE_END(3, ap_main(&area[1]));
	EXPECT_SAID(t, "cli hlt\ncli hlt\ncli hlt\n");
	EXPECT_EQ(t, area[1].started, STARTED_GIVEN_UP);
	begin(1);
	given_up = true;
	PLAY_TO_THE_END(2, ap_main(&area[1]));
	EXPECT_SAID(t, "load 1, 1\nAPIC, 3\ncli hlt\ncli hlt\n");
	EXPECT_EQ(t, area[1].started, STARTED_GIVEN_UP);
	arch_irq_restore(flags);
}

/* ---- offline and back online ---- */

#define FLUSHED "cr4=620\ncr4=6a0\n"

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
	word = 5;
	play.cpu.started = STARTED_RUNS;
	arch_cpu_park(&word, 7);
	arch_irq_restore(flags);
	/*
	 * The CPU reports that it is parked before it passes an interrupt on, and before it checks
	 * its word. It reports that it runs only after its TLB has been emptied.
	 */
	EXPECT_SAID(t, "parked, 4\nhlt\n4\nhlt\n4\n" FLUSHED "lldt\n4\n");
	EXPECT_EQ(t, play.cpu.started, STARTED_RUNS);
	begin(1);
	area[2].started = STARTED_PARKED;
	memcpy(host_ram + PAGE, played_code, 1);
	EXPECT_DOES(t, arch_cpu_unpark(2), "0 us: 4400 to 22, 4, quiet\n");
	EXPECT_DOES(t, arch_irqs_move(1, 3), "lines from 11 to 33\n");
}

KTEST(all_cpus_forget_their_mappings)
{
	begin(1);
	play.cr4 = 0x6a0;
	EXPECT(t, flush_everywhere());
	EXPECT_SAID(t, "call\n" FLUSHED);
	dead = true;
	EXPECT(t, !flush_everywhere());
	dead = false;
	EXPECT(t, rwsem_lock_exclusive_timeout(&cpu_hotplug, 0));
	rwsem_unlock_exclusive(&cpu_hotplug);
}
