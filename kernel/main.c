/* SPDX-License-Identifier: MIT */
/*
 * main.c: the boot order, as one list.
 *
 * Owns:       the order; every init function of the kernel is called from here.
 * Locks:      none.
 * Invariants: the list is the only start-up order: there are no constructors and no init sections.
 * Tests:      tests/qemu/test_start.py, tests/qemu/test_boot.py, tests/qemu/test_panic.py.
 */
#include "demo/demo.h"
#include "demo/live.h"
#include "kernel/boot_memory.h"
#include "kernel/cma_area.h"
#include "kernel/hotplug_state.h"

#include "x86.h"
#include <quarry/acpi.h>
#include <quarry/bootfile.h>
#include <quarry/bootinfo.h>
#include <quarry/cmdline.h>
#include <quarry/console.h>
#include <quarry/hotplug.h>
#include <quarry/ktest.h>
#include <quarry/machine.h>
#include <quarry/mce.h>
#include <quarry/mm.h>
#include <quarry/isolation.h>
#include <quarry/memory_init.h>
#include <quarry/oom.h>
#include <quarry/panic.h>
#include <quarry/plural.h>
#include <quarry/remarks.h>
#include <quarry/sched.h>
#include <quarry/smp.h>
#include <quarry/task.h>
#include <quarry/user.h>
#include <quarry/virtio.h>

#define AP_NS 60000000000ULL /* the longest time from a CPU's start until it is online */

static void machine_summary(void)
{
	unsigned online = nr_cpus_online();

	printk("machine: %u CPU%s online of %u, %u node%s, %lu MiB managed\n", online,
	    plural(online), nr_cpus, kernel_memory.nr_nodes, plural(kernel_memory.nr_nodes),
	    memory_managed_pages(&kernel_memory) >> (20 - PAGE_SHIFT));
	printk("ring 3: SMEP %s, SMAP %s, FPU registers by %s\n",
	    arch_has_smep() ? "on" : "not there", arch_has_smap() ? "on" : "not there",
	    arch_has_xsave() ? "XSAVE" : "FXSAVE");
}

/*
 * A CPU goes online a moment after it can be interrupted (started is 2); no code may count the
 * online CPUs before that.
 */
static void wait_for_aps(void)
{
	unsigned cpu;

	for (cpu = 0; cpu < nr_cpus; cpu++)
		if (READ_ONCE(cpus[cpu]->started) == 2 && !cpu_wait_online(cpu, AP_NS))
			panic("boot: CPU %u has started, but does not come online", cpu);
}

/*
 * The final page tables use no-execute pages.  boot.S comes here without them, because from here on
 * the reason can be read on the screen.
 */
static void need_no_execute(void)
{
	if (firmware_nx())
		return;
	printk("boot: this CPU has no no-execute pages, or the firmware has switched them off:\n"
	       "boot: switch on \"Execute Disable\" (XD, NX) in the firmware's settings\n"
	       "quarry: FAIL\n");
	machine_power_off(false);
}

/* The boot CPU starts here; boot.S has called boot_info_init. */
void kernel_main(void)
{
	const char *which;
	int failed;
	bool pass;
	u64 seed;

	serial_init();     /* from here on printing works */
	log_port_init();   /* the whole log goes to the host */
	arch_early_init(); /* from here on faults are reported */
	printk("quarry: boot, version %s\n", QUARRY_VERSION);
	cmdline_init(bootinfo.cmdline, bootinfo.cmdline_truncated); /* reports bad options */
	boot_files_report_dropped();
	screen_init(); /* prints to the screen too, if there is one */
	need_no_execute();
	seed = cmdline_u64("seed", 0x5eed);
	run_seed = seed; /* for reports, which show how to repeat the run */
	/* the option is in milliseconds */
	smp_timeout_ns = cmdline_u64("ipi_timeout", smp_timeout_ns / 1000000) * 1000000;
	pci_silence();            /* no device writes to memory that the firmware gave it */
	boot_memory_init();       /* boot_alloc works */
	acpi_init();              /* CPUs, nodes, distances, timer ports */
	acpi_hotplug_init();      /* slots for memory and CPUs, unless slots=off */
	arch_paging_init();       /* final page tables: all RAM reachable */
	screen_map();             /* maps the screen in these tables */
	power_init();             /* the register that turns the machine off */
	arch_apic_init();         /* interrupts */
	arch_timer_init();        /* the clock */
	arch_cpus_init();         /* nr_cpus, per-CPU areas */
	smp_init();               /* slots for cross-calls */
	boot_memory_hand_over();  /* alloc_pages works, caches off */
	arch_boot_memory_done();  /* stacks and page tables come from alloc_pages */
	sched_init_cpu(cpu_idle); /* this code becomes a thread; others may be started */
	cpu_set_online(0);
	arch_timer_start(1); /* preemption */
	arch_irq_enable();
	smp_start_aps(); /* the other CPUs run kernel_ap_entry */
	wait_for_aps();  /* they are online when this returns */
	serial_enable_irq();
	keyboard_init();
	if (memory_start(&kernel_memory)) /* caches on, reclaim threads running */
		panic("boot: no memory for the reclaim threads");
	cma_area_boot();  /* contiguous memory, if the command line asks for it */
	if (tasks_init()) /* threads of ring 3 can start, and are freed */
		panic("boot: no memory for the reaper");
	if (mce_start()) /* pages that machine checks report are retired */
		panic("boot: no memory for the machine-check thread");
	oom_init(); /* the OOM killer */
	memory_set_boost(&kernel_memory, sched_boost);
	acpi_hotplug_start(); /* memory and CPUs in slots, present and later ones */
	virtio_init();        /* virtio-mem, balloon */
	ktest_limit_cpus(nr_boot_cpus);
	machine_summary();
	printk("boot: by %s, %llu thousand cycles since the machine's reset\n", bootinfo.path,
	    (unsigned long long)arch_tsc() / 1000);

	remarks_keep(); /* unusual lines of this boot are shown again later */

	which = cmdline_get("selftest", "quick");
	ktest_short = strcmp(cmdline_get("report", "short"), "all") != 0;
	ktest_clock = arch_clock_ns;
	live_boot(which); /* the live screen is on, if the terminal can show it */
	failed = ktest_run(which, seed);
	live_tested(failed < 0 ? 1 : (unsigned)failed);
	pass = demo_run(seed) && !failed; /* the tour, or another scenario of the command line */
	live_stop();                      /* from here on output is shown */
	printk("quarry: %s\n", pass ? "PASS" : "FAIL");
	if (strcmp(cmdline_get("monitor", "on"), "off") != 0) {
		if (clock_assumed)
			printk("clock: its rate was assumed: no time or rate shown is right\n");
		monitor(seed);
	}
	machine_power_off(pass);
}

/*
 * Every other CPU starts here: interrupts off, its tables loaded.  If it was plugged in later
 * (cpu_is_arriving), its idle thread parks it.
 */
void kernel_ap_entry(void)
{
	sched_init_cpu(NULL);
	if (!cpu_is_arriving()) {
		cpu_set_online(arch_cpu_id());
		arch_timer_start(1);
		arch_irq_enable();
	}
	cpu_idle(NULL);
}
