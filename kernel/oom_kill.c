/* SPDX-License-Identifier: MIT */
/*
 * oom_kill.c: memory is used up and none can be reclaimed: choose a task to kill.
 *
 * A task's score counts the pages that its end returns to the request: the pages that it has
 * mapped; unmapped pages of anonymous objects that it holds by a handle; and its kernel
 * allocations.  Pages in zones that the request may not use do not count.
 *
 * A family is a task started by the first task, with all its descendants.  The victim is the task
 * with the most pages in the family with the most pages.  So no task gets others killed by
 * spreading its pages over many tasks.
 *
 * The first task, the ancestor of all others, is exempt.  A pager's score is lowered by the pages
 * that tasks outside its family got from it: killing it would lose them.  If no task is left to
 * choose, the allocation fails: a system call returns -ENOMEM, an access ends the task that made
 * it.  A task that is already ending is waited for before another one is chosen.
 *
 * Owns:       the table that a victim is chosen from.
 * Locks:      none of its own: mm/ makes one call at a time (oom.h).
 * Invariants: nothing is allocated.  References to a task's space are short, and none to the
 *             victim's is held when it is told to end: so its memory is free when it reports its
 *             end.
 * Tests:      oom_task, tests/fiber/explore_oom.c, tests/fiber/explore_oom_said.c,
 *             tests/qemu/test_memory.py.
 */
#include <quarry/mm.h>
#include <quarry/oom.h>
#include <quarry/pager.h>
#include <quarry/task.h>

struct row {
	struct task *task;            /* a reference */
	const struct account *family; /* the account at the family's head */
	unsigned long anon, pager;    /* pages mapped, by the kind of their objects */
	unsigned long unmapped;       /* pages that it holds by handles only */
	unsigned long kernel;         /* pages that the kernel has allocated for it */
	unsigned long served;         /* pages that others got from it, their pager */
	unsigned long useless;        /* pages in zones that the request may not use */
};

static struct row table[ABI_MAX_TASKS];
static unsigned nr_rows;
static u32 round;

/* The pages that its end returns. */
static unsigned long all_pages(const struct row *r)
{
	return r->anon + r->pager + r->unmapped + r->kernel;
}

/* Of these, the pages that other tasks would lose. */
static unsigned long lost_pages(const struct row *r)
{
	return MIN(r->served, all_pages(r));
}

static unsigned long pages_of(const struct row *r)
{
	return all_pages(r) - lost_pages(r);
}

/* Count one region of a task. */
static void count(const struct vm_object *object, unsigned long nr, void *arg)
{
	struct row *own = arg;
	u32 pager = pager_task(object);
	unsigned i;

	*(object->kind == OBJ_PAGER ? &own->pager : &own->anon) += nr;
	for (i = 0; pager && i < nr_rows; i++) {
		struct row *r = &table[i];

		if (r->task->id == pager && !account_below(own->task->account, r->task->account) &&
		    pager_first_in(object, round))
			r->served += pager_served(object);
	}
}

static void count_task(struct row *r, enum zone_kind highest)
{
	struct vm_space *space = task_get_space(r->task);
	unsigned long all = cap_table_unmapped(&r->task->caps, ZONE_MOVABLE);

	r->unmapped = cap_table_unmapped(&r->task->caps, highest);
	r->useless = all - MIN(all, r->unmapped);
	if (!space)
		return;
	all = vm_space_resident(space, ZONE_MOVABLE, NULL, NULL);
	r->useless += all - MIN(all, vm_space_resident(space, highest, count, r));
	vm_space_put(space);
}

/* Is @top the account of the nearest ancestor of @r that still exists? */
static bool next_above(const struct row *r, const struct account *top)
{
	const struct account *a = r->task->account->parent;
	unsigned i;

	for (; a && a != &account_all; a = a->parent)
		for (i = 0; i < nr_rows; i++)
			if (table[i].task->account == a)
				return a == top;
	return false;
}

/* Add the kernel's pages: those charged to the account, without those of existing descendants. */
static void count_kernel(struct row *r, const struct account *top)
{
	const struct account *a = r->task->account;
	unsigned long below = 0;
	unsigned i;

	for (i = 0; i < nr_rows; i++)
		if (next_above(&table[i], a))
			below += account_pages(table[i].task->account);
	r->kernel = account_pages(a) - MIN(account_pages(a), below);
	while (a->parent != top && a->parent != &account_all)
		a = a->parent;
	r->family = a;
}

static void fill_table(enum zone_kind highest)
{
	const struct account *top = NULL;
	struct task *task;
	u32 id = 0;
	unsigned i;

	nr_rows = 0;
	round = round + 1 ? round + 1 : 1;
	while (nr_rows < ABI_MAX_TASKS && (task = task_after(id))) {
		id = task->id;
		table[nr_rows++] = (struct row){.task = task};
		if (task->first)
			top = task->account;
	}
	for (i = 0; i < nr_rows; i++) {
		count_task(&table[i], highest);
		count_kernel(&table[i], top);
	}
}

/* The task is ending and has not been waited for yet, so its memory is enough. */
static bool already_ending(const struct row *r)
{
	return load_acquire(&r->task->ending) && !READ_ONCE(r->task->victim);
}

static bool exempt(const struct row *r)
{
	return r->task->first || load_acquire(&r->task->ending);
}

/* The sum over the tasks of a family that may be chosen. */
static unsigned long family_pages(const struct account *family)
{
	unsigned long sum = 0;
	unsigned i;

	for (i = 0; i < nr_rows; i++)
		if (table[i].family == family && !exempt(&table[i]))
			sum += pages_of(&table[i]);
	return sum;
}

static const struct row *choose(void)
{
	const struct row *best = NULL;
	unsigned long most = 0;
	unsigned i;

	for (i = 0; i < nr_rows; i++)
		if (already_ending(&table[i]))
			return &table[i];
	for (i = 0; i < nr_rows; i++) {
		const struct row *r = &table[i];
		unsigned long family = family_pages(r->family);

		if (exempt(r) || pages_of(r) == 0)
			continue;
		if (!best || family > most || (family == most && pages_of(r) > pages_of(best))) {
			most = family;
			best = r;
		}
	}
	return best;
}

static void print_row(const struct row *r, const struct row *victim)
{
	printk("oom: %5u %-12s %8u %8lu %8lu %8lu %8lu", r->task->id, r->task->name,
	    READ_ONCE(r->task->nr_threads), r->anon, r->pager, r->unmapped, r->kernel);
	if (r == victim)
		printk("%s", already_ending(r) ? "  ending: waited for" : "  the most: killed");
	else if (load_acquire(&r->task->ending))
		printk("  ending");
	else if (r->task->first)
		printk("  first task: exempt");
	else if (r->served)
		printk("  pager: %lu not counted", lost_pages(r));
	if (r->useless)
		printk("  and %lu in other zones", r->useless);
	printk("\n");
}

static void print_table(
    const struct memory *mem, gfp_t gfp, unsigned order, const struct row *victim)
{
	const struct task *asks = task_current();
	unsigned i;

	printk("oom: no memory for %s, %u page%s, flags %#x; of %lu pages in use none can be "
	       "reclaimed\n",
	    asks ? asks->name : "the kernel", 1u << order, order ? "s" : "", gfp,
	    memory_managed_pages(mem));
	printk("oom: %5s %-12s %8s %8s %8s %8s %8s\n", "task", "name", "threads", "anon", "pager",
	    "unmapped", "kernel");
	for (i = 0; i < nr_rows; i++)
		print_row(&table[i], victim);
}

static bool oom_kill(struct memory *mem, gfp_t gfp, unsigned order, void *arg)
{
	const struct row *victim;
	unsigned i;

	fill_table(gfp & GFP_MOVABLE ? ZONE_MOVABLE : ZONE_NORMAL);
	victim = memory_oom_outdated(mem) ? NULL : choose();
	if (victim) {
		print_table(mem, gfp, order, victim);
		/*
		 * It has released everything since it was counted, and will not report its end
		 * again.
		 */
		if (!task_end_victim(victim->task, READ_ONCE(mem->oom.going)))
			memory_oom_gone(mem, READ_ONCE(mem->oom.going));
	}
	for (i = 0; i < nr_rows; i++)
		task_put(table[i].task);
	return victim;
}

void oom_gone(const struct task *task, u32 victim)
{
	printk("oom: task %u %s is gone, %lu pages are free\n", task->id, task->name,
	    memory_free_pages(&kernel_memory));
	memory_oom_gone(&kernel_memory, victim);
}

void oom_init(void)
{
	memory_set_oom(&kernel_memory, oom_kill, NULL);
}
