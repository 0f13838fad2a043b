/* SPDX-License-Identifier: MIT */
/*
 * account.c: counts what the kernel has allocated for each task, by kind.
 *
 * Owns:       account_all; the numbers of every account.
 * Locks:      none: every number is changed by one atomic operation.
 * Invariants: an account's number is at least the sum of its children's numbers, except inside a
 *             charge or a count, which adds to the child before its parent.  No charge exceeds a
 *             limit, not even for a moment; two charges that meet right below it may both be
 *             refused.
 * Tests:      account, short.
 */
#include <quarry/mm.h>
#include <quarry/account.h>

#define UNLIMITED [0 ... NR_ACCOUNT_KINDS - 1] = ~0ULL

struct account account_all = {.limit = {UNLIMITED}, .max_mappings = ~0ULL};

static const char *const names[NR_COUNTS] = {
    [ACCOUNT_TASKS] = "tasks",
    [ACCOUNT_THREADS] = "threads",
    [ACCOUNT_OBJECTS] = "objects",
    [ACCOUNT_REGIONS] = "regions",
    [ACCOUNT_TABLES] = "page tables",
    [ACCOUNT_SLOTS] = "slot tables",
    [ACCOUNT_ENDPOINTS] = "endpoints",
    [ACCOUNT_MESSAGES] = "messages",
    [ACCOUNT_BUFFERS] = "pagers",
    [ACCOUNT_RECORDS] = "task records",
    [ACCOUNT_PAGES] = "pages",
    [ACCOUNT_MOVABLE] = "pages MOVABLE",
    [NR_ACCOUNT_KINDS] = "slab 16",
    "slab 32",
    "slab 64",
    "slab 128",
    "slab 256",
    "slab 512",
    "slab 1024",
    "slab 2048",
    "larger blocks",
};

/*
 * The cost of one charge of each kind, in 32nds of a page: the structure, and the memory that
 * always comes with it.
 */
static const u16 cost[NR_ACCOUNT_KINDS] = {
    [ACCOUNT_TASKS] = 96,    /* two pages of handles, the task and its space */
    [ACCOUNT_THREADS] = 160, /* four pages of stack, registers of the FPU */
    [ACCOUNT_OBJECTS] = 4,
    [ACCOUNT_REGIONS] = 1,
    [ACCOUNT_TABLES] = 32,
    [ACCOUNT_SLOTS] = 32,
    [ACCOUNT_ENDPOINTS] = 4,
    [ACCOUNT_MESSAGES] = 8,
    [ACCOUNT_BUFFERS] = 34, /* the page, and the pager */
    [ACCOUNT_RECORDS] = 1,
    [ACCOUNT_PAGES] = 0, /* counted by account_content */
    [ACCOUNT_MOVABLE] = 0,
};

/* Undo a charge of @account and its ancestors, up to but without @end; NULL: of all of them. */
static void uncharge(
    struct account *account, const struct account *end, enum account_kind kind, u64 nr)
{
	for (; account != end; account = account->parent) {
		u64 before = atomic_sub(&account->used[kind], nr);

		KASSERT(before >= nr);
	}
}

int account_charge(struct account *account, enum account_kind kind, u64 nr)
{
	struct account *a;

	for (a = account; a; a = a->parent) {
		u64 used;

		do {
			used = READ_ONCE(a->used[kind]);
			if (nr > a->limit[kind] || used > a->limit[kind] - nr) {
				uncharge(account, a, kind, nr);
				return -EDQUOT;
			}
		} while (!atomic_cas(&a->used[kind], used, used + nr));
	}
	return 0;
}

void account_count(struct account *account, enum account_kind kind, u64 nr)
{
	for (; account; account = account->parent)
		atomic_add(&account->used[kind], nr);
}

void account_uncharge(struct account *account, enum account_kind kind, u64 nr)
{
	uncharge(account, NULL, kind, nr);
}

void account_get(struct account *account)
{
	u32 refs;

	if (!account->release)
		return;
	refs = atomic_add(&account->refs, 1u);
	KASSERT(refs > 0 && refs < ~0u);
}

void account_put(struct account *account)
{
	u32 refs;

	if (!account->release)
		return;
	refs = atomic_sub(&account->refs, 1u);
	KASSERT(refs > 0);
	if (refs == 1)
		account->release(account);
}

struct account *account_current(void)
{
	struct account *account = port_task()->account;

	return account ? account : &account_all;
}

struct account *account_use(struct account *account)
{
	struct account *before = account_current();

	port_task()->account = account;
	return before;
}

struct account *account_family(struct account *account)
{
	while (account->parent && account->parent->parent && account->parent->parent->parent)
		account = account->parent;
	return account;
}

unsigned long account_pages(const struct account *account)
{
	u64 sum = 0;
	unsigned i;

	for (i = 0; i < NR_ACCOUNT_KINDS; i++)
		sum += READ_ONCE(account->used[i]) * cost[i];
	return (unsigned long)(sum / 32);
}

unsigned long account_content(const struct account *account, bool movable)
{
	u64 sum = READ_ONCE(account->used[ACCOUNT_PAGES]);

	if (movable)
		sum += READ_ONCE(account->used[ACCOUNT_MOVABLE]);
	return (unsigned long)sum;
}

/* ---- totals ---- */

void counts_read(struct counts *counts)
{
	unsigned i;

	for (i = 0; i < NR_ACCOUNT_KINDS; i++)
		counts->kind[i] = READ_ONCE(account_all.used[i]);
	kmalloc_counts(counts->slab);
}

const char *counts_differ(const struct counts *a, const struct counts *b, u64 *in_a, u64 *in_b)
{
	unsigned i;

	for (i = 0; i < NR_COUNTS; i++) {
		*in_a = a->all[i];
		*in_b = b->all[i];
		if (*in_a != *in_b)
			return names[i];
	}
	return NULL;
}

void show_counts(void)
{
	struct counts now;
	unsigned i;

	counts_read(&now);
	for (i = 0; i < NR_COUNTS; i++)
		printk("  %-14s %llu\n", names[i], (unsigned long long)now.all[i]);
}
