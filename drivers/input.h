/* SPDX-License-Identifier: MIT */
/* input.h: the bytes typed at the console, from the serial port and the keyboard, in one ring. */
#ifndef DRIVERS_INPUT_H
#define DRIVERS_INPUT_H

#include <quarry/port.h>

struct input {
	u8 ring[256];
	u32 head; /* atomic: number of bytes ever put into the ring */
	u32 tail; /* atomic: number of bytes ever taken out */
	/* RANK_WAIT: from the look at a device until its bytes are in the ring */
	struct spinlock receive;
	struct waitq readers;
};

/* An empty ring with the name @n. */
#define INPUT(n)                                                                                   \
	{                                                                                          \
		.receive = {.rank = RANK_WAIT, .name = (n)}, .readers = WAITQ_BARE(n)              \
	}

/* Put @byte into the ring; if the ring is full, the byte is lost.  Under in->receive. */
void input_put(struct input *in, u8 byte) REQUIRES(in->receive);
/* The oldest byte of the ring, or -1; does not wait.  One reader at a time. */
int input_get(struct input *in);
/* Sleep until a byte is in the ring, at most @timeout_ns.  Context: thread. */
void input_wait(struct input *in, u64 timeout_ns);

/* The console's input, for the drivers that fill it (drivers/console_in.c). */
extern struct input console_input;

#endif
