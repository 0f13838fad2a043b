/* SPDX-License-Identifier: MIT */
/*
 * test_play_nmi.c: backtraces by NMI over a slow serial line: which answers and lines are awaited,
 * and how long.
 */
#include "tests/host/play_help.h"

#include "arch/x86_64/nmi.h"
#include <quarry/console.h>

#define MS 1000000ULL

static struct cpu area[3], *areas[HOST_MAX_CPUS];
static struct trap_frame frame = {.rip = 1};
static enum { SILENT, BUSY, DONE } answer; /* to an NMI: none; it prints for ever; complete */
static u64 each, asked_at;                 /* time between two lines; when the NMI was sent */
static unsigned nr_lines;
static jmp_buf busy;

/* A CPU that never ends its lines: the other one goes on. */
static void print_on(void)
{
	if (answer == BUSY)
		longjmp(busy, 1);
}

static void send(u32 id, u32 command)
{
	judge_note("%x to %x\n", command, id);
	asked_at = judge.now;
	play_cpu(&area[id - 0x10]);
	if (answer != SILENT && !setjmp(busy))
		trap_nmi(&frame);
	play_cpu(&area[0]);
}

/* A microsecond for each pass of a waiting loop. */
static void turn(void)
{
	u64 since = judge.now - asked_at;

	judge.now += 16000;
	if (answer == BUSY && nr_lines && since / each != (since + 16000) / each) {
		nr_lines--;
		play.logs = true;
		printk("line\n");
		play.logs = false;
	}
}

/* Ask CPU 2, the only one that runs; returns the time until the end, in ms. */
static u64 ask(int how, u64 line_ms, unsigned lines)
{
	play_begin();
	play_apics(0);
	play_timed(0);
	play.sent = send;
	play.turned = turn;
	play.frames = print_on;
	memset(area, 0, sizeof(area));
	for (unsigned i = 0; i < HOST_MAX_CPUS; i++) {
		areas[i] = &area[i < 3 ? i : 1];
		if (i < 3)
			area[i] =
			    (struct cpu){.id = i, .apic_id = 0x10 + i, .started = STARTED_RUNS};
	}
	area[1].started = STARTED_PARKED;
	cpus = areas;
	answer = how;
	each = line_ms * MS;
	nr_lines = lines;
	play_cpu(&area[0]);
	nmi_ask_others();
	return judge.now / MS;
}

#define LINE(cpu, id, how) "CPU " #cpu " (APIC id " #id "): " how
#define ASKED              LINE(2, 18, "asked, NMI in thread some, irqs off\n") "frames\n"

KTEST_SUITE(play_nmi, KTEST_QUICK);

KTEST(answered_backtrace_is_not_awaited)
{
	EXPECT_EQ(t, ask(DONE, 0, 0), 0);
	EXPECT_SAID(t, "invite 2\n4400 to 12\n" ASKED "stop\ninvite 0\n");
	/* Nobody has asked.  A parked CPU is woken by an NMI. */
	play_cpu(&area[2]);
	EXPECT_DOES(t, trap_nmi(&frame),
	    LINE(2, 18, "not asked, NMI in thread some, irqs off\n") "frames\nstop\n");
	play_cpu(&area[1]);
	EXPECT_DOES(t, trap_nmi(&frame), "");
}

KTEST(cpu_without_an_answer_is_named)
{
	EXPECT_RANGE(t, ask(SILENT, 0, 0), 100, 101);
	EXPECT_SAID(
	    t, "invite 2\n4400 to 12\n" LINE(2, 18, "does not answer an NMI\n") "invite 0\n");
}

/* 30 lines; lines that never end; lines that come too late. */
KTEST(lines_are_awaited_while_they_come, .reports = "line")
{
	EXPECT_RANGE(t, ask(BUSY, 99, 30), 30 * 99 + 100, 30 * 99 + 101);
	EXPECT_SAID(t, "invite 2\n4400 to 12\n" ASKED "invite 0\n");
	EXPECT_RANGE(t, ask(BUSY, 99, 1000), 64 * 99 + 100, 64 * 99 + 101);
	EXPECT_RANGE(t, ask(BUSY, 101, 30), 100, 101);
}
