/* SPDX-License-Identifier: MIT */
/*
 * ipc.h: synchronous messages: a thread calls an endpoint and waits; another thread receives the
 * call there and answers it.
 *
 * A message is a few words and optionally a capability, which is transferred.  The receiver gets a
 * reference to the call (CAP_REPLY), by which it answers once; if it drops the reference without an
 * answer, the call fails.
 */
#ifndef QUARRY_IPC_H
#define QUARRY_IPC_H

#include <quarry/cap.h>

struct ipc_msg {
	u64 word[ABI_WORDS];
	struct cap give; /* CAP_NONE: none */
};

struct endpoint;
struct ipc_call;

/* Context of all but endpoint_get: thread, may sleep, no spin lock held. */

/* A new endpoint in *@out, with one reference that has all rights.  0; -EDQUOT; -ENOMEM. */
int endpoint_new(struct endpoint **out) must_check;
/* As endpoint_new; NULL: an error. */
static inline struct endpoint *must_check endpoint_create(void)
{
	struct endpoint *ep;

	return endpoint_new(&ep) ? NULL : ep;
}
/*
 * endpoint_get: take one more reference with @rights; endpoint_put: drop one that has them.  Any
 * context.
 */
void endpoint_get(struct endpoint *ep, unsigned rights);
void endpoint_put(struct endpoint *ep, unsigned rights);
/* Has the last reference with RIGHT_RECEIVE gone?  Calls then fail for good.  Any context. */
bool endpoint_closed(const struct endpoint *ep);

/*
 * ipc_call - send *@msg and wait for the answer, which replaces it.  If no receiver is waiting, the
 * call is queued: the families of accounts (account_family) take turns, a call each, and calls of
 * one family are received in the order in which they were made.
 * Returns 0; -EPIPE the endpoint has no receivers any more, or the receiver dropped the call
 * unanswered; -ETIMEDOUT no answer within @timeout_ns; -EINTR the caller's task is ending; -ENOMEM.
 * The call takes over the capability in *@msg in any case: on an error *@msg has none.
 */
int ipc_call(struct endpoint *ep, struct ipc_msg *msg, u64 timeout_ns) must_check;
/* As ipc_call, but the call is received before all that are queued already. */
int ipc_call_first(struct endpoint *ep, struct ipc_msg *msg, u64 timeout_ns) must_check;
/*
 * ipc_receive - wait for a call.
 * Returns 0, the call in *@out and its message in *@msg; -ETIMEDOUT; -EINTR the receiver's task is
 * ending.
 */
int ipc_receive(struct endpoint *ep, struct ipc_msg *msg, struct ipc_call **out, u64 timeout_ns)
    must_check;
/*
 * ipc_reply - answer @call and drop its reference.  The capability in *@msg is transferred, or
 * dropped on an error.
 * Returns 0; -EPIPE the caller has stopped waiting.
 */
int ipc_reply(struct ipc_call *call, struct ipc_msg *msg);
/*
 * ipc_reply_receive - answer @call by *@msg, as ipc_reply, and wait for the next call of @ep, as
 * ipc_receive.  A caller that has stopped waiting is no error.  The next call's message replaces
 * *@msg, which has no capability after an error.
 * Returns as ipc_receive; the answer is given in any case.
 */
int ipc_reply_receive(struct ipc_call *call, struct endpoint *ep, struct ipc_msg *msg,
    struct ipc_call **out, u64 timeout_ns) must_check;
/* Drop a call unanswered. */
void ipc_call_drop(struct ipc_call *call);

#endif
