/* SPDX-License-Identifier: MIT */
/*
 * name: asks_those_that_cache
 * title: a disable asks only the CPUs that seem to cache, and misses a push under way
 * layer: explorer
 */

static int refresh_round(struct memory *mem, struct zone *zone)
{
	struct drain_request req = {.mem = mem, .zone = zone, .one = pcp_refresh_zone_local};

	return drain_round(&req, false);
}

/*
 * name: cost_starts_again
 * title: a disable stores the cost of its round over that of earlier rounds
 * layer: contract
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
	} else if (zone->pcp_depth++ == 0) {
		cost->ipis = (unsigned)refresh_round(mem, zone);
		cost->rounds = 1;
	}
	rounds_unlock(mem);
	return err;
}

/*
 * name: counts_before_the_lock
 * title: the depth is raised before the lock: a second caller may have the lock first
 * layer: explorer
 */

int pcp_disable_counted(struct zone *zone, struct drain_cost *cost)
{
	struct memory *mem = zone->mem;
	u32 old;

	if (!may_sleep())
		return -EDEADLK;
	old = atomic_add(&zone->pcp_depth, 1u);
	if (old >= 65535) {
		atomic_sub(&zone->pcp_depth, 1u);
		return -EOVERFLOW;
	}
	rounds_lock(mem);
	if (old == 0) {
		cost->ipis += (unsigned)refresh_round(mem, zone);
		cost->rounds++;
	}
	rounds_unlock(mem);
	return 0;
}

/*
 * name: cpus_may_go_meanwhile
 * title: a disable holds the mutex, while CPUs may come and go
 * layer: explorer
 */

static int drain_round(struct drain_request *req, bool force)
{
	struct memory *mem = req->mem;
	unsigned cpu;

	for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
		if (cpumask_test(cpu_online_mask, cpu) &&
		    (force || seems_to_cache_any(mem, cpu, req->zone)))
			cpumask_set(mem->drain_mask, cpu);
		else
			cpumask_clear(mem->drain_mask, cpu);
	}
	return smp_call_mask(mem->drain_mask, drain_handler, req);
}

int pcp_disable_counted(struct zone *zone, struct drain_cost *cost)
{
	struct memory *mem = zone->mem;
	int err = 0;

	if (!may_sleep())
		return -EDEADLK;
	mutex_lock(&mem->pcp_ctl);
	if (zone->pcp_depth >= 65535) {
		err = -EOVERFLOW;
	} else {
		WRITE_ONCE(zone->pcp_depth, zone->pcp_depth + 1);
		if (zone->pcp_depth == 1) {
			cost->ipis += (unsigned)refresh_round(mem, zone);
			cost->rounds++;
		}
	}
	mutex_unlock(&mem->pcp_ctl);
	return err;
}

/*
 * name: depth_after_round
 * title: the round first, the depth after it: a CPU that refills meanwhile caches again
 * layer: explorer
 */

int pcp_disable_counted(struct zone *zone, struct drain_cost *cost)
{
	struct memory *mem = zone->mem;

	if (!may_sleep())
		return -EDEADLK;
	rounds_lock(mem);
	if (zone->pcp_depth >= 65535) {
		rounds_unlock(mem);
		return -EOVERFLOW;
	}
	if (zone->pcp_depth == 0) {
		cost->ipis += (unsigned)refresh_round(mem, zone);
		cost->rounds++;
		MM_EVENT(mem, DRAIN_FORCED);
		MM_EVENT(mem, PCP_DISABLE);
	}
	WRITE_ONCE(zone->pcp_depth, zone->pcp_depth + 1);
	rounds_unlock(mem);
	return 0;
}

/*
 * name: depth_before_lock
 * title: a disable that finds the caches off counts itself without the lock, and returns at once
 * layer: explorer
 */

int pcp_disable_counted(struct zone *zone, struct drain_cost *cost)
{
	struct memory *mem = zone->mem;
	unsigned depth = READ_ONCE(zone->pcp_depth);

	if (!may_sleep())
		return -EDEADLK;
	if (depth >= 65535)
		return -EOVERFLOW;
	if (depth > 0) {
		WRITE_ONCE(zone->pcp_depth, depth + 1);
		return 0;
	}
	rounds_lock(mem);
	WRITE_ONCE(zone->pcp_depth, zone->pcp_depth + 1);
	cost->ipis += (unsigned)refresh_round(mem, zone);
	cost->rounds++;
	rounds_unlock(mem);
	return 0;
}

/*
 * name: depth_is_signed
 * title: the depth is taken for a signed number of 16 bits: half as many disables are allowed
 * layer: contract
 */

int pcp_disable_counted(struct zone *zone, struct drain_cost *cost)
{
	struct memory *mem = zone->mem;
	int err = 0;
	short depth;

	if (!may_sleep())
		return -EDEADLK;
	rounds_lock(mem);
	depth = (short)(zone->pcp_depth + 1);
	if (depth <= 0) {
		err = -EOVERFLOW;
	} else {
		WRITE_ONCE(zone->pcp_depth, (unsigned)depth);
		if (depth == 1) {
			cost->ipis += (unsigned)refresh_round(mem, zone);
			cost->rounds++;
		}
	}
	rounds_unlock(mem);
	return err;
}

/*
 * name: disable_that_drains
 * title: a disable empties the caches, and leaves their capacities as they are
 * layer: model
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
		struct drain_request req = {.mem = mem, .zone = zone, .one = pcp_drain_zone_local};

		WRITE_ONCE(zone->pcp_depth, zone->pcp_depth + 1);
		cost->ipis += (unsigned)drain_round(&req, true);
		cost->rounds++;
	}
	rounds_unlock(mem);
	return err;
}

/*
 * name: enable_checks_before_lock
 * title: an enable checks the depth before it has the lock: two of them take it below 0
 * layer: explorer
 */

int zone_pcp_enable(struct zone *zone)
{
	struct memory *mem = zone->mem;

	if (READ_ONCE(zone->pcp_depth) == 0) {
		MM_EVENT(mem, PCP_UNBALANCED);
		return -EINVAL;
	}
	rounds_lock(mem);
	store_release(&zone->pcp_depth, zone->pcp_depth - 1);
	rounds_unlock(mem);
	return 0;
}

/*
 * name: enable_ends_all
 * title: the first enable switches the caches on, however often they were switched off
 * layer: model
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
		store_release(&zone->pcp_depth, 0u);
	}
	rounds_unlock(mem);
	return err;
}

/*
 * name: enable_turns_on_at_one
 * title: the caches are on again when the last but one enables them
 * layer: model
 */

int zone_pcp_enable(struct zone *zone)
{
	struct memory *mem = zone->mem;
	int err = -EINVAL;

	rounds_lock(mem);
	if (zone->pcp_depth > 2) {
		store_release(&zone->pcp_depth, zone->pcp_depth - 1);
		err = 0;
	} else if (zone->pcp_depth > 0) {
		store_release(&zone->pcp_depth, 0u);
		err = 0;
	} else {
		MM_EVENT(mem, PCP_UNBALANCED);
	}
	rounds_unlock(mem);
	return err;
}

/*
 * name: enable_without_lock
 * title: an enable reads the depth and stores one less, under no lock: of two one is lost
 * layer: explorer
 */

int zone_pcp_enable(struct zone *zone)
{
	unsigned depth = READ_ONCE(zone->pcp_depth);

	if (depth == 0) {
		MM_EVENT(zone->mem, PCP_UNBALANCED);
		return -EINVAL;
	}
	store_release(&zone->pcp_depth, depth - 1);
	return 0;
}

/*
 * name: ends_at_the_first_empty
 * title: the choice of CPUs ends at the first that caches nothing
 * layer: model
 */

static int drain_round(struct drain_request *req, bool force)
{
	struct memory *mem = req->mem;
	unsigned cpu = 0;

	while (cpu < mem->nr_cpus && (force || seems_to_cache_any(mem, cpu, req->zone))) {
		if (cpumask_test(cpu_online_mask, cpu))
			cpumask_set(mem->drain_mask, cpu);
		else
			cpumask_clear(mem->drain_mask, cpu);
		cpu++;
	}
	for (; cpu < mem->nr_cpus; cpu++)
		cpumask_clear(mem->drain_mask, cpu);
	return smp_call_mask(mem->drain_mask, drain_handler, req);
}

/*
 * name: first_node_only
 * title: a drain of all zones looks at the zones of node 0
 * layer: model
 */

int drain_all_pages(struct memory *mem, struct zone *zone)
{
	unsigned id = 0;

	if (zone)
		return drain_unless(mem, zone, zone_seems_empty(mem, zone->id));
	while (id < NR_ZONE_KINDS && zone_seems_empty(mem, id))
		id++;
	return drain_unless(mem, NULL, id == NR_ZONE_KINDS);
}

/*
 * name: forced_asks_by_count
 * title: the round of an isolation asks only the CPUs that seem to cache
 * layer: explorer
 */

int drain_forced(struct memory *mem, void (*one)(struct zone *zone))
{
	struct drain_request req = {.mem = mem, .one = one};
	int asked;

	rounds_lock(mem);
	asked = drain_round(&req, false);
	MM_EVENT(mem, DRAIN_FORCED);
	rounds_unlock(mem);
	return asked;
}

/*
 * name: forced_is_a_number_for_drains
 * title: a forced round that drains nothing counts for drains that wait
 * layer: explorer
 */

int drain_forced(struct memory *mem, void (*one)(struct zone *zone))
{
	struct drain_request req = {.mem = mem, .one = one};
	int asked;

	rounds_lock(mem);
	WRITE_ONCE(mem->round_started, mem->round_started + 1);
	full_barrier();
	asked = drain_round(&req, true);
	WRITE_ONCE(mem->round_done, mem->round_started);
	MM_EVENT(mem, DRAIN_FORCED);
	rounds_unlock(mem);
	return asked;
}

/*
 * name: forced_others_only
 * title: a forced drain asks all CPUs but its own
 * layer: contract
 */

int drain_forced(struct memory *mem, void (*one)(struct zone *zone))
{
	struct drain_request req = {.mem = mem, .one = one};
	unsigned cpu;
	int asked;

	rounds_lock(mem);
	for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
		if (cpu == arch_cpu_id() || !cpumask_test(cpu_online_mask, cpu))
			cpumask_clear(mem->drain_mask, cpu);
		else
			cpumask_set(mem->drain_mask, cpu);
	}
	asked = smp_call_mask(mem->drain_mask, drain_handler, &req);
	rounds_unlock(mem);
	return asked;
}

/*
 * name: forced_says_nothing
 * title: a forced drain returns 0, whoever was asked
 * layer: contract
 */

int drain_forced(struct memory *mem, void (*one)(struct zone *zone))
{
	struct drain_request req = {.mem = mem, .one = one};

	rounds_lock(mem);
	drain_round(&req, true);
	MM_EVENT(mem, DRAIN_FORCED);
	rounds_unlock(mem);
	return 0;
}

/*
 * name: forced_without_locks
 * title: a forced drain asks all CPUs, and takes no lock
 * layer: contract
 */

int drain_forced(struct memory *mem, void (*one)(struct zone *zone))
{
	struct drain_request req = {.mem = mem, .one = one};

	return smp_call_mask(NULL, drain_handler, &req);
}

/*
 * name: forgets_itself
 * title: a drain asks all other CPUs, and forgets its own
 * layer: model
 */

static int drain_round(struct drain_request *req, bool force)
{
	struct memory *mem = req->mem;
	unsigned cpu;

	for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
		if (cpu != arch_cpu_id() && cpumask_test(cpu_online_mask, cpu))
			cpumask_set(mem->drain_mask, cpu);
		else
			cpumask_clear(mem->drain_mask, cpu);
	}
	return smp_call_mask(mem->drain_mask, drain_handler, req);
}
