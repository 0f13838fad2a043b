/* SPDX-License-Identifier: MIT */
/*
 * returns.h: included before the student's pager in the program pager_returns, in which some of its
 * system calls return what they seldom do: the page is there already, or is being moved; there is
 * no memory for it; nobody waits for an answer any more; no request is received, or not in time.  A
 * timeout of the object that is not that of the manner is refused.
 *
 * Before the requests for RETURNS_FIRST and for the pages behind it, the pager gets a request that
 * is made here: all but the last are to clean RETURNS_PAGE.  Nothing else runs meanwhile, for the
 * page's user waits: if fewer pages are free after the content has come, or at the answer, this
 * pager needed memory to clean.  The last is for that page, and to supply it fails.
 */
#include "paged.h"

#define RETURNS_LAST  63 /* after this page has been supplied, receiving fails */
#define RETURNS_FIRST 10
#define RETURNS_TIMES 4 /* requests that are made here */
#define RETURNS_PAGE  5

static u32 returns_no_memory, returns_none, returns_late, returns_wrong;
static u64 returns_manner, returns_free;
/* REAL: of the kernel; MADE: here; NEXT: that one is answered, returns_request is next. */
enum { RETURNS_REAL, RETURNS_MADE, RETURNS_NEXT };
static u32 returns_state;
static u64 returns_made; /* requests that were made here */
static struct message returns_request;
static s64 returns_from;

static inline void returns_fail(const char *why)
{
	printf("%s\n", why);
	returns_wrong = 1;
}

static inline void returns_expect_free(void)
{
	if ((u64)info(INFO_FREE_PAGES, 0) < returns_free)
		returns_fail("memory was needed between a request to clean and its answer");
}

static inline s64 returns_supply(u64 object, u64 page, const void *from)
{
	s64 err;

	if (returns_wrong || returns_state == RETURNS_MADE)
		return -EINVAL;
	if (page == 4 && !__atomic_exchange_n(&returns_no_memory, 1, __ATOMIC_RELAXED))
		return -ENOMEM;
	err = pager_supply(object, page, from);
	if (page == RETURNS_LAST)
		__atomic_store_n(&returns_none, 1, __ATOMIC_RELAXED);
	return err ? err : page == 2 ? -EEXIST : page == 3 ? -EAGAIN : 0;
}

/* The first request to clean succeeds, the second is too late, for the third memory lacks. */
static inline s64 returns_take_back(u64 object, u64 page, void *to)
{
	if (returns_state != RETURNS_MADE)
		return pager_take_back(object, page, to);
	if (page != RETURNS_PAGE)
		returns_fail("another page than that of the request to clean is taken back");
	if (returns_made > 1)
		return returns_made == 2 ? -ENOENT : -ENOMEM;
	memset(to, 0xa5, ABI_PAGE_SIZE);
	returns_expect_free();
	return 0;
}

/* A request was received: let one that is made here come first. */
static inline s64 returns_received(s64 from, struct message *m)
{
	if (from <= 0 || m->word[0] != ABI_PAGER_GET ||
	    m->word[1] != RETURNS_FIRST + returns_made || returns_made == RETURNS_TIMES)
		return from;
	returns_request = *m;
	returns_from = from;
	returns_made++;
	*m = (struct message){
	    .word = {
	        returns_made == RETURNS_TIMES ? ABI_PAGER_GET : ABI_PAGER_CLEAN, RETURNS_PAGE}};
	returns_free = (u64)info(INFO_FREE_PAGES, 0);
	returns_state = RETURNS_MADE;
	return from;
}

/* true: the answer is one to a request that was made here. */
static inline bool returns_answered(u64 reply_handle, const struct message *m)
{
	u64 want = returns_made == 1 ? ABI_PAGER_DONE : ABI_PAGER_FAILED;

	if (returns_state != RETURNS_MADE || (s64)reply_handle != returns_from)
		return false;
	if (returns_made < RETURNS_TIMES)
		returns_expect_free();
	if (m->word[0] != want)
		returns_fail("an answer does not fit the result");
	__atomic_store_n(&returns_state, RETURNS_NEXT, __ATOMIC_SEQ_CST);
	return true;
}

static inline s64 returns_reply(u64 reply_handle, const struct message *m)
{
	return returns_answered(reply_handle, m) ? -EPIPE : reply(reply_handle, m);
}

/* No request comes for so long, once: who waits for ever asks again, if with a timeout at all. */
static inline bool returns_too_late(u64 timeout_ns)
{
	return timeout_ns != ABI_WAIT_FOREVER &&
	    !__atomic_exchange_n(&returns_late, 1, __ATOMIC_RELAXED);
}

static inline s64 returns_receive(u64 endpoint, struct message *m, u64 timeout_ns)
{
	u32 next = RETURNS_NEXT;

	if (returns_none)
		return -EMFILE;
	if (returns_too_late(timeout_ns))
		return -ETIMEDOUT;
	if (!__atomic_compare_exchange_n(
	        &returns_state, &next, RETURNS_REAL, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return returns_received(receive(endpoint, m, timeout_ns), m);
	*m = returns_request;
	return returns_from;
}

static inline s64 returns_reply_receive(
    u64 reply_handle, u64 endpoint, struct message *m, u64 timeout_ns)
{
	if (returns_none)
		return -EMFILE;
	if (returns_answered(reply_handle, m))
		return returns_receive(endpoint, m, timeout_ns);
	if (returns_too_late(timeout_ns)) {
		(void)reply(reply_handle, m);
		return -ETIMEDOUT;
	}
	return returns_received(reply_receive(reply_handle, endpoint, m, timeout_ns), m);
}

static inline s64 returns_bind(u64 endpoint, u64 pages, u64 number, u64 timeout_ns)
{
	u64 want = returns_manner == PAGED_SILENT ? NS_PER_S / 10 : 5 * NS_PER_S;

	return timeout_ns == want ? pager_bind(endpoint, pages, number, timeout_ns) : -EINVAL;
}

int returns_main(u64 handle, u64 arg0, u64 arg1);

int main(u64 handle, u64 arg0, u64 arg1)
{
	returns_manner = arg1;
	return returns_main(handle, arg0, arg1);
}

#define main                              returns_main
#define pager_supply(object, page, from)  returns_supply(object, page, from)
#define pager_take_back(object, page, to) returns_take_back(object, page, to)
#define pager_bind(endpoint, pages, number, timeout_ns)                                            \
	returns_bind(endpoint, pages, number, timeout_ns)
#define receive(endpoint, m, timeout_ns) returns_receive(endpoint, m, timeout_ns)
#define reply(reply_handle, m)           returns_reply(reply_handle, m)
#define reply_receive(reply_handle, endpoint, m, timeout_ns)                                       \
	returns_reply_receive(reply_handle, endpoint, m, timeout_ns)
