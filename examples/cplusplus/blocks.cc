/* SPDX-License-Identifier: MIT */
/*
 * blocks.cc: a C++ program with mm/ as a library: blocks of pages that are freed with their owner.
 *
 * docs/porting.md has the command that compiles it.
 */
#include <memory>

#include <host.h>

#include <cstring>
#include <vector>

namespace
{

struct give_back {
	unsigned order;
	void operator()(struct page *page) const
	{
		if (free_pages(page, order))
			panic("a block of order %u was not allocated", order);
	}
};
using block = std::unique_ptr<struct page, give_back>;

block take(unsigned order)
{
	return {alloc_pages(GFP_KERNEL | GFP_ZERO, order), {order}};
}

unsigned long free_now()
{
	unsigned long free = 0;

	drain_all_pages(&kernel_memory, nullptr); /* out of the CPUs' caches */
	for (const auto &zone : kernel_memory.zones)
		free += READ_ONCE(zone.nr_free);
	return free;
}

/* The free pages while 1000 blocks are in use. */
unsigned long free_meanwhile()
{
	std::vector<block> blocks;

	for (unsigned i = 0; i < 1000; i++)
		blocks.push_back(take(i % 4));
	return free_now();
}

} /* namespace */

int main()
{
	host_start_with(2, nullptr); /* two CPUs, 256 MiB: this thread is CPU 0 */
	const std::unique_ptr<void, void (*)(void *)> object(kmalloc(100), kfree);

	KASSERT(object);
	std::memset(object.get(), 1, 100);
	const unsigned long before = free_now(), meanwhile = free_meanwhile();

	printk("%lu pages free, %lu meanwhile, %lu now\n", before, meanwhile, free_now());
	return before - meanwhile < 3750 || free_now() != before;
}
