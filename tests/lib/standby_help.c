/* SPDX-License-Identifier: MIT */
/* standby_help.c: see standby_help.h. */
#include "tests/lib/standby_help.h"

const struct memory_arrays *inside;

struct memory *standing_by(struct ktest *t, enum zone_kind kind, unsigned hole)
{
	struct memory_config cfg;
	struct memory *mem;
	int err;

	if (!bare_config(t, &cfg, 0, TOTAL))
		return NULL;
	cfg.standby_step = BLOCK(STEP);
	cfg.arrays = inside;
	mem = cfg.alloc(cfg.arg, sizeof(*mem));
	err = mem ? memory_init(mem, &cfg) : -ENOMEM;
	err = err ? err : memory_add_zone(mem, 0, kind, 0, BLOCK(TOTAL));
	if (!err) {
		memory_add_ram(mem, 0, BLOCK(ONLINE));
		memory_free_range(mem, 0, BLOCK(ONLINE));
		memory_add_standby(mem, BLOCK(ONLINE), BLOCK(TOTAL));
		if (hole)
			pageblock_of(mem, BLOCK(hole))->bits = 0; /* PB_HOLE */
	}
	return begin_memory(t, mem, err);
}

/* ---- descriptors inside ---- */

int inside_result;
pfn_t inside_start, inside_at;
void (*inside_meanwhile)(struct memory *mem);

static int grow_inside(struct memory *mem, pfn_t start, unsigned long nr, pfn_t at)
{
	/* The reclaim thread may call this while a test stores the hook. */
	void (*meanwhile)(struct memory * mem) = load_acquire(&inside_meanwhile);

	WRITE_ONCE(inside_start, start);
	WRITE_ONCE(inside_at, at);
	if (meanwhile)
		meanwhile(mem);
	return READ_ONCE(inside_result);
}

static const struct memory_arrays inside_arrays = {.map = test_map,
    .unmap = test_unmap,
    .grow = test_grow,
    .grow_inside = grow_inside,
    .shrink = test_shrink};

struct memory *without_descriptors(struct ktest *t)
{
	struct memory *mem;

	inside = &inside_arrays;
	WRITE_ONCE(inside_result, 0);
	WRITE_ONCE(inside_meanwhile, NULL);
	mem = standing_by(t, ZONE_MOVABLE, 0);
	inside = NULL;
	return mem;
}

unsigned long brought(struct memory *mem, unsigned long blocks)
{
	unsigned i;

	for (i = 0; i < 1000 && mm_event_sum(mem, EV_STANDBY_ONLINE) < blocks; i++)
		thread_sleep(10000000);
	/* Wait until the thread has released the lock: then its changes are visible here. */
	hotplug_lock(mem);
	hotplug_unlock(mem);
	return mm_event_sum(mem, EV_STANDBY_ONLINE);
}
