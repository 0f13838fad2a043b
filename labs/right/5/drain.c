/* SPDX-License-Identifier: MIT */
/*
 * name: asks_all
 * title: every drain asks every CPU, by no count
 */

static int drain_round(struct drain_request *req, bool force)
{
	struct memory *mem = req->mem;
	unsigned cpu;

	for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
		if (cpumask_test(cpu_online_mask, cpu))
			cpumask_set(mem->drain_mask, cpu);
		else
			cpumask_clear(mem->drain_mask, cpu);
	}
	return smp_call_mask(mem->drain_mask, drain_handler, req);
}

/*
 * name: atomic_depth
 * title: the depth is counted by atomic additions, a disable's under the lock
 */

int pcp_disable_counted(struct zone *zone, struct drain_cost *cost)
{
	struct memory *mem = zone->mem;
	int err = 0;
	u32 old;

	if (!may_sleep())
		return -EDEADLK;
	rounds_lock(mem);
	old = atomic_add(&zone->pcp_depth, 1u);
	if (old >= 65535) {
		atomic_sub(&zone->pcp_depth, 1u);
		err = -EOVERFLOW;
	} else if (old == 0) {
		cost->ipis += (unsigned)refresh_round(mem, zone);
		cost->rounds++;
	}
	rounds_unlock(mem);
	return err;
}

int zone_pcp_enable(struct zone *zone)
{
	u32 old = READ_ONCE(zone->pcp_depth);

	do {
		if (old == 0)
			return -EINVAL;
	} while (!__atomic_compare_exchange_n(
	    &zone->pcp_depth, &old, old - 1, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
	return 0;
}

/*
 * name: drains_itself_first
 * title: a drain empties the caller's own cache by hand, and asks the others
 */

static noinline int drain_cached(struct memory *mem, struct zone *zone)
{
	struct drain_request req = {.mem = mem, .zone = zone, .one = pcp_drain_zone_local};
	unsigned cpu, self;
	int asked;

	if (!may_sleep())
		return -EDEADLK;
	drain_local_pages(mem, zone);
	rounds_lock(mem);
	full_barrier();
	self = arch_cpu_id();
	for (cpu = 0; cpu < nr_cpus && cpu < mem->nr_cpus; cpu++) {
		if (cpumask_test(cpu_online_mask, cpu) &&
		    (cpu == self || seems_to_cache_any(mem, cpu, zone)))
			cpumask_set(mem->drain_mask, cpu);
		else
			cpumask_clear(mem->drain_mask, cpu);
	}
	asked = smp_call_mask(mem->drain_mask, drain_handler, &req);
	rounds_unlock(mem);
	return asked;
}

/*
 * name: enable_makes_a_round
 * title: the last enable makes a round, so that all CPUs have their capacities back as it returns
 */

int zone_pcp_enable(struct zone *zone)
{
	struct memory *mem = zone->mem;
	int err = 0;

	rounds_lock(mem);
	if (zone->pcp_depth == 0) {
		MM_EVENT(mem, PCP_UNBALANCED);
		err = -EINVAL;
	} else {
		store_release(&zone->pcp_depth, zone->pcp_depth - 1);
		if (zone->pcp_depth == 0)
			refresh_round(mem, zone);
	}
	rounds_unlock(mem);
	return err;
}

/*
 * name: enable_refreshes_itself
 * title: an enable restores the capacities of the caller's own CPU at once
 */

int zone_pcp_enable(struct zone *zone)
{
	struct memory *mem = zone->mem;
	irqflags_t flags;

	rounds_lock(mem);
	if (zone->pcp_depth == 0) {
		rounds_unlock(mem);
		MM_EVENT(mem, PCP_UNBALANCED);
		return -EINVAL;
	}
	store_release(&zone->pcp_depth, zone->pcp_depth - 1);
	if (zone->pcp_depth == 0) {
		flags = arch_irq_save();
		pcp_refresh_zone_local(zone);
		arch_irq_restore(flags);
	}
	rounds_unlock(mem);
	return 0;
}

/*
 * name: mask_on_the_stack
 * title: each round has a mask of its own, and asks nobody if it is empty
 */

static int drain_round(struct drain_request *req, bool force)
{
	struct memory *mem = req->mem;
	cpumask_t mask[CPUMASK_WORDS(256)] = {0};
	bool any = false;
	unsigned cpu;

	if (!force)
		expect_stores_out();
	for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
		if (!cpumask_test(cpu_online_mask, cpu))
			continue;
		if (!force && !seems_to_cache_any(mem, cpu, req->zone))
			continue;
		mask[cpu / CPUMASK_BITS] |= (cpumask_t)1 << (cpu % CPUMASK_BITS);
		any = true;
	}
	return any ? smp_call_mask(mask, drain_handler, req) : 0;
}

/*
 * name: no_shared_rounds
 * title: each drain makes a round of its own; nothing is counted
 */

static noinline int drain_cached(struct memory *mem, struct zone *zone)
{
	struct drain_request req = {.mem = mem, .zone = zone, .one = pcp_drain_zone_local};
	int asked;

	if (!may_sleep())
		return smp_call_mask(mem->drain_mask, drain_handler, &req);
	rounds_lock(mem);
	full_barrier();
	asked = drain_round(&req, false);
	rounds_unlock(mem);
	return asked;
}

/*
 * name: off_then_drained
 * title: a disable sets the capacities to 0 in one round, and drains in a second
 */

int pcp_disable_counted(struct zone *zone, struct drain_cost *cost)
{
	struct memory *mem = zone->mem;
	struct drain_request drain = {.mem = mem, .zone = zone, .one = pcp_drain_zone_local};
	int err = -EDEADLK;

	if (may_sleep()) {
		err = 0;
		rounds_lock(mem);
		if (zone->pcp_depth > 65534)
			err = -EOVERFLOW;
		else if (++zone->pcp_depth == 1) {
			cost->ipis += (unsigned)refresh_round(mem, zone);
			cost->ipis += (unsigned)drain_round(&drain, true);
			cost->rounds += 2;
		}
		rounds_unlock(mem);
	}
	return err;
}

/*
 * name: one_cpu_at_a_time
 * title: a round asks one CPU after the other, the last one first
 */

static int drain_round(struct drain_request *req, bool force)
{
	struct memory *mem = req->mem;
	unsigned cpu, other;
	int asked = 0;

	for (cpu = mem->nr_cpus; cpu-- > 0;) {
		if (!cpumask_test(cpu_online_mask, cpu))
			continue;
		if (!force && !seems_to_cache_any(mem, cpu, req->zone))
			continue;
		for (other = 0; other < mem->nr_cpus; other++)
			cpumask_clear(mem->drain_mask, other);
		cpumask_set(mem->drain_mask, cpu);
		asked += smp_call_mask(mem->drain_mask, drain_handler, req);
	}
	return asked;
}

/*
 * name: one_way_out
 * title: disable and enable with one way out, by goto
 */

int pcp_disable_counted(struct zone *zone, struct drain_cost *cost)
{
	struct memory *mem = zone->mem;
	unsigned depth;
	int ret = 0, asked;

	if (!may_sleep()) {
		ret = -EDEADLK;
		goto out;
	}
	rounds_lock(mem);
	depth = READ_ONCE(zone->pcp_depth);
	if (depth == 65535) {
		ret = -EOVERFLOW;
		goto unlock;
	}
	store_release(&zone->pcp_depth, depth + 1);
	if (depth)
		goto unlock;
	asked = refresh_round(mem, zone);
	if (asked > 0)
		cost->ipis += (unsigned)asked;
	cost->rounds += 1;
unlock:
	rounds_unlock(mem);
out:
	return ret;
}

int zone_pcp_enable(struct zone *zone)
{
	int ret = -EINVAL;
	unsigned depth;

	rounds_lock(zone->mem);
	depth = READ_ONCE(zone->pcp_depth);
	if (depth > 0) {
		store_release(&zone->pcp_depth, depth - 1);
		ret = 0;
	} else {
		MM_EVENT(zone->mem, PCP_UNBALANCED);
	}
	rounds_unlock(zone->mem);
	return ret;
}

/*
 * name: round_for_each_disable
 * title: every disable makes a round, also the nested ones; nothing is counted
 */

int pcp_disable_counted(struct zone *zone, struct drain_cost *cost)
{
	struct memory *mem = zone->mem;
	int err = 0;

	if (!may_sleep())
		return -EDEADLK;
	rounds_lock(mem);
	if (zone->pcp_depth >= 65535) {
		err = -EOVERFLOW;
	} else {
		WRITE_ONCE(zone->pcp_depth, zone->pcp_depth + 1);
		cost->ipis += (unsigned)refresh_round(mem, zone);
		cost->rounds++;
	}
	rounds_unlock(mem);
	return err;
}

/*
 * name: zone_by_zone
 * title: a drain of all zones is one of each; by no shortcut where nothing seems cached
 */

static int drain_one(struct memory *mem, struct zone *zone)
{
	struct drain_request req = {.mem = mem, .zone = zone, .one = pcp_drain_zone_local};

	full_barrier();
	return drain_round(&req, false);
}

int drain_all_pages(struct memory *mem, struct zone *zone)
{
	unsigned id;
	int asked = 0;

	if (!may_sleep())
		return -EDEADLK;
	rounds_lock(mem);
	for (id = 0; id < mem->nr_nodes * NR_ZONE_KINDS; id++) {
		if (zone_has_span(&mem->zones[id]) && (!zone || zone->id == id))
			asked += drain_one(mem, &mem->zones[id]);
	}
	rounds_unlock(mem);
	return asked;
}

/*
 * name: zones_that_have_some
 * title: a drain of all zones makes a round for each zone that has something cached
 */

int drain_all_pages(struct memory *mem, struct zone *zone)
{
	unsigned id, nr = mem->nr_nodes * NR_ZONE_KINDS;
	int asked = 0, one;

	if (zone || !may_sleep())
		return drain_cached(mem, zone);
	for (id = 0; id < nr; id++) {
		if (zone_seems_empty(mem, id))
			continue;
		one = drain_cached(mem, &mem->zones[id]);
		if (one < 0)
			return one;
		asked += one;
	}
	return asked;
}
