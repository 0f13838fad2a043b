/* SPDX-License-Identifier: MIT */
/*
 * hello.c: prints hello; if it has an endpoint, it calls the receiver there and shares memory with
 * that task.
 *
 * The answer to the first call brings a handle to an object that contains a text.  hello appends
 * its own text, and reports that in a second call.
 */
#include "quarry.h"

static const char greeting[] = "written by hello";

static int share(u64 endpoint)
{
	struct message m = {.word = {1, 20, 300, 4000}};
	char *page = address_for(1);
	s64 ret = call(endpoint, &m, 5 * NS_PER_S);

	if (ret || m.word[0] != 2 || m.word[3] != 8000 || !m.handle) {
		printf("first call: %ld, words %lu %lu, handle %lx\n", ret, m.word[0], m.word[3],
		    m.handle);
		return 1;
	}
	/* The handle lacks the right to execute. */
	ret = map(m.handle, page, 1, 0, ABI_READ | ABI_EXEC);
	if (ret != -EACCES) {
		printf("mapped executable: %ld\n", ret);
		return 1;
	}
	ret = map(m.handle, page, 1, 0, ABI_READ | ABI_WRITE);
	if (ret) {
		printf("map: %ld\n", ret);
		return 1;
	}
	printf("read: %s\n", page);
	memcpy(page + strlen(page), greeting, sizeof(greeting));
	m = (struct message){.word = {2}};
	ret = call(endpoint, &m, 5 * NS_PER_S);
	return ret ? 1 : 0;
}

int main(u64 endpoint, u64 arg0, u64 arg1)
{
	printf("hello from ring 3: task %ld, CPU %ld of %ld, %lu ms since the clock began\n",
	    info(INFO_TASK, 0), info(INFO_CPU, 0), info(INFO_CPUS, 0), clock_ns() / 1000000);
	return info(INFO_RIGHTS, endpoint) & RIGHT_SEND && arg1 ? share(endpoint) : 0;
}
