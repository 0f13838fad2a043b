/* SPDX-License-Identifier: MIT */
/*
 * trace_boot.c: replays the trace named at boot on the kernel's own memory and all CPUs.
 *
 * Owns:       nothing.
 * Locks:      none of its own.
 * Tests:      tests/qemu/test_start.py, tests/qemu/test_trace.py.
 */
#include <quarry/bootfile.h>
#include <quarry/cmdline.h>
#include <quarry/errno.h>
#include <quarry/machine.h>
#include <quarry/smp.h>
#include <quarry/trace.h>

/* The kernel cannot know whether the TSC counts cycles or, under icount, instructions. */
static const struct trace_clock clock_tsc = {arch_tsc, "cycles (instructions under icount)"};

/* The cost of reading the clock: the least difference between two readings in a row. */
static u64 clock_reading(const struct trace_clock *clock)
{
	u64 least = ~0ULL, start, took;
	unsigned i;

	for (i = 0; i < 8; i++) {
		start = clock->read();
		took = clock->read() - start;
		least = MIN(least, took);
	}
	return least;
}

int trace_replay(const char *name, const char *text, size_t len, struct trace_report *out)
{
	struct trace_report own, *report = out ? out : &own;
	struct trace trace;
	int err = trace_parse(&trace, name, text, len, NULL);

	*report = (struct trace_report){.cpus = 0};
	if (err)
		return err;
	err = trace_run(&trace, &kernel_memory, nr_cpus_online(), &clock_tsc, report);
	report->reading = clock_reading(&clock_tsc);
	if (!err || err == -EUCLEAN)
		trace_print_report(&trace, &clock_tsc, report);
	if (err)
		printk("trace %s: %s (%d)\n", name,
		    err == -EUCLEAN ? "the counts do not add up" : "not run", err);
	trace_free(&trace);
	return err;
}

int trace_replay_boot(struct trace_report *out)
{
	const char *path = cmdline_get("trace", ""), *name = path;
	struct boot_file file;

	for (; *path; path++)
		if (*path == '/')
			name = path + 1;
	/* A single module is taken as a trace, unless it may be the script. */
	if (!name[0] && (cmdline_get("script", NULL) || !boot_file_single(&file)))
		return trace_replay(
		    "short.trace", trace_short, (size_t)(trace_short_end - trace_short), out);
	/* A boot by PVH gives modules no names, so a single module is taken. */
	if (name[0] && !boot_file_find(name, &file) && (!boot_file_single(&file) || file.name[0])) {
		printk("trace=%s: no module of that name; the loader brought:", name);
		boot_files_print();
		printk("\n");
		return -ENOENT;
	}
	if (!name[0])
		name = file.name[0] ? file.name : "module";
	return trace_replay(name, file.data, file.size, out);
}
