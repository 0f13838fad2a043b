/* SPDX-License-Identifier: MIT */
/*
 * oom.c: memory has run out and nothing can be reclaimed: which task ends.
 *
 * The one with the most pages that its end gives back: those it has mapped, and those that nobody
 * has mapped, of anonymous objects that it holds by a handle.  Spared are the first task, which all others come from,
 * and pagers whose objects somebody else has mapped: with them more would be lost than their own.  If
 * only such are left nobody ends, and the allocation fails: a system call gets -ENOMEM, an access
 * ends the task that made it.  A task that is ending anyway is waited for before anybody else is chosen.
 *
 * Owns:       the table that a victim is chosen from.
 * Locks:      none of its own: mm/ asks one at a time (oom.h).
 * Invariants: nothing is allocated; a reference to a task's space is held for a moment only, and never to the
 *             victim's when it is told: its memory is back when it says so.
 * Tests:      tests/test_oom_task.c, tests/qemu/test_memory.py.
 */
#include <quarry/mm.h>
#include <quarry/oom.h>
#include <quarry/pager.h>
#include <quarry/task.h>

struct row {
	struct task *task; /* a reference */
	unsigned long anon, pager; /* pages mapped, by the kind of their objects */
	unsigned long unmapped;    /* that it holds by handles only */
	bool needed;               /* others have mapped what it is the pager of */
};

static struct row table[ABI_MAX_TASKS];
static unsigned nr_rows;

static unsigned long pages_of(const struct row *r)
{
	return r->anon + r->pager + r->unmapped;
}

/* One region of a task's. */
static void count(const struct vm_object *object, unsigned long nr, void *arg)
{
	struct row *own = arg;
	u32 pager = pager_task(object);
	unsigned i;

	*(object->kind == OBJ_PAGER ? &own->pager : &own->anon) += nr;
	for (i = 0; pager && pager != own->task->id && i < nr_rows; i++)
		table[i].needed |= table[i].task->id == pager;
}

static void fill_table(void)
{
	struct task *task;
	u32 id = 0;
	unsigned i;

	nr_rows = 0;
	while (nr_rows < ABI_MAX_TASKS && (task = task_after(id))) {
		id = task->id;
		table[nr_rows++] = (struct row){.task = task};
	}
	for (i = 0; i < nr_rows; i++) {
		struct row *r = &table[i];
		struct vm_space *space = task_get_space(r->task);

		r->unmapped = cap_table_unmapped(&r->task->caps);
		if (!space)
			continue;
		vm_space_resident(space, count, r);
		vm_space_put(space);
	}
}

/* It is on its way out, and has not been waited for yet: then its memory will do. */
static bool goes_anyway(const struct row *r)
{
	return load_acquire(&r->task->ending) && !READ_ONCE(r->task->victim);
}

static bool spared(const struct row *r)
{
	return r->task->first || r->needed || load_acquire(&r->task->ending);
}

static const struct row *choose(void)
{
	const struct row *best = NULL;
	unsigned i;

	for (i = 0; i < nr_rows; i++)
		if (goes_anyway(&table[i]))
			return &table[i];
	for (i = 0; i < nr_rows; i++)
		if (!spared(&table[i]) && pages_of(&table[i]) > (best ? pages_of(best) : 0))
			best = &table[i];
	return best;
}

static const char *remark(const struct row *r, const struct row *victim)
{
	if (r == victim)
		return goes_anyway(r) ? "  ending: waited for" : "  the most: killed";
	if (load_acquire(&r->task->ending))
		return "  ending";
	return r->task->first ? "  the first: spared" : r->needed ? "  a pager in use: spared" : "";
}

static void print_table(const struct memory *mem, gfp_t gfp, unsigned order, const struct row *victim)
{
	const struct task *asks = task_current();
	unsigned i;

	printk("oom: no memory for %s, %u pages, flags %#x; of %lu pages in use nothing can be reclaimed\n",
	    asks ? asks->name : "the kernel", 1u << order, gfp, memory_managed_pages(mem));
	printk("oom: %5s %-12s %8s %8s %8s %8s\n", "task", "name", "threads", "anon", "pager", "unmapped");
	for (i = 0; i < nr_rows; i++) {
		const struct row *r = &table[i];

		printk("oom: %5u %-12s %8u %8lu %8lu %8lu%s\n", r->task->id, r->task->name,
		    READ_ONCE(r->task->nr_threads), r->anon, r->pager, r->unmapped, remark(r, victim));
	}
}

static bool oom_kill(struct memory *mem, gfp_t gfp, unsigned order, void *arg)
{
	const struct row *victim;
	unsigned i;

	fill_table();
	victim = choose();
	if (victim) {
		print_table(mem, gfp, order, victim);
		/* It has given all back since it was looked at: nobody else will say so. */
		if (!task_end_victim(victim->task))
			memory_oom_gone(mem);
	}
	for (i = 0; i < nr_rows; i++)
		task_put(table[i].task);
	return victim;
}

void oom_gone(const struct task *task)
{
	printk("oom: task %u %s is gone, %lu pages are free\n", task->id, task->name,
	    memory_free_pages(&kernel_memory));
	memory_oom_gone(&kernel_memory);
}

void oom_init(void)
{
	memory_set_oom(&kernel_memory, oom_kill, NULL);
}
