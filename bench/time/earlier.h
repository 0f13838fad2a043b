/* SPDX-License-Identifier: MIT */
/*
 * earlier.h: what mm/ of commit 62d5b064 and of those before it needs of a port besides; for
 * `make bench TIME=1 BASE=commit`.
 *
 * Their stacks are arrays of struct pcp, which lies in the CPU's block: each access is one
 * instruction, as arch/x86_64 of that commit had it.
 */
#ifndef TIME_EARLIER_H
#define TIME_EARLIER_H

#define TIME_PCP __builtin_offsetof(struct time_cpu, pcp)
#define time_u16(array, index)                                                                     \
	(*(volatile u16 __seg_gs *)(TIME_PCP + (array) + (index) * sizeof(u16)))

static always_inline size_t arch_pcp_load(size_t array, size_t index)
{
	return time_u16(array, index);
}

static always_inline void arch_pcp_store(size_t array, size_t index, unsigned value)
{
	time_u16(array, index) = (u16)value;
}

static always_inline void arch_pcp_add(size_t array, size_t index, int by)
{
	__asm__ volatile("addw %w2, %%gs:%c0(,%1,2)"
	                 :
	                 : "i"(TIME_PCP + array), "r"(index), "ri"(by)
	                 : "memory", "cc");
}

static always_inline bool arch_pcp_below(size_t value, size_t array, size_t index)
{
	bool below;

	__asm__ volatile("cmpw %%gs:%c1(,%2,2), %w3"
	                 : "=@ccb"(below)
	                 : "i"(TIME_PCP + array), "r"(index), "r"(value)
	                 : "memory");
	return below;
}

static always_inline void *arch_pcp_load_ptr(size_t array, size_t index)
{
	return *(void *volatile __seg_gs *)(TIME_PCP + array + index * sizeof(void *));
}

static always_inline bool arch_pcp_test(size_t off)
{
	return *(volatile u32 __seg_gs *)(TIME_PCP + off) != 0;
}

static always_inline bool arch_any(const u64 *p, size_t at)
{
	return (p[at] | p[at + 1] | p[at + 2] | p[at + 3]) != 0;
}

#define ARCH_BITS
#define arch_bit_flip(array, nr)                                                                   \
	__asm__ volatile("btcq %1, %0" : "+m"(array) : "r"((u64)(nr)) : "cc")
#define arch_bit_clear(array, nr, was)                                                             \
	__asm__ volatile("btrq %2, %0" : "+m"(array), "=@ccc"(was) : "r"((u64)(nr)) : "cc")

#endif
