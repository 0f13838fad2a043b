/* SPDX-License-Identifier: MIT */
/*
 * test_virtio.c: the start of a virtio device, its configuration, and split rings, with a device
 * that may lie.
 */
#include "tests/lib/pretend_virtio.h"
#include "tests/lib/wait_help.h"

static struct virtqueue queue;
/* Any addresses will do: the pretended device only compares addresses. */
static const struct virtio_buf three[3] = {{0x1000, 16}, {0x2000, 32}, {0x3000, 8}};

static bool begin(
    struct ktest *t, unsigned size, u32 (*serve)(struct pretend *, const struct pretend_buf *))
{
	pretend_init(&pretend_dev, t, 0, serve);
	pretend_dev.size[0] = size;
	return pretend_start_queue(t, &pretend_dev, &queue);
}

static void end(void)
{
	virtio_reset(&pretend_dev.dev);
	virtqueue_free(&queue);
}

static u32 echo(struct pretend *p, const struct pretend_buf *buf)
{
	u32 room = 0;
	unsigned i;

	for (i = 0; i < buf->nr_in; i++)
		room += buf->in[i].len;
	return room;
}

#define WRONG(what, n) "pretend: queue 0: the device " what " (" n "): it is not used any more\n"
#define TOO_MUCH(n)    WRONG("wrote more than there was room for", n)
#define NOT_ITS(n)     WRONG("returned a buffer that it did not have", n)

static u32 mute(struct pretend *p, const struct pretend_buf *buf)
{
	return NO_ANSWER;
}

KTEST_SUITE(virtio, 0);

KTEST(features_are_agreed_on)
{
	pretend_init(&pretend_dev, t, 0x15, NULL);
	EXPECT_EQ(t, virtio_begin(&pretend_dev.dev, 0x31), 0);
	EXPECT_EQ(t, pretend_dev.accepted, 0x11 | 1ULL << VIRTIO_F_VERSION_1);
	EXPECT_EQ(t, pretend_dev.dev.features, pretend_dev.accepted);
	EXPECT_EQ(t, pretend_dev.resets, 1);
	EXPECT(t, virtio_is_broken(&pretend_dev.dev)); /* not ready yet */
	virtio_ready(&pretend_dev.dev);
	EXPECT(t, !virtio_is_broken(&pretend_dev.dev));
	pretend_dev.status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	EXPECT(t, virtio_is_broken(&pretend_dev.dev));
}

/* The steps are those of section 3.1.1 of the specification. */
KTEST(a_device_is_started_in_order,
    .says = "pretend: a legacy device: left alone\n"
            "pretend: does not agree to features 0x100000000 of 0x100000000\n"
            "pretend: does not reset: left alone\n")
{
	static const struct {
		u64 legacy;
		u8 refused, stuck;
		int err;
		const char *log;
	} devices[] = {
	    {1, 0, 0, -ENODEV, "RADfX"},
	    {0, VIRTIO_CONFIG_S_FEATURES_OK, 0, -EIO, "RADfaFX"},
	    {0, 0, VIRTIO_CONFIG_S_DRIVER_OK, -EIO, "R"},
	};

	REQUIRE(t, begin(t, 8, NULL));
	EXPECT(t, !strcmp(pretend_dev.log, "RADfaFqK"));
	EXPECT_EQ(t, pretend_dev.status,
	    VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK |
	        VIRTIO_CONFIG_S_DRIVER_OK);
	end();
	EXPECT(t, !strcmp(pretend_dev.log, "RADfaFqKR"));
	EXPECT(t, !queue.page);
	for (unsigned i = 0; i < ARRAY_SIZE(devices); i++) {
		pretend_init(&pretend_dev, t, 0, NULL);
		pretend_dev.offered = devices[i].legacy ? 1 : pretend_dev.offered;
		pretend_dev.refused = devices[i].refused;
		pretend_dev.stuck = devices[i].stuck;
		if (virtio_begin(&pretend_dev.dev, devices[i].legacy) != devices[i].err ||
		    strcmp(pretend_dev.log, devices[i].log) != 0)
			ktest_fail(t, __FILE__, __LINE__, "steps %s", pretend_dev.log);
	}
}

KTEST(refused_queue_leaves_nothing)
{
	pretend_init(&pretend_dev, t, 0, NULL);
	pretend_dev.refuse_queue = -EIO;
	EXPECT_EQ(t, virtio_begin(&pretend_dev.dev, 0), 0);
	EXPECT_EQ(t, virtqueue_start(&queue, &pretend_dev.dev, 0), -EIO);
	EXPECT(t, !queue.page);
	EXPECT(t, !strcmp(pretend_dev.log, "RADfaF"));
}

KTEST(
    configuration_is_read_consistently, .says = "pretend: its configuration changes all the time\n")
{
	static const struct virtio_field fields[] = {{0, 8}, {8, 2}, {12, 4}};
	struct {
		u64 a;
		u16 b, hole;
		u32 c;
	} have = {0};

	pretend_init(&pretend_dev, t, 0, NULL);
	memcpy(pretend_dev.config, "\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20", 16);
	pretend_dev.unsteady = 9;
	EXPECT_EQ(t, virtio_read_config(&pretend_dev.dev, fields, 3, &have), 0);
	EXPECT_EQ(t, pretend_dev.unsteady, 0);
	EXPECT_EQ(t, have.a, 0x0807060504030201LL);
	EXPECT_EQ(t, have.b, 0x0a09);
	EXPECT_EQ(t, have.hole, 0);
	EXPECT_EQ(t, have.c, 0x100f0e0d);
	pretend_dev.unsteady = 0xff;
	EXPECT_EQ(t, virtio_read_config(&pretend_dev.dev, fields, 3, &have), -EIO);
}

static unsigned changes;

/* Change all of the first field between the reads of its two halves, @changes times. */
static void change_amid_the_read(struct pretend *p, unsigned at)
{
	if (at || !changes)
		return;
	changes--;
	memset(p->config, p->config[0] + 1, 8);
	p->generation++;
}

KTEST(configuration_changed_during_a_read_is_read_again,
    .says = "pretend: its configuration changes all the time\n")
{
	static const struct virtio_field field = {0, 8};
	u64 have = 0;

	for (changes = 1; changes <= 90; changes *= 3) {
		unsigned last = changes + 1;

		pretend_init(&pretend_dev, t, 0, NULL);
		memset(pretend_dev.config, 1, 8);
		pretend_dev.on_read = change_amid_the_read;
		EXPECT_EQ(t, virtio_read_config(&pretend_dev.dev, &field, 1, &have), 0);
		EXPECT_EQ(t, have, 0x0101010101010101ULL * last);
		changes = last - 1;
	}
	/* The configuration never stops changing: the read fails after 100 tries. */
	changes = ~0u;
	EXPECT_EQ(t, virtio_read_config(&pretend_dev.dev, &field, 1, &have), -EIO);
	EXPECT_EQ(t, changes, ~0u - 100);
	changes = 0;
}

/* The device returns a buffer twice, in a used place of the ring, while another is in use. */
KTEST(buffer_returned_twice_is_rejected, .says = NOT_ITS("0"))
{
	u32 len;

	REQUIRE(t, begin(t, 8, mute));
	EXPECT_EQ(t, virtqueue_add(&queue, three, 1, 1, t), 0);
	virtqueue_notify(&queue);
	EXPECT_EQ(t, virtqueue_add(&queue, three, 1, 0, &pretend_dev), 0);
	virtqueue_notify(&queue);
	pretend_dev.kept[0] = 1;
	pretend_answer(&pretend_dev, 0, 4);
	EXPECT(t, virtqueue_take(&queue, &len) == t);
	EXPECT_EQ(t, len, 4);
	pretend_dev.kept[0] = 1;
	pretend_answer(&pretend_dev, 0, 4);
	EXPECT(t, !virtqueue_take(&queue, &len));
	EXPECT(t, queue.broken);
	EXPECT_EQ(t, queue.nr_free, 7);
	end();
}

KTEST(interrupt_status_tells_queue_from_configuration)
{
	pretend_init(&pretend_dev, t, 0, NULL);
	virtio_interrupt(&pretend_dev.dev, 1);
	EXPECT_EQ(t, pretend_dev.dev.config_changed, 0);
	virtio_interrupt(&pretend_dev.dev, VIRTIO_PCI_ISR_CONFIG);
	EXPECT_EQ(t, pretend_dev.dev.config_changed, 1);
}

KTEST(queue_size_is_the_largest_power_of_2_that_fits)
{
	static const unsigned sizes[][2] = {
	    {1, 1}, {2, 2}, {3, 2}, {64, 64}, {100, 64}, {32768, 64}};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		REQUIRE(t, begin(t, sizes[i][0], echo));
		EXPECT_EQ(t, queue.size, sizes[i][1]);
		end();
	}
	pretend_init(&pretend_dev, t, 0, NULL);
	pretend_dev.size[0] = 0;
	EXPECT_EQ(t, virtio_begin(&pretend_dev.dev, 0), 0);
	EXPECT_EQ(t, virtqueue_start(&queue, &pretend_dev.dev, 0), -ENODEV);
}

/* The ring's 16-bit index wraps around twice. */
KTEST(ring_wraps_around_after_many_calls)
{
	unsigned i, wrong = 0;

	REQUIRE(t, begin(t, 4, echo));
	for (i = 0; i < 140000; i++)
		wrong += virtqueue_call(&queue, three, 1 + i % 2, 2 - i % 2) != (i % 2 ? 8 : 40);
	EXPECT_EQ(t, wrong, 0);
	EXPECT_EQ(t, pretend_dev.notified, i);
	EXPECT_EQ(t, queue.nr_free, 4);
	end();
}

static u32 in_order_of_pieces(struct pretend *p, const struct pretend_buf *buf)
{
	EXPECT_EQ(p->t, buf->nr_out, 2);
	EXPECT_EQ(p->t, buf->nr_in, 1);
	EXPECT_EQ(p->t, buf->out[0].addr, 0x1000);
	EXPECT_EQ(p->t, buf->out[1].addr, 0x2000);
	EXPECT_EQ(p->t, buf->out[1].len, 32);
	EXPECT_EQ(p->t, buf->in[0].addr, 0x3000);
	return 8;
}

KTEST(device_sees_every_piece_of_a_buffer)
{
	REQUIRE(t, begin(t, 8, in_order_of_pieces));
	EXPECT_EQ(t, virtqueue_call(&queue, three, 2, 1), 8);
	end();
}

KTEST(full_queue_refuses_until_a_buffer_returns)
{
	unsigned i;
	u32 len = 0;

	REQUIRE(t, begin(t, 8, mute));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(t, virtqueue_add(&queue, three, 1, 1, &pretend_dev.config[i]), 0);
	EXPECT_EQ(t, virtqueue_add(&queue, three, 1, 0, t), -ENOSPC);
	EXPECT_EQ(t, virtqueue_call(&queue, three, 1, 0), -ENOSPC);
	EXPECT(t, !virtqueue_pending(&queue) && !virtqueue_take(&queue, &len));
	virtqueue_notify(&queue);
	EXPECT_EQ(t, pretend_dev.seen[0], 4);
	/* The device returns the buffers in reverse order. */
	for (i = 4; i-- > 0;) {
		pretend_dev.kept[0] = (u16)(2 * i + 1);
		pretend_answer(&pretend_dev, 0, i);
	}
	for (i = 4; i-- > 0;) {
		EXPECT(t, virtqueue_take(&queue, &len) == &pretend_dev.config[i]);
		EXPECT_EQ(t, len, i);
	}
	EXPECT_EQ(t, queue.nr_free, 8);
	EXPECT_EQ(t, virtqueue_add(&queue, three, 2, 1, t), 0);
	EXPECT_EQ(t, virtqueue_add(&queue, three, 0, 0, t), -ENOSPC);
	end();
}

static const char all_too_much[] =
    TOO_MUCH("33") TOO_MUCH("41") TOO_MUCH("57") TOO_MUCH("1") TOO_MUCH("17");

/* The length that the device reports must fit into the writable pieces of this very buffer. */
KTEST(written_length_is_checked_against_the_buffer, .says = all_too_much)
{
	static const struct {
		unsigned out, in;
		u32 wrote;
		bool good;
	} answers[] = {{1, 1, 0, true}, {1, 1, 32, true}, {1, 1, 33, false}, {1, 2, 40, true},
	    {1, 2, 41, false}, {0, 3, 56, true}, {0, 3, 57, false}, {3, 0, 0, true},
	    {3, 0, 1, false}, {0, 1, 16, true}, {0, 1, 17, false}};
	unsigned i;
	u32 len;

	for (i = 0; i < ARRAY_SIZE(answers); i++) {
		REQUIRE(t, begin(t, 8, mute));
		/* The same descriptors had longer buffers before. */
		EXPECT_EQ(t, virtqueue_add(&queue, three, 0, 3, t), 0);
		virtqueue_notify(&queue);
		pretend_answer(&pretend_dev, 0, 56);
		EXPECT(t, virtqueue_take(&queue, &len) == t && len == 56);
		EXPECT_EQ(t,
		    virtqueue_add(&queue, three, answers[i].out, answers[i].in, &pretend_dev), 0);
		virtqueue_notify(&queue);
		EXPECT(t, !virtqueue_pending(&queue));
		pretend_answer(&pretend_dev, 0, answers[i].wrote);
		EXPECT(t, virtqueue_pending(&queue));
		len = ~0u;
		if ((virtqueue_take(&queue, &len) == &pretend_dev) != answers[i].good ||
		    queue.broken == answers[i].good ||
		    len != (answers[i].good ? answers[i].wrote : ~0u))
			ktest_fail(t, __FILE__, __LINE__, "answer %u: %u bytes, broken %u", i, len,
			    queue.broken);
		EXPECT_EQ(
		    t, queue.nr_free, answers[i].good ? 8 : 8 - answers[i].out - answers[i].in);
		end();
	}
}

static const char all_wrong[] = NOT_ITS("8") TOO_MUCH("4294967295")
    WRONG("returned more buffers than it had", "16") NOT_ITS("2");

KTEST(invalid_answers_of_a_device_are_rejected, .says = all_wrong)
{
	static const enum pretend_lie lies[] = {LIE_ID, LIE_LEN, LIE_COUNT, LIE_TWICE};
	unsigned i;
	u32 len;

	for (i = 0; i < ARRAY_SIZE(lies); i++) {
		REQUIRE(t, begin(t, 8, echo));
		EXPECT_EQ(t, virtqueue_call(&queue, three, 1, 1), 32);
		/* One buffer stays with the device, so that a wrong count differs. */
		pretend_dev.serve = mute;
		EXPECT_EQ(t, virtqueue_add(&queue, three, 1, 1, t), 0);
		virtqueue_notify(&queue);
		pretend_dev.serve = echo;
		pretend_dev.lie = lies[i];
		EXPECT_EQ(t, virtqueue_call(&queue, three, 1, 1), lies[i] == LIE_TWICE ? 32 : -EIO);
		EXPECT(t, !virtqueue_take(&queue, &len));
		EXPECT(t, queue.broken);
		/* A buffer not returned properly stays with the device until a reset. */
		EXPECT_EQ(t, queue.nr_free, lies[i] == LIE_TWICE ? 6 : 4);
		EXPECT_EQ(t, virtqueue_add(&queue, three, 1, 1, t), -EIO);
		EXPECT_EQ(t, virtqueue_call(&queue, three, 1, 1), -EIO);
		end();
		/* After a reset the same device works again. */
		REQUIRE(t, begin(t, 8, echo));
		EXPECT_EQ(t, virtqueue_call(&queue, three, 1, 1), 32);
		end();
	}
}

static void answer_late(void *arg)
{
	u32 polls;

	YIELD_UNTIL(load_acquire(&pretend_dev.kept[0]));
	polls = READ_ONCE(pretend_dev.polls);
	YIELD_UNTIL(READ_ONCE(pretend_dev.polls) != polls);
	pretend_answer(&pretend_dev, 0, 5);
}

KTEST(late_answer_is_waited_for, .says = "pretend: queue 0: no answer for 100 ms\n")
{
	if (!ktest_needs_cpus(t, 2))
		return;
	REQUIRE(t, begin(t, 8, mute));
	pretend_dev.dev.patience_ns = 100000000;
	ktest_start(1, answer_late, NULL);
	EXPECT_EQ(t, virtqueue_call(&queue, three, 1, 2), 5);
	ktest_join(1);
	end();
}

KTEST(silent_device_is_marked_broken,
    .says = "pretend: queue 0: no answer for 1 ms\n"
            "pretend: queue 0: the device does not answer (0): it is not used any more\n")
{
	u32 polls;

	REQUIRE(t, begin(t, 8, mute));
	pretend_dev.dev.patience_ns = 1000000;
	polls = pretend_dev.polls;
	/* The device breaks after 20 polls, so that no wait is endless. */
	pretend_dev.breaks_at = polls + 20;
	EXPECT_EQ(t, virtqueue_call(&queue, three, 1, 1), -EIO);
	EXPECT(t, pretend_dev.polls - polls <= VIRTIO_PATIENCES);
	EXPECT(t, queue.broken);
	EXPECT_EQ(t, virtqueue_add(&queue, three, 1, 1, t), -EIO);
	/* The device keeps its buffers until the reset. */
	EXPECT_EQ(t, queue.nr_free, 6);
	end();
}

KTEST(wait_for_an_answer_uses_the_callers_limit)
{
	REQUIRE(t, begin(t, 8, mute));
	EXPECT_EQ(t, virtqueue_add(&queue, three, 1, 2, t), 0);
	virtqueue_notify(&queue);
	EXPECT_EQ(t, virtqueue_wait(&queue, 1000000), -EAGAIN);
	EXPECT(t, !queue.broken);
	pretend_answer(&pretend_dev, 0, 7);
	EXPECT_EQ(t, virtqueue_wait(&queue, 1000000), 7);
	end();
}

static u32 die(struct pretend *p, const struct pretend_buf *buf)
{
	WRITE_ONCE(p->status, p->status | VIRTIO_CONFIG_S_NEEDS_RESET);
	return NO_ANSWER;
}

KTEST(stopped_device_is_not_waited_for,
    .says = "pretend: queue 0: the device has stopped (79): it is not used any more\n")
{
	REQUIRE(t, begin(t, 8, die));
	pretend_dev.dev.patience_ns = 1000000;
	EXPECT_EQ(t, virtqueue_call(&queue, three, 1, 1), -EIO);
	EXPECT(t, queue.broken);
	end();
}
