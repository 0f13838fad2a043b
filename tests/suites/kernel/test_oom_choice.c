/* SPDX-License-Identifier: MIT */
/*
 * test_oom_choice.c: the choice of the OOM killer while tasks go on: each look at a family's kernel
 * memory finds another amount.  And which pages count if the request cannot use all zones, or if a
 * pager does not take its pages back. It includes the source of kernel/oom_kill.c, with tasks that
 * have only an account, and perhaps pages of a pager's object mapped, a handle to an object, or one
 * to give away. Hosted only.
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
static bool no_kernel; /* the kernel has no memory for the family */

static unsigned long can_move_now;                  /* from lower zones to MOVABLE */
static struct vm_object served;                     /* OTHER is its pager */
static unsigned long mapped[NR + 1][NR_ZONE_KINDS]; /* of it, by task and highest zone */

static struct task *next_task(unsigned long id)
{
	return id < NR ? &tasks[id] : NULL;
}

static unsigned long pages_now(const struct account *account)
{
	if (account != &accounts[HEAD] || no_kernel)
		return 0;
	/* Each of the rows is compared with the head's. */
	if (looks++ < NR)
		return 1000;
	return (unsigned long)(1100 + change * (long)looks);
}

static void put(struct task *task)
{
}

static unsigned long can_move_up(struct memory *mem)
{
	return can_move_now;
}

/* The task's row of mapped stands for its space. */
static struct vm_space *space_of(struct task *task)
{
	return (struct vm_space *)mapped[task - tasks];
}

static void put_space(struct vm_space *space)
{
}

static unsigned long count_mapped(struct vm_space *space, enum zone_kind zones,
    void (*fn)(struct vm_object *object, unsigned long nr, void *arg), void *arg)
{
	unsigned long nr = ((unsigned long *)space)[zones];

	if (nr)
		fn(&served, nr, arg);
	return nr;
}

static int has_handle = NOBODY, gives = NOBODY; /* of and to served */

static void one_object(
    struct cap_table *t, void (*fn)(struct vm_object *object, void *arg), void *arg)
{
	if (has_handle != NOBODY && t == &tasks[has_handle].caps)
		fn(&served, arg);
}

static unsigned one_gift(struct task *task, struct vm_object **gift)
{
	gift[0] = &served;
	return gives != NOBODY && task == &tasks[gives];
}

static void put_gift(struct vm_object *object)
{
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

#define printk             say_nothing
#define task_after         next_task
#define task_put           put
#define task_get_space     space_of
#define vm_space_put       put_space
#define vm_space_resident  count_mapped
#define memory_can_move_up can_move_up
#define task_current       nobody
#define task_end_victim    end_victim
#define cap_table_objects  one_object
#define task_gifts         one_gift
#define vm_object_put      put_gift
#define account_pages      pages_now
#define oom_init           choice_init
void choice_init(void);
#include "kernel/oom_kill.c" /* NOLINT(bugprone-suspicious-include): the tested source */

/* The tasks, with @pages of objects outside MOVABLE, and @movable in it (NULL: none). */
static void set_pages(const unsigned pages[NR], const unsigned movable[NR])
{
	unsigned i;

	for (i = 0; i < NR; i++) {
		accounts[i] = (struct account){
		    .parent = i == HEAD || i == OTHER ? &account_all : &accounts[HEAD],
		    .refs = 1,
		    .used = {
		        [ACCOUNT_PAGES] = pages[i], [ACCOUNT_MOVABLE] = movable ? movable[i] : 0}};
		tasks[i].id = i + 1;
		tasks[i].account = &accounts[i];
	}
	for (i = LARGE; i <= SMALL; i++) {
		accounts[HEAD].used[ACCOUNT_PAGES] += accounts[i].used[ACCOUNT_PAGES];
		accounts[HEAD].used[ACCOUNT_MOVABLE] += accounts[i].used[ACCOUNT_MOVABLE];
	}
}

static int chosen_for(gfp_t gfp)
{
	looks = 0;
	ended = NOBODY;
	if (!oom_kill(&kernel_memory, gfp, 0, NULL))
		return NOBODY;
	return ended;
}

static int choose(long by)
{
	static const unsigned pages[NR] = {
	    [HEAD] = 10, [LARGE] = 5000, [SMALL] = 20, [OTHER] = 400};

	set_pages(pages, NULL);
	change = by;
	no_kernel = false;
	can_move_now = 0;
	memset(mapped, 0, sizeof(mapped));
	return chosen_for(GFP_KERNEL);
}

KTEST_SUITE(oom_choice, KTEST_QUICK | KTEST_MOSTLY_INSIDE);

KTEST(charges_during_the_choice_do_not_count)
{
	EXPECT_EQ(t, choose(0), LARGE);
	EXPECT_EQ(t, choose(-1), LARGE);
	EXPECT_EQ(t, choose(1), LARGE);
}

KTEST(a_family_is_counted_whatever_its_place_in_the_list)
{
	(void)choose(0);
	EXPECT(t, table[OTHER].whole == 400 && table[OTHER].family == &accounts[OTHER]);
	EXPECT(t, table[HEAD].whole == 6130 && table[SMALL].whole == 6130);
}

/* The family has nearly all pages, but in MOVABLE; the other task's can move there. */
KTEST(pages_in_movable_count_if_others_can_move_there)
{
	static const unsigned pages[NR] = {[SMALL] = 7, [OTHER] = 400},
	                      movable[NR] = {[HEAD] = 30, [LARGE] = 5000, [OTHER] = 90};

	(void)choose(0);
	set_pages(pages, movable);
	no_kernel = true;
	/* In place of the family's pages, of which 7 can move themselves. */
	can_move_now = 7 + 64;
	EXPECT_EQ(t, chosen_for(GFP_KERNEL), LARGE);
	EXPECT_EQ(t, table[SMALL].whole, 5037);
	EXPECT_EQ(t, table[OTHER].whole, 400);
	can_move_now--;
	EXPECT_EQ(t, chosen_for(GFP_KERNEL), OTHER);
	EXPECT_EQ(t, table[SMALL].whole, 7);
	EXPECT_EQ(t, chosen_for(GFP_MOVABLE), LARGE);
	/* What an ended task of the family has left counts in the same zones. */
	accounts[HEAD].used[ACCOUNT_MOVABLE] += 1000;
	can_move_now = 400 + 64;
	EXPECT_EQ(t, chosen_for(GFP_KERNEL), LARGE);
	EXPECT_EQ(t, table[HEAD].whole, 6037);
	EXPECT_EQ(t, table[OTHER].whole, 490);
}

/* Pages of a pager count for another family's task in zones that count for both families. */
KTEST(pages_of_a_pager_count_in_the_zones_of_both)
{
	static const unsigned pages[NR] = {[LARGE] = 10, [OTHER] = 1000},
	                      movable[NR] = {[OTHER] = 2000};

	(void)choose(0);
	set_pages(pages, movable);
	no_kernel = true;
	served =
	    (struct vm_object){.kind = OBJ_PAGER, .account = &accounts[OTHER], .nr_present = 3000};
	mapped[LARGE][ZONE_NORMAL] = 600;
	mapped[LARGE][ZONE_MOVABLE] = 2500;
	can_move_now = 1000 + 64;
	EXPECT_EQ(t, chosen_for(GFP_KERNEL), LARGE);
	EXPECT(t, table[LARGE].whole == 2510 && table[OTHER].whole == 500);
	can_move_now--;
	EXPECT_EQ(t, chosen_for(GFP_KERNEL), LARGE);
	EXPECT(t, table[LARGE].whole == 610 && table[OTHER].whole == 400);
	EXPECT_EQ(t, chosen_for(GFP_MOVABLE), LARGE);
	EXPECT(t, table[LARGE].whole == 2510 && table[OTHER].whole == 500);
}

/* The end of the task that has them mapped would not free them. */
KTEST(pages_that_their_pager_refuses_count_for_the_pager)
{
	static const unsigned pages[NR] = {[LARGE] = 10, [OTHER] = 1000};

	(void)choose(0);
	set_pages(pages, NULL);
	no_kernel = true;
	served = (struct vm_object){
	    .kind = OBJ_PAGER, .account = &accounts[OTHER], .nr_present = 1000, .refused = 9};
	mapped[LARGE][ZONE_MOVABLE] = 900;
	EXPECT_EQ(t, chosen_for(GFP_MOVABLE), OTHER);
	EXPECT(t, table[LARGE].whole == 10 && table[OTHER].whole == 1000);
	/* The first task is never killed, and what it uses stays. */
	tasks[LARGE].first = true;
	EXPECT_EQ(t, chosen_for(GFP_MOVABLE), OTHER);
	EXPECT_EQ(t, table[OTHER].whole, 100);
	tasks[LARGE].first = false;
	served.refused = 0;
	EXPECT_EQ(t, chosen_for(GFP_MOVABLE), LARGE);
	EXPECT(t, table[LARGE].whole == 910 && table[OTHER].whole == 100);
}

/* What an ended task has left counts for whoever has a handle, wherever it is in the list. */
KTEST(a_handle_counts_before_a_gift)
{
	static const unsigned pages[NR] = {[LARGE] = 10, [OTHER] = 10};
	static struct account gone = {.parent = &account_all};

	(void)choose(0);
	set_pages(pages, NULL);
	served = (struct vm_object){.kind = OBJ_ANON, .account = &gone};
	gives = HEAD;
	(void)chosen_for(GFP_MOVABLE);
	EXPECT(t, table[HEAD].has == 1 && table[OTHER].has == 0);
	has_handle = OTHER;
	(void)chosen_for(GFP_MOVABLE);
	EXPECT(t, table[HEAD].has == 0 && table[OTHER].has == 1);
	/* A starting task is exempt: what it has counts for the task that gives it. */
	tasks[OTHER].starting = 1;
	(void)chosen_for(GFP_MOVABLE);
	EXPECT(t, table[HEAD].has == 1 && table[OTHER].has == 0);
	tasks[OTHER].starting = 0;
	has_handle = gives = NOBODY;
}
