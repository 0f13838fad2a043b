/* SPDX-License-Identifier: MIT */
/*
 * mce.h: machine checks: the banks of a CPU, and the response to their errors.
 *
 * arch/x86_64/mce_bank.c reads the registers; arch/x86_64/mce_decode.c decodes them and has the
 * ring in which records wait; kernel/mce.c acts on them.  docs/mm/poison.md describes all of it.
 */
#ifndef QUARRY_MCE_H
#define QUARRY_MCE_H

#include <quarry/mm_types.h>

/* Bits of MCG_CAP, MCG_STATUS, MCi_STATUS and MCi_MISC (SDM vol. 3B, 15.3). */
#define MCG_CAP_BANKS       0xffUL
#define MCE_MAX_BANKS       32U /* banks have MSRs 0x400 to 0x47f; 0x480 is another register */
#define MCG_CAP_CTL         (1UL << 8)
#define MCG_CAP_SER         (1UL << 24) /* the CPU supports recovery from some errors */
#define MCG_STATUS_RIPV     1UL         /* the interrupted program can continue */
#define MCG_STATUS_EIPV     2UL         /* the error belongs to the interrupted instruction */
#define MCG_STATUS_MCIP     4UL
#define MCE_VAL             (1UL << 63)
#define MCE_OVER            (1UL << 62) /* another error was lost */
#define MCE_UC              (1UL << 61) /* uncorrected */
#define MCE_EN              (1UL << 60) /* the error's report was enabled */
#define MCE_MISCV           (1UL << 59)
#define MCE_ADDRV           (1UL << 58)
#define MCE_PCC             (1UL << 57) /* the processor's state is corrupt */
#define MCE_S               (1UL << 56) /* reported by an exception */
#define MCE_AR              (1UL << 55) /* action required */
#define MCE_AMD_DEFERRED    (1UL << 44) /* AMD: uncorrected, not used yet; UC is clear then */
#define MCE_AMD_POISON      (1UL << 43) /* AMD: memory at this address is known to be broken */
#define MCE_CODE            0xffffUL
#define MCE_MISC_LSB(misc)  ((misc)&0x3f) /* lowest valid bit of the address */
#define MCE_MISC_MODE(misc) ((misc) >> 6 & 7)
#define MCE_MISC_PHYSICAL   2

/* One bank's registers. */
struct mce_bank {
	u64 status, address, misc;
};

/* The code that a machine check has interrupted. */
enum mce_from {
	MCE_FROM_KERNEL,
	MCE_FROM_COPY, /* a copy from or to user memory, which can fail */
	MCE_FROM_USER
};

/* Bits of mce_context.amd: those of CPUID 8000_0007 EBX (APM vol. 3, appendix E), and one more. */
#define MCE_AMD_OVERFLOW 0x1u        /* an error that is lost (OVER) is not fatal */
#define MCE_AMD_SUCCOR   0x2u        /* an error without PCC can be recovered from */
#define MCE_AMD_SMCA     0x8u        /* a bank's address may be of another space than memory's */
#define MCE_AMD          0x80000000u /* the CPU is AMD's */

/* What a verdict depends on besides the bank: the CPU, and what it was doing. */
struct mce_context {
	u64 cap, mcg_status; /* MCG_CAP, MCG_STATUS */
	u32 amd;             /* MCE_AMD, ...; 0: the CPU is not AMD's */
	bool polled;         /* no exception reported the bank */
	enum mce_from from;  /* unless polled */
};

enum mce_severity {
	MCE_NOTHING, /* no error, or one that another exception, or polling, will find */
	MCE_CORRECTED,
	MCE_DEFERRED, /* uncorrected, but needs no exception: the data was not used yet */
	MCE_OPTIONAL, /* as deferred, but found by scrubbing */
	MCE_REQUIRED, /* the interrupted code needs the data, so it must not simply continue */
	MCE_FATAL,
	NR_MCE_SEVERITIES
};

struct mce_verdict {
	enum mce_severity severity;
	pfn_t pfn;       /* the page affected; PFN_NONE: none, or unknown */
	const char *why; /* MCE_FATAL: the reason */
};

/*
 * mce_decode - decode the bank @b.  The registers may have any values.
 * Context: any, a machine check's handler too.
 */
struct mce_verdict mce_decode(const struct mce_bank *b, const struct mce_context *c);
/* A status as text: its flags and code, at most @size bytes with the final 0.  Returns @buf. */
const char *mce_text(u64 status, char *buf, size_t size);
/* "corrected", ...; "?" for an invalid number.  Any context. */
const char *mce_severity_name(unsigned severity);

/* ---- the ring: from the handler to the thread ---- */

struct mce_record {
	pfn_t pfn; /* as mce_verdict */
	u64 ip;    /* address of the interrupted code; 0: the bank was polled */
	u64 status;
	u32 cpu;
	u16 bank;
	u8 severity; /* enum mce_severity */
	bool ends;   /* the interrupted code cannot continue (no RIPV) */
};

#define MCE_RING_SIZE 256 /* power of 2 */

/*
 * A ring for one reader and any number of writers, which never wait for each other.  Zeroed memory
 * is an empty ring.
 */
struct mce_ring {
	u32 head; /* atomic: records begun */
	u32 tail; /* atomic: records taken; written by the reader */
	struct {
		u32 seq; /* atomic: number of the record, + 1, when it is complete */
		struct mce_record rec;
	} slot[MCE_RING_SIZE];
};

/*
 * Add a record.  False: only @spare slots are left.  Context: any, a machine check's handler too.
 */
bool mce_ring_put(struct mce_ring *ring, const struct mce_record *rec, unsigned spare) must_check;
/* Take the oldest record; false: none, or it is incomplete, and its writer will wake the thread. */
bool mce_ring_get(struct mce_ring *ring, struct mce_record *rec) must_check;
/* Would mce_ring_get return a record? Only for the reader. */
bool mce_ring_ready(const struct mce_ring *ring);

/* ---- pages with corrected errors ---- */

#define MCE_THRESHOLD 3                 /* the number of errors at which the page is retired */
#define MCE_FORGET_NS 86400000000000ULL /* a day without an error resets the count */
#define MCE_PAGES     64 /* pages counted; a new page replaces the page of the oldest error */

/* Zeroed memory is an empty table. */
struct mce_pages {
	struct {
		pfn_t pfn;
		u64 last;  /* time of the last error, ns */
		u32 count; /* 0: a free slot */
	} page[MCE_PAGES];
};

/*
 * Count @nr errors at @pfn; true: the threshold is reached, and the count starts again from 0.
 * @now: ns.  One caller at a time.
 */
bool mce_count(struct mce_pages *pages, pfn_t pfn, unsigned nr, u64 now);

/* ---- kernel/mce.c ---- */

/* Statistics, by severity and by result; letters: a atomic. */
struct mce_stats {
	u64 exceptions;               /* a: machine checks */
	u64 found[NR_MCE_SEVERITIES]; /* a: MCE_NOTHING: exceptions without an error here */
	u64 lost;                     /* a: corrected errors lost because the ring was full */
	u64 dealt;                    /* a: records acted on */
};
extern struct mce_stats mce_stats;

/*
 * Hand over a record.  False: the ring is full.  For a corrected error the result is true even
 * then: the error is only counted as lost.  The caller must call mce_wake afterwards.  Context: as
 * mce_ring_put.
 */
bool mce_post(const struct mce_record *rec) must_check;
/* Wake the thread.  Any context but a machine check's handler. */
void mce_wake(void);
/* Has the thread been started?  Any context. */
bool mce_started(void);
/* Start the thread.  Called once.  Returns 0 or -ENOMEM. */
int mce_start(void) must_check;
/*
 * Act on @rec, and print the result.  True: the page cannot be reached any more, so the interrupted
 * thread may try its access again and will get a fault.
 * Context: thread, may sleep, no lock held.
 */
bool mce_deal(const struct mce_record *rec);
/* For the prompt: print the banks of every CPU, and the statistics.  Context: thread. */
void mce_show(void);

/* ---- arch/x86_64/mce_bank.c ---- */

/*
 * This CPU has parked.  A machine check just before may have sent its interrupt to this CPU, which
 * takes none any more: send it to another one.  irqs off.
 */
void mce_parked(void);

/* Report and clear errors left in this CPU's banks, and enable all reports.  irqs off. */
void mce_init_cpu(void);
/* mce_context.amd of this CPU.  Any context. */
u32 mce_amd_features(void);
/*
 * Handle a machine check at @ip.
 * Returns NULL: the errors are handed over, and their banks are empty.  If the severity of *@hit is
 * MCE_REQUIRED, the interrupted code used *@hit's data.  A copy must fail.  A program's thread must
 * act on *@hit, which is not handed over, before it continues.
 * Or returns the reason why nothing can be done; then the banks are unchanged.  irqs off.
 */
const char *mce_exception(u64 ip, enum mce_from from, struct mce_record *hit);
/* Hand over those errors of this CPU that raise no exception.  irqs off. */
void mce_poll(void);
/* Print this CPU's banks, all of them or those with an error.  Any context. */
void mce_print_banks(bool all);
/* Does QEMU emulate the processor?  A real one, also under KVM, accepts no injected errors. */
bool mce_emulated(void);
/*
 * mce_inject - put @b into bank @bank of this CPU; with @mcg_status, raise a machine check.
 * Returns 0; -EOPNOTSUPP no such bank, or no emulator (mce_emulated).
 * Context: irqs off; not the handler.
 */
int mce_inject(unsigned bank, const struct mce_bank *b, u64 mcg_status);

#endif
