/* SPDX-License-Identifier: MIT */
/*
 * fpu.c: threads that keep values in all FPU and SSE registers, while other threads do the same on
 * the same CPUs.
 *
 * arg0: threads; arg1: milliseconds.  The exit status is 0 if no thread found a register changed.
 */
#include "quarry.h"

#define MAX_THREADS 16

static u64 until;
static u32 wrong;
static u64 rounds;

/* Do all sixteen SSE registers keep a pattern during a loop that only the timer interrupts? */
static bool registers_keep(u64 pattern, unsigned mxcsr)
{
	u64 differ = 0;
	unsigned spins = 100000, was = mxcsr, now = 0;

	__asm__ volatile(
	    "ldmxcsr %[was]\n\t"
	    "movq %[p], %%xmm0\n\tpunpcklqdq %%xmm0, %%xmm0\n\t"
	    "movdqa %%xmm0, %%xmm1\n\tmovdqa %%xmm0, %%xmm2\n\tmovdqa %%xmm0, %%xmm3\n\t"
	    "movdqa %%xmm0, %%xmm4\n\tmovdqa %%xmm0, %%xmm5\n\tmovdqa %%xmm0, %%xmm6\n\t"
	    "movdqa %%xmm0, %%xmm7\n\tmovdqa %%xmm0, %%xmm8\n\tmovdqa %%xmm0, %%xmm9\n\t"
	    "movdqa %%xmm0, %%xmm10\n\tmovdqa %%xmm0, %%xmm11\n\tmovdqa %%xmm0, %%xmm12\n\t"
	    "movdqa %%xmm0, %%xmm13\n\tmovdqa %%xmm0, %%xmm14\n\tmovdqa %%xmm0, %%xmm15\n\t"
	    "1:\tdecl %[spins]\n\tjnz 1b\n\t"
	    /*
	     * xmm1 becomes the OR of all differences to xmm0, and of xmm0's difference to the
	     * pattern.
	     */
	    "pxor %%xmm0, %%xmm1\n\tpxor %%xmm0, %%xmm2\n\tpxor %%xmm0, %%xmm3\n\t"
	    "pxor %%xmm0, %%xmm4\n\tpxor %%xmm0, %%xmm5\n\tpxor %%xmm0, %%xmm6\n\t"
	    "pxor %%xmm0, %%xmm7\n\tpxor %%xmm0, %%xmm8\n\tpxor %%xmm0, %%xmm9\n\t"
	    "pxor %%xmm0, %%xmm10\n\tpxor %%xmm0, %%xmm11\n\tpxor %%xmm0, %%xmm12\n\t"
	    "pxor %%xmm0, %%xmm13\n\tpxor %%xmm0, %%xmm14\n\tpxor %%xmm0, %%xmm15\n\t"
	    "por %%xmm2, %%xmm1\n\tpor %%xmm3, %%xmm1\n\tpor %%xmm4, %%xmm1\n\t"
	    "por %%xmm5, %%xmm1\n\tpor %%xmm6, %%xmm1\n\tpor %%xmm7, %%xmm1\n\t"
	    "por %%xmm8, %%xmm1\n\tpor %%xmm9, %%xmm1\n\tpor %%xmm10, %%xmm1\n\t"
	    "por %%xmm11, %%xmm1\n\tpor %%xmm12, %%xmm1\n\tpor %%xmm13, %%xmm1\n\t"
	    "por %%xmm14, %%xmm1\n\tpor %%xmm15, %%xmm1\n\t"
	    "movq %[p], %%xmm2\n\tpunpcklqdq %%xmm2, %%xmm2\n\tpxor %%xmm2, %%xmm0\n\t"
	    "por %%xmm0, %%xmm1\n\tmovhlps %%xmm1, %%xmm0\n\tpor %%xmm0, %%xmm1\n\t"
	    "movq %%xmm1, %[d]\n\t"
	    "stmxcsr %[now]"
	    : [d] "=&r"(differ), [spins] "+r"(spins), [now] "=m"(now)
	    : [p] "r"(pattern), [was] "m"(was)
	    : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
	    "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "cc");
	return !differ && (now & ~0x3fu) == was;
}

/* An x87 sum that depends on each step. */
static long double x87_sum(unsigned steps)
{
	long double sum = 1.0L;

	while (steps--)
		sum = sum * 1.0000001L + 0.25L;
	return sum;
}

static void compute(u64 number)
{
	/* The threads use four rounding modes, so that MXCSR is checked too. */
	unsigned mxcsr = 0x1f80 | (unsigned)(number & 3) << 13;
	const long double expected = x87_sum(20000);
	u64 pattern = (number + 1) * 0x0101010101010101UL;

	while (clock_ns() < until) {
		if (!registers_keep(pattern, mxcsr) || x87_sum(20000) != expected) {
			__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
			return;
		}
		__atomic_fetch_add(&rounds, 1, __ATOMIC_RELAXED);
	}
}

/* Has this program started with clean registers, whichever program ran before? */
static bool starts_clean(void)
{
	u64 low, high;
	unsigned mxcsr;
	unsigned short fcw;

	__asm__ volatile("movdqa %%xmm15, %%xmm0\n\tpor %%xmm14, %%xmm0\n\tpor %%xmm9, %%xmm0\n\t"
	                 "movq %%xmm0, %0\n\tmovhlps %%xmm0, %%xmm0\n\tmovq %%xmm0, %1\n\t"
	                 "stmxcsr %2\n\tfnstcw %3"
	                 : "=r"(low), "=r"(high), "=m"(mxcsr), "=m"(fcw)
	                 :
	                 : "xmm0");
	return !low && !high && mxcsr == 0x1f80 && fcw == 0x37f;
}

int main(u64 handle, u64 nr, u64 ms)
{
	static struct thread threads[MAX_THREADS];
	bool clean = starts_clean();
	u64 i;

	if (!clean) {
		printf("registers were not clean at the start\n");
		return 99;
	}
	nr = nr < 1 ? 1 : nr > MAX_THREADS ? MAX_THREADS : nr;
	until = clock_ns() + ms * NS_PER_MS;
	for (i = 0; i < nr; i++)
		if (thread_start(&threads[i], compute, i))
			return 98;
	for (i = 0; i < nr; i++)
		thread_join(&threads[i]);
	printf("%lu threads, %lu rounds, %u found a register changed\n", nr, rounds, wrong);
	return wrong || rounds < nr ? 1 : 0;
}
