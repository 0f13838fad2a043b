/* SPDX-License-Identifier: MIT */
/*
 * bootfile.h: files that the loader brought: each boot module is one, or a cpio archive of several.
 *
 * By GRUB every file is a module of its own, named by the first word of its command line.  QEMU gives
 * one module without a name by PVH: so several are packed into an archive ("newc", cpio -H newc).
 */
#ifndef QUARRY_BOOTFILE_H
#define QUARRY_BOOTFILE_H

#include <quarry/types.h>

#define BOOT_FILE_NAME 64
#define BOOT_FONT      "font.psf" /* for the screen */

struct boot_file {
	char name[BOOT_FILE_NAME]; /* without directories; cut if it is too long */
	const void *data;          /* for ever */
	size_t size;
};

/* Is that an archive? */
bool cpio_is_archive(const void *data, size_t size);
/*
 * cpio_next - the member at *@pos of the archive, which *@pos is moved behind.  Nothing outside
 * [@data, @data + @size) is read, nothing in it is trusted.
 * Returns 1, and it is in *@out; 0 at the end; -EINVAL what stands there is not a member.  Any context.
 */
int cpio_next(const void *data, size_t size, size_t *pos, struct boot_file *out) must_check;

/* The file of that name among the boot modules; false if there is none.  Any context. */
bool boot_file_find(const char *name, struct boot_file *out);
/* The only module besides the font, if there is one and it is neither an archive nor a program; else false. */
bool boot_file_single(struct boot_file *out);
/* Name what the kernel had no place for, if there is something.  Boot CPU. */
void boot_files_report_dropped(void);
/* Print the names, each after a blank, or what to do if there are none. */
void boot_files_print(void);

#endif
