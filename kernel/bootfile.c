/* SPDX-License-Identifier: MIT */
/*
 * bootfile.c: the files that the boot loader brought, as modules or inside an archive.
 *
 * Owns:       the column that boot_files_print has reached.  A module's bytes stay reserved for
 *             ever, so they may be read at any time.
 * Locks:      none: one thread at a time prints.
 * Tests:      bootfile, tests/qemu/test_user.py.
 */
#include <quarry/bootfile.h>
#include <quarry/bootinfo.h>
#include <quarry/console.h>
#include <quarry/plural.h>
#include <quarry/port.h>
#include <quarry/string.h>

/* The file's name: the first word of the module's command line, without directories. */
static void module_file(const struct boot_module *m, struct boot_file *out)
{
	const char *base = m->name;
	size_t i;

	for (i = 0; m->name[i] && m->name[i] != ' '; i++)
		if (m->name[i] == '/')
			base = &m->name[i + 1];
	ksnprintf(out->name, sizeof(out->name), "%.*s", (int)(&m->name[i] - base), base);
	out->data = arch_phys_to_virt(m->start);
	out->size = (size_t)m->size;
}

/* Call fn with each file until fn returns true.  A damaged archive ends at the damage. */
static bool each_file(
    bool (*fn)(struct boot_file *file, const void *arg), struct boot_file *file, const void *arg)
{
	unsigned i;

	for (i = 0; i < bootinfo.nr_modules; i++) {
		struct boot_file module;
		size_t pos = 0;

		module_file(&bootinfo.module[i], &module);
		if (!cpio_is_archive(module.data, module.size)) {
			*file = module;
			if (fn(file, arg))
				return true;
			continue;
		}
		while (cpio_next(module.data, module.size, &pos, file) > 0)
			if (fn(file, arg))
				return true;
	}
	return false;
}

static bool is_named(struct boot_file *file, const void *name)
{
	return !strcmp(file->name, name);
}

bool boot_file_find(const char *name, struct boot_file *out)
{
	return name[0] && each_file(is_named, out, name);
}

static bool is_counted(struct boot_file *file, const void *left)
{
	unsigned *nr = *(unsigned *const *)left;

	return (*nr)-- == 0;
}

bool boot_file_number(unsigned nr, struct boot_file *out)
{
	unsigned *left = &nr;

	return each_file(is_counted, out, &left);
}

bool boot_file_single(struct boot_file *out)
{
	struct boot_file module;
	unsigned i, nr = 0;

	for (i = 0; i < bootinfo.nr_modules; i++) {
		module_file(&bootinfo.module[i], &module);
		if (!strcmp(module.name, BOOT_FONT))
			continue;
		*out = module;
		nr++;
	}
	return nr == 1 && !cpio_is_archive(out->data, out->size) &&
	    (out->size < 4 || memcmp(out->data, "\177ELF", 4) != 0);
}

static unsigned column; /* columns used in the current line */

/* Print one name.  The first name starts a new line, below the caller's text. */
static bool print_name(struct boot_file *file, const void *arg)
{
	const char *name = file->name[0] ? file->name : "(without a name)";

	column += 1 + (unsigned)strlen(name);
	if (column > CONSOLE_COLUMNS) {
		printk("\n   ");
		column = 4 + (unsigned)strlen(name);
	}
	printk(" %s", name);
	return false;
}

void boot_files_report_dropped(void)
{
	if (bootinfo.modules_dropped)
		printk("boot: %u boot modules too many: \"%s\" and all after it are left out; %u "
		       "are taken\n",
		    bootinfo.modules_dropped, bootinfo.dropped_name, BOOT_MAX_MODULES);
	if (bootinfo.modules_outside)
		printk("boot: %u boot module%s not all in usable RAM, left out: first \"%s\"\n",
		    bootinfo.modules_outside, plural(bootinfo.modules_outside),
		    bootinfo.outside_name);
}

void boot_files_print(void)
{
	struct boot_file file;

	if (!bootinfo.nr_modules)
		printk(" (none: the loader brought no boot module)");
	column = CONSOLE_COLUMNS;
	each_file(print_name, &file, NULL);
}
