/* SPDX-License-Identifier: MIT */
/*
 * syscall.c: the system calls: each decodes and checks its arguments and calls the rest of the
 * kernel; those for memory are in syscall_memory.c.
 *
 * Arguments and user memory are copied in once, and handles become references, before anything is
 * changed.  docs/abi.md lists the calls with their rights and errors.
 *
 * Owns:       the table of calls.
 * Locks:      one mutex, of writers; none is held while user memory is touched.
 * Invariants: ring 3 gets back a number, an errno or a handle, never a kernel address.
 * Tests:      tests/fiber/explore_good.c, tests/fiber/explore_calls.c,
 *             tests/fiber/explore_missing.c, user/abi.c, user/fuzz.c, tests/qemu/test_hostile.py.
 */
#include "kernel/syscall.h"

#include <quarry/errno.h>
#include <quarry/mm.h>
#include <quarry/sched.h>
#include <quarry/smp.h>

BUILD_ASSERT(ABI_GIVE == ABI_WORD0 + ABI_WORDS);

/* Copy to @out the capability that the caller gives with a message; @handle 0: none. */
static int take_gift(u64 handle, struct cap *out)
{
	*out = (struct cap){.kind = CAP_NONE};
	return handle ? cap_lookup(my_caps(), handle, CAP_NONE, RIGHT_DUP, out) : 0;
}

/*
 * Another thread may close the handle to @gift while this one gives it away.  The OOM killer must
 * count an object for this task all the same, so keep another reference in *@kept until hide_gift.
 */
static void show_gift(const struct cap *gift, struct cap *kept)
{
	*kept = (struct cap){.kind = CAP_NONE};
	if (gift->kind != CAP_OBJECT)
		return;
	*kept = *gift;
	cap_get(kept);
	task_gives(kept->object);
}

static void hide_gift(struct cap *kept)
{
	if (kept->kind == CAP_OBJECT)
		task_gives(NULL);
	cap_drop(kept);
}

/* ---- the task and its threads ---- */

/*
 * printk has interrupts off, 11 ms for a line of 128 bytes at 115200 baud, so the next writer
 * sleeps instead of polling for the console.  The lock is handed to a writer that has yet to run:
 * it does not wait for turns of its task's other threads.  False: the task is ending.
 */
static bool write_line(const char *name, const char *text, size_t len)
{
	static struct mutex writing = {.l = {.wq = WAITQ_BARE("sys_debug_write")}};
	bool ours;

	sched_boost(true);
	ours = mutex_lock_unless(&writing, task_interrupted, WAIT_FOREVER);
	if (ours) {
		printk("%s: %.*s\n", name, (int)len, text);
		mutex_unlock(&writing);
	}
	sched_boost(false);
	return ours;
}

/* Each line has the task's name, so that no program can imitate the kernel; long ones are cut. */
static s64 sys_debug_write(struct syscall_regs *r)
{
	const struct task *task = task_current();
	size_t len = r->arg[1], start, i;
	char text[ABI_MAX_WRITE];

	if (len > sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, r->arg[0], len))
		return -EFAULT;
	for (start = 0; start < len; start = i + (i < len && text[i] == '\n')) {
		for (i = start; i < len && i - start < ABI_MAX_LINE && text[i] != '\n'; i++)
			if (text[i] < ' ' || text[i] > '~')
				text[i] = '?';
		if (!write_line(task->name, text + start, i - start))
			return -EINTR;
	}
	return 0;
}

static s64 sys_exit(struct syscall_regs *r)
{
	task_end(task_current(), TASK_EXITED, (s32)r->arg[0]);
	return 0; /* the thread does not return to ring 3 */
}

static s64 sys_thread_exit(struct syscall_regs *r)
{
	task_thread_exit();
}

static s64 sys_yield(struct syscall_regs *r)
{
	thread_yield();
	return 0;
}

static bool interrupted(void *arg)
{
	return task_interrupted();
}

static s64 sys_sleep(struct syscall_regs *r)
{
	struct waitq nobody = WAITQ("sys_sleep");

	return wait_until(&nobody, interrupted, NULL, r->arg[0]) ? -EINTR : 0;
}

static s64 sys_clock(struct syscall_regs *r)
{
	return (s64)arch_clock_ns();
}

static s64 info_handle(u64 what, u64 handle)
{
	enum cap_kind kind = what == INFO_RIGHTS ? CAP_NONE : CAP_OBJECT;
	struct cap cap;
	s64 value;
	int err = cap_lookup(my_caps(), handle, kind, 0, &cap);

	if (err)
		return err;
	if (what == INFO_RIGHTS)
		value = cap.rights;
	else if (what == INFO_OBJECT_PAGES)
		value = ((struct vm_object *)cap.object)->nr_pages;
	else
		value = vm_object_present(cap.object);
	cap_drop(&cap);
	return value;
}

static s64 sys_info(struct syscall_regs *r)
{
	const struct task *task = task_current();

	switch (r->arg[0]) {
	case INFO_CPUS: return nr_cpus_online();
	case INFO_CPU: return arch_cpu_id();
	case INFO_FREE_PAGES: return (s64)memory_free_pages(&kernel_memory);
	case INFO_TASK: return (s64)task->id;
	case INFO_THREADS: return READ_ONCE(task->nr_threads);
	case INFO_HANDLES: return READ_ONCE(task->caps.nr_used);
	case INFO_RIGHTS:
	case INFO_OBJECT_PAGES:
	case INFO_OBJECT_PRESENT: return info_handle(r->arg[0], r->arg[1]);
	case INFO_LIMIT:
	case INFO_USED: return task_account_limit(task->account, r->arg[1], r->arg[0] == INFO_USED);
	default: return -EINVAL;
	}
}

static s64 create_task(
    const char *name, struct cap *gift, const u64 arg[2], const struct abi_limits *limits)
{
	struct cap cap = {.kind = CAP_TASK, .rights = RIGHT_WAIT | RIGHT_KILL | RIGHT_DUP};
	struct task *task;
	s64 handle = cap_reserve(my_caps());
	int err;

	if (handle < 0)
		return handle;
	err = task_start(name, gift, arg, limits, &task);
	if (err)
		cap.kind = CAP_NONE;
	else
		cap.object = task;
	cap_fill(my_caps(), handle, &cap);
	return err ? err : handle;
}

static s64 sys_task_create(struct syscall_regs *r)
{
	char name[ABI_MAX_NAME + 1];
	struct abi_limits limits;
	struct cap programs, gift, kept;
	s64 ret;

	if (r->arg[2] > ABI_MAX_NAME)
		return -EINVAL;
	if (copy_from_user(name, r->arg[1], r->arg[2]) ||
	    (r->arg[6] && copy_from_user(&limits, r->arg[6], sizeof(limits))))
		return -EFAULT;
	name[r->arg[2]] = '\0';
	ret = cap_lookup(my_caps(), r->arg[0], CAP_PROGRAMS, RIGHT_EXEC, &programs);
	if (ret)
		return ret;
	ret = take_gift(r->arg[3], &gift);
	if (!ret) {
		show_gift(&gift, &kept);
		ret = create_task(name, &gift, &r->arg[4], r->arg[6] ? &limits : NULL);
		hide_gift(&kept);
	}
	cap_drop(&gift);
	cap_drop(&programs);
	return ret;
}

static s64 sys_task_wait(struct syscall_regs *r)
{
	struct cap cap;
	enum task_end how;
	s32 status;
	int err = cap_lookup(my_caps(), r->arg[0], CAP_TASK, RIGHT_WAIT, &cap);

	if (err)
		return err;
	err = task_wait(cap.object, r->arg[1], &how, &status);
	cap_drop(&cap);
	if (err)
		return err;
	r->arg[1] = (u64)(s64)status;
	return how;
}

static s64 sys_task_kill(struct syscall_regs *r)
{
	struct cap cap;
	int err = cap_lookup(my_caps(), r->arg[0], CAP_TASK, RIGHT_KILL, &cap);

	if (err)
		return err;
	task_end(cap.object, TASK_KILLED, 0);
	cap_drop(&cap);
	return 0;
}

static s64 sys_thread_create(struct syscall_regs *r)
{
	const u64 arg[3] = {r->arg[2]};

	return task_add_thread(task_current(), -1, r->arg[0], r->arg[1], arg);
}

/* ---- messages ---- */

static s64 sys_endpoint_create(struct syscall_regs *r)
{
	struct cap cap = {
	    .kind = CAP_ENDPOINT,
	    .rights = RIGHT_SEND | RIGHT_RECEIVE | RIGHT_DUP,
	};
	struct endpoint *ep;
	int err = endpoint_new(&ep);

	if (err)
		return err;
	cap.object = ep;
	return cap_give(my_caps(), &cap);
}

static void words_in(struct ipc_msg *msg, const struct syscall_regs *r)
{
	unsigned i;

	for (i = 0; i < ABI_WORDS; i++)
		msg->word[i] = r->arg[ABI_WORD0 + i];
}

static void words_out(struct syscall_regs *r, const struct ipc_msg *msg, s64 handle)
{
	unsigned i;

	for (i = 0; i < ABI_WORDS; i++)
		r->arg[ABI_WORD0 + i] = msg->word[i];
	r->arg[ABI_GIVE] = handle > 0 ? (u64)handle : 0;
}

/* A call with a capability in its message. */
static noinline int call_and_give(
    struct endpoint *ep, struct ipc_msg *msg, const struct syscall_regs *r)
{
	struct cap kept;
	int err = take_gift(r->arg[ABI_GIVE], &msg->give);

	if (err)
		return err;
	show_gift(&msg->give, &kept);
	err = ipc_call(ep, msg, r->arg[1]);
	hide_gift(&kept);
	return err;
}

static s64 sys_call(struct syscall_regs *r)
{
	struct ipc_msg msg;
	s64 handle = 0;
	struct cap ep;
	/*
	 * Take a reference without the right to receive, whatever the handle's rights.  Otherwise
	 * this call's own reference would keep the endpoint open after the last receiver's handle
	 * is closed, and the call would wait for ever.
	 */
	int err = cap_lookup_weak(my_caps(), r->arg[0], CAP_ENDPOINT, RIGHT_SEND, &ep);

	if (err)
		return err;
	words_in(&msg, r);
	if (unlikely(r->arg[ABI_GIVE])) {
		err = call_and_give(ep.object, &msg, r);
	} else {
		msg.give = (struct cap){.kind = CAP_NONE};
		err = ipc_call(ep.object, &msg, r->arg[1]);
	}
	endpoint_put(ep.object, ep.rights);
	if (err)
		return err;
	if (msg.give.kind != CAP_NONE)
		handle = cap_give(my_caps(), &msg.give);
	if (handle < 0)
		return handle;
	words_out(r, &msg, handle);
	return 0;
}

/* Store a received call: slot[0] gets the call, slot[1] the capability in its message. */
static always_inline s64 received(struct syscall_regs *r, int err, const struct ipc_msg *msg,
    struct ipc_call *call, const s64 slot[2])
{
	struct cap reply = {.object = call, .kind = CAP_REPLY}, none = {.kind = CAP_NONE};

	if (err) {
		cap_fill_two(my_caps(), slot, &none, &none);
		return err;
	}
	words_out(r, msg, msg->give.kind != CAP_NONE ? slot[1] : 0);
	cap_fill_two(my_caps(), slot, &reply, &msg->give);
	r->arg[0] = (u64)slot[0];
	return 0;
}

/* Slots are reserved before a call is taken: a call that was taken must not be lost. */
static s64 sys_receive(struct syscall_regs *r)
{
	struct ipc_call *call = NULL;
	struct ipc_msg msg;
	struct cap ep;
	s64 slot[2], ret;
	int err;

	ret = cap_lookup_and_reserve(my_caps(), r->arg[0], CAP_ENDPOINT, RIGHT_RECEIVE, &ep, slot);
	if (ret)
		return ret;
	err = ipc_receive(ep.object, &msg, &call, r->arg[1]);
	ret = received(r, err, &msg, call, slot);
	endpoint_put(ep.object, ep.rights);
	return ret;
}

static s64 sys_reply(struct syscall_regs *r)
{
	struct ipc_msg msg;
	struct cap call;
	int err;

	words_in(&msg, r);
	err = take_gift(r->arg[ABI_GIVE], &msg.give);
	if (err)
		return err;
	err = cap_take(my_caps(), r->arg[0], CAP_REPLY, &call);
	if (err) {
		cap_drop(&msg.give);
		return err;
	}
	return ipc_reply(call.object, &msg);
}

static s64 sys_reply_receive(struct syscall_regs *r)
{
	struct cap ep, answered;
	struct ipc_call *call = NULL;
	struct ipc_msg msg;
	s64 slot[2], ret;
	int err;

	ret = cap_take_and_reserve(
	    my_caps(), r->arg[0], r->arg[1], CAP_ENDPOINT, RIGHT_RECEIVE, &answered, &ep, slot);
	if (ret)
		return ret;
	words_in(&msg, r);
	msg.give = (struct cap){.kind = CAP_NONE};
	err = ipc_reply_receive(answered.object, ep.object, &msg, &call, r->arg[ABI_GIVE]);
	ret = received(r, err, &msg, call, slot);
	endpoint_put(ep.object, ep.rights);
	return ret;
}

/* ---- handles ---- */

static s64 sys_handle_close(struct syscall_regs *r)
{
	struct cap cap;
	int err = cap_take(my_caps(), r->arg[0], CAP_NONE, &cap);

	cap_drop(&cap);
	return err;
}

static s64 sys_handle_dup(struct syscall_regs *r)
{
	struct cap cap, dup;
	int err;

	if (r->arg[1] & ~(u64)RIGHTS_ALL)
		return -EINVAL;
	err = cap_lookup(my_caps(), r->arg[0], CAP_NONE, RIGHT_DUP | (unsigned)r->arg[1], &cap);
	if (err)
		return err;
	dup = cap;
	dup.rights = (u16)r->arg[1];
	cap_get(&dup);
	cap_drop(&cap);
	return cap_give(my_caps(), &dup);
}

static s64 (*const calls[NR_SYSCALLS])(struct syscall_regs *) = {
    [SYS_DEBUG_WRITE] = sys_debug_write,
    [SYS_EXIT] = sys_exit,
    [SYS_THREAD_EXIT] = sys_thread_exit,
    [SYS_YIELD] = sys_yield,
    [SYS_SLEEP] = sys_sleep,
    [SYS_CLOCK] = sys_clock,
    [SYS_INFO] = sys_info,
    [SYS_TASK_CREATE] = sys_task_create,
    [SYS_TASK_WAIT] = sys_task_wait,
    [SYS_TASK_KILL] = sys_task_kill,
    [SYS_THREAD_CREATE] = sys_thread_create,
    [SYS_OBJECT_CREATE] = sys_object_create,
    [SYS_MAP] = sys_map,
    [SYS_UNMAP] = sys_unmap,
    [SYS_PROTECT] = sys_protect,
    [SYS_ENDPOINT_CREATE] = sys_endpoint_create,
    [SYS_CALL] = sys_call,
    [SYS_RECEIVE] = sys_receive,
    [SYS_REPLY] = sys_reply,
    [SYS_HANDLE_CLOSE] = sys_handle_close,
    [SYS_HANDLE_DUP] = sys_handle_dup,
    [SYS_PAGER_BIND] = sys_pager_bind,
    [SYS_PAGER_SUPPLY] = sys_pager_supply,
    [SYS_PAGER_TAKE_BACK] = sys_pager_take_back,
    [SYS_PAGER_DROP] = sys_pager_drop,
    [SYS_FAULT_HANDLER] = sys_fault_handler,
    [SYS_REPLY_RECEIVE] = sys_reply_receive,
};

s64 syscall(struct syscall_regs *r)
{
	return r->nr < NR_SYSCALLS ? calls[r->nr](r) : -ENOSYS;
}
