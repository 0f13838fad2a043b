/* SPDX-License-Identifier: MIT */
/*
 * account.h: accounting of the kernel's allocations for a task: counted by kind, and limited.
 *
 * Each task has an account.  The kernel charges an allocation to the account of the running thread,
 * and keeps a reference to that account with the allocation: the charge is undone in that account,
 * no matter which thread frees the memory.  A charge counts in each ancestor too, up to
 * account_all, which has no limit and whose numbers are the totals of each kind.  The pages of an
 * object count for the object's account, not for the task that fills them, maps them or has a
 * handle (lru.c counts them).
 *
 * mm/ uses accounts only through this header.
 */
#ifndef QUARRY_ACCOUNT_H
#define QUARRY_ACCOUNT_H

#include <quarry/errno.h>
#include <quarry/port.h>

enum account_kind {
	ACCOUNT_TASKS,   /* tasks that have not released everything */
	ACCOUNT_THREADS, /* threads, with their stacks */
	ACCOUNT_OBJECTS, /* memory objects */
	ACCOUNT_REGIONS, /* mappings; each part of a split mapping counts */
	ACCOUNT_TABLES,  /* pages that are page tables */
	ACCOUNT_SLOTS,   /* pages that are tables of slots; no limit: at most 513 an object */
	ACCOUNT_ENDPOINTS,
	ACCOUNT_MESSAGES, /* calls with a reference left; no limit: see ipc.c */
	ACCOUNT_BUFFERS,  /* pagers, each with a page as buffer; no limit: at most one an object */
	/* Records of tasks, also of ended ones to which there are handles, in 32nds of a page. */
	ACCOUNT_RECORDS,
	ACCOUNT_PAGES,   /* pages of objects, outside zones MOVABLE; no limit */
	ACCOUNT_MOVABLE, /* pages of objects, in zones MOVABLE; no limit */
	NR_ACCOUNT_KINDS,
};

/* The time that reclaim may wait for pagers (kernel/pager_trust.c). */
struct pager_trust {
	u32 missed;  /* calls in a row without an answer */
	s64 owed_ns; /* time that reclaim may still wait, as of @at (clock) */
	u64 at;
};

/* Letters: a atomic; c constant. */
struct account {
	struct account *parent;                   /* c: NULL: none */
	u32 refs;                                 /* a */
	void (*release)(struct account *account); /* c: at the last put; NULL: never freed */
	u64 used[NR_ACCOUNT_KINDS];               /* a */
	u64 limit[NR_ACCOUNT_KINDS];              /* c */
	u64 max_mappings;                         /* c: of one object in one space; vm.h */
	struct pager_trust trust; /* of the family's pagers; used only in its head's account */
};

/* The root of all accounts; threads that have no account of their own are charged to it. */
extern struct account account_all;

/* Context of all functions below: any, no lock needed. */

/*
 * account_charge - count @nr more of @kind in @account and in each of its ancestors.
 * Returns 0; -EDQUOT an account would exceed its limit: then nothing is counted.
 */
int account_charge(struct account *account, enum account_kind kind, u64 nr) must_check;
/* Count like account_charge, but ignore limits: for kinds that are bounded otherwise. */
void account_count(struct account *account, enum account_kind kind, u64 nr);
/* Undo a charge or count of @nr. */
void account_uncharge(struct account *account, enum account_kind kind, u64 nr);

/* Take one more reference (the caller has one); drop a reference. */
void account_get(struct account *account);
void account_put(struct account *account);

/* The running thread's account. */
struct account *account_current(void);
/* From now on the running thread charges to @account; returns the previous account. */
struct account *account_use(struct account *account);

/*
 * The account at the head of @account's family: its ancestor, or @account itself, two levels below
 * account_all.  It is the account of a task that the first task has started.  An account above that
 * level is its own head.
 */
struct account *account_family(struct account *account);
/*
 * The approximate number of pages behind all charges of @account and its descendants, without the
 * pages of objects.
 */
unsigned long account_pages(const struct account *account);
/* Pages of objects of @account and its descendants; @movable: those in zones MOVABLE too. */
unsigned long account_content(const struct account *account, bool movable);

/* ---- totals ---- */

#define SLAB_MIN_SHIFT 4
#define SLAB_MAX_SHIFT 11
/* One number for each size of small objects, and one for larger blocks. */
#define NR_SLAB_COUNTS (SLAB_MAX_SHIFT - SLAB_MIN_SHIFT + 2)
#define NR_COUNTS      (NR_ACCOUNT_KINDS + NR_SLAB_COUNTS)

struct counts {
	union {
		struct {
			u64 kind[NR_ACCOUNT_KINDS];
			u64 slab[NR_SLAB_COUNTS]; /* kmalloc objects in use, by size */
		};
		u64 all[NR_COUNTS];
	};
};

/* Read the totals; exact if no thread allocates meanwhile. */
void counts_read(struct counts *counts);
/* The name of the first number that differs, with both values in *@in_a and *@in_b; NULL: none. */
const char *counts_differ(const struct counts *a, const struct counts *b, u64 *in_a, u64 *in_b);
/* Print all numbers, in a few lines. */
void show_counts(void);
/* mm/vm/slab.c: objects in use of each size. */
void kmalloc_counts(u64 in_use[NR_SLAB_COUNTS]);

#endif
