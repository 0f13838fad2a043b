/* SPDX-License-Identifier: MIT */
/*
 * mce.h: machine checks: what the banks of a CPU say, and what is done about it.
 *
 * arch/x86_64/mce_bank.c reads the registers; arch/x86_64/mce_decode.c says what they mean and keeps the ring in which
 * they wait; kernel/mce.c acts.  docs/mce.md tells the whole way.
 */
#ifndef QUARRY_MCE_H
#define QUARRY_MCE_H

#include <quarry/mm_types.h>

/* Bits of MCG_CAP, MCG_STATUS, MCi_STATUS and MCi_MISC (SDM vol. 3B, 15.3). */
#define MCG_CAP_BANKS   0xffUL
#define MCG_CAP_CTL     (1UL << 8)
#define MCG_CAP_SER     (1UL << 24) /* there are errors that can be survived */
#define MCG_STATUS_RIPV 1UL         /* the interrupted program can go on */
#define MCG_STATUS_EIPV 2UL         /* the error belongs to the interrupted instruction */
#define MCG_STATUS_MCIP 4UL
#define MCE_VAL   (1UL << 63)
#define MCE_OVER  (1UL << 62) /* another one was lost */
#define MCE_UC    (1UL << 61) /* uncorrected */
#define MCE_EN    (1UL << 60) /* it was to be reported */
#define MCE_MISCV (1UL << 59)
#define MCE_ADDRV (1UL << 58)
#define MCE_PCC   (1UL << 57) /* the processor's state is corrupt */
#define MCE_S     (1UL << 56) /* reported by an exception */
#define MCE_AR    (1UL << 55) /* action required */
#define MCE_CODE  0xffffUL
#define MCE_MISC_LSB(misc)  ((misc) & 0x3f)     /* lowest bit of the address that counts */
#define MCE_MISC_MODE(misc) ((misc) >> 6 & 7)
#define MCE_MISC_PHYSICAL   2

/* One bank's registers. */
struct mce_bank {
	u64 status, address, misc;
};

enum mce_severity {
	MCE_NOTHING,   /* nothing is there, or nothing that this CPU is meant by */
	MCE_CORRECTED,
	MCE_DEFERRED,  /* uncorrected; nobody has used it yet */
	MCE_OPTIONAL,  /* the same, found by who looks for it */
	MCE_REQUIRED,  /* the interrupted program needs it: it must not go on as if nothing had happened */
	MCE_FATAL,
	NR_MCE_SEVERITIES
};

struct mce_verdict {
	enum mce_severity severity;
	pfn_t pfn;        /* the page it is about; PFN_NONE: none, or it cannot be told */
	const char *why;  /* MCE_FATAL: why nothing can be done */
};

/*
 * mce_decode - what the bank @b says, on a CPU with that MCG_CAP and MCG_STATUS; @user: the exception came from
 * ring 3.  Registers may hold anything.  Context: any, a machine check's handler too.
 */
struct mce_verdict mce_decode(const struct mce_bank *b, u64 cap, u64 mcg_status, bool user);
/* The flags of a status and what its code says, as text of at most @size bytes with the 0.  Returns @buf. */
const char *mce_text(u64 status, char *buf, size_t size);
/* "corrected", ...; "?" for a number that is none.  Any context. */
const char *mce_severity_name(unsigned severity);

/* ---- the ring: from the handler to the thread ---- */

struct mce_record {
	pfn_t pfn;    /* as mce_verdict */
	u64 ip;       /* what was interrupted; 0: nothing, the bank was polled */
	u64 status;
	u32 cpu;
	u16 bank;
	u16 severity; /* enum mce_severity */
};

#define MCE_RING_SIZE 256 /* power of 2 */

/* Any number of writers, none of which waits for another; one reader.  Zeroed memory is an empty one. */
struct mce_ring {
	u32 head; /* a: records begun */
	u32 tail; /* a: records taken; written by the reader */
	struct {
		u32 seq; /* a: number of the record, + 1, once it is whole */
		struct mce_record rec;
	} slot[MCE_RING_SIZE];
};

/* Add a record unless only @spare places are left: then false.  Context: any, a machine check's handler too. */
bool mce_ring_put(struct mce_ring *ring, const struct mce_record *rec, unsigned spare) must_check;
/* Take the oldest one; false: none is there, or it is not whole yet, and its writer will say so. */
bool mce_ring_get(struct mce_ring *ring, struct mce_record *rec) must_check;
/* Would mce_ring_get return one?  The reader. */
bool mce_ring_ready(const struct mce_ring *ring);

/* ---- pages with corrected errors ---- */

#define MCE_THRESHOLD 3                 /* so many, and the page is given up */
#define MCE_FORGET_NS 86400000000000ULL /* a day without one, and they are forgotten */
#define MCE_PAGES     64                /* counted at a time; a new one replaces who was quiet longest */

/* Zeroed memory counts none. */
struct mce_pages {
	struct {
		pfn_t pfn;
		u64 last;   /* when, ns */
		u32 count;  /* 0: the place is free */
	} page[MCE_PAGES];
};

/* @nr more at @pfn; true: that is enough, and it is counted no more.  @now: ns.  One caller at a time. */
bool mce_count(struct mce_pages *pages, pfn_t pfn, unsigned nr, u64 now);

/* ---- kernel/mce.c ---- */

/* What has happened, by severity, and what came of it; letters: a atomic. */
struct mce_stats {
	u64 exceptions;               /* a: machine checks */
	u64 found[NR_MCE_SEVERITIES]; /* a: by severity; MCE_NOTHING: banks of CPUs that were only told */
	u64 lost;                     /* a: corrected ones there was no room for */
	u64 dealt;                    /* a: records acted on */
};
extern struct mce_stats mce_stats;

/*
 * Hand over what was found.  False: there is no room; of a corrected one that is counted, and true.
 * mce_wake must follow.  Context: as mce_ring_put.
 */
bool mce_post(const struct mce_record *rec) must_check;
/* Have the thread look.  Any context but a machine check's handler. */
void mce_wake(void);
/* Does anybody look?  Any context. */
bool mce_started(void);
/* Start the thread; once.  0 or -ENOMEM. */
int mce_start(void) must_check;
/*
 * Do what is to be done about @rec, and print it.  True: nobody can reach the page any more, so who was to use
 * it may try again and will find out.  Context: thread, may sleep, no lock held.
 */
bool mce_deal(const struct mce_record *rec);
/* For the prompt: the banks of every CPU, what happened so far.  Context: thread. */
void mce_show(void);

/* ---- arch/x86_64/mce_bank.c ---- */

/* This CPU's banks: report what was left in them, clear them, turn all reports on.  irqs off. */
void mce_init_cpu(void);
/*
 * A machine check at @ip.  Returns NULL: what the banks held is handed over, and they are empty; with a @hit, if
 * its severity is MCE_REQUIRED the interrupted thread must deal with it before it goes on (@hit: NULL unless it
 * came from ring 3).  Or why nothing can be done; then the banks are as they were.  irqs off.
 */
const char *mce_exception(u64 ip, struct mce_record *hit);
/* Corrected errors of this CPU, which raise no exception: hand them over.  irqs off. */
void mce_poll(void);
/* Print this CPU's banks, all of them or those that hold something.  Any context. */
void mce_print_banks(bool all);
/*
 * mce_inject - put @b into bank @bank of this CPU; with @mcg_status, raise a machine check.
 * Returns 0; -EOPNOTSUPP no such bank, or this is no emulator: a real CPU does not let itself be told.
 * Context: irqs off; not the handler.
 */
int mce_inject(unsigned bank, const struct mce_bank *b, u64 mcg_status);

#endif
