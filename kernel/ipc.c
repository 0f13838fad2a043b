/* SPDX-License-Identifier: MIT */
/*
 * ipc.c: synchronous messages through endpoints.
 *
 * A thread makes one call at a time, so it keeps the record of its last call for the next one.
 * Both sides sleep under the endpoint's lock.  A thread that has a message for a sleeper holds that
 * lock and puts the message where the sleeper wants it.  Then it wakes the sleeper before it
 * releases the lock, or passes its CPU to the sleeper (sleep_passing).
 *
 * Owns:       struct endpoint, struct ipc_call.
 * Locks:      the endpoint's (RANK_TASK): its queue, its receivers, and state and message of each
 *             call made at it.  A sleeper to which a CPU was passed needs no lock to read its
 *             message.
 * Invariants: a call is on its endpoint's queue exactly while it is QUEUED.
 *             A record has two references at most: its thread's and, from TAKEN on, the receiver's.
 *             So the record lives until both have released it, in either order; the thread uses it
 *             again only when the receiver's reference is gone.
 *             While a call is QUEUED or TAKEN, its record points to a message on the caller's
 *             stack: the caller leaves ipc_call only when the call is DONE or LEFT.
 *             The list of sleeping receivers is empty while a call is queued.  A receiver that has
 *             got a call is not on the list.
 *             The turns of queued calls rise from the first to the last, and those of one family
 *             differ, except for calls that went before all others.
 *             An endpoint without receivers has no queue.
 * Tests:      ipc, tests/fiber/explore_threads.c, tests/qemu/test_hostile.py.
 */
#include "thread.h"
#include <quarry/account.h>
#include <quarry/ipc.h>
#include <quarry/mm.h>
#include <quarry/sched.h>
#include <quarry/task.h>

enum call_state {
	CALL_QUEUED,
	CALL_TAKEN, /* a receiver has it */
	CALL_DONE,  /* answered, or failed: result and msg are the caller's */
	CALL_LEFT,  /* the caller has stopped waiting */
};

/* Behind fields: a atomic; c constant; the name of a lock: under this lock. */
struct ipc_call {
	struct cap_object cap;             /* c */
	struct thread *thread;             /* c: the caller */
	struct account *account;           /* c, a reference: the caller's */
	const struct account *family;      /* c: its head's account */
	u64 turn GUARDED_BY(task_class);   /* ep->lock, while QUEUED: see queue_call */
	u32 refs;                          /* a */
	u32 state GUARDED_BY(task_class);  /* ep->lock, read racily by the caller */
	int result GUARDED_BY(task_class); /* ep->lock */
	struct ipc_msg *msg; /* ep->lock: the caller's message; the answer replaces it */
	/* ep->lock: the call's endpoint; from TAKEN on the receiver has a reference to it */
	struct endpoint *ep;
	TAILQ_ENTRY(ipc_call) link; /* ep->lock */
};

/* A sleeping receiver, on its stack. */
struct receiver {
	struct thread *thread; /* c */
	struct ipc_msg *msg;   /* c: where it wants the message */
	/* ep->lock, read racily by the receiver: the call that it got; or NULL */
	struct ipc_call *call;
	TAILQ_ENTRY(receiver) link; /* ep->lock, while call is NULL */
};

struct endpoint {
	struct cap_object cap; /* c */
	struct spinlock lock;
	struct account *account;           /* c, a reference */
	u32 refs;                          /* a */
	u32 receivers;                     /* a: the number of refs with RIGHT_RECEIVE */
	u32 closed GUARDED_BY(task_class); /* lock: the last receiver has gone */
	u64 turn GUARDED_BY(task_class);   /* lock: that of the last call taken off the queue */
	TAILQ_HEAD(, ipc_call) queue GUARDED_BY(task_class);  /* lock: next call first */
	TAILQ_HEAD(, receiver) asleep GUARDED_BY(task_class); /* lock */
};

static void cap_get_endpoint(void *object, unsigned rights)
{
	endpoint_get(object, rights);
}

static void cap_put_endpoint(void *object, unsigned rights)
{
	endpoint_put(object, rights);
}

static const struct cap_ops endpoint_ops = {.get = cap_get_endpoint, .put = cap_put_endpoint};

int endpoint_new(struct endpoint **out)
{
	struct account *account = account_current();
	int err = account_charge(account, ACCOUNT_ENDPOINTS, 1);
	struct endpoint *ep;

	if (err)
		return err;
	ep = kmalloc(sizeof(*ep));
	if (!ep) {
		account_uncharge(account, ACCOUNT_ENDPOINTS, 1);
		return -ENOMEM;
	}
	account_get(account);
	*ep = (struct endpoint){.cap = {&endpoint_ops},
	    .account = account,
	    .lock = SPINLOCK("endpoint", RANK_TASK),
	    .refs = 1,
	    .receivers = 1,
	    .queue = TAILQ_HEAD_INITIALIZER(ep->queue),
	    .asleep = TAILQ_HEAD_INITIALIZER(ep->asleep)};
	*out = ep;
	return 0;
}

void endpoint_get(struct endpoint *ep, unsigned rights)
{
	atomic_add(&ep->refs, 1u);
	if (rights & RIGHT_RECEIVE)
		atomic_add(&ep->receivers, 1u);
}

/* The same as task_interrupted, but inline. */
static inline bool ipc_interrupted(void)
{
	return thread_interrupted(thread_current());
}

/*
 * End the call; returns its thread, which must be woken. That thread stays in ipc_call until the
 * endpoint's lock, held here, is released.
 */
static struct thread *end_call(struct ipc_call *call, int result) REQUIRES(task_class)
{
	call->result = result;
	WRITE_ONCE(call->state, (u32)CALL_DONE);
	return call->thread;
}

static noinline void endpoint_free(struct endpoint *ep)
{
	account_uncharge(ep->account, ACCOUNT_ENDPOINTS, 1);
	account_put(ep->account);
	kfree(ep);
}

static noinline void last_receiver_put(struct endpoint *ep)
{
	struct ipc_call *call;

	task_lock(&ep->lock);
	ep->closed = 1;
	while ((call = TAILQ_FIRST(&ep->queue))) {
		TAILQ_REMOVE(&ep->queue, call, link);
		thread_wake(end_call(call, -EPIPE));
	}
	task_unlock(&ep->lock);
	if (atomic_sub(&ep->refs, 1u) == 1)
		endpoint_free(ep);
}

bool endpoint_closed(const struct endpoint *ep)
{
	return READ_ONCE(ep->receivers) == 0;
}

/* This calls a function only for the last reference or the last receiver. */
void endpoint_put(struct endpoint *ep, unsigned rights)
{
	if (rights & RIGHT_RECEIVE && atomic_sub(&ep->receivers, 1u) == 1)
		last_receiver_put(ep);
	else if (atomic_sub(&ep->refs, 1u) == 1)
		endpoint_free(ep);
}

/* ---- records ---- */

static void call_put(struct ipc_call *call)
{
	if (atomic_sub(&call->refs, 1u) != 1)
		return;
	account_uncharge(call->account, ACCOUNT_MESSAGES, 1);
	account_put(call->account);
	kfree(call);
}

/* The receiver has answered or dropped the call.  A record whose caller has left is freed here. */
static void call_release(struct ipc_call *call)
{
	struct endpoint *ep = call->ep;

	call_put(call);
	endpoint_put(ep, 0);
}

static void cap_put_call(void *object, unsigned rights)
{
	ipc_call_drop(object);
}

static const struct cap_ops call_ops = {.put = cap_put_call};

/*
 * A record for a new call: the thread's last record, unless a receiver still holds it.  In that
 * case the old record is left to that receiver, whose answer finds no waiter. NULL: no memory.
 */
static struct ipc_call *record_of(struct thread *t)
{
	struct ipc_call *call = t->call;

	if (likely(call && load_acquire(&call->refs) == 1))
		return call;
	ipc_forget(t);
	call = kmalloc(sizeof(*call));
	if (!call)
		return NULL;
	*call = (struct ipc_call){
	    .cap = {&call_ops}, .thread = t, .account = account_current(), .refs = 1};
	call->family = account_family(call->account);
	/* No limit: a thread has one record, and a receiver a handle for each call it took. */
	account_count(call->account, ACCOUNT_MESSAGES, 1);
	account_get(call->account);
	t->call = call;
	t->forget = ipc_forget;
	return call;
}

void ipc_forget(struct thread *t)
{
	if (t->call)
		call_put(t->call);
	t->call = NULL;
}

/* ---- the caller ---- */

static bool call_over(void *arg)
{
	return READ_ONCE(((struct ipc_call *)arg)->state) == CALL_DONE || ipc_interrupted();
}

/* Give the call, which is on no queue, to a receiver, with its message and the capability in it. */
static void ipc_take(struct ipc_call *call, struct ipc_msg *msg) REQUIRES(task_class)
{
	call->state = CALL_TAKEN;
	atomic_add(&call->refs, 1u);
	*msg = *call->msg;
	call->msg->give = (struct cap){.kind = CAP_NONE};
}

/*
 * Queue the call: if @first, before all others but older ones of this kind; else in its family's
 * turn.  Families take turns, and the calls of one family keep their order: the nth call of a
 * family goes behind the nth calls of the others.  So a family with many calls delays a call of
 * another one by one call only.
 */
static noinline void queue_call(struct endpoint *ep, struct ipc_call *call, bool first)
    REQUIRES(task_class)
{
	struct ipc_call *other;

	call->state = CALL_QUEUED;
	call->turn = first ? 0 : ep->turn;
	if (!first) {
		TAILQ_FOREACH(other, &ep->queue, link)
			if (other->family == call->family)
				call->turn = MAX(call->turn, other->turn);
		call->turn++;
	}
	TAILQ_FOREACH(other, &ep->queue, link)
		if (other->turn > call->turn)
			break;
	if (other)
		TAILQ_INSERT_BEFORE(other, call, link);
	else
		TAILQ_INSERT_TAIL(&ep->queue, call, link);
}

/* Give the call to a sleeping receiver; returns it, to be woken.  NULL: none, the call waits. */
static always_inline struct thread *send(struct endpoint *ep, struct ipc_call *call,
    struct ipc_msg *msg, bool first) REQUIRES(task_class)
{
	struct receiver *r = TAILQ_FIRST(&ep->asleep);

	call->ep = ep;
	call->msg = msg;
	if (!r) {
		queue_call(ep, call, first);
		return NULL;
	}
	TAILQ_REMOVE(&ep->asleep, r, link);
	ipc_take(call, r->msg);
	WRITE_ONCE(r->call, call);
	return r->thread;
}

/* The caller stops waiting.  Returns the result of the call, or -EINTR or -ETIMEDOUT. */
static int stop_waiting(struct endpoint *ep, struct ipc_call *call) REQUIRES(task_class)
{
	KASSERT(spin_is_held(&ep->lock));
	if (call->state == CALL_DONE)
		return call->result;
	if (call->state == CALL_QUEUED)
		TAILQ_REMOVE(&ep->queue, call, link);
	call->state = CALL_LEFT;
	return ipc_interrupted() ? -EINTR : -ETIMEDOUT;
}

/* Send the call and wait for its answer.  Clang cannot tell if a sleep ends with the lock held. */
static always_inline int send_and_wait(struct endpoint *ep, struct ipc_call *call,
    struct ipc_msg *msg, u64 deadline, bool first) NO_LOCK_ANALYSIS
{
	struct thread *to;
	int err;

	spin_lock(&ep->lock);
	if (unlikely(ep->closed || !deadline)) {
		err = ep->closed ? -EPIPE : -ETIMEDOUT;
		spin_unlock(&ep->lock);
		return err;
	}
	to = send(ep, call, msg, first);
	/* True: a thread has answered the call and passed its CPU to this one. */
	if (likely(sleep_waking(&ep->lock, to, call_over, call, deadline)))
		return call->result;
	while (!call_over(call) && !deadline_passed(deadline))
		if (sleep_unlocked(&ep->lock, call_over, call, deadline))
			return call->result;
	err = stop_waiting(ep, call);
	spin_unlock(&ep->lock);
	return err;
}

static always_inline int make_call(
    struct endpoint *ep, struct ipc_msg *msg, u64 timeout_ns, bool first)
{
	struct thread *t = thread_current();
	struct ipc_call *call = record_of(t);
	int err = -ENOMEM;

	assert_may_sleep("ipc_call");
	if (likely(call))
		err = send_and_wait(ep, call, msg, deadline_of(timeout_ns), first);
	/* Kernel threads live long and make few calls, so they keep no record. */
	if (unlikely(!t->task))
		ipc_forget(t);
	if (unlikely(err))
		cap_drop(&msg->give);
	return err;
}

int ipc_call(struct endpoint *ep, struct ipc_msg *msg, u64 timeout_ns)
{
	return make_call(ep, msg, timeout_ns, false);
}

int ipc_call_first(struct endpoint *ep, struct ipc_msg *msg, u64 timeout_ns)
{
	return make_call(ep, msg, timeout_ns, true);
}

/* ---- the receiver ---- */

static bool has_call(void *arg)
{
	return READ_ONCE(((struct receiver *)arg)->call) || ipc_interrupted();
}

/* Sleep until a call arrives; returns it, or NULL. The lock is released. */
static struct ipc_call *sleep_for_call(
    struct endpoint *ep, struct ipc_msg *msg, u64 deadline, struct thread *to) NO_LOCK_ANALYSIS
{
	struct receiver r = {.thread = thread_current(), .msg = msg};

	TAILQ_INSERT_TAIL(&ep->asleep, &r, link);
	/* True: a thread has given this one a call and passed its CPU to it. */
	if (likely(sleep_waking(&ep->lock, to, has_call, &r, deadline)))
		return r.call;
	while (!has_call(&r) && !deadline_passed(deadline))
		if (sleep_unlocked(&ep->lock, has_call, &r, deadline))
			return r.call;
	if (!r.call)
		TAILQ_REMOVE(&ep->asleep, &r, link);
	spin_unlock(&ep->lock);
	return r.call;
}

/*
 * Wait for a call and take it; the lock is released.  The caller supplies the call's reference to
 * the endpoint.  @to: a thread to be woken, or NULL. A sleeping receiver takes a call given to it
 * even if the receiver's task ends: the call ends with the task's capabilities.
 */
static always_inline int take_call(struct endpoint *ep, struct ipc_msg *msg, struct ipc_call **out,
    u64 deadline, struct thread *to) NO_LOCK_ANALYSIS
{
	struct ipc_call *call = TAILQ_FIRST(&ep->queue);
	bool ends = ipc_interrupted();

	if (likely(!call && !ends && !deadline_passed(deadline))) {
		call = sleep_for_call(ep, msg, deadline, to);
		if (unlikely(!call))
			return ipc_interrupted() ? -EINTR : -ETIMEDOUT;
		*out = call;
		return 0;
	}
	if (to)
		thread_wake(to);
	if (call && !ends) {
		TAILQ_REMOVE(&ep->queue, call, link);
		ep->turn = MAX(ep->turn, call->turn);
		ipc_take(call, msg);
		*out = call;
	}
	spin_unlock(&ep->lock);
	return ends ? -EINTR : call ? 0 : -ETIMEDOUT;
}

int ipc_receive(struct endpoint *ep, struct ipc_msg *msg, struct ipc_call **out, u64 timeout_ns)
    NO_LOCK_ANALYSIS
{
	u64 deadline = deadline_of(timeout_ns);
	int err;

	assert_may_sleep("ipc_receive");
	spin_lock(&ep->lock);
	err = take_call(ep, msg, out, deadline, NULL);
	if (!err)
		endpoint_get(ep, 0);
	return err;
}

/*
 * Give the answer to the caller.  Returns the caller, which must be woken, or NULL if it no longer
 * waits.
 */
static struct thread *answer(struct ipc_call *call, struct ipc_msg *msg) REQUIRES(task_class)
{
	if (call->state != CALL_TAKEN)
		return NULL;
	*call->msg = *msg;
	msg->give = (struct cap){.kind = CAP_NONE};
	return end_call(call, 0);
}

int ipc_reply(struct ipc_call *call, struct ipc_msg *msg)
{
	struct endpoint *ep = call->ep;
	struct thread *to;

	task_lock(&ep->lock);
	to = answer(call, msg);
	if (to)
		thread_wake(to);
	task_unlock(&ep->lock);
	cap_drop(&msg->give);
	call_release(call);
	return to ? 0 : -EPIPE;
}

/*
 * The receiver's reference to the record is dropped under the lock, while the calling thread still
 * has its own: so the record is not freed here. The answered call's reference to the endpoint
 * becomes the next call's.
 */
int ipc_reply_receive(struct ipc_call *call, struct endpoint *ep, struct ipc_msg *msg,
    struct ipc_call **out, u64 timeout_ns) NO_LOCK_ANALYSIS
{
	u64 deadline = deadline_of(timeout_ns);
	struct thread *to = NULL;
	int err;

	assert_may_sleep("ipc_reply_receive");
	if (call->ep == ep) {
		spin_lock(&ep->lock);
		to = answer(call, msg);
		if (to) {
			atomic_sub(&call->refs, 1u);
			err = take_call(ep, msg, out, deadline, to);
		} else {
			spin_unlock(&ep->lock);
		}
	}
	if (!to) {
		ipc_reply(call, msg);
		return ipc_receive(ep, msg, out, timeout_ns);
	}
	if (err)
		endpoint_put(ep, 0);
	return err;
}

void ipc_call_drop(struct ipc_call *call)
{
	struct endpoint *ep = call->ep;

	task_lock(&ep->lock);
	if (call->state == CALL_TAKEN)
		thread_wake(end_call(call, -EPIPE));
	task_unlock(&ep->lock);
	call_release(call);
}
