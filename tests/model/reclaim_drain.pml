/* SPDX-License-Identifier: MIT */
/*
 * reclaim_drain.pml: an allocation under pressure, the reclaim thread's drain and CPU hotplug.
 *
 * CPU 2 runs the reclaim thread, CPU 3 the hotplug thread.  One page is left: a thread frees it
 * into the cache of CPU 2, goes to CPU 0 and allocates there.  It may sleep, so it must get the
 * page, and asserts that it does.  A thread on CPU 1 finds no memory at the same time and asks for
 * a drain too, and CPU 3 takes a CPU up, for which it needs memory.  Only the reclaim thread runs
 * in a circle, so a thread that waits for ever shows as an invalid end state.
 *
 * Right forms besides the one in the code:
 *   UNDER_LOCK OWNER_FAILS  the hotplug thread allocates while it holds the lock, but does not wait
 *                           there
 * Faults:
 *   LATE          a request during a drain is served by that one
 *   NO_DRAIN      an allocation fails without asking
 *   UNDER_LOCK    the hotplug thread allocates while it holds the lock
 *   ALLOC_DRAINS  with UNDER_LOCK: the allocation drains by itself, under the hotplug lock (2012,
 *                 2017)
 */
byte asked, started, done; /* struct reclaim: tickets */
bit cached;                /* the page is in the cache of CPU 2 */
bit listed;                /* it is in the buddy */
byte shared;               /* cpu_hotplug */
bit exclusive;

inline lock_shared(who) { atomic { !exclusive -> shared++;
	printf("CPU%d|has cpu_hotplug, shared\n", who) } }
inline unlock_shared() { d_step { shared-- } }

/* One round: CPU 2 is looked at and, if it seems to cache something, asked. */
inline round(who)
{
	lock_shared(who);
	d_step { look = cached; printf("CPU%d|looks at CPU 2: count %d\n", who, cached) }
	if
	:: look -> d_step { listed = listed | cached; cached = 0;
		printf("CPU2|drains its cache\n") }
	:: else
	fi;
	look = 0;
	unlock_shared()
}

proctype reclaim()
{
	bit look;

end:	do
	:: atomic { asked > done -> started = asked;
		printf("CPU2|starts a drain for ticket %d\n", started) }
	   round(2);
	   d_step { done = started; printf("CPU2|has drained\n") }
	od
}

/* The slow path of an allocation that may sleep and has found nothing. */
inline slow(who, waits)
{
#ifdef ALLOC_DRAINS
	round(who)
#else
	if
	:: waits ->
#ifdef LATE
		atomic {
			if
			:: started > done -> ticket = started
			:: else -> asked++; ticket = asked
			fi;
			printf("CPU%d|waits for ticket %d\n", who, ticket)
		}
#else
		atomic { asked++; ticket = asked; printf("CPU%d|asks: ticket %d\n", who, ticket) }
#endif
		done >= ticket;
		ticket = 0
	:: else
	fi
#endif
}

proctype owner()
{
	byte ticket;
	bit look, got;

	d_step { cached = 1; printf("CPU2|frees the page into its cache\n") }
#ifndef NO_DRAIN
	slow(0, true);
#endif
	d_step { got = listed; listed = 0; printf("CPU0|allocates: %d\n", got) }
	assert(got)
}

proctype other()
{
	byte ticket;
	bit look;

	slow(1, true);
	printf("CPU1|fails, or is served elsewhere\n")
}

#ifdef OWNER_FAILS
#define HOTPLUG_WAITS false
#else
#define HOTPLUG_WAITS true
#endif

proctype hotplug()
{
	byte ticket;
	bit look;

#ifndef UNDER_LOCK
	slow(3, true);
#endif
	atomic { !exclusive && shared == 0 -> exclusive = 1;
		printf("CPU3|has cpu_hotplug, exclusively\n") }
#ifdef UNDER_LOCK
	slow(3, HOTPLUG_WAITS);
#endif
	d_step { exclusive = 0; printf("CPU3|lets cpu_hotplug go\n") }
}

init {
	atomic {
		run reclaim();
		run owner();
		run other();
		run hotplug()
	}
}
