/* SPDX-License-Identifier: MIT */
/* wait_help.h: how long suites wait for another CPU. */
#ifndef QUARRY_TESTS_WAIT_HELP_H
#define QUARRY_TESTS_WAIT_HELP_H

#include <quarry/port.h>
#include <quarry/smp.h>

/*
 * A wait fails after RACE_TURNS turns and RACE_NS.  It should take microseconds, but a busy host
 * may stop a CPU for seconds.  RACE_NS is longer than HANG_SILENCE of mutants.py.  On fibers
 * no CPU is stopped, so few turns are enough.
 */
#ifdef ARCH_CLOCK_WAITS
#define RACE_TURNS 1000u
#else
#define RACE_TURNS (1u << 18)
#endif
#define RACE_NS     10000000000ULL
#define WAIT_NS     30000000000ULL
#define WAIT_ROUNDS 1000u

/*
 * Has a wait that began with @end = now + WAIT_NS and *@rounds = 0 been long enough? The clock
 * advances while a busy host stops a CPU of an emulator, so time alone proves nothing: the other
 * CPUs must also have answered WAIT_ROUNDS calls.
 */
bool waited_enough(u64 end, unsigned *rounds);
/*
 * Report a CPU that has not answered a cross-call for @ns, but never panic: a busy host may stop a
 * CPU for six times as long. Returns the limit as it was, for restore_call_timeout.
 */
u64 set_call_timeout(u64 ns);
void restore_call_timeout(u64 before);

/*
 * A wait, all zeros at its start. wait_goes_on is false after RACE_TURNS turns and RACE_NS; if a
 * function is not written (quarry/lab.h), after the turns alone. With @own the time counts in any
 * case, because the event does not depend on that function.
 */
struct wait_limit {
	u64 end;
	unsigned turns;
	bool own;
};
bool wait_goes_on(struct wait_limit *limit);

/*
 * Wait until @cond is true; false: the limit of wait_goes_on came first. SPIN_UNTIL: in any
 * context. OWN_: for events caused by the test's threads or by given code, even if a function is
 * not written.
 */
#define YIELD_UNTIL(cond)     WAIT_BY(thread_yield, false, cond)
#define SPIN_UNTIL(cond)      WAIT_BY(cpu_relax, false, cond)
#define OWN_YIELD_UNTIL(cond) WAIT_BY(thread_yield, true, cond)
#define OWN_SPIN_UNTIL(cond)  WAIT_BY(cpu_relax, true, cond)
#define WAIT_BY(step, is_own, cond)                                                                \
	({                                                                                         \
		struct wait_limit limit_ = {.own = (is_own)};                                      \
		bool is_ = (cond);                                                                 \
		for (; !is_ && wait_goes_on(&limit_); is_ = (cond))                                \
			step();                                                                    \
		is_;                                                                               \
	})

/* Wait for @flag to be set, as SPIN_UNTIL and OWN_SPIN_UNTIL. */
bool race_wait(const u32 *flag);
bool own_wait(const u32 *flag);
/* Has the reclaim thread served every ticket of the @queue? */
#define ALL_SERVED(queue) (load_acquire(&(queue).done) == READ_ONCE((queue).asked))
/* smp_call_mask of one CPU, which may be out of range. */
int call_cpu(unsigned cpu, void (*fn)(void *arg), void *arg);

#endif
