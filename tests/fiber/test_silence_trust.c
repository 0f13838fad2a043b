/* SPDX-License-Identifier: MIT */
/*
 * test_silence_trust.c: the time that reclaim waits for a task's pagers, which depends on their
 * earlier silence and answers; the order of calls; bounds of a pager's object.
 */
#include "kernel/pager_trust.h"
#include "kernel/thread.h"
#include "tests/fiber/silence_help.h"
#include <quarry/account.h>
#include <quarry/pager.h>
#include <quarry/task.h>

#define LEAST  (100 * MS) /* with less trust the pager is not asked */
#define MARGIN (60 * MS)
#define MAX_NS ((s64)(2 * S)) /* the most time for pagers; lost time comes back 4 times as slowly */

static u64 began, cost; /* of the last wait for a silent pager */

static int hand_over(struct vm_object *object)
{
	u64 now = arch_clock_ns();
	int err = object->ops->clean(object, 3, paged_content, WAIT_FOREVER);
	u64 took = arch_clock_ns() - now;

	began = took >= LEAST ? now : began;
	cost = took >= LEAST ? took : cost;
	return err;
}

/* Sleep until the time comes back that a silence has cost, a[0] times doubled, and LEAST. */
static void regain(u64 doubled, bool enough)
{
	u64 when = began + 4 * ((cost << doubled) + LEAST), now = arch_clock_ns();

	when = enough ? when + MARGIN : when - MARGIN;
	if (when > now)
		thread_sleep(when - now);
}

VERB(hand_over, hand_over(paged[0].object));
WAIT(regain_less, regain((u64)a[0], false));
WAIT(regain, regain((u64)a[0], true));
DO(idle, server.idle = a[0]);
DO(drops, server.drops = a[0]);

/* The time limit is a second. */
#define BEGIN "begin_pager 0 0 130 1s;"
#define END   "end_pager 0"
/* Rows: the silent pager is waited for, as long as reclaim's trust allows; or not at all. */
#define WAITED "hand_over = -ETIMEDOUT @100ms + 950ms;"
#define NOT    "hand_over = -ETIMEDOUT @0 + 1ms;"
#define WHOLE  "hand_over = -ETIMEDOUT @1s + 50ms;"
#define AGAIN(doubled)                                                                             \
	"regain_less " #doubled ";" NOT "regain " #doubled                                         \
	"; hand_over = -ETIMEDOUT @100ms + 100ms;"

KTEST_SUITE(silence_trust, 0);

/*
 * Time that a silence has cost comes back four times as slowly; from LEAST on the pager is asked
 * again.  The cost doubles each time, up to sixteenfold.
 */
KTEST(each_silence_costs_twice_as_much_as_the_one_before)
ROWS(BEGIN WHOLE AGAIN(0) AGAIN(1) AGAIN(2) AGAIN(3) AGAIN(4) AGAIN(4) AGAIN(4) END)

/* A requested page that does not come costs no trust: reclaim has not waited for it. */
KTEST(missing_page_costs_no_trust)
ROWS(BEGIN "get 0 = -ETIMEDOUT @1s + 50ms; get 1 = -ETIMEDOUT @1s + 50ms;" WHOLE END)

/*
 * A run with less time than the trust allows ends its wait early, which does not count as silence.
 */
KTEST(a_run_at_its_end_waits_for_no_longer)
ROWS(BEGIN "clean 3 0 = -ETIMEDOUT @0 + 1ms; clean 3 200ms = -EAGAIN @200ms + 50ms;" WHOLE END)

/* Another CPU has noted a later time than this CPU's clock shows. */
KTEST(a_clock_that_lags_pays_nothing_back)
{
	struct pager_trust trust = {.owed_ns = MAX_NS, .at = arch_clock_ns() + S};

	EXPECT_EQ(t, pager_trust_left(&trust), 0);
	EXPECT_EQ(t, trust.owed_ns, MAX_NS);
}

/* ---- a pager that answers ---- */

/* The test computes the remaining time too; if that is nearly LEAST, either result is right. */
KTEST(late_answers_are_charged_their_time)
{
	static const u64 late[] = {0, 0, 300 * MS, 300 * MS, 50 * MS, 300 * MS, 0, 90 * MS};
	unsigned i, served = 0, refused = 0;
	s64 left = MAX_NS;
	u64 at, now, took;
	int err;

	PLAY(t, BEGIN "serve");
	at = arch_clock_ns();
	for (i = 0; i < 12 * ARRAY_SIZE(late); i++) {
		now = arch_clock_ns();
		left = MIN(left + (s64)((now - at) / 4), MAX_NS);
		at = now;
		server.late = late[i % ARRAY_SIZE(late)];
		/* Avoid silence, which costs more. */
		if (left > (s64)LEAST && left < (s64)(server.late + 50 * MS))
			server.late = 50 * MS;
		err = hand_over(paged[0].object);
		took = arch_clock_ns() - now;
		if (left > (s64)(LEAST + 30 * MS))
			EXPECT_EQ(t, err, 0);
		else if (left < (s64)(LEAST - 30 * MS))
			EXPECT_EQ(t, err, -ETIMEDOUT);
		served += !err;
		refused += err != 0;
		EXPECT(
		    t, err ? took < 1 * MS : took >= server.late && took < server.late + 50 * MS);
		left -= !err && took > TICK ? (s64)(took - TICK) : 0;
		thread_sleep(2 * TICK);
	}
	EXPECT(t, served > 6 && refused > 6);
	EXPECT_EQ(t, server.calls, served);
	PLAY(t, "stop;" END);
}

KTEST(answer_ends_the_doubling_of_the_charge)
ROWS(BEGIN "serve; answers_late 3s;" WAITED "sleep 20s;" WAITED "sleep 20s; answers_late 0;"
           "hand_over 1..100; answers_late 3s;" WAITED "regain_less 0;" NOT "regain 0;" WAITED
           "answers_late 0; stop;" END)

static unsigned refusals(void)
{
	unsigned i;

	for (i = 0; i < 1000 && server.calls == i; i++)
		if (hand_over(paged[0].object) >= 0)
			return 0;
	return server.calls;
}

VERB_OF(refusals, true, refusals());

/*
 * Each answer after which the page is still dirty is charged its time, though it is short: a
 * refusal, and the claim to have taken the content.
 */
KTEST(refusals_are_charged)
ROWS(BEGIN
    "serve; answers_late 8ms; idle 1; answers FAILED; refusals >= 200; calls <= 349; stop;" END
    ";" BEGIN "serve; answers_late 8ms; idle 1; refusals >= 200; calls <= 349; stop;" END)

/* ---- a pager without memory ---- */

/* At the end nothing can be reclaimed for the pager. */
KTEST(pager_without_memory_is_asked_until_its_time_limit)
ROWS(BEGIN "serve; answers NO_MEMORY; answers_late 100ms; drain; note_free; get 1 = -ETIMEDOUT @1s;"
           "calls >= 10; calls <= 12; drain; free = was_free; fill; fill_waiting @?; no_calls;"
           "get 1 = -ENOMEM; calls = 1; give; answers DONE; get 1; stop;" END)

/* The pager supplies the page each time, and drops it before the access sees it. */
static unsigned one_access(int *err)
{
	unsigned tries = 0;

	port_task()->access_ns = 0;
	while (!(*err = paged[0].object->ops->get(paged[0].object, 5)) && ++tries < 100)
		;
	return tries;
}

static int access_err;

VERB(one_access, one_access(&access_err));
VERB(access_err, access_err);
DO(no_calls, server.calls = 0);

/* The next access has its own time. */
KTEST(one_access_ends_in_time)
ROWS(BEGIN "serve; drops 1; answers_late 100ms; one_access >= 8 @1s; access_err = -ETIMEDOUT;"
           "calls <= 11; wrong; drops 0; get 5; stop;" END)

/* ---- tasks of pagers ---- */

static struct vm_object *pager_of_task(struct task *task, struct endpoint *ep)
{
	struct vm_object *object = NULL;

	thread_current()->task = task;
	if (pager_create(ep, 130, 7, S, &object))
		panic("no pager");
	if (task)
		ipc_forget(thread_current());
	thread_current()->task = NULL;
	return object;
}

static void unlimited(struct account *own, struct account *parent)
{
	unsigned i;

	*own = (struct account){.parent = parent, .refs = 1};
	for (i = 0; i < NR_ACCOUNT_KINDS; i++)
		own->limit[i] = ~0ULL;
}

/* A thread of @task hands over a page of object @i; a thread that would wait for itself fails. */
static struct vm_object *objects[4];
static struct task tasks[3];

static int hand_over_as(const s64 *a)
{
	int err;

	thread_current()->task = a[1] ? &tasks[0] : NULL;
	err = hand_over(objects[a[0]]);
	if (a[1])
		ipc_forget(thread_current());
	thread_current()->task = NULL;
	return err;
}

VERB(object, hand_over_as(a));

/* The first two objects are of two tasks of one family; the last object is the kernel's. */
KTEST(pagers_of_one_family_share_their_trust)
{
	static struct account first, head[2], child;
	struct account *const account[] = {&head[0], &child, &head[1], account_current()};
	struct endpoint *ep = endpoint_create();
	unsigned i;

	unlimited(&first, &account_all);
	unlimited(&head[0], &first);
	unlimited(&head[1], &first);
	unlimited(&child, &head[0]);
	for (i = 0; i < 3; i++)
		tasks[i] =
		    (struct task){.id = 5 + i, .refs = 1, .lock = SPINLOCK("task", RANK_TASK)};
	for (i = 0; i < 4; i++) {
		struct account *before = account_use(account[i]);

		objects[i] = pager_of_task(i < 3 ? &tasks[i] : NULL, ep);
		account_use(before);
	}
	EXPECT_EQ(t, first.used[ACCOUNT_BUFFERS], 3);
	EXPECT(t, account_pages(&first) >= 6);
	PLAY(t,
	    "object 0 = -ETIMEDOUT @1s + 50ms; object 1 = -ETIMEDOUT @0 + 1ms;"
	    "object 2 = -ETIMEDOUT @1s + 50ms; object 3 = -ETIMEDOUT @1s + 50ms; sleep 50s;"
	    "object 0 1 = -EIO @0 + 1ms; object 1 1 = -ETIMEDOUT @100ms + 950ms;"
	    "object 2 1 = -ETIMEDOUT @100ms + 950ms; object 3 1 = -ETIMEDOUT @100ms + 950ms");
	for (i = 0; i < 4; i++)
		vm_object_put(objects[i]);
	for (i = 0; i < NR_ACCOUNT_KINDS; i++)
		EXPECT_EQ(t, first.used[i], 0);
	endpoint_put(ep, RIGHT_RECEIVE);
}

/* ---- the order of calls ---- */

/*
 * The pager is busy with one request, and another request waits; a page that is handed over comes
 * before it.
 */
KTEST(a_page_that_is_handed_over_goes_first)
ROWS(BEGIN "serve; answers_late 100ms; 1> get 1; 3> get 2; sleep 10ms; hand_over @150ms + 100ms;"
           "join; stop;" END)

static struct endpoint *gift;

DO(gifts, server.gift = a[0] ? gift : NULL);

/* No thread has asked for these capabilities, or could use them. */
KTEST(capabilities_in_answers_are_dropped)
{
	u64 endpoints = account_all.used[ACCOUNT_ENDPOINTS];

	gift = NEED(t, endpoint_create());
	PLAY(t,
	    BEGIN
	    "serve; gifts 1; get 0; hand_over; answers FAILED; get 1 = -EIO; gifts 0; stop;" END);
	endpoint_put(gift, RIGHT_RECEIVE);
	EXPECT_EQ(t, account_all.used[ACCOUNT_ENDPOINTS], endpoints);
}

/* The first and the last page of an object of @nr pages may be dropped, and none beyond. */
static int create(unsigned long nr, u64 timeout)
{
	struct endpoint *ep = endpoint_create();
	struct vm_object *object;
	int err = pager_create(ep, nr, 7, timeout, &object);

	endpoint_put(ep, RIGHT_RECEIVE);
	if (err)
		return err;
	if (object->nr_pages != nr || pager_drop(object, nr - 1, 1) || pager_drop(object, 0, nr) ||
	    pager_drop(object, nr, 1) != -EINVAL || pager_drop(object, 0, nr + 1) != -EINVAL)
		err = -EDOM;
	vm_object_put(object);
	return err;
}

VERB(create, create((unsigned long)(a[0] + a[2]), (u64)(a[1] + a[3])));
VERB(most_pages, OBJ_MAX_PAGES);
VERB(most_ns, ABI_MAX_PAGER_NS);

KTEST(objects_and_limits_of_time_have_bounds)
ROWS("create 1 1; create 0 1 = -EINVAL; create most_pages 1; create most_pages 1 1 = -EINVAL;"
     "create 1 0 = -EINVAL; create 1 most_ns; create 1 most_ns 0 1 = -EINVAL")
