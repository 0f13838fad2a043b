/* SPDX-License-Identifier: MIT */
/*
 * test_judge_trace_boot.c: the trace that is replayed at boot, in a simulated world: the choice of
 * the file, its name, and the reports of failures.
 */
#define trace_replay      judge_trace_replay
#define trace_replay_boot judge_trace_replay_boot
#include <quarry/bootfile.h>
#include <quarry/cmdline.h>
#include <quarry/errno.h>
#include <quarry/machine.h>
#include <quarry/smp.h>
#include <quarry/trace.h>

#include "tests/host/judge_help.h"

static const char content[] = "content";

static struct {
	const char *option; /* value of trace= */
	const char *file;   /* name of a module; NULL: there is none */
	const char *single; /* name of the only module; NULL: there are none, or several */
	int parse_err, run_err;
	bool script; /* script= is given */
} world;

static const char *option(const char *name, const char *fallback)
{
	if (strcmp(name, "script") == 0 && world.script)
		return "x";
	return strcmp(name, "trace") == 0 && world.option ? world.option : fallback;
}

static void fill(struct boot_file *out, const char *name)
{
	*out = (struct boot_file){.data = content, .size = sizeof(content)};
	ksnprintf(out->name, sizeof(out->name), "%s", name);
}

static bool find_file(const char *name, struct boot_file *out)
{
	judge_note("[%s?]", name);
	if (!world.file || strcmp(world.file, name) != 0)
		return false;
	fill(out, name);
	return true;
}

static bool only_file(struct boot_file *out)
{
	if (world.single)
		fill(out, world.single);
	return world.single;
}

static void print_files(void)
{
	judge_say(" files");
}

static int parse(
    struct trace *trace, const char *name, const char *text, size_t len, struct trace_error *error)
{
	bool is_short = text == trace_short && len == (size_t)(trace_short_end - trace_short),
	     is_file = text == content && len == sizeof(content);

	judge_note("[parse %s%s%s]", name,
	    is_short      ? ", the short one"
	        : is_file ? ""
	                  : ", other",
	    error ? ", with an error" : "");
	*trace = (struct trace){.name = name};
	return world.parse_err;
}

static int run(struct trace *trace, struct memory *mem, unsigned cpus,
    const struct trace_clock *clock, struct trace_report *report)
{
	judge_note("[run on %u%s]", cpus, mem == &kernel_memory ? "" : ", elsewhere");
	report->cpus = cpus;
	return world.run_err;
}

static void print_report(
    const struct trace *trace, const struct trace_clock *clock, const struct trace_report *report)
{
	judge_note("[report of %s on %u]", trace->name, report->cpus);
}

static void free_trace(struct trace *trace)
{
	judge_note("[free]\n");
}

#define printk             judge_say
#define arch_tsc           judge_clock
#define nr_cpus_online     judge_nr_online
#define cmdline_get        option
#define boot_file_find     find_file
#define boot_file_single   only_file
#define boot_files_print   print_files
#define trace_parse        parse
#define trace_run          run
#define trace_print_report print_report
#define trace_free         free_trace
#include "demo/trace_boot.c" /* NOLINT(bugprone-suspicious-include): the tested source */

static int boot(const char *name, const char *file, const char *single)
{
	judge_begin();
	memset(&world, 0, sizeof(world));
	judge.online[0] = 7;
	world.option = name;
	world.file = file;
	world.single = single;
	return trace_replay_boot();
}

#define REPLAYED(name) "[run on 3][report of " name " on 3][free]\n"

static void trace_is_found_by_the_last_part_of_its_name(struct ktest *t)
{
	EXPECT_EQ(t, boot("a.trace", "a.trace", NULL), 0);
	EXPECT_SAID(t, "[a.trace?][parse a.trace]" REPLAYED("a.trace"));
	EXPECT_EQ(t, boot("some/where/a.trace", "a.trace", NULL), 0);
	EXPECT_SAID(t, "[a.trace?][parse a.trace]" REPLAYED("a.trace"));
	EXPECT_EQ(t, boot("/a.trace", "a.trace", NULL), 0);
	EXPECT_SAID(t, "[a.trace?][parse a.trace]" REPLAYED("a.trace"));
	/* If the loader gives no names, its only module is used. */
	EXPECT_EQ(t, boot("a.trace", NULL, ""), 0);
	EXPECT_SAID(t, "[a.trace?][parse a.trace]" REPLAYED("a.trace"));
}

static void without_a_name_the_only_file_is_replayed(struct ktest *t)
{
	EXPECT_EQ(t, boot(NULL, NULL, "a.trace"), 0);
	EXPECT_SAID(t, "[parse a.trace]" REPLAYED("a.trace"));
	EXPECT_EQ(t, boot(NULL, NULL, ""), 0);
	EXPECT_SAID(t, "[parse module]" REPLAYED("module"));
	EXPECT_EQ(t, boot("some/where/", NULL, "a.trace"), 0);
	EXPECT_SAID(t, "[parse a.trace]" REPLAYED("a.trace"));
	/* The only file is the script. */
	judge_clear();
	world.single = "a.script";
	world.script = true;
	EXPECT_EQ(t, trace_replay_boot(), 0);
	EXPECT_SAID(t, "[parse short.trace, the short one]" REPLAYED("short.trace"));
	/* There is no file: the trace in the kernel is replayed. */
	EXPECT_EQ(t, boot(NULL, NULL, NULL), 0);
	EXPECT_SAID(t, "[parse short.trace, the short one]" REPLAYED("short.trace"));
}

static void unknown_name_is_reported_with_the_files(struct ktest *t)
{
	EXPECT_EQ(t, boot("b.trace", "a.trace", NULL), -ENOENT);
	EXPECT_SAID(
	    t, "[b.trace?]trace=b.trace: no module of that name; the loader brought: files\n");
	/* The only file has another name. */
	EXPECT_EQ(t, boot("b.trace", NULL, "a.trace"), -ENOENT);
	EXPECT_SAID(
	    t, "[b.trace?]trace=b.trace: no module of that name; the loader brought: files\n");
}

static void failed_replay_is_reported(struct ktest *t)
{
	struct trace_report report = {.cpus = 9};

	boot(NULL, NULL, NULL);
	judge_clear();
	world.run_err = -EUCLEAN;
	EXPECT_EQ(t, trace_replay("x", content, sizeof(content), &report), -EUCLEAN);
	EXPECT_EQ(t, report.cpus, 3);
	EXPECT_SAID(t,
	    "[parse x][run on 3][report of x on 3]trace x: the counts do not add up (-117)\n"
	    "[free]\n");
	world.run_err = -EINVAL;
	EXPECT_EQ(t, trace_replay("x", content, sizeof(content), &report), -EINVAL);
	EXPECT_SAID(t, "[parse x][run on 3]trace x: not run (-22)\n[free]\n");
	/*
	 * The trace is malformed: the parser has reported the error, and there is nothing to free.
	 */
	world.parse_err = -EINVAL;
	EXPECT_EQ(t, trace_replay("x", content, sizeof(content), &report), -EINVAL);
	EXPECT_EQ(t, report.cpus, 0);
	EXPECT_SAID(t, "[parse x]");
}

KTEST_SUITE(judge_trace_boot, KTEST_QUICK | KTEST_MOSTLY_INSIDE,
    KTEST(trace_is_found_by_the_last_part_of_its_name),
    KTEST(without_a_name_the_only_file_is_replayed), KTEST(unknown_name_is_reported_with_the_files),
    KTEST(failed_replay_is_reported));
