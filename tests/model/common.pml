/* SPDX-License-Identifier: MIT */
/*
 * common.pml: what the models of the caches share: CPUs, interrupts, the hotplug lock.
 *
 * An interrupt-off section is a run of steps with off[c] set.  The interrupt "look at your inbox"
 * of CPU c is irq[c]: posted by the sender, it arrives at any later moment; once it has arrived,
 * CPU c starts no new interrupt-off section before it has run its handler, as a real CPU takes a
 * pending interrupt before its next instruction.  The handler itself is one step: it runs with
 * interrupts off, it touches only its own CPU's cache and what the zone lock guards, and the sender
 * does nothing but wait for it.
 *
 * Every printf is a line of the counterexample's table, "who|what" (tools/test/model.py); a search
 * ignores them.
 */
#define NCPU 3
#define NONE 7 /* no page, no stack */

#define NO_IRQ  0
#define POSTED  1
#define ARRIVED 2

byte irq[NCPU];
bit off[NCPU];    /* interrupts of this CPU are off */
bit online[NCPU]; /* cpu_online_mask */

/* arch_irq_save: a pending interrupt is not served before it. */
#define irqs_on(c)   (irq[c] != ARRIVED && !off[c])
#define may_serve(c) (irq[c] != NO_IRQ && !off[c])
#define arrives(c)   (irq[c] == POSTED && off[c])
#define all_served   (irq[0] == NO_IRQ && irq[1] == NO_IRQ && irq[2] == NO_IRQ)

/* rwsem cpu_hotplug: how many hold it shared; EXCLUSIVE. */
#define EXCLUSIVE 9
byte hotplug;

inline hotplug_lock_shared() { atomic { hotplug != EXCLUSIVE -> hotplug++ } }
inline hotplug_unlock_shared() { hotplug-- }
inline hotplug_lock() { atomic { hotplug == 0 -> hotplug = EXCLUSIVE } }
inline hotplug_unlock() { hotplug = 0 }
