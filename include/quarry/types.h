/* SPDX-License-Identifier: MIT */
/*
 * types.h: fixed-width types, units and the few macros that all code uses.
 *
 * Units: pfn_t is a page frame number, phys_t a physical byte address, "nr" counts pages unless the
 * name says otherwise, an order is the log2 of a count of pages.  An end is one past the last.
 */
#ifndef QUARRY_TYPES_H
#define QUARRY_TYPES_H

#include <quarry/lock_attr.h>
#include <quarry/watch.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;
typedef unsigned long pfn_t;
typedef u64 phys_t;
typedef unsigned gfp_t; /* allocation flags: GFP_... of mm.h */
typedef unsigned long irqflags_t;

#define PAGE_SHIFT 12
#define PAGE_SIZE  (1UL << PAGE_SHIFT)

#define ARRAY_SIZE(a)    (sizeof(a) / sizeof((a)[0]))
#define likely(x)        __builtin_expect(!!(x), 1)
#define unlikely(x)      __builtin_expect(!!(x), 0)
#define must_check       __attribute__((warn_unused_result))
#define always_inline    inline __attribute__((always_inline))
#define noinline         __attribute__((noinline))
#define unused           __attribute__((unused))
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a)-1))
#define ALIGN_UP(x, a)   ALIGN_DOWN((x) + ((a)-1), a)
#ifdef __cplusplus
#define BUILD_ASSERT(cond) static_assert(cond, #cond)
#else
#define BUILD_ASSERT(cond) _Static_assert(cond, #cond)
#endif
/*
 * MIN: the smaller argument; MAX: the larger; each argument is evaluated once.  MIN_CONST: the
 * smaller, for initialisers and array sizes.
 */
#define MIN_CONST(a, b)        ((a) < (b) ? (a) : (b))
#define MIN(a, b)              PICK_ONCE(a, <, b, __COUNTER__)
#define MAX(a, b)              PICK_ONCE(a, >, b, __COUNTER__)
#define PICK_ONCE(a, op, b, n) PICK_ONCE_(a, op, b, n)
#define PICK_ONCE_(a, op, b, n)                                                                    \
	({                                                                                         \
		__typeof__(a) pick_a##n = (a);                                                     \
		__typeof__(b) pick_b##n = (b);                                                     \
		pick_a##n op pick_b##n ? pick_a##n : pick_b##n;                                    \
	})

/*
 * The number of bits set in @x.  Not every x86_64 has the instruction POPCNT, and without it
 * compilers would call libgcc, which is not linked.
 */
static inline unsigned count_bits(u64 x)
{
	x -= x >> 1 & 0x5555555555555555ULL;
	x = (x & 0x3333333333333333ULL) + (x >> 2 & 0x3333333333333333ULL);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return (unsigned)(x * 0x0101010101010101ULL >> 56);
}

/*
 * lowest_bit, highest_bit: the position of the lowest or the highest bit set in @x, which is not 0.
 * divide: @n / @d.  Without these, 32-bit compilers would call libgcc.
 */
static inline unsigned lowest_bit(u64 x)
{
	if (sizeof(long) == sizeof(u64))
		return (unsigned)__builtin_ctzl((unsigned long)x);
	if ((u32)x)
		return (unsigned)__builtin_ctz((u32)x);
	return 32 + (unsigned)__builtin_ctz((u32)(x >> 32));
}

static inline unsigned highest_bit(u64 x)
{
	/* 63 ^ n is 63 - n for n from 0 to 63, and compilers make one instruction of 63 ^ clz. */
	if (sizeof(long) == sizeof(u64))
		return 63 ^ (unsigned)__builtin_clzl((unsigned long)x);
	if (x >> 32)
		return 63 ^ (unsigned)__builtin_clz((u32)(x >> 32));
	return 31 ^ (unsigned)__builtin_clz((u32)x);
}

static inline u64 divide(u64 n, u32 d)
{
	u64 quotient = 0, rest = 0;
	unsigned bit;

	if (sizeof(long) == sizeof(u64))
		return (unsigned long)n / d;
	for (bit = 64; bit-- > 0;) {
		rest = rest << 1 | (n >> bit & 1);
		if (rest >= d) {
			rest -= d;
			quotient |= 1ULL << bit;
		}
	}
	return quotient;
}

/* The struct of type @type whose member @member is at @ptr. */
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/*
 * Racy reads and writes are relaxed atomics: one access, never torn, no order implied.  Code that
 * needs an order uses the acquire and release forms and says which access they pair with.
 */
#define READ_ONCE(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)
#ifdef LOCK_ANALYSIS
#define WRITE_ONCE(x, v) ((x) = (v)) /* clang checks it as a write */
#else
#define WRITE_ONCE(x, v) ordered_store(&(x), (v), __ATOMIC_RELAXED)
#endif
#define load_acquire(p)     __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define store_release(p, v) ordered_store((p), (v), __ATOMIC_RELEASE)
/* A read-modify-write operation is a full barrier too: on x86 it is one, see docs/porting.md. */
#define atomic_add(p, v)  ATOMIC_STEP(__atomic_fetch_add, p, (v), __ATOMIC_SEQ_CST)
#define atomic_sub(p, v)  ATOMIC_STEP(__atomic_fetch_sub, p, (v), __ATOMIC_SEQ_CST)
#define atomic_or(p, v)   ATOMIC_STEP(__atomic_fetch_or, p, (v), __ATOMIC_SEQ_CST)
#define atomic_and(p, v)  ATOMIC_STEP(__atomic_fetch_and, p, (v), __ATOMIC_SEQ_CST)
#define atomic_xchg(p, v) ATOMIC_STEP(__atomic_exchange_n, p, (v), __ATOMIC_SEQ_CST)
#define full_barrier()    NOTE_BARRIER(__atomic_thread_fence(__ATOMIC_SEQ_CST))
/*
 * Earlier loads come before later loads and stores; earlier loads and stores come before later
 * stores.  On x86 both are free.
 */
#define load_barrier()  __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define store_barrier() __atomic_thread_fence(__ATOMIC_RELEASE)
/* Counters that imply no order. */
#define counter_add(p, v) ((void)ATOMIC_STEP(__atomic_fetch_add, p, (v), __ATOMIC_RELAXED))

/*
 * Other CPUs may see a store after this CPU's next reads, until a full barrier.  No test could wait
 * for that: so hosted race builds note each store, and the explorer decides when the others see it
 * (arch/fiber/fiber_stores.c).
 */
#if defined(CHECKED_BUILD) && __STDC_HOSTED__
extern __thread bool stores_wait __attribute__((weak));
__thread bool stores_wait; /* this thread has stored since its last full barrier */
#endif
#if defined(RACE_BUILD) && __STDC_HOSTED__
void store_begins(void *p, size_t size, const char *what);
void stores_out(void);
#define NOTE_BARRIER(step) (stores_out(), step)
#define ordered_store(p, v, order)                                                                 \
	({                                                                                         \
		__typeof__(p) store_to_ = (p);                                                     \
		__typeof__(*store_to_) store_this_ = (v);                                          \
		store_begins(store_to_, sizeof(*store_to_), #p);                                   \
		__atomic_store_n(store_to_, store_this_, (order));                                 \
	})
#elif defined(CHECKED_BUILD) && __STDC_HOSTED__
#define NOTE_BARRIER(step) (stores_wait = false, step)
#define ATOMIC_STEP(op, p, ...)                                                                    \
	({                                                                                         \
		__typeof__(p) atomic_to_ = (p);                                                    \
		watch_store(atomic_to_);                                                           \
		NOTE_BARRIER(op(atomic_to_, __VA_ARGS__));                                         \
	})
#define ordered_store(p, v, order)                                                                 \
	({                                                                                         \
		__typeof__(p) store_to_ = (p);                                                     \
		watch_store(store_to_);                                                            \
		stores_wait = true;                                                                \
		__atomic_store_n(store_to_, (v), (order));                                         \
	})
#define expect_stores_out() KASSERT(!stores_wait)
#else
#define NOTE_BARRIER(step)         step
#define ordered_store(p, v, order) __atomic_store_n((p), (v), (order))
#endif

#ifndef ATOMIC_STEP
#define ATOMIC_STEP(op, p, ...) NOTE_BARRIER(op((p), __VA_ARGS__))
#endif

/*
 * Two CPUs each store one word and then read the other CPU's word.  At least one of them sees the
 * other's store, but only if each has a full barrier between its store and its read.
 * load_after_stores(p) is such a read; expect_stores_out() stands before such a read that is made
 * in another way.  Hosted builds check that the barrier is there.
 */
#ifndef expect_stores_out
#define expect_stores_out() ((void)0)
#endif
#define load_after_stores(p)                                                                       \
	({                                                                                         \
		expect_stores_out();                                                               \
		load_acquire(p);                                                                   \
	})

/* True if *@p was @old and is now @new; no loop, sequentially consistent. */
#define atomic_cas(p, old, new)                                                                    \
	({                                                                                         \
		__typeof__(*(p)) cas_old_ = (old);                                                 \
		ATOMIC_STEP(__atomic_compare_exchange_n, p, &cas_old_, (new), false,               \
		    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);                                           \
	})

#endif
