/* SPDX-License-Identifier: MIT */
/*
 * ops.h: shared by ops_memory.c, which builds the memory of a run, ops.c and others, which work on
 * it, and checks.c, which checks it.
 */
#ifndef QUARRY_RACES_OPS_H
#define QUARRY_RACES_OPS_H

#include "engine.h"
#include "tests/lib/mm_priv.h"
#include <quarry/handle.h>
#include <quarry/smp.h>

#define MAX_HOARD 1024
/* The most pageblocks of zone MOVABLE that a script may ask for, if pageblocks are small. */
#define RACE_WIDE 112u

/*
 * V is the page in slot VM_SLOT of an object that two spaces show; one of the spaces has touched
 * it.
 */
#define VM_SLOT  1
#define VM_PAGES 4u
#define VM_BASE  0x400000UL
#define VM_V     (VM_BASE + VM_SLOT * PAGE_SIZE)

/*
 * The page that a space shows at VM_V: from V's slot of the object; from the other object; from the
 * object's next slot; from any of these.
 */
enum vm_shows { SHOWS_V, SHOWS_OTHER, SHOWS_NEXT, SHOWS_ANY };

struct ops_vm {
	struct spinlock lock;     /* RANK_TASK: to take a reference, or to drop the scene's */
	struct vm_object *object; /* NULL: there is none */
	struct vm_object *other;  /* another object for the same address; NULL: none */
	struct vm_space *space[2];
	/* lock: the scene has dropped its references to the objects, to each space */
	bool closed, left[2];
	u32 shows[2];           /* atomic: enum vm_shows of each space */
	u32 refused[2];         /* atomic: a write in that space, begun from now on, must fail */
	u32 removed;            /* atomic: the stored values were lost, with the page in V's slot */
	bool stale;             /* an operation that had to fail succeeded */
	u32 stores;             /* atomic: number of values given out */
	u64 stored[RACE_ROLES]; /* the value that each role stored in its word; 0: none */
	enum vm_shows stored_in[RACE_ROLES];
	struct page *v; /* the page that was in the slot when the scene was set */
	struct page *pinned[RACE_ROLES];
	pfn_t block_v;
	u32 tries; /* tries of the last move */
	u32 moves; /* atomic: moves that have ended */
};

/* Pages and pageblocks of the scene.  NULL: freed, or never there. */
struct ops {
	struct memory *mem;
	struct page *p, *q, *k;
	pfn_t page_p, block_p, block_u, block_o; /* of P or V in the scene; page_p 0: no scene */
	pfn_t page_q, page_k, page_t;
	struct page *own[RACE_ROLES];  /* the page that a role allocated last */
	struct page *hoard[MAX_HOARD]; /* pages that roles allocated before */
	unsigned nr_hoard;
	u32 depth[NR_ZONE_KINDS]; /* atomic: disables that are not undone yet */
	bool isolated[64];        /* atomic: by pageblock: isolated by an operation "isolate" */
	bool isolated_twice;      /* atomic: one pageblock was isolated twice at the same time */
	struct handle_table objects;
	struct handle object[RACE_ROLES + 1]; /* one for each role, and O */
	u64 offline_cpu, from_alloc;          /* smp_stats when the memory was built */
	u64 timeout_ns;                       /* smp_timeout_ns when it was built */
	struct ops_vm vm;
};
extern struct ops ops;

/* ---- ops_memory.c ---- */

struct zone *ops_movable(void);
/* The pageblock of @page. */
pfn_t ops_block_of(const struct page *page);
/* Operation: take the pages of the scene of kind @arg. */
int ops_scene(unsigned role, const char *arg);
/* The page that @arg names: B; D, the frame that V moves to; T; Q; K; else P, or V's first. */
pfn_t ops_pfn(const char *arg);

/* ---- ops_vm.c: operations on V; as those in ops.c ---- */

/*
 * Make object, spaces and V. With @kind 'N' and 'G' the spaces are untouched, and there is no V
 * yet.
 */
void vm_scene(char kind);
/*
 * vm_forget: forget the spaces and waiters of the last memory; called before a memory is built.
 * vm_drop_all: free object, spaces and V; called on a CPU of the memory, when no role works on it
 * any more and no damage was found.
 */
void vm_forget(void);
void vm_drop_all(void *arg);
/* True: @what belongs to the objects, or to a queue of waiters for their pages. */
bool vm_owns(const void *what);
/*
 * V, or NULL if it is in transit, freed, or not allocated yet.  The caller must keep the object
 * from changing.
 */
struct page *vm_page_now(void);
/*
 * Take a reference to the object, or to the other object; to the space that @arg names. NULL: the
 * scene has none any more.
 */
struct vm_object *vm_object_use(bool other);
struct vm_space *vm_space_use(const char *arg);
int vm_pin(unsigned role);
int vm_unpin(unsigned role);
/* Describe the owners of the references to V's first page in a few words. */
void vm_holders(char *buf, size_t size);

/* ---- operations ---- */

/* One by name, and one of these functions; the text in parentheses behind the name is its @arg. */
struct op {
	const char *name; /* NULL: the end of a table */
	int (*fn)(unsigned role, const char *arg);
	int (*range)(pfn_t start, unsigned long nr); /* on the pageblocks that @arg names */
	int (*pfn)(pfn_t pfn);                       /* on the page that @arg names */
	int (*zone)(struct zone *zone);              /* U: zone NORMAL; else zone MOVABLE */
	/* in the space that @arg names; on the object.  -ENOENT: the scene has dropped it */
	int (*space)(struct vm_space *space, unsigned role, const char *arg);
	int (*object)(struct vm_object *object, unsigned role);
};
/* Of memory that comes and goes, of CPUs, of V, of objects and spaces: of the file of that name. */
extern const struct op ops_add[], ops_cpu[], ops_vm[], ops_space[];
/* The operation fail, of which fail_now is a variation.  In ops.c. */
int ops_fail(unsigned role, const char *arg);
/* The kind of allocation that @arg names.  In ops.c. */
gfp_t ops_gfp(const char *arg);
/*
 * Standby memory has its descriptors from the start; they are counted as if they came online with
 * it.
 */
extern const struct memory_arrays ops_standby_arrays;

/* ---- ops_space.c: operations on objects and spaces, and the checks at the end ---- */

/*
 * Charge the scene's objects, spaces and tables to an empty account from here on. Returns the
 * account before, for account_use.
 */
struct account *vm_account_begin(void);
/* The pager of objects of scene(G), which supplies pages by itself. */
extern const struct vm_pager_ops vm_pager;
/* Pages that objects and spaces have, tables included; tables alone. */
unsigned long vm_pages(void);
u64 vm_tables(void);
/*
 * Check, with every role idle: references and charges are those of the existing objects, and stored
 * values are kept.
 */
bool vm_sound(struct mm_violation *v);
/* Fill in *@v with the damage; returns false. */
bool ops_broken(
    struct mm_violation *v, const char *what, pfn_t pfn, unsigned long have, unsigned long want);

#endif
