/* SPDX-License-Identifier: MIT */
/*
 * input.c: the ring of bytes typed at the console.
 *
 * Owns:       struct input.
 * Locks:      the ring has one consumer, the reader of the console.  Its producers, the interrupts
 *             and the polls of all devices, take turns under the lock receive: while a CPU goes
 *             down, two CPUs may take the same interrupt.
 * Invariants: head - tail bytes are in the ring, never more than its size; bytes beyond that are
 *             lost.
 * Tests:      uart, play_input.
 */
#include "drivers/input.h"

static bool byte_ready(void *arg)
{
	struct input *in = arg;

	return READ_ONCE(in->tail) != load_acquire(&in->head); /* pairs with input_put */
}

void input_put(struct input *in, u8 byte)
{
	u32 head = in->head;

	if (head - load_acquire(&in->tail) < sizeof(in->ring)) {
		in->ring[head % sizeof(in->ring)] = byte;
		store_release(&in->head, head + 1);
	}
}

int input_get(struct input *in)
{
	u32 tail = READ_ONCE(in->tail);
	u8 byte;

	if (!byte_ready(in))
		return -1;
	byte = in->ring[tail % sizeof(in->ring)];
	store_release(&in->tail, tail + 1);
	return byte;
}

void input_wait(struct input *in, u64 timeout_ns)
{
	wait_until(&in->readers, byte_ready, in, timeout_ns);
}
