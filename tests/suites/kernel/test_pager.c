/* SPDX-License-Identifier: MIT */
/*
 * test_pager.c: pages that a pager supplies and takes back, and its answers; here the pager is a
 * kernel thread. Time limits: test_pager_wait.c.
 */
#include "tests/lib/server_help.h"
#include <quarry/account.h>
#include <quarry/string.h>

#define READERS 6

KTEST_SUITE(pager, KTEST_QUICK);

KTEST_COST(one_page_is_requested_once)
{
	struct reader readers[READERS];
	struct server s;
	unsigned i, j;

	if (!server_begin(t, &s, LONG_NS))
		return;
	/* All readers wait for the first page before it is supplied. */
	for (i = 0; i < READERS; i++)
		reader_start(t, &readers[i], &s, 0, NR);
	thread_sleep(20 * MS);
	server_start(t, &s);
	for (i = 0; i < READERS; i++) {
		thread_join(readers[i].thread);
		EXPECT_EQ(t, readers[i].err, 0);
		for (j = 0; j < NR; j++)
			EXPECT_EQ(t, readers[i].have[j], j + 1);
	}
	EXPECT_EQ(t, s.gets, NR);
	EXPECT_EQ(t, vm_object_present(s.object), NR);
	server_end(t, &s);
}

/* Requests for two pages can be open at a time: each has its own record. */
KTEST(two_pages_are_requested_at_a_time)
{
	struct reader readers[2];
	struct server s;
	unsigned i, waits;
	u64 messages;

	if (!server_begin(t, &s, LONG_NS))
		return;
	messages = READ_ONCE(account_all.used[ACCOUNT_MESSAGES]);
	reader_start(t, &readers[0], &s, 0, NR);
	reader_start(t, &readers[1], &s, 5, 6);
	/* A thread that has made its call has a record of it. */
	for (waits = 0; waits < 10000; waits++) {
		if (READ_ONCE(account_all.used[ACCOUNT_MESSAGES]) >= messages + 2)
			break;
		thread_sleep(MS);
	}
	EXPECT(t, waits < 10000);
	server_start(t, &s);
	for (i = 0; i < 2; i++) {
		thread_join(readers[i].thread);
		EXPECT_EQ(t, readers[i].err, 0);
		EXPECT_EQ(t, readers[i].have[5], 6);
	}
	EXPECT_EQ(t, s.gets, NR);
	server_end(t, &s);
}

KTEST(fault_ends_despite_any_pager_answer, KTEST_SLOW)
{
	struct server s;
	u64 began;
	u8 byte;

	if (!server_begin(t, &s, SHORT_NS))
		return;
	/* There is no receiver. */
	began = arch_clock_ns();
	EXPECT_EQ(t, vm_fault(s.space, WINDOW, VM_READ), -ETIMEDOUT);
	EXPECT(t, arch_clock_ns() - began >= SHORT_NS);
	EXPECT_EQ(t, copy_from_user(&byte, WINDOW, 1), -EFAULT);
	server_end(t, &s);
	/* Answers: an error; success without the page; and a meaningless one. */
	if (!server_begin(t, &s, ANSWER_NS))
		return;
	server_start(t, &s);
	s.idle = true;
	s.answer = ABI_PAGER_FAILED;
	EXPECT_EQ(t, vm_fault(s.space, WINDOW, VM_READ), -EIO);
	s.answer = ABI_PAGER_DONE;
	EXPECT_EQ(t, vm_fault(s.space, WINDOW, VM_READ), -EIO);
	s.answer = 12345;
	EXPECT_EQ(t, vm_fault(s.space, WINDOW, VM_READ), -EIO);
	/*
	 * The pager answers "no memory", although memory is free. So it is called again, until the
	 * time limit.
	 */
	s.answer = ABI_PAGER_NO_MEMORY;
	EXPECT_EQ(t, vm_fault(s.space, WINDOW, VM_READ), -ETIMEDOUT);
	EXPECT(t, s.gets > 4);
	s.idle = false;
	s.answer = ABI_PAGER_DONE;
	EXPECT_EQ(t, vm_fault(s.space, WINDOW, VM_READ), 0);
	EXPECT_EQ(t, copy_from_user(&byte, WINDOW, 1), 0);
	EXPECT_EQ(t, byte, 1);
	server_end(t, &s);
}

/* Somebody else has supplied the page; the pager finds it there, and answers the request. */
KTEST(a_page_that_is_there_already_counts_as_supplied)
{
	struct reader reader;
	struct ipc_call *call;
	struct ipc_msg msg;
	struct server s;

	if (!server_begin(t, &s, LONG_NS))
		return;
	reader_start(t, &reader, &s, 5, 6);
	reader.have[5] = 77;
	REQUIRE(t, ipc_receive(s.ep, &msg, &call, LONG_NS) == 0);
	EXPECT(t, msg.word[0] == ABI_PAGER_GET && msg.word[1] == 5);
	EXPECT_EQ(t, vm_object_supply(s.object, 5, NULL), 0);
	EXPECT_EQ(t, pager_supply(s.object, 5, store_page(5)), -EEXIST);
	msg = (struct ipc_msg){.word = {ABI_PAGER_DONE}};
	EXPECT_EQ(t, ipc_reply(call, &msg), 0);
	thread_join(reader.thread);
	EXPECT(t, !reader.err && !reader.have[5]);
	server_end(t, &s);
}

KTEST(fault_without_a_receiver_fails)
{
	struct server s;

	if (!server_begin(t, &s, LONG_NS))
		return;
	endpoint_get(s.ep, 0);
	endpoint_put(s.ep, RIGHT_RECEIVE);
	EXPECT_EQ(t, vm_fault(s.space, WINDOW, VM_READ), -EIO);
	/* Nobody can ask for the content any more, so reclaim may drop the page. */
	EXPECT_EQ(t, server_clean(&s, 0, server_page(&s)), 0);
	endpoint_get(s.ep, RIGHT_RECEIVE);
	endpoint_put(s.ep, 0);
	server_end(t, &s);
}

KTEST(dirty_pages_are_handed_over)
{
	char *data = kmalloc(PAGE_SIZE), *have = kmalloc(PAGE_SIZE);
	struct server s;

	REQUIRE(t, data && have);
	memset(data, 0x5a, PAGE_SIZE);
	if (!server_begin(t, &s, LONG_NS))
		return;
	server_start(t, &s);
	EXPECT_EQ(t, server_clean(&s, 3, data), 0);
	EXPECT_EQ(t, s.cleans, 1);
	EXPECT_EQ(t, s.err, 0);
	EXPECT_EQ(t, copy_from_user(have, store_page(3), PAGE_SIZE), 0);
	EXPECT_EQ(t, memcmp(have, data, PAGE_SIZE), 0);
	/* The object gets back the content that the pager was handed. */
	EXPECT_EQ(t, copy_from_user(have, WINDOW + 3 * PAGE_SIZE, PAGE_SIZE), 0);
	EXPECT_EQ(t, memcmp(have, data, PAGE_SIZE), 0);
	/* The pager does not take the page: it answers success, and then an error. */
	s.idle = true;
	EXPECT_EQ(t, server_clean(&s, 3, data), -EIO);
	s.answer = ABI_PAGER_FAILED;
	EXPECT_EQ(t, server_clean(&s, 3, data), -EIO);
	/* No page is being handed over. */
	EXPECT_EQ(t, pager_take_back(s.object, 3, store_page(3)), -ENOENT);
	server_end(t, &s);
	kfree(data);
	kfree(have);
}

KTEST(wrong_pager_calls_are_refused)
{
	struct vm_object *plain;
	struct server s;

	if (!server_begin(t, &s, LONG_NS))
		return;
	EXPECT_EQ(t, pager_create(s.ep, NR, 0, 0, &plain), -EINVAL);
	EXPECT_EQ(t, pager_create(s.ep, NR, 0, ABI_MAX_PAGER_NS + 1, &plain), -EINVAL);
	EXPECT_EQ(t, pager_create(s.ep, 0, 0, LONG_NS, &plain), -EINVAL);
	EXPECT_EQ(t, pager_supply(s.object, NR, store_page(0)), -EINVAL);
	EXPECT_EQ(t, pager_supply(s.object, 1UL << 32, store_page(0)), -EINVAL);
	EXPECT_EQ(t, pager_supply(s.object, 0, STORE + NR * PAGE_SIZE), -EFAULT);
	EXPECT_EQ(t, pager_supply(s.object, 0, ARCH_DIRECT_MAP), -EFAULT);
	EXPECT_EQ(t, vm_object_present(s.object), 0);
	EXPECT_EQ(t, pager_supply(s.object, 0, store_page(0)), 0);
	EXPECT_EQ(t, pager_supply(s.object, 0, store_page(0)), -EEXIST);
	EXPECT_EQ(t, pager_take_back(s.object, NR, store_page(0)), -EINVAL);
	EXPECT_EQ(t, pager_take_back(s.object, 0, store_page(0)), -ENOENT);
	EXPECT_EQ(t, pager_drop(s.object, 0, NR + 1), -EINVAL);
	EXPECT_EQ(t, pager_drop(s.object, 1, NR), -EINVAL);
	EXPECT_EQ(t, pager_drop(s.object, 0, 1UL << 32), -EINVAL);
	EXPECT_EQ(t, pager_drop(s.object, 0, 1), 0);
	EXPECT_EQ(t, vm_object_present(s.object), 0);
	/* Objects without a pager refuse all calls of a pager. */
	EXPECT_EQ(t, pager_supply(s.store, 0, store_page(0)), -EINVAL);
	EXPECT_EQ(t, pager_take_back(s.store, 0, store_page(0)), -EINVAL);
	EXPECT_EQ(t, pager_drop(s.store, 0, 1), -EINVAL);
	server_end(t, &s);
}

/* The pager's own page is faulted in during the call. */
KTEST(page_that_the_pager_has_not_mapped_yet_is_supplied)
{
	struct server s;
	u8 byte = 0;

	if (!server_begin(t, &s, LONG_NS))
		return;
	EXPECT_EQ(t, vm_unmap(s.space, STORE, NR), 0);
	EXPECT_EQ(t, pager_supply(s.object, 2, store_page(2)), -EFAULT);
	EXPECT_EQ(t, vm_object_present(s.object), 0);
	EXPECT_EQ(t, vm_map(s.space, STORE, NR, VM_READ | VM_WRITE, s.store, 0), 0);
	EXPECT_EQ(t, pager_supply(s.object, 2, store_page(2)), 0);
	EXPECT_EQ(t, copy_from_user(&byte, WINDOW + 2 * PAGE_SIZE, 1), 0);
	EXPECT_EQ(t, byte, 3);
	server_end(t, &s);
}
