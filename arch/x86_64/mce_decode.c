/* SPDX-License-Identifier: MIT */
/*
 * mce_decode.c: decoding the registers of a machine check; the ring in which records wait; counting
 * corrected errors by page.
 *
 * Owns:       nothing: all data is the caller's.
 * Locks:      none: mce_ring_put is called where the interrupted code may hold any lock.
 * Invariants: any value of any register has exactly one verdict; a verdict has a page number only
 *             if all fields that it is taken from are marked valid.
 *             The reader sees a record completely or not at all; a slot is overwritten only after
 *             it was read.
 * Tests:      mce.
 *
 * Kinds of errors: SDM vol. 3B, 15.6.3, and APM vol. 2, 9.3; codes: SDM 15.9.
 */
#include <quarry/console.h>
#include <quarry/mce.h>
#include <quarry/port.h>

/* Compound codes and their masks; bit 12 is a filter bit (15.9.2.1). */
#define CODE_MEMORY      0x0080U /* memory controller: 000F 0000 1MMM CCCC */
#define CODE_MEMORY_MASK 0xef80U
#define CODE_CACHE       0x0100U /* cache: 000F 0001 RRRR TTLL */
#define CODE_CACHE_MASK  0xef00U
#define CODE_SCRUB       0x00c0U /* a memory controller's error that was found by scrubbing */
#define CODE_SCRUB_MASK  0xeff0U
#define CODE_DATA_LOAD   0x0134U
#define CODE_FETCH       0x0150U
#define CODE_WRITEBACK   0x017aU

static unsigned code_of(u64 status)
{
	return (unsigned)(status & MCE_CODE);
}

/* Is the error in memory itself, so that the page is affected? */
static bool of_memory(unsigned code)
{
	return (code & CODE_MEMORY_MASK) == CODE_MEMORY;
}

/* Is the page's content damaged, wherever the error was found? */
static bool of_content(unsigned code)
{
	return of_memory(code) || (code & CODE_CACHE_MASK) == CODE_CACHE;
}

/*
 * On an AMD host a hypervisor reports broken memory like this, without a code and without S and AR,
 * although it may set SER.
 */
static bool is_poison(u64 status, const struct mce_context *c)
{
	return c->amd && status & MCE_AMD_POISON;
}

/* If the CPU has SER, MISC has the kind of address and the number of invalid low bits in it. */
static pfn_t bank_pfn(const struct mce_bank *b, const struct mce_context *c)
{
	pfn_t pfn = b->address >> PAGE_SHIFT;

	if (!(b->status & MCE_ADDRV) || pfn >= PFN_NONE || c->amd & MCE_AMD_SMCA)
		return PFN_NONE;
	if (!(c->cap & MCG_CAP_SER))
		return pfn;
	if (!(b->status & MCE_MISCV) || MCE_MISC_MODE(b->misc) != MCE_MISC_PHYSICAL)
		return PFN_NONE;
	/* If more than a page is affected, the page is unknown. */
	return MCE_MISC_LSB(b->misc) <= PAGE_SHIFT ? pfn : PFN_NONE;
}

static struct mce_verdict fatal(const char *why)
{
	return (struct mce_verdict){MCE_FATAL, PFN_NONE, why};
}

static struct mce_verdict verdict(enum mce_severity severity, pfn_t pfn)
{
	return (struct mce_verdict){severity, pfn, NULL};
}

/* Decode an error in data that the interrupted code has used, or was about to use. */
static struct mce_verdict decode_required(u64 status, const struct mce_context *c, pfn_t pfn)
{
	unsigned code = code_of(status);
	bool resumes = c->mcg_status & MCG_STATUS_RIPV;

	/* The other CPU of the core, which shares the bank, has used the data (table 15-20). */
	if (resumes && !(c->mcg_status & MCG_STATUS_EIPV))
		return verdict(MCE_OPTIONAL, pfn);
	if (status & MCE_OVER)
		return fatal("action required, and another error was lost (OVER)");
	if (code != CODE_DATA_LOAD && code != CODE_FETCH)
		return fatal("action required for an unknown error");
	if (c->from == MCE_FROM_USER ||
	    (c->from == MCE_FROM_COPY && resumes && code == CODE_DATA_LOAD))
		return verdict(MCE_REQUIRED, pfn);
	return fatal("action required in the kernel");
}

/* Decode an error that its CPU cannot call recoverable: it has no bits S and AR. */
static struct mce_verdict decode_without_ser(u64 status, const struct mce_context *c, pfn_t pfn)
{
	if (!(c->amd & MCE_AMD_SUCCOR) || !(c->amd & MCE_AMD_SMCA || is_poison(status, c)))
		return fatal("uncorrected, on a CPU that knows no recovery");
	if (status & MCE_OVER && !(c->amd & MCE_AMD_OVERFLOW))
		return fatal("uncorrected, and another error was lost (OVER)");
	return c->from == MCE_FROM_USER ? verdict(MCE_REQUIRED, pfn)
	                                : fatal("uncorrected, in the kernel");
}

/* Decode an uncorrected error.  EN: the bank was enabled to raise an exception for it. */
static struct mce_verdict decode_uncorrected(u64 status, const struct mce_context *c, pfn_t pfn)
{
	bool ser = c->cap & MCG_CAP_SER && !is_poison(status, c);

	if (c->polled) {
		/* An exception reports it, or has just been raised. */
		if (status & MCE_EN && (!ser || status & (MCE_PCC | MCE_S)))
			return verdict(MCE_NOTHING, PFN_NONE);
		return verdict(MCE_DEFERRED, status & MCE_PCC ? PFN_NONE : pfn);
	}
	/* The exception has another cause, or is the broadcast of another CPU's. */
	if (!(status & MCE_EN))
		return verdict(MCE_NOTHING, PFN_NONE);
	if (status & MCE_PCC)
		return fatal("the processor's state is corrupt (PCC)");
	if (!ser)
		return decode_without_ser(status, c, pfn);
	if (status & MCE_AR && !(status & MCE_S))
		return fatal("action required, but not signalled: reserved");
	if (status & MCE_AR)
		return decode_required(status, c, pfn);
	return verdict(status & MCE_S ? MCE_OPTIONAL : MCE_DEFERRED, pfn);
}

struct mce_verdict mce_decode(const struct mce_bank *b, const struct mce_context *c)
{
	unsigned code = code_of(b->status);
	pfn_t pfn = of_content(code) || is_poison(b->status, c) ? bank_pfn(b, c) : PFN_NONE;

	if (!(b->status & MCE_VAL))
		return verdict(MCE_NOTHING, PFN_NONE);
	if (b->status & MCE_UC)
		return decode_uncorrected(b->status, c, pfn);
	if (c->amd && b->status & MCE_AMD_DEFERRED)
		return verdict(MCE_DEFERRED, pfn);
	return verdict(MCE_CORRECTED, of_memory(code) ? pfn : PFN_NONE);
}

/* ---- as text ---- */

static const char *code_text(unsigned code)
{
	if ((code & CODE_SCRUB_MASK) == CODE_SCRUB)
		return "memory, found by scrubbing";
	if (of_memory(code))
		return "memory";
	switch (code) {
	case 0: return "no error";
	case 1: return "unclassified";
	case 2: return "microcode";
	case 3: return "external";
	case CODE_DATA_LOAD: return "data load";
	case CODE_FETCH: return "instruction fetch";
	case CODE_WRITEBACK: return "write-back of a cache";
	default: break;
	}
	if ((code & CODE_CACHE_MASK) == CODE_CACHE)
		return "cache";
	if ((code & 0xe800) == 0x0800)
		return "bus or interconnect";
	return (code & 0xeff0) == 0x0010 ? "TLB" : "of the model";
}

const char *mce_text(u64 status, char *buf, size_t size)
{
	static const struct {
		u64 bit;
		const char *name;
	} flags[] = {
	    {MCE_VAL, "VAL"},
	    {MCE_OVER, "OVER"},
	    {MCE_UC, "UC"},
	    {MCE_EN, "EN"},
	    {MCE_MISCV, "MISCV"},
	    {MCE_ADDRV, "ADDRV"},
	    {MCE_PCC, "PCC"},
	    {MCE_S, "S"},
	    {MCE_AR, "AR"},
	};
	size_t used = 0;

	if (!size)
		return buf;
	buf[0] = '\0';
	for (unsigned i = 0; i < ARRAY_SIZE(flags); i++) {
		if (status & flags[i].bit && used < size)
			used += (size_t)ksnprintf(buf + used, size - used, "%s ", flags[i].name);
	}
	if (used < size)
		ksnprintf(buf + used, size - used, "code 0x%04x %s", code_of(status),
		    code_text(code_of(status)));
	return buf;
}

const char *mce_severity_name(unsigned severity)
{
	static const char *const names[NR_MCE_SEVERITIES] = {
	    [MCE_NOTHING] = "nothing",
	    [MCE_CORRECTED] = "corrected",
	    [MCE_DEFERRED] = "deferred",
	    [MCE_OPTIONAL] = "action optional",
	    [MCE_REQUIRED] = "action required",
	    [MCE_FATAL] = "fatal",
	};

	return severity < NR_MCE_SEVERITIES ? names[severity] : "?";
}

/* ---- the ring ---- */

/*
 * The tail is read before the head, so their difference is never below the number of records.  It
 * may be above if the reader took records in between, so the ring counts as full only if the tail
 * has not moved.  The acquire pairs with the release in mce_ring_get: the slot's old record has
 * been read.
 */
bool mce_ring_put(struct mce_ring *ring, const struct mce_record *rec, unsigned spare)
{
	u32 head, tail;

	do {
		tail = load_acquire(&ring->tail);
		head = load_acquire(&ring->head);
		if (head - tail >= MCE_RING_SIZE - spare) {
			if (load_acquire(&ring->tail) == tail)
				return false;
			continue;
		}
		if (atomic_cas(&ring->head, head, head + 1))
			break;
	} while (true);
	ring->slot[head % MCE_RING_SIZE].rec = *rec;
	store_release(&ring->slot[head % MCE_RING_SIZE].seq, head + 1);
	return true;
}

bool mce_ring_ready(const struct mce_ring *ring)
{
	u32 tail = READ_ONCE(ring->tail);

	return load_acquire(&ring->slot[tail % MCE_RING_SIZE].seq) == tail + 1;
}

bool mce_ring_get(struct mce_ring *ring, struct mce_record *rec)
{
	u32 tail = READ_ONCE(ring->tail);

	if (!mce_ring_ready(ring))
		return false;
	*rec = ring->slot[tail % MCE_RING_SIZE].rec;
	store_release(&ring->tail, tail + 1);
	return true;
}

/* ---- corrected errors, by page ---- */

bool mce_count(struct mce_pages *pages, pfn_t pfn, unsigned nr, u64 now)
{
	unsigned i, at = 0;

	for (i = 0; i < MCE_PAGES; i++) {
		if (pages->page[i].count && pages->page[i].pfn == pfn)
			break;
		/*
		 * Remember a free slot or, if there is none, the page whose last error is oldest.
		 */
		if (pages->page[at].count &&
		    (!pages->page[i].count || pages->page[i].last < pages->page[at].last))
			at = i;
	}
	if (i < MCE_PAGES)
		at = i;
	/* Another CPU's clock may be slightly behind. */
	if (i == MCE_PAGES || now > pages->page[at].last + MCE_FORGET_NS)
		pages->page[at].count = 0;
	pages->page[at].pfn = pfn;
	pages->page[at].last = now;
	pages->page[at].count += nr;
	if (pages->page[at].count < MCE_THRESHOLD)
		return false;
	pages->page[at].count = 0;
	return true;
}
