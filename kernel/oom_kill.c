/* SPDX-License-Identifier: MIT */
/*
 * oom_kill.c: memory is used up and none can be reclaimed: choose a task to kill.
 *
 * A task's score is the content of its account: pages of objects, and kernel allocations, no matter
 * which task refers to them.  The charges of an ended task count for the nearest task above it.
 * Pages in zones that the request may not use count only if enough pages of other families, in
 * zones that it may use, can move there when they are free (mm/reclaim/to_movable.c).
 *
 * Two kinds of pages count for a task that uses them instead of the task that is charged:
 *   - pages of a pager that tasks outside its family have mapped: they are lost if the pager ends.
 *     But if the pager refused the last one that reclaim gave it, they would stay if the others
 *     ended: so they count for the pager, except those that the first task has mapped.  And pages
 *     of the first task, which is never killed, that other tasks have mapped;
 *   - pages of objects of ended tasks above which all tasks have ended too, and the kernel's memory
 *     for these objects: they count for a task that has the object mapped or, if there is none, for
 *     a task with a handle, or else for a task of which a thread gives the object away.  If there
 *     is none either, they count for the family that is charged, but for none of its tasks.
 *
 * A family is a task started by the first task, with all its descendants.  The victim is the task
 * with the most pages in the family with the most pages.  So no task gets others killed by
 * spreading its pages over many tasks.
 *
 * The first task, the ancestor of all others, is exempt, and so is a task that another one is still
 * loading.  If no task can be chosen, the allocation fails: a system call returns -ENOMEM, a failed
 * access ends its task. The killer waits for a task that is already ending before it chooses
 * another one.
 *
 * Owns:       the table that a victim is chosen from.
 * Locks:      none of its own: mm/ makes one call at a time (oom.h).
 * Invariants: nothing is allocated.  References to a task's space are held only briefly, and none
 *             to the victim's when the victim is told to end. So its memory is free when it reports
 *             its end.
 * Tests:      oom_task, oom_choice, tests/fiber/explore_oom.c, tests/fiber/explore_oom_said.c,
 *             tests/qemu/test_memory.py, tests/qemu/test_hostile.py.
 */
#include <quarry/mm.h>
#include <quarry/oom.h>
#include <quarry/sched_point.h>
#include <quarry/task.h>

struct row {
	struct task *task;            /* a reference */
	const struct account *family; /* the account at the family's head */
	unsigned long pages;          /* pages of objects charged to the task */
	unsigned long shared;         /* of these, pages that count for other tasks */
	unsigned long has;            /* pages charged to other tasks that count for this one */
	unsigned long inherited;      /* pages of ended tasks of its family that count for a task */
	unsigned long kernel;         /* pages that the kernel has allocated for the task */
	unsigned long useless;        /* pages of its objects in zones that do not count */
	unsigned long whole;          /* pages of its family, as the choice counts them */
	enum zone_kind zones;         /* the highest zone that counts for its family */
};

static struct row table[ABI_MAX_TASKS];
static unsigned nr_rows;
/*
 * Of one decision: the first task's account, the highest zone that the request may use, the pages
 * in such zones that can move to MOVABLE, the zones whose pages are being counted, the decision's
 * number.
 */
static const struct account *top;
static enum zone_kind highest, counted;
static unsigned long can_move;
static u32 decision;

/* So many pages let a request go on: two batches of reclaim, a step of its watermarks. */
#define ENOUGH_PAGES 64

static unsigned long pages_of(const struct row *r)
{
	return r->pages - MIN(r->shared, r->pages) + r->has + r->kernel;
}

/*
 * The head of @a's family: @a or its ancestor just below the account of the first task or kernel.
 */
static const struct account *family_of(const struct account *a)
{
	while (a->parent && a->parent != top && a->parent != &account_all)
		a = a->parent;
	return a;
}

/* The task whose account is @a, or else the nearest account above @a; NULL: none. */
static struct row *nearest(const struct account *a)
{
	unsigned i;

	for (; a; a = a->parent)
		for (i = 0; i < nr_rows; i++)
			if (table[i].task->account == a)
				return &table[i];
	return NULL;
}

/* The task that pays for the charges of @a; NULL: all tasks of its family from @a up have ended. */
static struct row *payer(const struct account *a)
{
	struct row *r = nearest(a);

	return r && r->task->first && a != top ? NULL : r;
}

/*
 * The highest zone that counts for tasks of @family: MOVABLE, though the request may not use it, if
 * enough pages of others can move there in place of the family's.
 */
static enum zone_kind zones_of(const struct account *family)
{
	bool room = can_move >= account_content(family, false) + ENOUGH_PAGES;

	return room ? ZONE_MOVABLE : highest;
}

/* The same for pages of @object that count for @r. */
static enum zone_kind zones_shared(const struct row *r, const struct vm_object *object)
{
	return MIN(r->zones, zones_of(family_of(object->account)));
}

/* The index of the first row of @family, whose head's account it is; nr_rows: there is none. */
static unsigned first_row_of(const struct account *family)
{
	unsigned i;

	for (i = 0; i < nr_rows && table[i].family != family; i++)
		;
	return i;
}

/* ---- pages that count for the task that has them ---- */

/*
 * The task that pays for the object, looked up once in a decision: there may be many regions.  From
 * then on oom_shared is the number of its pages that already count for another task.
 */
static struct row *payer_of(struct vm_object *object)
{
	if (object->oom_round != decision) {
		struct row *r = payer(object->account);

		object->oom_round = decision;
		object->oom_shared = 0;
		object->oom_payer = r ? (u32)(r - table) + 1 : 0;
	}
	return object->oom_payer ? &table[object->oom_payer - 1] : NULL;
}

/*
 * No task is left that must pay for the object: @r pays, unless another task does already.  The
 * object's family, whose other tasks may live, pays no more: one of its rows notes that.
 */
static void inherit(struct row *r, struct vm_object *object)
{
	unsigned long pages, tables;
	struct row *above;
	unsigned family;

	if (object->oom_shared)
		return;
	object->oom_shared = 1;
	family = first_row_of(family_of(object->account));
	above = nearest(object->account);
	pages = vm_object_pages(object, zones_shared(r, object));
	/* A pager has a page as buffer. */
	tables = vm_object_tables(object) + (object->kind == OBJ_PAGER);
	r->has += pages + tables;
	if (above) {
		above->shared += pages;
		above->kernel -= MIN(above->kernel, tables);
	}
	if (family < nr_rows)
		table[family].inherited += pages + tables;
}

/* @r has @nr pages of @object mapped in a region. */
static void count_region(struct vm_object *object, unsigned long nr, void *arg)
{
	struct row *r = arg, *pays = payer_of(object);
	u32 present = vm_object_present(object);

	if (zones_shared(r, object) != counted)
		return;
	if (!pays) {
		inherit(r, object);
		return;
	}
	if (pays->family == r->family || (object->kind != OBJ_PAGER && !pays->task->first))
		return;
	/* Without @r, the pages would stay; and the first task may use what it trusts. */
	if (READ_ONCE(object->refused) && !r->task->first)
		return;
	/* A page that is mapped twice counts once. */
	nr = MIN(nr, present - MIN(object->oom_shared, present));
	object->oom_shared += (u32)nr;
	pays->shared += nr;
	r->has += nr;
}

static void count_handle(struct vm_object *object, void *arg)
{
	if (!payer_of(object))
		inherit(arg, object);
}

/* Objects that threads of @r give away, or wait for: perhaps no table has a handle to them. */
static void count_gifts(struct row *r)
{
	static struct vm_object *gift[TASK_GIFTS];
	unsigned nr = task_gifts(r->task, gift);

	while (nr-- > 0) {
		count_handle(gift[nr], r);
		vm_object_put(gift[nr]);
	}
}

static void count_regions(struct row *r)
{
	struct vm_space *space = task_get_space(r->task);

	if (!space)
		return;
	vm_space_resident(space, counted = highest, count_region, r);
	if (r->zones > highest)
		vm_space_resident(space, counted = r->zones, count_region, r);
	vm_space_put(space);
}

/* ---- the table ---- */

/* Count the charges of @r's account, without those of accounts below whose tasks pay themselves. */
static void count_own(struct row *r)
{
	const struct account *a = r->task->account;
	unsigned long all = account_content(a, true);
	unsigned i;

	r->pages = account_content(a, r->zones == ZONE_MOVABLE);
	r->kernel = account_pages(a);
	for (i = 0; i < nr_rows; i++) {
		const struct account *other = table[i].task->account;
		unsigned long pages = account_content(other, r->zones == ZONE_MOVABLE),
		              below = account_content(other, true), kernel = account_pages(other);

		if (other == a || nearest(other->parent) != r)
			continue;
		r->pages -= MIN(r->pages, pages);
		r->kernel -= MIN(r->kernel, kernel);
		all -= MIN(all, below);
	}
	r->useless = all - MIN(all, r->pages);
}

static void fill_table(struct memory *mem, enum zone_kind zones)
{
	struct task *task;
	unsigned long id = 0;
	unsigned i;

	nr_rows = 0;
	top = NULL;
	highest = zones;
	can_move = zones < ZONE_MOVABLE ? memory_can_move_up(mem) : 0;
	decision = decision + 1 ? decision + 1 : 1;
	while (nr_rows < ABI_MAX_TASKS && (task = task_after(id))) {
		id = task->id;
		table[nr_rows++] = (struct row){.task = task};
		if (task->first)
			top = task->account;
	}
	for (i = 0; i < nr_rows; i++) {
		struct row *r = &table[i];
		unsigned first;

		r->family = family_of(r->task->account);
		first = first_row_of(r->family);
		r->zones = first < i ? table[first].zones : zones_of(r->family);
		count_own(r);
	}
	for (i = 0; i < nr_rows; i++)
		count_regions(&table[i]);
	/*
	 * Objects for which no task must pay, and which no task has mapped: they count for a task
	 * that has a handle or, if there is none, for a task that gives them away.
	 */
	for (i = 0; i < nr_rows; i++) {
		/* What a starting task was given its creator still shows, and pays for. */
		if (!READ_ONCE(table[i].task->starting))
			cap_table_objects(&table[i].task->caps, count_handle, &table[i]);
	}
	for (i = 0; i < nr_rows; i++)
		count_gifts(&table[i]);
}

/*
 * The task is ending, and the killer has not waited for it yet: its memory may be enough.
 */
static bool already_ending(const struct row *r)
{
	return READ_ONCE(r->task->ending) && !READ_ONCE(r->task->victim);
}

/*
 * The thread that loads a starting task may be the one that needs memory.  If the task was killed,
 * that thread would wait for an end which it alone can bring about.
 */
static bool exempt(const struct row *r)
{
	return r->task->first || READ_ONCE(r->task->starting) || READ_ONCE(r->task->ending);
}

/*
 * The pages of the family's tasks that may be chosen, plus the charges left by ended tasks.
 */
static unsigned long family_pages(const struct account *family, enum zone_kind zones)
{
	unsigned long sum = 0,
	              left = account_content(family, zones == ZONE_MOVABLE) + account_pages(family);
	unsigned i;

	for (i = 0; i < nr_rows; i++) {
		const struct row *r = &table[i];

		if (r->family != family)
			continue;
		if (!exempt(r))
			sum += pages_of(r);
		left -= MIN(left, r->pages + r->kernel + r->inherited);
	}
	return sum + left;
}

/* Charges change meanwhile, so a family is counted once: all its tasks compare as equal. */
static unsigned long family_once(unsigned i)
{
	unsigned first = first_row_of(table[i].family);

	return first < i ? table[first].whole : family_pages(table[i].family, table[i].zones);
}

static const struct row *oom_choose_task(void)
{
	const struct row *best = NULL;
	unsigned i;

	sched_point("oom.rows");
	for (i = 0; i < nr_rows; i++) {
		struct row *r = &table[i];

		r->whole = family_once(i);
		if (exempt(r) || pages_of(r) == 0)
			continue;
		if (!best || r->whole > best->whole ||
		    (r->whole == best->whole && pages_of(r) > pages_of(best)))
			best = r;
	}
	/* After the choice, which leaves out a task that has begun to end meanwhile. */
	for (i = 0; i < nr_rows; i++)
		if (already_ending(&table[i]))
			return &table[i];
	return best;
}

/* The lowest id of the tasks in @r's family: that of its head, unless the head has ended. */
static unsigned long family_number(const struct row *r)
{
	return table[first_row_of(r->family)].task->id;
}

static void print_row(const struct row *r, const struct row *victim)
{
	printk("oom: %5lu %-12s %6lu %8u %8lu %8lu %8lu %8lu", r->task->id, r->task->name,
	    family_number(r), READ_ONCE(r->task->nr_threads), r->pages, r->shared, r->has,
	    r->kernel);
	if (r == victim)
		printk("%s", already_ending(r) ? "  ending: waited for" : "  the most: killed");
	else if (READ_ONCE(r->task->ending))
		printk("  ending");
	else if (r->task->first)
		printk("  first task: exempt");
	else if (READ_ONCE(r->task->starting))
		printk("  starting: exempt");
	if (r->useless)
		printk("  and %lu in other zones", r->useless);
	printk("\n");
}

/* The three numbers add up to all memory: pages neither free nor charged are the kernel's own. */
static void print_sum(struct memory *mem)
{
	unsigned long all = memory_managed_pages(mem), free = memory_free_pages(mem),
	              charged = account_content(&account_all, true) + account_pages(&account_all);

	printk("oom: %lu pages are charged, %lu are free, %lu are the kernel's own\n", charged,
	    free, all - MIN(all, charged + free));
}

static void print_table(struct memory *mem, gfp_t gfp, unsigned order, const struct row *victim)
{
	const struct task *asks = task_current();
	unsigned i;

	printk("oom: no memory for %s, %u page%s, flags %#x; of %lu pages in use none can be "
	       "reclaimed\n",
	    asks ? asks->name : "the kernel", 1u << order, order ? "s" : "", gfp,
	    memory_managed_pages(mem));
	printk("oom: %5s %-12s %6s %8s %8s %8s %8s %8s\n", "task", "name", "family", "threads",
	    "pages", "-shared", "+has", "+kernel");
	for (i = 0; i < nr_rows; i++)
		print_row(&table[i], victim);
	print_sum(mem);
}

static bool oom_kill(struct memory *mem, gfp_t gfp, unsigned order, void *arg)
{
	u32 number = READ_ONCE(mem->oom.going);
	const struct row *victim;
	bool ending;
	unsigned i;

	fill_table(mem, gfp & GFP_MOVABLE ? ZONE_MOVABLE : ZONE_NORMAL);
	victim = memory_oom_outdated(mem) ? NULL : oom_choose_task();
	if (victim) {
		ending = already_ending(victim);
		print_table(mem, gfp, order, victim);
		/*
		 * False: the victim has released everything since it was counted, and will not
		 * report its end.
		 */
		if (!task_end_victim(victim->task, number))
			memory_oom_gone(mem, number);
		else
			/* All that are ending get the reserve: each by itself would cost a wait. */
			for (i = 0; ending && i < nr_rows; i++)
				if (already_ending(&table[i]))
					(void)!task_end_victim(table[i].task, number);
	}
	for (i = 0; i < nr_rows; i++)
		task_put(table[i].task);
	return victim;
}

void oom_init(void)
{
	memory_set_oom(&kernel_memory, oom_kill, NULL);
}
