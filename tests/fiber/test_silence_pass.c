/* SPDX-License-Identifier: MIT */
/*
 * test_silence_pass.c: a thread that calls an endpoint passes its CPU to the thread that waits
 * there, and a thread leaves its task's share for a while; what this costs the shares of the CPU.
 */
#include "kernel/runq.h"
#include "tests/fiber/silence_help.h"
#include <quarry/ipc.h>
#include <quarry/sched.h>

#define RAN_NS (3 * MS)

struct receiver {
	struct endpoint *ep;
	const struct share *share; /* the caller's */
	u64 turn_ns, early_ns;     /* as the receiver found them */
};

static void receive_once(void *arg)
{
	struct receiver *r = arg;
	struct ipc_msg msg = {.word = {0}};
	struct ipc_call *call;

	if (ipc_receive(r->ep, &msg, &call, WAIT_FOREVER))
		panic("no call");
	r->turn_ns = r->share->turn_ns;
	r->early_ns = r->share->early_ns;
	(void)ipc_reply(call, &msg);
}

KTEST_SUITE(silence_pass, KTEST_MOSTLY_INSIDE);

/* A caller that passes its CPU on has used time before its turn, or has ended its turn. */
KTEST(caller_pays_for_the_time_before_its_turn)
{
	struct share *own = thread_current()->share;
	unsigned early;

	for (early = 0; early < 2; early++) {
		struct endpoint *ep = NEED(t, endpoint_create());
		struct receiver r = {.ep = ep, .share = own};
		struct ipc_msg msg = {.word = {0}};
		struct runq *rq = &runqs[arch_cpu_id()];
		struct thread *thread =
		    NEED(t, thread_start("receiver", (int)arch_cpu_id(), receive_once, &r));

		thread_sleep(20 * MS);
		own->turn_ns = own->early_ns = 0;
		rq->early = early;
		rq->since = arch_clock_ns() - RAN_NS;
		EXPECT_EQ(t, ipc_call(r.ep, &msg, WAIT_FOREVER), 0);
		thread_join(thread);
		EXPECT_EQ(t, r.early_ns >= RAN_NS, early);
		EXPECT(t, !r.turn_ns && (early || !r.early_ns));
		endpoint_put(r.ep, RIGHT_RECEIVE);
	}
}

/* Before the boost the time counts for the task, and then for the thread's own share. */
KTEST(time_counts_for_the_share_that_a_boosted_thread_had)
{
	struct share *shares = NEED(t, shares_new()), *own = &thread_current()->own, *task;
	struct thread *self = thread_current();
	unsigned early, i;

	for (early = 0; early < 2; early++) {
		irqflags_t flags = arch_irq_save();
		struct runq *rq = &runqs[arch_cpu_id()];
		bool was = rq->early;

		task = &shares[self->cpu];
		*task = *own = (struct share){.ring = rq->ring};
		STAILQ_INIT(&task->threads);
		STAILQ_INIT(&own->threads);
		self->shares = shares;
		self->share = task;
		rq->early = early;
		for (i = 0; i < 2; i++) {
			bool on = i == 0;
			struct share *from = on ? task : own, *to = on ? own : task;
			u64 had = to->early_ns + to->turn_ns;

			rq->since = arch_clock_ns() - RAN_NS;
			sched_boost(on);
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
