/* SPDX-License-Identifier: MIT */
/*
 * soft_mmu.c: page tables walked in software, with a TLB for each CPU.
 *
 * Owns:       soft_cpus[], each used by its CPU only.
 * Locks:      none: an access is made with interrupts off from the TLB lookup to its end, as
 *             one instruction of a machine is; so a shootdown comes before or after an access.
 * Invariants: a CPU's TLB has only entries read from the tables that are loaded there.
 */
#include "tests/lib/mm_priv.h"
#include "mm/vm/vm.h"
#include "tests/lib/soft_mmu.h"

#define MAX_CPUS 8
#define ENTRIES  64 /* entries of a TLB, indexed by page number */

struct soft_entry {
	uintptr_t va; /* address of the page; 0: the entry is empty */
	u64 pte;      /* the table entry, as the walk found it */
};
struct soft_cpu {
	struct vm_space *space; /* the loaded space; NULL: none */
	struct soft_entry tlb[ENTRIES];
};
static struct soft_cpu soft_cpus[MAX_CPUS];

static struct soft_entry *tlb_of(struct soft_cpu *c, uintptr_t va)
{
	return &c->tlb[va >> PAGE_SHIFT & (ENTRIES - 1)];
}

/* Flush an entry, or all, on a CPU that gets a shootdown.  Interrupts off. */
static void soft_flush(phys_t root, uintptr_t va, bool all)
{
	unsigned cpu = arch_cpu_id();
	struct soft_cpu *c = &soft_cpus[cpu % MAX_CPUS];

	if (cpu >= MAX_CPUS || !c->space)
		return;
	if (all)
		memset(c->tlb, 0, sizeof(c->tlb));
	else if (c->space->pt.root == root && tlb_of(c, va)->va == va)
		tlb_of(c, va)->va = 0;
}

void soft_load_space(struct vm_space *space)
{
	irqflags_t flags = arch_irq_save();
	struct soft_cpu *c = &soft_cpus[arch_cpu_id()];

	KASSERT(arch_cpu_id() < MAX_CPUS);
	/*
	 * A test that ended early left this space loaded. Its pages are gone, but struct vm_space
	 * is still there.
	 */
	if (c->space)
		vm_space_leave(c->space);
	WRITE_ONCE(tlb_flush_hook, soft_flush);
	vm_space_enter(space);
	memset(c->tlb, 0, sizeof(c->tlb));
	c->space = space;
	arch_irq_restore(flags);
}

void soft_forget_all(void)
{
	memset(soft_cpus, 0, sizeof(soft_cpus));
}

void soft_unload_space(void)
{
	irqflags_t flags = arch_irq_save();
	struct soft_cpu *c = &soft_cpus[arch_cpu_id()];

	vm_space_leave(c->space);
	c->space = NULL;
	arch_irq_restore(flags);
}

static bool allows(u64 pte, unsigned access)
{
	return pte & PTE_PRESENT && pte & PTE_USER && (!(access & VM_WRITE) || pte & PTE_WRITE) &&
	    (!(access & VM_EXEC) || !(pte & PTE_NX));
}

/* Walk the tables as a machine does: set A and D in an entry only if it still allows the access. */
static bool walk_tables(struct soft_cpu *c, uintptr_t page, unsigned access)
{
	const u64 bits = PTE_ACCESSED | (access & VM_WRITE ? PTE_DIRTY : 0);
	u64 *entry = pt_entry(&c->space->pt, page), pte;

	if (!entry)
		return false;
	do {
		pte = load_acquire(entry);
		if (!allows(pte, access))
			return false;
	} while ((pte & bits) != bits && !atomic_cas(entry, pte, pte | bits));
	*tlb_of(c, page) = (struct soft_entry){.va = page, .pte = pte | bits};
	return true;
}

/* The word at @va, or NULL if this CPU may not access it that way. Interrupts off. */
static u64 *translate(struct soft_cpu *c, uintptr_t va, unsigned access)
{
	uintptr_t page = ALIGN_DOWN(va, PAGE_SIZE);
	const struct soft_entry *e = tlb_of(c, page);
	/* The first write through an entry walks the tables, to set D there. */
	bool hit =
	    e->va == page && allows(e->pte, access) && (!(access & VM_WRITE) || e->pte & PTE_DIRTY);

	if (!hit && !walk_tables(c, page, access))
		return NULL;
	return (u64 *)arch_phys_to_virt((e->pte & PTE_ADDRESS) + (va - page));
}

/* Make one try of an access; false: it faults, and the fault is not handled here. */
static bool access_once(uintptr_t va, unsigned access, u64 *value, struct vm_space **space)
{
	irqflags_t flags = arch_irq_save();
	struct soft_cpu *c = &soft_cpus[arch_cpu_id()];
	u64 *word;

	KASSERT(c->space && !(va & (sizeof(u64) - 1)));
	*space = c->space;
	word = translate(c, va, access);
	if (word && access == VM_WRITE)
		WRITE_ONCE(*word, *value);
	else if (word)
		*value = READ_ONCE(*word);
	arch_irq_restore(flags);
	return word;
}

static int access_word(uintptr_t va, unsigned access, u64 *value)
{
	struct vm_space *space;
	int err = 0;

	while (!err && !access_once(va, access, value, &space))
		err = vm_fault(space, va, access);
	return err;
}

int soft_read(uintptr_t va, u64 *value)
{
	return access_word(va, VM_READ, value);
}

int soft_write(uintptr_t va, u64 value)
{
	return access_word(va, VM_WRITE, &value);
}

int soft_exec(uintptr_t va)
{
	u64 value;

	return access_word(va, VM_EXEC, &value);
}

int soft_try_write(uintptr_t va, u64 value)
{
	struct vm_space *space;

	return access_once(va, VM_WRITE, &value, &space) ? 0 : -EFAULT;
}
