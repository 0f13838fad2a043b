/* SPDX-License-Identifier: MIT */
/*
 * hotplug.h: taking CPUs offline and bringing them back online, under any load.
 *
 * docs/hotplug.md explains the order of events.
 */
#ifndef QUARRY_HOTPLUG_H
#define QUARRY_HOTPLUG_H

#include <quarry/mm.h>

struct cpu;

/*
 * cpu_down - take @cpu offline: its threads move to other CPUs, its cached pages are freed.
 * cpu_up   - bring it back online; threads that are bound to it return.
 *
 * Each CPU may go offline, the boot CPU and the caller's own too, but not the last one.  No memory
 * is allocated.
 * Context: thread, irqs on, no lock held, cpu_hotplug not held (it is taken exclusively).  Returns
 * 0; -ENODEV no such CPU, or cpu_up: its slot is empty; -EALREADY it is already in the wanted
 * state; -EBUSY it is the last one; -EIO it did not answer within smp_timeout_ns; -EDEADLK wrong
 * context; -ETIMEDOUT cpu_hotplug was held by others for six times smp_timeout_ns.  After -EIO
 * cpu_down leaves the CPU dead: out of the mask, with its cached pages (reported) and its running
 * thread lost; waiting threads move to other CPUs.  If that CPU continues later, it gives its pages
 * and its thread back, parks by itself, and can come online again.  After -EIO cpu_up leaves the
 * CPU offline.
 */
int cpu_down(unsigned cpu) must_check;
int cpu_up(unsigned cpu) must_check;
/*
 * The state of @cpu: "online", "down", "dead", "absent" (empty slot, or not started), or a step
 * between.
 */
const char *cpu_state_name(unsigned cpu);
/* True if @cpu is parked and can come back online.  Any context. */
bool cpu_is_parked(unsigned cpu);
/*
 * Is there a CPU that gets no cross-calls, but runs, or may run on: one that is dead, or on its way
 * offline or online?  It may use old TLB entries until it is parked; when it wakes it has none.  If
 * the caller holds cpu_hotplug, shared, the answer false stays true.  Any context.
 */
bool cpu_out_of_reach(void);
/* Print one line for each CPU.  Context: thread. */
void show_cpus(void);
/*
 * For the idle thread of a CPU that has lost its threads; returns when the CPU is back online.
 * irqs off.
 */
void cpu_leave(void);

/*
 * cpu_plug   - start @cpu, whose empty slot got a CPU.  Then it is offline, until cpu_up.
 * cpu_unplug - stop @cpu, which is offline, before it is removed.  Then it is absent.
 *
 * Context as cpu_down.  Returns 0; -ENODEV no slot for it; -EALREADY it is present, or absent,
 * already; -EBUSY cpu_unplug: it is not offline, or it is the boot CPU; -EIO it did not start;
 * -EDEADLK context; -ETIMEDOUT as cpu_down, and nothing was done.
 */
int cpu_plug(unsigned cpu) must_check;
int cpu_unplug(unsigned cpu) must_check;
/* Record, at boot, that the slot of @cpu is empty. */
void cpu_set_absent(struct cpu *cpu);
/*
 * Called on a starting CPU, irqs off.  True: the CPU was plugged in, and its idle thread will park
 * it; false: it starts at boot.
 */
bool cpu_is_arriving(void);

#endif
