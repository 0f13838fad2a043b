/* SPDX-License-Identifier: MIT */
/*
 * vm.h: memory objects, address spaces, page tables and faults.
 *
 * An object is an array of pages; a space is a tree of regions, each of which shows a part of an
 * object at some addresses.  A page is found through its object only.  Faults find it by its index;
 * reverse mapping finds its page-table entries through the object's regions.  There is no
 * copy-on-write: an object that several regions map is shared.
 *
 * Everything here belongs to one backed struct memory: data pages, tables and slots come from it;
 * the structures themselves come from kmalloc.  Errors are negative errno values.  Context, unless
 * said otherwise: thread, may sleep, no spin lock held.  docs/mm/objects.md explains objects and
 * spaces.
 *
 * Letters after fields: a atomic; c constant; m space->change; s space->lock; o object->lock;
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
/*
 * Added to the protection given to vm_map: the most that vm_protect may allow later.  Without it,
 * or with 0, that is every access.
 */
#define VM_MAY(prot) ((prot) << 4)

/*
 * The range for regions.  The first 64 KiB are excluded: null pointers point there, and a CPU whose
 * LDT is still that of its reset looks for descriptors there.  Excluded are also the last page
 * below the hole of non-canonical addresses and, with addresses of 32 bits, the last quarter.
 */
#define VM_USER_START     0x0000000000010000UL
#define VM_USER_END       ((uintptr_t)MIN_CONST(UINT64_C(0x00007ffffffff000), VM_THREE_QUARTERS))
#define VM_THREE_QUARTERS ((u64)UINTPTR_MAX / 4 * 3 & ~UINT64_C(0xfff))

/* ---- page tables (mm/vm/pagetable.c): four levels in the format of x86_64, hosted too ---- */

#define PTE_PRESENT  UINT64_C(0x1)
#define PTE_WRITE    UINT64_C(0x2)
#define PTE_USER     UINT64_C(0x4)
#define PTE_ACCESSED UINT64_C(0x20)
#define PTE_DIRTY    UINT64_C(0x40)
#define PTE_NX       (UINT64_C(1) << 63)
#define PTE_ADDRESS  UINT64_C(0x000ffffffffff000)
/* A migration entry: not present; its address is that of the page in transit. */
#define PTE_MIGRATING UINT64_C(0x200)

#define PT_LEVELS  4
#define PT_ENTRIES 512
/*
 * The number of address bits below the index into a table of level @l; entries of level 0 map
 * pages.
 */
#define PT_SHIFT(l) (PAGE_SHIFT + 9 * (l))

struct pagetable {
	struct memory *mem;      /* c */
	struct account *account; /* c: charged for tables and regions; a reference */
	phys_t root;             /* c: of the root table; the value of CR3 */
	struct spinlock lock;    /* RANK_PT: all entries; CPUs set A and D without it */
	u32 nr_tables;           /* t: pages that are tables, the root included */
	uintptr_t leaf_of; /* t, read racily: place of the leaf table that the last lookup found */
	u64 *leaf;         /* t: that table's first entry; NULL: no lookup yet */
};

static inline pfn_t pte_pfn(u64 pte)
{
	return (pte & PTE_ADDRESS) >> PAGE_SHIFT;
}

/* ---- objects (mm/vm/vm_object.c) ---- */

enum vm_object_kind {
	OBJ_ANON,  /* pages are zeroed when first touched; movable */
	OBJ_PAGER, /* pages are requested from the pager; movable */
	OBJ_PHYS,  /* as ANON, but its pages never move while the object exists */
};
#define OBJ_MAX_PAGES (512UL * 512)

struct vm_object;
struct vm_region;

struct vm_pager_ops {
	/*
	 * Make page @index of @object present: call the pager, and wait, with a limit, until it has
	 * called vm_object_supply.  Called with no lock held, and for several faults of one page at
	 * once.  A fault calls it again if the page has gone before the fault could map it, so it
	 * ends the fault with an error when the limit is over or the thread's task is ending.  The
	 * time of access_waited does not count in the limit.
	 * Returns 0 (check again); -EIO; -ETIMEDOUT; -ENOMEM; -EINTR the thread's task is ending.
	 */
	int (*get)(struct vm_object *object, u32 index);
	/*
	 * The object was freed, with all its pages; the function may be NULL.  @pager: as given to
	 * vm_object_create.  Called by the thread that dropped the last reference, which may be a
	 * reclaim thread or an allocation that reclaims.  So the function takes no lock that is
	 * held across an allocation, and makes no cross-call.
	 */
	void (*release)(void *pager);
	/*
	 * Hand the content of a dirty page, PAGE_SIZE bytes, to the pager.  No thread can write to
	 * it meanwhile; a thread that accesses it waits.  Returns 0: the pager has the content, or
	 * has ended, and the page may be dropped; else the page stays, dirty: -EIO, -ETIMEDOUT;
	 * -EAGAIN: only @limit_ns was over, the most that the call takes.  Called by reclaim
	 * threads with no lock held.  NULL: dirty pages stay.
	 */
	int (*clean)(struct vm_object *object, u32 index, const void *data, u64 limit_ns);
};

struct vm_object {
	/* RANK_OBJECT, interrupts on: slots, regions, mapcounts of its pages */
	struct spinlock lock;
	u32 refs;                /* a */
	u8 kind;                 /* c: enum vm_object_kind */
	u16 waiting;             /* o: threads in object_lock that wait for the end of a walk */
	u32 nr_pages;            /* c */
	u32 nr_present;          /* o: slots that have a page, pages in transit included */
	struct memory *mem;      /* c */
	struct account *account; /* c: charged for the object, its tables and pages; a reference */
	u32 oom_round, oom_shared; /* for the OOM killer, in one decision at a time (oom_kill.c) */
	struct page *top;          /* c: page of 512 pointers to tables of 512 slots */
	RB_HEAD(vm_region_index, vm_region) regions; /* o: regions that show it, by index */
	u32 nr_regions;                              /* o: how many they are */
	u32 walked; /* o: 1 + the slot whose entries a walk is changing; 0: no walk */
	/* a, raised under o: removals of pages that may have emptied entries, not flushed yet */
	u32 unflushed;
	u32 oom_payer; /* as oom_shared: 1 + the row of the task that pays for it; 0: of none */
	const struct vm_pager_ops *ops; /* c: NULL unless OBJ_PAGER */
	void *pager;                    /* c: the pager's data */
	/* a: number of the reclaim run in which the pager refused the last page; 0: it took it */
	u64 refused;
	LIST_ENTRY(vm_object) link; /* v: mem->vm.objects */
};

/*
 * vm_object_create - a new object of @nr_pages empty slots, with one reference, in *@out.
 * Returns 0; -EINVAL 0 pages or more than OBJ_MAX_PAGES, no such kind, ops missing or not allowed,
 * memory without bytes; -EDQUOT a limit of the running thread's account; -ENOMEM.
 */
int vm_object_create(struct memory *mem, enum vm_object_kind kind, unsigned long nr_pages,
    const struct vm_pager_ops *ops, void *pager, struct vm_object **out) must_check;
/* Take one more reference; the caller has one.  Any context. */
void vm_object_get(struct vm_object *object);
/* Drop a reference; the last one frees the object, and its pages. */
void vm_object_put(struct vm_object *object);
/*
 * vm_object_supply - fill an empty slot with a copy of PAGE_SIZE bytes at @data, zeroes if NULL.
 * For any kind of object: called by pagers and by the program loader.  For an OBJ_PAGER it does not
 * wait for memory, since reclaim may be waiting for the pager.
 * Returns 0; -EINVAL no such index; -EEXIST it has a page; -EAGAIN its page is being moved, or a
 * frame broke just now; -EHWPOISON its page is lost (vm_object_remove empties the slot); -ENOMEM.
 */
int vm_object_supply(struct vm_object *object, u32 index, const void *data);
/*
 * As vm_object_supply, but fill(page, @arg), which does not sleep, fills the page.  If fill returns
 * an error, it is returned and the slot is not changed.
 */
int vm_object_supply_by(
    struct vm_object *object, u32 index, int (*fill)(void *page, void *arg), void *arg);
/*
 * vm_object_remove - empty @nr slots from @index on: unmap their pages everywhere and drop them;
 * the content is lost.  Pinned pages are freed with their last pin.
 * Returns 0; -EINVAL bad range.
 */
int vm_object_remove(struct vm_object *object, u32 index, u32 nr);
/*
 * As vm_object_remove, for as many of the first slots of a range as one hold of the lock allows;
 * returns how many, at least 1.  The range is valid and not empty.  For callers that may have to
 * stop in between, and while they wait: 0 if @over() became true in a wait for another thread; code
 * that makes it true must wake the waiting thread.  @over: may be NULL.
 */
u32 vm_object_remove_some(struct vm_object *object, u32 index, u32 nr, bool (*over)(void));
/*
 * vm_object_pin - pin the page in slot @index; mem_unpin_page(object->mem, page) unpins it.
 * Returns 0 and *@page; -EINVAL no such index; -ENOENT the slot is empty; -EAGAIN the page is being
 * moved, or has too many references; -EHWPOISON it is lost.
 */
int vm_object_pin(struct vm_object *object, u32 index, struct page **page) must_check;
/*
 * Does slot @index have a page, even if it is in transit or lost?  False if the object has no such
 * slot.  The result may be out of date.
 */
bool vm_object_has(struct vm_object *object, u32 index);
/*
 * Allocate a page and free it again, before the running thread's access calls the pager of @object
 * for slot @index: the pager must not wait for memory, but this thread may.  The time does not
 * count in the access's limit (access_waited).  Returns -EAGAIN there is memory, so call the pager;
 * 0 there is none, but the slot has a page by now; -ENOMEM.  Context: thread, may sleep.
 */
int vm_await_memory(struct vm_object *object, u32 index) must_check;
/* The number of pages in slots, in zones up to @highest only; pages in transit do not count. */
unsigned long vm_object_pages(struct vm_object *object, enum zone_kind highest);
/* The number of pages that are the object's tables of slots, the top one included. */
unsigned long vm_object_tables(struct vm_object *object);
/* Number of slots that have a page; a hint. */
static inline u32 vm_object_present(const struct vm_object *object)
{
	return READ_ONCE(object->nr_present);
}

/* ---- spaces (mm/vm/vm_space.c) ---- */

struct vm_space;

struct vm_region {
	struct vm_space *space;   /* c */
	uintptr_t start, end;     /* s + o: changed with both locks held, as is the tree link */
	u32 offset;               /* s + o: index in the object of the page at start */
	u32 prot;                 /* s + o */
	u32 may;                  /* c: the most that prot may become */
	struct vm_object *object; /* c: holds a reference */
	struct vm_use *use;       /* c: counts this region */
	RB_ENTRY(vm_region) node; /* s */
	RB_ENTRY(vm_region) link; /* o: object->regions */
	u32 below; /* o: the highest slot of this region and its subtree of object->regions */
};
RB_HEAD(vm_region_tree, vm_region);

/* The number of a space's regions that show one object. */
struct vm_use {
	const struct vm_object *object; /* c */
	u64 nr;                         /* m */
	RB_ENTRY(vm_use) node;          /* m */
};
RB_HEAD(vm_use_tree, vm_use);

struct vm_space {
	struct mutex change;  /* serialises map, unmap and protect */
	struct spinlock lock; /* RANK_SPACE, interrupts on: the tree */
	u32 refs;             /* a */
	u32 nr_regions;       /* s */
	struct memory *mem;   /* c */
	struct pagetable pt;
	struct vm_region_tree regions; /* s; changed under m too */
	struct vm_region *found;       /* s: the region of the last fault, or NULL */
	struct vm_use_tree uses;       /* m */
	LIST_ENTRY(vm_space) link;     /* v: mem->vm.spaces */
	cpumask_t active[]; /* a: CPUs that have its tables loaded; CPUMASK_WORDS(nr_cpus) */
};

/*
 * vm_space_create - an empty space with one reference in *@out; the kernel's half of its tables is
 * filled in.  Its tables and regions are charged to the running thread's account.
 * Returns 0; -EINVAL memory without bytes; -EDQUOT; -ENOMEM.
 */
int vm_space_create(struct memory *mem, struct vm_space **out) must_check;
/* Take one more reference; the caller has one.  Any context. */
void vm_space_get(struct vm_space *space);
/*
 * Drop a reference; the last one unmaps everything and frees the tables, which no CPU may have
 * loaded.
 */
void vm_space_put(struct vm_space *space);
/*
 * vm_map - map pages [@offset, @offset + @nr) of @object at @va, with protection @prot, to which a
 * VM_MAY may be added; takes a reference to the object.  No page is read or allocated before the
 * first access.
 * Returns 0; -EINVAL no pages, unaligned, outside user addresses, wrapping, past the object's end,
 * an object of another memory, an invalid protection; -EEXIST something is mapped there; -EDQUOT
 * the limit of regions of the space's account; -EMLINK the limit of mappings of this object;
 * -ENOMEM.
 */
int vm_map(struct vm_space *space, uintptr_t va, unsigned long nr, unsigned prot,
    struct vm_object *object, unsigned long offset);
/*
 * vm_unmap - unmap [@va, @va + @nr pages), splitting regions that extend beyond it.  At return no
 * CPU can access the pages there; if a CPU has died in a program with these tables, the pages are
 * pinned until it has left the program.
 * Returns 0, also if nothing was mapped; -EINVAL as vm_map; -ENOMEM, -EDQUOT no region for a split,
 * and nothing is changed.
 */
int vm_unmap(struct vm_space *space, uintptr_t va, unsigned long nr);
/*
 * vm_protect - change the protection of [@va, @va + @nr pages).  At return no CPU can make an
 * access there that @prot forbids, except one that has died in a program with these tables.
 * Returns 0; -EINVAL as vm_map; -EFAULT not all of it is mapped; -EACCES its VM_MAY does not allow
 * it; -ENOMEM, -EDQUOT as vm_unmap; on an error nothing is changed.
 */
int vm_protect(struct vm_space *space, uintptr_t va, unsigned long nr, unsigned prot);
/*
 * vm_space_enter is called before this CPU loads the tables of @space, vm_space_leave after it has
 * loaded other tables.  A thread that changes an entry reads the mask after the change.  So either
 * it sees this CPU's bit and sends it a shootdown, or this CPU reads the new entry.  Preemption is
 * off from before vm_space_enter until the tables are loaded.
 */
static inline void vm_space_enter(struct vm_space *space)
{
	/*
	 * A full barrier: all later reads of the tables by this CPU come after its bit is set.
	 */
	cpumask_set(space->active, arch_cpu_id());
}
static inline void vm_space_leave(struct vm_space *space)
{
	cpumask_clear(space->active, arch_cpu_id());
}
/*
 * The number of pages that the space has mapped, in zones up to @highest, counted in its tables;
 * pages in transit count too.
 * @fn, unless NULL, is called for each piece of a region, in their order, with no lock held:
 * @object is the region's, @nr the number of pages mapped in the piece; @fn may sleep.  For the
 * choice of an OOM victim, by a caller with a reference to the space.  Locks: the space's for each
 * piece, then the tables' for at most 128 entries (ENTRIES_AT_ONCE).  Regions that are mapped or
 * unmapped between two pieces may be counted or not.  The function ends after twice as many pieces
 * as there are at first, even if other threads map regions above the counted ones for ever.
 */
unsigned long vm_space_resident(struct vm_space *space, enum zone_kind highest,
    void (*fn)(struct vm_object *object, unsigned long nr, void *arg), void *arg);

/* ---- faults (mm/vm/vm_fault.c) ---- */

/*
 * vm_fault - make @va accessible for @access (VM_READ, VM_WRITE or VM_EXEC), after the machine
 * refused it.  Returns 0: try the access again (if a pager was asked for the page, it was mapped,
 * or the region has changed); -EFAULT not mapped; -EACCES the protection forbids it; -ENOMEM;
 * -EDQUOT the limit of tables of the space's account; -EIO, -ETIMEDOUT the pager did not supply the
 * page; -EINTR the thread's task is ending, so it does not wait for the pager; -EAGAIN the page has
 * too many mappings; -EHWPOISON the content is lost because its memory is broken.  While the page
 * is being moved, vm_fault waits without a reference to the page.  Context: thread, may sleep, irqs
 * on.
 */
int vm_fault(struct vm_space *space, uintptr_t va, unsigned access) must_check;

#endif
