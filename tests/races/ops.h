/* SPDX-License-Identifier: MIT */
/* ops.h: what ops.c, which works on the memory of a run, shares with checks.c, which looks at it. */
#ifndef QUARRY_RACES_OPS_H
#define QUARRY_RACES_OPS_H

#include "engine.h"
#include "mm/mm_priv.h"
#include <quarry/handle.h>
#include <quarry/smp.h>

#define MAX_HOARD 1024

/* Object pages: V in slot VM_SLOT of an object that two spaces show, in one of which it was touched. */
#define VM_SLOT 1

struct ops_vm {
	struct vm_object *object;   /* NULL: there is none */
	struct vm_space *space[2];
	struct page *v;             /* the page that was in the slot when the scene was set */
	struct page *pinned[RACE_ROLES];
	pfn_t block_v;
	u32 tries;                  /* that the last move took */
	u32 moves;                  /* a: that have ended */
};

/* NULL: freed, or never there. */
struct ops {
	struct memory *mem;
	struct page *p, *q, *k;
	pfn_t page_p, block_p, block_u, block_o; /* page_p 0: no scene; of P, or of V at first */
	pfn_t page_q, page_k, page_t;
	struct page *own[RACE_ROLES]; /* what a role allocated last */
	struct page *hoard[MAX_HOARD]; /* and all else */
	unsigned nr_hoard;
	struct handle_table objects;
	struct handle object[RACE_ROLES + 1]; /* one for each role, and O */
	u64 offline_cpu, from_alloc;          /* smp_stats when the memory was built */
	u64 timeout_ns;                       /* smp_timeout_ns when it was built */
	struct ops_vm vm;
};
extern struct ops ops;


/* ---- ops_vm.c: operations on V; as those in ops.c ---- */

/* Make object, spaces and V. */
void vm_scene(void);
/* Before a memory is built; and when no role works on it any more and nothing is wrong: on a CPU of the memory's. */
void vm_forget(void);
void vm_drop_all(void *arg);
/* Is @what part of them, or of where one waits for their pages? */
bool vm_owns(const void *what);
/* Pages that object and spaces have, tables included. */
unsigned long vm_pages(void);
int vm_op_touch(unsigned role, const char *arg);
int vm_op_hammer(unsigned role, const char *arg);
int vm_op_move(unsigned role, const char *arg);
int vm_op_unmap(unsigned role, const char *arg);
int vm_op_remove(unsigned role, const char *arg);
int vm_op_once(unsigned role, const char *arg);
int vm_op_pin(unsigned role);
int vm_op_unpin(unsigned role);

/* ---- operations of ops_add.c: of a range, which is HOLE or OFFLINE; of node 0 ---- */

/* The pageblocks that @arg names; false: none.  ops.c. */
bool ops_range(const char *arg, pfn_t *start, unsigned long *nr);
int add_op_add(unsigned role, const char *arg);
int add_op_remove(unsigned role, const char *arg);

/* ---- operations of ops_cpu.c ---- */

int cpu_op_down(unsigned role, const char *arg);
int cpu_op_up(unsigned role, const char *arg);
/* Milliseconds until a CPU that is kept somewhere counts as silent; until the memory of the race goes. */
int cpu_op_timeout(unsigned role, const char *arg);
/* Whose the references to the page that V was in at first are, in a few words. */
void vm_holders(char *buf, size_t size);
/* That page: P, or what V was in at first; Q; K. */
pfn_t ops_pfn(const char *arg);

#endif
