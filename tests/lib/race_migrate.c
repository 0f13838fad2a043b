/* SPDX-License-Identifier: MIT */
/* race_migrate.c: see race_migrate.h. */
#include "tests/lib/race_migrate.h"

static struct race_migrate *race_of[RACE_CPUS]; /* by the CPU on which the migration runs */

static void race_migrate_point(const char *name)
{
	struct race_migrate *r = race_of[arch_cpu_id() % RACE_CPUS];

	if (!r || strcmp(name, r->point) != 0)
		return;
	store_release(&r->held, 1u);
	if (!race_wait(&r->release))
		store_release(&r->gave_up, 1u);
}

#undef SCHED_POINT
#define SCHED_POINT(name) race_migrate_point(name)
#define migrate_lru_kind  raced_kind
#include "mm/move/migrate_lru.c" /* NOLINT(bugprone-suspicious-include): the tested source */
#undef migrate_lru_kind

int race_migrate_try(struct memory *mem, struct page *page)
{
	int err = 0;

	migrate_lru_batch(mem, &page, 1, &migrate_anywhere, &err);
	return err;
}

/* Try the migration once; runs on the CPU that is to be held. */
static void race_migrate_run(void *arg)
{
	struct race_migrate *r = arg;

	r->isolated = isolate_lru_page(r->mem, page_to_pfn_in(r->mem, r->page));
	if (!r->isolated) {
		race_of[arch_cpu_id() % RACE_CPUS] = r;
		r->err = race_migrate_try(r->mem, r->page);
		race_of[arch_cpu_id() % RACE_CPUS] = NULL;
		if (r->err && r->err != -ENOENT)
			putback_lru_page(r->mem, r->page);
		else
			mem_put_page(r->mem, r->page);
	}
	store_release(&r->ended, 1u);
}

bool race_migrate_start(struct race_migrate *r, unsigned cpu)
{
	ktest_start(cpu, race_migrate_run, r);
	SPIN_UNTIL(load_acquire(&r->held) || load_acquire(&r->ended));
	return load_acquire(&r->held);
}

void race_migrate_end(struct ktest *t, struct race_migrate *r, unsigned cpu)
{
	store_release(&r->release, 1u);
	ktest_join(cpu);
	EXPECT_EQ(t, r->gave_up, 0);
	EXPECT_EQ(t, r->isolated, 0);
}

/* ---- a scene, and a migrator held in it ---- */

bool stage_begin(struct ktest *t, struct stage *st, const char *point)
{
	if (!ktest_needs_cpus(t, 3))
		return false;
	*st = (struct stage){.t = t};
	if (!scene_begin_filled(t, &st->s, 4))
		return false;
	soft_load_space(st->s.space);
	write_pages(t, 0, 4, t->seed);
	soft_unload_space();
	st->r = (struct race_migrate){
	    .mem = st->s.mem, .page = page_in(st->s.object, 1), .point = point};
	EXPECT(t, race_migrate_start(&st->r, 1));
	return true;
}

void stage_end(struct stage *st, int err)
{
	struct ktest *t = st->t;

	EXPECT_EQ(t, st->r.err, err);
	expect_sound(t, st->s.mem);
	scene_end(t, &st->s);
}

pfn_t stage_source(const struct stage *st)
{
	return page_to_pfn_in(st->s.mem, st->r.page);
}

void expect_content(struct stage *st)
{
	soft_load_space(st->s.space);
	expect_pages(st->t, 0, 4, st->t->seed);
	soft_unload_space();
}

/* ---- readers that wait for the migration ---- */

void toucher_run(void *arg)
{
	struct toucher *w = arg;

	soft_load_space(w->space);
	w->err = soft_read(w->va, &w->value);
	soft_unload_space();
	store_release(&w->done, 1u);
}

unsigned start_waiters(struct stage *st, struct toucher *w, struct vm_space *space, uintptr_t va)
{
	unsigned nr = MIN(ktest_cpus() - 2, (unsigned)WAITERS), i;
	u64 end = arch_clock_ns() + WAITERS_NS;

	for (i = 0; i < nr; i++) {
		w[i] = (struct toucher){.space = space, .va = va};
		ktest_start(2 + i, toucher_run, &w[i]);
	}
	while (migwait_waiting(st->s.mem) < nr && arch_clock_ns() < end)
		cpu_relax();
	EXPECT_EQ(st->t, migwait_waiting(st->s.mem), nr);
	return nr;
}

void join_waiters(struct stage *st, const struct toucher *w, unsigned nr, u64 value)
{
	struct ktest *t = st->t;
	unsigned i;

	for (i = 0; i < nr; i++) {
		ktest_join(2 + i);
		EXPECT_EQ(t, w[i].err, 0);
		EXPECT_EQ(t, w[i].value, value);
	}
	EXPECT_EQ(t, mm_event_sum(st->s.mem, EV_MIGWAIT_QUEUED), nr);
	EXPECT_EQ(t, mm_event_sum(st->s.mem, EV_MIGWAIT_WOKEN), nr);
}
