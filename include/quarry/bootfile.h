/* SPDX-License-Identifier: MIT */
/*
 * bootfile.h: files that the loader brought: each boot module is a file, or a cpio archive of
 * several.
 *
 * With GRUB every file is a module of its own, named by the first word of its command line.  With
 * PVH, QEMU passes one module without a name; so several files are packed into an archive ("newc",
 * cpio -H newc).
 */
#ifndef QUARRY_BOOTFILE_H
#define QUARRY_BOOTFILE_H

#include <quarry/types.h>

#define BOOT_FILE_NAME 64
#define BOOT_FONT      "font.psf" /* for the screen */

struct boot_file {
	char name[BOOT_FILE_NAME]; /* without directories; cut if too long */
	const void *data;          /* valid for ever */
	size_t size;
};

/* Are the @size bytes at @data a cpio archive? */
bool cpio_is_archive(const void *data, size_t size);
/*
 * cpio_next - the member at *@pos of the archive; moves *@pos behind it.  Nothing outside [@data,
 * @data + @size) is read, and the content is not trusted.
 * Returns 1, the member in *@out; 0 at the end; -EINVAL no valid member.  Any context.
 */
int cpio_next(const void *data, size_t size, size_t *pos, struct boot_file *out) must_check;

/* Find the file of that name among the boot modules; false: there is none.  Any context. */
bool boot_file_find(const char *name, struct boot_file *out);
/* File number @nr, from 0 on, of all modules and archives; false: there are fewer.  Any context. */
bool boot_file_number(unsigned nr, struct boot_file *out);
/*
 * Find the only module other than the font, if it is neither an archive nor a program; otherwise
 * returns false.
 */
bool boot_file_single(struct boot_file *out);
/* Report modules that did not fit into bootinfo, if any.  Boot CPU. */
void boot_files_report_dropped(void);
/* Print the names of the files, each after a blank, or a hint if there are none. */
void boot_files_print(void);

#endif
