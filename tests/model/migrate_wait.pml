/* SPDX-License-Identifier: MIT */
/*
 * migrate_wait.pml: a mapped page is moved while others touch it: the waiters (mm/vm/vm_fault.c,
 * mm/vm/migwait.c, mm/move/migrate_lru.c).
 *
 * One slot of an object, two frames.  CPU 0 and CPU 1 touch the page: CPU 0 has an entry for it
 * from the beginning, CPU 1 has none.  ctl moves it, again and again until it succeeds; a stranger
 * takes the old frame when it is free.  All work under the object's lock is one step.
 *
 * Right, besides the code:
 *   SPIN         a waiter spins until the page's lock is free
 * Faults:
 *   HELD         a waiter holds a reference while it sleeps (Linux up to 4.20)
 *   FIRST_HELD   the same, only if it has no entry: a first touch, through the object
 *   DROPPED      it takes one, and drops it before it sleeps (Linux 5.0): no harm, but no promise
 *   either NO_REFERENCE it locks the page and unlocks it, and has no reference
 *   LATE         it queues up after it has released the object's lock
 *   ON_ENTRY     it waits on its entry, and is woken when that is replaced
 * LIVE checks <> moved, with touches for ever; without it each CPU touches twice, and no wait may
 * last for ever.
 */
#define FREE     0
#define OBJECT   1
#define STRANGER 2

#define NO_ENTRY 0
#define PRESENT  1
#define MOVING   2 /* a migration entry */
#define NOBODY   7

byte owner[2];
byte refs[2];
bit locked[2];
byte frame;      /* that the slot names, or its marker */
bit marker;      /* the slot is a marker */
byte entry[2];   /* of each CPU's space */
byte queued[2];  /* the frame that a CPU waits for; NOBODY */
bit woken[2];
bit moved;

#ifdef LIVE
ltl move_ends { <> moved }
#endif

inline wake_one(c, f)
{
	if
	:: queued[c] == f -> queued[c] = NOBODY; woken[c] = 1
	:: else
	fi
}

inline unmap_one(c)
{
	if
	:: entry[c] == PRESENT -> entry[c] = MOVING; refs[frame]--
	:: else
	fi
}

inline restore_one(c)
{
	if
	:: entry[c] == MOVING ->
		entry[c] = PRESENT;
		refs[frame]++;
#ifdef ON_ENTRY
		if
		:: queued[c] != NOBODY -> queued[c] = NOBODY; woken[c] = 1
		:: else
		fi
#endif
	:: else
	fi
}

#if defined(HELD)
#define TAKES(c) (refs[f] > 0)
#elif defined(FIRST_HELD)
#define TAKES(c) (refs[f] > 0 && entry[c] == NO_ENTRY)
#elif defined(DROPPED)
#define TAKES(c) (refs[f] > 0)
#else
#define TAKES(c) false
#endif

inline queue(c)
{
	queued[c] = f;
	woken[c] = 0;
	printf("CPU%d|queues up for frame %d\n", c, f)
}

/* vm_fault, when the slot is a marker: its work under the object's lock, in one step ... */
inline sees_marker(c)
{
	f = frame;
#if defined(NO_REFERENCE) || defined(SPIN) || defined(LATE)
	printf("CPU%d|sees the marker of frame %d, lets go of the object's lock\n", c, f)
#else
	queue(c);
	if
	:: TAKES(c) -> held = 1; refs[f]++; printf("CPU%d|takes a reference: %d now\n", c, refs[f])
	:: else
	fi
#endif
}

inline drop(c)
{
	d_step {
		if
		:: held -> refs[f]--; held = 0;
			printf("CPU%d|drops its reference: %d now\n", c, refs[f])
		:: else
		fi
	}
}

/* ... and then. */
inline waits(c)
{
#if defined(NO_REFERENCE)
	atomic { !locked[f] -> locked[f] = 1;
		printf("CPU%d|locks frame %d\n", c, f); assert(owner[f] == OBJECT) }
	locked[f] = 0;
#elif defined(SPIN)
	!locked[f];
#else
#ifdef LATE
	d_step { queue(c) }
#endif
#ifdef DROPPED
	drop(c);
#endif
	d_step { woken[c] == 1 -> printf("CPU%d|awake\n", c) }
	drop(c);
#endif
	f = 0
}

proctype touches(byte c)
{
	byte f, left = 2;
	bit held;

end_idle:
	do
	:: left > 0 ->
again:		if
		:: atomic { entry[c] == PRESENT -> skip }
		:: atomic { entry[c] != PRESENT && !marker ->
			entry[c] = PRESENT;
			refs[frame]++;
			printf("CPU%d|maps frame %d\n", c, frame) }
		:: atomic { entry[c] != PRESENT && marker -> sees_marker(c) }
			waits(c);
			goto again
		fi;
#ifndef LIVE
		left--
#endif
	:: left == 0 -> break
	od
}

/* migrate_list, for one page. */
proctype migrates()
{
	byte src, dst = 1;
	bit frozen;

	do
	:: atomic {
		locked[src] == 0 -> locked[src] = 1;
		refs[src]++;
		printf("ctl|isolates and locks frame %d\n", src)
	   };
	   d_step {
		marker = 1;
		unmap_one(0);
		unmap_one(1);
		printf("ctl|marker and migration entries: %d references\n", refs[src])
	   };
	   d_step {
		frozen = refs[src] == 2;
		refs[src] = (frozen -> 0 : refs[src]);
		printf("ctl|freeze: %d\n", frozen)
	   };
#if !defined(LIVE) && !defined(HELD) && !defined(FIRST_HELD) && !defined(DROPPED)
	   assert(frozen);
#endif
	   d_step {
		if
		:: frozen -> owner[dst] = OBJECT; refs[dst] = 1; frame = dst
		:: else
		fi;
		marker = 0;
		restore_one(0);
		restore_one(1);
		printf("ctl|entries show frame %d\n", frame)
	   };
#ifndef ON_ENTRY
	   d_step { wake_one(0, src); wake_one(1, src);
	   	printf("ctl|wakes who waits for frame %d\n", src) };
#endif
	   d_step {
		locked[src] = 0;
		/*
		 * What froze it gets the isolation's reference back, and drops it; else it is put
		 * back.
		 */
		refs[src] = (frozen -> 0 : refs[src] - 1);
		owner[src] = (frozen -> FREE : OBJECT);
		printf("ctl|unlocks frame %d\n", src)
	   };
	   if
	   :: frozen -> moved = 1; break
	   :: else
	   fi
	od
}

/* It may take the frame, or not; it locks it now and then, as owners do. */
proctype stranger()
{
end_idle:
	atomic { owner[0] == FREE -> owner[0] = STRANGER; refs[0] = 1;
		printf("ctl2|a stranger takes frame 0\n") }
	atomic { !locked[0] -> locked[0] = 1 }
	locked[0] = 0
}

init {
	atomic {
		owner[0] = OBJECT;
		refs[0] = 2;
		entry[0] = PRESENT;
		queued[0] = NOBODY;
		queued[1] = NOBODY;
		run touches(0);
		run touches(1);
		run migrates();
		run stranger()
	}
}
