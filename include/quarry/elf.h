/* SPDX-License-Identifier: MIT */
/*
 * elf.h: what is to be loaded of an ELF file: static programs for x86_64, nothing else.
 */
#ifndef QUARRY_ELF_H
#define QUARRY_ELF_H

#include <quarry/vm.h>

#define ELF_MAX_SEGMENTS 8

struct elf_segment {
	u64 va, memsz;        /* bytes; where and how much of memory */
	size_t offset, filesz; /* bytes of the file that go to va; the rest is zero */
	unsigned prot;        /* VM_... */
};
struct elf_program {
	u64 entry;
	unsigned nr;
	struct elf_segment segment[ELF_MAX_SEGMENTS]; /* by address; no two share a page */
};

/*
 * elf_parse - look at the @size bytes at @file, of which nothing is trusted, and of which nothing else
 * is read.  What *@out then says is sound: all of it lies in the file, and in user memory.
 * Returns 0; -ENOEXEC, and *@why says in words what is wrong with it.  Any context.
 */
int elf_parse(const void *file, size_t size, struct elf_program *out, const char **why) must_check;

#endif
