/* SPDX-License-Identifier: MIT */
/* server_help.c: see server_help.h. */
#include "tests/lib/server_help.h"

#define STOP   99 /* as word 0 of a call */
#define NUMBER 0x1234567812345678ULL

u64 store_page(u64 index)
{
	return STORE + index * PAGE_SIZE;
}

static void answer(struct server *s, struct ipc_msg *msg)
{
	u64 what = msg->word[0], index = msg->word[1];

	s->wrong += index >= NR || msg->word[2] != NUMBER || msg->give.kind != CAP_NONE;
	if (what == ABI_PAGER_GET) {
		WRITE_ONCE(s->gets, s->gets + 1);
		s->err = s->idle ? 0 : pager_supply(s->object, index, store_page(index));
	} else {
		WRITE_ONCE(s->cleans, s->cleans + 1);
		s->err = s->idle ? 0 : pager_take_back(s->object, index, store_page(index));
	}
	*msg = (struct ipc_msg){.word = {s->answer}};
}

static void serve(void *arg)
{
	struct server *s = arg;
	struct ipc_call *call;
	struct ipc_msg msg;
	bool stop;
	int err;

	space_use(s->space);
	do {
		err = ipc_receive(s->ep, &msg, &call, WAIT_FOREVER);
		KASSERT(!err);
		stop = msg.word[0] == STOP;
		if (!stop)
			answer(s, &msg);
		ipc_reply(call, &msg);
	} while (!stop);
	space_use(NULL);
}

bool server_begin(struct ktest *t, struct server *s, u64 timeout)
{
	u8 byte;
	u64 i;

	*s = (struct server){.ep = endpoint_create()};
	if (!s->ep || vm_space_create(&kernel_memory, &s->space) ||
	    vm_object_create(&kernel_memory, OBJ_ANON, NR, NULL, NULL, &s->store) ||
	    pager_create(s->ep, NR, NUMBER, timeout, &s->object) ||
	    vm_map(s->space, STORE, NR, VM_READ | VM_WRITE, s->store, 0) ||
	    vm_map(s->space, WINDOW, NR, VM_READ | VM_WRITE, s->object, 0)) {
		EXPECT(t, !"a pager");
		return false;
	}
	space_use(s->space);
	for (i = 0; i < NR; i++) {
		byte = (u8)(i + 1);
		EXPECT_EQ(t, copy_to_user(store_page(i), &byte, 1), 0);
	}
	return true;
}

void server_start(struct ktest *t, struct server *s)
{
	s->thread = thread_start("pager", -1, serve, s);
	REQUIRE(t, s->thread);
}

static void read_pages(void *arg)
{
	struct reader *r = arg;
	u64 i;

	space_use(r->s->space);
	for (i = r->from; i < r->end && !r->err; i++)
		r->err = copy_from_user(&r->have[i], WINDOW + i * PAGE_SIZE, 1);
	space_use(NULL);
}

void reader_start(struct ktest *t, struct reader *r, struct server *s, u32 from, u32 end)
{
	*r = (struct reader){.s = s, .from = from, .end = end};
	r->thread = thread_start("reader", -1, read_pages, r);
	REQUIRE(t, r->thread);
}

void server_end(struct ktest *t, struct server *s)
{
	struct ipc_msg msg = {.word = {STOP}};

	space_use(NULL);
	if (s->thread) {
		EXPECT_EQ(t, ipc_call(s->ep, &msg, LONG_NS), 0);
		thread_join(s->thread);
	}
	EXPECT_EQ(t, s->wrong, 0);
	vm_space_put(s->space);
	EXPECT_EQ(t, READ_ONCE(s->object->refs), 1);
	vm_object_put(s->object);
	vm_object_put(s->store);
	endpoint_put(s->ep, RIGHT_RECEIVE);
}

int server_clean(const struct server *s, u32 index, const void *data)
{
	return s->object->ops->clean(s->object, index, data, WAIT_FOREVER);
}

const void *server_page(const struct server *s)
{
	return page_address_in(&kernel_memory, s->object->top);
}
