/* SPDX-License-Identifier: MIT */
/*
 * explore_oom_said.c: the messages of the OOM killer, word by word: each task's pages by kind, the
 * exempt task, the victim.  And what it finds out about tasks: objects that a thread gives away
 * while no task has a handle, and which task is the first. All but the last set run without
 * preemption; the hook is called as by mm/, but with free memory left.
 *
 * Owns:  the tasks.
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
static const char *const names[NR] = {"first", "hog", "pager", "little"};
static const unsigned anon[NR] = {30, 20, 25, 5};

static struct task *one[NR];
static struct vm_object *paged;
static struct endpoint *to_pager;
static char want[2048];

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

	space_use(one[PAGER]->space);
	for (i = 0; i < SERVED; i++) {
		if (ipc_receive(to_pager, &msg, &call, FOREVER) ||
		    pager_supply(paged, msg.word[1], DATA))
			panic("nothing to supply");
		msg = (struct ipc_msg){.word = {ABI_PAGER_DONE}};
		if (ipc_reply(call, &msg))
			panic("nobody to answer");
	}
	space_use(NULL);
}

static void serve_hog(void)
{
	struct account *before = account_use(one[PAGER]->account);
	struct thread *server;
	int err;

	to_pager = endpoint_create();
	thread_current()->task = one[PAGER];
	err = pager_create(to_pager, SERVED, 1, THREADS_TICK_NS * 10, &paged);
	thread_current()->task = NULL;
	account_use(before);
	server = thread_start("server", 2, serve, NULL);
	if (err || !server || vm_map(one[HOG]->space, WINDOW, SERVED, VM_READ | VM_WRITE, paged, 0))
		panic("no pager");
	touch(one[HOG], WINDOW, SERVED, false);
	thread_join(server);
}

static void make_tasks(void)
{
	struct vm_object *held = new_object(HELD);
	unsigned i;

	for (i = 0; i < NR; i++) {
		struct account *before;
		struct vm_object *object;

		if (task_create(names[i], &one[i]))
			panic("no task");
		before = account_use(one[i]->account);
		object = new_object(anon[i]);
		account_use(before);
		map_data(one[i], object);
		vm_object_put(object);
		touch(one[i], DATA, anon[i], true);
	}
	one[FIRST]->first = true;
	for (i = 0; i < HELD; i++)
		if (vm_object_supply(held, i, NULL))
			panic("no page");
	give(one[HOG], CAP_OBJECT, RIGHT_READ, held);
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
	expect_line("oom: %5lu %-12s %6lu %8u %8u %8u %8u %8lu%s\n", one[i]->id, names[i],
	    one[i]->id, 0u, pages, shared, has, account_pages(one[i]->account), remark);
}

static void expect_head(gfp_t gfp, unsigned pages)
{
	want[0] = '\0';
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
	const char *said;
	unsigned i;

	expect_sum();
	/* Give the victim a number, as oom_alloc does. */
	kernel_memory.oom.going++;
	listen();
	if (!kernel_memory.oom.kill(&kernel_memory, gfp, order, kernel_memory.oom.arg))
		explore_fail("WRONG", "nobody is chosen");
	said = heard();
	if (strcmp(said, want) != 0) {
		printf("%s%s", said, want);
		explore_fail("WRONG", "something else is said");
	}
	for (i = 0; i < NR; i++)
		if (i == victim &&
		    (!one[i]->victim || one[i]->ending != TASK_KILLED || one[i]->status != -ENOMEM))
			explore_fail("WRONG", "another one is chosen");
}

static void leave(unsigned i)
{
	const char *said;
	char line[128];

	listen();
	task_abandon(one[i]);
	said = heard();
	snprintf(line, sizeof(line), "oom: task %lu %s is gone, ", one[i]->id, names[i]);
	if (one[i]->victim ? strncmp(said, line, strlen(line)) != 0 : said[0] != '\0')
		explore_fail("WRONG", "who is gone is not said");
	task_put(one[i]);
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
	endpoint_put(to_pager, RIGHT_RECEIVE);
	memory_set_oom(&kernel_memory, NULL, NULL);
	x.done = true;
}

/* ---- objects given away; the first task ---- */

/* The first task, and two tasks that it has started. */
static struct task *first, *giver, *other;
static s64 to_call, to_give; /* handles of the giver */
static bool seen;

/* A handle of @task to an object with @nr pages that is charged to @account. */
static s64 has_object(struct task *task, struct account *account, unsigned nr)
{
	struct account *before = account_use(account);
	struct vm_object *object = new_object(nr);
	s64 handle;
	unsigned i;

	account_use(before);
	for (i = 0; i < nr; i++)
		if (vm_object_supply(object, i, NULL))
			panic("no page");
	handle = give(task, CAP_OBJECT, RIGHT_READ | RIGHT_DUP, object);
	vm_object_put(object);
	return handle;
}

static void close_in(struct task *task, s64 handle)
{
	struct cap cap;

	CHECK(!cap_take(&task->caps, (u64)handle, CAP_OBJECT, &cap));
	cap_drop(&cap);
}

static void give_by_call(u64 arg)
{
	struct syscall_regs r = {.nr = SYS_CALL, .arg = {(u64)to_call, WAIT_FOREVER}};

	r.arg[ABI_GIVE] = (u64)to_give;
	x.result[0] = user_call(&r);
	store_release(&x.ended, 1u);
}

/* While a new task is loaded. */
static void look_at_gift(void)
{
	struct vm_object *gift[TASK_GIFTS];
	unsigned nr;

	close_in(first, to_give);
	nr = task_gifts(first, gift);
	CHECK(nr == 1 && vm_object_present(gift[0]) == 2);
	vm_object_put(gift[0]);
	seen = true;
}

static void give_to_a_new_task(void)
{
	u64 name, programs = (u64)give(first, CAP_PROGRAMS, RIGHT_EXEC, NULL);
	struct vm_object *gift[TASK_GIFTS];
	s64 task;

	memcpy(&name, "program", sizeof(name));
	user_store(DATA, name);
	to_give = has_object(first, first->account, 2);
	programs_found = look_at_gift;
	task = CALL(SYS_TASK_CREATE, programs, DATA, 7, (u64)to_give);
	programs_found = NULL;
	CHECK(seen && !task_gifts(first, gift));
	CHECK(CALL(SYS_TASK_WAIT, (u64)task, WAIT_FOREVER) == TASK_EXITED);
}

/* The program of the first task. */
static void look_at_call(u64 arg)
{
	CALL(SYS_SLEEP, 5 * THREADS_TICK_NS);
	close_in(giver, to_give);
	/* As oom_alloc does. */
	kernel_memory.oom.asked = load_acquire(&kernel_memory.oom.left);
	kernel_memory.oom.going++;
	CHECK(kernel_memory.oom.kill(&kernel_memory, GFP_MOVABLE, 0, kernel_memory.oom.arg));
	CHECK(giver->victim && !other->ending);
	task_abandon(other);
	give_to_a_new_task();
	x.done = true;
}

/*
 * A task that has ended was charged for the gift, which is larger than the other task's object.
 */
void oom_gifts(void)
{
	struct endpoint *ep = endpoint_create();
	struct vm_object *data = new_object(1);
	struct account *before;
	struct task *head;

	oom_init();
	first = new_task(0);
	first->first = true;
	map_data(first, data);
	vm_object_put(data);
	before = account_use(first->account);
	if (task_create("head", &head))
		panic("no task");
	giver = new_task(1);
	other = new_task(2);
	account_use(before);
	to_call = give(giver, CAP_ENDPOINT, RIGHT_SEND, ep);
	give(first, CAP_ENDPOINT, RIGHT_RECEIVE, ep);
	endpoint_put(ep, RIGHT_RECEIVE);
	to_give = has_object(giver, head->account, 40);
	has_object(other, other->account, 25);
	task_abandon(head);
	task_put(head);
	new_program(giver, 1, give_by_call, 0);
	new_program(first, 2, look_at_call, 0);
}

static void map_it(u64 arg)
{
	CALL(SYS_SLEEP, THREADS_TICK_NS);
	CHECK(!CALL(SYS_MAP, (u64)to_give, DATA + 64 * PAGE_SIZE, 1, 0, VM_READ));
}

/* The mapping waits; another thread could close the handle meanwhile. */
static void look_at_mapping(u64 arg)
{
	struct vm_object *gift[TASK_GIFTS];

	mutex_lock(&giver->space->change);
	CALL(SYS_SLEEP, 5 * THREADS_TICK_NS);
	CHECK(task_gifts(giver, gift) == 1 && vm_object_present(gift[0]) == 2);
	vm_object_put(gift[0]);
	mutex_unlock(&giver->space->change);
	x.done = true;
}

void oom_mapped(void)
{
	first = new_task(0);
	giver = new_task(1);
	to_give = has_object(giver, giver->account, 2);
	new_program(giver, 1, map_it, 0);
	new_program(first, 2, look_at_mapping, 0);
}

/* While the first task is loaded. */
static void look_at_first(void)
{
	struct task *task = task_after(0);

	CHECK(task && task->first && task->starting);
	task_put(task);
	seen = true;
}

void oom_first(void)
{
	struct cap none = {.kind = CAP_NONE};
	const u64 arg[2] = {0};

	programs_found = look_at_first;
	CHECK(!task_start_first("program", &none, arg, &x.tasks[0]));
	programs_found = NULL;
	CHECK(seen && x.tasks[0]->first && !x.tasks[0]->starting);
	x.done = true;
}

/* ---- a gift is counted while its last reference goes ---- */

static struct endpoint *to_server;
static struct vm_object *given; /* no reference */

static void give_the_last(void)
{
	struct cap cap;

	giver = new_task(0);
	to_server = endpoint_create();
	to_call = give(giver, CAP_ENDPOINT, RIGHT_SEND, to_server);
	to_give = has_object(giver, account_current(), 2);
	CHECK(!cap_lookup(&giver->caps, (u64)to_give, CAP_OBJECT, RIGHT_READ, &cap));
	given = cap.object;
	cap_drop(&cap);
	new_program(giver, 3, give_by_call, 0);
}

/* Of all references only that of the thread that gives the object away is left. */
static void take_and_close(void)
{
	struct ipc_call *from;
	struct ipc_msg msg;

	CHECK(!ipc_receive(to_server, &msg, &from, WAIT_FOREVER));
	cap_drop(&msg.give);
	close_in(giver, to_give);
	x.replied = ipc_reply(from, &msg);
}

void count_gifts(struct task *task, struct vm_object *object, u32 pages)
{
	struct vm_object *shown[TASK_GIFTS];

	do {
		if (task_gifts(task, shown)) {
			CHECK(shown[0] == object && vm_object_present(object) == pages);
			vm_object_put(object);
		}
		cpu_relax();
	} while (!load_acquire(&x.ended));
}

ROLE(count_all_the_time, count_gifts(giver, given, 2); endpoint_put(to_server, RIGHT_RECEIVE));

JUDGE(judge_given, !x.result[0] && !x.replied, "the call was not answered");

static const struct set sets[] = {
    X(a_gift_is_counted_while_its_last_reference_goes, give_the_last, judge_given,
        .role = {count_all_the_time, take_and_close}),
};

const struct explore_suite gift_sets = {"family", sets, ARRAY_SIZE(sets), NULL};
