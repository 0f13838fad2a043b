/* SPDX-License-Identifier: MIT */
/*
 * server_help.h: helpers of the suites of pagers in the kernel: a kernel thread as pager, with its
 * store in the same space as its object.
 */
#ifndef QUARRY_TESTS_SERVER_HELP_H
#define QUARRY_TESTS_SERVER_HELP_H

#include <quarry/ktest.h>
#include <quarry/mm.h>
#include <quarry/pager.h>
#include <quarry/task.h>
#include <quarry/user.h>

#define NR       8
#define WINDOW   0x10000000UL /* where the object's pages are mapped */
#define STORE    0x20000000UL /* where the pager's store is mapped, in the same space */
#define MS       1000000ULL
#define LONG_NS  (10000 * MS) /* no more than ABI_MAX_PAGER_NS */
#define SHORT_NS (50 * MS)
/* Enough for an answer on a busy host, and for several calls of a pager that has no memory. */
#define ANSWER_NS (300 * MS)

struct server {
	struct vm_space *space;
	struct vm_object *object, *store;
	struct endpoint *ep;
	struct thread *thread;
	bool idle; /* the pager answers without having done anything */
	u64 answer;
	u32 gets, cleans; /* written by the pager */
	u32 wrong;        /* calls with wrong words */
	int err;          /* result of the last pager_supply or pager_take_back */
};

/* A thread that reads a byte of pages of the object, up to the first error. */
struct reader {
	struct server *s;
	struct thread *thread;
	u8 have[NR];
	u32 from, end; /* the pages */
	int err;
};

/* The address of a page of the store; page i holds i + 1 in its first byte. */
u64 store_page(u64 index);
/*
 * Make the object, its pager with time limit @timeout, and the space, which this thread uses from
 * now on. No thread serves yet. False: the test has failed.
 */
bool server_begin(struct ktest *t, struct server *s, u64 timeout);

void server_start(struct ktest *t, struct server *s);
void reader_start(struct ktest *t, struct reader *r, struct server *s, u32 from, u32 end);
/* Stop the thread, if there is one, drop everything, and expect that no call was wrong. */
void server_end(struct ktest *t, struct server *s);
/* Give a page to the pager, as reclaim does. */
int server_clean(const struct server *s, u32 index, const void *data);
/* Any page, as data for server_clean. */
const void *server_page(const struct server *s);

#endif
