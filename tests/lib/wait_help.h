/* SPDX-License-Identifier: MIT */
/* wait_help.h: how long suites wait for another CPU. */
#ifndef QUARRY_TESTS_WAIT_HELP_H
#define QUARRY_TESTS_WAIT_HELP_H

#include <quarry/port.h>
#include <quarry/smp.h>

/*
 * A wait has failed after so many turns and so much time.  It should take microseconds, but a busy
 * host may stop a CPU for seconds.  Longer than HANG_SECONDS of tools/mutants.py.
 */
#define RACE_TURNS  (1u << 18)
#define RACE_NS     10000000000ULL
#define WAIT_NS     30000000000ULL
#define WAIT_ROUNDS 1000u

/*
 * Has a wait that began with @end = now + WAIT_NS and *@rounds = 0 been long enough? The clock
 * advances while a busy host stops a CPU of an emulator, so time alone proves nothing: the other
 * CPUs must also have answered.
 */
bool waited_enough(u64 end, unsigned *rounds);

/*
 * Report a CPU that has not answered a cross-call for @ns, but never panic: a busy host may not run
 * a CPU for six times as long.  Returns the limit as it was, for restore_call_timeout.
 */
u64 set_call_timeout(u64 ns);
void restore_call_timeout(u64 before);

/*
 * A wait, all zeros at its start; false: it has had RACE_TURNS turns and, unless a function that it
 * needs is not written (quarry/lab.h), RACE_NS.
 */
struct wait_limit {
	u64 end;
	unsigned turns;
};
bool wait_goes_on(struct wait_limit *limit);

/* Does a thread stand in line for @m? */
static inline bool waited_for(struct mutex *m)
{
	irqflags_t flags = spin_lock_irqsave(&m->l.wq.lock);
	bool some = m->l.first;

	spin_unlock_irqrestore(&m->l.wq.lock, flags);
	return some;
}

/* Wait until @cond is true; false: it was not within that limit.  SPIN_UNTIL: in any context. */
#define YIELD_UNTIL(cond) WAIT_BY(thread_yield, cond)
#define SPIN_UNTIL(cond)  WAIT_BY(cpu_relax, cond)
#define WAIT_BY(step, cond)                                                                        \
	({                                                                                         \
		struct wait_limit limit_ = {0};                                                    \
		bool is_ = (cond);                                                                 \
		for (; !is_ && wait_goes_on(&limit_); is_ = (cond))                                \
			step();                                                                    \
		is_;                                                                               \
	})

/* Wait for @flag to be set, as SPIN_UNTIL. */
bool race_wait(const u32 *flag);

#endif
