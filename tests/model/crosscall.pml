/* SPDX-License-Identifier: MIT */
/*
 * crosscall.pml: kernel/smp.c with CPU hotplug: every call ends, and its work has been done.
 *
 * CPU 0 makes two calls to all others and CPU 1 one, so that they also cross each other; CPU 2
 * comes up, goes down and comes up again.  A call asks for "look at what I want": the handler
 * copies the sender's word (pulls the state), and after the call the sender asserts that every CPU
 * it asked has seen it.  No process of this model runs in a circle, so one that waits for ever
 * shows as an invalid end state.  LIVE: all calls and CPU 2's ways end, under weak fairness; with
 * ONE_CALL, one of CPU 0 too.  ALONE: CPU 1 makes no call, for a smaller state space.
 *
 * Right forms besides the one in the code:
 *   NOWAIT      CPU 0 does not wait for the answers to its first call, only to its second
 *   AGAIN       the function runs twice (smp_call_again), each time in an interrupt of its own; the
 *               second run is the one that sees
 * Faults:
 *   NO_GATE     the online mask is read without raising the gate
 *   GATE_LATE   the gate is raised after the mask has been read
 *   IRQS_OFF    the wait for answers has interrupts off: two calls that cross wait for ever
 *   ACK_NEWEST  with NOWAIT: the handler answers the newest number, not the one it took at entry
 *   CLEAR_LATE  the inbox bits are cleared after the requests have been looked at
 *   ONLINE_EARLY  the online bit is set before the vector is live
 *   AGAIN_DEAF  with AGAIN: the target does not interrupt itself
 *   AGAIN_LOST  with AGAIN: the sender's bit is not in the inbox again
 *   AGAIN_ANSWERED  with AGAIN: the first run is answered
 */
#define NCPU 3

/* struct call_cpu, by CPU; by sender and target where both count. */
byte request[NCPU];
byte gate[NCPU];
byte answered[NCPU * NCPU];
byte asked[NCPU];
byte inbox[NCPU];       /* a bit for every CPU that asks */
byte want[NCPU];        /* what the handler looks at (arg) */
byte seen[NCPU * NCPU]; /* by sender and target: what the target's handler saw last */

byte online = 3;   /* cpu_online_mask */
bit live[NCPU];    /* interrupts reach this CPU: its APIC is on; before that they are lost */
bit pending[NCPU]; /* the vector's one bit: interrupts merge */
bit off[NCPU];     /* interrupts are off */
#ifdef AGAIN
bit begun[NCPU * NCPU]; /* by sender and target: the first of two runs is over */
#endif
byte ended;

#define AT(from, to) ((from) * NCPU + (to))

#ifdef LIVE
#ifdef ALONE
#define all_ended (ended == 2)
#else
#define all_ended (ended == 3)
#endif
ltl all_end { <> all_ended }
#endif

/* serve_one, on CPU c: each look and each store is a step of its own. */
inline serve_one(from)
{
	atomic { number = request[from];
		printf("CPU%d|handler: takes request %d of CPU%d\n", c, number, from) }
	if
	:: answered[AT(from, c)] == number
#ifdef AGAIN
	:: answered[AT(from, c)] != number && !begun[AT(from, c)] && !last ->
		d_step {
			begun[AT(from, c)] = 1;
			printf("CPU%d|handler: a first run for CPU%d\n", c, from);
#ifndef AGAIN_LOST
			inbox[c] = inbox[c] | 1 << from;
#endif
#ifdef AGAIN_ANSWERED
			answered[AT(from, c)] = number;
#endif
#ifndef AGAIN_DEAF
			pending[c] = 1
#endif
		}
	:: answered[AT(from, c)] != number && (begun[AT(from, c)] || last) ->
		begun[AT(from, c)] = 0;
#else
	:: else ->
#endif
		atomic { seen[AT(from, c)] = want[from];
			printf("CPU%d|handler: sees %d\n", c, want[from]) }
#ifdef ACK_NEWEST
		number = request[from];
#endif
		d_step { answered[AT(from, c)] = number;
			printf("CPU%d|handler: answers request %d\n", c, number) }
	fi;
	number = 0
}

/* smp_call_serve. */
inline serve()
{
#ifdef CLEAR_LATE
	senders = inbox[c];
#else
	d_step { senders = inbox[c]; inbox[c] = 0 }
#endif
	if
	:: senders & 1 -> serve_one(0)
	:: else
	fi;
	if
	:: senders & 2 -> serve_one(1)
	:: else
	fi;
#ifdef CLEAR_LATE
	d_step { inbox[c] = 0; printf("CPU%d|handler: clears its inbox\n", c) }
#endif
	senders = 0
}

/* The call interrupt of CPU c. */
proctype interrupt(byte c)
{
	byte senders, number;
	bit last;

end:	do
	:: atomic { pending[c] && !off[c] -> pending[c] = 0; off[c] = 1 }
	   serve();
	   off[c] = 0
	od
}

/* ask, for one target. */
inline ask(to)
{
	if
	:: asked[c] >> to & 1 ->
		d_step {
			inbox[to] = inbox[to] | 1 << c;
			if
			:: live[to] -> pending[to] = 1; printf("CPU%d|interrupts CPU%d\n", c, to)
			:: else -> printf("CPU%d|interrupts CPU%d, which is deaf\n", c, to)
			fi
		}
	:: else
	fi
}

inline wait_for(to)
{
	if
	:: asked[c] >> to & 1 ->
		answered[AT(c, to)] == request[c];
		assert(seen[AT(c, to)] == want[c])
	:: else
	fi
}

inline raise_gate() { d_step { gate[c]++; printf("CPU%d|gate %d\n", c, gate[c]) } }

/* smp_call_mask(NULL, fn, arg); preemption is off, so the thread stays on CPU c. */
inline call(waits)
{
#if !defined(NO_GATE) && !defined(GATE_LATE)
	if
	:: gate[c] % 2 == 0 -> raise_gate()
	:: else /* NOWAIT: still up from the first call */
	fi;
#endif
	d_step { asked[c] = online & ~(1 << c);
		printf("CPU%d|reads the online mask: asks %d\n", c, asked[c]) } /* choose */
#ifdef GATE_LATE
	raise_gate();
#endif
#ifdef IRQS_OFF
	atomic { !off[c] -> off[c] = 1 }
#endif
	d_step { want[c]++; request[c]++; printf("CPU%d|request %d\n", c, request[c]) }
	ask(0);
	ask(1);
	ask(2);
	if
	:: waits ->
		wait_for(0);
		wait_for(1);
		wait_for(2)
	:: else
	fi;
#ifdef IRQS_OFF
	off[c] = 0;
#endif
	if
	:: waits ->
		asked[c] = 0;
#ifndef NO_GATE
		raise_gate()
#endif
	:: else -> skip
	fi;
	printf("CPU%d|its call is over\n", c)
}

#ifdef NOWAIT
#define FIRST_WAITS (c != 0)
#else
#define FIRST_WAITS true
#endif

proctype sender(byte c)
{
	if
#ifndef ONE_CALL
	:: c == 0 -> call(FIRST_WAITS)
#endif
	:: else
	fi;
	call(true);
	ended++
}

/* smp_wait_senders, for one sender: its gate is even, or has moved since it was seen odd. */
inline wait_sender(s)
{
	seen_gate = gate[s];
	(seen_gate % 2 == 0 || gate[s] != seen_gate);
	seen_gate = 0
}

/* CPU 2: kernel_ap_entry; and the way down. */
proctype hotplug_cpu2()
{
	byte c = 2, senders, number, seen_gate;
	bit again, last = 1;

up:
	off[2] = 1;
#ifdef ONLINE_EARLY
	d_step { online = online | 4; printf("CPU2|sets its online bit\n") }
	d_step { live[2] = 1; printf("CPU2|its vector is live\n") }
#else
	d_step { live[2] = 1; printf("CPU2|its vector is live\n") }
	d_step { online = online | 4; printf("CPU2|sets its online bit\n") }
#endif
	off[2] = 0;
	if
	:: again -> goto done
	:: else -> again = 1
	fi;
	d_step { online = online & 3; printf("CPU2|leaves the mask\n") }
	wait_sender(0);
	wait_sender(1);
	atomic { !off[2] -> off[2] = 1 } /* for good */
	serve();
	d_step { live[2] = 0; pending[2] = 0; printf("CPU2|stops\n") }
	goto up;
done:
	ended++
}

init {
	atomic {
		live[0] = 1;
		live[1] = 1;
		run interrupt(0);
		run interrupt(1);
		run interrupt(2);
		run sender(0);
#ifndef ALONE
		run sender(1);
#endif
		run hotplug_cpu2()
	}
}
