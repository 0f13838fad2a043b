/* SPDX-License-Identifier: MIT */
/* elf.h: parsing ELF files: static programs for x86_64 only. */
#ifndef QUARRY_ELF_H
#define QUARRY_ELF_H

#include <quarry/vm.h>

#define ELF_MAX_SEGMENTS 8

struct elf_segment {
	u64 va, memsz;         /* bytes; address and size in memory */
	size_t offset, filesz; /* the file's bytes for va; the rest is zero */
	unsigned prot;         /* VM_... */
};
struct elf_program {
	u64 entry;
	unsigned nr;
	struct elf_segment segment[ELF_MAX_SEGMENTS]; /* sorted by address; no two share a page */
};

/*
 * elf_parse - parse the @size bytes at @file.  Nothing else is read, and the content is not
 * trusted.  The segments in *@out are valid: each lies in the file, and in user memory.
 * Returns 0; -ENOEXEC, with the reason in *@why.  Any context.
 */
int elf_parse(const void *file, size_t size, struct elf_program *out, const char **why) must_check;

#endif
