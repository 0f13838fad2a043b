/* SPDX-License-Identifier: MIT */
/*
 * explore_oom_said.c: the messages of the OOM killer, word by word: each task's pages by kind, the
 * exempt task, the victim. Run without preemption; the hook is called as by mm/, but with free
 * memory left.
 *
 * Owns:  four tasks without threads.
 */
#include "explore_tasks.h"
#include <quarry/errno.h>
#include <quarry/mm.h>
#include <quarry/oom.h>
#include <quarry/pager.h>
#include <quarry/string.h>
#include <stdarg.h>
#include <stdio.h>

#define WINDOW 0x700000UL
#define SERVED 10u
#define HELD   7u
#define TABLES 2u /* of the slots of an object of few pages */
#define NR     4

/* The first task; a task with the most pages; a pager; a task with few pages. */
enum { FIRST, HOG, PAGER, LITTLE };
static const char *const name[NR] = {"first", "hog", "pager", "little"};
static const unsigned anon[NR] = {30, 20, 25, 5};

static struct task *task[NR];
static struct vm_object *paged;
static struct endpoint *ep;
static char said[2048], want[2048];

static void keep(const char *text)
{
	size_t have = strlen(said);

	snprintf(said + have, sizeof(said) - have, "%s", text);
}

static void touch(struct task *of, u64 va, unsigned nr, bool write)
{
	const u64 word = 1;
	u64 read;
	unsigned i;

	space_use(of->space);
	for (i = 0; i < nr; i++)
		if (write ? copy_to_user(va + i * PAGE_SIZE, &word, sizeof(word))
		          : copy_from_user(&read, va + i * PAGE_SIZE, sizeof(read)))
			panic("no page");
	space_use(NULL);
}

/* Supplies the requested page from the pager's memory. */
static void serve(void *arg)
{
	struct ipc_call *call;
	struct ipc_msg msg;
	unsigned i;

	space_use(task[PAGER]->space);
	for (i = 0; i < SERVED; i++) {
		if (ipc_receive(ep, &msg, &call, FOREVER) || pager_supply(paged, msg.word[1], DATA))
			panic("nothing to supply");
		msg = (struct ipc_msg){.word = {ABI_PAGER_DONE}};
		if (ipc_reply(call, &msg))
			panic("nobody to answer");
	}
	space_use(NULL);
}

static void serve_hog(void)
{
	struct account *before = account_use(task[PAGER]->account);
	struct thread *server;
	int err;

	ep = endpoint_create();
	thread_current()->task = task[PAGER];
	err = pager_create(ep, SERVED, 1, THREADS_TICK_NS * 10, &paged);
	thread_current()->task = NULL;
	account_use(before);
	server = thread_start("server", 2, serve, NULL);
	if (err || !server ||
	    vm_map(task[HOG]->space, WINDOW, SERVED, VM_READ | VM_WRITE, paged, 0))
		panic("no pager");
	touch(task[HOG], WINDOW, SERVED, false);
	thread_join(server);
}

static void make_tasks(void)
{
	struct vm_object *held = new_object(HELD);
	unsigned i;

	for (i = 0; i < NR; i++) {
		struct account *before;
		struct vm_object *object;

		if (task_create(name[i], &task[i]))
			panic("no task");
		before = account_use(task[i]->account);
		object = new_object(anon[i]);
		account_use(before);
		map_data(task[i], object);
		vm_object_put(object);
		touch(task[i], DATA, anon[i], true);
	}
	task[FIRST]->first = true;
	for (i = 0; i < HELD; i++)
		if (vm_object_supply(held, i, NULL))
			panic("no page");
	give(task[HOG], CAP_OBJECT, RIGHT_READ, held);
	vm_object_put(held);
	serve_hog();
}

static void expect_line(const char *fmt, ...)
{
	size_t have = strlen(want);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(want + have, sizeof(want) - have, fmt, ap);
	va_end(ap);
}

static void expect_row(
    unsigned i, unsigned pages, unsigned shared, unsigned has, const char *remark)
{
	expect_line("oom: %5lu %-12s %6lu %8u %8u %8u %8u %8lu%s\n", task[i]->id, name[i],
	    task[i]->id, 0u, pages, shared, has, account_pages(task[i]->account), remark);
}

static void expect_head(gfp_t gfp, unsigned pages)
{
	said[0] = want[0] = '\0';
	expect_line("oom: no memory for the kernel, %u page%s, flags %#x; of %lu pages in use none "
	            "can be reclaimed\n",
	    pages, pages == 1 ? "" : "s", gfp, memory_managed_pages(&kernel_memory));
	expect_line("oom: %5s %-12s %6s %8s %8s %8s %8s %8s\n", "task", "name", "family", "threads",
	    "pages", "-shared", "+has", "+kernel");
}

/* The three numbers add up to all memory; the kernel's pages for tasks count as charged. */
static void expect_sum(void)
{
	unsigned long all = memory_managed_pages(&kernel_memory),
	              free = memory_free_pages(&kernel_memory),
	              charged = account_content(&account_all, true) + account_pages(&account_all);

	expect_line("oom: %lu pages are charged, %lu are free, %lu are the kernel's own\n", charged,
	    free, all - MIN(all, charged + free));
}

static void ask(gfp_t gfp, unsigned order, unsigned victim)
{
	unsigned i;

	expect_sum();
	/* Give the victim a number, as oom_alloc does. */
	kernel_memory.oom.going++;
	threads_on_print = keep;
	if (!kernel_memory.oom.kill(&kernel_memory, gfp, order, kernel_memory.oom.arg))
		explore_fail("WRONG", "nobody is chosen");
	threads_on_print = NULL;
	if (strcmp(said, want) != 0) {
		printf("%s%s", said, want);
		explore_fail("WRONG", "something else is said");
	}
	for (i = 0; i < NR; i++)
		if (i == victim &&
		    (!task[i]->victim || task[i]->ending != TASK_KILLED ||
		        task[i]->status != -ENOMEM))
			explore_fail("WRONG", "another one is chosen");
}

static void leave(unsigned i)
{
	char line[128];

	said[0] = '\0';
	threads_on_print = keep;
	task_abandon(task[i]);
	threads_on_print = NULL;
	snprintf(line, sizeof(line), "oom: task %lu %s is gone, ", task[i]->id, name[i]);
	if (task[i]->victim ? strncmp(said, line, strlen(line)) != 0 : said[0] != '\0')
		explore_fail("WRONG", "who is gone is not said");
	task_put(task[i]);
}

void oom_said(void)
{
	static const char *const why[] = {
	    "  first task: exempt", "  ending", "  the most: killed", ""};
	char remark[64];
	unsigned i;

	oom_init();
	make_tasks();
	expect_head(GFP_MOVABLE, 1);
	expect_row(FIRST, anon[FIRST], 0, 0, why[0]);
	/* The column +has: pages of the pager, and of an object that is charged to no task. */
	expect_row(HOG, anon[HOG], 0, SERVED + HELD + TABLES, "  the most: killed");
	expect_row(PAGER, anon[PAGER] + SERVED, SERVED, 0, "");
	expect_row(LITTLE, anon[LITTLE], 0, 0, "");
	ask(GFP_MOVABLE, 0, HOG);
	/*
	 * The kernel cannot use the tasks' pages, which are movable; it can use their page tables.
	 */
	expect_head(GFP_KERNEL, 8);
	for (i = 0; i < NR; i++) {
		snprintf(remark, sizeof(remark), "%s  and %u in other zones", why[i],
		    anon[i] + (i == PAGER ? SERVED : 0));
		expect_row(i, 0, 0, i == HOG ? TABLES : 0, remark);
	}
	ask(GFP_KERNEL, 3, PAGER);
	leave(HOG);
	leave(LITTLE);
	leave(PAGER);
	leave(FIRST);
	vm_object_put(paged);
	endpoint_put(ep, RIGHT_RECEIVE);
	memory_set_oom(&kernel_memory, NULL, NULL);
	x.done = true;
}
