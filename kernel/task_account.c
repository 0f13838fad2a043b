/* SPDX-License-Identifier: MIT */
/*
 * task_account.c: limits on kernel allocations for a task.
 *
 * A task that the kernel starts has limits that follow from the size of memory.  Other tasks have
 * the limits that their creator states, by default half of the creator's own: so one child cannot
 * use up all resources of its parent.  Every charge of a task counts for its ancestors too.
 *
 * Owns:       the accounts of tasks.
 * Locks:      none.
 * Invariants: a child's limit of tasks is lower than its parent's, so chains of accounts are short.
 *             An account is freed with its last charge, which may be after its task.
 * Tests:      tests/fiber/explore_good.c, account, tests/hostile/hostile_account.c,
 *             tests/qemu/test_hostile.py.
 */
#include "thread.h"
#include <quarry/mm.h>
#include <quarry/task.h>

/* All tasks together leave half of a page's references for migration, pins and waiters. */
BUILD_ASSERT(ABI_MAX_TASKS *ABI_MAX_MAPPINGS <= PAGE_REF_MAX / 2 + 1);

/* The kind of account behind each limit of ring 3. */
static const enum account_kind kind_of[NR_LIMITS] = {
    [LIMIT_TASKS] = ACCOUNT_TASKS,
    [LIMIT_THREADS] = ACCOUNT_THREADS,
    [LIMIT_OBJECTS] = ACCOUNT_OBJECTS,
    [LIMIT_REGIONS] = ACCOUNT_REGIONS,
    [LIMIT_TABLES] = ACCOUNT_TABLES,
    [LIMIT_ENDPOINTS] = ACCOUNT_ENDPOINTS,
};

/* The limits of a task that the kernel starts: a quarter to a sixteenth of all memory, by kind. */
static u64 limit_of_first(enum abi_limit which)
{
	u64 pages = memory_managed_pages(&kernel_memory);

	switch (which) {
	case LIMIT_TASKS: return ABI_MAX_TASKS - 1;
	case LIMIT_THREADS: return pages / 20;
	case LIMIT_OBJECTS: return pages / 16;
	case LIMIT_REGIONS: return pages * 2;
	case LIMIT_TABLES: return pages / 8;
	case LIMIT_ENDPOINTS: return pages / 2;
	case NR_LIMITS: break;
	}
	return 0;
}

/*
 * The memory that an ended task uses until the last handle to it is closed, in 32nds of a page:
 * task and account, each in a block of a power of two, and a share for each CPU.
 */
static u64 record_units(void)
{
	u64 bytes =
	    2 * (sizeof(struct task) + sizeof(struct account)) + nr_cpus * sizeof(struct share);

	return bytes / (PAGE_SIZE / 32) + 1;
}

static void release(struct account *account)
{
	struct account *parent = account->parent;

	kfree(account);
	account_uncharge(parent, ACCOUNT_RECORDS, record_units());
	account_put(parent);
}

/* The highest limit that @parent may give; usual(), below, is the default limit. */
static u64 most(const struct account *parent, enum abi_limit which)
{
	u64 own = parent->limit[kind_of[which]];

	return parent == &account_all     ? limit_of_first(which)
	    : which == LIMIT_TASKS && own ? own - 1
	                                  : own;
}

static u64 usual(const struct account *parent, enum abi_limit which)
{
	return parent == &account_all ? limit_of_first(which) : parent->limit[kind_of[which]] / 2;
}

int task_account_create(const struct abi_limits *limits, struct account **out)
{
	struct account *parent = account_current(), *account;
	unsigned i;
	int err;

	for (i = 0; limits && i < NR_LIMITS; i++)
		if (limits->limit[i] != ABI_LIMIT_INHERIT &&
		    limits->limit[i] > most(parent, (enum abi_limit)i))
			return -EACCES;
	err = account_charge(parent, ACCOUNT_TASKS, 1);
	if (err)
		return -EAGAIN;
	account = kmalloc(sizeof(*account));
	if (!account) {
		account_uncharge(parent, ACCOUNT_TASKS, 1);
		return -ENOMEM;
	}
	*account = (struct account){.parent = parent, .refs = 1, .release = release};
	account_get(parent);
	account_count(parent, ACCOUNT_RECORDS, record_units());
	account->max_mappings = ABI_MAX_MAPPINGS;
	for (i = 0; i < NR_ACCOUNT_KINDS; i++)
		account->limit[i] = ~0ULL;
	for (i = 0; i < NR_LIMITS; i++) {
		u64 limit = limits ? limits->limit[i] : ABI_LIMIT_INHERIT;

		account->limit[kind_of[i]] =
		    limit == ABI_LIMIT_INHERIT ? usual(parent, (enum abi_limit)i) : limit;
	}
	*out = account;
	return 0;
}

void task_account_ended(struct account *account)
{
	account_uncharge(account->parent, ACCOUNT_TASKS, 1);
}

s64 task_account_limit(const struct account *account, u64 which, bool used)
{
	if (which >= NR_LIMITS)
		return -EINVAL;
	return (
	    s64)(used ? READ_ONCE(account->used[kind_of[which]]) : account->limit[kind_of[which]]);
}
