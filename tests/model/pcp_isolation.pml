/* SPDX-License-Identifier: MIT */
/*
 * pcp_isolation.pml: free, refill, spill, steal, bulk free, drain and isolate, and that an offline
 * ends.
 *
 * Three CPUs allocate and free for ever; CPU 2 comes up at any moment, or never.  Pages 0 and 1 lie
 * in pageblock 0, which is taken offline; with PAGES=3, page 2 lies in pageblock 1, which is not.
 *
 * Choose one policy:
 *   PRECISE  set the bit, one forced round of "give back isolated pages", scan
 *   DISABLE  zone_pcp_disable, set the bit with the scan, enable at the end
 *   REDRAIN  set the bit, drain CPUs that seem to hold pages, test; drain again if the test fails
 *   ONCE     the same with one drain only: wrong
 * PIECES: a CPU does its part of a round in pieces (smp_call_again): it looks at one cached page,
 * or gives back one stack; a capacity goes to 0 a piece before its stack is emptied.
 * And the faults (docs/models.md lists which belong together):
 *   STALE       the stack number is read before interrupts go off and kept (breaks rule 1)
 *   NO_RULE2    an isolated pageblock keeps its stack number
 *   KEPT_TYPE   the buddy lists a page by what the free path had read, not by the bit under the
 *               lock
 *   SCAN_FIRST  the scan comes before the round
 *   ASK_MASKED  the policy's one round asks only CPUs that seem to hold pages
 *   FIRST_ONLY  with PIECES: a CPU answers after its first piece
 * LIVE checks <> offline_done; without it the assertions are checked in all reachable states.
 */
#include "common.pml"

#ifndef PAGES
#define PAGES 2
#endif
#define CAP      1 /* capacity of a stack; a refill pushes as many, besides the caller's page */
#define BLOCK(p) ((p) / 2)

/*
 * Where a page is.  BUDDY: free, on the list of its pageblock's type, or on none if that is
 * isolated.
 */
#define BUDDY   0
#define HELD(c) (1 + (c))
#define IN(c, t) (4 + 2 * (c) + (t)) /* PCP: in CPU c's stack of type t */
#define cached(p) (at[p] >= IN(0, 0) && at[p] <= IN(NCPU - 1, 1))
#define STRAY   10                 /* free, on a list although its pageblock is isolated */

byte at[PAGES];
byte count[2 * NCPU]; /* struct pcp.count, by CPU and type; others look at it */
byte cap[2 * NCPU];   /* struct pcp.capacity, likewise: only its owner writes it */
bit type[2];          /* of the pageblocks, under the zone lock */
bit isolated;         /* pageblock 0's bit, likewise */
bit depth;            /* zone->pcp_depth */
byte asked;           /* mem->drain_mask */
bit promised;         /* start_isolate_page_range has returned 0, or its scan is over */
bit offline_done;
byte i; /* of loops; 0 between steps */
byte piece[NCPU];     /* pieces of the round that this CPU has done */
byte to_look[NCPU];   /* of PRECISE: pages below its place in the stacks, as a mask */

#ifdef LIVE
ltl offline_ends { <> offline_done }
#endif

#define iso(p)     (isolated && BLOCK(p) == 0)
#define COUNT(c, t) count[2 * (c) + (t)]
#define LIMIT(c, t) cap[2 * (c) + (t)]
#define ASKS(c)    ((c) == 1) /* CPU 1 allocates type 1, the others type 0 */
/* On the free list of type t, for buddy_alloc. */
#define listed(p, t) (((at[p] == BUDDY && !iso(p)) || at[p] == STRAY) && type[BLOCK(p)] == (t))
#define any_listed(t) (listed(0, t) || listed(1, t) || (PAGES > 2 && listed(PAGES - 1, t)))

/* READ_ONCE(pageblock_of(page)->stack[index]): rule 2 makes it NONE, the stack of capacity 0. */
#ifdef NO_RULE2
#define STACK(p) (type[BLOCK(p)])
#else
#define STACK(p) (iso(p) -> NONE : type[BLOCK(p)])
#endif

#ifdef STALE
#define READ_EARLY(p) atomic { st = STACK(p); \
	printf("CPU%d|free.prep: reads stack %d of page %d and keeps it\n", c, st, p) }
#define READ_STACK(p) skip
#define READ_AGAIN(p) skip
#else
#define READ_EARLY(p) skip
#define READ_STACK(p) st = STACK(p); \
	printf("CPU%d|interrupts off: reads stack %d of page %d\n", c, st, p)
#define READ_AGAIN(p) READ_STACK(p)
#endif

#define fits (st != NONE && COUNT(c, st % 2) < LIMIT(c, st % 2))

/* It leaves the stacks of @cpu; pushed again it is above the place of a round. */
#define LEAVES(cpu, p) to_look[cpu] = to_look[cpu] & ~(1 << (p))

/* No page of the range may be handed out or cached once that has been promised. */
#define PROMISE(p) assert(!promised || BLOCK(p) != 0)

/* buddy_free: reads the bit under the zone lock, here and nowhere earlier. */
#ifdef KEPT_TYPE
#define BUDDY_FREE(p) at[p] = (iso(p) && st != NONE -> STRAY : BUDDY)
#else
#define BUDDY_FREE(p) at[p] = BUDDY
#endif

/* pcp_push, from the compare on: the store of the count is the moment others can see it. */
inline push(p)
{
	PROMISE(p);
	printf("CPU%d|push: page %d into its stack %d\n", c, p, st);
	at[p] = IN(c, st);
	COUNT(c, st)++;
}

/* pcp_give_back of a whole stack. */
inline give_back_stack(cpu, t)
{
	for (i : 0 .. PAGES - 1) {
		if
		:: at[i] == IN(cpu, t) -> at[i] = BUDDY; LEAVES(cpu, i);
			printf("CPU%d|gives page %d back\n", cpu, i)
		:: else
		fi
	}
	i = 0;
	COUNT(cpu, t) = 0
}

/* pcp_drain_isolated_local, of one slot. */
inline look_at(cpu, p)
{
	LEAVES(cpu, p);
	if
	:: iso(p) ->
		COUNT(cpu, at[p] - IN(cpu, 0))--;
		at[p] = BUDDY;
		printf("CPU%d|gives isolated page %d back\n", cpu, p)
	:: else -> printf("CPU%d|looks at page %d\n", cpu, p)
	fi
}

#define set_capacity(c, t) LIMIT(c, t) = (depth -> 0 : CAP)

/* pcp_refresh_zone_local, from the capacity of a stack on. */
inline give_back_too_much(cpu, t)
{
	if
	:: COUNT(cpu, t) > LIMIT(cpu, t) -> give_back_stack(cpu, t)
	:: else
	fi
}

/* alloc_body: take the newest of the stack; here any, which is more than can happen. */
inline pop(p)
{
	if
	:: at[0] == IN(c, ASKS(c)) -> p = 0
	:: at[1] == IN(c, ASKS(c)) -> p = 1
#if PAGES > 2
	:: at[2] == IN(c, ASKS(c)) -> p = 2
#endif
	fi;
	PROMISE(p);
	at[p] = HELD(c);
	LEAVES(c, p);
	COUNT(c, ASKS(c))--;
	printf("CPU%d|alloc: page %d from its cache\n", c, p)
}

inline take_listed(p, t)
{
	if
	:: listed(0, t) -> p = 0
	:: listed(1, t) -> p = 1
#if PAGES > 2
	:: listed(2, t) -> p = 2
#endif
	:: else
	fi
}

/*
 * buddy_alloc, buddy_alloc_fallback (fallback_take: steal the pageblock, or take one page) and
 * push.
 */
inline refill(p)
{
	take_listed(p, ASKS(c));
	if
	:: p == NONE && any_listed(!ASKS(c)) ->
		take_listed(p, !ASKS(c));
		if
		:: type[BLOCK(p)] = ASKS(c); printf("CPU%d|steals pageblock %d\n", c, BLOCK(p))
		:: skip
		fi
	:: else
	fi;
	if
	:: p != NONE ->
		PROMISE(p);
		at[p] = HELD(c);
		printf("CPU%d|alloc: page %d from the free lists\n", c, p);
		if
		:: LIMIT(c, ASKS(c)) > 0 && any_listed(ASKS(c)) ->
			take_listed(st, ASKS(c));
			PROMISE(st);
			assert(STACK(st) == ASKS(c)); /* pcp_refill's own assertion */
			at[st] = IN(c, ASKS(c));
			printf("CPU%d|refill: page %d into its stack %d\n", c, st, ASKS(c));
			st = 1
		:: st = 0 /* nothing there, or the watermark forbids it */
		fi
	:: else -> st = 0
	fi
}

/* mem_alloc_pages: alloc_body, else alloc_slow and pcp_alloc_zone. */
inline allocate(p)
{
	if
	:: atomic { irqs_on(c) && COUNT(c, ASKS(c)) > 0 -> pop(p) }
	:: atomic { irqs_on(c) && COUNT(c, ASKS(c)) == 0 && (any_listed(0) || any_listed(1)) ->
		off[c] = 1;
		set_capacity(c, ASKS(c)) /* pcp_update_capacity */
	   };
	   atomic { refill(p) } /* spin_lock(&zone->lock) */
	   d_step { COUNT(c, ASKS(c)) = st; st = 0; off[c] = 0 }
	fi
}

/*
 * The thread of CPU c; for CPU 2 the way up first (kernel_ap_entry, under cpu_hotplug exclusive).
 */
proctype cpu(byte c)
{
	byte a = NONE, b = NONE, st;
	bit bulk;

	if
	:: c != 2
	:: c == 2 ->
		hotplug_lock();
		d_step {
			set_capacity(c, 0);
			set_capacity(c, 1);
			printf("CPU%d|comes up, capacity %d\n", c, LIMIT(c, 0));
			online[c] = 1 /* last */
		}
		hotplug_unlock()
	:: c == 2 -> goto never_up
	fi;

end_again:
	allocate(a);
	if
	:: a != NONE -> /* one more, or not */
		if
		:: allocate(b)
		:: skip
		fi
	:: else -> goto end_again
	fi;
	if
#ifndef STALE
	:: b != NONE -> bulk = 1 /* free_pages_bulk */
#endif
	:: bulk = 0              /* free_pages, one by one */
	fi;
free_next:
	READ_EARLY(a);
	atomic { irqs_on(c) -> off[c] = 1; READ_STACK(a) } /* free_body; rule 1 */
pushing:
	if
	:: atomic { fits ->
		push(a);
		a = b;
		b = NONE;
		st = 0;
		if
		:: a != NONE && bulk
		:: else -> goto pushed
		fi
	   };
	   atomic { READ_AGAIN(a); goto pushing } /* free_bulk stays in its section */
	:: d_step { !fits -> off[c] = 0; bulk = 0 }
	fi;
	/* free_slow, pcp_free_slow: a section of its own, which reads the number again. */
	atomic { irqs_on(c) -> off[c] = 1; READ_STACK(a) }
	atomic {
		if
		:: fits -> push(a)
		:: else ->
			if
			:: st != NONE && COUNT(c, st % 2) > 0 ->
				printf("CPU%d|spills its stack %d\n", c, st);
				give_back_stack(c, st % 2)
			:: else
			fi;
			printf("CPU%d|free: page %d to the buddy\n", c, a);
			BUDDY_FREE(a)
		fi;
		a = b;
		b = NONE;
		st = 0;
	pushed:
		off[c] = 0;
		if
		:: a != NONE -> goto free_next
		:: else -> bulk = 0; goto end_again
		fi
	}
never_up: skip
}

#ifdef FIRST_ONLY
#define finished(c) true
#elif defined(PRECISE)
#define finished(c) (to_look[c] == 0)
#elif defined(DISABLE)
#define finished(c) (piece[c] == 3)
#else
#define finished(c) (piece[c] == 2)
#endif

/* drain_piece. */
inline a_piece(c)
{
#ifdef PRECISE
	if
	:: !piece[c] ->
		for (i : 0 .. PAGES - 1) {
			to_look[c] = to_look[c] |
			    ((at[i] == IN(c, 0) || at[i] == IN(c, 1)) << i)
		}
		i = 0;
		piece[c] = 1
	:: else
	fi;
	if
	:: to_look[c] & 1 -> look_at(c, 0)
	:: !(to_look[c] & 1) && to_look[c] & 2 -> look_at(c, 1)
#if PAGES > 2
	:: to_look[c] == 4 -> look_at(c, 2)
#endif
	:: else
	fi
#elif defined(DISABLE)
	if /* pcp_refresh_zone_local */
	:: piece[c] == 0 -> set_capacity(c, 0)
	:: piece[c] == 1 -> give_back_too_much(c, 0); set_capacity(c, 1)
	:: piece[c] == 2 -> give_back_too_much(c, 1)
	fi;
	piece[c]++
#else
	give_back_stack(c, piece[c]); /* pcp_drain_zone_local */
	piece[c]++
#endif
}

/*
 * drain_handler on CPU c, called from smp_call_serve; the caller's own CPU is asked in the same
 * way.
 */
inline handler(c)
{
	printf("CPU%d|takes the interrupt\n", c);
	do
	:: true ->
		a_piece(c);
		if
		:: finished(c) -> piece[c] = 0; to_look[c] = 0; irq[c] = NO_IRQ; break
#ifdef PIECES
		:: else -> irq[c] = POSTED; break /* its own, smp_call_again */
#else
		:: else
#endif
		fi
	od;
	skip /* a break stays inside of the step */
}

/* Interrupts of all CPUs: each arrives at some moment, and is served as soon as its CPU can. */
proctype interrupts()
{
end:	do
	:: d_step { may_serve(0) -> handler(0) }
	:: d_step { may_serve(1) -> handler(1) }
	:: d_step { may_serve(2) -> handler(2) }
	:: d_step { arrives(0) -> irq[0] = ARRIVED }
	:: d_step { arrives(1) -> irq[1] = ARRIVED }
	:: d_step { arrives(2) -> irq[2] = ARRIVED }
	od
}

/* seems_to_cache: a look without any lock. */
inline look(c)
{
	d_step {
		asked = asked | ((online[c] && COUNT(c, 0) + COUNT(c, 1) > 0) << c);
		printf("ctl|looks at CPU%d: count %d\n", c, COUNT(c, 0) + COUNT(c, 1))
	}
}

/* drain_round. */
inline round(force)
{
	hotplug_lock_shared();
	if
	:: force -> asked = online[0] | online[1] << 1 | online[2] << 2
	:: else -> look(0); look(1); look(2)
	fi;
	d_step {
		irq[0] = asked & 1;
		irq[1] = asked >> 1 & 1;
		irq[2] = asked >> 2;
		printf("ctl|asks CPUs, as a mask: %d\n", asked);
		asked = 0
	}
	all_served;
	hotplug_unlock_shared()
}

#define all_free (at[0] == BUDDY && at[1] == BUDDY)

/* What start_isolate_page_range promises, from here on. */
inline promise()
{
	promised = 1;
	printf("ctl|isolation promised\n");
	assert(!cached(0) && !cached(1))
}

#ifdef ASK_MASKED
#define FORCE 0
#else
#define FORCE 1
#endif

/* offline_pages; moving allocated pages away is left out: each is freed by its owner in the end. */
proctype offline()
{
#ifdef DISABLE
	depth = 1; /* zone_pcp_disable */
	round(FORCE);
	d_step { isolated = 1; printf("ctl|sets the isolate bit\n"); promise() } /* isolate_block */
#else
	d_step {
		isolated = 1;
		printf("ctl|sets the isolate bit\n");
#ifdef SCAN_FIRST
		promised = 1
#endif
	}
#ifdef PRECISE
	round(FORCE); /* drain_isolated_pages */
	d_step { promise() } /* scan_unmovable */
#else
	round(0);
#endif
#endif
	do
	:: d_step { all_free -> offline_done = 1; printf("ctl|all free: offline\n") }
	   break
	:: else -> printf("ctl|test_pages_isolated: busy\n")
#ifdef REDRAIN
	   round(0)
#endif
	od;
#ifdef DISABLE
	depth = 0; /* zone_pcp_enable */
#endif
	assert(all_free)
}

init {
	atomic {
		LIMIT(0, 0) = CAP;
		LIMIT(0, 1) = CAP;
		LIMIT(1, 0) = CAP;
		LIMIT(1, 1) = CAP;
		online[0] = 1;
		online[1] = 1;
		run cpu(0);
		run cpu(1);
		run cpu(2);
		run interrupts();
		run offline()
	}
}
