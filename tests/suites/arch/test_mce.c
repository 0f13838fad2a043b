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
#define FETCHED   (LOADED ^ 0x134 ^ 0x150)
#define DEFERRED  (BASE | MCE_UC | 0xc0)
#define BIT44     (1UL << 44)
#define POISON    (BASE | 1UL << 43)
#define RECOVERS  (MCE_AMD_OVERFLOW | MCE_AMD_SUCCOR | MCE_AMD_SMCA)
#define ROUNDS    200000

/* ---- the verdict ---- */

#define KERNEL(cap, mcg)                                                                           \
	{                                                                                          \
		(cap), (mcg), .from = MCE_FROM_KERNEL                                              \
	}
#define COPY(mcg)                                                                                  \
	{                                                                                          \
		CAP, (mcg), .from = MCE_FROM_COPY                                                  \
	}
#define USER(mcg)                                                                                  \
	{                                                                                          \
		CAP, (mcg), .from = MCE_FROM_USER                                                  \
	}
#define POLL(cap)                                                                                  \
	{                                                                                          \
		(cap), MCG_STATUS_RIPV, .polled = true                                             \
	}
/* AMD's CPUs have no SER; @bits: of mce_context.amd. */
#define AMD(bits, who)                                                                             \
	{                                                                                          \
		CAP & ~MCG_CAP_SER, HERE, MCE_AMD | (bits), .from = MCE_FROM_##who                 \
	}
#define AMD_GUEST(bits, who)                                                                       \
	{                                                                                          \
		CAP, HERE, MCE_AMD | (bits), .from = MCE_FROM_##who                                \
	}
#define AMD_POLL(bits)                                                                             \
	{                                                                                          \
		CAP & ~MCG_CAP_SER, MCG_STATUS_RIPV, MCE_AMD | (bits), .polled = true              \
	}

static const struct {
	u64 status, misc;
	struct mce_context context;
	enum mce_severity severity;
	bool page;
} known[] = {
    /* Register values of other machines, and values that an emulator was made to report. */
    {0, 0, KERNEL(CAP, HERE), MCE_NOTHING, false},
    {0x9c000000000000c0, PAGE_MISC, KERNEL(CAP, 0), MCE_CORRECTED, true},
    {0xbd000000000000cf, PAGE_MISC, KERNEL(CAP, ELSEWHERE), MCE_OPTIONAL, true},
    {0xbd80000000000134, PAGE_MISC, USER(HERE), MCE_REQUIRED, true},
    {0xa000000000000000, 0, KERNEL(CAP, ELSEWHERE), MCE_NOTHING, false},
    /* Each bit on which the verdict depends, flipped alone. */
    {SCRUBBED, PAGE_MISC, KERNEL(CAP, ELSEWHERE), MCE_OPTIONAL, true},
    {SCRUBBED & ~MCE_VAL, PAGE_MISC, KERNEL(CAP, ELSEWHERE), MCE_NOTHING, false},
    {SCRUBBED & ~MCE_UC, PAGE_MISC, KERNEL(CAP, ELSEWHERE), MCE_CORRECTED, true},
    {SCRUBBED & ~MCE_EN, PAGE_MISC, KERNEL(CAP, ELSEWHERE), MCE_NOTHING, false},
    {SCRUBBED & ~MCE_S, PAGE_MISC, KERNEL(CAP, ELSEWHERE), MCE_DEFERRED, true},
    {SCRUBBED & ~MCE_ADDRV, PAGE_MISC, KERNEL(CAP, ELSEWHERE), MCE_OPTIONAL, false},
    {SCRUBBED & ~MCE_MISCV, PAGE_MISC, KERNEL(CAP, ELSEWHERE), MCE_OPTIONAL, false},
    {SCRUBBED | MCE_PCC, PAGE_MISC, KERNEL(CAP, ELSEWHERE), MCE_FATAL, false},
    {SCRUBBED | MCE_OVER, PAGE_MISC, KERNEL(CAP, ELSEWHERE), MCE_OPTIONAL, true},
    {SCRUBBED, PAGE_MISC, KERNEL(CAP & ~MCG_CAP_SER, ELSEWHERE), MCE_FATAL, false},
    {LOADED, PAGE_MISC, USER(HERE), MCE_REQUIRED, true},
    {LOADED, PAGE_MISC, KERNEL(CAP, HERE), MCE_FATAL, false},
    {LOADED, PAGE_MISC, KERNEL(CAP, ELSEWHERE), MCE_OPTIONAL, true},
    {LOADED ^ 0x134 ^ 0x135, PAGE_MISC, USER(HERE), MCE_FATAL, false},
    {LOADED | MCE_OVER, PAGE_MISC, USER(HERE), MCE_FATAL, false},
    {LOADED & ~MCE_S, PAGE_MISC, USER(HERE), MCE_FATAL, false},
    {LOADED & ~MCE_ADDRV, PAGE_MISC, USER(HERE), MCE_REQUIRED, false},
    /* The CPU that used the data: EIPV, or not RIPV. */
    {LOADED, PAGE_MISC, USER(0), MCE_REQUIRED, true},
    {LOADED, PAGE_MISC, USER(MCG_STATUS_EIPV), MCE_REQUIRED, true},
    {FETCHED, PAGE_MISC, USER(0), MCE_REQUIRED, true},
    {FETCHED, PAGE_MISC, USER(HERE), MCE_REQUIRED, true},
    {FETCHED, PAGE_MISC, USER(ELSEWHERE), MCE_OPTIONAL, true},
    {FETCHED, PAGE_MISC, KERNEL(CAP, ELSEWHERE), MCE_OPTIONAL, true},
    {FETCHED, PAGE_MISC, KERNEL(CAP, 0), MCE_FATAL, false},
    /* A copy can fail if it can continue, and if its own instructions are intact. */
    {LOADED, PAGE_MISC, COPY(HERE), MCE_REQUIRED, true},
    {LOADED, PAGE_MISC, COPY(ELSEWHERE), MCE_OPTIONAL, true},
    {LOADED, PAGE_MISC, COPY(MCG_STATUS_EIPV), MCE_FATAL, false},
    {LOADED | MCE_OVER, PAGE_MISC, COPY(HERE), MCE_FATAL, false},
    {FETCHED, PAGE_MISC, COPY(HERE), MCE_FATAL, false},
    /* Polling finds what raises no exception, enabled or not. */
    {DEFERRED, PAGE_MISC, POLL(CAP), MCE_DEFERRED, true},
    {DEFERRED & ~MCE_EN, PAGE_MISC, POLL(CAP), MCE_DEFERRED, true},
    {SCRUBBED & ~MCE_EN, PAGE_MISC, POLL(CAP), MCE_DEFERRED, true},
    {(DEFERRED | MCE_PCC) & ~MCE_EN, PAGE_MISC, POLL(CAP), MCE_DEFERRED, false},
    {DEFERRED & ~MCE_EN, PAGE_MISC, POLL(CAP & ~MCG_CAP_SER), MCE_DEFERRED, true},
    {SCRUBBED & ~MCE_UC, PAGE_MISC, POLL(CAP), MCE_CORRECTED, true},
    {SCRUBBED, PAGE_MISC, POLL(CAP), MCE_NOTHING, false},
    {LOADED, PAGE_MISC, POLL(CAP), MCE_NOTHING, false},
    {DEFERRED | MCE_PCC, PAGE_MISC, POLL(CAP), MCE_NOTHING, false},
    {DEFERRED, PAGE_MISC, POLL(CAP & ~MCG_CAP_SER), MCE_NOTHING, false},
    /* The kind of address, and the number of its valid bits. */
    {SCRUBBED, 0x8d, KERNEL(CAP, ELSEWHERE), MCE_OPTIONAL, false},
    {SCRUBBED, 0x86, KERNEL(CAP, ELSEWHERE), MCE_OPTIONAL, true},
    {SCRUBBED, 0x4c, KERNEL(CAP, ELSEWHERE), MCE_OPTIONAL, false},
    /* Bit 12 filters corrected errors, and belongs to no code: memory's, a cache's. */
    {SCRUBBED | 0x1000, PAGE_MISC, KERNEL(CAP, ELSEWHERE), MCE_OPTIONAL, true},
    {SCRUBBED ^ 0xc0 ^ 0x1134, PAGE_MISC, KERNEL(CAP, ELSEWHERE), MCE_OPTIONAL, true},
    /* A cache's corrected error names no page, nor does a bus error's address. */
    {(SCRUBBED ^ 0xc0 ^ 0x134) & ~MCE_UC, PAGE_MISC, KERNEL(CAP, 0), MCE_CORRECTED, false},
    {SCRUBBED ^ 0xc0 ^ 0xe0f, PAGE_MISC, KERNEL(CAP, ELSEWHERE), MCE_OPTIONAL, false},
    /* Bit 44 is AMD's; other CPUs may count corrected errors there. */
    {BASE | BIT44 | 0x134, 0, AMD_POLL(0), MCE_DEFERRED, true},
    {BASE | BIT44 | 0x134, 0, AMD(0, KERNEL), MCE_DEFERRED, true},
    {BASE | BIT44 | 0x134, 0, AMD_POLL(MCE_AMD_SMCA), MCE_DEFERRED, false},
    {BASE | BIT44 | 0xc0, PAGE_MISC, POLL(CAP), MCE_CORRECTED, true},
    {BASE | 0xc0, 0, AMD_POLL(0), MCE_CORRECTED, true},
    {BASE | 0xc0, 0, AMD_POLL(MCE_AMD_SMCA), MCE_CORRECTED, false},
    /* AMD: bits 56 and 55 are not S and AR; only the program is lost if the CPU can recover. */
    {DEFERRED, 0, AMD(RECOVERS, USER), MCE_REQUIRED, false},
    {LOADED, 0, AMD(RECOVERS, USER), MCE_REQUIRED, false},
    {DEFERRED, 0, AMD(RECOVERS, KERNEL), MCE_FATAL, false},
    {DEFERRED, 0, AMD(RECOVERS, COPY), MCE_FATAL, false},
    {DEFERRED | MCE_PCC, 0, AMD(RECOVERS, USER), MCE_FATAL, false},
    {DEFERRED | MCE_OVER, 0, AMD(RECOVERS, USER), MCE_REQUIRED, false},
    {DEFERRED | MCE_OVER, 0, AMD(RECOVERS ^ MCE_AMD_OVERFLOW, USER), MCE_FATAL, false},
    {DEFERRED, 0, AMD(RECOVERS ^ MCE_AMD_SUCCOR, USER), MCE_FATAL, false},
    {DEFERRED, 0, AMD(RECOVERS ^ MCE_AMD_SMCA, USER), MCE_FATAL, false},
    {DEFERRED, 0, AMD_POLL(0), MCE_NOTHING, false},
    {DEFERRED & ~MCE_EN, 0, AMD_POLL(0), MCE_DEFERRED, true},
    {SCRUBBED & ~MCE_EN, 0, AMD(RECOVERS, USER), MCE_NOTHING, false},
    /* AMD: memory that broke, as QEMU 8.1 reports it to a guest on such a host. */
    {POISON | MCE_UC, PAGE_MISC, AMD_GUEST(MCE_AMD_SUCCOR, USER), MCE_REQUIRED, true},
    {POISON | MCE_UC, PAGE_MISC, AMD_GUEST(MCE_AMD_SUCCOR, COPY), MCE_FATAL, false},
    {POISON | MCE_UC, PAGE_MISC, AMD_GUEST(0, USER), MCE_FATAL, false},
    {POISON | MCE_UC, PAGE_MISC, USER(HERE), MCE_DEFERRED, false},
    {POISON | BIT44, PAGE_MISC, AMD_GUEST(0, USER), MCE_DEFERRED, true},
    {POISON | BIT44, PAGE_MISC, AMD_GUEST(MCE_AMD_SMCA, USER), MCE_DEFERRED, false},
};

KTEST_SUITE(mce, KTEST_QUICK);

KTEST(known_registers_are_decoded)
{
	for (unsigned i = 0; i < ARRAY_SIZE(known); i++) {
		struct mce_bank b = {known[i].status, ADDRESS, known[i].misc};
		struct mce_verdict v = mce_decode(&b, &known[i].context);
		pfn_t want = known[i].page ? ADDRESS >> PAGE_SHIFT : PFN_NONE;

		if (v.severity != known[i].severity || v.pfn != want)
			ktest_fail(t, __FILE__, __LINE__,
			    "status %lx, row %u: %s, pfn %#lx; not %s, pfn %#lx", b.status, i,
			    mce_severity_name(v.severity), v.pfn,
			    mce_severity_name(known[i].severity), want);
	}
}

/* Rules for every page number, written independently of mce_decode. */
static bool sound_page(
    const struct mce_bank *b, const struct mce_context *c, const struct mce_verdict *v)
{
	if (v->pfn == PFN_NONE)
		return true;
	if (v->severity == MCE_NOTHING || v->pfn >= PFN_NONE || !(b->status >> 58 & 1) ||
	    v->pfn != b->address >> 12 || c->amd & 8 ||
	    (c->polled && b->status >> 57 & 1 && b->status >> 61 & 1))
		return false;
	return !(c->cap >> 24 & 1) ||
	    (b->status >> 59 & 1 && (b->misc & 0x1ff) >> 6 == 2 && b->misc % 64 <= 12);
}

/* The same for every verdict. */
static bool sound(
    const struct mce_bank *b, const struct mce_context *c, const struct mce_verdict *v)
{
	bool valid = b->status >> 63, uncorrected = b->status >> 61 & 1,
	     enabled = b->status >> 60 & 1, corrupt = b->status >> 57 & 1,
	     required = b->status >> 55 & 1, deferred = c->amd && b->status >> 44 & 1,
	     poison = c->amd && b->status >> 43 & 1, ser = c->cap >> 24 & 1 && !poison;

	if ((v->severity == MCE_FATAL) != (v->why != NULL))
		return false;
	if (!valid)
		return v->severity == MCE_NOTHING;
	if (!uncorrected)
		return v->severity == (deferred ? MCE_DEFERRED : MCE_CORRECTED);
	if (c->polled)
		return v->severity == MCE_DEFERRED ? !enabled || (ser && !corrupt)
		                                   : v->severity == MCE_NOTHING && enabled;
	if (!enabled || v->severity == MCE_NOTHING || v->severity == MCE_CORRECTED)
		return !enabled && v->severity == MCE_NOTHING;
	if (v->severity == MCE_REQUIRED &&
	    (c->from == MCE_FROM_KERNEL || (c->from == MCE_FROM_COPY && !(c->mcg_status & 1)) ||
	        (ser && !required)))
		return false;
	/* Not fatal: the CPU's state is intact, and recovery is supported. */
	if (v->severity < MCE_FATAL)
		return !corrupt && (ser || (c->amd & 2 && (c->amd & 8 || poison))) &&
		    !(c->from == MCE_FROM_KERNEL && required && c->mcg_status & 2);
	return true;
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

KTEST(random_registers_are_decoded_soundly, KTEST_SLOW)
{
	unsigned seen[NR_MCE_SEVERITIES] = {0}, pages = 0;
	u64 rand = t->seed;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct mce_bank b = {any_register(&rand), ktest_rand(&rand), ktest_rand(&rand)};
		struct mce_context c = {any_register(&rand), ktest_rand(&rand) % 8,
		    ktest_rand(&rand) % 2 ? MCE_AMD | (ktest_rand(&rand) & RECOVERS) : 0,
		    !(ktest_rand(&rand) % 4), (enum mce_from)(ktest_rand(&rand) % 3)};
		struct mce_verdict v;

		if (ktest_rand(&rand) % 2)
			b.misc = PAGE_MISC;
		b.address >>= ktest_rand(&rand) % 64;
		v = mce_decode(&b, &c);
		if (v.severity >= NR_MCE_SEVERITIES || !sound(&b, &c, &v) ||
		    !sound_page(&b, &c, &v)) {
			ktest_fail(t, __FILE__, __LINE__,
			    "status %lx address %lx misc %lx cap %lx mcg %lx amd %x %s %u: %s, pfn "
			    "%#lx",
			    b.status, b.address, b.misc, c.cap, c.mcg_status, c.amd,
			    c.polled ? "polled" : "from", c.from, mce_severity_name(v.severity),
			    v.pfn);
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
KTEST(status_text_fits_its_buffer, KTEST_SLOW)
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

/* Each record comes out once, in order; a full ring accepts none. */
KTEST(ring_reports_full_and_empty)
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
KTEST(ring_keeps_records_of_many_writers, KTEST_SLOW)
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

KTEST(page_is_soft_offlined_at_the_error_threshold)
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
	/* More pages than places: the one without an error for the longest time is dropped. */
	for (pfn = 100; pfn < 100 + 2 * MCE_PAGES; pfn++) {
		EXPECT(t, !mce_count(&pages, pfn, 1, 2 * day + pfn));
		EXPECT(t, !mce_count(&pages, 50, pfn == 100, 2 * day + pfn));
	}
	EXPECT(t, mce_count(&pages, 50, MCE_THRESHOLD - 1, 2 * day + pfn));
	EXPECT(t, !mce_count(&pages, 100, MCE_THRESHOLD - 1, 2 * day + pfn));
	/* The clock of another CPU is slightly behind. */
	EXPECT(t, !mce_count(&pages, 60, MCE_THRESHOLD - 1, 4 * day));
	EXPECT(t, mce_count(&pages, 60, 1, 4 * day - 1));
}
