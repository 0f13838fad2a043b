/* SPDX-License-Identifier: MIT */
/*
 * explore_pagers.c: sets of the explorer of threads: faults that wait for a pager in ring 3, and
 * pages that it takes back, while one side or the other is killed, is late, or drops the page.
 *
 * Owns: the pager's pages, and the record of its calls.
 */
#include "explore_tasks.h"
#include <quarry/mm.h>
#include <quarry/pager.h>

#define WINDOW  0x10000000UL /* address of the pager's object in tasks that use it */
#define NUMBER  77
#define PAGES   2
#define CONTENT 0x1234500000UL /* a page that the pager supplies has CONTENT plus its number */
#define WRITTEN 0x5432100000UL /* a page that the pager takes back has WRITTEN plus its number */

static struct {
	struct vm_object *object;   /* a reference, until the run ends */
	struct task *pager;         /* the set has a reference */
	bool gone;                  /* the pager was ending when the page had been handed over */
	u64 to_object, to_endpoint; /* the pager's handles */
	u64 supply_ns;              /* time that the pager sleeps before it supplies */
	unsigned gets, supplied, cleans, taken;
	s64 last; /* result of the pager's last system call */
	u64 data[PAGE_SIZE / sizeof(u64)];
} p;

/* ---- the pager: task 0 ---- */

static u64 get(u64 index)
{
	p.gets++;
	if (p.supply_ns)
		CALL(SYS_SLEEP, p.supply_ns);
	p.last = CALL(SYS_PAGER_SUPPLY, p.to_object, index, DATA + index * PAGE_SIZE);
	if (p.last && p.last != -EEXIST && p.last != -EAGAIN)
		return ABI_PAGER_FAILED;
	p.supplied++;
	return ABI_PAGER_DONE;
}

static u64 clean(u64 index)
{
	p.cleans++;
	p.last = CALL(SYS_PAGER_TAKE_BACK, p.to_object, index, DATA + index * PAGE_SIZE);
	if (p.last)
		return ABI_PAGER_FAILED;
	p.taken++;
	if (user_load(DATA + index * PAGE_SIZE) != WRITTEN + index)
		explore_fail("WRONG", "what was taken back is not what the page contained");
	return ABI_PAGER_DONE;
}

/* Serve until no request has come for a while. */
static void serve(u64 arg)
{
	for (;;) {
		struct syscall_regs r = {.nr = SYS_RECEIVE, .arg = {p.to_endpoint, PATIENT}};
		struct syscall_regs reply = {.nr = SYS_REPLY};

		if (user_call(&r))
			break;
		if (r.arg[ABI_WORD0 + 2] != NUMBER)
			explore_fail("WRONG", "it is asked for another object's page");
		reply.arg[0] = r.arg[0];
		reply.arg[ABI_WORD0] =
		    (r.arg[ABI_WORD0] == ABI_PAGER_GET ? get : clean)(r.arg[ABI_WORD0 + 1]);
		user_call(&reply);
	}
}

#define DROPS 2

static void drop_page(u64 arg)
{
	CALL(SYS_PAGER_DROP, p.to_object, 0, 1);
	CALL(SYS_PAGER_DROP, p.to_object, 0, PAGES);
}

static void supply_one(u64 index)
{
	x.result[6 + index] = CALL(SYS_PAGER_SUPPLY, p.to_object, index, DATA + index * PAGE_SIZE);
}

/* The task that creates the object counts as the pager's task. */
static void bind_object(struct task *task, struct endpoint *ep, u64 timeout_ns)
{
	struct account *before = account_use(task->account);
	int err;

	thread_current()->task = task;
	err = pager_create(ep, PAGES, NUMBER, timeout_ns, &p.object);
	thread_current()->task = NULL;
	account_use(before);
	if (err)
		panic("no paged object");
}

/* A pager whose thread on CPU 2 runs @program. */
static struct task *new_pager_for(void (*program)(u64), u64 timeout_ns)
{
	struct vm_object *store = new_object(PAGES);
	struct endpoint *ep = endpoint_create();
	struct task *task = new_task(0);
	u32 i;

	memset(&p, 0, sizeof(p));
	for (i = 0; i < PAGES; i++) {
		p.data[0] = CONTENT + i;
		if (vm_object_supply(store, i, p.data))
			panic("no page of the store");
	}
	map_data(task, store);
	vm_object_put(store);
	bind_object(task, ep, timeout_ns);
	p.pager = task;
	p.to_object = (u64)give(task, CAP_OBJECT, RIGHT_SUPPLY, p.object);
	p.to_endpoint = (u64)give(task, CAP_ENDPOINT, RIGHT_RECEIVE, ep);
	endpoint_put(ep, RIGHT_RECEIVE);
	new_program(task, 2, program, 0);
	return task;
}

static struct task *new_pager(u64 timeout_ns)
{
	return new_pager_for(serve, timeout_ns);
}

/* ---- users of the pager ---- */

/* No load may wait longer than half of the pager's time limit, whatever happens to the pager. */
static void load_into(u64 nr)
{
	s64 began = CALL(SYS_CLOCK);

	x.result[nr] = (s64)user_load(WINDOW);
	if ((u64)(CALL(SYS_CLOCK) - began) > PATIENT / 2)
		explore_fail("WRONG", "a page that was there was waited for");
	if (port_task()->access_ns)
		explore_fail("WRONG", "an access that is over has left its time");
}

static void load_twice(u64 nr)
{
	load_into(nr);
	load_into(nr + 1);
}

static void load_both(u64 nr)
{
	load_into(nr);
	x.result[nr + 1] = (s64)user_load(WINDOW + PAGE_SIZE) - 1;
}

static struct task *new_user(unsigned nr, int cpu, void (*program)(u64), u64 arg)
{
	struct task *task = new_task(nr);

	if (vm_map(task->space, WINDOW, PAGES, VM_READ | VM_WRITE, p.object, 0))
		panic("no window");
	new_program(task, cpu, program, arg);
	return task;
}

static u64 to_victim;

static void kill(u64 arg)
{
	CALL(SYS_TASK_KILL, to_victim);
}

void new_killer_of(unsigned nr)
{
	struct task *task = x.tasks[2] ? x.tasks[2] : new_task(2);

	to_victim = (u64)give(task, CAP_TASK, RIGHT_KILL, x.tasks[nr]);
	new_program(task, 3, kill, 0);
}

ROLE(two_users, new_pager(PATIENT); new_user(1, 1, load_into, 0); new_user(2, 3, load_into, 1));

ROLE(user_killed, two_users(); new_killer_of(1));
ROLE(pager_killed, two_users(); new_killer_of(0));
ROLE(page_dropped_under_two, two_users(); new_program(p.pager, 2, drop_page, 0));

static void pager_killed_supplying(void)
{
	struct task *pager = new_pager(PATIENT);

	new_program(pager, 1, supply_one, 0);
	new_program(pager, 2, supply_one, 1);
	new_user(1, 3, load_both, 0);
	new_killer_of(0);
}

static void page_dropped(void)
{
	struct task *pager = new_pager(PATIENT);

	new_user(1, 1, load_twice, 0);
	new_program(pager, 3, drop_page, 0);
}

static void pager_late(void)
{
	new_pager(2 * THREADS_TICK_NS);
	new_user(1, 1, load_into, 0);
	new_user(2, 3, load_into, 1);
	p.supply_ns = 2 * THREADS_TICK_NS;
}

/* User @nr has its loaded value in @result, or has ended as @how, or as @other. */
static bool user_well(unsigned nr, unsigned result, enum task_end how, enum task_end other)
{
	enum task_end end = (enum task_end)x.tasks[nr]->ending;

	if (x.result[result] != NOT_YET && x.result[result] != CONTENT)
		return false;
	if (x.result[result] == NOT_YET && end == TASK_EXITED)
		return false;
	return end == TASK_EXITED || end == how || end == other;
}

static const char *judge(enum task_end first, enum task_end second)
{
	vm_object_put(p.object);
	if (!user_well(1, 0, first, first) || !user_well(2, 1, second, second))
		return "who touched the page has neither its content nor an end";
	return NULL;
}

JUDGE_BY(
    judge_two, p.gets == 1 ? judge(TASK_EXITED, TASK_EXITED) : "a page was not asked for once");
JUDGE_BY(judge_user_killed, judge(TASK_KILLED, TASK_EXITED));
JUDGE_BY(judge_faults, judge(TASK_FAULTED, TASK_FAULTED));

static const char *judge_one(void)
{
	unsigned i;

	vm_object_put(p.object);
	for (i = 6; i < 8; i++)
		if (x.result[i] != NOT_YET && x.result[i] && x.result[i] != -EEXIST)
			return "a page was not supplied";
	return user_well(1, 0, TASK_FAULTED, TASK_FAULTED) &&
	        user_well(1, 1, TASK_FAULTED, TASK_FAULTED)
	    ? NULL
	    : "who touched the pages has neither their content nor an end";
}

static const char *judge_dropped(void)
{
	vm_object_put(p.object);
	return x.result[0] == CONTENT && x.result[1] == CONTENT && p.gets <= DROPS + 1
	    ? NULL
	    : "another content than the pager's";
}

/* ---- a page is there, and the answer to its request comes later, or just then ---- */

static void answer(const struct syscall_regs *call, u64 index)
{
	struct syscall_regs reply = {.nr = SYS_REPLY};

	reply.arg[0] = call->arg[0];
	reply.arg[ABI_WORD0] =
	    index == call->arg[ABI_WORD0 + 1] ? ABI_PAGER_DONE : ABI_PAGER_FAILED;
	user_call(&reply);
}

static void serve_slowly(u64 arg)
{
	struct syscall_regs r = {.nr = SYS_RECEIVE, .arg = {p.to_endpoint, PATIENT}};

	if (user_call(&r))
		return;
	supply_one(0);
	CALL(SYS_SLEEP, 3 * PATIENT / 4);
	answer(&r, 0);
}

static void load_and_time(u64 nr)
{
	s64 began = CALL(SYS_CLOCK);

	x.result[nr] = (s64)user_load(WINDOW);
	x.result[2 + nr] = CALL(SYS_CLOCK) - began;
}

static void slow_pager(void)
{
	new_pager_for(serve_slowly, PATIENT);
	new_user(1, 1, load_and_time, 0);
	new_user(2, 3, load_and_time, 1);
}

static const char *judge_slow(void)
{
	const char *bad = judge(TASK_EXITED, TASK_EXITED);

	return bad || MIN(x.result[2], x.result[3]) <= (s64)(PATIENT / 2)
	    ? bad
	    : "a page was supplied, and who waited for another's request was not told";
}

/* Page 1 is requested first, with the pager's own record, and is the last to be answered. */
static void serve_both(u64 arg)
{
	struct syscall_regs first = {.nr = SYS_RECEIVE, .arg = {p.to_endpoint, PATIENT}};
	struct syscall_regs r = first;

	if (user_call(&first))
		return;
	p.gets++;
	if (!user_call(&r)) {
		p.gets++;
		CALL(SYS_SLEEP, 3 * THREADS_TICK_NS);
		supply_one(0);
		answer(&r, 0);
	}
	supply_one(1);
	answer(&first, 1);
}

/* User 0 requests page 0, and user 1 waits for that request. */
static void load_in_turn(u64 nr)
{
	while (READ_ONCE(p.gets) <= nr)
		CALL(SYS_SLEEP, THREADS_TICK_NS);
	x.result[nr] = (s64)user_load(WINDOW);
}

ROLE(get_other, x.done = !p.object->ops->get(p.object, 1); port_task()->access_ns = 0);

static void two_requests(void)
{
	new_pager_for(serve_both, PATIENT);
	new_user(1, 3, load_in_turn, 0);
	new_user(2, 1, load_in_turn, 1);
}

static const char *judge_requests(void)
{
	const char *bad = judge(TASK_EXITED, TASK_EXITED);

	return bad || x.done ? bad : "the other page was not there";
}

/* ---- a kernel thread hands a page over, as reclaim does ---- */

static int hand_over_page(u32 index)
{
	u64 *page = kmalloc(PAGE_SIZE);
	int err;

	page[0] = WRITTEN + index;
	err = p.object->ops->clean(p.object, index, page, WAIT_FOREVER);
	/* From here on the memory may have another user. */
	memset(page, 0xdd, PAGE_SIZE);
	kfree(page);
	return err;
}

ROLE(hand_over, x.called = hand_over_page(0); p.gone = READ_ONCE(p.pager->ending));
ROLE(hand_over_other, x.received = hand_over_page(1));

/* Two threads of the pager, which share its buffer. */
ROLE(two_servers, new_program(new_pager(PATIENT), 3, serve, 0));

static const char *judge_both_taken(void)
{
	vm_object_put(p.object);
	return !x.called && !x.received && p.taken == 2 && p.cleans == 2
	    ? NULL
	    : "two pages were not taken back at once";
}

ROLE(cleaner, new_pager(PATIENT));
ROLE(cleaner_and_killer, new_pager(PATIENT); new_killer_of(0));

ROLE(impatient_cleaner, new_program(new_pager(2 * THREADS_TICK_NS), 3, drop_page, 0));

static const char *judge_handed_over(void)
{
	vm_object_put(p.object);
	if (x.called && x.called != -EIO && x.called != -ETIMEDOUT)
		return "handing over failed otherwise";
	return x.called || p.taken || p.gone
	    ? NULL
	    : "the page was given up, and a pager that lives does not have its content";
}

static const char *judge_taken_back(void)
{
	const char *bad = judge_handed_over();

	return bad || (!x.called && p.taken == 1 && p.cleans == 1)
	    ? bad
	    : "a pager that serves was not served";
}

/* The pager replaces the page that is handed over: from then on it is not handed over any more. */
static void replace_and_take(u64 arg)
{
	struct syscall_regs r = {.nr = SYS_RECEIVE, .arg = {p.to_endpoint, PATIENT}};
	struct syscall_regs reply = {.nr = SYS_REPLY};

	if (user_call(&r))
		return;
	x.result[3] = CALL(SYS_PAGER_DROP, p.to_object, 0, 1);
	x.result[4] = CALL(SYS_PAGER_SUPPLY, p.to_object, 0, DATA + PAGE_SIZE);
	x.result[5] = CALL(SYS_PAGER_TAKE_BACK, p.to_object, 0, DATA);
	x.result[6] = (s64)user_load(DATA);
	reply.arg[0] = r.arg[0];
	reply.arg[ABI_WORD0] = x.result[5] ? ABI_PAGER_FAILED : ABI_PAGER_DONE;
	user_call(&reply);
}

static void replacer(void)
{
	new_pager_for(replace_and_take, PATIENT);
	if (vm_object_supply(p.object, 0, p.data))
		panic("no page to be handed over");
}

static const char *judge_replaced(void)
{
	vm_object_put(p.object);
	if (x.result[3] || x.result[4])
		return "the page was not replaced";
	if (x.result[6] == WRITTEN)
		return "the pager got the content of a page that it has dropped and replaced";
	return x.result[5] == -ENOENT ? NULL : "a page that was replaced can be taken back";
}

/* ---- the first two pagers of a task: they share the time that reclaim may wait ---- */

static void become_pager(u64 nr)
{
	x.result[nr] = CALL(SYS_PAGER_BIND, p.to_endpoint, PAGES, NUMBER, THREADS_TICK_NS);
	x.result[2 + nr] = CALL(SYS_HANDLE_CLOSE, (u64)x.result[nr]);
}

static void two_become_pagers(void)
{
	struct endpoint *ep = endpoint_create();
	struct task *task = new_task(0);

	memset(&p, 0, sizeof(p));
	p.to_endpoint = (u64)give(task, CAP_ENDPOINT, RIGHT_RECEIVE, ep);
	endpoint_put(ep, RIGHT_RECEIVE);
	new_program(task, 1, become_pager, 0);
	new_program(task, 2, become_pager, 1);
}

JUDGE(judge_pagers, x.result[0] > 0 && x.result[1] > 0 && !x.result[2] && !x.result[3],
    "a thread is no pager");

static const struct set sets[] = {
    X(two_touch_a_page_that_is_asked_for_once, two_users, judge_two),
    X(who_touches_a_page_is_killed, user_killed, judge_user_killed),
    X(a_pager_is_killed_under_faults, pager_killed, judge_faults),
    X(a_pager_is_killed_while_it_supplies, pager_killed_supplying, judge_one),
    X(a_page_is_dropped_under_a_fault, page_dropped, judge_dropped),
    X(a_page_is_dropped_under_two_faults, page_dropped_under_two, judge_dropped),
    X(a_pager_is_late, pager_late, judge_faults),
    X(who_waits_for_the_request_of_another_is_told_of_the_page, slow_pager, judge_slow),
    X(a_request_ends_that_another_waits_for, two_requests, judge_requests, .role = {get_other}),
    X(a_page_is_handed_over, cleaner, judge_taken_back, .role = {hand_over}),
    X(a_page_is_handed_over_to_a_pager_that_is_killed, cleaner_and_killer, judge_handed_over,
        .role = {hand_over}),
    X(a_page_is_handed_over_and_dropped, impatient_cleaner, judge_handed_over, .role = {hand_over}),
    X(two_pages_are_handed_over_at_once, two_servers, judge_both_taken,
        .role = {hand_over, hand_over_other}),
    X(a_page_is_replaced_while_it_is_handed_over, replacer, judge_replaced, .role = {hand_over}),
    X(two_threads_become_pagers_at_once, two_become_pagers, judge_pagers),
};

const struct explore_suite pager_suite = {"pagers", sets, ARRAY_SIZE(sets), NULL};
