/* SPDX-License-Identifier: MIT */
/*
 * ipc.c: synchronous messages through endpoints.
 *
 * Owns:       struct endpoint, struct ipc_call.
 * Locks:      the endpoint's (RANK_TASK): its queue, and state and message of each call made at it.
 * Invariants: a call is on its endpoint's queue exactly while it is QUEUED.
 *             A call has two references at most: its caller's and, from TAKEN on, the receiver's.
 *             So it lives until both have released it, in either order.
 *             An endpoint without receivers has no queue.
 * Tests:      ipc, tests/fiber/explore_threads.c.
 */
#include <quarry/account.h>
#include <quarry/ipc.h>
#include <quarry/mm.h>
#include <quarry/task.h>
#include <sys/queue.h>

enum call_state {
	CALL_QUEUED,
	CALL_TAKEN, /* a receiver has it */
	CALL_DONE,  /* answered, or failed: result and msg are the caller's */
	CALL_LEFT,  /* the caller has stopped waiting */
};

struct ipc_call {
	struct endpoint *ep;               /* c, a reference */
	struct account *account;           /* c, a reference: the caller's */
	u32 refs;                          /* a */
	u32 state GUARDED_BY(task_class);  /* ep->lock, read racily by the caller */
	int result GUARDED_BY(task_class); /* ep->lock */
	struct ipc_msg msg;                /* ep->lock */
	struct waitq wq;                   /* the caller */
	TAILQ_ENTRY(ipc_call) link;        /* ep->lock */
};

struct endpoint {
	struct spinlock lock;
	struct account *account;                             /* c, a reference */
	u32 refs;                                            /* a */
	u32 receivers;                                       /* a: of these, with RIGHT_RECEIVE */
	u32 closed GUARDED_BY(task_class);                   /* lock: the last receiver has gone */
	TAILQ_HEAD(, ipc_call) queue GUARDED_BY(task_class); /* lock: oldest first */
	struct waitq wq;                                     /* receivers */
};

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
	*ep = (struct endpoint){.account = account,
	    .lock = SPINLOCK("endpoint", RANK_TASK),
	    .wq = WAITQ("endpoint"),
	    .refs = 1,
	    .receivers = 1,
	    .queue = TAILQ_HEAD_INITIALIZER(ep->queue)};
	*out = ep;
	return 0;
}

void endpoint_get(struct endpoint *ep, unsigned rights)
{
	atomic_add(&ep->refs, 1u);
	if (rights & RIGHT_RECEIVE)
		atomic_add(&ep->receivers, 1u);
}

/* Let the call fail.  Lock held. */
static void fail_locked(struct ipc_call *call) REQUIRES(task_class)
{
	call->result = -EPIPE;
	store_release(&call->state, (u32)CALL_DONE);
	wake_up(&call->wq);
}

static void close_queue(struct endpoint *ep)
{
	struct ipc_call *call;

	task_lock(&ep->lock);
	ep->closed = 1;
	while ((call = TAILQ_FIRST(&ep->queue))) {
		TAILQ_REMOVE(&ep->queue, call, link);
		fail_locked(call);
	}
	task_unlock(&ep->lock);
}

void endpoint_put(struct endpoint *ep, unsigned rights)
{
	if (rights & RIGHT_RECEIVE && atomic_sub(&ep->receivers, 1u) == 1)
		close_queue(ep);
	if (atomic_sub(&ep->refs, 1u) == 1) {
		account_uncharge(ep->account, ACCOUNT_ENDPOINTS, 1);
		account_put(ep->account);
		kfree(ep);
	}
}

static void call_put(struct ipc_call *call)
{
	if (atomic_sub(&call->refs, 1u) != 1)
		return;
	cap_drop(&call->msg.give);
	endpoint_put(call->ep, 0);
	account_uncharge(call->account, ACCOUNT_MESSAGES, 1);
	account_put(call->account);
	kfree(call);
}

static bool call_over(void *arg)
{
	return load_acquire(&((struct ipc_call *)arg)->state) == CALL_DONE || task_interrupted();
}

/* Queue a call; it takes over what @msg transfers.  0 or -EPIPE. */
static int enqueue(struct endpoint *ep, struct ipc_call *call, struct ipc_msg *msg)
{
	int err = -EPIPE;

	task_lock(&ep->lock);
	if (!ep->closed) {
		call->msg = *msg;
		msg->give = (struct cap){.kind = CAP_NONE};
		TAILQ_INSERT_TAIL(&ep->queue, call, link);
		err = 0;
	}
	task_unlock(&ep->lock);
	if (!err)
		wake_up(&ep->wq);
	return err;
}

/* The wait is over: return the answer, or leave the call to its receiver. */
static int finish(struct endpoint *ep, struct ipc_call *call, struct ipc_msg *msg)
{
	int err;

	task_lock(&ep->lock);
	if (call->state == CALL_DONE) {
		err = call->result;
		if (!err) {
			*msg = call->msg;
			call->msg.give = (struct cap){.kind = CAP_NONE};
		}
	} else {
		err = task_interrupted() ? -EINTR : -ETIMEDOUT;
		if (call->state == CALL_QUEUED)
			TAILQ_REMOVE(&ep->queue, call, link);
		call->state = CALL_LEFT;
	}
	task_unlock(&ep->lock);
	return err;
}

int ipc_call(struct endpoint *ep, struct ipc_msg *msg, u64 timeout_ns)
{
	struct ipc_call *call = kmalloc(sizeof(*call));
	int err = -ENOMEM;

	if (call) {
		*call = (struct ipc_call){
		    .ep = ep, .account = account_current(), .refs = 1, .wq = WAITQ("ipc_call")};
		/*
		 * No limit needed: a thread has one call, and a receiver has a handle for each call
		 * taken.
		 */
		account_count(call->account, ACCOUNT_MESSAGES, 1);
		account_get(call->account);
		endpoint_get(ep, 0);
		err = enqueue(ep, call, msg);
		if (!err) {
			wait_until(&call->wq, call_over, call, timeout_ns);
			err = finish(ep, call, msg);
		}
		call_put(call);
	}
	if (err)
		cap_drop(&msg->give);
	return err;
}

static bool call_waits(void *arg)
{
	const struct endpoint *ep = arg;

	return READ_ONCE(ep->queue.tqh_first) || task_interrupted();
}

int ipc_receive(struct endpoint *ep, struct ipc_msg *msg, struct ipc_call **out, u64 timeout_ns)
{
	u64 now = arch_clock_ns(),
	    end = timeout_ns < WAIT_FOREVER - now ? now + timeout_ns : WAIT_FOREVER;
	struct ipc_call *call;
	u64 left = timeout_ns;

	for (;;) {
		bool some = wait_until(&ep->wq, call_waits, ep, left);

		if (task_interrupted())
			return -EINTR;
		if (!some)
			return -ETIMEDOUT;
		task_lock(&ep->lock);
		call = TAILQ_FIRST(&ep->queue);
		if (call) {
			TAILQ_REMOVE(&ep->queue, call, link);
			call->state = CALL_TAKEN;
			atomic_add(&call->refs, 1u);
			*msg = call->msg;
			call->msg.give = (struct cap){.kind = CAP_NONE};
		}
		task_unlock(&ep->lock);
		if (call)
			break;
		/* Another receiver was faster. */
		now = arch_clock_ns();
		left = end == WAIT_FOREVER ? WAIT_FOREVER : end > now ? end - now : 0;
	}
	*out = call;
	return 0;
}

int ipc_reply(struct ipc_call *call, struct ipc_msg *msg)
{
	struct endpoint *ep = call->ep;
	int err = -EPIPE;

	task_lock(&ep->lock);
	if (call->state == CALL_TAKEN) {
		call->msg = *msg;
		msg->give = (struct cap){.kind = CAP_NONE};
		call->result = 0;
		store_release(&call->state, (u32)CALL_DONE);
		wake_up(&call->wq);
		err = 0;
	}
	task_unlock(&ep->lock);
	cap_drop(&msg->give);
	call_put(call);
	return err;
}

void ipc_call_drop(struct ipc_call *call)
{
	task_lock(&call->ep->lock);
	if (call->state == CALL_TAKEN)
		fail_locked(call);
	task_unlock(&call->ep->lock);
	call_put(call);
}
