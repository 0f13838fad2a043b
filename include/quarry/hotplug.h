/* SPDX-License-Identifier: MIT */
/*
 * hotplug.h: taking CPUs out of service and bringing them back, while everything else goes on.
 *
 * docs/hotplug.md explains the order of events.
 */
#ifndef QUARRY_HOTPLUG_H
#define QUARRY_HOTPLUG_H

#include <quarry/mm.h>

struct cpu;

/*
 * cpu_down - take @cpu out of service: its threads go on elsewhere, its cached pages go back.
 * cpu_up   - bring it back; threads that were bound to it return.
 *
 * Each CPU may go, the boot CPU and the caller's own too, but not the last.  Neither allocates memory.
 * Context: thread, irqs on, no lock held, cpu_hotplug not held (it is taken exclusively).
 * Returns 0; -ENODEV no such CPU, or cpu_up: nothing in its place; -EALREADY it is down, or up, already; -EBUSY it is the last one;
 * -EIO it did not do its part within smp_timeout_ns.  cpu_down then leaves it dead: out of the mask,
 * its cached pages (reported) and the thread that it runs out of reach; those that wait for it go on elsewhere.  If it goes on
 * after all, it gives both back, parks by itself, and can come up again.  cpu_up then leaves it down.
 * -EDEADLK the context is wrong.  -ETIMEDOUT others kept cpu_hotplug for six times smp_timeout_ns.
 */
int cpu_down(unsigned cpu) must_check;
int cpu_up(unsigned cpu) must_check;
/* What @cpu is: "online", "down", "dead", "absent" (nothing there, or it did not start), or on its way.  Any context. */
const char *cpu_state_name(unsigned cpu);
/* True if @cpu has stopped and can be brought back.  Any context. */
bool cpu_is_parked(unsigned cpu);
/* One line for each CPU.  Context: thread. */
void show_cpus(void);
/* For the idle thread of a CPU that has no threads any more; returns when the CPU is back.  irqs off. */
void cpu_leave(void);

/*
 * cpu_plug   - there is a CPU now in the place of @cpu, which was absent: start it.  It is down then, for cpu_up.
 * cpu_unplug - the CPU @cpu, which is down, is about to go: stop it.  It is absent then.
 *
 * Context as cpu_down.  Returns 0; -ENODEV no place for it; -EALREADY it is there, or absent, already; -EBUSY
 * cpu_unplug: it is not down, or the boot CPU; -EIO it did not start; -EDEADLK context.
 */
int cpu_plug(unsigned cpu) must_check;
int cpu_unplug(unsigned cpu) must_check;
bool cpu_is_absent(unsigned cpu);
/* At boot: there is only a place for @cpu. */
void cpu_set_absent(struct cpu *cpu);
/* On a CPU that starts, irqs off: it was plugged in, and its idle thread will park it; false: it starts with the machine. */
bool cpu_is_arriving(void);

#endif
