/* SPDX-License-Identifier: MIT */
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

/*
 * name: joins_the_round_under_way
 * title: a drain that has waited for another's round takes that for its own
 * layer: explorer
 */

static noinline int drain_cached(struct memory *mem, struct zone *zone)
{
	struct drain_request req = {.mem = mem, .zone = zone, .one = pcp_drain_zone_local};
	int asked = 0;
	u64 done;

	if (!may_sleep())
		return smp_call_mask(mem->drain_mask, drain_handler, &req);
	done = READ_ONCE(mem->round_done);
	rounds_lock(mem);
	if (mem->round_done == done) {
		WRITE_ONCE(mem->round_started, mem->round_started + 1);
		full_barrier();
		asked = drain_round(&req, false);
		WRITE_ONCE(mem->round_done, mem->round_started);
		MM_EVENT(mem, DRAIN_ROUNDS);
		MM_EVENT_ADD(mem, DRAIN_ASKED, (u64)asked);
	}
	rounds_unlock(mem);
	return asked;
}

/*
 * name: lock_left_held
 * title: an unbalanced enable returns with the lock held
 * layer: model
 */

int zone_pcp_enable(struct zone *zone)
{
	struct memory *mem = zone->mem;

	rounds_lock(mem);
	if (zone->pcp_depth == 0) {
		MM_EVENT(mem, PCP_UNBALANCED);
		return -EINVAL;
	}
	store_release(&zone->pcp_depth, zone->pcp_depth - 1);
	rounds_unlock(mem);
	return 0;
}

/*
 * name: mask_without_lock
 * title: the CPUs are chosen before the lock is held: others write to the same mask
 * layer: explorer
 */

static int drain_round(struct drain_request *req, bool force)
{
	struct memory *mem = req->mem;
	unsigned cpu;

	for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
		cpumask_clear(mem->drain_mask, cpu);
		if (cpumask_test(cpu_online_mask, cpu) &&
		    (force || seems_to_cache_any(mem, cpu, req->zone)))
			cpumask_set(mem->drain_mask, cpu);
	}
	return smp_call_mask(mem->drain_mask, drain_handler, req);
}

static noinline int drain_cached(struct memory *mem, struct zone *zone)
{
	struct drain_request req = {.mem = mem, .zone = zone, .one = pcp_drain_zone_local};
	int asked;

	if (!may_sleep())
		return smp_call_mask(mem->drain_mask, drain_handler, &req);
	rwsem_lock_shared(&cpu_hotplug);
	asked = drain_round(&req, false);
	rwsem_unlock_shared(&cpu_hotplug);
	return asked;
}

/*
 * name: number_is_lost
 * title: a round that asks no CPU, if one believes it: the number of those asked is lost
 * layer: contract
 */

static int drain_round(struct drain_request *req, bool force)
{
	struct memory *mem = req->mem;
	unsigned cpu;

	if (!force)
		expect_stores_out();
	for (cpu = 0; cpu < mem->nr_cpus; cpu++) {
		cpumask_clear(mem->drain_mask, cpu);
		if (cpumask_test(cpu_online_mask, cpu) &&
		    (force || seems_to_cache_any(mem, cpu, req->zone)))
			cpumask_set(mem->drain_mask, cpu);
	}
	smp_call_mask(mem->drain_mask, drain_handler, req);
	return 0;
}

/*
 * name: only_those_before_me
 * title: the loop over CPUs ends with the caller's own number
 * layer: model
 */

static int drain_round(struct drain_request *req, bool force)
{
	struct memory *mem = req->mem;
	unsigned cpu;

	for (cpu = 0; cpu < mem->nr_cpus; cpu++)
		cpumask_clear(mem->drain_mask, cpu);
	for (cpu = 0; cpu <= arch_cpu_id() && cpu < mem->nr_cpus; cpu++) {
		if (cpumask_test(cpu_online_mask, cpu) &&
		    (force || seems_to_cache_any(mem, cpu, req->zone)))
			cpumask_set(mem->drain_mask, cpu);
	}
	return smp_call_mask(mem->drain_mask, drain_handler, req);
}

/*
 * name: plain_depth_by_pointer
 * title: an enable takes no lock, and lowers the depth through a pointer
 * layer: explorer
 */

int pcp_disable_counted(struct zone *zone, struct drain_cost *cost)
{
	u32 *depth = &zone->pcp_depth;
	int err = 0;

	if (!may_sleep())
		return -EDEADLK;
	rounds_lock(zone->mem);
	if (*depth >= 65535)
		err = -EOVERFLOW;
	else if ((*depth)++ == 0) {
		cost->ipis += (unsigned)refresh_round(zone->mem, zone);
		cost->rounds++;
		MM_EVENT(zone->mem, DRAIN_FORCED);
		MM_EVENT(zone->mem, PCP_DISABLE);
	}
	rounds_unlock(zone->mem);
	return err;
}

int zone_pcp_enable(struct zone *zone)
{
	u32 *depth = &zone->pcp_depth;

	if (*depth == 0) {
		MM_EVENT(zone->mem, PCP_UNBALANCED);
		return -EINVAL;
	}
	(*depth)--;
	return 0;
}

/*
 * name: round_behind_the_lock
 * title: the round of a disable is made when the lock has been given back
 * layer: explorer
 */

int pcp_disable_counted(struct zone *zone, struct drain_cost *cost)
{
	struct memory *mem = zone->mem;
	bool first;

	if (!may_sleep())
		return -EDEADLK;
	rounds_lock(mem);
	if (zone->pcp_depth >= 65535) {
		rounds_unlock(mem);
		return -EOVERFLOW;
	}
	first = zone->pcp_depth == 0;
	WRITE_ONCE(zone->pcp_depth, zone->pcp_depth + 1);
	rounds_unlock(mem);
	if (first) {
		cost->ipis += (unsigned)drain_forced(mem, pcp_refresh_zone_local);
		cost->rounds++;
	}
	return 0;
}

/*
 * name: shared_round_keeps_the_lock
 * title: who finds that another round will do returns with the locks
 * layer: explorer
 */

static noinline int drain_cached(struct memory *mem, struct zone *zone)
{
	struct drain_request req = {.mem = mem, .zone = zone, .one = pcp_drain_zone_local};
	int asked;
	u64 ticket;

	if (!may_sleep())
		return smp_call_mask(mem->drain_mask, drain_handler, &req);
	full_barrier();
	ticket = load_after_stores(&mem->round_started);
	rounds_lock(mem);
	if (mem->round_done > ticket)
		return 0;
	if (!zone)
		WRITE_ONCE(mem->round_started, mem->round_started + 1);
	full_barrier();
	asked = drain_round(&req, false);
	if (!zone)
		WRITE_ONCE(mem->round_done, mem->round_started);
	rounds_unlock(mem);
	return asked;
}
