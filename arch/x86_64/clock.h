/* SPDX-License-Identifier: MIT */
/*
 * clock.h: nanoseconds from ticks of the time stamp counter.
 *
 * Tests:      play_clock.
 */
#ifndef ARCH_X86_64_CLOCK_H
#define ARCH_X86_64_CLOCK_H

#include <quarry/types.h>

/* ns = base_ns + (tsc - base_tsc) * scale / 2^32 */
struct tsc_clock {
	u64 base_ns, base_tsc, scale;
};
/* Before its rate is known a clock counts ticks. */
#define TSC_CLOCK                                                                                  \
	{                                                                                          \
		.scale = 1ULL << 32                                                                \
	}

static inline u64 tsc_clock_at(const struct tsc_clock *c, u64 tsc)
{
	/* @tsc is a time before the clock was set. */
	if (unlikely(tsc < c->base_tsc))
		return c->base_ns -
		    MIN(c->base_ns, (u64)((unsigned __int128)(c->base_tsc - tsc) * c->scale >> 32));
	return c->base_ns + (u64)((unsigned __int128)(tsc - c->base_tsc) * c->scale >> 32);
}

/* A CPU whose TSC is behind base_tsc is at base_ns, not centuries ahead. */
static inline u64 tsc_clock_now(const struct tsc_clock *c, u64 tsc)
{
	return tsc_clock_at(c, MAX(tsc, c->base_tsc));
}

/* From now on, @tsc, the clock continues at the rate of @hz. */
static inline void tsc_clock_set(struct tsc_clock *c, u64 tsc, u64 hz)
{
	*c = (struct tsc_clock){
	    .base_ns = tsc_clock_now(c, tsc), .base_tsc = tsc, .scale = (1000000000ULL << 32) / hz};
}

#endif
