/* SPDX-License-Identifier: MIT */
/*
 * putback.pml: what becomes of a page that a scanner took off its list: put_page after a move,
 * putback_lru_page where there was none (mm/move/migrate.c, mm/vm/lru.c).
 *
 * One slot, three frames, a list that some of them are on.  Two scanners each take a page off the
 * list and try to move it; another thread has a reference for a while, so that a move may fail;
 * another may empty the slot.  ctl takes the frame that the slot named first offline: it waits
 * until that is free.
 *
 * At the end every frame that has references is in the slot, and on the list, where the next
 * scanner finds it; whatever was on the list was referenced when it was found.
 *
 * Faults:
 *   PUT_ONLY   after a failure the reference is dropped and the page not put back
 *   PUTBACK    after a success the page is put back on its list before the reference is dropped
 *   BATCH      the same, in a batch that keeps the reference until more come
 */
#define FRAMES 3
#define EMPTY  7

byte refs[FRAMES];
bit listed[FRAMES];
bit taken[FRAMES]; /* state ISO_MIG */
bit owned[FRAMES]; /* the slot names it: page->owner */
byte slot;
bit over;          /* how many have come to their end: all */

/* mem_put_page; the last one frees the frame, which then may be on no list. */
inline put(f)
{
	refs[f]--;
	assert(refs[f] > 0 || !listed[f])
}

inline any_listed(f)
{
	if
	:: listed[0] -> f = 0
	:: listed[1] -> f = 1
	:: listed[2] -> f = 2
	fi
}

inline any_free(f)
{
	if
	:: refs[0] == 0 -> f = 0
	:: refs[1] == 0 -> f = 1
	:: refs[2] == 0 -> f = 2
	:: else
	fi
}

proctype scanner(byte c)
{
	byte f, to = EMPTY;

	/* isolate_lru_page; or there is nothing to be found. */
	if
	:: atomic { listed[0] || listed[1] || listed[2] ->
		any_listed(f);
		assert(refs[f] > 0);
		listed[f] = 0;
		taken[f] = 1;
		refs[f]++;
		printf("CPU%d|takes frame %d off its list\n", c, f)
	   }
	:: goto done
	fi;
	/* From marker to the new page, under locks: only slot and scanner may have a reference. */
	atomic {
		if
		:: owned[f] && refs[f] == 2 ->
			any_free(to);
			if
			:: to != EMPTY ->
				slot = to;
				owned[f] = 0;
				owned[to] = 1;
				refs[to] = 1;
				listed[to] = 1;
				refs[f]--;
				printf("CPU%d|moves it to frame %d\n", c, to)
			:: else
			fi
		:: else -> printf("CPU%d|cannot move it\n", c)
		fi
	}
	if
	:: to != EMPTY || !owned[f] ->
#if defined(PUTBACK)
		d_step { taken[f] = 0; listed[f] = 1;
			printf("CPU%d|puts frame %d on its list again\n", c, f) }
		d_step { put(f) }
#elif defined(BATCH)
		printf("CPU%d|frame %d waits in a batch\n", c, f)
#else
		d_step { taken[f] = 0; put(f);
			printf("CPU%d|drops its reference to frame %d\n", c, f) }
#endif
	:: else ->
#ifdef PUT_ONLY
		d_step { put(f); printf("CPU%d|drops its reference to frame %d\n", c, f) }
#else
		/* Its object may have released it by now. */
		d_step {
			taken[f] = 0;
			listed[f] = owned[f];
			put(f);
			printf("CPU%d|puts frame %d back: listed %d\n", c, f, listed[f])
		}
#endif
	fi;
done:	skip
}

/* Reads the page, or has it pinned. */
proctype user()
{
	byte f;

	if
	:: atomic { slot != EMPTY -> f = slot; refs[f]++;
		printf("CPU2|takes a reference to frame %d\n", f) }
	   d_step { put(f); printf("CPU2|drops it\n") }
	:: skip
	fi
}

/* vm_object_remove, or not. */
proctype remover()
{
	byte f;

	if
	:: atomic { slot != EMPTY ->
		f = slot;
		slot = EMPTY;
		owned[f] = 0;
		listed[f] = 0;
		put(f);
		printf("CPU3|empties the slot: frame %d\n", f)
	   }
	:: skip
	fi
}

#define LOST(f) (refs[f] != owned[f] || listed[f] != owned[f] || taken[f])

init {
	atomic {
		refs[0] = 1;
		listed[0] = 1;
		owned[0] = 1;
		run scanner(0);
		run scanner(1);
		run user();
		run remover()
	}
	atomic { _nr_pr == 1 -> over = 1;
		printf("ctl|all is over: references %d %d %d\n", refs[0], refs[1], refs[2]) }
	/* offline_pages moves listed pages and finds the frame free; other pages block it. */
	assert(!LOST(0) && !LOST(1) && !LOST(2))
}
