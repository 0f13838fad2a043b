/* SPDX-License-Identifier: MIT */
/*
 * test_silence_cpu.c: CPU 2 answers nothing, for a minute or for ever: the results of an offline, a
 * cpu_down and an allocation.  Time is the machine's (arch/fiber/fiber_whole.c): each limit below
 * is exact to half a second.
 */
#include "kernel/hotplug_state.h"
#include "kernel/runq.h"
#include "tests/lib/mm_help.h"
#include "tests/fiber/silence_help.h"
#include "tests/lib/request_help.h"
#include "tests/lib/wait_help.h"
#include <quarry/machine.h>

static struct page *page;

VERB(
    begin, (play_opts = (struct offline_opts){0}, !ktest_memory(playing, 0, 16, TEST_BLOCKS - 16)));

/* Leave a page of zone MOVABLE in the cache of @cpu. */
static bool leave(unsigned cpu)
{
	return alloc_on(cpu, play_mem, GFP_MOVABLE, 0, 1, &page) == 1 &&
	    free_on(cpu, play_mem, 0, 1, &page) == 1;
}

VERB(leave, !leave((unsigned)a[0]));
VERB(cached, block_of(page_to_pfn_in(play_mem, page)));
VERB(other, test_zone(play_mem, ZONE_NORMAL)->start_pfn);
VERB(caches, pcp_zone_nonempty(play_mem, (unsigned)a[0], test_zone(play_mem, ZONE_MOVABLE)));

KTEST_SUITE(silence_cpu, 0);

/* ---- cpu_down ---- */

/* No caller waits for the dead CPU again.  Its cached pages return with it. */
KTEST(cpu_down_of_a_silent_cpu_fails_in_time)
ROWS("begin; leave 2; silence 2; down 2 = -EIO @timeout; dead 2 = 1; down 2 = -EIO; up 2 = -EIO;"
     "drain; down 3; up 3; caches 2 = 1; back 2; caches 2; free = managed; sound")

VERB(wait_online, cpu_wait_online((unsigned)a[0], (u64)a[1]));

/* In turn: the CPU never arrives; the time limit is 0; the CPU arrives; it is online. */
KTEST(a_cpu_that_comes_online_late_is_waited_for)
ROWS("down 3; wait_online 3 2s @2s; wait_online 3 0; 2> wait_online 3 60s = 1 @1s;"
     "sleep 1s; up 3; join; wait_online 3 0 = 1; wait_online 3 60s = 1")

/* Stop in the middle of this CPU's own call: its gate is odd, and it may use an old online mask. */
static void call_itself(void *arg)
{
	static cpumask_t self[CPUMASK_WORDS(64)];

	memset(self, 0, sizeof(self));
	cpumask_set(self, arch_cpu_id());
	smp_call_mask(self, stay_silent, NULL);
}

DO(silence_in_call, silence_in((unsigned)a[0], call_itself, NULL, WAIT_FOREVER));

KTEST(cpu_down_beside_a_silent_sender_succeeds_in_time)
ROWS("begin; leave 3; silence_in_call 2; down 3 @timeout; free = managed; speak 2; up 3; sound")

/* No CPU is started, or stopped, in this machine. */
bool arch_cpu_start(unsigned id)
{
	return true;
}

void arch_cpu_stop(unsigned id)
{
}

VERB(plug, cpu_plug((unsigned)a[0]));
VERB(unplug, cpu_unplug((unsigned)a[0]));

static u64 timeout;

DO(watchdog,
    a[0] ? restore_call_timeout(timeout) : (void)(timeout = set_call_timeout(smp_timeout_ns)));

/*
 * A drain holds cpu_hotplug until the silent CPU answers; here the watchdog of calls does not end
 * the drain.
 */
KTEST(cpu_down_behind_a_drain_of_a_silent_cpu_times_out)
ROWS("begin; watchdog 0; leave 2; silence 2; 1> drain @240s; sleep 2t; down 3 = -ETIMEDOUT @60s;"
     "up 3 = -ETIMEDOUT @60s; plug 3 = -ETIMEDOUT @60s; unplug 3 = -ETIMEDOUT @60s; watchdog 1;"
     "speak 2; join; plug 3 = -EALREADY; down 3; up 3; free = managed; sound")

/* ---- threads of a CPU that stands still ---- */

static struct waitq wq = WAITQ("sleeper");
static u32 flag; /* atomic */
static struct thread *sleeper;

static bool flagged(void *arg)
{
	return load_acquire(&flag);
}

VERB(sleep_until_flagged,
    (sleeper = thread_current(), !wait_until(&wq, flagged, NULL, WAIT_FOREVER)));
DO(flag, store_release(&flag, (u32)a[0]));
DO(wake, wake_up(&wq));
DO(stack, store_release(&runqs[a[0]].was, sleeper));

#define SLEEPER(in_use, woken_early)                                                               \
	"flag 0; 2> sleep_until_flagged @?; sleep 2t; silence 2;" in_use "flag 1;" woken_early
#define WAKE "down 2 = -EIO @timeout; wake; sleep 5s;"
#define BACK "; back 2; join;"

/*
 * A thread that is woken while its CPU is dead continues on another CPU, unless the dead CPU may
 * still use its stack: it stopped in the middle of the switch away from this thread.
 */
KTEST(sleeper_of_a_dead_cpu_moves_unless_its_stack_is_in_use)
ROWS(SLEEPER("", "") WAKE "running" BACK SLEEPER("stack 2;", "") WAKE "running = 1" BACK SLEEPER(
    "", "wake;") WAKE "running" BACK SLEEPER("stack 2;", "wake;") WAKE "running = 1" BACK)

/* ---- an offline ---- */

BUILD_ASSERT(NR_ISO_POLICIES == 3);
#define SILENT_OFFLINE(policy)                                                                     \
	"policy " #policy "; leave 2; silence 2; panics [was not answered] offline cached @60s;"   \
	"lasts 2 59s; offline cached @59s; speak 2; rounds = 1; sound; online cached;"             \
	"free = managed; sound;"

DO(policy, play_opts.policy = (enum iso_policy)a[0]);
VERB(rounds, play_res.rounds);

/* The silent CPU caches a page of the range: each policy must send it an IPI. */
KTEST(offline_beside_a_silent_cpu_ends_by_its_answer_or_in_a_panic)
ROWS("begin;" SILENT_OFFLINE(0) SILENT_OFFLINE(1) SILENT_OFFLINE(2))

static unsigned unsound;

static void check_isolated(void *arg)
{
	struct mm_violation v;

	unsound += check_memory(play_mem, &v) != 0;
}

DO(check_isolated, play_opts.on_isolated = check_isolated);
VERB(unsound, unsound);

#define DEAD_OFFLINE(policy)                                                                       \
	"policy " #policy "; offline cached 1s = -ETIMEDOUT @1s; late cached = 1;"                 \
	"offline cached = -ETIMEDOUT @30s; offline other; online other;"

/*
 * A dead CPU's cached pages are out of reach until it is back; other pages can be offlined.
 * Without a limit from its caller an offline uses its own.
 */
KTEST(offline_beside_a_dead_cpu_ends_in_time)
ROWS("begin; check_isolated; leave 2; silence 2; down 2 = -EIO @timeout;" DEAD_OFFLINE(0)
        DEAD_OFFLINE(1) DEAD_OFFLINE(2) "unsound; back 2; policy 0; offline cached; online cached;"
                                        "free = managed; sound")

/* ---- an allocation ---- */

static struct hoard hoard;

/* The last free pages lie in the cache of @cpu. */
static bool hoard_but(unsigned cpu)
{
	hoard = (struct hoard){.mem = play_mem, .gfp = GFP_MOVABLE};
	if (!leave(cpu))
		return false;
	hoard_take(&hoard);
	return hoard.nr > 0 && hoard.nr < ARRAY_SIZE(hoard.page);
}

VERB(hoard_but, !hoard_but((unsigned)a[0]));
DO(hoard_give, hoard_give(&hoard));
VERB(asked_drain, !asked_drain(play_mem));

/*
 * The reclaim thread sleeps on @cpu: it was woken while all other CPUs were down.  The last free
 * pages lie in the CPU's cache.
 */
#define ONLY_IN_CACHE(cpu)                                                                         \
	"down_but 0..3 " #cpu "; asked_drain; up_but 0..3 " #cpu "; hoard_but " #cpu               \
	"; caches " #cpu " = 1; alloc_now = -ENOMEM; silence " #cpu ";"
#define ALL_BACK "give; hoard_give; drain; free = managed; sound;"

KTEST(an_allocation_beside_a_silent_cpu_ends_by_its_answer_or_in_a_panic)
ROWS("begin;" ONLY_IN_CACHE(2) "alloc_now = -ENOMEM; panics [was not answered] alloc @60s;"
                               "lasts 2 59s; alloc @59s; speak 2;" ALL_BACK)

#define BESIDE_DEAD(cpu)                                                                           \
	ONLY_IN_CACHE(cpu)                                                                         \
	"down " #cpu " = -EIO @timeout; alloc = -ENOMEM; sound; back " #cpu "; alloc;" ALL_BACK

/* Each CPU in turn is dead, and the reclaim thread sleeps on it. */
KTEST(an_allocation_beside_a_dead_cpu_fails_in_time)
ROWS("begin;" BESIDE_DEAD(1) BESIDE_DEAD(2) BESIDE_DEAD(3))

/* ---- a spin lock ---- */

static struct spinlock lock;

/* Its CPU holds the lock, and then, if @again, without the lock being free between, another one. */
static void hold(void *again)
{
	spin_lock(&lock);
	stay_silent(NULL);
	if (again) {
		WRITE_ONCE(lock.locked, 2);
		stay_silent(NULL);
	}
	spin_unlock(&lock);
}

/*
 * If @deaf, with interrupts off, as most locks are taken. The waiting CPU answers no cross-call, so
 * it must find the silent holder itself.
 */
static void take(bool deaf)
{
	irqflags_t flags = deaf ? arch_irq_save() : 0;

	spin_lock(&lock);
	spin_unlock(&lock);
	if (deaf)
		arch_irq_restore(flags);
}

DO(lock, lock = SPINLOCK("held", RANK_NONE));
DO(hold, silence_in((unsigned)a[0], hold, a[2] ? &lock : NULL, (u64)a[1]));
DO(take_lock, take(a[0]));

KTEST(a_lock_that_a_silent_cpu_holds_ends_by_its_release_or_in_a_panic)
ROWS("lock; hold 2 FOREVER; panics [lock held: CPU 2 does not release it] take_lock @60s;"
     "panics [lock held: CPU 2 does not release it] take_lock 1; lasts 2 59s;"
     "take_lock @58900ms; speak 2")

KTEST_INSIDE(a_lock_that_changes_hands_is_waited_for)
ROWS("lock; hold 2 40s 1; take_lock @79900ms; speak 2")
