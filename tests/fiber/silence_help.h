/* SPDX-License-Identifier: MIT */
/*
 * silence_help.h: the form of the suites in which a CPU, a pager, a device or a lock's holder is
 * silent: rows, each an operation, its result and its time.
 *
 *   KTEST(nobody_answers)
 *   ROWS("silence 2; down 2 = -EIO @10s; 3> read 1 = -ETIMEDOUT @5s; up 2 = -EIO; join")
 *
 * A row is [CPU>] [panics [WORDS]] VERB [VALUE]... [= RESULT] [@ TIME [+ SLACK]].  It is done by
 * this thread, or with CPU> (*>: any CPU) by a thread of its own, for which "join" waits.  Its
 * result is 0 unless the row says otherwise, also by >=, <= or !=.  It takes TIME, 0 unless given,
 * and less than SLACK more; with @? any time.  With "panics" the row ends in a panic with these
 * words, in a copy of the machine.  A VALUE is a number (with ms, s, or t for a tick), an error, or
 * a verb, its digits behind dots: block.0.1.  A first value 0..3 repeats the operation.
 */
#ifndef QUARRY_TESTS_SILENCE_HELP_H
#define QUARRY_TESTS_SILENCE_HELP_H

#include "fiber_whole.h"
#include <quarry/errno.h>
#include <quarry/hotplug.h>
#include <quarry/ipc.h>
#include <quarry/ktest.h>
#include <quarry/memory_hotplug.h>
#include <quarry/smp.h>
#include <quarry/vm.h>

#define MS   1000000ULL
#define S    (1000 * MS)
#define TICK (10 * MS)
#define CPUS 4u

/* ---- rows ---- */

/*
 * What the rows of a file may do: C code of the values a[0] to a[3], which gives the result.  DO:
 * the result is 0.  WAIT: as DO, and it may take any time.
 */
struct verb {
	const char *name, *file;
	s64 (*fn)(const s64 *a);
	bool any;
};
#define VERB_OF(word, any_time, ...)                                                               \
	static s64 word##_fn(const s64 *a)                                                         \
	{                                                                                          \
		return (s64)(__VA_ARGS__);                                                         \
	}                                                                                          \
	static const struct verb __attribute__((used, section("silence_verbs"), aligned(8)))       \
	word##_verb = {#word, __FILE__, word##_fn, any_time}
#define VERB(word, ...) VERB_OF(word, false, __VA_ARGS__)
#define DO(word, ...)                                                                              \
	VERB_OF(word, false, ({                                                                    \
		__VA_ARGS__;                                                                       \
		0;                                                                                 \
	}))
#define WAIT(word, ...)                                                                            \
	VERB_OF(word, true, ({                                                                     \
		__VA_ARGS__;                                                                       \
		0;                                                                                 \
	}))

void play(struct ktest *t, const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
#define PLAY(t, ...) play((t), __FILE__, __LINE__, __VA_ARGS__)
/*
 * A test's body, of rows only.  If the row "begin", or one that begins so, fails, it is the last.
 */
#define ROWS(rows)                                                                                 \
	{                                                                                          \
		PLAY(t, rows);                                                                     \
	}

/* The test whose rows are played; the memory of the verbs, which is t->mem, if any. */
extern struct ktest *playing;
extern struct memory *play_mem;

/*
 * Each pass of a waiting loop takes a tick here, so a wait that reads the clock only now and then
 * overshoots by up to half a second. A wait for the answer to a cross-call, timed from its first
 * reading on, overshoots by up to twice 1024 passes.
 */
#define SLACK      (S / 2)
#define CALL_SLACK (2 * 1024 * TICK + SLACK)

/* ---- a CPU that answers nothing ---- */

/* The running CPU takes no interrupt until it is released, or its time is over. */
void stay_silent(void *arg);
/* Start fn(arg) on @cpu, which calls stay_silent; returns when the CPU is silent, for @ns. */
void silence_in(unsigned cpu, void (*fn)(void *), void *arg, u64 ns);
/* Its time is @ns, from the beginning of its silence on. */
void silence_lasts(unsigned cpu, u64 ns);
void silence_ends(unsigned cpu);

/* ---- pagers that answer nothing, or what a test lets them answer ---- */

/* Pager @i is that of an object, which is mapped at PAGED_VA(i), or nowhere. */
struct paged {
	struct endpoint *ep;
	struct vm_object *object;
	struct ipc_call *call[2]; /* its last requests, the last one first */
};
#define PAGED_VA(i) (0x10000000UL + (i)*0x100000)
extern struct paged paged[2];
extern struct vm_space *paged_space; /* NULL, or of the objects that are mapped */
extern u64 paged_content[PAGE_SIZE / sizeof(u64)], paged_taken[PAGE_SIZE / sizeof(u64)];

/* A thread on CPU 2 that is pager 0, from "serve" until "stop". */
extern struct paged_server {
	u64 late;              /* the delay of its answers */
	u64 answer;            /* if not ABI_PAGER_DONE, the pager does nothing but answer */
	bool drops;            /* the pager drops the page it supplied, before it answers */
	bool idle;             /* answers without supplying or taking back, whatever @answer is */
	struct endpoint *gift; /* sent with each answer, unless NULL */
	unsigned calls, wrong; /* requests, and those that it could not serve */
} server;

/* Called, if not NULL, when copy_to_user has copied, before it returns (silence_task.c). */
extern void (*silence_copied)(void);

/* ---- a pageblock goes offline ---- */

extern struct offline_opts play_opts;
extern struct offline_result play_res;
pfn_t block_of(pfn_t pfn);
pfn_t block_with(const struct page *page);

#endif
