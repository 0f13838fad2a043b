/* SPDX-License-Identifier: MIT */
/*
 * account.c: counts what the kernel has allocated for each task, by kind.
 *
 * Owns:       account_all; the numbers of every account.
 * Locks:      none: every number is changed by one atomic operation.
 * Invariants: an account's number is at least the sum of its children's, except inside a charge or
 *             a count, which adds to the child before its parent.  No charge exceeds a limit, not
 *             even for a moment; two charges that meet right below it may both be refused.
 * Tests:      account, account_steps, short.
 */
#include <quarry/mm.h>
#include <quarry/account.h>

#define UNLIMITED [0 ... NR_ACCOUNT_KINDS - 1] = ~0ULL

struct account account_all = {.limit = {UNLIMITED}, .max_mappings = ~0ULL};

/*
 * The name of each number; for a kind, also the cost of one charge in 32nds of a page: the
 * structure, and the memory that always comes with it.
 */
static const struct {
	const char *name;
	u16 cost;
} numbers[NR_COUNTS] = {
    [ACCOUNT_TASKS] = {"tasks", 96},      /* two pages of handles, the task and its space */
    [ACCOUNT_THREADS] = {"threads", 160}, /* four pages of stack, registers of the FPU */
    [ACCOUNT_OBJECTS] = {"objects", 4},
    [ACCOUNT_REGIONS] = {"regions", 1},
    [ACCOUNT_TABLES] = {"page tables", 32},
    [ACCOUNT_SLOTS] = {"slot tables", 32},
    [ACCOUNT_ENDPOINTS] = {"endpoints", 4},
    [ACCOUNT_MESSAGES] = {"messages", 8},
    [ACCOUNT_BUFFERS] = {"pagers", 34}, /* the page, and the pager */
    [ACCOUNT_RECORDS] = {"task records", 1},
    [ACCOUNT_PAGES] = {"pages", 0}, /* counted by account_content */
    [ACCOUNT_MOVABLE] = {"pages MOVABLE", 0},
    /* clang-format off */
    [NR_ACCOUNT_KINDS] = {"slab 16", 0}, {"slab 32", 0}, {"slab 64", 0}, {"slab 128", 0},
    {"slab 256", 0}, {"slab 512", 0}, {"slab 1024", 0}, {"slab 2048", 0}, {"larger blocks", 0},
    /* clang-format on */
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
		sum += READ_ONCE(account->used[i]) * numbers[i].cost;
	return (unsigned long)(sum / 32);
}

unsigned long account_content(const struct account *account, bool movable)
{
	u64 in_movable = movable ? READ_ONCE(account->used[ACCOUNT_MOVABLE]) : 0;

	return (unsigned long)(READ_ONCE(account->used[ACCOUNT_PAGES]) + in_movable);
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
			return numbers[i].name;
	}
	return NULL;
}

void show_counts(void)
{
	struct counts now;
	unsigned i;

	counts_read(&now);
	for (i = 0; i < NR_COUNTS; i++)
		printk("  %-14s %llu\n", numbers[i].name, (unsigned long long)now.all[i]);
}
