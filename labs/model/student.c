/* SPDX-License-Identifier: MIT */
/*
 * student.c: the process with the student's code: makes calls that come over a pipe, one at a time
 * (tests/model/call.c), and answers with raw results.
 *
 * It judges nothing and does not know the expected results.  Its memory lies in a file that the
 * judge reads.  A result is sent only after its call, so a process that ends early, prints, or does
 * not return lacks only its own results.
 *
 * Owns:       this process.
 * Locks:      none: one thread; its CPUs are numbers (tests/fuzz/host_fuzz.c).
 * Invariants: the process sends as many results as it gets calls.
 * Tests:      tests/qemu/test_grade.py.
 */
#include "tests/model/wire.h"
#include <sys/mman.h>
#include <unistd.h>

static struct wire_call call;
static struct wire_result result;

/* Transfer all bytes; exit if the judge is gone. */
static void transfer(int fd, void *at, size_t size, bool out)
{
	while (size) {
		ssize_t n = out ? write(fd, at, size) : read(fd, at, size);

		if (n <= 0)
			_exit(3);
		at = (char *)at + n;
		size -= (size_t)n;
	}
}

int main(void)
{
	void *at = mmap((void *)ARENA_BASE, ARENA_SIZE, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_FIXED_NOREPLACE, WIRE_ARENA, 0);

	if (at != (void *)ARENA_BASE)
		return 4;
	for (;;) {
		transfer(WIRE_CALLS, &call, sizeof(call), false);
		wire_run(&call, &result);
		transfer(WIRE_RESULTS, &result, sizeof(result), true);
	}
}
