/* SPDX-License-Identifier: MIT */
/*
 * test_play_nmi.c: backtraces by NMI over a slow serial line: which answers and lines are awaited,
 * and how long.
 */
#include "tests/host/play_help.h"
#include <quarry/console.h>
#include <quarry/machine.h>
#include <quarry/panic.h>
#include <quarry/smp.h>

#define arch_may_sleep() true  /* for sched.h */
#define MS               1000u /* turns of a microsecond */

static struct cpu area[3], *areas[] = {&area[0], &area[1], &area[2]};
static unsigned nr_areas = 3;
/* turns since then, until it answers, for each line */
static unsigned turns, answer, line_turns, nr_lines;
static u64 printed_to;

static void send(u32 id, u32 command);
static void turn(void);
static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static u64 now(void)
{
	return judge.now;
}

static u64 position(void)
{
	return printed_to;
}

static void frames(const struct trap_frame *f)
{
	judge_note("frames\n");
}

static void own_frames(uintptr_t rip, uintptr_t rbp)
{
}

static void invite(unsigned cpu)
{
	judge_note("invite %u\n", cpu);
}

static const char *thread(void)
{
	return "some";
}

static void stop(void)
{
	judge_note("stop\n");
}

#define cpus                  areas
#define X86_FLAGS_IF          (1u << 9)
#define nr_cpus               nr_areas
#define apic_send             send
#define arch_clock_ns         now
#define arch_backtrace_self   tested_self
#define arch_backtrace_others tested_others
#define console_invite        invite
#define cpu_relax             turn
#define frame_backtrace       frames
#define log_position          position
#define panic_stop            stop
#define print_backtrace       own_frames
#define printk                say
#define thread_name           thread
void tested_self(void);
void tested_others(void);
#include "arch/x86_64/nmi.c" /* NOLINT(bugprone-suspicious-include): the tested source */
#undef printk
#undef cpus

/* The state of the request is noted with each line. */
static void say(const char *fmt, ...)
{
	char text[160];
	va_list ap;

	va_start(ap, fmt);
	kvsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	judge_note("%s%s", backtrace_cpu == PRINTING ? "answered: " : "", text);
}

static void send(u32 id, u32 command)
{
	judge_note("NMI to %x\n", id);
	turns = 0;
}

/* The asked CPU answers in time, or not, and takes its time for each line. */
static void turn(void)
{
	judge.now += 1000;
	turns++;
	if (turns == answer && backtrace_cpu)
		backtrace_cpu = PRINTING;
	if (turns > answer && backtrace_cpu == PRINTING && (turns - answer) % line_turns == 0) {
		printed_to++;
		if ((turns - answer) / line_turns == nr_lines)
			backtrace_cpu = NULL;
	}
}

static void begin(unsigned until, unsigned each, unsigned number)
{
	play_begin();
	play.cpu.started = STARTED_RUNS;
	for (unsigned i = 0; i < 3; i++)
		area[i] = (struct cpu){.id = i, .apic_id = 0x10 + i, .started = STARTED_RUNS};
	area[1].started = STARTED_PARKED;
	backtrace_cpu = NULL;
	answer = until;
	line_turns = each;
	nr_lines = number;
	ask_others(&area[0]);
}

KTEST_SUITE(play_nmi, KTEST_QUICK);

KTEST(lines_are_awaited_while_they_come)
{
	begin(1, 99 * MS, 30);
	EXPECT_SAID(t, "invite 2\nNMI to 12\ninvite 0\n");
	EXPECT_EQ(t, turns, 30 * 99 * MS + 1);
	/* Lines that never end, and a CPU that stops amid its lines. */
	begin(1, 99 * MS, 1000);
	EXPECT_EQ(t, turns / MS, MAX_LINES * 99 + 100);
	begin(1, 101 * MS, 30);
	EXPECT_EQ(t, turns / MS, 100);
	EXPECT(t, !backtrace_cpu);
}

KTEST(cpu_without_an_answer_is_named)
{
	begin(101 * MS, 1, 1);
	EXPECT_SAID(
	    t, "invite 2\nNMI to 12\nCPU 2 (APIC id 18): does not answer an NMI\ninvite 0\n");
	EXPECT_EQ(t, turns / MS, 100);
}

#define STORY(how) "CPU 2 (APIC id 18): " how ", NMI in thread some, irqs off\nframes\nstop\n"

KTEST(answer_comes_before_the_lines)
{
	struct trap_frame f = {.rip = 1};

	begin(1, 1, 1);
	judge_clear();
	play.cpu = area[2];
	backtrace_cpu = &play.cpu;
	EXPECT_DOES(t, trap_nmi(&f), "answered: " STORY("asked"));
	EXPECT(t, !backtrace_cpu);
	/* Another CPU is asked by then. */
	backtrace_cpu = &area[1];
	EXPECT_DOES(t, trap_nmi(&f), STORY("not asked"));
	EXPECT(t, backtrace_cpu == &area[1]);
}
