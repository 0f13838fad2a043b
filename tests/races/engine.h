/* SPDX-License-Identifier: MIT */
/*
 * engine.h: race replay: scripts that decide which CPU may pass which scheduling point, and when.
 *
 * Needs only arch.h, port.h, mm.h and hotplug.h, so the same engine runs in the kernel, where a
 * role is a thread on a real CPU, and in the fiber program, where it is a fiber.
 * docs/races/README.md explains scripts.
 */
#ifndef QUARRY_RACES_ENGINE_H
#define QUARRY_RACES_ENGINE_H

#include <quarry/mm.h>

/* The stores of the engine and of operations are seen at once, and are no points. */
#undef ordered_store
#undef NOTE_BARRIER
#define ordered_store(p, v, order) __atomic_store_n((p), (v), (order))
#define NOTE_BARRIER(step)         step
#if defined(RACE_BUILD) && __STDC_HOSTED__
void stores_hold(void); /* fiber_stores.h */
void stores_go_on(void);
void stores_leave(void);
bool stores_arrive(void);
const char *stores_unseen(unsigned cpu, unsigned i);
#else
#define stores_hold()             ((void)0)
#define stores_go_on()            ((void)0)
#define stores_leave()            ((void)0)
#define stores_arrive()           false
#define stores_unseen(cpu, store) ((void)(cpu), (void)(store), (const char *)NULL)
#endif

#define RACE_ROLES   8
#define RACE_RECLAIM RACE_ROLES /* role R: the memory's reclaim thread, which no script starts */
#define RACE_ENTRIES 160
#define RACE_PLACES  3
#define RACE_NAME    40

enum race_kind { RACE_ARRIVE, RACE_LEAVE, RACE_RUN, RACE_START, RACE_JOIN, RACE_CHECK, RACE_COUNT };

/* A point, by name and hit number; name "done" is the end of the role's operation. */
struct race_place {
	char name[RACE_NAME];
	unsigned nth;
};

/* One step of a script: role?place|place  role@place  role:op  role!op  role:join  check  count. */
struct race_entry {
	enum race_kind kind;
	unsigned role;
	unsigned nr_places;
	struct race_place place[RACE_PLACES];
	char op[RACE_NAME]; /* RUN, START: the operation; CHECK, COUNT: its name */
	bool wants;         /* RUN, JOIN, COUNT: the result must be @want */
	int want;
};

struct race_script {
	char name[RACE_NAME];
	char expect[RACE_NAME]; /* the outcome of the right code */
	enum iso_policy policy;
	bool tso;                   /* on fibers: other CPUs see a store late (fiber_stores.h) */
	unsigned nr_roles, nr_cpus; /* CPUs of the memory: at least one for each role */
	unsigned movable;   /* pageblocks of zone MOVABLE, with caches of full size; 0: 32 */
	unsigned nr, first; /* entries; the first traced one, after the setup's entries */
	struct race_entry entry[RACE_ENTRIES];
	char error[80]; /* why the script could not be read */
};

/* ---- script.c ---- */

/*
 * Read the text of one .race file, up to its end or the next "race:" line; returns the rest of
 * @text. s->error is not empty if the text is wrong.
 */
const char *race_parse(const char *text, struct race_script *s);
/* Add the entries of @text, separated by ';'.  False: s->error says why. */
bool race_parse_entries(struct race_script *s, const char *text);
/* Find a script by name in the texts that are part of the program; false if there is none. */
bool race_find(const char *name, struct race_script *s);
/* Write the text of @s, whose places have one name each, with @expect as its outcome. */
void race_write(const struct race_script *s, const char *expect, char *text, size_t size);
extern const char race_texts[]; /* all .race files, one after the other */

/* ---- engine.c ---- */

/* The outcome, and the trace for the caller to print: lines "step role point outcome". */
struct race_result {
	char outcome[RACE_NAME]; /* OK, STUCK, CHECK(id), WRONG(role), MISSED(role), CRASH */
	char why[400];           /* for people; not part of the trace */
	char trace[RACE_ENTRIES * 64];
	size_t used;
	bool abandoned; /* a role never came back: nothing more can be run */
};

/* Run @s on a fresh memory, roles on CPUs 0, 1, ...  Context: thread. */
void race_run(const struct race_script *s, struct race_result *res);
/* End the run in progress with @outcome unless it has ended; then no point stops a role. */
void race_end(const char *outcome, const char *why);
/* Describe the place of each role, for reports. */
void race_whereabouts(char *buf, size_t size);
/* True: the run's outcome is known. */
bool race_over(void);
/*
 * race_be: the current thread plays role @role until the run ends. race_begin: the run has @nr
 * roles and script @s; @s NULL: no script.
 */
void race_be(unsigned role);
void race_begin(unsigned nr, const struct race_script *s, struct race_result *res);
/*
 * The explorer's hook: called at every point that a role passes. While it is set, no script is
 * followed.
 */
extern void (*race_hook)(unsigned role, const char *name, bool waits);
/*
 * Called before each point of a script, to disturb the order that a script leaves open; may be
 * NULL.
 */
extern void (*race_jitter)(void);
/* Called at every point while no script is run; may be NULL. */
extern void (*race_spy)(const char *name);
/* A role's letter. */
int race_letter(unsigned role);
/*
 * Nanoseconds: if all roles wait and nothing moves for this time, the outcome is STUCK. A role that
 * does not return within this time after the outcome is abandoned.
 */
extern u64 race_patience_ns;
/* Name of an error, as scripts write it. */
const char *race_errno(int err);

/* ---- ops_memory.c, ops.c, checks.c ---- */

/*
 * Build the memory that the setup of @s needs.  Context: thread; CPUs 0 .. s->nr_cpus - 1 answer
 * calls.
 */
void ops_build(const struct race_script *s);
/*
 * Run operation @op, "name" or "name(argument)", as @role; returns its result. -ENOSYS: no such
 * operation.
 */
int ops_run(unsigned role, const char *op);
bool ops_known(const char *op);
/* Run a check: true, or false and *v names the damage. */
bool ops_check(const char *what, struct mm_violation *v);
/*
 * Read an event's count since ops_build, or another value, by name. False: there is no such name.
 * With @value NULL, only the name is checked, also before ops_build.
 */
bool ops_count(const char *what, u64 *value);
/* Count the stores of @role that the other CPUs do not see yet; @buf: their names, oldest first. */
unsigned ops_unseen(unsigned role, char *buf, size_t size);
/* A description in a few words of the value that @what names; "": none. */
void ops_detail(const char *what, char *buf, size_t size);
/* Check everything that must hold when all roles are idle, whatever operations they ran. */
bool ops_final(struct mm_violation *v);
/*
 * Stop the memory's threads; no role may run. @sound: no damage was found, so objects are dropped
 * too.
 */
void ops_stop(bool sound);
/* race_boot.c, fiber_memory.c: the first of @nr pages that a run may write to; PFN_NONE: none. */
pfn_t race_ram(unsigned long nr);
/* Data that can be read while roles are kept. ops_view: false before the scene is set. */
struct ops_view {
	struct memory *mem;
	pfn_t page_p, block_u;
};
bool ops_view(struct ops_view *view);
/*
 * The CPU in whose cache the block at @head is. nr_cpus: no cache has the block, or the cache's
 * count is not raised yet.
 */
unsigned ops_cached_on(const struct memory *mem, const struct page *head);
/* True: the run has memory objects, which operation "end" ends. */
bool ops_has_objects(void);
/* True: @what is part of the memory, so its waiter waits for another user of the memory. */
bool ops_owns(const void *what);
/* Not 0: the outcome is known, and operations are to be cancelled. */
extern u32 ops_cancel;

/*
 * waiters.c: run all phases of threads that touch pages being moved (docs/races/d-waiters.md), and
 * print a line for each. True: every page moved in at most 2 tries. Context: the kernel, at boot.
 */
bool waiters_run(void);

#endif
