/* SPDX-License-Identifier: MIT */
/*
 * dimm.c: memory modules: bringing the memory of a slot online, and taking it offline again.
 *
 * Owns:       nothing: the memory manager knows the state of a module's memory.
 * Locks:      those of add_memory and offline_pages inside.
 * Invariants: a module is taken as a whole or not at all.  If other operations have changed parts
 *             of it by hand, all of it must be online, offline or removed before the module can be
 *             ejected.
 * Tests:      dimm, tests/qemu/test_slots.py.
 */
#include <quarry/acpi_slots.h>
#include <quarry/errno.h>
#include <quarry/memory_hotplug.h>

static bool whole_pages(const struct slot_device *dev)
{
	return dev->size && !((dev->address | dev->size) & (PAGE_SIZE - 1));
}

/* The node of proximity domain @domain; nr_nodes of @user if the domain is unknown. */
static unsigned dimm_node(const struct dimm_user *user, u32 domain)
{
	unsigned node = 0;

	while (node < user->nr_nodes && user->domain[node] != domain)
		node++;
	/* The memory may have been set up as a single node. */
	return node < user->nr_nodes && node >= user->mem->nr_nodes ? 0 : node;
}

static const char *add_text(int err)
{
	switch (err) {
	case -EINVAL: return "not whole pageblocks, or where no memory can be";
	case -EEXIST: return "some of its addresses have memory already";
	case -EBUSY: return "it lies between standby memory, or another operation works there";
	case -ENODEV: return "of a proximity domain that the firmware does not describe";
	case -ENOMEM: return "no memory for its descriptors";
	default: return "error of add_memory";
	}
}

int dimm_take(void *arg, const struct slot_device *dev, const char **why)
{
	const struct dimm_user *user = arg;
	pfn_t start = dev->address >> PAGE_SHIFT;
	unsigned long nr = dev->size >> PAGE_SHIFT;
	struct mm_fail fail = {0};
	int err = -EINVAL;

	if (whole_pages(dev))
		err = add_memory(user->mem, start, nr, dimm_node(user, dev->id));
	if (err) {
		*why = add_text(err);
		return err;
	}
	err = online_pages(user->mem, start, nr, &fail);
	*why = mm_why_text(fail.why);
	return dimm_use(user, dev, err);
}

int dimm_use(const struct dimm_user *user, const struct slot_device *dev, int err)
{
	/* What another operation uses cannot be removed: it must go offline before an eject. */
	if (!err || remove_memory(user->mem, dev->address >> PAGE_SHIFT, dev->size >> PAGE_SHIFT))
		return 0;
	/* It was online, and went offline again: -EALREADY would mean that it is in use. */
	return err == -EALREADY ? -EAGAIN : err;
}

bool dimm_used(void *arg, const struct slot_device *dev)
{
	const struct dimm_user *user = arg;

	return whole_pages(dev) &&
	    memory_there(user->mem, dev->address >> PAGE_SHIFT, dev->size >> PAGE_SHIFT);
}

/*
 * Descriptors are allocated by section.  Twice their size must be free: the tables that map them,
 * and other threads, need some too, and a try that fails costs time.
 */
bool dimm_again(void *arg, const struct slot_device *dev)
{
	const struct memory *mem = ((const struct dimm_user *)arg)->mem;
	u64 start = ALIGN_DOWN(dev->address >> PAGE_SHIFT, SECTION_PAGES);
	u64 end = ALIGN_UP((dev->address + dev->size) >> PAGE_SHIFT, SECTION_PAGES);

	return memory_spare_pages(mem, GFP_KERNEL) << PAGE_SHIFT >=
	    2 * (end - start) * sizeof(struct page) &&
	    !dimm_used(arg, dev);
}

int dimm_give(void *arg, const struct slot_device *dev, const char **why)
{
	const struct dimm_user *user = arg;
	struct offline_opts opts = {.policy = NR_ISO_POLICIES, .deadline_ns = user->deadline_ns};
	pfn_t start = dev->address >> PAGE_SHIFT;
	unsigned long nr = dev->size >> PAGE_SHIFT;
	struct offline_result res = {0};
	int offline, err;

	if (!dimm_used(arg, dev))
		return 0;
	offline = offline_pages(user->mem, start, nr, &opts, &res);
	/* A module that was taken offline by hand may be ejected too. */
	if (offline && offline != -EALREADY) {
		*why = mm_why_text(res.fail.why);
		if (res.fail.pfn != PFN_NONE)
			printk("slots: blocker: pfn %#lx: %s\n", res.fail.pfn, *why);
		return offline;
	}
	err = remove_memory(user->mem, start, nr);
	if (err) {
		*why = "another operation works on it";
		dimm_keep(user, dev, !offline);
	}
	return err;
}

void dimm_keep(const struct dimm_user *user, const struct slot_device *dev, bool offlined)
{
	pfn_t start = dev->address >> PAGE_SHIFT;
	unsigned long nr = dev->size >> PAGE_SHIFT;

	if (offlined && online_pages(user->mem, start, nr, NULL))
		printk("slots: pfn %#lx to %#lx stay offline\n", start, start + nr);
}
