/* SPDX-License-Identifier: MIT */
/*
 * test_oom_choice.c: the choice of the OOM killer while tasks go on: each look at a family's kernel
 * memory finds another amount. It includes the source of kernel/oom_kill.c, with tasks that have
 * only an account. Hosted only.
 */
#include "tests/lib/mm_test.h"
#include <quarry/account.h>
#include <quarry/console.h>
#include <quarry/oom.h>
#include <quarry/task.h>

/* Tasks by their place in the list: a family of three, in it the largest task; another family. */
enum { HEAD, LARGE, SMALL, OTHER, NR, NOBODY };

static struct task tasks[NR];
static struct account accounts[NR];
static int ended;
static unsigned looks; /* at the family's kernel memory */
static long change;    /* of it between two looks, in pages, after the table is made */

static struct task *next_task(unsigned long id)
{
	return id < NR ? &tasks[id] : NULL;
}

static unsigned long pages_now(const struct account *account)
{
	if (account != &accounts[HEAD])
		return 0;
	/* Each of the rows is compared with the head's. */
	if (looks++ < NR)
		return 1000;
	return (unsigned long)(1100 + change * (long)looks);
}

static void put(struct task *task)
{
}

static struct vm_space *no_space(struct task *task)
{
	return NULL;
}

static void no_objects(
    struct cap_table *t, void (*fn)(struct vm_object *object, void *arg), void *arg)
{
}

static unsigned no_gifts(struct task *task, struct vm_object **gift)
{
	return 0;
}

static struct task *nobody(void)
{
	return NULL;
}

static bool end_victim(struct task *task, u32 number)
{
	ended = (int)(task - tasks);
	return true;
}

static void __attribute__((format(printf, 1, 2))) say_nothing(const char *fmt, ...)
{
}

#define printk            say_nothing
#define task_after        next_task
#define task_put          put
#define task_get_space    no_space
#define task_current      nobody
#define task_end_victim   end_victim
#define cap_table_objects no_objects
#define task_gifts        no_gifts
#define account_pages     pages_now
#define oom_init          choice_init
void choice_init(void);
#include "kernel/oom_kill.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static int choose(long by)
{
	static const unsigned pages[] = {[HEAD] = 10, [LARGE] = 5000, [SMALL] = 20, [OTHER] = 400};
	unsigned i;

	for (i = 0; i < NR; i++) {
		accounts[i] = (struct account){
		    .parent = i == HEAD || i == OTHER ? &account_all : &accounts[HEAD],
		    .refs = 1,
		    .used = {[ACCOUNT_PAGES] = pages[i]}};
		tasks[i].id = i + 1;
		tasks[i].account = &accounts[i];
	}
	accounts[HEAD].used[ACCOUNT_PAGES] += pages[LARGE] + pages[SMALL];
	change = by;
	looks = 0;
	ended = NOBODY;
	if (!oom_kill(&kernel_memory, GFP_KERNEL, 0, NULL))
		return NOBODY;
	return ended;
}

static void charges_during_the_choice_do_not_count(struct ktest *t)
{
	EXPECT_EQ(t, choose(0), LARGE);
	EXPECT_EQ(t, choose(-1), LARGE);
	EXPECT_EQ(t, choose(1), LARGE);
}

static void a_family_is_counted_whatever_its_place_in_the_list(struct ktest *t)
{
	(void)choose(0);
	EXPECT(t, table[OTHER].whole == 400 && table[OTHER].family == &accounts[OTHER]);
	EXPECT(t, table[HEAD].whole == 6130 && table[SMALL].whole == 6130);
}

KTEST_SUITE(oom_choice, KTEST_QUICK | KTEST_MOSTLY_INSIDE,
    KTEST(charges_during_the_choice_do_not_count),
    KTEST(a_family_is_counted_whatever_its_place_in_the_list));
