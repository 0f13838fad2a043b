/* SPDX-License-Identifier: MIT */
/*
 * elf.c: the segments to load of an ELF file.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Invariants: headers are copied out before they are read: a file need not be aligned.
 *             Two numbers of the file are added only after a check that the sum does not wrap.
 * Tests:      elf.
 */
#include <quarry/elf.h>
#include <quarry/port.h>
#include <quarry/string.h>

#include <elf.h>

/* Programs lie below this address, stacks above it. */
#define PROGRAM_END 0x0000700000000000UL

static const char *check_header(const Elf64_Ehdr *h)
{
	if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0)
		return "not an ELF file";
	if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB)
		return "not 64-bit little-endian";
	if (h->e_ident[EI_VERSION] != EV_CURRENT || h->e_version != EV_CURRENT)
		return "unknown ELF version";
	if (h->e_ident[EI_OSABI] != ELFOSABI_SYSV && h->e_ident[EI_OSABI] != ELFOSABI_GNU)
		return "made for another system";
	if (h->e_machine != EM_X86_64)
		return "made for another machine";
	if (h->e_type != ET_EXEC)
		return "not an executable linked to fixed addresses";
	if (h->e_ehsize != sizeof(Elf64_Ehdr) || h->e_phentsize != sizeof(Elf64_Phdr))
		return "headers of a wrong size";
	if (h->e_phnum == 0 || h->e_phnum == PN_XNUM)
		return "no program headers, or too many";
	return NULL;
}

static const char *check_segment(const Elf64_Phdr *p, size_t size, u64 floor)
{
	if (p->p_offset > size || p->p_filesz > size - p->p_offset)
		return "a segment reaches beyond the file";
	if (p->p_filesz > p->p_memsz)
		return "a segment with more in the file than in memory";
	if (p->p_vaddr < VM_USER_START || p->p_vaddr >= PROGRAM_END ||
	    p->p_memsz > PROGRAM_END - p->p_vaddr)
		return "a segment outside the addresses of programs";
	if (p->p_memsz > OBJ_MAX_PAGES * PAGE_SIZE / 2)
		return "a segment that is too large";
	if (ALIGN_DOWN(p->p_vaddr, PAGE_SIZE) < floor)
		return "segments out of order, or sharing a page";
	if (!(p->p_flags & PF_R))
		return "a segment that cannot be read";
	if ((p->p_flags & (PF_W | PF_X)) == (PF_W | PF_X))
		return "a segment both writable and executable";
	return NULL;
}

static const char *add_segment(struct elf_program *out, const Elf64_Phdr *p, size_t size)
{
	const struct elf_segment *last = &out->segment[out->nr - 1];
	u64 floor = out->nr ? ALIGN_UP(last->va + last->memsz, PAGE_SIZE) : 0;
	const char *why = check_segment(p, size, floor);

	if (why)
		return why;
	if (out->nr == ELF_MAX_SEGMENTS)
		return "too many segments";
	out->segment[out->nr++] = (struct elf_segment){
	    .va = p->p_vaddr,
	    .memsz = p->p_memsz,
	    .offset = p->p_offset,
	    .filesz = p->p_filesz,
	    .prot =
	        VM_READ | (p->p_flags & PF_W ? VM_WRITE : 0) | (p->p_flags & PF_X ? VM_EXEC : 0),
	};
	return NULL;
}

static const char *parse(const char *file, size_t size, struct elf_program *out)
{
	const char *why;
	Elf64_Ehdr h;
	Elf64_Phdr p;
	unsigned i;

	*out = (struct elf_program){.nr = 0};
	if (size < sizeof(h))
		return "too short for an ELF file";
	memcpy(&h, file, sizeof(h));
	why = check_header(&h);
	if (why)
		return why;
	if (h.e_phoff > size || h.e_phnum * sizeof(p) > size - h.e_phoff)
		return "program headers beyond the file";
	for (i = 0; i < h.e_phnum; i++) {
		memcpy(&p, file + h.e_phoff + i * sizeof(p), sizeof(p));
		if (p.p_type == PT_INTERP || p.p_type == PT_DYNAMIC)
			return "not linked statically";
		if (p.p_type == PT_TLS)
			return "thread-local storage";
		if (p.p_type != PT_LOAD || p.p_memsz == 0)
			continue;
		why = add_segment(out, &p, size);
		if (why)
			return why;
	}
	out->entry = h.e_entry;
	for (i = 0; i < out->nr; i++) {
		const struct elf_segment *s = &out->segment[i];

		if (s->prot & VM_EXEC && h.e_entry >= s->va && h.e_entry - s->va < s->memsz)
			return NULL;
	}
	return "an entry that is not in an executable segment";
}

int elf_parse(const void *file, size_t size, struct elf_program *out, const char **why)
{
	*why = parse(file, size, out);
	return *why ? -ENOEXEC : 0;
}
