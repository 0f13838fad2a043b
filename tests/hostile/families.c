/* SPDX-License-Identifier: MIT */
/*
 * families.c: random families of tasks under memory pressure: they hoard, share, serve pages, pass
 * handles on and die.
 *
 * handle: the capability to start programs.  arg0: the seed; arg1: the number of families.  The
 * first task starts the head of each family, AT_ONCE heads at a time, and waits until each head has
 * ended, in any way.  The exit status is the number of heads that did not end.  Each member prints
 * a line for a wait for a page that took too long.  Such a time means something only under icount,
 * where guest time does not depend on the host.  tests/qemu/test_memory.py judges from the
 * kernel's tables which tasks were killed, and why.  The kernel's own counts show leaks.
 *
 * This program also runs as a member of a family.  handle: for a head the capability to start
 * programs, for a child an object; arg0: the member's seed; arg1: MEMBER, and for a head HEAD too.
 */
#include "user/quarry.h"

#define AT_ONCE   6u
#define MEMBER    (1UL << 63)
#define HEAD      1UL
#define STEPS     8u
#define MOST      900u /* pages in one step */
#define SERVED    64u
#define WAIT_NS   (2 * NS_PER_S)
#define FAMILY_NS (120 * NS_PER_S)
#define RW        (ABI_READ | ABI_WRITE)

static u64 random, programs, given;

/* Touch pages; print a line for each wait that took longer than WAIT_NS. */
static void touch(volatile char *at, u64 pages)
{
	u64 i, began = clock_ns(), now;

	for (i = 0; i < pages; i++) {
		at[i * ABI_PAGE_SIZE] = 1;
		now = clock_ns();
		if (now - began > WAIT_NS)
			printf("waited too long: %lu ms\n",
			    (unsigned long)((now - began) / NS_PER_MS));
		began = now;
	}
}

static u64 some(u64 most)
{
	return 1 + next_random(&random) % most;
}

/* Fill an object.  At random, move its mapping to other addresses; at random, close its handle. */
static void hoard(void)
{
	u64 pages = some(MOST), object = (u64)object_create(pages);
	char *at = address_for(pages);

	if ((s64)object < 0 || map(object, at, pages, 0, RW))
		return;
	touch(at, pages);
	if (some(2) == 1 && !map(object, address_for(pages), pages, 0, RW))
		unmap(at, pages);
	if (some(2) == 1)
		handle_close(object);
}

/* Touch the object that the parent gave. */
static void share(void)
{
	char *at = address_for(SERVED);

	if (given && !map(given, at, SERVED, 0, RW))
		touch(at, SERVED);
}

/* ---- a pager ---- */

static u64 endpoint, served;
static char store[SERVED][ABI_PAGE_SIZE] __attribute__((aligned(ABI_PAGE_SIZE)));
static struct thread server;

static void answer(u64 arg)
{
	struct message m;
	s64 from;

	while ((from = receive(endpoint, &m, ABI_WAIT_FOREVER)) > 0) {
		u64 page = m.word[1];
		s64 err = m.word[0] == ABI_PAGER_GET ? pager_supply(served, page, store[page])
		                                     : pager_take_back(served, page, store[page]);

		m = (struct message){.word = {err == -ENOMEM ? ABI_PAGER_NO_MEMORY
		                             : err && arg    ? ABI_PAGER_FAILED
		                                             : ABI_PAGER_DONE}};
		reply((u64)from, &m);
	}
}

static void serve(void)
{
	char *at = address_for(SERVED);

	if (endpoint)
		return;
	touch(store[0], SERVED);
	endpoint = (u64)endpoint_create();
	served = (u64)pager_bind(endpoint, SERVED, 0, NS_PER_S);
	if ((s64)served < 0 || thread_start(&server, answer, some(2) - 1))
		return;
	if (!map(served, at, SERVED, 0, RW))
		touch(at, SERVED);
}

/* ---- members ---- */

/*
 * Start a child with a handle to an object of this task.  At random, close this task's own handle
 * to the object, kill the child, and close the handle to the child.
 */
static void gift(void)
{
	u64 pages = SERVED + some(MOST), object = served;
	s64 child;

	if (!programs)
		return;
	if ((s64)served <= 0) {
		char *at = address_for(pages);

		object = (u64)object_create(pages);
		if ((s64)object < 0 || map(object, at, pages, 0, RW))
			return;
		touch(at, pages);
		unmap(at, pages);
	}
	child = task_create(programs, "families", object, next_random(&random) | 1, MEMBER);
	if (object != served && some(2) == 1)
		handle_close(object);
	if (child > 0 && some(3) == 1)
		task_kill((u64)child);
	if (child > 0 && some(2) == 1)
		handle_close((u64)child);
}

static int member(void)
{
	u64 i, steps = some(STEPS);

	for (i = 0; i < steps; i++) {
		switch (some(5)) {
		case 1:
		case 2: hoard(); break;
		case 3: share(); break;
		case 4: serve(); break;
		default: gift(); break;
		}
		if (some(16) == 1)
			break;
	}
	sleep_ns(some(50) * NS_PER_MS);
	return 0;
}

int main(u64 handle, u64 arg0, u64 arg1)
{
	s64 task[AT_ONCE] = {0};
	unsigned i, bad = 0, killed = 0;
	u64 nr;

	random = arg0 | 1;
	if (arg1 & MEMBER) {
		/* A head's handle is the capability to start programs, a child's is an object. */
		if (arg1 & HEAD)
			programs = handle;
		else
			given = handle;
		return member();
	}
	programs = handle;
	for (nr = 0; nr < arg1 + AT_ONCE; nr++) {
		int status = 0;

		i = nr % AT_ONCE;
		if (task[i] > 0) {
			s64 how = task_wait((u64)task[i], FAMILY_NS, &status);

			if (how == -ETIMEDOUT) {
				printf("a head does not end\n");
				bad++;
				task_kill((u64)task[i]);
			}
			killed += how == TASK_KILLED;
			handle_close((u64)task[i]);
			task[i] = 0;
		}
		if (nr < arg1)
			task[i] = task_create(programs, "families", programs,
			    next_random(&random) | 1, MEMBER | HEAD);
	}
	printf("%lu families of seed %lu, %u of their heads killed, %u do not end\n",
	    (unsigned long)arg1, (unsigned long)arg0, killed, bad);
	return (int)bad;
}
