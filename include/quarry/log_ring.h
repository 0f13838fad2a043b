/* SPDX-License-Identifier: MIT */
/*
 * log_ring.h: a ring with the latest output.  The caller holds a lock, which on every port is the
 * lock of printk.
 */
#ifndef QUARRY_LOG_RING_H
#define QUARRY_LOG_RING_H

#include <quarry/types.h>

struct log_ring {
	char *bytes;
	u32 size; /* bytes, a power of two */
	u64 end;  /* number of bytes ever put in; may be read without the lock */
};

static inline void log_ring_put(struct log_ring *log, const char *s, size_t len)
{
	u64 end = log->end;

	while (len--)
		log->bytes[end++ % log->size] = *s++;
	WRITE_ONCE(log->end, end);
}

/*
 * Copy up to @size bytes from *@pos on, or from the oldest; *@pos moves behind them.  Returns their
 * number.
 */
static inline size_t log_ring_get(const struct log_ring *log, u64 *pos, char *buf, size_t size)
{
	u64 oldest = log->end > log->size ? log->end - log->size : 0;
	size_t n;

	*pos = MAX(*pos, oldest);
	for (n = 0; n < size && *pos < log->end; n++, (*pos)++)
		buf[n] = log->bytes[*pos % log->size];
	return n;
}

#endif
