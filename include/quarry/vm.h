/* SPDX-License-Identifier: MIT */
/*
 * vm.h: memory objects, address spaces, page tables and faults.
 *
 * An object is an array of pages; a space is a tree of regions, each of which shows a part of an
 * object at some addresses.  Pages are found through their object only: by index from above, and by
 * reverse mapping (object, its regions, their page-table entries) from below.  There is no
 * copy-on-write: an object that several regions map is shared.
 *
 * Everything here belongs to one backed struct memory: data pages, tables and slots come from it;
 * the structures themselves come from kmalloc.  Errors are negative errno values.  Context, unless
 * said otherwise: thread, may sleep, no spin lock held.  docs/mm/objects.md explains it.
 *
 * Letters behind fields: a atomic; c constant; m space->change; s space->lock; o object->lock;
 * t pagetable.lock; v mem->vm.lock.
 */
#ifndef QUARRY_VM_H
#define QUARRY_VM_H

#include <bsd/sys/tree.h>
#include <quarry/errno.h>
#include <quarry/mm_types.h>

/* Access and protection; every protection has VM_READ, none has both VM_WRITE and VM_EXEC. */
#define VM_READ  0x1u
#define VM_WRITE 0x2u
#define VM_EXEC  0x4u
/* With a protection given to vm_map: all that vm_protect may ever make of it.  Nothing: anything. */
#define VM_MAY(prot) ((prot) << 4)

/*
 * Where regions may lie: not in the first 64 KiB, where null pointers lead, and where a CPU looks for
 * descriptors whose LDT is that of its reset; nor in the last page below the hole.
 */
#define VM_USER_START 0x0000000000010000UL
#define VM_USER_END   0x00007ffffffff000UL

/* ---- page tables (mm/pagetable.c): four levels in the format of x86_64, hosted too ----------- */

#define PTE_PRESENT  0x1UL
#define PTE_WRITE    0x2UL
#define PTE_USER     0x4UL
#define PTE_ACCESSED 0x20UL
#define PTE_DIRTY    0x40UL
#define PTE_NX       (1UL << 63)
#define PTE_ADDRESS  0x000ffffffffff000UL
/* A migration entry: not present, the address is that of the page being moved. */
#define PTE_MIGRATING 0x200UL

#define PT_LEVELS  4
#define PT_ENTRIES 512
/* Bits of the address below those that index a table of level @l; level 0 holds the pages. */
#define PT_SHIFT(l) (PAGE_SHIFT + 9 * (l))

struct pagetable {
	struct memory *mem;   /* c */
	struct account *account; /* c: of tables and regions; a reference */
	phys_t root;          /* c: of the top table; what CR3 is loaded with */
	struct spinlock lock; /* RANK_PT: all entries; machines set A and D without it */
	u32 nr_tables;        /* t: pages that are tables, the root included */
};

static inline pfn_t pte_pfn(u64 pte)
{
	return (pte & PTE_ADDRESS) >> PAGE_SHIFT;
}

/* ---- objects (mm/vm_object.c) ------------------------------------------------------------------- */

enum vm_object_kind {
	OBJ_ANON,  /* pages are zeroed when first touched; movable */
	OBJ_PAGER, /* pages are asked of the pager; movable */
	OBJ_PHYS,  /* as ANON, but a page stays where it is for as long as the object lives */
};
#define OBJ_MAX_PAGES (512UL * 512)

struct vm_object;
struct vm_region;

struct vm_pager_ops {
	/*
	 * See to it that page @index of @object is there: ask the pager, and wait until it has
	 * called vm_object_supply, but not for ever.  Called with no lock held, for several faults
	 * of one page at once too.  Returns 0 (look again); -EIO; -ETIMEDOUT; -ENOMEM; -EINTR the
	 * thread's task ends.
	 */
	int (*get)(struct vm_object *object, u32 index);
	/*
	 * The object is gone, and with it every page; may be NULL.  @pager: what vm_object_create got.
	 * Called by who had the last reference, be it a reclaim thread or an allocation that reclaims:
	 * it takes no lock that is held across an allocation, and makes no cross-call.
	 */
	void (*release)(void *pager);
	/*
	 * Hand the content of a dirty page, PAGE_SIZE bytes, to the pager; nobody can write to it
	 * meanwhile, and who touches it waits.  Returns 0: the pager has it, the page may be dropped;
	 * -EIO, -ETIMEDOUT: the page stays and stays dirty.  Bounded.  No lock held; called by reclaim
	 * threads.  NULL: dirty pages stay.
	 */
	int (*clean)(struct vm_object *object, u32 index, const void *data);
};

struct vm_object {
	struct spinlock lock;      /* RANK_OBJECT, interrupts on: slots, regions, mapcounts of its pages */
	u32 refs;                  /* a */
	u8 kind;                   /* c: enum vm_object_kind */
	u32 nr_pages;              /* c */
	u32 nr_present;            /* o: slots that have a page, or will have when it has been moved */
	struct memory *mem;        /* c */
	struct account *account;   /* c: of the object and its tables; a reference */
	struct page *top;          /* c: page of 512 pointers to the pages (of 512 slots each) */
	RB_HEAD(vm_region_index, vm_region) regions; /* o: that show a part of it, by index */
	u32 walked;                /* o: 1 + the slot whose entries are being changed, in steps; 0: none */
	const struct vm_pager_ops *ops; /* c: NULL unless OBJ_PAGER */
	void *pager;               /* c: the pager's own */
	LIST_ENTRY(vm_object) link; /* v: mem->vm.objects */
};

/*
 * vm_object_create - a new object of @nr_pages empty slots, with one reference, in *@out.
 * Returns 0; -EINVAL 0 pages or more than OBJ_MAX_PAGES, no such kind, ops missing or one too many,
 * memory without bytes; -EDQUOT the running thread's account has as many as it may have; -ENOMEM.
 */
int vm_object_create(struct memory *mem, enum vm_object_kind kind, unsigned long nr_pages,
    const struct vm_pager_ops *ops, void *pager, struct vm_object **out) must_check;
/* One more reference, by one who has one.  Any context. */
void vm_object_get(struct vm_object *object);
/* Drop one; with the last the object goes, and its pages. */
void vm_object_put(struct vm_object *object);
/*
 * vm_object_supply - fill an empty slot with a copy of PAGE_SIZE bytes at @data, zeroes if NULL.
 * Of any kind of object: for pagers, and for whoever loads a program.  For an OBJ_PAGER it does not wait
 * for memory, for reclaim may be waiting for the pager.
 * Returns 0; -EINVAL no such index; -EEXIST there is a page; -EAGAIN it is being moved; -EHWPOISON there was
 * one, and it is lost (vm_object_remove makes room for another); -ENOMEM.
 */
int vm_object_supply(struct vm_object *object, u32 index, const void *data);
/*
 * vm_object_remove - empty @nr slots from @index on: unmap their pages everywhere and drop them;
 * what they hold is lost.  Pinned ones are freed when the last pin goes.  Returns 0; -EINVAL bad
 * range.
 */
int vm_object_remove(struct vm_object *object, u32 index, u32 nr);
/*
 * vm_object_pin - pin the page in slot @index where it is; mem_unpin_page(object->mem, page) ends
 * it.
 * Returns 0 and *@page; -EINVAL no such index; -ENOENT the slot is empty; -EAGAIN the page is being
 * moved, or has too many references; -EHWPOISON it is lost.
 */
int vm_object_pin(struct vm_object *object, u32 index, struct page **page) must_check;
/*
 * Is slot @index filled: a page, one that is being moved, or one that is lost?  So it was a moment
 * ago.  False behind the object's end.
 */
bool vm_object_has(struct vm_object *object, u32 index);
/* Pages in slots that no space has mapped, but for those being moved; in zones up to @highest only. */
unsigned long vm_object_unmapped(struct vm_object *object, enum zone_kind highest);
/* Slots that have a page; a hint. */
static inline u32 vm_object_present(const struct vm_object *object)
{
	return READ_ONCE(object->nr_present);
}

/* ---- spaces (mm/vm_space.c) ------------------------------------------------------------------- */

struct vm_space;

struct vm_region {
	struct vm_space *space;   /* c */
	uintptr_t start, end;     /* s + o: changed with both held, as region and tree link are */
	u32 offset;               /* s + o: index in the object of the page at start */
	u32 prot;                 /* s + o */
	u32 may;                  /* c: what prot may become */
	struct vm_object *object; /* c: holds a reference */
	struct vm_use *use;       /* c: counts it */
	RB_ENTRY(vm_region) node; /* s */
	RB_ENTRY(vm_region) link; /* o: object->regions */
	u32 below;                /* o: the last slot that it, or a region below it in that tree, shows */
};
RB_HEAD(vm_region_tree, vm_region);

/* Regions of a space that show one object. */
struct vm_use {
	const struct vm_object *object; /* c */
	u64 nr;                   /* m */
	RB_ENTRY(vm_use) node;    /* m */
};
RB_HEAD(vm_use_tree, vm_use);

struct vm_space {
	struct mutex change;       /* one map, unmap or protect at a time */
	struct spinlock lock;      /* RANK_SPACE, interrupts on: the tree */
	u32 refs;                  /* a */
	u32 nr_regions;            /* s */
	struct memory *mem;        /* c */
	struct pagetable pt;
	struct vm_region_tree regions; /* s; changed under m too */
	struct vm_use_tree uses;   /* m */
	LIST_ENTRY(vm_space) link; /* v: mem->vm.spaces */
	cpumask_t active[];        /* a: CPUs that have its tables loaded; CPUMASK_WORDS(nr_cpus) */
};

/*
 * vm_space_create - an empty space with one reference in *@out; the kernel's half of its tables is
 * in place.  Its tables and regions are charged to the running thread's account.  Returns 0; -EINVAL memory
 * without bytes; -EDQUOT; -ENOMEM.
 */
int vm_space_create(struct memory *mem, struct vm_space **out) must_check;
/* One more reference, by one who has one.  Any context. */
void vm_space_get(struct vm_space *space);
/*
 * Drop one; with the last all is unmapped and the tables are freed.  No CPU may have them loaded
 * then.
 */
void vm_space_put(struct vm_space *space);
/*
 * vm_map - show pages [@offset, @offset + @nr) of @object at @va, with protection @prot, to which a
 * VM_MAY may be added; takes a reference to the object.  Nothing is read or allocated for it before
 * somebody touches it.
 * Returns 0; -EINVAL nothing, unaligned, outside user addresses, wrapping, past the object's end,
 * an object of another memory, a protection that is none; -EEXIST something is mapped there; -EDQUOT the space's
 * account has as many regions as it may have; -EMLINK as many of this object; -ENOMEM.
 */
int vm_map(struct vm_space *space, uintptr_t va, unsigned long nr, unsigned prot,
    struct vm_object *object, unsigned long offset);
/*
 * vm_unmap - unmap what is mapped in [@va, @va + @nr pages), cutting regions that reach out of it.
 * When it returns no CPU can reach the pages there.  Returns 0, also if there was nothing; -EINVAL
 * as vm_map; -ENOMEM, -EDQUOT, and nothing is changed: no region to cut another with.
 */
int vm_unmap(struct vm_space *space, uintptr_t va, unsigned long nr);
/*
 * vm_protect - change the protection of [@va, @va + @nr pages).  When it returns no CPU can do
 * there what @prot forbids.  Returns 0; -EINVAL as vm_map; -EFAULT not all of it is mapped; -EACCES
 * its VM_MAY does not have that; -ENOMEM, -EDQUOT as vm_unmap; on an error nothing is changed.
 */
int vm_protect(struct vm_space *space, uintptr_t va, unsigned long nr, unsigned prot);
/*
 * This CPU is about to load the tables, and has ceased to have them loaded.  Entering comes before
 * the load: who changes an entry looks at the mask after that, so either it sees our bit and asks
 * us to forget the old one, or we find the new one.  Preemption off from before the enter to after
 * the load.
 */
void vm_space_enter(struct vm_space *space);
void vm_space_leave(struct vm_space *space);
/*
 * Pages that the space has mapped now, counted in its tables; a page that is being moved counts too.  Only those in
 * zones up to @highest.
 * @fn, unless NULL, is told of each region: its object, and the pages mapped in the region; space->lock
 * is held then.  For who chooses a victim, by one who has a reference.  Locks: space's, region by region,
 * and inside it the tables', a few entries at a time.
 */
unsigned long vm_space_resident(struct vm_space *space, enum zone_kind highest,
    void (*fn)(const struct vm_object *object, unsigned long nr, void *arg), void *arg);

/* ---- faults (mm/vm_fault.c) --------------------------------------------------------------------- */

/*
 * vm_fault - make @va accessible for @access (VM_READ, VM_WRITE or VM_EXEC), after the machine
 * refused.
 * Returns 0: try the access again; -EFAULT nothing is mapped there; -EACCES its protection forbids
 * it; -ENOMEM; -EDQUOT the space's account has as many tables as it may have; -EIO, -ETIMEDOUT the pager did not bring the page; -EINTR the thread's task ends, and
 * waits for no pager; -EAGAIN the page has too many mappings; -EHWPOISON what was there is lost, its memory
 * broke.  Waits while the page is being moved, without a reference to it.  Context: thread, may
 * sleep, irqs on.
 */
int vm_fault(struct vm_space *space, uintptr_t va, unsigned access) must_check;

#endif
