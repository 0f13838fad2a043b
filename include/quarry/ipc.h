/* SPDX-License-Identifier: MIT */
/*
 * ipc.h: synchronous messages: somebody calls an endpoint and waits; somebody receives the call there and
 * answers it.
 *
 * A message is a few words and perhaps a capability, which changes hands.  Who receives a call gets a
 * reference to it (CAP_REPLY) by which it is answered, once; dropping that unanswered fails the call.
 */
#ifndef QUARRY_IPC_H
#define QUARRY_IPC_H

#include <quarry/cap.h>

struct ipc_msg {
	u64 word[ABI_WORDS];
	struct cap give; /* CAP_NONE: nothing */
};

struct endpoint;
struct ipc_call;

/* Context of all but endpoint_get: thread, may sleep, no spin lock held. */

/* A new endpoint in *@out, with one reference that may do all.  0; -EDQUOT; -ENOMEM. */
int endpoint_new(struct endpoint **out) must_check;
/* The same; NULL: there is none. */
static inline struct endpoint *must_check endpoint_create(void)
{
	struct endpoint *ep;

	return endpoint_new(&ep) ? NULL : ep;
}
/* One more reference of one that has these rights.  Any context.  And drop it. */
void endpoint_get(struct endpoint *ep, unsigned rights);
void endpoint_put(struct endpoint *ep, unsigned rights);

/*
 * ipc_call - send *@msg, wait for the answer, which replaces it.
 * Returns 0; -EPIPE nobody can receive there any more, or the one who did has gone without an answer;
 * -ETIMEDOUT no answer within @timeout_ns; -EINTR the caller's task ends; -ENOMEM.
 * What it gives belongs to the call from here on, whatever it returns: on an error *@msg gives nothing.
 */
int ipc_call(struct endpoint *ep, struct ipc_msg *msg, u64 timeout_ns) must_check;
/*
 * ipc_receive - wait for a call: 0, its message in *@msg and the call in *@out.
 * Returns -ETIMEDOUT; -EINTR the receiver's task ends.
 */
int ipc_receive(struct endpoint *ep, struct ipc_msg *msg, struct ipc_call **out, u64 timeout_ns) must_check;
/*
 * ipc_reply - answer @call, whose reference is dropped.  What *@msg gives goes with it, or is dropped.
 * Returns 0; -EPIPE the caller has given up.
 */
int ipc_reply(struct ipc_call *call, struct ipc_msg *msg);
/* Drop it unanswered. */
void ipc_call_drop(struct ipc_call *call);

#endif
