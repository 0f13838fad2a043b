/* SPDX-License-Identifier: MIT */
/*
 * trace_boot.c: replays the trace named at boot on the kernel's own memory and all CPUs.
 *
 * Owns:       nothing.
 * Locks:      none of its own.
 * Tests:      judge_trace_boot, tests/qemu/test_start.py, tests/qemu/test_trace.py.
 */
#include <quarry/bootfile.h>
#include <quarry/cmdline.h>
#include <quarry/errno.h>
#include <quarry/machine.h>
#include <quarry/smp.h>
#include <quarry/trace.h>

/* The kernel cannot know whether the TSC counts cycles or, under icount, instructions. */
static const struct trace_clock clock_tsc = {arch_tsc, "cycles (instructions under icount)"};

int trace_replay(const char *name, const char *text, size_t len, struct trace_report *out)
{
	struct trace_report own, *report = out ? out : &own;
	struct trace trace;
	int err = trace_parse(&trace, name, text, len, NULL);

	*report = (struct trace_report){.cpus = 0};
	if (err)
		return err;
	err = trace_run(&trace, &kernel_memory, nr_cpus_online(), &clock_tsc, report);
	if (!err || err == -EUCLEAN)
		trace_print_report(&trace, &clock_tsc, report);
	if (err)
		printk("trace %s: %s (%d)\n", name,
		    err == -EUCLEAN ? "the counts do not add up" : "not run", err);
	trace_free(&trace);
	return err;
}

int trace_replay_boot(void)
{
	const char *path = cmdline_get("trace", ""), *name = path;
	struct boot_file file;

	for (; *path; path++)
		if (*path == '/')
			name = path + 1;
	if (!name[0] && !boot_file_single(&file))
		return trace_replay(
		    "short.trace", trace_short, (size_t)(trace_short_end - trace_short), NULL);
	/* With PVH a module has no name; a single module is taken. */
	if (name[0] && !boot_file_find(name, &file) && (!boot_file_single(&file) || file.name[0])) {
		printk("trace=%s: no module of that name; the loader brought:", name);
		boot_files_print();
		printk("\n");
		return -ENOENT;
	}
	if (!name[0])
		name = file.name[0] ? file.name : "module";
	return trace_replay(name, file.data, file.size, NULL);
}
