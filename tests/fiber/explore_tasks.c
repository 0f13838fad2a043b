/* SPDX-License-Identifier: MIT */
/*
 * explore_tasks.c: sets of the explorer of threads: tasks whose threads make system calls while
 * other threads end these tasks, exit, or wait for their end.
 *
 * Owns: the table of programs.
 */
#include "explore_tasks.h"
#include <elf.h>
#include <quarry/bootfile.h>
#include <quarry/mm.h>
#include <quarry/string.h>
#include <stdio.h>

static void (*programs[PROGRAMS])(u64 arg);
static u64 arguments[PROGRAMS];
static unsigned nr_programs;
void (*programs_started)(void), (*programs_found)(void);

/* ---- programs ---- */

static void run_program(uintptr_t entry, const u64 arg[3])
{
	unsigned nr = (unsigned)(entry - CODE);

	explore_wait_start();
	CHECK(!task_current()->starting);
	if (nr < nr_programs) {
		programs[nr](arguments[nr]);
	} else if (programs_started) {
		x.handle = (s64)arg[0];
		programs_started();
	}
}

void new_program(struct task *task, int cpu, void (*program)(u64 arg), u64 arg)
{
	const u64 args[3] = {0};

	programs[nr_programs] = program;
	arguments[nr_programs] = arg;
	if (task_add_thread(task, cpu, CODE + nr_programs++, DATA, args) < 0)
		panic("no program");
}

struct task *new_task(unsigned nr)
{
	if (task_create("task", &x.tasks[nr]))
		panic("no task");
	return x.tasks[nr];
}

s64 give(struct task *task, enum cap_kind kind, unsigned rights, void *object)
{
	const struct cap cap = {.object = object, .rights = (u16)rights, .kind = kind};
	s64 handle;

	cap_get(&cap);
	handle = cap_install(&task->caps, &cap);
	if (handle < 0)
		panic("no handle");
	return handle;
}

struct vm_object *new_object(unsigned long pages)
{
	struct vm_object *object;

	if (vm_object_create(&kernel_memory, OBJ_ANON, pages, NULL, NULL, &object))
		panic("no object");
	return object;
}

void map_data(struct task *task, struct vm_object *object)
{
	if (vm_map(task->space, DATA, object->nr_pages, VM_READ | VM_WRITE, object, 0))
		panic("no memory mapped");
}

struct task *task_with_data(unsigned nr, unsigned long pages)
{
	struct vm_object *object = new_object(pages);
	struct task *task = new_task(nr);

	map_data(task, object);
	vm_object_put(object);
	return task;
}

/* The only file: a page of code that is never read, and two pages of data. */
bool boot_file_find(const char *name, struct boot_file *out)
{
	static struct {
		Elf64_Ehdr h;
		Elf64_Phdr p[2];
		u64 data[4];
	} file = {
	    .h = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
	        .e_type = ET_EXEC,
	        .e_machine = EM_X86_64,
	        .e_version = EV_CURRENT,
	        .e_entry = CODE + PROGRAMS,
	        .e_phoff = sizeof(Elf64_Ehdr),
	        .e_ehsize = sizeof(Elf64_Ehdr),
	        .e_phentsize = sizeof(Elf64_Phdr),
	        .e_phnum = 2},
	    .p = {{.p_type = PT_LOAD,
	              .p_flags = PF_R | PF_X,
	              .p_vaddr = CODE,
	              .p_filesz = 64,
	              .p_memsz = 64},
	        {.p_type = PT_LOAD,
	            .p_flags = PF_R | PF_W,
	            .p_offset = 64,
	            .p_vaddr = DATA,
	            .p_filesz = 64,
	            .p_memsz = 2 * PAGE_SIZE}},
	};

	if (programs_found)
		programs_found();
	*out = (struct boot_file){.data = &file, .size = strcmp(name, "broken") ? sizeof(file) : 3};
	return !strcmp(name, "program") || !strcmp(name, "broken");
}

static char said[2048];

static void note_said(const char *text)
{
	size_t have = strlen(said);

	snprintf(said + have, sizeof(said) - have, "%s", text);
}

void listen(void)
{
	said[0] = '\0';
	threads_on_print = note_said;
}

const char *heard(void)
{
	threads_on_print = NULL;
	return said;
}

void tasks_start(void)
{
	threads_program = run_program;
	threads_memory_start();
	if (tasks_init())
		panic("no reaper");
}

void tasks_end(void)
{
	if (tasks_wait_none(FOREVER))
		explore_fail("STUCK", "a task does not end");
	nr_programs = 0;
}

/* ---- a call and its answer, each with a capability ---- */

static s64 to_caller, to_server, to_victim;

static void call_and_give(u64 timeout_ns)
{
	struct syscall_regs r = {.nr = SYS_CALL, .arg = {(u64)to_caller, timeout_ns, 1}};

	r.arg[ABI_GIVE] = (u64)CALL(SYS_ENDPOINT_CREATE);
	x.result[0] = user_call(&r);
	if (!x.result[0] && (r.arg[ABI_WORD0] != 2 || !r.arg[ABI_GIVE]))
		panic("the answer is not the server's");
}

static void receive_and_reply(u64 arg)
{
	struct syscall_regs r = {.nr = SYS_RECEIVE, .arg = {(u64)to_server, 5 * THREADS_TICK_NS}};
	struct syscall_regs reply = {.nr = SYS_REPLY};

	x.result[1] = user_call(&r);
	if (x.result[1])
		return;
	if (r.arg[ABI_WORD0] != 1 || !r.arg[ABI_GIVE])
		panic("the call is not the caller's");
	reply.arg[0] = r.arg[0];
	reply.arg[ABI_WORD0] = 2;
	reply.arg[ABI_GIVE] = r.arg[ABI_GIVE]; /* give it back: it is a duplicate */
	x.result[2] = user_call(&reply);
}

static void kill_and_wait(u64 arg)
{
	struct syscall_regs r = {.nr = SYS_TASK_WAIT, .arg = {(u64)to_victim, WAIT_FOREVER}};

	CALL(SYS_TASK_KILL, (u64)to_victim);
	x.result[3] = user_call(&r);
	x.result[4] = (s64)r.arg[1];
}

static void wait_for_victim(u64 timeout_ns)
{
	struct syscall_regs r = {.nr = SYS_TASK_WAIT, .arg = {(u64)to_victim, timeout_ns}};

	do
		x.result[5] = user_call(&r);
	while (x.result[5] == -ETIMEDOUT);
	x.result[6] = (s64)r.arg[1];
}

static void caller_and_server(void)
{
	struct endpoint *ep = endpoint_create();
	struct task *client = new_task(0), *server = new_task(1);

	to_caller = give(client, CAP_ENDPOINT, RIGHT_SEND, ep);
	to_server = give(server, CAP_ENDPOINT, RIGHT_RECEIVE, ep);
	endpoint_put(ep, RIGHT_RECEIVE);
	new_program(client, 1, call_and_give, WAIT_FOREVER);
	new_program(server, 2, receive_and_reply, 0);
}

static void killer_of(unsigned nr)
{
	struct task *killer = new_task(2);

	to_victim = give(killer, CAP_TASK, RIGHT_KILL | RIGHT_WAIT, x.tasks[nr]);
	new_program(killer, 3, kill_and_wait, 0);
}

ROLE(caller_server_killer_of_caller, caller_and_server(); killer_of(0));
ROLE(caller_server_killer_of_server, caller_and_server(); killer_of(1));

static const char *judge_calls(bool caller_killed)
{
	if (x.result[3] != TASK_KILLED && x.result[3] != TASK_EXITED)
		return "who killed does not see how it ended";
	if (x.result[0] == NOT_YET && (!caller_killed || x.result[3] != TASK_KILLED))
		return "the call has not returned";
	if (!x.result[0] && x.result[2] && caller_killed)
		return "the caller has an answer that nobody gave";
	if (x.result[0] && !x.result[2] && !caller_killed)
		return "the answer was taken, and the caller has none";
	return x.result[0] == 0 || x.result[0] == NOT_YET || x.result[0] == -EPIPE
	    ? NULL
	    : "calling failed";
}

JUDGE_BY(judge_caller_killed, judge_calls(true));
JUDGE_BY(judge_server_killed, judge_calls(false));

/* ---- ends of tasks ---- */

void end_thread(u64 arg)
{
	CALL(SYS_THREAD_EXIT);
}

void end_task(u64 arg)
{
	CALL(SYS_EXIT, STATUS);
}

static void touch_nothing(u64 arg)
{
	user_store(DATA, 1);
}

static void make_thread(u64 nr)
{
	x.result[nr] = CALL(SYS_THREAD_CREATE, CODE + PROGRAMS, DATA);
}

static void make_threads(u64 arg)
{
	make_thread(0);
	make_thread(1);
}

/* Task @nr waits for task 0 on CPU @cpu. */
static void waiter(unsigned nr, int cpu, u64 timeout_ns)
{
	struct task *task = new_task(nr);

	to_victim = give(task, CAP_TASK, RIGHT_KILL | RIGHT_WAIT, x.tasks[0]);
	new_program(task, cpu, wait_for_victim, timeout_ns);
}

static void two_and_a_waiter(void (*a)(u64), void (*b)(u64))
{
	struct task *task = new_task(0);

	new_program(task, 1, a, 0);
	new_program(task, 2, b, 0);
	waiter(1, 3, THREADS_TICK_NS);
}

ROLE(two_threads_end, two_and_a_waiter(end_thread, end_thread));
ROLE(exit_and_fault, two_and_a_waiter(end_task, touch_nothing));
ROLE(exit_and_create, two_and_a_waiter(end_task, make_threads));

static void exit_and_kill(void)
{
	new_program(new_task(0), 1, end_task, 0);
	waiter(1, 2, THREADS_TICK_NS);
	new_program(x.tasks[1], 3, kill_and_wait, 0);
}

JUDGE(judge_last, x.result[5] == TASK_EXITED && x.result[6] == 0,
    "the task has not ended by its last thread");

/* One of the two ends decided how the task ended, and all waiters were told the same. */
static const char *judge_end(enum task_end other)
{
	if (x.result[5] == TASK_EXITED ? x.result[6] != STATUS : x.result[6] != 0)
		return "the status is not of who ended it";
	if (x.result[5] != TASK_EXITED && x.result[5] != (s64)other)
		return "it ended by nobody";
	return x.result[3] == NOT_YET || (x.result[3] == x.result[5] && x.result[4] == x.result[6])
	    ? NULL
	    : "two who waited were told differently";
}

JUDGE_BY(judge_fault, judge_end(TASK_FAULTED));
JUDGE_BY(judge_kill, judge_end(TASK_KILLED));

static const char *judge_create(void)
{
	unsigned i;

	for (i = 0; i < 2; i++)
		if (x.result[i] < 0 && x.result[i] != -EAGAIN)
			return "a thread was refused for another reason";
	return judge_end(TASK_EXITED);
}

/* ---- two threads each make another one, but their task may have only one more ---- */

#define OTHERS (ABI_MAX_THREADS - 3)

static void count_threads(struct task *task, int more)
{
	spin_lock(&task->lock);
	task->nr_threads += (unsigned)more;
	spin_unlock(&task->lock);
}

/* No thread ends before both have tried. */
static void await_tries(void)
{
	while (load_acquire(&x.ended) < 2)
		thread_yield();
}

static void make_last_thread(u64 nr)
{
	make_thread(nr);
	if (atomic_add(&x.ended, 1u) == 1)
		count_threads(x.tasks[0], -OTHERS);
	await_tries();
}

/* The task counts threads that it does not have, since there is too little memory for them. */
static void two_make_threads(void)
{
	struct task *task = new_task(0);

	new_program(task, 1, make_last_thread, 0);
	new_program(task, 2, make_last_thread, 1);
	count_threads(task, OTHERS);
	programs_started = await_tries;
}

JUDGE(judge_last_thread,
    MIN(x.result[0], x.result[1]) == -EAGAIN && MAX(x.result[0], x.result[1]) > 0,
    "not exactly one has made the last thread");

/* ---- handles that two threads use at the same time, and handles of a killed task ---- */

static void call_itself(u64 arg)
{
	struct syscall_regs r = {.nr = SYS_CALL, .arg = {(u64)to_caller, WAIT_FOREVER, 1}};

	x.result[0] = user_call(&r);
}

static void receive_and_close(u64 arg)
{
	struct syscall_regs r = {.nr = SYS_RECEIVE, .arg = {(u64)to_caller, 5 * THREADS_TICK_NS}};

	x.result[1] = user_call(&r);
	if (!x.result[1])
		x.result[2] = CALL(SYS_HANDLE_CLOSE, r.arg[0]);
}

static void close_it(u64 arg)
{
	x.result[3] = CALL(SYS_HANDLE_CLOSE, (u64)to_caller);
}

static void dup_it(u64 arg)
{
	s64 dup = CALL(SYS_HANDLE_DUP, (u64)to_caller, RIGHT_SEND);

	x.result[1] = CALL(SYS_HANDLE_DUP, (u64)to_caller, RIGHT_RECEIVE);
	if (dup > 0)
		x.result[0] = CALL(SYS_HANDLE_CLOSE, (u64)dup);
}

static struct task *task_with_endpoint(void)
{
	struct endpoint *ep = endpoint_create();
	struct task *task = new_task(0);

	to_caller = give(task, CAP_ENDPOINT, RIGHT_SEND | RIGHT_RECEIVE | RIGHT_DUP, ep);
	endpoint_put(ep, RIGHT_RECEIVE);
	return task;
}

static void call_receive_close(void)
{
	struct task *task = task_with_endpoint();

	new_program(task, 1, call_itself, 0);
	new_program(task, 2, receive_and_close, 0);
	new_program(task, 3, close_it, 0);
}

static void dup_close_kill(void)
{
	struct task *task = task_with_endpoint();

	new_program(task, 1, dup_it, 0);
	new_program(task, 2, close_it, 0);
	killer_of(0);
}

static const char *judge_closed(void)
{
	if (x.result[0] != -EPIPE && x.result[0] != -EBADF)
		return "a call whose endpoint was closed did not fail";
	if (x.result[2] != NOT_YET && x.result[2])
		return "the reply's handle was not the receiver's";
	return x.result[3] ? "the handle was not there to close" : NULL;
}

JUDGE(judge_nothing, true, "");

/* ---- memory that two tasks share, one of which is killed ---- */

static void share_and_unmap(u64 arg)
{
	user_store(DATA, user_load(DATA) + 1);
	x.result[0] = CALL(SYS_UNMAP, DATA, 1);
	x.result[1] = CALL(SYS_MAP, (u64)to_caller, DATA, 1, 0, ABI_READ | ABI_WRITE);
	user_store(DATA, user_load(DATA) + 1);
}

static void share(u64 arg)
{
	user_store(DATA + 8, user_load(DATA + 8) + 1);
	user_store(DATA + 8, user_load(DATA + 8) + 1);
	x.result[2] = (s64)user_load(DATA + 8);
}

static void sharers_and_killer(void)
{
	struct vm_object *object = new_object(1);
	struct task *task = new_task(0), *other = new_task(1);

	map_data(task, object);
	map_data(other, object);
	to_caller = give(task, CAP_OBJECT, RIGHT_READ | RIGHT_WRITE, object);
	vm_object_put(object);
	new_program(task, 1, share_and_unmap, 0);
	new_program(other, 2, share, 0);
	killer_of(0);
}

static const char *judge_shared(void)
{
	if (x.result[0] < 0 || x.result[1] < 0)
		return "memory was not mapped again";
	return x.result[2] == 2 ? NULL : "a word was lost";
}

static const struct set sets[] = {
    X(a_caller_is_killed, caller_server_killer_of_caller, judge_caller_killed),
    X(a_server_is_killed, caller_server_killer_of_server, judge_server_killed),
    X(the_last_two_threads_end_at_once, two_threads_end, judge_last),
    X(an_exit_meets_a_kill_and_those_who_wait, exit_and_kill, judge_kill),
    X(an_exit_meets_a_fault, exit_and_fault, judge_fault),
    X(an_exit_meets_new_threads, exit_and_create, judge_create),
    X(two_make_the_last_thread, two_make_threads, judge_last_thread),
    X(a_handle_is_closed_under_a_call_and_a_receiver, call_receive_close, judge_closed),
    X(a_task_is_killed_while_it_changes_handles, dup_close_kill, judge_nothing),
    X(who_shares_memory_is_killed, sharers_and_killer, judge_shared),
};

const struct explore_suite task_suite = {"tasks", sets, ARRAY_SIZE(sets), NULL};
