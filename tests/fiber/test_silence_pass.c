/* SPDX-License-Identifier: MIT */
/*
 * test_silence_pass.c: a thread that calls an endpoint passes its CPU to the thread that waits
 * there, and a thread leaves its task's share for a while; what this costs the shares of the CPU.
 */
#include "kernel/runq.h"
#include "tests/fiber/silence_help.h"
#include <quarry/sched.h>

#define RAN_NS (3 * MS)

static struct endpoint *ep;
static struct share *own;     /* the caller's */
static u64 turn_ns, early_ns; /* of it, as the receiver found them */

static int receive_once(void)
{
	struct ipc_msg msg = {.word = {0}};
	struct ipc_call *call;
	int err = ipc_receive(ep, &msg, &call, WAIT_FOREVER);

	turn_ns = own->turn_ns;
	early_ns = own->early_ns;
	return err ? err : ipc_reply(call, &msg);
}

VERB(receive_once, receive_once());
VERB(call, ipc_call(ep, &(struct ipc_msg){.word = {0}}, WAIT_FOREVER));

KTEST_SUITE(silence_pass, KTEST_MOSTLY_INSIDE);

/* A caller that passes its CPU on has used time before its turn, or has ended its turn. */
KTEST(caller_pays_for_the_time_before_its_turn)
{
	struct runq *rq = &runqs[arch_cpu_id()];
	unsigned early;

	own = thread_current()->share;
	for (early = 0; early < 2; early++) {
		ep = NEED(t, endpoint_create());
		PLAY(t, "%u> receive_once; sleep 2t", arch_cpu_id());
		own->turn_ns = own->early_ns = 0;
		rq->early = early;
		rq->since = arch_clock_ns() - RAN_NS;
		PLAY(t, "call; join");
		EXPECT_EQ(t, early_ns >= RAN_NS, early);
		EXPECT(t, !turn_ns && (early || !early_ns));
		endpoint_put(ep, RIGHT_RECEIVE);
	}
}

/* Before the boost the time counts for the task, and then for the thread's own share. */
KTEST(time_counts_for_the_share_that_a_boosted_thread_had)
{
	struct thread *self = thread_current();
	struct share *shares = NEED(t, shares_new()), *task = &shares[self->cpu];
	struct runq *rq = &runqs[arch_cpu_id()];
	unsigned early, i;

	own = &self->own;
	for (early = 0; early < 2; early++) {
		irqflags_t flags = arch_irq_save();
		bool was = rq->early;

		*task = *own = (struct share){.ring = rq->ring};
		STAILQ_INIT(&task->threads);
		STAILQ_INIT(&own->threads);
		self->shares = shares;
		self->share = task;
		rq->early = early;
		for (i = 0; i < 2; i++) {
			struct share *from = i ? own : task, *to = i ? task : own;
			u64 had = to->early_ns + to->turn_ns;

			rq->since = arch_clock_ns() - RAN_NS;
			sched_boost(i == 0);
			EXPECT(t, self->share == to);
			EXPECT(t, (early ? from->early_ns : from->turn_ns) >= RAN_NS);
			EXPECT_EQ(t, early ? from->turn_ns : from->early_ns, 0);
			EXPECT_EQ(t, to->early_ns + to->turn_ns, had);
			EXPECT(t, arch_clock_ns() - rq->since < RAN_NS);
		}
		rq->early = was;
		sched_leave_shares(self);
		arch_irq_restore(flags);
	}
	kfree(shares);
}
