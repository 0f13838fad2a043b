/* SPDX-License-Identifier: MIT */
/*
 * judge.c: the judge of the model layer: starts the process with the student's code, sends it one
 * call after the other, and decides whether its answers are right.
 *
 *   judge [--seed=N] [--show] PROGRAM [TEST...]     one JSON line for each test
 *   judge --list                                    the tests
 *
 * After each call the student's arena is copied to the same address in this process, and the
 * reference's check_memory checks the copy.  So the student's code can change the memory that is
 * judged, but not the judge; its output is never read.
 *
 * Owns:       the arena's file; the student's process.
 * Locks:      none: one thread.
 * Invariants: a test without all its results is CRASH or HANG, never PASS.
 * Tests:      tests/qemu/test_grade.py.
 */
#define _GNU_SOURCE
#include "plans.h"
#include "mm/core/pcp.h"
#include "tests/fuzz/fuzz.h"
#include <fcntl.h>
#include <poll.h>
#include <quarry/ktest.h>
#include <quarry/string.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CALL_CPU_NS  1000000000LL /* limit of processor time: one call takes microseconds */
#define CALL_ASLEEP  100          /* checks, ten a second, that find the process asleep */
#define OUTPUT_LIMIT (256UL << 10)

static int arena_fd, calls_fd = -1, results_fd = -1;
static pid_t child;
static const char *program;
/* Declared here: string.h gives the parameters of functions in port.h other names. */
char *strsignal(int sig);

static struct arena *should; /* a memory of this shape, built by the reference's code */
static sigjmp_buf checker_broke;
static volatile int checking;

/* ---- the student's process ---- */

static void limit(int what, rlim_t most)
{
	struct rlimit l = {most, most};

	setrlimit(what, &l);
}

static void begin_child(void)
{
	int to[2], from[2], log;
	pid_t judge = getpid();

	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		panic("judge: no pipe");
	child = fork();
	if (child == 0) {
		const char *path = getenv("JUDGE_OUTPUT");

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != judge)
			_exit(126);
		log = open(path ? path : "/dev/null", O_WRONLY | O_CREAT | O_APPEND, 0600);
		dup2(open("/dev/null", O_RDONLY), 0);
		dup2(log, 1);
		dup2(log, 2);
		/* Move these descriptors above the numbers that they are copied to. */
		to[0] = fcntl(to[0], F_DUPFD, 10);
		from[1] = fcntl(from[1], F_DUPFD, 10);
		arena_fd = fcntl(arena_fd, F_DUPFD, 10);
		dup2(to[0], WIRE_CALLS);
		dup2(from[1], WIRE_RESULTS);
		dup2(arena_fd, WIRE_ARENA);
		close_range(WIRE_ARENA + 1, ~0U, 0);
		signal(SIGXFSZ, SIG_IGN);
		limit(RLIMIT_FSIZE, OUTPUT_LIMIT);
		limit(RLIMIT_CORE, 0);
		limit(RLIMIT_NOFILE, 16);
		limit(RLIMIT_CPU, 60);
		execl(program, program, (char *)NULL);
		_exit(126);
	}
	close(to[0]);
	close(from[1]);
	calls_fd = to[1];
	results_fd = from[0];
}

/* End the student's process, by a kill if @kill_it; returns its wait status. */
static int end_child(bool kill_it)
{
	int status = 0;

	if (!child)
		return 0;
	if (kill_it)
		kill(child, SIGKILL);
	close(calls_fd);
	close(results_fd);
	waitpid(child, &status, 0);
	child = 0;
	return status;
}

static long long child_cpu_ns(void)
{
	struct timespec ts;
	clockid_t id;

	if (clock_getcpuclockid(child, &id) || clock_gettime(id, &ts))
		return 0;
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

/*
 * Does the process sleep?  It does not if it waits for a CPU, perhaps for long on a loaded machine.
 */
static bool child_sleeps(void)
{
	char path[40], text[256];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", child);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	/* "PID (NAME) S ..." */
	while (n > 0 && text[n - 1] != ')')
		n--;
	return n > 0 && text[n] == ' ' && text[n + 1] == 'S';
}

enum answer { ANSWERED, ENDED, LATE };

static enum answer ask(const struct wire_call *c, struct wire_result *r)
{
	long long begin = child_cpu_ns();
	size_t got = 0;
	int asleep = 0;

	if (write(calls_fd, c, sizeof(*c)) != sizeof(*c))
		return ENDED;
	while (got < sizeof(*r)) {
		struct pollfd p = {.fd = results_fd, .events = POLLIN};
		ssize_t n;

		if (poll(&p, 1, 100) == 0) {
			asleep = child_sleeps() ? asleep + 1 : 0;
			if (child_cpu_ns() - begin > CALL_CPU_NS || asleep >= CALL_ASLEEP)
				return LATE;
			continue;
		}
		n = read(results_fd, (char *)r + got, sizeof(*r) - got);
		if (n <= 0)
			return ENDED;
		got += (size_t)n;
	}
	return ANSWERED;
}

/* ---- the arena ---- */

/* Copy the arena of the student's process, as much of it as the reference uses. */
static void view_take(void)
{
	if (pread(arena_fd, ARENA, should->used, 0) != (ssize_t)should->used)
		panic("judge: the arena cannot be read");
}

/* Build a memory of this shape by the reference's code, once before the test. */
static void build_should(const struct wire_shape *shape)
{
	LIST_INIT(&memories);
	arena_machine(shape->cpus);
	arena_map();
	if (arena_build(shape))
		panic("judge: the reference cannot build the memory");
	if (!should)
		should = malloc(ARENA_SIZE);
	memcpy(should, ARENA, ARENA->used);
}

/* The place in the reference's memory for @ptr, which points into the arena. */
#define SHOULD(ptr) ((const void *)((const char *)should + ((uintptr_t)(ptr)-ARENA_BASE)))
#define SAME(field)                                                                                \
	WANT(!memcmp(&(field), SHOULD(&(field)), sizeof(field)),                                   \
	    "the description of the memory was overwritten: %s", #field)

/* check_memory follows a stack's pointers: they must stay in the slots that the stack may get. */
static void check_pointers(const struct memory *mem, unsigned cpu)
{
	const struct pcp *pcp = mem->pcp[cpu];
	uintptr_t given[MAX_ZONES] = {0};
	unsigned stack;

	for (stack = 0; stack < nr_stacks(mem); stack++) {
		const struct pcp_stack *s = &pcp->stack[stack];
		unsigned zone = stack / STACKS_PER_ZONE - 1, most = 0;
		struct page **slot = NULL;

		if (s->slot && stack >= STACKS_PER_ZONE && pcp->slots[zone]) {
			slot = pcp_slots(&mem->zones[zone], pcp, stack);
			most = stack_most(stack % STACKS_PER_ZONE / NR_CACHED_TYPES);
			given[zone] += (uintptr_t)slot;
		}
		WANT(s->slot == slot, "stack %u of CPU %u has its slots at %p: expected %p", stack,
		    cpu, (const void *)s->slot, (const void *)slot);
		WANT(s->top >= slot && s->top <= slot + most,
		    "stack %u of CPU %u holds %ld blocks, and has %u slots", stack, cpu,
		    (long)(s->top - slot), most);
		WANT(s->limit >= slot && s->limit <= slot + most,
		    "stack %u of CPU %u may hold %ld blocks, and has %u slots", stack, cpu,
		    (long)(s->limit - slot), most);
	}
	WANT(!memcmp(pcp->given, given, sizeof(given)),
	    "CPU %u gave a stack its slots more than once", cpu);
}

/* Constant fields must be as they were built: check_memory follows them. */
static void check_constants(void)
{
	const struct memory *mem = &ARENA->mem;
	unsigned i;

	SAME(mem->memmap);
	SAME(mem->pageblocks);
	SAME(mem->trees);
	SAME(mem->start_pfn);
	SAME(mem->end_pfn);
	SAME(mem->nr_cpus);
	SAME(mem->nr_nodes);
	SAME(mem->pcp);
	SAME(mem->drain_mask);
	for (i = 0; i < m.shape.cpus; i++) {
		const struct pcp *pcp;

		SAME(mem->pcp[i]);
		pcp = mem->pcp[i];
		SAME(pcp->slots);
		check_pointers(mem, i);
	}
	for (i = 0; i < MAX_ZONES; i++) {
		const struct zone *zone = &mem->zones[i];

		SAME(zone->mem);
		SAME(zone->id);
		SAME(zone->node);
		SAME(zone->kind);
		SAME(zone->start_pfn);
		SAME(zone->end_pfn);
	}
	for (i = m.first; i < m.first + m.blocks; i++) {
		const struct pageblock *pb = pageblock_of(mem, block_pfn(i));

		SAME(pb->zone);
	}
	for (i = 0; i < MAX_ZONES; i++)
		WANT(!mem->zones[i].lock.locked && !mem->zones[i].lru_lock.locked,
		    "a lock of zone %u is still held after the call", i);
	WANT(!mutex_is_held(&mem->pcp_ctl) && !mutex_is_held(&mem->hotplug),
	    "the mutex %s is still held after the call",
	    mutex_is_held(&mem->hotplug) ? "hotplug" : "pcp_ctl");
}

/* Signal handler: check_memory itself crashed on damaged structures. */
static void checker_signal(int sig)
{
	if (!checking) {
		signal(sig, SIG_DFL);
		raise(sig);
	}
	siglongjmp(checker_broke, 1);
}

/* Judge the memory that the call has left, and its result. */
static void look(const struct wire_call *c, const struct wire_result *r)
{
	view_take();
	host_fuzz_log = false;
	host_this = (struct host_this){0};
	checking = 1;
	if (sigsetjmp(checker_broke, 1)) {
		checking = 0;
		broken(-1, "the memory's structures cannot be read: they are damaged");
	}
	check_constants();
	WANT(r->irqs_off == c->irqs_off, "interrupts are %s after a call that began with them %s",
	    r->irqs_off ? "off" : "on", c->irqs_off ? "off" : "on");
	model_after(c, r);
	model_check();
	judge_stacks(c, r);
	checking = 0;
}

/* ---- one test ---- */

/* Send and judge one call.  NULL: its result is right; else the verdict. */
static const char *one_call(const struct wire_call *c)
{
	static struct wire_result r;
	enum answer answer;

	call_log[MIN(nr_log, NR_LOG - 1u)].call = *c;
	call_log[MIN(nr_log, NR_LOG - 1u)].done = false;
	nr_log += nr_log < NR_LOG;
	if (c->code != CALL_BUILD)
		model_before(c);
	answer = ask(c, &r);
	if (answer != ANSWERED) {
		int status = end_child(answer == LATE);

		verdict.pfn = -1;
		snprintf(verdict.text, sizeof(verdict.text), "%s did not return: %s%s",
		    call_names[c->code],
		    answer == LATE            ? "it runs for ever"
		        : WIFSIGNALED(status) ? strsignal(WTERMSIG(status))
		                              : "the process ended",
		    answer == LATE || WIFSIGNALED(status) ? "" : " early");
		return answer == LATE ? "HANG" : "CRASH";
	}
	call_log[nr_log - 1].r = r.r;
	call_log[nr_log - 1].done = true;
	if (setjmp(verdict_given)) {
		checking = 0;
		return "FAIL";
	}
	look(c, &r);
	return NULL;
}

/*
 * Damage the word of the cached page that the next allocation would take, as a stray write would;
 * or of the last of those that the next allocation of many takes.  The allocation must notice it
 * and end the kernel, which is the student's process here.
 */
static const char *damaged_call(u32 word, bool many)
{
	static const gfp_t gfps[] = {GFP_UNMOVABLE, GFP_MOVABLE, GFP_RECLAIMABLE};
	static struct wire_result r;
	unsigned i, cpu;

	for (i = 0; i < ARRAY_SIZE(gfps) * m.shape.cpus; i++) {
		struct wire_call c = {.code = CALL_ALLOC, .a = gfps[i % ARRAY_SIZE(gfps)]};
		const struct pcp_stack *stack;
		const struct page *page;

		c.cpu = cpu = i / (unsigned)ARRAY_SIZE(gfps);
		stack = &m.mem->pcp[cpu]->stack[m.mem->pcp[cpu]->first[(u8)c.a]];
		if (stack_count(stack) <= many)
			continue;
		if (many)
			c.code = CALL_BULK_ALLOC;
		c.b = many ? stack_count(stack) : 0;
		page = many ? stack->slot[0] : stack->top[-1];
		if (pwrite(arena_fd, &word, sizeof(word),
		        (off_t)((uintptr_t)&page->word - ARENA_BASE)) != sizeof(word))
			panic("judge: the arena cannot be written");
		if (ask(&c, &r) == ENDED)
			return NULL;
		verdict.pfn = (s64)page_to_pfn_in(m.mem, page);
		snprintf(verdict.text, sizeof(verdict.text),
		    "the %s cached page of CPU %u had a damaged word, and an allocation %sdid not "
		    "notice it",
		    many ? "oldest" : "newest", cpu, many ? "of all cached pages " : "");
		return "FAIL";
	}
	verdict.pfn = -1;
	snprintf(verdict.text, sizeof(verdict.text), "after all these frees no CPU caches a page");
	return "FAIL";
}

/* Returns NULL: the test has passed; or its verdict. */
static const char *play(const struct plan *p, u64 seed, u32 damage, bool many)
{
	u64 rand = (seed + 1) * 0x9e3779b97f4a7c15ULL | 1;
	struct wire_call c = {.code = CALL_BUILD};
	const char *what;
	unsigned nr = 0;

	memcpy(c.pfns, p->shape, sizeof(*p->shape));
	nr_log = 0;
	verdict = (struct verdict){.pfn = -1};
	build_should(p->shape);
	model_begin(p->shape);
	if (!child)
		begin_child();
	what = one_call(&c);
	while (!what && (!p->damage || nr < p->calls) && plan_next(p, &rand, nr++, &c)) {
		if (c.code == CALL_OFFLINE) {
			struct wire_call query = c;

			query.code = CALL_QUERY;
			what = one_call(&query);
		}
		what = what ? what : one_call(&c);
	}
	if (!what && p->damage) {
		what = damaged_call(damage, many);
		end_child(true);
	} else if (!what && setjmp(verdict_given)) {
		what = "FAIL";
	} else if (!what) {
		model_end();
	}
	return what;
}

static bool run(const struct plan *p, u64 seed)
{
	static const u32 damaged[] = {
	    PAGE_WORD(3, PG_PCP, 0), PAGE_WORD(0, PG_PCP, 1), PAGE_WORD(0, PG_PCP, 0) | PAGE_DIRTY};
	const char *what = play(p, seed, damaged[0], false);
	unsigned i;

	for (i = 1; !what && p->damage && i < 2 * ARRAY_SIZE(damaged); i++)
		what = play(p, seed, damaged[i / 2], i % 2);
	report(p, what ? what : "PASS", seed);
	if (what)
		end_child(true);
	return !what;
}

int main(int argc, char **argv)
{
	u64 seed = 1;
	unsigned k, ran = 0, failed = 0;
	int i;

	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (!strncmp(argv[i], "--seed=", 7))
			seed = strtoull(argv[i] + 7, NULL, 0);
		for (k = 0; !strcmp(argv[i], "--list") && k < nr_plans; k++)
			printf("%s\t%s\n", plans[k].name, plans[k].about);
	}
	if (i == argc)
		return 0;
	program = argv[i++];
	/* The student's process has the same user: it must not take over this one's files. */
	prctl(PR_SET_DUMPABLE, 0);
	arena_fd = memfd_create("arena", MFD_CLOEXEC);
	if (arena_fd < 0 || ftruncate(arena_fd, ARENA_SIZE))
		panic("judge: no file for the arena");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGSEGV, checker_signal);
	signal(SIGBUS, checker_signal);
	signal(SIGABRT, checker_signal);
	signal(SIGFPE, checker_signal);
	for (k = 0; k < nr_plans; k++) {
		bool named = i == argc;
		int n;

		for (n = i; n < argc; n++)
			named |= !strcmp(argv[n], plans[k].name);
		if (!named)
			continue;
		ran++;
		failed += !run(&plans[k], seed);
	}
	end_child(true);
	return !ran ? 2 : failed ? 1 : 0;
}
