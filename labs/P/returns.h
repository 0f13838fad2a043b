/* SPDX-License-Identifier: MIT */
/*
 * returns.h: included before the student's pager in the program pager_returns, in which some of its
 * system calls return what they seldom do: the page is there already, or is being moved; there is
 * no memory for it; no request is received.  A timeout that is not 5 s is refused.
 */
#include "paged.h"

#define RETURNS_LAST 63 /* after this page has been supplied, receiving fails */

static u32 returns_no_memory, returns_none;

static inline s64 returns_supply(u64 object, u64 page, const void *from)
{
	s64 err;

	if (page == 4 && !__atomic_exchange_n(&returns_no_memory, 1, __ATOMIC_RELAXED))
		return -ENOMEM;
	err = pager_supply(object, page, from);
	if (page == RETURNS_LAST)
		__atomic_store_n(&returns_none, 1, __ATOMIC_RELAXED);
	return err ? err : page == 2 ? -EEXIST : page == 3 ? -EAGAIN : 0;
}

static inline s64 returns_receive(u64 endpoint, struct message *m, u64 timeout_ns)
{
	return returns_none ? -EMFILE : receive(endpoint, m, timeout_ns);
}

static inline s64 returns_reply_receive(
    u64 reply_handle, u64 endpoint, struct message *m, u64 timeout_ns)
{
	return returns_none ? -EMFILE : reply_receive(reply_handle, endpoint, m, timeout_ns);
}

static inline s64 returns_bind(u64 endpoint, u64 pages, u64 number, u64 timeout_ns)
{
	bool good = timeout_ns == 5 * NS_PER_S;

	return good ? pager_bind(endpoint, pages, number, timeout_ns) : -EINVAL;
}

#define pager_supply(object, page, from) returns_supply(object, page, from)
#define pager_bind(endpoint, pages, number, timeout_ns)                                            \
	returns_bind(endpoint, pages, number, timeout_ns)
#define receive(endpoint, m, timeout_ns) returns_receive(endpoint, m, timeout_ns)
#define reply_receive(reply, endpoint, m, timeout_ns)                                              \
	returns_reply_receive(reply, endpoint, m, timeout_ns)
