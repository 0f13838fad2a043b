/* SPDX-License-Identifier: MIT */
/*
 * step_show.c: shows the state between two moves of a race: each CPU, page P, the caches.
 *
 * Owns: nothing.  No role runs meanwhile.
 */
#include "tests/lib/mm_priv.h"
#include "step_priv.h"
#include <quarry/console.h>
#include <quarry/smp.h>
#include <quarry/string.h>

#define LINE 160

static size_t waits_for(unsigned cpu, const char *what, char *buf, size_t size)
{
	unsigned to = 0;

	if (!strncmp(what, "reclaim", 7))
		return (size_t)ksnprintf(buf, size, "waits for the reclaim thread");
	if (strcmp(what, "answer") != 0)
		return (size_t)ksnprintf(buf, size, "waits for lock %s", what);
	while (to + 1 < nr_cpus && !smp_unanswered(cpu, to))
		to++;
	return (size_t)ksnprintf(buf, size, "waits for an answer from CPU %u", to);
}

size_t step_where(unsigned role, char *buf, size_t size)
{
	const struct actor *a = &step.actor[role];
	const struct frame *f = step_top(role);
	const struct race_script *s = race.script;
	char late[LINE / 2];
	size_t n = 0;

	buf[0] = '\0';
	if (f) {
		n = f->kind == FRAME_STOP ? (size_t)ksnprintf(buf, size, "at %s", f->name)
		                          : waits_for(role, f->name, buf, size);
		n += (size_t)ksnprintf(buf + n, size - n, "%s",
		    f != a->frame    ? ", in an interrupt"
		        : f->irqs_on ? ""
		                     : ", irqs off");
		if (ops_unseen(role, late, sizeof(late)))
			n += (size_t)ksnprintf(buf + n, size - n, "; not seen yet: %s", late);
		return n;
	}
	if (step_waits_for_cpu(role) < nr_cpus)
		return (size_t)ksnprintf(buf, size, "waits for CPU %u", step_waits_for_cpu(role));
	if (race.role[role].running)
		return (size_t)ksnprintf(buf, size, "runs %s", race.role[role].op);
	if (a->ended)
		n = (size_t)ksnprintf(
		    buf, size, "%s returned %s", a->ended, race_errno(race.role[role].result));
	if (a->next < s->nr)
		n += (size_t)ksnprintf(buf + n, size - n, "%snext: %s%s", n ? ", " : "",
		    s->entry[a->next].op,
		    cpumask_test(cpu_online_mask, role) ? "" : ", CPU not online");
	return n ? n : (size_t)ksnprintf(buf, size, "no operation");
}

/* True: a role is freeing page P. */
static bool under_way(void)
{
	unsigned i;

	for (i = 0; i < race.nr_roles; i++)
		if (race.role[i].running && !strcmp(race.role[i].op, "free(P)"))
			return true;
	return false;
}

size_t step_page(char *buf, size_t size)
{
	const struct pageblock *pb;
	struct ops_view v;
	enum page_state state;
	const char *more;
	unsigned cpu;
	pfn_t head;

	if (!ops_view(&v))
		return (size_t)ksnprintf(buf, size, "P: not taken yet");
	pb = pageblock_of(v.mem, v.page_p);
	if (pageblock_state(pb) != PB_ONLINE)
		return (size_t)ksnprintf(buf, size, "P is offline");
	more = pageblock_isolated(pb) ? ", its pageblock isolated" : "";
	head = page_head(v.mem, v.page_p);
	state = head == PFN_NONE ? PG_TAIL : word_state(block_word(v.mem, head));
	cpu = state == PG_PCP ? ops_cached_on(v.mem, pfn_to_page_in(v.mem, head)) : nr_cpus;
	if (cpu < nr_cpus)
		return (size_t)ksnprintf(buf, size, "P is in the cache of CPU %u%s", cpu, more);
	return (size_t)ksnprintf(buf, size, "P is %s%s",
	    state == PG_FREE ? "free in the buddy"
	        : state == PG_FREEING || state == PG_PCP || (state == PG_ALLOC && under_way())
	        ? "being freed"
	        : state == PG_ALLOC ? "allocated"
	                            : page_state_name(state),
	    more);
}

/* The caches of a zone for single pages: count and capacity, CPU by CPU. */
static size_t caches(const struct zone *zone, enum migratetype type, char *buf, size_t size)
{
	unsigned cpu, stack = zone_stack(zone, 0, type);
	size_t n = 0;

	for (cpu = 0; cpu < zone->mem->nr_cpus && n < size; cpu++)
		n += (size_t)ksnprintf(buf + n, size - n, "%s%u/%u", cpu ? " " : "",
		    stack_count(&zone->mem->pcp[cpu]->stack[stack]),
		    stack_capacity(&zone->mem->pcp[cpu]->stack[stack]));
	if (zone->pcp_depth && n < size)
		n += (size_t)ksnprintf(buf + n, size - n, ", off %u deep", zone->pcp_depth);
	return MIN(n, size - 1);
}

/* True: the script deals with unmovable pages, and pageblock U. */
static bool unmovable_too(void)
{
	const char *op;
	unsigned i;

	for (i = race.script->first; i < race.script->nr; i++)
		for (op = race.script->entry[i].op; *op; op++)
			if (!strncmp(op, "(U", 2))
				return true;
	return false;
}

/* Call @line for each line of the state. */
static void each_line(void (*line)(void *arg, const char *text), void *arg)
{
	char text[LINE];
	struct ops_view v;
	unsigned i;
	size_t n;

	for (i = 0; i < race.nr_roles; i++) {
		n = (size_t)ksnprintf(text, sizeof(text), "%c ", (int)('A' + i));
		step_where(i, text + n, sizeof(text) - n);
		line(arg, text);
	}
	step_page(text, sizeof(text));
	line(arg, text);
	if (!ops_view(&v))
		return;
	n = (size_t)ksnprintf(text, sizeof(text), "cached ");
	caches(&v.mem->zones[ZONE_MOVABLE], MT_MOVABLE, text + n, sizeof(text) - n);
	line(arg, text);
	if (!unmovable_too())
		return;
	n = (size_t)ksnprintf(text, sizeof(text), "U %s, unmovable cached ",
	    pageblock_isolated(pageblock_of(v.mem, v.block_u)) ? "isolated" : "not isolated");
	caches(&v.mem->zones[ZONE_NORMAL], MT_UNMOVABLE, text + n, sizeof(text) - n);
	line(arg, text);
}

static void say_line(void *arg, const char *text)
{
	const struct step_session *session = arg;
	char line[LINE + 8];

	ksnprintf(line, sizeof(line), "step: %s", text);
	session->say(line);
}

void step_show(struct step_session *session)
{
	char text[32];
	unsigned nr = session->nr_moves;

	if (!session->say || (session->hush && *session->given))
		return;
	ksnprintf(text, sizeof(text), "move %u %c", nr,
	    nr ? (int)(session->moves[nr - 1] - 'a' + 'A') : '-');
	say_line(session, text);
	each_line(say_line, session);
}

/* FNV-1a, 64 bits. */
static void hash_line(void *arg, const char *text)
{
	u64 *hash = arg;

	for (; *text; text++)
		*hash = (*hash ^ (u8)*text) * 0x100000001b3ULL;
}

u64 step_look_hash(void)
{
	u64 hash = 0xcbf29ce484222325ULL;

	each_line(hash_line, &hash);
	return hash;
}

void step_why_stuck(unsigned role, char *buf, size_t size)
{
	size_t n = 0;
	unsigned i;

	for (i = 0; i < race.nr_roles && n < size; i++) {
		if (i == role || (!step_top(i) && !race.role[i].running))
			continue;
		n += (size_t)ksnprintf(buf + n, size - n, "%s%c ", n ? "; " : "", (int)('A' + i));
		if (n < size)
			n += step_where(i, buf + n, size - n);
	}
	if (!n)
		ksnprintf(buf, size, "nobody else has anything left to do");
	else if (role == NO_ROLE && n < size)
		ksnprintf(buf + n, size - n, ": nobody can move");
}
