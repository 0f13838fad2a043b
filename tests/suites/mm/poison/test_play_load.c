/* SPDX-License-Identifier: MIT */
/* test_play_load.c: a frame breaks while the program loader fills it. */
#include "tests/host/moment.h"
#include "tests/lib/poison_help.h"
#include "tests/lib/vm_help.h"
#include <quarry/string.h>

#include "kernel/task_load.c" /* NOLINT(bugprone-suspicious-include): the tested source */

int task_create_limited(
    const char *name, const struct abi_limits *limits, unsigned as, struct task **out)
{
	return -ENOMEM;
}

int task_add_thread(struct task *task, int cpu, u64 entry, u64 sp, const u64 arg[3])
{
	return -ENOMEM;
}

void task_abandon(struct task *task)
{
}

bool task_interrupted(void)
{
	return false;
}

s64 cap_install(struct cap_table *t, const struct cap *cap)
{
	return -ENOMEM;
}

void cap_drop(struct cap *cap)
{
}

void task_put(struct task *task)
{
}

static struct memory *the_memory;
static struct poison_result res;
static pfn_t broken;
static char text[PAGE_SIZE];

/* Break the page that is filled but not yet in the object's slot. */
static void break_it(void)
{
	pfn_t pfn;

	for (pfn = the_memory->start_pfn; pfn < the_memory->end_pfn; pfn++) {
		const struct page *page = pfn_to_page_in(the_memory, pfn);

		if (pfn_valid_in(the_memory, pfn) && page_word(page) == PAGE_WORD(1, PG_ALLOC, 0) &&
		    !memcmp(page_address_in(the_memory, page), text, PAGE_SIZE)) {
			broken = pfn;
			mem_memory_failure(the_memory, pfn, 0, &res);
			return;
		}
	}
}

KTEST_SUITE(play_load, 0);

KTEST(a_frame_that_breaks_while_a_program_is_loaded_does_not_end_the_load)
{
	struct elf_segment s = {.va = VM_BASE, .memsz = PAGE_SIZE, .filesz = PAGE_SIZE};
	struct vm_scene scene;

	if (!scene_begin(t, &scene, 4))
		return;
	the_memory = scene.mem;
	memset(text, 0x5b, sizeof(text));
	EXPECT_AT(
	    t, fill_object(scene.object, &s, text), 0, .point = "supply.page", .act = break_it);
	EXPECT(t, vm_object_has(scene.object, 0));
	EXPECT(t, is_retired(the_memory, broken));
	EXPECT_EQ(t, mem_unpoison_page(the_memory, broken), 0);
	scene_end(t, &scene);
}
