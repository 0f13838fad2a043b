/* SPDX-License-Identifier: MIT */
/*
 * account.h: what the kernel has allocated for somebody: counted by kind, and limited.
 *
 * Each task has an account.  Whatever the kernel allocates is charged to the account of the running thread, and
 * remembers it: its end gives the charge back there, whoever ends it.  A charge counts in each parent too,
 * up to account_all, which has no limit: its numbers are all there is of each kind.
 *
 * mm/ knows an account only by what stands here.
 */
#ifndef QUARRY_ACCOUNT_H
#define QUARRY_ACCOUNT_H

#include <quarry/errno.h>
#include <quarry/port.h>

enum account_kind {
	ACCOUNT_TASKS,     /* that have not given everything back */
	ACCOUNT_THREADS,   /* with their stacks */
	ACCOUNT_OBJECTS,   /* memory objects */
	ACCOUNT_REGIONS,   /* mappings, and the parts of mappings that were cut */
	ACCOUNT_TABLES,    /* pages that are page tables */
	ACCOUNT_SLOTS,     /* pages that are tables of the slots of objects; no limit: an object has 513 at most */
	ACCOUNT_ENDPOINTS,
	ACCOUNT_MESSAGES,  /* calls that somebody still knows of; no limit: see ipc.c */
	NR_ACCOUNT_KINDS,
};

/* Letters: a atomic; c constant. */
struct account {
	struct account *parent; /* c: NULL: none */
	u32 refs;               /* a */
	void (*release)(struct account *account); /* c: the last reference has gone; NULL: it stays for ever */
	u64 used[NR_ACCOUNT_KINDS];  /* a */
	u64 limit[NR_ACCOUNT_KINDS]; /* c */
	u64 max_mappings;            /* c: of one object in one space; vm.h */
};

/* The parent of all others, and the account of threads that have none. */
extern struct account account_all;

/* Context of all: any, no lock needed. */

/*
 * account_charge - count @nr more of @kind in @account and in each of its parents.
 * Returns 0; -EDQUOT one of them would pass its limit: then nothing is counted.
 */
int account_charge(struct account *account, enum account_kind kind, u64 nr) must_check;
/* The same without a limit, for what is bounded otherwise. */
void account_count(struct account *account, enum account_kind kind, u64 nr);
/* Count @nr less: what either of them has counted. */
void account_uncharge(struct account *account, enum account_kind kind, u64 nr);

/* One more reference, by one who has one; drop one. */
void account_get(struct account *account);
void account_put(struct account *account);

/* That of the running thread. */
struct account *account_current(void);
/* The running thread charges to @account from here on; returns what it charged to before. */
struct account *account_use(struct account *account);

/* Is @account that one, or below it? */
bool account_below(const struct account *account, const struct account *top);
/* Pages that all that @account has, and what is below it, take; about. */
unsigned long account_pages(const struct account *account);

/* ---- all there is ---- */

#define SLAB_MIN_SHIFT 4
#define SLAB_MAX_SHIFT 11
/* One number for each size of small objects, and one for the blocks that are larger. */
#define NR_SLAB_COUNTS (SLAB_MAX_SHIFT - SLAB_MIN_SHIFT + 2)

struct counts {
	u64 kind[NR_ACCOUNT_KINDS];
	u64 slab[NR_SLAB_COUNTS]; /* objects in use of kmalloc's, by size */
};

/* What is in use now; exact if nobody allocates meanwhile. */
void counts_read(struct counts *counts);
/* The first number that differs: its name, in words, and both values; NULL: none does. */
const char *counts_differ(const struct counts *a, const struct counts *b, u64 *in_a, u64 *in_b);
/* A few lines: all numbers. */
void show_counts(void);
/* mm/slab.c: objects in use of each size. */
void kmalloc_counts(u64 in_use[NR_SLAB_COUNTS]);

#endif
