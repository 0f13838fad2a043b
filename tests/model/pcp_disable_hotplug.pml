/* SPDX-License-Identifier: MIT */
/*
 * pcp_disable_hotplug.pml: caches go off and on while threads move and a CPU goes up and down.
 *
 * Two controllers disable and enable one zone's caches (depth counts them), CPU 2 comes up, goes
 * down and, with AGAIN, comes up again, and threads allocate and free for ever: one on CPU 0, one
 * on CPU 1, and one that is on CPU 2 while that may run threads, else on CPU 0.  Asserted: from the
 * return of a disable to its enable every cache is empty, every capacity 0 and nothing is pushed; a
 * CPU that has stopped caches nothing.  LIVE: both controllers come to their end, and then the
 * capacity of a CPU that allocates and frees is back.
 *
 * Right forms of the protocol besides the one in the code:
 *   ROUND       an enable makes a round, in which each CPU takes its capacity back
 *   REMOTE      with ROUND: the controller stores capacity 0 itself, then the forced round empties
 *   ASYNC       with ROUND: an enable does not wait for the answers; the handler pulls the depth
 *   PIECES      a round in pieces (smp_call_again): a CPU sets its capacity in one interrupt and
 *               gives back what is too much in a later one
 * For smaller state spaces: NO_DOWN, CPU 2 comes up and stays; ONE_THREAD, none on CPU 0.
 * Faults:
 *   MASKED      with REMOTE: the round asks only CPUs whose count is not 0
 *   CAP_EARLY   a free reads the capacity before interrupts go off
 *   CAP_AFTER   the round only empties; capacity 0 is stored after it
 *   NO_DRAIN    capacity 0 is stored, no CPU drains
 *   NOT_SELF    the round forgets the CPU that calls
 *   PUSHED      with ASYNC: the handler does what the message says instead of pulling the depth
 *   NO_WAIT     a second disable returns although the first one's round is still under way
 *   REFILL_ANY  a refill pushes whatever the capacity is
 *   UP_ENABLED  a CPU that comes up switches its cache on although the depth is not 0
 *   DOWN_EARLY  a CPU that goes down empties its cache before its threads have left
 *   DOWN_LATE   its threads leave only after it has left the mask and emptied its cache
 *   FIRST_ONLY  with PIECES: a CPU answers after its first piece
 */
#include "common.pml"

#ifndef PAGES
#define PAGES 2
#endif
#define CAP   1
#define NCTL  2
#define NTHR  2

/* Where a page is. */
#define BUDDY   0
#define HELD(t) (1 + (t))  /* by thread t */
#define IN(c)   (4 + (c))  /* in CPU c's stack */
#define cached(p) (at[p] >= IN(0) && at[p] <= IN(NCPU - 1))

byte at[PAGES];
byte count[NCPU];       /* struct pcp.count */
byte cap[NCPU];         /* struct pcp.capacity */
byte depth;             /* zone->pcp_depth */
bit pcp_ctl;            /* mem->pcp_ctl, a mutex */
byte disabled;          /* disables that have returned and are not yet undone: for the assertions */
byte on[NTHR];          /* CPU on which a thread runs */
bit leaving;            /* CPU 2's threads are about to be moved */
bit wants[NCTL * NCPU]; /* inbox: by sender and CPU */
bit says[NCTL];         /* what the sender's message says; only PUSHED looks at it */
byte ended;             /* controllers and hotplug that have come to their end */
#ifdef PIECES
bit begun[NCTL * NCPU]; /* the first piece is done, by sender and CPU */
#endif
byte i; /* of loops; 0 between steps */

#ifdef LIVE
#define all_on (ended == NCTL + 1 && cap[on[1]] == CAP)
ltl all_ends { <> all_on }
#endif

#define runs(t) (irqs_on(on[t]) && !(leaving && on[t] == 2))

/* pcp_give_back of all. */
inline empty_cache(c)
{
	for (i : 0 .. PAGES - 1) {
		if
		:: at[i] == IN(c) -> at[i] = BUDDY; printf("CPU%d|gives page %d back\n", c, i)
		:: else
		fi
	}
	i = 0;
	count[c] = 0
}

inline nothing_cached()
{
	assert(!disabled || !cached(0));
	assert(!disabled || !cached(1))
}

inline set_capacity(c)
{
	cap[c] = (depth -> 0 : CAP)
}

#if defined(REMOTE) || defined(CAP_AFTER) || defined(NO_DRAIN)
#define FOREIGN_STORE
#endif
#ifdef FOREIGN_STORE
#define REFILL_CAPACITY(c) skip
#else
#define REFILL_CAPACITY(c) set_capacity(c) /* pcp_update_capacity */
#endif
/* pcp_free_slow looks again, with the capacity brought up to date. */
#define SPILL(c) if :: !fits -> REFILL_CAPACITY(c); fits = count[c] < cap[c] :: else fi
#ifdef REFILL_ANY
#define MAY_REFILL(c) true
#else
#define MAY_REFILL(c) (cap[c] > 0)
#endif
#ifdef CAP_EARLY
#define LOOK_EARLY d_step { fits = count[on[t]] < cap[on[t]]; \
	printf("CPU%d|free.prep: compares with capacity %d\n", on[t], cap[on[t]]) }
#define LOOK(c)    skip
#else
#define LOOK_EARLY skip
#define LOOK(c)    fits = count[c] < cap[c]; SPILL(c)
#endif

/* One thread: mem_alloc_pages, then free_pages, for ever.  Between sections it may be moved. */
proctype thread(byte t)
{
	byte p = NONE, c, n;
	bit fits;

end_again:
	if
	:: atomic { runs(t) && count[on[t]] > 0 -> /* alloc_body: pcp_pop */
		c = on[t];
		if
		:: at[0] == IN(c) -> p = 0
		:: at[1] == IN(c) -> p = 1
		fi;
		at[p] = HELD(t);
		count[c]--;
		printf("CPU%d|thread %d allocates page %d from the cache\n", c, t, p)
	   }
	:: atomic { runs(t) && count[on[t]] == 0 && (at[0] == BUDDY || at[1] == BUDDY) ->
		c = on[t];
		off[c] = 1;
		REFILL_CAPACITY(c)
	   };
	   atomic { /* pcp_refill, under the zone lock */
		if
		:: at[0] == BUDDY -> p = 0
		:: at[1] == BUDDY -> p = 1
		:: else
		fi;
		if
		:: p != NONE ->
			at[p] = HELD(t);
			printf("CPU%d|thread %d allocates page %d from the free lists\n", c, t, p);
			if
			:: at[1 - p] == BUDDY && MAY_REFILL(c) ->
				at[1 - p] = IN(c);
				n = 1;
				printf("CPU%d|refill: page %d into the cache\n", c, 1 - p);
				nothing_cached()
			:: skip
			fi
		:: else
		fi
	   };
	   d_step { count[c] = n; n = 0; off[c] = 0;
	   	printf("CPU%d|interrupts on: count %d\n", c, count[c]) }
	fi;
	if
	:: p == NONE -> goto end_again
	:: else
	fi;
	LOOK_EARLY;
	/* free_body: reading the capacity and pushing are one interrupt-off section. */
	atomic {
		runs(t) ->
		c = on[t];
		off[c] = 1;
		LOOK(c);
		printf("CPU%d|interrupts off: capacity %d, count %d\n", c, cap[c], count[c])
	}
	atomic {
		if
		:: fits ->
			at[p] = IN(c);
			count[c]++;
			printf("CPU%d|push: page %d\n", c, p);
			nothing_cached()
		:: else -> /* pcp_free_slow; a spill gives all back, for all that is one */
			empty_cache(c);
			at[p] = BUDDY;
			printf("CPU%d|free: page %d to the buddy\n", c, p)
		fi;
		p = NONE;
		fits = 0;
		off[c] = 0;
		c = 0;
		goto end_again
	}
}

/* smp_call_serve with pcp_refresh_zone_local for the messages of one sender; in any order. */
inline handler(c, k)
{
	wants[k * NCPU + c] = 0;
#ifdef PUSHED
	cap[c] = (says[k] -> CAP : 0);
#elif !defined(FOREIGN_STORE)
	set_capacity(c);
#endif
#ifdef FOREIGN_STORE
	if
	:: depth > 0 -> skip
	:: else -> set_capacity(c)
	fi;
#endif
	printf("CPU%d|handler for controller %d: capacity %d\n", c, k, cap[c]);
	if
#ifdef FOREIGN_STORE
	:: depth > 0 -> empty_cache(c)
#else
	:: count[c] > cap[c] -> empty_cache(c)
#endif
	:: else
	fi;
	irq[c] = (wants[c] || wants[NCPU + c] -> irq[c] : NO_IRQ)
}

#ifdef PIECES
inline serve(c, k)
{
	if
	:: !begun[k * NCPU + c] ->
		set_capacity(c);
		printf("CPU%d|handler for controller %d: capacity %d\n", c, k, cap[c]);
#ifdef FIRST_ONLY
		wants[k * NCPU + c] = 0;
		irq[c] = (wants[c] || wants[NCPU + c] -> irq[c] : NO_IRQ)
#else
		begun[k * NCPU + c] = 1;
		irq[c] = POSTED
#endif
	:: else ->
		begun[k * NCPU + c] = 0;
		handler(c, k)
	fi
}
#else
inline serve(c, k) { handler(c, k) }
#endif

#define serves(c, k) (may_serve(c) && wants[(k) * NCPU + (c)])

proctype interrupts()
{
end:	do
	:: d_step { serves(0, 0) -> serve(0, 0) }
	:: d_step { serves(0, 1) -> serve(0, 1) }
	:: d_step { serves(1, 0) -> serve(1, 0) }
	:: d_step { serves(1, 1) -> serve(1, 1) }
	:: d_step { serves(2, 0) -> serve(2, 0) }
	:: d_step { serves(2, 1) -> serve(2, 1) }
	:: d_step { arrives(0) -> irq[0] = ARRIVED }
	:: d_step { arrives(1) -> irq[1] = ARRIVED }
	:: d_step { arrives(2) -> irq[2] = ARRIVED }
	od
}

#define answered(k) (!wants[(k) * NCPU] && !wants[(k) * NCPU + 1] && !wants[(k) * NCPU + 2])

/* drain_round, smp_call_mask: the look at one CPU, and asking it. */
inline ask(k, c)
{
	d_step {
		if
#ifdef MASKED
		:: online[c] && (count[c] > 0 || says[k]) ->
#elif defined(NOT_SELF)
		:: online[c] && (c != k || says[k]) ->
#else
		:: online[c] ->
#endif
			wants[k * NCPU + c] = 1;
			irq[c] = (irq[c] == NO_IRQ -> POSTED : irq[c]);
			printf("ctl%d|asks CPU%d\n", k, c)
		:: else -> printf("ctl%d|leaves out CPU%d\n", k, c)
		fi
	}
}

inline store_zero()
{
	d_step {
		cap[0] = 0;
		cap[1] = 0;
		cap[2] = 0;
		printf("ctl%d|stores capacity 0 for all CPUs\n", k)
	}
}

/* Controller k, on CPU k: zone_pcp_disable, what needs it, zone_pcp_enable. */
proctype controller(byte k)
{
	bit first;

	hotplug_lock_shared();
#ifdef NO_WAIT
	atomic { first = (depth == 0); depth++; printf("ctl%d|disable: depth %d\n", k, depth) }
	if
	:: !first -> goto is_off
	:: else
	fi;
#endif
	atomic { !pcp_ctl -> pcp_ctl = 1 }
#ifndef NO_WAIT
	atomic { first = (depth == 0); depth++; printf("ctl%d|disable: depth %d\n", k, depth) }
#endif
	if
	:: first ->
		first = 0;
#if defined(REMOTE) || defined(NO_DRAIN)
		store_zero();
#endif
#ifndef NO_DRAIN
		answered(k); /* an enable that was not waited for */
		says[k] = 0;
		ask(k, 0);
		ask(k, 1);
		ask(k, 2);
		answered(k);
#endif
#ifdef CAP_AFTER
		store_zero()
#endif
	:: else
	fi;
	pcp_ctl = 0;
is_off:
	hotplug_unlock_shared();
	/* zone_pcp_disable has returned. */
	d_step {
		disabled++;
		printf("ctl%d|disable has returned\n", k);
		nothing_cached();
		assert(cap[0] == 0 && cap[1] == 0 && (cap[2] == 0 || !online[2]))
	}
	d_step { disabled--; printf("ctl%d|enable\n", k) }
	hotplug_lock_shared();
	atomic { !pcp_ctl -> pcp_ctl = 1 }
	depth--;
#ifdef ROUND
	if
	:: depth == 0 ->
		says[k] = 1;
		ask(k, 0);
		ask(k, 1);
		ask(k, 2);
#ifndef ASYNC
		answered(k)
#endif
	:: else
	fi;
#endif
	pcp_ctl = 0;
	hotplug_unlock_shared();
	ended++
}

/* CPU 2's threads leave it: each between its interrupt-off sections. */
inline threads_leave()
{
	leaving = 1; /* its scheduler is told, by an interrupt: no new section of a thread */
	d_step { !off[2] -> on[1] = 1; leaving = 0; printf("CPU2|its threads leave\n") }
}
inline leave_mask() { d_step { online[2] = 0; printf("CPU2|leaves the mask\n") } }
/* The way down's end: calls served a last time, interrupts off for good, the cache emptied. */
inline last_act()
{
	irq[2] == NO_IRQ;
	d_step { !off[2] -> empty_cache(2); cap[2] = 0; printf("CPU2|empties its cache\n") }
}

inline cpu_up()
{
	hotplug_lock();
	d_step {
		assert(count[2] == 0);
#ifdef UP_ENABLED
		cap[2] = CAP;
#else
		set_capacity(2); /* the depth first, ... */
#endif
		printf("CPU2|comes up, capacity %d\n", cap[2])
	}
	online[2] = 1; /* ... the online bit, then threads */
	on[1] = 2;
	hotplug_unlock()
}

inline cpu_down()
{
	hotplug_lock();
#if defined(DOWN_EARLY)
	last_act();
	threads_leave();
	leave_mask();
#elif defined(DOWN_LATE)
	leave_mask();
	last_act();
	threads_leave();
#else
	threads_leave();
	leave_mask(); /* smp_wait_senders: crosscall.pml */
	last_act();
#endif
	d_step {
		printf("CPU2|stops with %d cached\n", count[2]);
		assert(count[2] == 0)
	}
	hotplug_unlock()
}

proctype hotplug_cpu2()
{
	cpu_up();
#ifndef NO_DOWN
	cpu_down();
	cpu_up();
#endif
	ended++
}

init {
	atomic {
		cap[0] = CAP;
		cap[1] = CAP;
		online[0] = 1;
		online[1] = 1;
		on[1] = 1;
#ifndef ONE_THREAD
		run thread(0);
#endif
		run thread(1);
		run interrupts();
		run hotplug_cpu2();
		run controller(0);
		run controller(1)
	}
}
