/* SPDX-License-Identifier: MIT */
/*
 * atomic8.c: 64-bit atomics of 32-bit machines, for kernels that link no libatomic.
 *
 * Where the compiler has no instruction that it may use (x86 with -mgeneral-regs-only has none for
 * a plain load) it calls these functions.  On x86 since the Pentium one instruction, cmpxchg8b, is
 * enough for all of them.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Invariants: each operation is one step for all CPUs.
 */
#include "port.h"

#if defined(__i386__)
/* The compiler knows these names itself, so C code cannot declare them with other types. */
u64 port_load_8(const volatile void *p, int order) __asm__("__atomic_load_8");
void port_store_8(volatile void *p, u64 value, int order) __asm__("__atomic_store_8");
u64 port_exchange_8(volatile void *p, u64 value, int order) __asm__("__atomic_exchange_8");
bool port_compare_exchange_8(volatile void *p, void *old, u64 value, bool weak, int good,
    int bad) __asm__("__atomic_compare_exchange_8");
u64 port_fetch_add_8(volatile void *p, u64 value, int order) __asm__("__atomic_fetch_add_8");
u64 port_fetch_sub_8(volatile void *p, u64 value, int order) __asm__("__atomic_fetch_sub_8");
u64 port_fetch_or_8(volatile void *p, u64 value, int order) __asm__("__atomic_fetch_or_8");
u64 port_fetch_and_8(volatile void *p, u64 value, int order) __asm__("__atomic_fetch_and_8");

/* Returns the former value; @value is stored if it was @old. */
static u64 swap_if(volatile u64 *p, u64 old, u64 value)
{
	__asm__ volatile("lock cmpxchg8b %1"
	                 : "+A"(old), "+m"(*p)
	                 : "b"((u32)value), "c"((u32)(value >> 32))
	                 : "memory");
	return old;
}

u64 port_load_8(const volatile void *p, int order)
{
	return swap_if((volatile u64 *)(uintptr_t)p, 0, 0);
}

u64 port_exchange_8(volatile void *p, u64 value, int order)
{
	u64 old = 0, found;

	while ((found = swap_if(p, old, value)) != old)
		old = found;
	return old;
}

void port_store_8(volatile void *p, u64 value, int order)
{
	port_exchange_8(p, value, order);
}

bool port_compare_exchange_8(volatile void *p, void *old, u64 value, bool weak, int good, int bad)
{
	u64 wanted = *(u64 *)old;
	u64 found = swap_if(p, wanted, value);

	*(u64 *)old = found;
	return found == wanted;
}

#define FETCH(name, op)                                                                            \
	u64 port_fetch_##name##_8(volatile void *p, u64 value, int order)                          \
	{                                                                                          \
		u64 old = 0, found;                                                                \
                                                                                                   \
		while ((found = swap_if(p, old, old op value)) != old)                             \
			old = found;                                                               \
		return old;                                                                        \
	}
FETCH(add, +)
FETCH(sub, -)
FETCH(or, |)
FETCH(and, &)
#endif
