/* SPDX-License-Identifier: MIT */
/* silence_help.c: what all suites of silence can do in a row; see silence_help.h. */
#include "tests/fiber/silence_help.h"
#include "mm/reclaim/reclaim.h"
#include "tests/lib/mm_test.h"
#include "tests/lib/vm_help.h"
#include <quarry/pager.h>

/* ---- a CPU that answers nothing ---- */

static struct {
	u64 ns;      /* the time that it is silent; WAIT_FOREVER: until released */
	u32 is;      /* atomic: its interrupts are off */
	u32 release; /* atomic */
} silent[CPUS];

void stay_silent(void *arg)
{
	unsigned cpu = arch_cpu_id();
	irqflags_t flags = arch_irq_save();
	u64 began = arch_clock_ns();

	store_release(&silent[cpu].is, 1u);
	while (!load_acquire(&silent[cpu].release) && arch_clock_ns() - began < silent[cpu].ns)
		cpu_relax();
	store_release(&silent[cpu].is, 0u);
	arch_irq_restore(flags);
}

void silence_in(unsigned cpu, void (*fn)(void *), void *arg, u64 ns)
{
	silent[cpu].ns = ns;
	silent[cpu].is = silent[cpu].release = 0;
	ktest_start(cpu, fn, arg);
	while (!load_acquire(&silent[cpu].is))
		thread_yield();
}

void silence_lasts(unsigned cpu, u64 ns)
{
	silent[cpu].ns = ns;
}

void silence_ends(unsigned cpu)
{
	store_release(&silent[cpu].release, 1u);
	ktest_join(cpu);
}

/* A dead CPU continues, and parks by itself; it can come up. */
static int come_back(unsigned cpu)
{
	unsigned turn;

	silence_ends(cpu);
	for (turn = 0; turn < 100 && !cpu_is_parked(cpu); turn++)
		thread_sleep(TICK);
	return cpu_is_parked(cpu) ? cpu_up(cpu) : -EBUSY;
}

#define CPU ((unsigned)a[0])
DO(silence, silence_in(CPU, stay_silent, NULL, WAIT_FOREVER));
DO(lasts, silence_lasts(CPU, (u64)a[1]));
DO(speak, silence_ends(CPU));
VERB(back, come_back(CPU));
VERB(down, cpu_down(CPU));
VERB(up, cpu_up(CPU));
VERB(dead, !strcmp(cpu_state_name(CPU), "dead"));
VERB(down_but, a[0] == a[1] ? 0 : cpu_down(CPU));
VERB(up_but, a[0] == a[1] ? 0 : cpu_up(CPU));
VERB(nr_online, nr_cpus_online());
VERB(timeout, smp_timeout_ns);

/* ---- memory ---- */

struct offline_opts play_opts;
struct offline_result play_res;
static struct pile pile;
static unsigned long was_free;

pfn_t block_of(pfn_t pfn)
{
	return ALIGN_DOWN(pfn, PAGEBLOCK_PAGES);
}

pfn_t block_with(const struct page *page)
{
	return block_of(page_to_pfn_in(play_mem, page));
}

static int alloc(gfp_t gfp)
{
	struct page *page = mem_alloc_pages(play_mem, gfp, 0);

	if (page)
		pile_push(&pile, page);
	return page ? 0 : -ENOMEM;
}

/* Take the pageblock @a[0] offline, in @a[1] or in the limit of its own. */
static int offline(const s64 *a)
{
	play_opts.deadline_ns = (u64)a[1];
	return offline_pages(play_mem, (pfn_t)a[0], PAGEBLOCK_PAGES, &play_opts, &play_res);
}

VERB(offline, offline(a));
VERB(online, online_pages(play_mem, (pfn_t)a[0], PAGEBLOCK_PAGES, NULL));
VERB(late, play_res.fail.why == WHY_DEADLINE && block_of(play_res.fail.pfn) == (pfn_t)a[0]);
VERB(drain, drain_all_pages(play_mem, NULL) < 0);
DO(sound, expect_sound(playing, play_mem));
VERB(free, memory_free_pages(play_mem));
DO(note_free, was_free = memory_free_pages(play_mem));
VERB(was_free, was_free);
VERB(managed, memory_managed_pages(play_mem));
VERB(alloc, alloc(GFP_MOVABLE));
VERB(alloc_now, alloc(GFP_MOVABLE | GFP_NOWAIT));
DO(fill, pile_alloc(play_mem, &pile, GFP_MOVABLE | GFP_NOWAIT, 0, ALL_THERE_IS));
DO(fill_waiting, while (!alloc(GFP_MOVABLE)));
VERB(give, pile_free(play_mem, &pile));

/* ---- pagers that answer nothing, or what a test lets them answer ---- */

struct paged paged[2];
static pfn_t noted;
struct vm_space *paged_space;
u64 paged_content[PAGE_SIZE / sizeof(u64)], paged_taken[PAGE_SIZE / sizeof(u64)];

/*
 * An object of @a[2] pages, whose pager @a[0] has a time limit of @a[3].  @a[1]: it is mapped in
 * paged_space.
 */
static int paged_begin(const s64 *a)
{
	struct paged *p = &paged[a[0]];
	unsigned long nr = (unsigned long)a[2];
	int err;

	*p = (struct paged){.ep = endpoint_create()};
	err = p->ep ? pager_create(p->ep, nr, 7, (u64)a[3], &p->object) : -ENOMEM;
	if (!err && a[1] && !paged_space)
		err = vm_space_create(&kernel_memory, &paged_space);
	if (!err && a[1])
		err = vm_map(paged_space, PAGED_VA((u64)a[0]), nr, VM_RW, p->object, 0);
	return err;
}

/* The space ends with its first object.  Returns the number of references that are left. */
static u32 paged_end(struct paged *p)
{
	u32 refs;

	if (paged_space)
		vm_space_put(paged_space);
	paged_space = NULL;
	refs = READ_ONCE(p->object->refs) - 1;
	vm_object_put(p->object);
	endpoint_put(p->ep, RIGHT_RECEIVE);
	return refs;
}

static int supply(u64 i, u64 page)
{
	return pager_supply(paged[i].object, page, (uintptr_t)paged_content);
}

static int take(u64 i, u64 page)
{
	return pager_take_back(paged[i].object, page, (uintptr_t)paged_taken);
}

/* The next request is @a[0] for page @a[1], and comes within @a[2]. */
static int receive(struct paged *p, const s64 *a)
{
	struct ipc_msg msg;
	struct ipc_call *call;
	int err = ipc_receive(p->ep, &msg, &call, (u64)a[2]);

	if (err)
		return err;
	p->call[1] = p->call[0];
	p->call[0] = call;
	return msg.word[0] != (u64)a[0] || msg.word[1] != (u64)a[1];
}

/* Answer the last request that was not answered yet. */
static int answer(struct paged *p, u64 word)
{
	struct ipc_msg msg = {.word = {word}};
	struct ipc_call *call = p->call[0];

	p->call[0] = p->call[1];
	return ipc_reply(call, &msg);
}

#define STOP 99u

struct paged_server server;

static void serve(void *arg)
{
	struct ipc_call *call;
	struct ipc_msg msg;
	bool stop;
	int err;

	do {
		err = 0;
		if (ipc_receive(paged[0].ep, &msg, &call, WAIT_FOREVER))
			return;
		stop = msg.word[0] == STOP;
		server.calls += !stop;
		if (!stop && server.late)
			thread_sleep(server.late);
		if (!stop && server.answer == ABI_PAGER_DONE && !server.idle)
			err = msg.word[0] == ABI_PAGER_CLEAN ? take(0, msg.word[1])
			                                     : supply(0, msg.word[1]);
		if (!stop && server.drops)
			err = pager_drop(paged[0].object, msg.word[1], 1);
		server.wrong += err != 0;
		msg = (struct ipc_msg){.word = {server.answer}};
		if (server.gift) {
			msg.give = (struct cap){
			    .kind = CAP_ENDPOINT, .rights = RIGHT_SEND, .object = server.gift};
			cap_get(&msg.give);
		}
		(void)!ipc_reply(call, &msg);
	} while (!stop);
}

static int stop_serving(void)
{
	int err = ipc_call(paged[0].ep, &(struct ipc_msg){.word = {STOP}}, WAIT_FOREVER);

	ktest_join(2);
	return err;
}

#define PAGE_VA(a) (PAGED_VA((u64)(a)[1]) + (u64)(a)[0] * PAGE_SIZE)

/* The pager supplies the page, which is written to; or read what was written. */
static int touch(const s64 *a, bool write)
{
	int err = write ? supply((u64)a[1], (u64)a[0]) : 0;
	u64 value = 0, want = (u64)a[0] + 100;

	if (err)
		return err;
	soft_load_space(paged_space);
	err = write ? soft_write(PAGE_VA(a), want) : soft_read(PAGE_VA(a), &value);
	soft_unload_space();
	return err ? err : !write && value != want;
}

/* Reclaim the page, as the reclaim thread does. */
static int reclaim(struct vm_object *object, u32 index)
{
	struct lru_scan scan = {.batch = RECLAIM_BATCH, .desperate = true};
	struct page *page = page_in(object, index);

	scan.zone = zone_of(&kernel_memory, page_to_pfn_in(&kernel_memory, page));
	reclaim_batch(&scan);
	return READ_ONCE(object->refused) == scan.run ? -ETIMEDOUT : 0;
}

/* Page @a[0] of the object of a pager: of pager 0, or the last value. */
#define OBJECT (paged[a[1]].object)
VERB(begin_pager, paged_begin(a));
VERB(end_pager, paged_end(&paged[a[0]]));
VERB(receive, receive(&paged[a[3]], a));
VERB(answer, answer(&paged[a[1]], (u64)a[0]));
VERB(supply, supply((u64)a[1], (u64)a[0]));
VERB(take, take((u64)a[1], (u64)a[0]));
VERB(drop, pager_drop(OBJECT, (u64)a[0], 1));
VERB(get, (port_task()->access_ns = 0, OBJECT->ops->get(OBJECT, (u32)a[0]))); /* one try */
VERB(clean, paged[0].object->ops->clean(paged[0].object, (u32)a[0], paged_content, (u64)a[1]));
VERB(reclaim, reclaim(OBJECT, (u32)a[0]));
VERB(fault, vm_fault(paged_space, PAGE_VA(a), VM_READ));
VERB(write, touch(a, true));
VERB(written, touch(a, false));
VERB(has, page_in(OBJECT, (u32)a[0]) != NULL);
VERB(block, block_with(page_in(OBJECT, (u32)a[0])));
DO(note_block, noted = block_with(page_in(OBJECT, (u32)a[0])));
VERB(noted, noted);
DO(serve, server = (struct paged_server){.answer = ABI_PAGER_DONE}; ktest_start(2, serve, NULL));
VERB_OF(stop, true, stop_serving());
VERB(calls, server.calls);
VERB(wrong, server.wrong);
DO(answers_late, server.late = (u64)a[0]);
DO(answers, server.answer = (u64)a[0]);
VERB(GET, ABI_PAGER_GET);
VERB(CLEAN, ABI_PAGER_CLEAN);
VERB(DONE, ABI_PAGER_DONE);
VERB(FAILED, ABI_PAGER_FAILED);
VERB(NO_MEMORY, ABI_PAGER_NO_MEMORY);
VERB(FOREVER, WAIT_FOREVER);
