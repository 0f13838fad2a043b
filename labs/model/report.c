/* SPDX-License-Identifier: MIT */
/*
 * report.c: the judge's report of a test: a line of JSON, with the calls that concern a failure.
 *
 * Owns:       the log of calls.
 * Locks:      none: one thread.
 * Invariants: none.
 * Tests:      tests/qemu/test_grade.py.
 */
#include "plans.h"
#include <stdio.h>

#define SHOWN 8 /* the most calls shown: of the last ones, and of those that concern the page */

struct logged call_log[NR_LOG];
unsigned nr_log;

const char *const call_names[] = {
#define WIRE_CALL_NAME(name) #name,
    WIRE_CALLS_OF(WIRE_CALL_NAME)};

static void print_json(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		if ((unsigned char)*text >= ' ')
			putchar(*text);
	}
	putchar('"');
}

static void describe(char *out, size_t size, const struct wire_call *c, s64 r, bool done)
{
	int n = snprintf(out, size, "CPU %u: %s", c->cpu, call_names[c->code]);

#define ADD(...) (n += snprintf(out + n, size - (size_t)n, __VA_ARGS__))
	switch (c->code) {
	case CALL_ALLOC: ADD(" gfp %#llx order %lld", (long long)c->a, (long long)c->b); break;
	case CALL_BULK_ALLOC: ADD(" gfp %#llx, %lld", (long long)c->a, (long long)c->b); break;
	case CALL_BULK_FREE: ADD(" %lld pages from pfn %#x on", (long long)c->a, c->pfns[0]); break;
	case CALL_FREE: ADD(" pfn %#llx order %lld", (long long)c->a, (long long)c->b); break;
	case CALL_GET:
	case CALL_PUT:
	case CALL_PIN:
	case CALL_BREAK:
	case CALL_SOFT:
	case CALL_REPAIR:
	case CALL_UNPIN: ADD(" pfn %#llx", (long long)c->a); break;
	case CALL_DRAIN:
	case CALL_DRAIN_HERE:
	case CALL_DISABLE:
	case CALL_ENABLE: ADD(c->a < 0 ? " all zones" : " zone %lld", (long long)c->a); break;
	case CALL_ISOLATE:
	case CALL_OFFLINE:
		ADD(" pfn %#llx, %lld pages, policy %lld", (long long)c->a, (long long)c->b,
		    (long long)c->c);
		break;
	case CALL_UNDO:
	case CALL_TEST:
	case CALL_ONLINE:
	case CALL_QUERY: ADD(" pfn %#llx, %lld pages", (long long)c->a, (long long)c->b); break;
	case CALL_CONTIG:
		ADD(" from pfn %#llx to pfn %#llx", (long long)c->a, (long long)c->b);
		break;
	case CALL_FREE_RANGE:
		ADD(" pfn %#llx, %lld pages", (long long)c->a, (long long)c->b);
		break;
	case CALL_HOLD: ADD(" handle %lld order %lld", (long long)c->a, (long long)c->b); break;
	case CALL_DROP:
	case CALL_HOLD_PIN:
	case CALL_HOLD_UNPIN: ADD(" handle %lld", (long long)c->a); break;
	case CALL_MOVE:
	case CALL_PUT_BACK: ADD(" %lld pages from pfn %#x on", (long long)c->a, c->pfns[0]); break;
	default: break;
	}
	if (c->irqs_off)
		ADD(", interrupts off");
	if (done && (c->code == CALL_ALLOC) && r >= 0)
		ADD(" -> pfn %#llx", (long long)r);
	else if (done)
		ADD(" -> %lld", (long long)r);
#undef ADD
}

/* Does the call name @pfn, or a range or block that contains it? */
static bool concerns(unsigned i, s64 pfn)
{
	const struct wire_call *c = &call_log[i].call;
	s64 from = c->a, nr = 1;
	unsigned k;

	switch (c->code) {
	case CALL_ALLOC: from = call_log[i].r; /* fall through */
	case CALL_FREE: nr = 1LL << MIN(MAX(c->b, 0), MAX_ORDER); break;
	case CALL_ISOLATE:
	case CALL_UNDO:
	case CALL_OFFLINE:
	case CALL_FREE_RANGE:
	case CALL_ONLINE: nr = c->b; break;
	case CALL_CONTIG: nr = c->b - c->a; break;
	case CALL_GET:
	case CALL_PUT:
	case CALL_PIN:
	case CALL_BREAK:
	case CALL_SOFT:
	case CALL_REPAIR:
	case CALL_UNPIN: break;
	case CALL_BULK_FREE:
	case CALL_MOVE:
		for (k = 0; k < c->a; k++) {
			if (c->pfns[k] == pfn)
				return true;
		}
		return false;
	default: return false;
	}
	return pfn >= from && pfn < from + nr;
}

/* The owner of a page, by the calls so far. */
static void describe_owner(char *out, size_t size, pfn_t pfn)
{
	u16 who = m.owner[pfn];

	if (who & OWNER_LIVE) {
		const struct model_live *l = &m.live[who - OWNER_LIVE];

		/* The model records a block when it has judged the call that allocated it. */
		if (l >= m.live + m.nr_live)
			snprintf(out, size, "allocated by the last call");
		else
			snprintf(out, size,
			    "allocated, in a block of order %u at pfn %#x with %u references",
			    l->order, l->pfn, l->refs);
	} else if (who & OWNER_HANDLE) {
		snprintf(out, size, "a page of handle %u", who - OWNER_HANDLE);
	} else {
		snprintf(out, size, "%s",
		    who == OWNER_KEPT                    ? "reserved"
		        : who == OWNER_BROKEN            ? "retired"
		        : m.block[block_index(pfn)].hole ? "in a hole"
		                                         : "free");
	}
}

/* The page that the verdict is about: its word, its pageblock, and its owner. */
static void describe_page(char *out, size_t size, pfn_t pfn)
{
	const struct pageblock *pb = pageblock_of(m.mem, pfn);
	u32 word = page_word(pfn_to_page_in(m.mem, pfn));
	char owner[100];

	describe_owner(owner, sizeof(owner), pfn);
	snprintf(out, size,
	    "pfn %#lx is in state %s, order %u, with %u references; its pageblock has %u free pages"
	    "%s%s; by the calls so far it is %s",
	    pfn, page_state_name(word_state(word)), word_order(word), word_ref(word), pb->nr_free,
	    pageblock_isolated(pb) ? ", is isolated" : "",
	    pageblock_state(pb) == PB_OFFLINE ? ", is offline" : "", owner);
}

void report(const struct plan *p, const char *what, u64 seed)
{
	char text[400];
	unsigned i, shown;
	bool first = true;

	printf("{\"test\": \"%s\", \"verdict\": \"%s\", \"seed\": %llu, \"calls\": %u, \"why\": ",
	    p->name, what, (unsigned long long)seed, nr_log);
	print_json(verdict.text);
	printf(", \"about\": ");
	print_json(p->about);
	*text = '\0';
	if (*verdict.text && verdict.pfn >= (s64)block_pfn(m.first) &&
	    verdict.pfn < (s64)block_pfn(m.first + m.blocks))
		describe_page(text, sizeof(text), (pfn_t)verdict.pfn);
	printf(", \"page\": ");
	print_json(text);
	printf(", \"history\": [");
	for (i = 0, shown = 0; *verdict.text && verdict.pfn >= 0 && i + 1 < nr_log; i++)
		shown += concerns(i, verdict.pfn);
	for (i = 0; *verdict.text && verdict.pfn >= 0 && i + 1 < nr_log; i++) {
		if (!concerns(i, verdict.pfn) || shown-- > SHOWN)
			continue;
		describe(text, sizeof(text), &call_log[i].call, call_log[i].r, true);
		printf("%s\"call %u, ", first ? "" : ", ", i + 1);
		printf("%s\"", text);
		first = false;
	}
	printf("], \"last\": [");
	for (i = nr_log > SHOWN ? nr_log - SHOWN : 0; *verdict.text && i < nr_log; i++) {
		describe(text, sizeof(text), &call_log[i].call, call_log[i].r, call_log[i].done);
		printf("\"call %u, %s\"%s", i + 1, text, i + 1 < nr_log ? ", " : "");
	}
	printf("]}\n");
	fflush(stdout);
}
