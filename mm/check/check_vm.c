/* SPDX-License-Identifier: MIT */
/*
 * check_vm.c: the part of check_memory that recounts objects and spaces.
 *
 * Owns:       page->spare of objects' pages, during the check: the number of page-table entries
 *             found so far.
 * Locks:      none: every CPU is stopped.  But a CPU may have been stopped while it held the lock
 *             of a space or an object: interrupts are on then.  So an object is left out if its
 *             lock is held, its regions are being walked, or it is being freed.  All data compared
 *             here changes under the lock of one object, so the other objects are consistent.
 * Invariants: those it checks are listed in docs/mm/check.md.
 * Tests:      fields, check_vm.
 */
#include "mm/check/check.h"
#include "mm/vm/vm.h"

struct vm_check {
	struct memory *mem;
	struct mm_violation *v;
	bool exact; /* no unmapping still holds references for its TLB shootdown */
};

static bool being_changed(const struct vm_object *object)
{
	/* A migrator drops a page of an object that is being freed, and does not put it back. */
	return READ_ONCE(object->lock.locked) || READ_ONCE(object->walked) ||
	    !READ_ONCE(object->refs);
}

static bool page_is_objects(u32 word)
{
	return 1u << word_state(word) & (1u << PG_LRU | 1u << PG_OBJECT | 1u << PG_ISO_MIG);
}

static bool pfn_is_page(const struct vm_check *c, pfn_t pfn)
{
	return pfn_valid_in(c->mem, pfn) && pageblock_state(pageblock_of(c->mem, pfn)) == PB_ONLINE;
}

/* Is a migrator moving the page at @pfn? */
static bool page_is_moving(const struct vm_check *c, pfn_t pfn)
{
	u32 word = pfn_is_page(c, pfn) ? page_word(pfn_to_page_in(c->mem, pfn)) : 0;

	return word_state(word) == PG_ISO_MIG && word & PAGE_LOCKED;
}

/* ---- tickets of the reclaim threads ---- */

static bool check_tickets(
    struct vm_check *c, const struct ticket_queue *queue, const char *what, unsigned node)
{
	CHECK(c, queue->done <= queue->started && queue->started <= queue->asked, what, node,
	    queue->done, queue->asked);
	return true;
}

static bool check_reclaim(struct vm_check *c)
{
	unsigned n;

	for (n = 0; n < c->mem->nr_nodes; n++) {
		const struct reclaim *r = &c->mem->nodes[n].reclaim;

		if (!check_tickets(c, &r->drains, "I-R1 tickets for drains", n) ||
		    !check_tickets(c, &r->runs, "I-R1 tickets for runs", n) ||
		    !check_tickets(c, &r->compactions, "I-R1 tickets for compactions", n))
			return false;
	}
	return check_tickets(
	    c, &c->mem->standby.tickets, "I-R1 tickets for standby memory", c->mem->nr_nodes);
}

/* ---- objects ---- */

/* Check that a slot's page exists, and reset the number of its entries. */
static bool check_slot(struct vm_check *c, struct vm_object *object, u32 index, u64 slot)
{
	struct page *page = slot_page(slot);
	pfn_t pfn = slot_is_marker(slot) ? slot_marker_pfn(slot) : page_to_pfn_in(c->mem, page);

	if (slot_is_marker(slot)) {
		CHECK(c, page_is_moving(c, pfn), "I-S5 marker of a page that is not being moved",
		    pfn, index, 0);
		return true;
	}
	CHECK(c, pfn_is_page(c, pfn) && page == pfn_to_page_in(c->mem, pfn),
	    "I-S2 slot names no page", pfn, index, 0);
	CHECK(c, page_is_objects(page_word(page)), "I-S2 state of a slot's page", pfn,
	    word_state(page_word(page)), PG_LRU);
	CHECK(c, page->owner == object && page->index == index, "I-S2 owner of a slot's page", pfn,
	    page->index, index);
	page->spare = 0;
	return true;
}

/* Check the counts of a slot's page, after all its entries have been counted. */
static bool check_counts(struct vm_check *c, struct vm_object *object, u32 index, u64 slot)
{
	const struct page *page = slot_page(slot);
	pfn_t pfn = page_to_pfn_in(c->mem, page);
	unsigned ref, want;
	u32 word;

	if (slot_is_marker(slot))
		return true;
	word = page_word(page);
	ref = word_ref(word);
	want = 1u + page->mapcount + READ_ONCE(page->pincount) + (word_state(word) == PG_ISO_MIG);
	CHECK_EQ(c, page->mapcount, page->spare, "I-S3 entries that map a page", pfn);
	CHECK(c, ref == want || (ref > want && !c->exact), "I-S2 references of an object's page",
	    pfn, ref, want);
	return true;
}

/*
 * Check the fields and the regions of each object that is not being changed, and call @fn for each
 * of its filled slots.
 */
static bool check_objects(struct vm_check *c,
    bool (*fn)(struct vm_check *c, struct vm_object *object, u32 index, u64 slot))
{
	struct vm_object *object;
	const struct vm_region *r;
	u32 index, filled, regions, below = 0;

	LIST_FOREACH(object, &c->mem->vm.objects, link) {
		if (being_changed(object))
			continue;
		CHECK(c,
		    object->mem == c->mem && object->nr_pages - 1 < OBJ_MAX_PAGES &&
		        !object->ops == (object->kind != OBJ_PAGER) && object->kind <= OBJ_PHYS,
		    "I-S2 fields of an object", PFN_NONE, object->nr_pages, object->kind);
		for (index = filled = 0; index < object->nr_pages; index++) {
			const u64 *slot = object_slot(object, index);

			if (!slot) {
				index |= PT_ENTRIES - 1; /* the table is missing */
			} else if (*slot && *slot != SLOT_LOST) {
				filled++;
				if (!fn(c, object, index, *slot))
					return false;
			}
		}
		CHECK(c, filled == object->nr_present, "I-S2 filled slots of an object", PFN_NONE,
		    object->nr_present, filled);
		r = rmap_stale(object, &below, &regions);
		CHECK(c, !r, "I-S6 last slot below a region in its object's tree", PFN_NONE,
		    r->below, below);
		CHECK(c, regions == object->nr_regions, "I-S6 regions of an object", PFN_NONE,
		    object->nr_regions, regions);
	}
	return true;
}

/* ---- tables ---- */

/* Check an entry against the region that contains @va, and against the region's slot. */
static bool check_place(struct vm_check *c, struct vm_space *space, uintptr_t va, u64 pte)
{
	const struct vm_region *r = region_find(space, va);
	u64 slot;

	CHECK(c, r, "I-S4 entry outside every region", pte_pfn(pte), va, 0);
	CHECK(c,
	    r->space == space && !((r->start | r->end) & (PAGE_SIZE - 1)) && r->prot & VM_READ &&
	        !(r->prot & ~r->may),
	    "I-S4 fields of a region", pte_pfn(pte), r->prot, r->may);
	if (being_changed(r->object))
		return true;
	slot = object_lookup(r->object, region_index(r, va));
	CHECK(c,
	    slot ==
	        (pte & PTE_PRESENT ? (uintptr_t)pfn_to_page_in(c->mem, pte_pfn(pte))
	                           : slot_marker(pte_pfn(pte))),
	    "I-S4 entry for another page than its slot's", pte_pfn(pte), va, slot);
	CHECK(c,
	    !(pte & PTE_PRESENT) ||
	        ((!(pte & PTE_WRITE) || r->prot & VM_WRITE) && (pte & PTE_NX || r->prot & VM_EXEC)),
	    "I-S4 entry allows more than its region", pte_pfn(pte), pte, r->prot);
	return true;
}

static bool check_entry(struct vm_check *c, u64 pte)
{
	pfn_t pfn = pte_pfn(pte);
	struct page *page;

	if (pte_is_migration(pte)) {
		CHECK(c, page_is_moving(c, pfn),
		    "I-S5 migration entry of a page that is not being moved", pfn, pte, 0);
		return true;
	}
	CHECK(c, pte & PTE_PRESENT && pfn_is_page(c, pfn), "I-S7 entry maps no page", pfn, pte, 0);
	page = pfn_to_page_in(c->mem, pfn);
	CHECK(c, page_is_objects(page_word(page)) && page->owner, "I-S7 state of a mapped page",
	    pfn, word_state(page_word(page)), PG_LRU);
	page->spare++;
	return true;
}

/*
 * Entries are compared with regions only if no region is being changed and the space is not being
 * freed: otherwise entries of a removed region may still be there.
 */
static bool check_space(struct vm_check *c, struct vm_space *space)
{
	bool at_rest = READ_ONCE(space->refs) && !mutex_is_held(&space->change) &&
	    !READ_ONCE(space->lock.locked);
	uintptr_t va;
	u64 *entry;

	CHECK(c, space->mem == c->mem && space->pt.mem == c->mem, "I-S4 memory of a space",
	    PFN_NONE, space->mem, c->mem);
	for (va = VM_USER_START; (entry = pt_next(&space->pt, &va, VM_USER_END)); va += PAGE_SIZE)
		if (*entry &&
		    !(check_entry(c, *entry) && (!at_rest || check_place(c, space, va, *entry))))
			return false;
	return true;
}

/* ---- waiters ---- */

static bool check_waiter(void *arg, pfn_t pfn)
{
	struct vm_check *c = arg;

	CHECK(c, page_is_moving(c, pfn), "I-S8 thread waits for a page that is not being moved",
	    pfn, 0, 0);
	return true;
}

void check_vm(struct memory *mem, struct mm_violation *v)
{
	struct vm_check c = {.mem = mem, .v = v, .exact = READ_ONCE(mem->vm.flushing) == 0};
	struct vm_space *space;

	if (!check_reclaim(&c))
		return;
	/* If a CPU was stopped while it changed the lists, they cannot be walked. */
	if (READ_ONCE(mem->vm.lock.locked) || !check_objects(&c, check_slot))
		return;
	LIST_FOREACH(space, &mem->vm.spaces, link)
		if (!check_space(&c, space))
			return;
	if (check_objects(&c, check_counts))
		migwait_check(mem, check_waiter, &c);
}
