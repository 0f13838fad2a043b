/* SPDX-License-Identifier: MIT */
/*
 * hostile_regs.c: registers: values of one task that another task could see, and flags that a
 * program sets before it enters the kernel.
 */
#include "tests/hostile/hostile.h"

#define NR_THREADS 8 /* more threads than CPUs, so that threads take turns */
#define TURNS      300
#define USER_DATA  0x1bu
#define USER_CODE  0x23u

#define FLAG_TF   0x100UL
#define FLAG_NT   0x4000UL
#define FLAG_DF   0x400UL
#define FLAG_AC   0x40000UL
#define FLAG_IOPL 0x3000UL

struct selectors {
	u16 ds, es, fs, gs;
};

static struct selectors selectors(void)
{
	struct selectors s;

	__asm__ volatile("movw %%ds, %0\n\t"
	                 "movw %%es, %1\n\t"
	                 "movw %%fs, %2\n\t"
	                 "movw %%gs, %3"
	                 : "=m"(s.ds), "=m"(s.es), "=m"(s.fs), "=m"(s.gs));
	return s;
}

static void set_selectors(struct selectors s)
{
	__asm__ volatile("movl %0, %%ds\n\t"
	                 "movl %1, %%es\n\t"
	                 "movl %2, %%fs\n\t"
	                 "movl %3, %%gs"
	                 :
	                 : "r"((u32)s.ds), "r"((u32)s.es), "r"((u32)s.fs), "r"((u32)s.gs));
}

/*
 * Choose four selectors by twelve bits.  IRET turns null selectors into 0 (SDM vol. 2A, IRET), so
 * 1, 2 and 3 are not used.
 */
static struct selectors pattern(u64 bits)
{
	static const u16 value[8] = {0, 0x18, 0x19, USER_DATA, 0x20, 0x21, 0x22, USER_CODE};

	return (struct selectors){
	    value[bits & 7], value[bits >> 3 & 7], value[bits >> 6 & 7], value[bits >> 9 & 7]};
}

static bool same(struct selectors a, struct selectors b)
{
	return !memcmp(&a, &b, sizeof(a));
}

static bool null_or(u16 seen, u16 mine)
{
	return !seen || seen == mine;
}

static int kept(u64 bits)
{
	struct selectors seen, mine = pattern(bits);
	int turn, wrong = 0;

	for (turn = 0; turn < TURNS; turn++) {
		set_selectors(mine);
		yield();
		seen = selectors();
		wrong += !null_or(seen.ds, mine.ds) || !null_or(seen.es, mine.es) ||
		    !null_or(seen.fs, mine.fs) || !null_or(seen.gs, mine.gs);
	}
	return wrong;
}

static void keep(u64 bits)
{
	WANT(kept(bits), 0);
}

/* The threads are of one task here, and of many tasks in the case below. */
static void selectors_are_each_threads_own(void)
{
	static struct thread threads[NR_THREADS];
	u64 i, random = seed + 1;

	for (i = 0; i < NR_THREADS; i++)
		WANT(thread_start(&threads[i], keep, next_random(&random) >> 40), 0);
	for (i = 0; i < NR_THREADS; i++)
		thread_join(&threads[i]);
}

static int keeper(u64 handle, u64 bits)
{
	return kept(bits);
}

static void selectors_carry_nothing_to_another_task(void)
{
	s64 task[NR_THREADS];
	u64 i, random = seed + 2;
	int status;

	for (i = 0; i < NR_THREADS; i++)
		task[i] = hostile_start(keeper, 0, next_random(&random) >> 40);
	for (i = 0; i < NR_THREADS; i++) {
		WANT(hostile_end(task[i], &status), TASK_EXITED);
		WANT(status, 0);
	}
}

static int sees_null_selectors(u64 handle, u64 arg)
{
	return !same(selectors(), (struct selectors){0});
}

static u32 enough;

static void set_and_spin(u64 arg)
{
	while (!__atomic_load_n(&enough, __ATOMIC_ACQUIRE)) {
		set_selectors(pattern(0xfff));
		yield();
	}
}

/* The programs start on CPUs whose registers have another task's selectors. */
static void programs_start_with_null_selectors(void)
{
	static struct thread threads[NR_THREADS];
	int i;

	for (i = 0; i < NR_THREADS; i++)
		WANT(thread_start(&threads[i], set_and_spin, 0), 0);
	for (i = 0; i < NR_THREADS; i++)
		hostile_expect(sees_null_selectors, 0, 0, TASK_EXITED, 0);
	__atomic_store_n(&enough, 1, __ATOMIC_RELEASE);
	for (i = 0; i < NR_THREADS; i++)
		thread_join(&threads[i]);
}

static void check_null(u64 arg)
{
	WANT(same(selectors(), (struct selectors){0}), true);
}

static void threads_start_with_null_selectors(void)
{
	static struct thread thread;

	set_selectors(pattern(0xfff));
	WANT(thread_start(&thread, check_null, 0), 0);
	thread_join(&thread);
}

static void kernel_selector_is_loaded(void)
{
	set_selectors((struct selectors){.es = 0x10});
}

static void task_selector_is_loaded(void)
{
	set_selectors((struct selectors){.gs = 0x2b});
}

static void selector_behind_the_gdt_is_loaded(void)
{
	set_selectors((struct selectors){.ds = 0x43});
}

/* ---- bases: FSGSBASE is off, and ring 3's GS base is never a kernel address ---- */

static void gs_base_is_written(void)
{
	__asm__ volatile("wrgsbase %0" : : "r"(0xffffffff80000000UL));
}

static void fs_base_is_read(void)
{
	u64 base;

	__asm__ volatile("rdfsbase %0" : "=r"(base));
}

static void gs_is_swapped(void)
{
	__asm__ volatile("swapgs");
}

static void gs_leads_to_the_first_page(void)
{
	__asm__ volatile("movq %%gs:0, %%rax" : : : "rax");
}

/* ---- flags ---- */

/*
 * SYSCALL is the first instruction that runs with @flags.  The asm keeps off the red zone below
 * RSP.
 */
static u64 flags_after_a_call(u64 flags)
{
	u64 after;

	__asm__ volatile("leaq -128(%%rsp), %%rsp\n\t"
	                 "movl %2, %%eax\n\t"
	                 "pushfq\n\t"
	                 "orq %1, (%%rsp)\n\t"
	                 "popfq\n\t"
	                 "syscall\n\t"
	                 "pushfq\n\t"
	                 "popq %0\n\t"
	                 "pushq $0x202\n\t"
	                 "popfq\n\t"
	                 "leaq 128(%%rsp), %%rsp"
	                 : "=r"(after)
	                 : "r"(flags), "i"(SYS_YIELD)
	                 : "rax", "rcx", "r11", "memory", "cc");
	return after;
}

static void flags_survive_a_call(void)
{
	WANT(flags_after_a_call(FLAG_NT) & FLAG_NT, FLAG_NT);
	WANT(flags_after_a_call(FLAG_DF) & FLAG_DF, FLAG_DF);
	WANT(flags_after_a_call(FLAG_AC) & FLAG_AC, FLAG_AC);
	WANT(flags_after_a_call(FLAG_NT | FLAG_DF | FLAG_AC) & FLAG_TF, 0);
}

static void io_privilege_cannot_be_had(void)
{
	WANT(flags_after_a_call(FLAG_IOPL) & FLAG_IOPL, 0);
}

static void interrupts_cannot_be_turned_off(void)
{
	u64 flags;

	__asm__ volatile("leaq -128(%%rsp), %%rsp\n\t"
	                 "pushq $2\n\t"
	                 "popfq\n\t"
	                 "pushfq\n\t"
	                 "popq %0\n\t"
	                 "leaq 128(%%rsp), %%rsp"
	                 : "=r"(flags)
	                 :
	                 : "cc", "memory");
	WANT(flags & 0x200, 0x200);
}

static void interrupts_are_turned_off(void)
{
	__asm__ volatile("cli");
}

static void a_call_is_stepped_through(void)
{
	flags_after_a_call(FLAG_TF);
}

static void interrupt_returns_to_the_kernel(void)
{
	__asm__ volatile("pushq $0x10\n\t"
	                 "pushq %%rsp\n\t"
	                 "pushq $0x202\n\t"
	                 "pushq $0x08\n\t"
	                 "pushq %0\n\t"
	                 "iretq"
	                 :
	                 : "r"(0xffffffff80100000UL));
}

static void debug_register_is_written(void)
{
	__asm__ volatile("movq %0, %%dr0" : : "r"(0xffffffff80100000UL));
}

static const struct hostile_case cases[] = {
    ENDS_WELL(selectors_are_each_threads_own),
    ENDS_WELL(selectors_carry_nothing_to_another_task),
    ENDS_WELL(programs_start_with_null_selectors),
    ENDS_WELL(threads_start_with_null_selectors),
    FAULTS(kernel_selector_is_loaded),
    FAULTS(task_selector_is_loaded),
    FAULTS(selector_behind_the_gdt_is_loaded),
    FAULTS(gs_base_is_written),
    FAULTS(fs_base_is_read),
    FAULTS(gs_is_swapped),
    FAULTS(gs_leads_to_the_first_page),
    ENDS_WELL(flags_survive_a_call),
    ENDS_WELL(io_privilege_cannot_be_had),
    ENDS_WELL(interrupts_cannot_be_turned_off),
    FAULTS(interrupts_are_turned_off),
    FAULTS(a_call_is_stepped_through),
    FAULTS(interrupt_returns_to_the_kernel),
    FAULTS(debug_register_is_written),
};
const struct hostile_subject hostile_regs = SUBJECT("regs", cases);
