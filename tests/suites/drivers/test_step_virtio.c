/* SPDX-License-Identifier: MIT */
/*
 * test_step_virtio.c: a device that changes what the driver reads right after each read, and slots
 * that have an event while they are scanned.  The test includes the source of drivers/virtio.c,
 * with its reads of the device's memory, and that of drivers/acpi_hotplug.c.  Hosted only.
 */
#define acpi_hotplug_init  stepped_init
#define acpi_hotplug_start stepped_start
#define show_all_slots     stepped_show
#define virtio_begin       changed_begin
#define virtio_ready       changed_ready
#define virtio_reset       changed_reset
#define virtio_is_broken   changed_is_broken
#define virtio_interrupt   changed_interrupt
#define virtio_read_config changed_read_config
#define virtqueue_start    changed_start
#define virtqueue_free     changed_free
#define virtqueue_add      changed_add
#define virtqueue_notify   changed_notify
#define virtqueue_pending  changed_pending
#define virtqueue_take     changed_take
#define virtqueue_wait     changed_wait
#define virtqueue_call     changed_call
#include "tests/host/moment.h"
#include "tests/lib/mm_test.h"
#include "drivers/virtio.h"
#include "drivers/acpi_hotplug.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static struct virtqueue queue;
static u16 idx_behind; /* the index after its read */
static u32 id_behind;

/* The value was read; now the device stores another one. */
static u32 change_behind(const void *at, u32 value)
{
	struct vring_used *used = queue.ring.used;

	if (at == &used->idx)
		used->idx = idx_behind;
	else if (at == &used->ring[0].id)
		used->ring[0].id = id_behind;
	else if (at == &used->ring[0].len)
		used->ring[0].len = 1000;
	return value;
}

#undef READ_ONCE
#undef load_acquire
#define READ_ONCE(x)    change_behind(&(x), (x))
#define load_acquire(p) ((u16)change_behind((p), *(p)))
#include "drivers/virtio.c" /* NOLINT(bugprone-suspicious-include): the tested source */

/* A queue of four, of which the device has the first and has answered with 8 bytes. */
static void answer_is_there(u16 behind)
{
	static char ring[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
	static struct virtio_device dev = {.name = "changed"};

	memset(ring, 0, sizeof(ring));
	queue = (struct virtqueue){.dev = &dev, .size = 4, .nr_free = 3, .free = 1};
	vring_init(&queue.ring, queue.size, ring, VRING_USED_ALIGN_SIZE);
	queue.used[0] = 1;
	queue.room[0] = 16;
	queue.token[0] = &queue;
	queue.ring.used->idx = 1;
	queue.ring.used->ring[0].len = 8;
	idx_behind = behind;
	id_behind = 3;
}

KTEST_SUITE(virtio_steps, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(what_the_device_changes_later_does_not_count)
{
	u32 len = 0;

	answer_is_there(3);
	EXPECT(t, virtqueue_take(&queue, &len) == &queue);
	EXPECT(t, len == 8 && !queue.broken && queue.nr_free == 4 && queue.free == 0);
}

KTEST(answer_that_the_device_withdraws_was_taken)
{
	struct answer answer = {.q = &queue};

	answer_is_there(0);
	EXPECT(t, answered(&answer));
	EXPECT(t, answer.len == 8 && !queue.broken && queue.nr_free == 4);
}

KTEST(id_is_verified_as_it_is_used,
    .says = "changed: queue 0: the device returned a buffer that it did not have (1073741824): it "
            "is not used any more\n")
{
	u32 len = 0;

	answer_is_there(1);
	queue.ring.used->ring[0].id = 1u << 30;
	id_behind = 0;
	EXPECT(t, !virtqueue_take(&queue, &len) && queue.broken);
}

static struct virtio_device woken = {.name = "woken", .wq = WAITQ("woken")};
static bool noted;

static void note_change(void)
{
	noted = woken.config_changed;
}

KTEST(who_is_woken_finds_the_change)
{
	EXPECT_AT(t, (virtio_interrupt(&woken, VIRTIO_PCI_ISR_CONFIG), 0), 0,
	    .lock = &woken.wq.lock, .step = LOCK_TAKEN, .act = note_change);
	EXPECT(t, noted);
}

/* ---- slots ---- */

/* The only slot is empty; when the driver looks at it, its bank has another event. */
static u32 read_status(void *arg, unsigned offset, unsigned bytes)
{
	event(EVENT_MEMORY);
	return 0;
}

static void ignore(void *arg, unsigned offset, unsigned bytes, u32 value)
{
}

KTEST(event_of_a_slot_during_a_scan_is_not_lost)
{
	const struct slot_regs regs = {.read = read_status, .write = ignore};
	const struct slot_user user = {.take = NULL};

	slot_bank_init(&memory_slots, SLOT_MEMORY, &regs, &user, 1);
	event(EVENT_MEMORY);
	acpi_turn();
	EXPECT(t, any_pending(NULL));
}
