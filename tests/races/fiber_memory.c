/* SPDX-License-Identifier: MIT */
/*
 * fiber_memory.c: calls operations on a small memory, one after the other, and shows the whole
 * memory after each of them; for the memory page of the laboratory (docs/web.md).
 *
 *   race --memory='OPERATION ; OPERATION ...'
 *
 * An operation is "CPU NAME [ARGUMENT...]", run by that CPU from its call to its return.  A line of
 * JSON has its result, its records in the history, and the state of the memory.
 *
 *   alloc unmovable|movable [ORDER]   movable pages have an owner, which moves them
 *   free PFN                          the block that has that page
 *   drain | disable | enable          the caches of all zones
 *   isolate|undo|offline|online PFN   the pageblock of that page
 *   fail|soft|unpoison PFN            the page breaks; is retired before it breaks; is repaired
 *
 * Owns: the operation under way.
 */
#include "fiber.h"
#include "mm/core/pcp.h"
#include "explore.h"
#include "ops.h"
#include <quarry/console.h>
#include <quarry/isolation.h>
#include <quarry/memory_hotplug.h>
#include <quarry/poison.h>
#include <quarry/string.h>
#include <quarry/trace_ring.h>
#include <stdio.h>
#include <stdlib.h>

#define CPUS     4u
#define WORDS    4u
#define OBJECTS  512u /* one for each page */
#define MOST     400u /* operations of one run */
#define OP_BYTES 48u

static struct handle objects[OBJECTS];
static struct handle_table table;

static struct {
	char text[OP_BYTES];  /* the operation as given */
	char words[OP_BYTES]; /* @text, cut into words */
	char *word[WORDS];
	unsigned nr_words, cpu;
	int err;
	pfn_t pfn;      /* the page that the operation got or worked on; PFN_NONE: none */
	u64 seen[CPUS]; /* records of each CPU's history before the operation */
} now;

/* All physical memory belongs to the run. */
pfn_t race_ram(unsigned long nr)
{
	return nr <= FIBER_RAM >> PAGE_SHIFT ? 0 : PFN_NONE;
}

/* ---- operations ---- */

static bool read_pfn(const char *word, pfn_t *pfn)
{
	char *end;

	if (!word)
		return false;
	*pfn = strtoul(word, &end, 0);
	return !*end && *pfn >= ops.mem->start_pfn && *pfn < ops.mem->end_pfn;
}

/* The object whose block is at @head. */
static int object_at(pfn_t head)
{
	unsigned i;

	for (i = 0; i < OBJECTS; i++)
		if (handle_pfn(&table, i) == head)
			return (int)i;
	return -ENOENT;
}

static int play_alloc(void)
{
	unsigned order = now.nr_words > 3 ? (unsigned)now.word[3][0] - '0' : 0, i;
	struct page *page;
	int err;

	if (now.nr_words < 3 || order > PAGEBLOCK_ORDER || (now.nr_words > 3 && now.word[3][1]))
		return -EINVAL;
	if (!strcmp(now.word[2], "unmovable")) {
		page = mem_alloc_pages(ops.mem, GFP_KERNEL | GFP_NORETRY, order);
		now.pfn = page ? page_to_pfn_in(ops.mem, page) : PFN_NONE;
		return page ? 0 : -ENOMEM;
	}
	if (strcmp(now.word[2], "movable") != 0)
		return -EINVAL;
	for (i = 0; i < OBJECTS && handle_pfn(&table, i) != PFN_NONE; i++)
		;
	err = handle_alloc(&table, i, order, GFP_MOVABLE | GFP_NORETRY, i);
	now.pfn = err ? PFN_NONE : handle_pfn(&table, i);
	return err;
}

static int play_free(pfn_t pfn)
{
	pfn_t head = page_head(ops.mem, pfn);
	enum page_state state;
	u32 word;

	if (head == PFN_NONE)
		return -ENOENT;
	word = block_word(ops.mem, head);
	state = word_state(word);
	now.pfn = head;
	if (state == PG_MOVABLE_OPS)
		return handle_free(&table, (u32)object_at(head));
	/* The kernel would report a bad free, and go on; here it is only an error. */
	return state == PG_ALLOC
	    ? mem_free_pages(ops.mem, pfn_to_page_in(ops.mem, head), word_order(word))
	    : -EINVAL;
}

static int on_caches(int (*op)(struct zone *zone))
{
	struct zone *zone;
	int err = 0;

	for_each_zone(ops.mem, zone)
		err = err ? err : op(zone);
	return err;
}

static int play_undo(struct memory *mem, pfn_t start)
{
	if (!pageblock_isolated(pageblock_of(mem, start)))
		return -EINVAL;
	undo_isolate_page_range(mem, start, PAGEBLOCK_PAGES);
	return 0;
}

static int play_on_pfn(const char *name, pfn_t pfn)
{
	pfn_t start = ALIGN_DOWN(pfn, PAGEBLOCK_PAGES);

	now.pfn = pfn;
	if (!strcmp(name, "free"))
		return play_free(pfn);
	if (!strcmp(name, "fail"))
		return mem_memory_failure(ops.mem, pfn, 0, NULL);
	if (!strcmp(name, "soft"))
		return mem_soft_offline_page(ops.mem, pfn);
	if (!strcmp(name, "unpoison"))
		return mem_unpoison_page(ops.mem, pfn);
	now.pfn = start;
	if (!strcmp(name, "isolate"))
		return start_isolate_page_range(
		    ops.mem, start, PAGEBLOCK_PAGES, ops.mem->policy, NULL);
	if (!strcmp(name, "offline"))
		return offline_pages(ops.mem, start, PAGEBLOCK_PAGES, NULL, NULL);
	if (!strcmp(name, "online"))
		return online_pages(ops.mem, start, PAGEBLOCK_PAGES, NULL);
	return strcmp(name, "undo") != 0 ? -ENOSYS : play_undo(ops.mem, start);
}

static int play_named(void)
{
	const char *name = now.word[1];
	pfn_t pfn;
	int err;

	if (!strcmp(name, "alloc"))
		return play_alloc();
	if (!strcmp(name, "drain")) {
		err = drain_all_pages(ops.mem, NULL);
		return MIN(err, 0);
	}
	if (!strcmp(name, "disable"))
		return on_caches(zone_pcp_disable);
	if (!strcmp(name, "enable"))
		return on_caches(zone_pcp_enable);
	return read_pfn(now.word[2], &pfn) ? play_on_pfn(name, pfn) : -EINVAL;
}

static void play_one(void *arg)
{
	now.err = play_named();
	fiber_idle();
}

/* Cut @text, "CPU NAME ...", into words; false: it does not have this form. */
static bool read_words(char *text)
{
	char *end;

	now.nr_words = 0;
	memset(now.word, 0, sizeof(now.word));
	for (;; text++) {
		while (*text == ' ')
			*text++ = '\0';
		if (!*text)
			break;
		if (now.nr_words == WORDS)
			return false;
		now.word[now.nr_words++] = text;
		while (text[1] && text[1] != ' ')
			text++;
	}
	if (now.nr_words < 2)
		return false;
	now.cpu = (unsigned)strtoul(now.word[0], &end, 10);
	return !*end && now.cpu < CPUS;
}

/* ---- the state of the memory ---- */

/* [pfn, order, state, CPU of the cache or null, broken] of each block. */
static void say_pages(void)
{
	const char *comma = "";
	pfn_t pfn = ops.mem->start_pfn;

	printf("\"blocks\":[");
	while (pfn < ops.mem->end_pfn) {
		bool online = pageblock_state(pageblock_of(ops.mem, pfn)) == PB_ONLINE;
		const struct page *page = pfn_to_page_in(ops.mem, pfn);
		u32 word = online ? block_word(ops.mem, pfn) : page_word(page);
		unsigned cpu = word_state(word) == PG_PCP ? ops_cached_on(ops.mem, page) : nr_cpus;

		printf("%s[%lu,%u,\"%s\",%s", comma, pfn, online ? word_order(word) : 0,
		    online ? page_state_name(word_state(word)) : "offline",
		    cpu < nr_cpus ? "" : "null");
		if (cpu < nr_cpus)
			printf("%u", cpu);
		printf(",%s]",
		    word & PAGE_POISON || word_state(word) == PG_HWPOISON ? "true" : "false");
		pfn += online ? 1UL << word_order(word) : 1;
		comma = ",";
	}
	printf("]");
}

static void say_pageblocks(void)
{
	static const char *const types[] = {[MT_UNMOVABLE] = "unmovable",
	    [MT_MOVABLE] = "movable",
	    [MT_RECLAIMABLE] = "reclaimable",
	    [MT_CMA] = "lent"};
	pfn_t pfn;

	printf("\"pageblocks\":[");
	for (pfn = ops.mem->start_pfn; pfn < ops.mem->end_pfn; pfn += PAGEBLOCK_PAGES) {
		const struct pageblock *pb = pageblock_of(ops.mem, pfn);

		printf("%s[\"%s\",%s,%s]", pfn > ops.mem->start_pfn ? "," : "",
		    types[pageblock_type(pb)], pageblock_state(pb) == PB_ONLINE ? "true" : "false",
		    pageblock_isolated(pb) ? "true" : "false");
	}
	printf("]");
}

static void say_zones(void)
{
	const struct zone *zone;
	const char *comma = "";
	unsigned cpu, type;

	printf("\"zones\":[");
	for_each_zone(ops.mem, zone) {
		if (zone->start_pfn == zone->end_pfn)
			continue;
		printf("%s{\"name\":\"%s\",\"start\":%lu,\"end\":%lu,\"free\":%lu,"
		       "\"marks\":[%lu,%lu,%lu],\"off\":%u,\"caches\":[",
		    comma, zone->kind == ZONE_MOVABLE ? "MOVABLE" : "NORMAL", zone->start_pfn,
		    zone->end_pfn, zone->nr_free, zone->wmark[WMARK_MIN], zone->wmark[WMARK_LOW],
		    zone->wmark[WMARK_HIGH], zone->pcp_depth);
		comma = ",";
		for (cpu = 0; cpu < CPUS; cpu++) {
			unsigned nr = 0, room = 0;

			for (type = 0; type < NR_CACHED_TYPES; type++) {
				unsigned stack = zone_stack(zone, 0, (enum migratetype)type);

				nr += stack_count(&ops.mem->pcp[cpu]->stack[stack]);
				room += stack_capacity(&ops.mem->pcp[cpu]->stack[stack]);
			}
			printf("%s[%u,%u]", cpu ? "," : "", nr, room);
		}
		printf("]}");
	}
	printf("]");
}

/* [CPU, kind, pfn, order, blocks] of each record since the operation began. */
static void say_history(void)
{
	const char *comma = "";
	unsigned cpu;

	printf("\"history\":[");
	for (cpu = 0; cpu < CPUS; cpu++) {
		const struct trace_ring *ring = ops.mem->pcp[cpu]->ring;
		u64 at = MAX(now.seen[cpu], ring->next - MIN(ring->next, (u64)TRACE_RECORDS));

		for (; at < ring->next; at++) {
			const struct trace_record *rec = &ring->rec[at % TRACE_RECORDS];

			printf("%s[%u,\"%s\",%u,%u,%u]", comma, cpu,
			    trace_kind_name((enum trace_kind)rec->kind), rec->pfn, rec->order,
			    rec->blocks ? rec->blocks : 1u);
			comma = ",";
		}
		now.seen[cpu] = ring->next;
	}
	printf("]");
}

static void say_all(void)
{
	struct mm_violation v;
	bool good = check_memory(ops.mem, &v) == 0;

	printf("{\"operation\":\"%s\",\"result\":\"%s\",\"pfn\":", now.text, race_errno(now.err));
	if (now.pfn == PFN_NONE)
		printf("null,");
	else
		printf("%lu,", now.pfn);
	say_history();
	printf(",");
	say_zones();
	printf(",");
	say_pageblocks();
	printf(",");
	say_pages();
	printf(",\"sound\":%s}\n", good ? "true" : "false");
}

/* ---- a run ---- */

static const char *script;
static bool all_read;

static void begin(void)
{
	static const struct race_script memory = {
	    .name = "memory", .policy = ISO_PRECISE, .nr_roles = CPUS, .nr_cpus = CPUS};

	fibers_boot(0, CPUS);
	ops_build(&memory);
	memset(objects, 0, sizeof(objects));
	handle_table_init(&table, ops.mem, objects, OBJECTS);
	trace_switch(ops.mem, true);
	snprintf(now.text, sizeof(now.text), "start");
	now.pfn = PFN_NONE;
	now.err = 0;
	memset(now.seen, 0, sizeof(now.seen));
}

static bool plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == ' ';
}

static void drive(void *arg)
{
	unsigned nr;

	begin();
	say_all();
	for (nr = 0; *script && nr < MOST; nr++) {
		size_t n = 0;

		for (; *script == ' '; script++)
			;
		for (; script[n] && script[n] != ';' && plain(script[n]) && n < OP_BYTES; n++)
			;
		if (n == OP_BYTES || (script[n] && script[n] != ';'))
			break;
		snprintf(now.text, sizeof(now.text), "%.*s", (int)n, script);
		snprintf(now.words, sizeof(now.words), "%s", now.text);
		if (!read_words(now.words))
			break;
		script += n + (script[n] == ';');
		now.pfn = PFN_NONE;
		fiber_start("play", now.cpu, play_one, NULL);
		fiber_wait_all();
		say_all();
	}
	all_read = !*script;
	if (!all_read)
		printf("{\"wrong\":%u}\n", nr + 1);
}

static void stuck(void)
{
	printf("{\"stuck\":\"%s\"}\n", now.text);
	fiber_leave();
}

static void panicked(const char *text)
{
	printf("{\"panic\":\"%s\"}\n", now.text);
	fprintf(stderr, "race: %s\n", text);
	fiber_leave();
}

bool play_memory(const char *operations)
{
	script = operations;
	fiber_on_stuck = stuck;
	fiber_on_panic = panicked;
	fiber_patience = 200000;
	return fibers_once(CPUS, drive) && all_read;
}
