/* SPDX-License-Identifier: MIT */
/*
 * fields_help.c: a row for each field of the structures of the memory manager: where values are
 * planted, and what check_memory must say of them, or why they cannot matter.
 *
 * Letters: 0 the value 0; + and - one more and one less; t all bits set; o the value of another
 * instance; r any value.  fields.py compares the rows with the members of the structures.
 */
#include "tests/lib/fields_help.h"
#include "mm/core/free_map.h"
#include "mm/core/pcp.h"
#include "tests/lib/mm_help.h"

#define PLACE(T, f, e, where)                                                                      \
	.type = #T, .field = #f, .offset = offsetof(struct T, f),                                  \
	.size = sizeof(((struct T *)0)->e),                                                        \
	.nr = sizeof(((struct T *)0)->f) / sizeof(((struct T *)0)->e),                             \
	.is_bool = _Generic(((struct T *)0)->e, bool                                               \
	                    : true, default                                                        \
	                    : false),                                                              \
	.at = (where)
/* A field that is checked: values with the letters @m must be named. */
#define SEEN(T, f, where, m, n)                                                                    \
	{                                                                                          \
		PLACE(T, f, f, where), .must = (m), .names = (n)                                   \
	}
/* The same for the array @f with elements like @e. */
#define EACH(T, f, e, where, m, n)                                                                 \
	{                                                                                          \
		PLACE(T, f, e, where), .must = (m), .names = (n)                                   \
	}
/* The same for one element of an array. */
#define ITEM(T, f, e, where, m, n)                                                                 \
	{                                                                                          \
		.type = #T, .field = #f, .offset = offsetof(struct T, e),                          \
		.size = sizeof(((struct T *)0)->e), .nr = 1, .at = (where), .must = (m),           \
		.names = (n)                                                                       \
	}
/* No value of it is damage. */
#define IDLE(T, f, e, where, reason)                                                               \
	{                                                                                          \
		PLACE(T, f, e, where), .must = "", .why = (reason)                                 \
	}
/* Nothing is planted. */
#define LEFT(T, f, reason)                                                                         \
	{                                                                                          \
		.type = #T, .field = #f, .why = (reason)                                           \
	}

#define ALL "0+-tor"
/* The names that any word of a head in use may get. */
#define HEAD "I-B|I-S|I-H|I-N|I-P"

/* ---- instances ---- */

#define AT(name, place, nr)                                                                        \
	static void *name(struct rich *r, unsigned i)                                              \
	{                                                                                          \
		return i < (nr) ? (void *)(place) : NULL;                                          \
	}

static struct zone *normal(struct rich *r)
{
	return &r->mem->zones[ZONE_NORMAL];
}

static struct zone *movable(struct rich *r)
{
	return &r->mem->zones[ZONE_MOVABLE];
}

static struct ticket_queue *queue(struct rich *r, unsigned i)
{
	struct reclaim *reclaim = &r->mem->nodes[0].reclaim;
	struct ticket_queue *const all[] = {
	    &reclaim->drains, &reclaim->runs, &reclaim->compactions, &r->mem->standby.tickets};

	return all[i];
}

AT(free_page, r->page[RICH_FREE] + i, 2)
AT(cached_page, r->page[RICH_CACHED], 1)
AT(used_page, r->page[RICH_USED], 1)
AT(tail_page, r->page[i ? RICH_DOOMED : RICH_TAIL], 2)
AT(mapped_page, r->page[i ? RICH_PINNED : RICH_MAPPED], 2)
AT(taken_page, r->page[RICH_TAKEN], 1)
AT(freeing_page, r->page[RICH_FREEING], 1)
AT(reserved_page, r->page[RICH_RESERVED], 1)
AT(retired_page, r->page[RICH_RETIRED], 1)
AT(offline_page, r->page[RICH_OFFLINE] + i, 2)
AT(listed_page,
    pfn_to_page_in(
        r->mem, i ? movable(r)->lru[LRU_INACTIVE].tail : movable(r)->lru[LRU_INACTIVE].head),
    2)

AT(online_block, pageblock_of(r->mem, r->block[RICH_WHOLE + i]), 5)
AT(gone_block, pageblock_of(r->mem, r->block[RICH_GONE]), 1)
AT(standby_block, pageblock_of(r->mem, r->block[RICH_STANDBY]), 1)
AT(hole, pageblock_of(r->mem, r->block[RICH_HOLE]), 1)
AT(listed_tree, tree_of(r->mem, r->block[RICH_WHOLE + i]), 3)
AT(isolated_tree, tree_of(r->mem, r->block[RICH_ISOLATED]), 1)
AT(gone_tree, tree_of(r->mem, r->block[RICH_GONE]), 1)
AT(standby_tree, tree_of(r->mem, r->block[RICH_STANDBY]), 1)

AT(stack, &r->mem->pcp[0]->stack[zone_stack(normal(r), 0, MT_UNMOVABLE)], 1)
AT(unused_stack, &r->mem->pcp[1]->stack[stacks_of(0) + i], 1)
AT(cached_slot, &r->mem->pcp[0]->stack[zone_stack(normal(r), 0, MT_UNMOVABLE)].slot[i], 2)
AT(slot, object_slot(r->object, i), RICH_SLOTS)
AT(empty_slot, object_slot(r->anon, 1), 1)
AT(entry, pt_entry(&r->space->pt, page_at(i)), RICH_SLOTS)
AT(other_entry, pt_entry(&r->space->pt, page_at(RICH_SLOTS)), 1)
AT(no_stack, &r->mem->pcp[i]->stack[i], r->mem->nr_cpus)
AT(pcp, r->mem->pcp[i], r->mem->nr_cpus)
/* The fields of these two are arrays by zone; seen from here the zone's is the first. */
AT(slots_of, (char *)&r->mem->pcp[0]->slots[ZONE_NORMAL] - offsetof(struct pcp, slots), 1)
AT(given_of, (uintptr_t *)(void *)r->mem->pcp[0] + i, NR_ZONE_KINDS)
AT(full_list, &movable(r)->lru[i ? LRU_UNEVICTABLE : LRU_INACTIVE], 2)
AT(empty_list, &normal(r)->lru[i], NR_LRU)
AT(zone, &r->mem->zones[i], NR_ZONE_KINDS)
AT(spanned, &r->mem->zones[ZONE_NORMAL + i], 2)
AT(node, &r->mem->nodes[0], 1)
AT(reclaim, &r->mem->nodes[0].reclaim, 1)
AT(tickets, queue(r, i), 4)
AT(memory, r->mem, 1)
AT(lists, &r->mem->vm, 1)
AT(oom, &r->mem->oom, 1)
AT(standby, &r->mem->standby, 1)
AT(claims, i ? &r->second : &r->claim, 2)
AT(range, &r->claim.range, 1)
AT(object, i ? r->anon : r->object, 2)
AT(space, r->space, 1)
AT(region, region_find(r->space, VM_BASE), 1)

#define POINTER "a pointer to what the field names; it is followed before anything could compare it"
#define LOCK    "the owner of a lock says nothing about what the lock protects"
#define LINK    "a link of a list whose members are found only by following it"
#define COUNTER "a count of events: it only rises, and nobody acts on its value"
#define OWN     "its members have rows of their own"

/* Places that are no fields. */
struct cached {
	struct page *slot;
};
struct object {
	u64 slot;
};
struct table {
	u64 entry;
};

const struct row rows[] = {
    /* ---- pages ---- */
    SEEN(page, word, free_page, ALL, "I-S1 word of a free page|I-H1"),
    SEEN(page, word, cached_page, "0+-r", HEAD),
    SEEN(page, word, used_page, "0-", HEAD),
    SEEN(page, word, tail_page, "+-or", "I-B3|I-H4|I-N6"),
    SEEN(page, word, mapped_page, "0+-r", HEAD),
    SEEN(page, word, taken_page, "0-r", HEAD),
    SEEN(page, word, freeing_page, "0+-r", HEAD),
    SEEN(page, word, reserved_page, "0+-r", HEAD),
    SEEN(page, word, retired_page, "0+-r", HEAD),
    SEEN(page, word, offline_page, "o", "I-N6"),
    SEEN(page, next, listed_page, ALL, "I-N5"),
    IDLE(page, next, next, used_page, "the field is its owner's"),
    SEEN(page, prev, listed_page, ALL, "I-N5"),
    IDLE(page, prev, prev, used_page, "the field is its owner's"),
    SEEN(page, index, mapped_page, ALL, "I-S2 owner of a slot's page"),
    IDLE(page, index, index, used_page, "the field is its owner's"),
    SEEN(page, owner, mapped_page, ALL, "I-S2 owner|I-N5"),
    IDLE(page, owner, owner, used_page, "the field is its owner's"),
    SEEN(page, owner, retired_page, ALL, "I-H2"),
    SEEN(page, mapcount, free_page, ALL, "I-S2"),
    SEEN(page, mapcount, cached_page, ALL, "I-S2"),
    SEEN(page, mapcount, used_page, "t", "I-S2"),
    SEEN(page, mapcount, tail_page, ALL, "I-B3"),
    SEEN(page, mapcount, mapped_page, "0+-t", "I-S2|I-S3"),
    SEEN(page, mapcount, freeing_page, ALL, "I-S2"),
    SEEN(page, mapcount, reserved_page, ALL, "I-S2"),
    SEEN(page, mapcount, retired_page, ALL, "I-H2"),
    SEEN(page, pincount, free_page, ALL, "I-S2"),
    SEEN(page, pincount, cached_page, ALL, "I-S2"),
    SEEN(page, pincount, used_page, "t", "I-S2"),
    SEEN(page, pincount, tail_page, ALL, "I-B3"),
    SEEN(page, pincount, mapped_page, ALL, "I-S2"),
    SEEN(page, pincount, freeing_page, ALL, "I-S2"),
    SEEN(page, pincount, reserved_page, ALL, "I-S2"),
    SEEN(page, pincount, retired_page, ALL, "I-H2"),
    IDLE(page, spare, spare, mapped_page, "check_memory sets it before it counts"),
    SEEN(page, kept, free_page, ALL, "I-S2"),
    SEEN(page, kept, tail_page, ALL, "I-B3"),
    SEEN(page, kept, mapped_page, ALL, "I-S9"),
    SEEN(page, kept, retired_page, ALL, "I-H2"),
    /* ---- pageblocks ---- */
    SEEN(free_map, counts, listed_tree, ALL, "I-B9 tree"),
    SEEN(free_map, counts, gone_tree, ALL, "I-O2"),
    EACH(free_map, bit, bit[0], listed_tree, ALL, "I-B9 tree"),
    SEEN(cached, slot, cached_slot, ALL, "I-P2|I-P3"),
    SEEN(object, slot, slot, ALL, "I-S"),
    SEEN(object, slot, empty_slot, ALL, "I-S"),
    SEEN(table, entry, entry, ALL, "I-S"),
    SEEN(table, entry, other_entry, ALL, "I-S"),
    EACH(free_map, bit, bit[0], gone_tree, "+-r", "I-O2"),
    LEFT(pageblock_tree, map, OWN),
    SEEN(pageblock_tree, next, listed_tree, ALL, "I-B|I-N4|I-I2"),
    SEEN(pageblock_tree, prev, listed_tree, ALL, "I-B8 links"),
    SEEN(pageblock_tree, list, listed_tree, ALL, "I-B6"),
    SEEN(pageblock_tree, list, isolated_tree, ALL, "I-I1"),
    SEEN(pageblock_tree, list, gone_tree, ALL, "I-O2"),
    SEEN(pageblock_tree, alone, listed_tree, ALL, "I-I6"),
    SEEN(pageblock_tree, alone, isolated_tree, "-t", "I-I6"),
    SEEN(pageblock_tree, alone, gone_tree, ALL, "I-O2"),
    IDLE(pageblock_tree, next, next, isolated_tree, "the links of a pageblock on no list"),
    IDLE(pageblock_tree, prev, prev, isolated_tree, "the links of a pageblock on no list"),
    IDLE(pageblock_tree, list, list, standby_tree, "zeroed when it comes online"),
    IDLE(pageblock_tree, alone, alone, standby_tree, "zeroed when it comes online"),
    SEEN(pageblock, stack, online_block, ALL, "I-I2"),
    SEEN(pageblock, stack, gone_block, ALL, "I-I2"),
    IDLE(pageblock, stack, stack, hole, "a hole has no page to be freed"),
    SEEN(pageblock, nr_free, online_block, ALL, "I-N1"),
    SEEN(pageblock, nr_free, gone_block, ALL, "I-O2"),
    SEEN(pageblock, nr_free, hole, ALL, "I-O2"),
    SEEN(pageblock, nr_poisoned, online_block, ALL, "I-N6"),
    SEEN(pageblock, nr_poisoned, gone_block, "+t", "I-N6"),
    SEEN(pageblock, nr_poisoned, hole, ALL, "I-N6"),
    SEEN(pageblock, nr_poisoned, standby_block, "+-t", "I-N6 flagged standby"),
    SEEN(pageblock, zone, online_block, ALL, "I-N4"),
    SEEN(pageblock, zone, gone_block, ALL, "I-N4"),
    IDLE(pageblock, zone, zone, hole, "a hole belongs to no zone"),
    SEEN(pageblock, bits, online_block, "0+-o", "I-I|I-O|I-R2|I-N"),
    SEEN(pageblock, bits, gone_block, "+", "I-I|I-O|I-R2|I-N|I-B"),
    SEEN(pageblock, bits, hole, "", "I-I|I-O|I-R2|I-N|I-B"),
    /* ---- caches ---- */
    SEEN(pcp_stack, top, stack, ALL, "I-P"),
    SEEN(pcp_stack, limit, stack, "0+r", "I-P1"),
    SEEN(pcp_stack, slot, stack, ALL, "I-P"),
    SEEN(pcp_stack, top, unused_stack, ALL, "I-P1"),
    SEEN(pcp_stack, limit, unused_stack, ALL, "I-P1"),
    SEEN(pcp_stack, slot, unused_stack, ALL, "I-P5"),
    SEEN(pcp_stack, top, no_stack, ALL, "I-P1 the stack of capacity 0"),
    SEEN(pcp_stack, limit, no_stack, ALL, "I-P1 the stack of capacity 0"),
    SEEN(pcp_stack, slot, no_stack, ALL, "I-P1 the stack of capacity 0"),
    ITEM(pcp, slots, slots[0], slots_of, ALL, "I-P5"),
    ITEM(pcp, given, given[0], given_of, ALL, "I-P5"),
    EACH(pcp, first, first[0], pcp, "+-t", "I-P5"),
    EACH(pcp, home, home[0], pcp, ALL, "I-P5 first zone of a CPU"),
    IDLE(pcp, event, event[0], pcp, COUNTER),
    LEFT(pcp, ring, POINTER),
    IDLE(pcp, unfinished, unfinished, pcp, "set before each piece of a round"),
    IDLE(pcp, work, work, pcp, "set before each piece of a round"),
    SEEN(pcp, round_zone, pcp, ALL, "I-P5 place of a CPU in a round"),
    SEEN(pcp, scan_stack, pcp, ALL, "I-P5 place of a CPU in a round"),
    SEEN(pcp, scan_left, pcp, ALL, "I-P5 place of a CPU in a round"),
    LEFT(pcp, stack, OWN),
    /* ---- reclaim lists ---- */
    SEEN(lru_list, head, full_list, ALL, "I-N5"),
    SEEN(lru_list, tail, full_list, ALL, "I-N5"),
    SEEN(lru_list, nr, full_list, ALL, "I-N5"),
    SEEN(lru_list, head, empty_list, ALL, "I-N5"),
    SEEN(lru_list, tail, empty_list, ALL, "I-N5"),
    SEEN(lru_list, nr, empty_list, ALL, "I-N5"),
    /* ---- zones ---- */
    LEFT(zone, lock, LOCK),
    LEFT(zone, lru_lock, LOCK),
    SEEN(zone, mem, zone, ALL, "I-Z2 number of a zone"),
    SEEN(zone, id, zone, ALL, "I-Z2 number of a zone"),
    SEEN(zone, node, zone, ALL, "I-Z2 number of a zone"),
    SEEN(zone, kind, zone, ALL, "I-Z2 number of a zone"),
    SEEN(zone, start_pfn, zone, "+-r", "I-Z|I-N4"),
    SEEN(zone, end_pfn, zone, "0+-r", "I-Z|I-N4"),
    SEEN(zone, standby, zone, "+-r", "I-Z2|I-O4"),
    SEEN(zone, standby_end, zone, "+-r", "I-Z2"),
    SEEN(zone, nr_free, zone, ALL, "I-N1 free pages of a zone"),
    SEEN(zone, nr_free_cma, zone, ALL, "I-N1 free CMA pages of a zone"),
    SEEN(zone, present, zone, ALL, "I-N3"),
    SEEN(zone, managed, zone, ALL, "I-N2|I-W1"),
    IDLE(zone, from_standby, from_standby, zone, COUNTER),
    EACH(zone, wmark, wmark[0], zone, "0+-or", "I-W1"),
    SEEN(zone, reserve, zone, ALL, "I-W1"),
    SEEN(zone, nr_isolated, zone, ALL, "I-I4"),
    SEEN(zone, nr_doomed, zone, ALL, "I-N6"),
    EACH(zone, blocks, blocks[0][0], zone, ALL, "I-B|I-N4|I-I2"),
    EACH(zone, have, have[0], zone, ALL, "I-B7"),
    SEEN(zone, pcp_depth, spanned, "+-r", "I-P6"),
    EACH(zone, pcp_capacity, pcp_capacity[0][0], zone, "t", "I-P7"),
    EACH(zone, pcp_limit, pcp_limit[0], zone, "t", "I-P7"),
    LEFT(zone, lru, OWN),
    SEEN(zone, nr_reclaiming, zone, "+r", "I-N5"),
    SEEN(zone, nr_moving, zone, ALL, "I-N7"),
    SEEN(zone, lru_came, zone, "", "I-N7"),
    IDLE(zone, freed, freed, zone, COUNTER),
    IDLE(zone, freed_cma, freed_cma, zone, COUNTER),
    SEEN(zone, futile, zone, "-r", "I-N7"),
    SEEN(zone, nr_reporting, zone, "+r", "I-N7"),
    SEEN(zone, futile_came, zone, "-r", "I-N7"),
    IDLE(zone, compact_window, compact_window, zone, "a compaction begins inside the zone"),
    IDLE(zone, compact_free, compact_free, zone, "a compaction begins inside the zone"),
    IDLE(zone, compact_vain, compact_vain, zone, "a hint: which order's last compaction failed"),
    /* ---- nodes ---- */
    SEEN(node, id, node, ALL, "I-Z2 number of a node"),
    IDLE(node, distance, distance[0], node, "it orders the zonelists, which are checked"),
    ITEM(node, zonelist, zonelist[ZONE_NORMAL][0], node, "0+-r", "I-Z3"),
    ITEM(node, zonelist, zonelist[ZONE_MOVABLE][0], node, "0+-r", "I-Z3"),
    ITEM(node, zonelist, zonelist[ZONE_MOVABLE][1], node, "0+-r", "I-Z3"),
    EACH(node, nr_zones, nr_zones[0], node, ALL, "I-Z3"),
    SEEN(node, mem, node, ALL, "I-Z2 number of a node"),
    LEFT(node, reclaim, OWN),
    SEEN(ticket_queue, asked, tickets, "0-", "I-R1"),
    SEEN(ticket_queue, started, tickets, "0+-r", "I-R1"),
    SEEN(ticket_queue, done, tickets, "+r", "I-R1"),
    IDLE(ticket_queue, ended, ended, tickets, "a time"),
    LEFT(reclaim, drains, OWN),
    LEFT(reclaim, runs, OWN),
    LEFT(reclaim, compactions, OWN),
    IDLE(reclaim, low, low, reclaim, "a request for one run more"),
    SEEN(reclaim, run_for, reclaim, "t", "I-R3"),
    SEEN(reclaim, run_failed, reclaim, "t", "I-R3"),
    SEEN(reclaim, compact, reclaim, "t", "I-R3"),
    SEEN(reclaim, compact_failed, reclaim, "t", "I-R3"),
    IDLE(reclaim, stop, stop, reclaim, "an order to the thread"),
    LEFT(reclaim, wake, LOCK),
    LEFT(reclaim, served, LOCK),
    LEFT(reclaim, thread, POINTER),
    SEEN(standby_thread, run_for, standby, "t", "I-R3"),
    LEFT(standby_thread, tickets, OWN),
    IDLE(standby_thread, stop, stop, standby, "an order to the thread"),
    LEFT(standby_thread, wake, LOCK),
    LEFT(standby_thread, served, LOCK),
    LEFT(standby_thread, thread, POINTER),
    /* ---- the OOM killer ---- */
    LEFT(oom_state, lock, LOCK),
    LEFT(oom_state, wq, LOCK),
    LEFT(oom_state, kill, POINTER),
    LEFT(oom_state, arg, POINTER),
    LEFT(oom_state, boost, POINTER),
    IDLE(oom_state, going, going, oom, "each wait for a victim ends after oom_wait_ns"),
    IDLE(oom_state, gone, gone, oom, COUNTER),
    IDLE(oom_state, gone_at, gone_at, oom, "a time"),
    IDLE(oom_state, left, left, oom, COUNTER),
    IDLE(oom_state, asked, asked, oom, "set before each decision"),
    /* ---- claims ---- */
    SEEN(pfn_range, start, range, "0+-tr", "I-I6 range of a claim"),
    SEEN(pfn_range, end, range, "0+-tr", "I-I6 range of a claim"),
    LEFT(range_claim, link, LINK),
    LEFT(range_claim, range, OWN),
    SEEN(range_claim, nr, claims, "r", "I-I6 number of a claim"),
    IDLE(range_claim, stays, stays, claims, "smaller limits of caches, until the claim is dropped"),
    /* ---- lists of spaces and objects ---- */
    LEFT(vm_lists, lock, LOCK),
    LEFT(vm_lists, spaces, LINK),
    LEFT(vm_lists, objects, LINK),
    SEEN(vm_lists, at_once, lists, "0", "I-Z1"),
    IDLE(vm_lists, flushing, flushing, lists, "an unmapping that has not ended is no damage"),
    LEFT(vm_lists, keeping, LOCK),
    SEEN(vm_lists, nr_kept, lists, ALL, "I-S9"),
    /* ---- a memory ---- */
    IDLE(memory, name, name, memory, "a text for people"),
    SEEN(memory, memmap, memory, ALL, "I-Z1"),
    SEEN(memory, pageblocks, memory, ALL, "I-Z1"),
    SEEN(memory, first_page, memory, ALL, "I-Z1"),
    SEEN(memory, first_block, memory, ALL, "I-Z1"),
    SEEN(memory, nr_pfns, memory, ALL, "I-Z1"),
    IDLE(memory, tracing, tracing, memory, "what is recorded is for people"),
    LEFT(memory, trees, POINTER),
    SEEN(memory, start_pfn, memory, ALL, "I-Z1"),
    SEEN(memory, end_pfn, memory, ALL, "I-Z1"),
    LEFT(memory, arrays, POINTER),
    SEEN(memory, standby_step, memory, "0+-t", "I-Z1"),
    SEEN(memory, nr_cpus, memory, "0+r", "I-Z1"),
    SEEN(memory, thread_cpus, memory, "r", "I-Z1"),
    LEFT(memory, pcp, POINTER),
    LEFT(memory, drain_mask, POINTER),
    LEFT(memory, zones, OWN),
    LEFT(memory, nodes, OWN),
    SEEN(memory, nr_nodes, memory, ALL, "I-Z"),
    LEFT(memory, standby, OWN),
    LEFT(memory, adding, LOCK),
    LEFT(memory, hotplug, LOCK),
    IDLE(memory, hotplug_since, hotplug_since, memory, "a time"),
    IDLE(memory, hotplug_longest, hotplug_longest, memory, "a time"),
    SEEN(memory, nr_claims, memory, "0-", "I-I6 number of a claim"),
    IDLE(memory, nr_commits, nr_commits, memory, COUNTER),
    LEFT(memory, poison, LOCK),
    IDLE(memory, machine_check, machine_check, memory, "no unpoison from then on"),
    LEFT(memory, pcp_ctl, LOCK),
    SEEN(memory, round_started, memory, ALL, "I-R1"),
    SEEN(memory, round_done, memory, ALL, "I-R1"),
    LEFT(memory, claims, LINK),
    LEFT(memory, vm, OWN),
    LEFT(memory, oom, OWN),
    SEEN(memory, blocks_at_once, memory, "0", "I-Z1"),
    SEEN(memory, iso_pending, memory, "-r", "I-I6"),
    SEEN(memory, nr_isolating, memory, "0-", "I-I6 isolated by nobody"),
    SEEN(memory, policy, memory, "r", "I-Z1"),
    IDLE(memory, badpage_panic, badpage_panic, memory, "a setting"),
    IDLE(memory, backed, backed, memory, "a setting"),
    LEFT(memory, alloc, POINTER),
    LEFT(memory, alloc_arg, POINTER),
    LEFT(memory, reclaim, POINTER),
    LEFT(memory, link, LINK),
    /* ---- objects and spaces ---- */
    LEFT(vm_object, lock, LOCK),
    IDLE(vm_object, refs, refs, object, "an object without references is being freed"),
    SEEN(vm_object, kind, object, "", "I-S2"),
    IDLE(vm_object, waiting, waiting, object, "threads that wait look again"),
    SEEN(vm_object, nr_pages, object, "0-t", "I-S2"),
    SEEN(vm_object, nr_present, object, ALL, "I-S2"),
    SEEN(vm_object, mem, object, ALL, "I-S2"),
    LEFT(vm_object, account, POINTER),
    IDLE(vm_object, oom_round, oom_round, object, "set anew by each decision"),
    IDLE(vm_object, oom_shared, oom_shared, object, "set anew by each decision"),
    IDLE(vm_object, oom_payer, oom_payer, object, "set anew by each decision"),
    LEFT(vm_object, top, POINTER),
    LEFT(vm_object, regions, LINK),
    SEEN(vm_object, nr_regions, object, ALL, "I-S6 regions of an object"),
    IDLE(vm_object, walked, walked, object, "an object in the middle of a walk is left out"),
    IDLE(vm_object, unflushed, unflushed, object, "at worst a shootdown too many"),
    SEEN(vm_object, ops, object, "0", "I-S2"),
    LEFT(vm_object, pager, POINTER),
    IDLE(vm_object, refused, refused, object, "a hint of reclaim"),
    LEFT(vm_object, link, LINK),
    SEEN(vm_region, start, region, ALL, "I-S4|I-S6"),
    SEEN(vm_region, end, region, ALL, "I-S4|I-S6"),
    SEEN(vm_region, offset, region, ALL, "I-S4|I-S6"),
    SEEN(vm_region, prot, region, "0+-r", "I-S4"),
    SEEN(vm_region, may, region, "0", "I-S4"),
    SEEN(vm_region, space, region, ALL, "I-S4"),
    LEFT(vm_region, object, POINTER),
    LEFT(vm_region, use, POINTER),
    LEFT(vm_region, node, LINK),
    LEFT(vm_region, link, LINK),
    SEEN(vm_region, below, region, ALL, "I-S6"),
    LEFT(vm_use, object, POINTER),
    LEFT(vm_use, nr, "it only limits the number of regions"),
    LEFT(vm_use, node, LINK),
    LEFT(vm_space, change, LOCK),
    LEFT(vm_space, lock, LOCK),
    IDLE(vm_space, refs, refs, space, "a space without references is being freed"),
    IDLE(vm_space, nr_regions, nr_regions, space, "it only limits the number of regions"),
    SEEN(vm_space, mem, space, ALL, "I-S4"),
    LEFT(vm_space, pt, OWN),
    LEFT(vm_space, regions, LINK),
    LEFT(vm_space, found, POINTER),
    LEFT(vm_space, uses, LINK),
    LEFT(vm_space, link, LINK),
    LEFT(vm_space, active, "the CPUs that are told of changes: those of dead CPUs stay"),
    LEFT(pagetable, mem, OWN),
    LEFT(pagetable, account, POINTER),
    LEFT(pagetable, root, POINTER),
    LEFT(pagetable, lock, LOCK),
    LEFT(pagetable, nr_tables, "a figure for people"),
    LEFT(pagetable, leaf_of, POINTER),
    LEFT(pagetable, leaf, POINTER),
};
const unsigned nr_rows = ARRAY_SIZE(rows);
