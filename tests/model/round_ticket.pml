/* SPDX-License-Identifier: MIT */
/*
 * round_ticket.pml: a drain that is satisfied with another thread's round (drain_all_pages), on
 * CPUs with store buffers.
 *
 * CPU 0 frees a page into its own cache and then drains; CPU 1 makes two rounds meanwhile.  A store
 * waits in the buffer of its CPU and reaches memory at any later moment, in order; loads go past
 * it.  An atomic operation (the mutex of all rounds, a barrier) and an interrupt wait until the
 * buffer is empty.  CPU 0 reads the number of rounds begun, waits for the mutex, and makes no round
 * if one that began after that number has ended.  When it returns, the page must not be in its
 * cache.
 *
 * Faults:
 *   ASKER_PASSES  no barrier between the push and the read of the number
 *   ROUND_PASSES  no barrier between the store of the number and the look at the counts
 */
bit count;        /* of the cache of CPU 0, as memory has it */
bit push;         /* the store of it waits in the buffer of CPU 0 */
byte started;     /* mem->round_started, as memory has it */
byte next;        /* a store of it waits in the buffer of CPU 1; 0: none does */
byte done;        /* mem->round_done */
bit held;         /* mem->pcp_ctl */

/* The buffers empty at any time. */
proctype buffers()
{
end:	do
	:: atomic { push -> push = 0; count = 1; printf("CPU0|its push reaches memory\n") }
	:: atomic { next -> started = next; next = 0;
		printf("CPU1|round %d reaches memory\n", started) }
	od
}

proctype asker()
{
	byte ticket;

	d_step { push = 1; printf("CPU0|frees the page into its cache\n") }
#ifndef ASKER_PASSES
	!push; /* full_barrier */
#endif
	d_step { ticket = started; printf("CPU0|wants a round later than %d\n", ticket) }
	atomic { !held && !push -> held = 1; printf("CPU0|has the mutex\n") }
	if
	:: done > ticket -> printf("CPU0|round %d is as good\n", done)
	:: else -> d_step { started++; done = started; count = 0;
		printf("CPU0|makes round %d\n", done) }
	fi;
	held = 0;
	assert(!count && !push)
}

proctype rounds()
{
	byte n;
	bit look;

	for (n : 1 .. 2) {
		atomic { !held && !next -> held = 1 }
		d_step { next = started + 1; printf("CPU1|begins round %d\n", next) }
#ifndef ROUND_PASSES
		!next; /* full_barrier */
#endif
		d_step { look = count; printf("CPU1|looks at CPU 0: count %d\n", look) }
		if
		:: look -> d_step { count = 0; printf("CPU0|takes the interrupt and drains\n") }
		:: else
		fi;
		/* The stores after it leave the buffer after it. */
		atomic { !next -> done = started; held = 0; look = 0;
			printf("CPU1|has made round %d\n", done) }
	}
}

init {
	atomic {
		run buffers();
		run asker();
		run rounds()
	}
}
