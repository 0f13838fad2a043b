/* SPDX-License-Identifier: MIT */
/*
 * test_mce.c: decoding a machine check's registers, for any values; the ring of records; the counts
 * of corrected errors.
 */
#include <quarry/ktest.h>
#include <quarry/mce.h>
#include <quarry/string.h>

#define CAP       (MCG_CAP_SER | MCG_CAP_CTL | 10)
#define HERE      (MCG_STATUS_RIPV | MCG_STATUS_EIPV | MCG_STATUS_MCIP)
#define ELSEWHERE (MCG_STATUS_RIPV | MCG_STATUS_MCIP)
#define ADDRESS   0x12345678UL
#define PAGE_MISC 0x8cUL /* physical; the low 12 bits have no meaning */
#define BASE      (MCE_VAL | MCE_EN | MCE_MISCV | MCE_ADDRV)
#define SCRUBBED  (BASE | MCE_UC | MCE_S | 0xc0)
#define LOADED    (BASE | MCE_UC | MCE_S | MCE_AR | 0x134)
#define ROUNDS    200000

/* ---- the verdict ---- */

static const struct {
	u64 status, misc, cap, mcg_status;
	bool user;
	enum mce_severity severity;
	bool page;
} known[] = {
    /* Register values of other machines, and values that an emulator was made to report. */
    {0, 0, CAP, HERE, false, MCE_NOTHING, false},
    {0x9c000000000000c0, PAGE_MISC, CAP, 0, false, MCE_CORRECTED, true},
    {0xbd000000000000cf, PAGE_MISC, CAP, ELSEWHERE, false, MCE_OPTIONAL, true},
    {0xbd80000000000134, PAGE_MISC, CAP, HERE, true, MCE_REQUIRED, true},
    {0xa000000000000000, 0, CAP, ELSEWHERE, false, MCE_NOTHING, false},
    /* Each bit on which the verdict depends, flipped alone. */
    {SCRUBBED, PAGE_MISC, CAP, ELSEWHERE, false, MCE_OPTIONAL, true},
    {SCRUBBED & ~MCE_VAL, PAGE_MISC, CAP, ELSEWHERE, false, MCE_NOTHING, false},
    {SCRUBBED & ~MCE_UC, PAGE_MISC, CAP, ELSEWHERE, false, MCE_CORRECTED, true},
    {SCRUBBED & ~MCE_EN, PAGE_MISC, CAP, ELSEWHERE, false, MCE_NOTHING, false},
    {SCRUBBED & ~MCE_S, PAGE_MISC, CAP, ELSEWHERE, false, MCE_DEFERRED, true},
    {SCRUBBED & ~MCE_ADDRV, PAGE_MISC, CAP, ELSEWHERE, false, MCE_OPTIONAL, false},
    {SCRUBBED & ~MCE_MISCV, PAGE_MISC, CAP, ELSEWHERE, false, MCE_OPTIONAL, false},
    {SCRUBBED | MCE_PCC, PAGE_MISC, CAP, ELSEWHERE, false, MCE_FATAL, false},
    {SCRUBBED | MCE_OVER, PAGE_MISC, CAP, ELSEWHERE, false, MCE_OPTIONAL, true},
    {SCRUBBED, PAGE_MISC, CAP & ~MCG_CAP_SER, ELSEWHERE, false, MCE_FATAL, false},
    {LOADED, PAGE_MISC, CAP, HERE, true, MCE_REQUIRED, true},
    {LOADED, PAGE_MISC, CAP, HERE, false, MCE_FATAL, false},
    {LOADED, PAGE_MISC, CAP, ELSEWHERE, false, MCE_OPTIONAL, true},
    {LOADED ^ 0x134 ^ 0x150, PAGE_MISC, CAP, ELSEWHERE, true, MCE_REQUIRED, true},
    {LOADED ^ 0x134 ^ 0x150, PAGE_MISC, CAP, ELSEWHERE, false, MCE_FATAL, false},
    {LOADED ^ 0x134 ^ 0x135, PAGE_MISC, CAP, HERE, true, MCE_FATAL, false},
    {LOADED | MCE_OVER, PAGE_MISC, CAP, HERE, true, MCE_FATAL, false},
    {LOADED & ~MCE_S, PAGE_MISC, CAP, HERE, true, MCE_FATAL, false},
    {LOADED & ~MCE_ADDRV, PAGE_MISC, CAP, HERE, true, MCE_REQUIRED, false},
    /* The kind of address, and the number of its valid bits. */
    {SCRUBBED, 0x8d, CAP, ELSEWHERE, false, MCE_OPTIONAL, false},
    {SCRUBBED, 0x86, CAP, ELSEWHERE, false, MCE_OPTIONAL, true},
    {SCRUBBED, 0x4c, CAP, ELSEWHERE, false, MCE_OPTIONAL, false},
    /* Bit 12 filters corrected errors, and belongs to no code: memory's, a cache's. */
    {SCRUBBED | 0x1000, PAGE_MISC, CAP, ELSEWHERE, false, MCE_OPTIONAL, true},
    {SCRUBBED ^ 0xc0 ^ 0x1134, PAGE_MISC, CAP, ELSEWHERE, false, MCE_OPTIONAL, true},
    /* A cache's corrected error names no page, nor does a bus error's address. */
    {(SCRUBBED ^ 0xc0 ^ 0x134) & ~MCE_UC, PAGE_MISC, CAP, 0, false, MCE_CORRECTED, false},
    {SCRUBBED ^ 0xc0 ^ 0xe0f, PAGE_MISC, CAP, ELSEWHERE, false, MCE_OPTIONAL, false},
};

static void known_registers_are_decoded(struct ktest *t)
{
	for (unsigned i = 0; i < ARRAY_SIZE(known); i++) {
		struct mce_bank b = {known[i].status, ADDRESS, known[i].misc};
		struct mce_verdict v =
		    mce_decode(&b, known[i].cap, known[i].mcg_status, known[i].user);
		pfn_t want = known[i].page ? ADDRESS >> PAGE_SHIFT : PFN_NONE;

		if (v.severity != known[i].severity || v.pfn != want)
			ktest_fail(t, __FILE__, __LINE__,
			    "status %lx, row %u: %s, pfn %#lx; not %s, pfn %#lx", b.status, i,
			    mce_severity_name(v.severity), v.pfn,
			    mce_severity_name(known[i].severity), want);
	}
}

/* A register with any bits, few or many; or a known status with one or two bits flipped. */
static u64 any_register(u64 *rand)
{
	u64 a = ktest_rand(rand), b = ktest_rand(rand);

	switch (ktest_rand(rand) % 4) {
	case 0: return a;
	case 1: return a & b;
	case 2: return a | b;
	default:
		return a % 8 ? SCRUBBED ^ (1UL << (a >> 3) % 64) ^ (1UL << (b % 64))
		             : LOADED ^ (1UL << b % 64);
	}
}

/* Rules for every verdict, written independently of mce_decode. */
static bool sound(
    const struct mce_bank *b, u64 cap, u64 mcg_status, bool user, const struct mce_verdict *v)
{
	bool valid = b->status >> 63, uncorrected = b->status >> 61 & 1,
	     enabled = b->status >> 60 & 1;

	if ((v->severity == MCE_FATAL) != (v->why != NULL))
		return false;
	if (v->severity == MCE_CORRECTED ? !valid || uncorrected
	                                 : v->severity != MCE_NOTHING && !(uncorrected && enabled))
		return false;
	if (v->severity == MCE_REQUIRED && !(user && b->status >> 55 & 1))
		return false;
	/*
	 * After an error that is not fatal, the CPU's state must be intact and recovery supported.
	 */
	if (v->severity > MCE_CORRECTED && v->severity < MCE_FATAL &&
	    (b->status >> 57 & 1 || !(cap >> 24 & 1)))
		return false;
	if (valid && uncorrected && enabled && !user && b->status >> 55 & 1 && mcg_status & 2 &&
	    v->severity != MCE_FATAL)
		return false;
	if (v->pfn == PFN_NONE)
		return true;
	return v->severity != MCE_NOTHING && v->pfn < PFN_NONE && b->status >> 58 & 1 &&
	    v->pfn == b->address >> 12 &&
	    (!(cap >> 24 & 1) ||
	        (b->status >> 59 & 1 && (b->misc & 0x1ff) >> 6 == 2 && b->misc % 64 <= 12));
}

static void random_registers_are_decoded_soundly(struct ktest *t)
{
	unsigned seen[NR_MCE_SEVERITIES] = {0}, pages = 0;
	u64 rand = t->seed;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct mce_bank b = {any_register(&rand), ktest_rand(&rand), ktest_rand(&rand)};
		u64 cap = any_register(&rand), mcg_status = ktest_rand(&rand) % 8;
		bool user = ktest_rand(&rand) % 2;
		struct mce_verdict v;

		if (ktest_rand(&rand) % 2)
			b.misc = PAGE_MISC;
		b.address >>= ktest_rand(&rand) % 64;
		v = mce_decode(&b, cap, mcg_status, user);
		if (v.severity >= NR_MCE_SEVERITIES || !sound(&b, cap, mcg_status, user, &v)) {
			ktest_fail(t, __FILE__, __LINE__,
			    "status %lx address %lx misc %lx cap %lx mcg %lx %s: %s, pfn %#lx",
			    b.status, b.address, b.misc, cap, mcg_status, user ? "user" : "kernel",
			    mce_severity_name(v.severity), v.pfn);
			return;
		}
		seen[v.severity]++;
		pages += v.pfn != PFN_NONE;
	}
	for (unsigned i = 0; i < NR_MCE_SEVERITIES; i++)
		EXPECT(t, seen[i] > 0);
	EXPECT(t, pages > 0);
}

/* The text ends within its buffer, whatever the status and however small the buffer. */
static void status_text_fits_its_buffer(struct ktest *t)
{
	char buf[128];
	u64 rand = t->seed;

	for (unsigned i = 0; i < 20000; i++) {
		size_t size = ktest_rand(&rand) % 100;
		u64 status = any_register(&rand);

		memset(buf, '#', sizeof(buf));
		EXPECT(t, mce_text(status, buf, size) == buf);
		EXPECT_EQ(t, buf[size], '#');
		if (size && strlen(buf) >= size)
			ktest_fail(t, __FILE__, __LINE__, "status %lx, %lu bytes: does not end",
			    status, (unsigned long)size);
	}
	EXPECT(t,
	    !strcmp(mce_text(0xbd000000000000cf, buf, sizeof(buf)),
	        "VAL UC EN MISCV ADDRV S code 0x00cf memory, found by scrubbing"));
	EXPECT(t,
	    !strcmp(mce_text(0xbd80000000000134, buf, sizeof(buf)),
	        "VAL UC EN MISCV ADDRV S AR code 0x0134 data load"));
	EXPECT(t, !strcmp(mce_severity_name(NR_MCE_SEVERITIES), "?"));
}

/* ---- the ring ---- */

static struct mce_ring ring;
static u32 writers; /* atomic: writers that have not ended */

static void empty_ring(void)
{
	struct mce_record rec;

	while (mce_ring_get(&ring, &rec))
		;
}

/*
 * Fill and empty the ring several times. Each record comes out once, in order; a full ring accepts
 * no record.
 */
static void ring_reports_full_and_empty(struct ktest *t)
{
	struct mce_record rec = {.pfn = 0};
	unsigned round, i;

	empty_ring();
	for (round = 0; round < 3; round++) {
		for (i = 0; i < MCE_RING_SIZE; i++) {
			rec.pfn = i;
			EXPECT_EQ(
			    t, mce_ring_put(&ring, &rec, MCE_RING_SIZE / 2), i < MCE_RING_SIZE / 2);
			EXPECT_EQ(t, i < MCE_RING_SIZE / 2 || mce_ring_put(&ring, &rec, 0), true);
		}
		EXPECT(t, !mce_ring_put(&ring, &rec, 0));
		for (i = 0; i < MCE_RING_SIZE; i++) {
			EXPECT(t, mce_ring_ready(&ring));
			EXPECT(t, mce_ring_get(&ring, &rec));
			EXPECT_EQ(t, rec.pfn, i);
		}
		EXPECT(t, !mce_ring_ready(&ring));
		EXPECT(t, !mce_ring_get(&ring, &rec));
		/* One record more, so that the next round begins at another place of the ring. */
		EXPECT(t, mce_ring_put(&ring, &rec, 0) && mce_ring_get(&ring, &rec));
	}
}

#define EACH 3000

static void write_many(void *arg)
{
	struct mce_record rec = {.cpu = arch_cpu_id()};

	for (rec.pfn = 0; rec.pfn < EACH; rec.pfn++) {
		rec.ip = rec.status = ~rec.pfn;
		while (!mce_ring_put(&ring, &rec, 0)) {
			cpu_relax();
			thread_yield();
		}
	}
	atomic_sub(&writers, 1u);
}

/* Each writer's records arrive whole and in its order, and none is lost. */
static void ring_keeps_records_of_many_writers(struct ktest *t)
{
	unsigned cpu, nr = ktest_cpus(), got = 0, want[8] = {0};
	struct mce_record rec;

	empty_ring();
	atomic_add(&writers, nr);
	for (cpu = 0; cpu < nr; cpu++)
		ktest_start(cpu, write_many, NULL);
	while (got < nr * EACH) {
		if (!mce_ring_get(&ring, &rec)) {
			if (!load_acquire(&writers) && !mce_ring_ready(&ring))
				break;
			cpu_relax();
			thread_yield();
			continue;
		}
		got++;
		if (rec.cpu >= nr || rec.pfn != want[rec.cpu]++ || rec.ip != ~rec.pfn ||
		    rec.status != rec.ip) {
			ktest_fail(t, __FILE__, __LINE__,
			    "CPU %u, record %lu: not whole, or not in order", rec.cpu, rec.pfn);
			break;
		}
	}
	EXPECT_EQ(t, got, nr * EACH);
	/* After a failure, writers may still wait for a free place. */
	while (load_acquire(&writers)) {
		empty_ring();
		thread_yield();
	}
	for (cpu = 0; cpu < nr; cpu++)
		ktest_join(cpu);
}

/* ---- corrected errors ---- */

static void page_is_soft_offlined_at_the_error_threshold(struct ktest *t)
{
	static struct mce_pages pages;
	const u64 day = MCE_FORGET_NS;
	pfn_t pfn;
	unsigned i;

	memset(&pages, 0, sizeof(pages));
	/* Errors of other pages in between do not count. */
	for (i = 1; i < MCE_THRESHOLD; i++) {
		EXPECT(t, !mce_count(&pages, 7, 1, i));
		EXPECT(t, !mce_count(&pages, 8, 1, i));
	}
	EXPECT(t, mce_count(&pages, 7, 1, i));
	EXPECT(t, !mce_count(&pages, 7, 1, i)); /* the count starts again */
	EXPECT(t, mce_count(&pages, 9, MCE_THRESHOLD, i));
	/* After a day without an error the count is forgotten. */
	EXPECT(t, !mce_count(&pages, 8, MCE_THRESHOLD - 1, 2 * day));
	/*
	 * There are more pages than places. The page dropped is the one without an error for the
	 * longest time.
	 */
	for (pfn = 100; pfn < 100 + 2 * MCE_PAGES; pfn++) {
		EXPECT(t, !mce_count(&pages, pfn, 1, 2 * day + pfn));
		EXPECT(t, !mce_count(&pages, 50, pfn == 100, 2 * day + pfn));
	}
	EXPECT(t, mce_count(&pages, 50, MCE_THRESHOLD - 1, 2 * day + pfn));
	EXPECT(t, !mce_count(&pages, 100, MCE_THRESHOLD - 1, 2 * day + pfn));
}

KTEST_SUITE(mce, KTEST_QUICK, KTEST(known_registers_are_decoded),
    KTEST(random_registers_are_decoded_soundly, KTEST_SLOW),
    KTEST(status_text_fits_its_buffer, KTEST_SLOW), KTEST(ring_reports_full_and_empty),
    KTEST(ring_keeps_records_of_many_writers, KTEST_SLOW),
    KTEST(page_is_soft_offlined_at_the_error_threshold));
