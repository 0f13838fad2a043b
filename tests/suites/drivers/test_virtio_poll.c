/* SPDX-License-Identifier: MIT */
/*
 * test_virtio_poll.c: split rings with a device that polls: it runs on another CPU, takes a
 * buffer as soon as it can see it, notified or not, returns buffers early, late and in any order,
 * and writes to all memory it can reach.
 *
 * The thread sanitizer's build notices here if a buffer is published before it is complete.
 */
#include "tests/lib/pretend_virtio.h"

#define NR_JOBS  3000u
#define NR_CALLS 1000u
#define HELD_MAX 4u
/* Reads of an unchanged ring before the test fails. */
#define MAX_IDLE 200000000u

/* Buffer @seq is two pieces; their addresses and lengths show the device that both are there. */
struct job {
	u32 seq;
	bool out;
};

static struct virtqueue queue;
static struct job jobs[VIRTQUEUE_MAX];
static u32 stop;       /* atomic: tells the device to end */
static u32 incomplete; /* atomic: the device has seen an incomplete buffer */
static u64 order_seed;

static u32 room_of(u32 seq)
{
	return seq % 1000 + 1;
}

static u32 check_pieces(struct pretend *p, const struct pretend_buf *buf)
{
	static const char *const what = "a buffer that is not complete";
	u32 seq = (u32)(buf->out[0].addr >> 4);

	if (buf->nr_out != 1 || buf->nr_in != 1 || buf->out[0].len != seq % 77 ||
	    buf->in[0].len != room_of(seq) || buf->in[0].addr != (phys_t)seq << 8) {
		ktest_fail(p->t, __FILE__, __LINE__, "the device sees %s: %u", what, seq);
		store_release(&incomplete, 1u);
	}
	return buf->in[0].len;
}

static int add_job(u32 seq)
{
	struct job *job = &jobs[seq % VIRTQUEUE_MAX];
	struct virtio_buf bufs[2] = {
	    {(phys_t)seq << 4, seq % 77}, {(phys_t)seq << 8, room_of(seq)}};
	int err = job->out ? -ENOSPC : virtqueue_add(&queue, bufs, 1, 1, job);

	if (!err)
		*job = (struct job){.seq = seq, .out = true};
	return err;
}

/* Return the buffers that are held, in random order. */
static void return_held(u16 *held, u32 *room, unsigned nr)
{
	while (nr) {
		unsigned i = (unsigned)(ktest_rand(&order_seed) % nr);

		pretend_return(&pretend_dev, 0, held[i], room[i]);
		held[i] = held[--nr];
		room[i] = room[nr];
	}
	virtio_interrupt(&pretend_dev.dev, 1);
}

/* Take buffers; return them when there are @most, or no more are seen for a while. */
static void device(void *most)
{
	struct vring *ring = &pretend_dev.queue[0]->ring;
	u32 room[HELD_MAX];
	u16 held[HELD_MAX];
	unsigned nr = 0, idle = 0;

	while (!load_acquire(&stop)) {
		struct pretend_buf buf = {.queue = 0};

		if (load_acquire(&ring->avail->idx) == pretend_dev.seen[0]) {
			if (nr && ++idle > 20) {
				return_held(held, room, nr);
				nr = 0;
			}
			cpu_relax();
			continue;
		}
		idle = 0;
		held[nr] = ring->avail->ring[pretend_dev.seen[0]++ % ring->num];
		pretend_gather(&pretend_dev, &buf, held[nr]);
		room[nr] = check_pieces(&pretend_dev, &buf);
		if (++nr >= (uintptr_t)most) {
			return_held(held, room, nr);
			nr = 0;
		}
	}
}

static bool begin(struct ktest *t, unsigned size)
{
	memset(jobs, 0, sizeof(jobs));
	stop = incomplete = 0;
	order_seed = t->seed;
	pretend_init(&pretend_dev, t, 0, NULL);
	pretend_dev.polls_itself = true;
	pretend_dev.size[0] = size;
	return pretend_start_queue(t, &pretend_dev, &queue);
}

static void end(struct ktest *t)
{
	EXPECT(t, !queue.broken);
	EXPECT_EQ(t, queue.nr_free, queue.size);
	virtio_reset(&pretend_dev.dev);
	virtqueue_free(&queue);
}

/* Pass all jobs through the ring, with as many in use as the ring holds. */
static void run_jobs(struct ktest *t)
{
	u32 seq = 0, back = 0, idle = 0, len;

	while (back < NR_JOBS && idle < MAX_IDLE && !queue.broken && !load_acquire(&incomplete)) {
		struct job *job;
		bool added = seq < NR_JOBS && !add_job(seq);

		seq += added;
		job = virtqueue_take(&queue, &len);
		idle = job || added ? 0 : idle + 1;
		if (!job) {
			cpu_relax();
			continue;
		}
		if (!job->out || len != room_of(job->seq))
			ktest_fail(t, __FILE__, __LINE__, "job %u: out %u, %u bytes", job->seq,
			    job->out, len);
		job->out = false;
		back++;
	}
	EXPECT_EQ(t, back, NR_JOBS);
}

KTEST_SUITE(virtio_poll, 0);

KTEST(polling_device_sees_complete_buffers)
{
	static const unsigned sizes[] = {2, 16, 64};
	uintptr_t most;
	unsigned i;

	if (!ktest_needs_cpus(t, 2))
		return;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (most = 1; most <= HELD_MAX; most += HELD_MAX - 1) {
			REQUIRE(t, begin(t, sizes[i]));
			ktest_start(1, device, (void *)most);
			run_jobs(t);
			store_release(&stop, 1u);
			ktest_join(1);
			end(t);
		}
	}
}

/* The answer may come before the notification, or between the notification and the wait. */
KTEST(answer_may_precede_the_notification)
{
	u32 seq, wrong = 0;

	if (!ktest_needs_cpus(t, 2))
		return;
	REQUIRE(t, begin(t, 2));
	ktest_start(1, device, (void *)1);
	for (seq = 0; seq < NR_CALLS; seq++) {
		struct virtio_buf bufs[2] = {
		    {(phys_t)seq << 4, seq % 77}, {(phys_t)seq << 8, room_of(seq)}};

		wrong += virtqueue_call(&queue, bufs, 1, 1) != room_of(seq);
	}
	EXPECT_EQ(t, wrong, 0);
	store_release(&stop, 1u);
	ktest_join(1);
	end(t);
}

/* ---- memory that the device can write to, without another CPU ---- */

static void give(u16 first)
{
	pretend_return(&pretend_dev, 0, first, 1);
}

/* The driver does not rely on descriptors, the available ring and its index. */
KTEST(overwritten_ring_breaks_nothing)
{
	struct vring *ring;
	u32 seq, len;
	u16 first[2];
	unsigned i;

	REQUIRE(t, begin(t, 8));
	ring = &queue.ring;
	for (seq = 0; seq < 100; seq++) {
		u16 idx = (u16)(2 * seq);

		for (i = 0; i < 2; i++)
			EXPECT_EQ(t, add_job(2 * seq + i), 0);
		/* The driver uses its own count to place the next buffers. */
		EXPECT_EQ(t, ring->avail->idx, (u16)(idx + 2));
		for (i = 0; i < 2; i++) {
			struct pretend_buf buf = {.queue = 0};

			first[i] = ring->avail->ring[(u16)(idx + i) % ring->num];
			REQUIRE(t, first[i] < ring->num);
			pretend_gather(&pretend_dev, &buf, first[i]);
			check_pieces(&pretend_dev, &buf);
		}
		memset(ring->desc, 0xff, ring->num * sizeof(*ring->desc));
		memset(ring->avail->ring, 0xff, ring->num * sizeof(u16));
		ring->avail->idx = (u16)(seq * 977);
		ring->avail->flags = 0xffff;
		give(first[1]);
		give(first[0]);
		EXPECT(t, virtqueue_take(&queue, &len) == &jobs[(2 * seq + 1) % VIRTQUEUE_MAX]);
		EXPECT(t, virtqueue_take(&queue, &len) == &jobs[2 * seq % VIRTQUEUE_MAX]);
		jobs[2 * seq % VIRTQUEUE_MAX].out = jobs[(2 * seq + 1) % VIRTQUEUE_MAX].out = false;
	}
	end(t);
}

/* A buffer's second descriptor, a free one, one already returned, and one that does not exist. */
KTEST(buffer_never_submitted_is_rejected,
    .reports = ": the device returned a buffer that it did not have (")
{
	static const u16 lies[] = {1, 4, 2, 0xffff};
	unsigned i;
	u32 len;

	for (i = 0; i < ARRAY_SIZE(lies); i++) {
		REQUIRE(t, begin(t, 8));
		EXPECT_EQ(t, add_job(0), 0);
		EXPECT_EQ(t, add_job(1), 0);
		give(2);
		EXPECT(t, virtqueue_take(&queue, &len) == &jobs[1]);
		give(lies[i]);
		EXPECT(t, !virtqueue_take(&queue, &len));
		EXPECT(t, queue.broken);
		EXPECT_EQ(t, queue.nr_free, 6);
		queue.broken = false;
		virtio_reset(&pretend_dev.dev);
		virtqueue_free(&queue);
	}
}
