/* SPDX-License-Identifier: MIT */
/*
 * test_fields.c: values planted in every field of the structures of the memory manager, one at a
 * time: check_memory names the invariant that the table names, or the field cannot matter.
 *
 * The build compares the table with the members of the structures (fields.py), so a new field
 * needs a row.
 */
#include "tests/lib/fields_help.h"
#include "tests/lib/mm_help.h"
#include "tests/lib/mm_test.h"

/* The same value of another instance; for one instance alone, the next element. */
static u64 value_of(
    const struct row *row, const void *here, const void *there, enum planted what, u64 *seed)
{
	u64 value = 0, old = 0;

	memcpy(&old, here, row->size);
	switch (what) {
	case ZERO: break;
	case MORE: value = old + 1; break;
	case LESS: value = old - 1; break;
	case TOP: value = ~0ULL; break;
	case OTHER: memcpy(&value, there, row->size); break;
	case RANDOM: value = ktest_rand(seed); break;
	case NR_PLANTED: break;
	}
	return row->is_bool ? !old : value;
}

static bool is_named(const char *what, const char *names)
{
	while (names) {
		size_t n = 0;

		while (names[n] && names[n] != '|')
			n++;
		if (strncmp(what, names, n) == 0)
			return true;
		names = names[n] ? names + n + 1 : NULL;
	}
	return false;
}

static const char letters[] = "0+-tor"; /* by enum planted */

struct tally {
	unsigned rows, values, named;
};

static void plant(struct ktest *t, struct rich *r, const struct row *row, void *here, u64 value,
    char letter, struct tally *tally)
{
	const char *must = row->must;
	u64 old = 0, back = 0;
	struct mm_violation v;
	bool sound, wanted = false;

	memcpy(&old, here, row->size);
	memcpy(here, &value, row->size);
	memcpy(&back, here, row->size);
	if (back == old)
		return;
	sound = rich_check(r, &v);
	memcpy(here, &old, row->size);
	while (*must)
		wanted |= *must++ == letter;
	if (sound ? wanted : !is_named(v.what, row->names))
		ktest_fail(t, __FILE__, __LINE__, "%s.%s: %#llx for %#llx (%c): \"%s\", not \"%s\"",
		    row->type, row->field, (unsigned long long)back, (unsigned long long)old,
		    letter, sound ? "sound" : v.what, row->names ? row->names : "sound");
	tally->values++;
	tally->named += !sound;
}

/* Plant each value in the first, a middle and the last element of an instance. */
static void plant_in(struct ktest *t, struct rich *r, const struct row *row, char *instance,
    char *other, u64 *seed, struct tally *tally)
{
	unsigned at[] = {0, row->nr / 2, row->nr - 1}, i;
	enum planted what;

	for (i = 0; i < ARRAY_SIZE(at); i++) {
		char *here = instance + row->offset + at[i] * row->size;
		char *there = other != instance
		    ? other + row->offset + at[i] * row->size
		    : instance + row->offset + (at[i] + 1) % row->nr * row->size;

		if (i && at[i] == at[i - 1])
			continue;
		for (what = ZERO; what < NR_PLANTED; what++)
			plant(t, r, row, here, value_of(row, here, there, what, seed),
			    letters[what], tally);
	}
}

static void plant_row(
    struct ktest *t, struct rich *r, const struct row *row, u64 *seed, struct tally *tally)
{
	unsigned nr = 0, step, i;
	struct mm_violation v;

	while (row->at(r, nr))
		nr++;
	if (!nr)
		ktest_fail(t, __FILE__, __LINE__, "%s.%s: no instance", row->type, row->field);
	/* All of a few instances, or the first, a middle and the last. */
	step = nr > 8 ? (nr - 1) / 2 : 1;
	for (i = 0; i < nr; i += step)
		plant_in(t, r, row, row->at(r, i), row->at(r, (i + 1) % nr), seed, tally);
	if (!rich_check(r, &v))
		ktest_fail(t, __FILE__, __LINE__, "%s.%s: afterwards \"%s\"", row->type, row->field,
		    v.what);
}

KTEST_SUITE(fields, KTEST_MOSTLY_INSIDE);

KTEST(every_field_is_checked_or_cannot_matter)
{
	u64 seed = t->seed | 1;
	struct tally tally = {0};
	struct mm_violation v;
	struct rich r;
	unsigned i;

	if (!rich_begin(t, &r))
		return;
	EXPECT(t, rich_check(&r, &v));
	for (i = 0; i < nr_rows; i++) {
		if (!rows[i].at)
			continue;
		tally.rows++;
		plant_row(t, &r, &rows[i], &seed, &tally);
	}
	printk("  # %u rows, %u values planted, %u named\n", tally.rows, tally.values, tally.named);
	rich_end(t, &r);
}

/* In a memory at rest, without operations that might explain them. */
KTEST(isolations_need_an_operation)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 4));
	struct zone *zone = test_zone(mem, ZONE_NORMAL);

	set_isolated(zone, zone->start_pfn, true);
	mem->nr_isolating = 0;
	expect_said(t, mem, "I-I6 isolated by nobody", __LINE__);
	set_isolated(zone, zone->start_pfn, false);
	mem->iso_pending++;
	expect_said(t, mem, "I-I6 isolations under way", __LINE__);
	mem->iso_pending--;
}

/* A zone whose pages a kernel request must not get. */
KTEST(kernel_requests_stay_out_of_movable)
{
	struct memory *mem = NEED(t, ktest_memory(t, 0, 4, 4));
	u16 *first = &mem->pcp[mem->nr_cpus - 1]->first[GFP_KERNEL], saved = *first;
	u8 *place = &mem->nodes[0].zonelist[ZONE_NORMAL][0];

	*first = (u16)zone_stack(test_zone(mem, ZONE_MOVABLE), 0, MT_UNMOVABLE);
	expect_said(t, mem, "I-P5 zone of a CPU's first stack", __LINE__);
	*first = saved;
	*place = ZONE_MOVABLE;
	expect_said(t, mem, "I-Z3 zone in a zonelist", __LINE__);
	*place = ZONE_NORMAL;
}
