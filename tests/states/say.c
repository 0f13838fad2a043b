/* SPDX-License-Identifier: MIT */
/*
 * say.c: prints a list of calls as lines of C, with their results, while making them again.
 *
 * Owns:       nothing.
 * Locks:      none: one thread.
 * Invariants: none.
 * Tests:      tests/qemu/test_states.py.
 */
#include "states.h"
#include "tests/fuzz/fuzz.h"
#include <quarry/string.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

static const char *gfp_text(gfp_t gfp)
{
	static const char *const types[] = {"GFP_UNMOVABLE", "GFP_MOVABLE", "GFP_RECLAIMABLE"};
	static const struct {
		gfp_t flag;
		const char *name;
	} flags[] = {{GFP_NOWAIT, "NOWAIT"}, {GFP_RESERVE, "RESERVE"}, {GFP_DMA32, "DMA32"},
	    {GFP_THISNODE, "THISNODE"}, {GFP_ZERO, "ZERO"}};
	static char text[120];
	unsigned i;
	int n = snprintf(text, sizeof(text), "%s", types[(gfp & GFP_TYPE_MASK) % 3]);

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		if (gfp & flags[i].flag)
			n += snprintf(
			    text + n, sizeof(text) - (size_t)n, " | GFP_%s", flags[i].name);
	}
	return text;
}

static const char *policy_text(s64 policy)
{
#define POLICY_NAME(id, name) #id,
	static const char *const names[] = {ISO_POLICIES(POLICY_NAME, )};

	return names[policy % NR_ISO_POLICIES];
}

static const char *zone_text(s64 zone)
{
	static char text[40];

	if (zone < 0)
		return "NULL";
	snprintf(text, sizeof(text), "&mem->zones[%lld]", (long long)zone);
	return text;
}

static void say_range(const struct wire_call *c)
{
	long long a = (long long)c->a, b = (long long)c->b;

	switch (c->code) {
	case CALL_ISOLATE:
		printf("start_isolate_page_range(mem, %lld, %lld, %s, &fail)", a, b,
		    policy_text(c->c));
		break;
	case CALL_UNDO: printf("undo_isolate_page_range(mem, %lld, %lld)", a, b); break;
	case CALL_TEST: printf("test_pages_isolated(mem, %lld, %lld, &fail)", a, b); break;
	case CALL_OFFLINE:
		printf("offline_pages(mem, %lld, %lld, /* %s */ &opts, &res)", a, b,
		    policy_text(c->c));
		break;
	case CALL_ONLINE: printf("online_pages(mem, %lld, %lld, &fail)", a, b); break;
	case CALL_QUERY: printf("offline_query(mem, %lld, %lld, &fail)", a, b); break;
	case CALL_CONTIG:
		printf("alloc_contig_range(mem, %lld, %lld, MT_MOVABLE, &fail)", a, b);
		break;
	case CALL_FREE_RANGE: printf("free_contig_range(mem, %lld, %lld)", a, b); break;
	case CALL_BREAK: printf("mem_memory_failure(mem, %lld, 0, NULL)", a); break;
	case CALL_REPORT:
		printf("take_unreported, give_reported(mem, %s)", b ? "true" : "false");
		break;
	case CALL_SOFT: printf("mem_soft_offline_page(mem, %lld)", a); break;
	default: printf("mem_unpoison_page(mem, %lld)", a); break;
	}
}

static void say_many(const char *name, const struct wire_call *c)
{
	s64 i;

	printf("%s(mem, %lld, {", name, (long long)c->a);
	for (i = 0; i < c->a; i++)
		printf("%spage(%u)", i ? ", " : "", c->pfns[i]);
	printf("})");
}

static void say_handle(const struct wire_call *c)
{
	long long a = (long long)c->a;

	switch (c->code) {
	case CALL_HOLD:
		printf("handle_alloc(&table, %lld, %lld, %s, 1)", a, (long long)c->b,
		    gfp_text((gfp_t)c->c));
		break;
	case CALL_DROP: printf("handle_free(&table, %lld)", a); break;
	case CALL_HOLD_WRITE: printf("handle_write(&table, %lld, 1)", a); break;
	case CALL_HOLD_CHECK: printf("handle_verify(&table, %lld)", a); break;
	case CALL_HOLD_PIN: printf("handle_pin(&table, %lld)", a); break;
	case CALL_HOLD_UNPIN: printf("handle_unpin(&table, %lld)", a); break;
	case CALL_MOVE: say_many("isolate_movable_page, migrate_pages", c); break;
	default: say_many("isolate_movable_page, putback_movable_page", c); break;
	}
}

static void say_page(const struct wire_call *c)
{
	long long a = (long long)c->a, b = (long long)c->b;

	switch (c->code) {
	case CALL_ALLOC: printf("mem_alloc_pages(mem, %s, %lld)", gfp_text((gfp_t)a), b); break;
	case CALL_BULK_ALLOC:
		printf("mem_alloc_pages_bulk(mem, %s, %lld, pages)", gfp_text((gfp_t)a), b);
		break;
	case CALL_BULK_FREE: say_many("mem_free_pages_bulk", c); break;
	case CALL_FREE: printf("mem_free_pages(mem, page(%lld), %lld)", a, b); break;
	case CALL_GET: printf("get_page(page(%lld))", a); break;
	case CALL_PUT: printf("mem_put_page(mem, page(%lld))", a); break;
	case CALL_PIN: printf("pin_page(page(%lld))", a); break;
	case CALL_UNPIN: printf("mem_unpin_page(mem, page(%lld))", a); break;
	case CALL_DRAIN: printf("drain_all_pages(mem, %s)", zone_text(a)); break;
	case CALL_DRAIN_HERE: printf("drain_local_pages(mem, %s)", zone_text(a)); break;
	case CALL_DISABLE: printf("zone_pcp_disable(%s)", zone_text(a)); break;
	case CALL_ENABLE: printf("zone_pcp_enable(%s)", zone_text(a)); break;
	default: printf("pcp_refresh_all(mem)"); break;
	}
}

void say_call(const struct wire_call *c)
{
	printf("  CPU %u: ", c->cpu);
	if (c->code <= CALL_REFRESH)
		say_page(c);
	else if (c->code >= CALL_HOLD && c->code <= CALL_PUT_BACK)
		say_handle(c);
	else
		say_range(c);
	fflush(stdout); /* the call may crash */
}

void say_result(const struct wire_call *c, const struct wire_result *r)
{
	s64 i;

	if (c->code == CALL_ALLOC && r->r >= 0)
		printf(" == page(%lld);\n", (long long)r->r);
	else
		printf(" == %lld;", (long long)r->r);
	for (i = 0; c->code == CALL_BULK_ALLOC && i < r->r; i++)
		printf(" page(%u)", r->pfns[i]);
	for (i = 0; (c->code == CALL_HOLD || c->code == CALL_MOVE) && i < NR_HANDLES; i++) {
		if (r->at[i] != ~0ULL)
			printf(" %lld at page(%llu)", (long long)i, (unsigned long long)r->at[i]);
	}
	if (c->code != CALL_ALLOC || r->r < 0)
		putchar('\n');
}

void say_vain(const struct scope *scope, u64 codes)
{
#define CALL_NAME(name) #name,
	static const char *const names[] = {WIRE_CALLS_OF(CALL_NAME)};
	unsigned i;

	printf("not ok %s: these calls never succeed, so the scope searches less than it says:",
	    scope->name);
	for (i = 0; i < NR_CALLS; i++) {
		if (codes >> i & 1)
			printf(" %s", names[i]);
	}
	putchar('\n');
}

/* ---- the list again ---- */

static void crashed(int sig)
{
	static const char crashes[] = "\n    and does not return: it crashes\n";
	static const char runs[] = "\n    and does not return: it runs for ever\n";
	ssize_t written = sig == SIGVTALRM ? write(1, runs, sizeof(runs) - 1)
	                                   : write(1, crashes, sizeof(crashes) - 1);

	_exit(written < 0 ? 3 : 1);
}

bool say_again(const struct scope *scope, const char *list)
{
	const char *wrong = scope_begin(scope);
	struct wire_result r;
	struct wire_call c;
	char *end;

	printf("not ok %s: this list of calls is a shortest one:\n", scope->name);
	ops_list(scope);
	signal(SIGSEGV, crashed);
	signal(SIGABRT, crashed);
	signal(SIGBUS, crashed);
	signal(SIGFPE, crashed);
	signal(SIGVTALRM, crashed);
	setitimer(ITIMER_VIRTUAL, &(struct itimerval){.it_value = {STUCK_AFTER, 0}}, NULL);
	while (!wrong && *list >= '0' && *list <= '9') {
		unsigned long op = strtoul(list, &end, 10);

		list = *end ? end + 1 : end;
		if (op >= nr_ops || !op_call(scope, &ops[op], &c)) {
			printf("no call %lu\n", op);
			return false;
		}
		if (c.code == CALL_OFFLINE) {
			c.code = CALL_QUERY;
			wrong = judged_call(&c, &r);
			c.code = CALL_OFFLINE;
		}
		say_call(&c);
		wrong = wrong ? wrong : judged_call(&c, &r);
		say_result(&c, &r);
	}
	if (!wrong && !strcmp(list, "back")) {
		printf("  then all is given back:\n");
		wrong = give_all_back(true);
	} else if (!wrong && setjmp(verdict_given)) {
		wrong = verdict.text;
	} else if (!wrong) {
		model_check();
	}
	printf("    %s\n", wrong ? wrong : "all of it is right");
	return !wrong;
}
