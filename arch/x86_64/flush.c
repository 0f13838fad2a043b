/* SPDX-License-Identifier: MIT */
/*
 * flush.c: flushing all TLB entries, global ones included, of one CPU or of every CPU.
 *
 * Owns:       nothing.
 * Locks:      flush_everywhere takes cpu_hotplug, shared.
 * Invariants: none.
 * Tests:      play_cpus, arch_map, memory_add, tests/qemu/test_arch.py, tests/qemu/test_slots.py.
 */
#include <quarry/hotplug.h>
#include <quarry/port.h>

#include "x86.h"

/*
 * Kernel mappings are global, so a write to CR3 is not enough; clearing and setting PGE flushes all
 * (SDM vol. 3A, 4.10.4.1).  A CPU that wakes needs this: while parked it got no shootdowns for
 * unmapped stacks.
 */
void flush_tlb(void)
{
	u64 cr4 = read_cr4();

	write_cr4(cr4 & ~(u64)CR4_PGE);
	write_cr4(cr4);
}

static void flush_here(void *arg)
{
	flush_tlb();
}

/* No CPU may come online meanwhile: it would miss the shootdown. */
static void flush_online(void) REQUIRES_SHARED(cpu_hotplug)
{
	smp_call_mask(NULL, flush_here, NULL);
}

bool flush_everywhere(void)
{
	bool reached;

	rwsem_lock_shared(&cpu_hotplug);
	flush_online();
	reached = !cpu_out_of_reach();
	rwsem_unlock_shared(&cpu_hotplug);
	return reached;
}
