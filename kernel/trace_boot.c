/* SPDX-License-Identifier: MIT */
/*
 * trace_boot.c: the trace that the boot offers, replayed on the kernel's own memory and all CPUs.
 *
 * Owns:       nothing; a module's bytes stay reserved for ever, so they may be read at any time.
 * Locks:      none of its own.
 * Tests:      tests/qemu (make run TRACE=).
 */
#include <quarry/kernel.h>
#include <quarry/trace.h>

/* The machine cannot know whether its counter counts cycles or, under icount, instructions. */
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

static const char *base_name(const char *path)
{
	const char *base = path;

	for (; *path; path++)
		if (*path == '/')
			base = path + 1;
	return base;
}

/* The first word of a module's command line, without its directory, is its name. */
static bool is_named(const struct boot_module *m, const char *name)
{
	const char *base = m->name;
	size_t len = strlen(name), i;

	for (i = 0; m->name[i] && m->name[i] != ' '; i++)
		if (m->name[i] == '/')
			base = &m->name[i + 1];
	return (size_t)(&m->name[i] - base) == len && !strncmp(base, name, len);
}

static const struct boot_module *find_module(const char *name)
{
	unsigned i;

	for (i = 0; i < bootinfo.nr_modules; i++)
		if (is_named(&bootinfo.module[i], name))
			return &bootinfo.module[i];
	/* By PVH a module comes without a name; if there is one only, it is meant. */
	if (bootinfo.nr_modules == 1 && !bootinfo.module[0].name[0])
		return &bootinfo.module[0];
	return NULL;
}

int trace_replay_boot(void)
{
	const char *name = base_name(cmdline_get("trace", ""));
	const struct boot_module *m;

	if (!name[0] && bootinfo.nr_modules == 0)
		return trace_replay("short.trace", trace_short,
		    (size_t)(trace_short_end - trace_short), NULL);
	if (!name[0] && bootinfo.nr_modules == 1) {
		m = &bootinfo.module[0];
		name = m->name[0] ? base_name(m->name) : "module";
	} else {
		m = name[0] ? find_module(name) : NULL;
	}
	if (!m) {
		printk("trace=%s: no module of that name among the %u that were loaded\n", name,
		    bootinfo.nr_modules);
		return -ENOENT;
	}
	return trace_replay(name, arch_phys_to_virt(m->start), (size_t)m->size, NULL);
}
