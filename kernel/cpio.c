/* SPDX-License-Identifier: MIT */
/*
 * cpio.c: members of a cpio archive in the "newc" format.
 *
 * A member is a header of 110 characters (a magic and 13 numbers of 8 hexadecimal digits), the name
 * with its final 0, and the content.  After the name and after the content there is padding up to a
 * multiple of 4 bytes from the archive's beginning.  The last member is called TRAILER!!!.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Tests:      elf.
 */
#include <quarry/bootfile.h>
#include <quarry/errno.h>
#include <quarry/port.h>
#include <quarry/string.h>

#define HEADER    110
#define MAGIC     "070701"
#define MAGIC_LEN 6
#define FILESIZE  6 /* index of this number in the header */
#define NAMESIZE  11
#define TRAILER   "TRAILER!!!"

bool cpio_is_archive(const void *data, size_t size)
{
	return size >= HEADER && memcmp(data, MAGIC, MAGIC_LEN) == 0;
}

static int number(const char *header, unsigned which, size_t *value)
{
	const char *digits = header + MAGIC_LEN + 8 * which;
	unsigned i;

	*value = 0;
	for (i = 0; i < 8; i++) {
		unsigned char c = (unsigned char)digits[i], low = c | 0x20;

		if (c >= '0' && c <= '9')
			*value = *value << 4 | (size_t)(c - '0');
		else if (low >= 'a' && low <= 'f')
			*value = *value << 4 | (size_t)(low - 'a' + 10);
		else
			return -EINVAL;
	}
	return 0;
}

/* Copy the part of @path behind its last slash. */
static void copy_base(char *dst, size_t size, const char *path, size_t len)
{
	size_t start = len;

	while (start && path[start - 1] != '/')
		start--;
	len = MIN(len - start, size - 1);
	memcpy(dst, path + start, len);
	dst[len] = '\0';
}

int cpio_next(const void *data, size_t size, size_t *pos, struct boot_file *out)
{
	const char *header = (const char *)data + *pos;
	size_t left = *pos <= size ? size - *pos : 0, name_len, len, content;

	/* Sizes have 32 bits, so no sum below wraps. */
	if (!cpio_is_archive(header, left) || number(header, NAMESIZE, &name_len) ||
	    number(header, FILESIZE, &len))
		return -EINVAL;
	content = ALIGN_UP(HEADER + name_len, (size_t)4);
	if (name_len == 0 || content > left || len > left - content ||
	    header[HEADER + name_len - 1])
		return -EINVAL;
	if (!strcmp(header + HEADER, TRAILER))
		return 0;
	copy_base(out->name, sizeof(out->name), header + HEADER, name_len - 1);
	out->data = header + content;
	out->size = len;
	*pos += MIN(ALIGN_UP(content + len, (size_t)4), left);
	return 1;
}
