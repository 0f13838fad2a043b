/* SPDX-License-Identifier: MIT */
/*
 * lost.c: a program that loses memory; the kernel's suite poison_task breaks the page at LOST.
 *
 * arg0: 0 no fault handler; 1 the handler maps other memory there; 2 the handler refuses; 3 the
 * kernel reads the page for the program, until a read fails.  arg1: 1 no system calls while the
 * program waits.  main's result tells what happened.
 */
#include "user/quarry.h"

#define LOST  ((volatile u64 *)0x30000000UL)
#define WORD  0x600dUL
#define LIMIT (60 * NS_PER_S)
#define TURNS (1UL << 40) /* for ever: the kernel's suite ends the program */

enum { NO_HANDLER, REPLACES, SAYS_NO, KERNEL_READS };

static u64 endpoint;
static bool says_no;
static volatile u32 told;

/* Check the report; then map new memory at the same address, or refuse. */
static void handler(u64 arg)
{
	struct message m;
	s64 from = receive(endpoint, &m, LIMIT);

	if (from <= 0 || m.word[0] != ABI_FAULT_LOST || m.word[1] != (u64)LOST ||
	    m.word[2] != ABI_PAGE_SIZE)
		exit(10);
	told++;
	m = (struct message){.word = {says_no}};
	if (!says_no && (unmap((void *)LOST, 1) || !pages_map((void *)LOST, 1)))
		exit(11);
	reply((u64)from, &m);
}

int main(u64 handle, u64 arg0, u64 arg1)
{
	static struct thread thread;
	u64 end = clock_ns() + LIMIT, turns = TURNS;

	if (!pages_map((void *)LOST, 1))
		return 1;
	if (arg0 == REPLACES || arg0 == SAYS_NO) {
		says_no = arg0 == SAYS_NO;
		endpoint = (u64)endpoint_create();
		if (thread_start(&thread, handler, 0) || fault_handler(endpoint))
			return 2;
	}
	LOST[0] = WORD; /* from now on the page may break */
	while (arg1 ? --turns : clock_ns() < end) {
		if (arg0 == KERNEL_READS) {
			if (sys(SYS_DEBUG_WRITE, (u64)LOST + ABI_PAGE_SIZE - 1, 1, 0, 0, 0) ==
			    -EFAULT)
				return 77;
			sleep_ns(NS_PER_MS);
		} else if (LOST[0] != WORD) {
			/* The new page is zero. */
			return LOST[0] == 0 && told == 1 ? 78 : 3;
		}
	}
	return 4;
}
