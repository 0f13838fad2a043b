/* SPDX-License-Identifier: MIT */
/*
 * test_elf.c: programs and archives from the boot loader: valid ones are parsed, others are
 * refused.
 */
#include <quarry/bootfile.h>
#include <quarry/console.h>
#include <quarry/elf.h>
#include <quarry/errno.h>
#include <quarry/ktest.h>
#include <quarry/string.h>

#include <elf.h>

#define FILE_SIZE 2048
#define NR_PH     3

/* Two segments and a note, as a linker makes them; at an odd address on purpose. */
struct image {
	char odd;
	struct {
		Elf64_Ehdr h;
		Elf64_Phdr p[NR_PH];
	} __attribute__((packed)) head;
	char rest[FILE_SIZE];
} __attribute__((packed));
#define IMAGE_SIZE (sizeof(struct image) - 1)

static struct image image;

static const void *file(void)
{
	return (const char *)&image + 1;
}

static void make_image(void)
{
	static const Elf64_Ehdr header = {
	    .e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
	    .e_type = ET_EXEC,
	    .e_machine = EM_X86_64,
	    .e_version = EV_CURRENT,
	    .e_entry = 0x400010,
	    .e_phoff = sizeof(Elf64_Ehdr),
	    .e_ehsize = sizeof(Elf64_Ehdr),
	    .e_phentsize = sizeof(Elf64_Phdr),
	    .e_phnum = NR_PH,
	};
	static const Elf64_Phdr text = {.p_type = PT_LOAD,
	    .p_flags = PF_R | PF_X,
	    .p_offset = 512,
	    .p_vaddr = 0x400000,
	    .p_filesz = 100,
	    .p_memsz = 100};
	static const Elf64_Phdr note = {.p_type = PT_NOTE, .p_flags = PF_R, .p_offset = 512};
	static const Elf64_Phdr data = {.p_type = PT_LOAD,
	    .p_flags = PF_R | PF_W,
	    .p_offset = 612,
	    .p_vaddr = 0x401064,
	    .p_filesz = 50,
	    .p_memsz = 0x3000};

	memset(&image, 0, sizeof(image));
	image.head.h = header;
	image.head.p[0] = text;
	image.head.p[1] = note;
	image.head.p[2] = data;
}

/* The program is refused for the reason @want. */
static void expect_why(struct ktest *t, int line, size_t size, const char *want)
{
	struct elf_program program;
	const char *why = NULL;
	int err = elf_parse(file(), size, &program, &why);

	if (err != -ENOEXEC || !why || strcmp(why, want) != 0)
		ktest_fail(t, __FILE__, line, "error %d, \"%s\"; expected \"%s\"", err,
		    why ? why : "none", want);
	make_image();
}
#define REFUSED(t, field, value, want)                                                             \
	do {                                                                                       \
		make_image();                                                                      \
		image.head.field = (value);                                                        \
		expect_why((t), __LINE__, IMAGE_SIZE, (want));                                     \
	} while (0)

KTEST_SUITE(elf, KTEST_QUICK);

KTEST(valid_program_is_parsed)
{
	struct elf_program program;
	const char *why;

	make_image();
	REQUIRE(t, elf_parse(file(), IMAGE_SIZE, &program, &why) == 0);
	EXPECT(t, !why);
	EXPECT_EQ(t, program.entry, 0x400010);
	REQUIRE(t, program.nr == 2);
	EXPECT_EQ(t, program.segment[0].va, 0x400000);
	EXPECT_EQ(t, program.segment[0].offset, 512);
	EXPECT_EQ(t, program.segment[0].prot, VM_READ | VM_EXEC);
	EXPECT_EQ(t, program.segment[1].va, 0x401064);
	EXPECT_EQ(t, program.segment[1].filesz, 50);
	EXPECT_EQ(t, program.segment[1].memsz, 0x3000);
	EXPECT_EQ(t, program.segment[1].prot, VM_READ | VM_WRITE);
}

KTEST(header_fields_are_checked)
{
	REFUSED(t, h.e_ident[0], 'E', "not an ELF file");
	REFUSED(t, h.e_ident[EI_CLASS], ELFCLASS32, "not 64-bit little-endian");
	REFUSED(t, h.e_ident[EI_DATA], ELFDATA2MSB, "not 64-bit little-endian");
	REFUSED(t, h.e_ident[EI_VERSION], 2, "unknown ELF version");
	REFUSED(t, h.e_version, 0, "unknown ELF version");
	REFUSED(t, h.e_ident[EI_OSABI], ELFOSABI_FREEBSD, "made for another system");
	REFUSED(t, h.e_machine, EM_386, "made for another machine");
	REFUSED(t, h.e_type, ET_DYN, "not an executable linked to fixed addresses");
	REFUSED(t, h.e_type, ET_REL, "not an executable linked to fixed addresses");
	REFUSED(t, h.e_ehsize, 52, "headers of a wrong size");
	REFUSED(t, h.e_phentsize, 32, "headers of a wrong size");
	REFUSED(t, h.e_phnum, 0, "no program headers, or too many");
	REFUSED(t, h.e_phnum, PN_XNUM, "no program headers, or too many");
	REFUSED(t, h.e_phnum, 1000, "program headers beyond the file");
	REFUSED(t, h.e_phoff, IMAGE_SIZE - 100, "program headers beyond the file");
	REFUSED(t, h.e_phoff, ~0UL - 10, "program headers beyond the file");
	REFUSED(t, h.e_entry, 0x401064, "an entry that is not in an executable segment");
}

KTEST(segment_fields_are_checked)
{
	REFUSED(t, p[1].p_type, PT_INTERP, "not linked statically");
	REFUSED(t, p[1].p_type, PT_DYNAMIC, "not linked statically");
	REFUSED(t, p[1].p_type, PT_TLS, "thread-local storage");
	REFUSED(t, p[0].p_offset, ~0UL - 50, "a segment reaches beyond the file");
	REFUSED(t, p[0].p_filesz, ~0UL, "a segment reaches beyond the file");
	REFUSED(t, p[0].p_vaddr, 0, "a segment outside the addresses of programs");
	REFUSED(
	    t, p[2].p_vaddr, 0x00007ffffffff000UL, "a segment outside the addresses of programs");
	REFUSED(
	    t, p[2].p_vaddr, 0xffffffff80100000UL, "a segment outside the addresses of programs");
	REFUSED(
	    t, p[2].p_memsz, 0x0000700000000000UL, "a segment outside the addresses of programs");
	REFUSED(t, p[2].p_memsz, ~0UL, "a segment outside the addresses of programs");
	REFUSED(t, p[2].p_memsz, 1UL << 31, "a segment that is too large");
	REFUSED(t, p[2].p_vaddr, 0x400064, "segments out of order, or sharing a page");
	REFUSED(t, p[0].p_vaddr, 0x402000, "segments out of order, or sharing a page");
	REFUSED(t, p[2].p_flags, PF_W, "a segment that cannot be read");
	REFUSED(t, p[2].p_flags, PF_R | PF_W | PF_X, "a segment both writable and executable");
}

static bool accepted(void)
{
	struct elf_program program;
	const char *why;

	return elf_parse(file(), IMAGE_SIZE, &program, &why) == 0;
}

/* @field is accepted with the value @at_limit. With @further it is refused for the reason @want. */
#define LIMIT(t, field, at_limit, further, want)                                                   \
	do {                                                                                       \
		make_image();                                                                      \
		image.head.field = (at_limit);                                                     \
		EXPECT((t), accepted());                                                           \
		REFUSED((t), field, (further), (want));                                            \
	} while (0)

KTEST(programs_at_the_limits_are_accepted)
{
	LIMIT(t, h.e_entry, 0x400000, 0x3fffff, "an entry that is not in an executable segment");
	LIMIT(t, h.e_entry, 0x400063, 0x400064, "an entry that is not in an executable segment");
	LIMIT(t, h.e_ident[EI_OSABI], ELFOSABI_GNU, ELFOSABI_GNU + 1, "made for another system");
	LIMIT(t, p[0].p_offset, IMAGE_SIZE - 100, IMAGE_SIZE - 99,
	    "a segment reaches beyond the file");
	LIMIT(t, p[0].p_filesz, 100, 101, "a segment with more in the file than in memory");
	LIMIT(t, p[0].p_memsz, 0x1000, 0x1001, "segments out of order, or sharing a page");
	LIMIT(t, p[2].p_vaddr, 0x401000, 0x400fff, "segments out of order, or sharing a page");
	LIMIT(t, p[2].p_vaddr, 0x0000700000000000UL - 0x3000, 0x0000700000000001UL - 0x3000,
	    "a segment outside the addresses of programs");
	LIMIT(t, p[2].p_memsz, OBJ_MAX_PAGES * PAGE_SIZE / 2, OBJ_MAX_PAGES * PAGE_SIZE / 2 + 1,
	    "a segment that is too large");
	/* The entry point lies in another segment. */
	make_image();
	image.head.p[2].p_flags = PF_R | PF_X;
	image.head.h.e_entry = 0x401064;
	image.head.p[0].p_vaddr = VM_USER_START;
	EXPECT(t, accepted());
	image.head.p[0].p_vaddr--;
	expect_why(t, __LINE__, IMAGE_SIZE, "a segment outside the addresses of programs");
	/* Nothing of the segment is in the file. */
	make_image();
	image.head.p[2].p_filesz = 0;
	image.head.p[2].p_offset = IMAGE_SIZE;
	EXPECT(t, accepted());
	image.head.p[2].p_offset++;
	expect_why(t, __LINE__, IMAGE_SIZE, "a segment reaches beyond the file");
}

/* The headers may be the last bytes of the file. */
KTEST(headers_may_lie_anywhere)
{
	struct elf_program program;
	const char *why;
	size_t at = IMAGE_SIZE - sizeof(image.head.p);

	make_image();
	memcpy((char *)&image.head + at, image.head.p, sizeof(image.head.p));
	memset(image.head.p, 0, sizeof(image.head.p));
	image.head.h.e_phoff = at;
	REQUIRE(t, elf_parse(file(), IMAGE_SIZE, &program, &why) == 0);
	EXPECT(t, program.nr == 2 && program.segment[1].va == 0x401064);
	image.head.h.e_phoff++;
	expect_why(t, __LINE__, IMAGE_SIZE, "program headers beyond the file");
	REFUSED(t, h.e_phoff, IMAGE_SIZE, "program headers beyond the file");
	REFUSED(t, h.e_phoff, IMAGE_SIZE + 1, "program headers beyond the file");
	/* A segment without memory is ignored, wherever it claims to be. */
	make_image();
	image.head.p[1].p_type = PT_LOAD;
	image.head.p[1].p_vaddr = ~0UL;
	REQUIRE(t, elf_parse(file(), IMAGE_SIZE, &program, &why) == 0);
	EXPECT(t,
	    program.nr == 2 && program.segment[0].memsz == 100 && program.segment[0].filesz == 100);
	EXPECT_EQ(t, program.segment[1].offset, 612);
	/* A file that is refused at once leaves nothing of the previous program. */
	EXPECT_EQ(t, elf_parse(file(), sizeof(Elf64_Ehdr) - 1, &program, &why), -ENOEXEC);
	EXPECT(t, program.nr == 0 && !strcmp(why, "too short for an ELF file"));
	EXPECT_EQ(t, elf_parse(file(), sizeof(Elf64_Ehdr), &program, &why), -ENOEXEC);
	EXPECT(t, !strcmp(why, "program headers beyond the file"));
}

KTEST(short_files_are_refused)
{
	struct elf_program program;
	const char *why;
	size_t size;

	make_image();
	for (size = 0; size < 662; size++)
		EXPECT_EQ(t, elf_parse(file(), size, &program, &why), -ENOEXEC);
	EXPECT_EQ(t, elf_parse(file(), 662, &program, &why), 0);
}

KTEST(too_many_segments_are_refused)
{
	Elf64_Phdr p = {.p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_memsz = 1};
	struct elf_program program;
	const char *why;
	unsigned i;

	make_image();
	for (i = 0; i <= ELF_MAX_SEGMENTS; i++) {
		p.p_vaddr = 0x400000 + i * PAGE_SIZE;
		memcpy((char *)image.head.p + i * sizeof(p), &p, sizeof(p));
	}
	image.head.h.e_entry = 0x400000;
	image.head.h.e_phnum = ELF_MAX_SEGMENTS;
	EXPECT_EQ(t, elf_parse(file(), IMAGE_SIZE, &program, &why), 0);
	EXPECT_EQ(t, program.nr, ELF_MAX_SEGMENTS);
	image.head.h.e_phnum = ELF_MAX_SEGMENTS + 1;
	expect_why(t, __LINE__, IMAGE_SIZE, "too many segments");
}

/* Every accepted file must be safe to load. */
static bool is_sound(const struct elf_program *p, size_t size)
{
	u64 floor = 0;
	unsigned i;

	for (i = 0; i < p->nr; i++) {
		const struct elf_segment *s = &p->segment[i];

		if (s->offset > size || s->filesz > size - s->offset || s->filesz > s->memsz)
			return false;
		if (s->va < PAGE_SIZE || s->va < floor || s->va + s->memsz > 0x0000700000000000UL)
			return false;
		if ((s->prot & (VM_WRITE | VM_EXEC)) == (VM_WRITE | VM_EXEC))
			return false;
		floor = ALIGN_UP(s->va + s->memsz, PAGE_SIZE);
	}
	return p->nr > 0 && p->nr <= ELF_MAX_SEGMENTS;
}

KTEST(damaged_files_are_refused_or_parse_soundly, KTEST_SLOW)
{
	unsigned round, accepted = 0, refused = 0;
	u64 random = t->seed;

	for (round = 0; round < 20000; round++) {
		unsigned changes = 1 + (unsigned)(ktest_rand(&random) % 4);
		struct elf_program program;
		const char *why;

		make_image();
		while (changes--) {
			size_t at = (size_t)(ktest_rand(&random) % sizeof(image.head));

			((char *)&image.head)[at] = (char)(ktest_rand(&random) >> 20);
		}
		if (elf_parse(file(), IMAGE_SIZE, &program, &why) == 0) {
			accepted++;
			EXPECT(t, is_sound(&program, IMAGE_SIZE));
		} else {
			refused++;
			EXPECT(t, why);
		}
	}
	EXPECT(t, accepted > 100 && refused > 100);
}

/* ---- archives ---- */

static char archive[1024];
static size_t archive_len;

static void add_member(const char *name, const char *content, size_t len)
{
	char *p = archive + archive_len;

	ksnprintf(p, 200, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s", 0, 0, 0,
	    0, 1, 0, (unsigned)len, 0, 0, 0, 0, (unsigned)strlen(name) + 1, 0, name);
	archive_len += ALIGN_UP(110 + strlen(name) + 1, (size_t)4);
	memcpy(archive + archive_len, content, len);
	archive_len += ALIGN_UP(len, (size_t)4);
}

static void make_archive(void)
{
	memset(archive, 0, sizeof(archive));
	archive_len = 0;
	add_member("init", "abc", 3);
	add_member("usr/bin/hello", "01234567", 8);
	add_member("empty", "", 0);
	add_member("TRAILER!!!", "", 0);
}

KTEST(archive_members_are_found)
{
	struct boot_file f;
	size_t pos = 0;

	make_archive();
	EXPECT(t, cpio_is_archive(archive, archive_len));
	REQUIRE(t, cpio_next(archive, archive_len, &pos, &f) == 1);
	EXPECT(t, !strcmp(f.name, "init") && f.size == 3 && !memcmp(f.data, "abc", 3));
	REQUIRE(t, cpio_next(archive, archive_len, &pos, &f) == 1);
	EXPECT(t, !strcmp(f.name, "hello") && f.size == 8 && !memcmp(f.data, "01234567", 8));
	REQUIRE(t, cpio_next(archive, archive_len, &pos, &f) == 1);
	EXPECT(t, !strcmp(f.name, "empty") && f.size == 0);
	EXPECT_EQ(t, cpio_next(archive, archive_len, &pos, &f), 0);
}

/* The header of a member contains the lengths of its name and its content. */
KTEST(members_end_within_the_archive)
{
	static const struct {
		size_t at;
		char was, is;
		int found;
	} edits[] = {
	    {6 + 8 * 11 + 7, '5', '4', -EINVAL}, /* the name without its end */
	    {6 + 8 * 11 + 7, '5', '0', -EINVAL}, /* no name */
	    {6 + 8 * 11 + 7, '5', '6', 1},       /* a byte of padding ends the name, too */
	    /* the length of the content: 4 bytes are left */
	    {6 + 8 * 6 + 7, '3', '4', 1},
	    {6 + 8 * 6 + 7, '3', '5', -EINVAL},
	    {6 + 8 * 6 + 7, '3', '/', -EINVAL},
	    {6 + 8 * 6 + 7, '3', ':', -EINVAL},
	    {6 + 8 * 6 + 7, '3', '@', -EINVAL},
	    {6 + 8 * 6 + 7, '3', 'G', -EINVAL},
	    {6 + 8 * 6 + 7, '3', '`', -EINVAL},
	    {6 + 8 * 6 + 7, '3', 'g', -EINVAL},
	    {6 + 8 * 6, '0', 'f', -EINVAL},
	    {6 + 8 * 6 + 7, '3', '0', 1},
	    {0, '0', '1', -EINVAL},
	    {5, '1', '2', -EINVAL},
	};
	struct boot_file f;
	size_t pos;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(edits); i++) {
		make_archive();
		pos = 0;
		EXPECT_EQ(t, archive[edits[i].at], edits[i].was);
		archive[edits[i].at] = edits[i].is;
		/*
		 * The member "init" has 116 bytes of header and name, then 4 of content and
		 * padding.
		 */
		if (cpio_next(archive, 120, &pos, &f) != edits[i].found ||
		    pos != (edits[i].found == 1 ? (edits[i].is == '0' ? 116 : 120) : 0))
			ktest_fail(t, __FILE__, __LINE__, "edit %u: at %lu", i, (unsigned long)pos);
	}
	make_archive();
	/* The padding of the last member may be missing. */
	pos = 0;
	EXPECT(t, cpio_next(archive, 119, &pos, &f) == 1 && pos == 119 && f.size == 3);
	EXPECT_EQ(t, cpio_next(archive, 119, &pos, &f), -EINVAL);
	pos = 120;
	EXPECT_EQ(t, cpio_next(archive, 119, &pos, &f), -EINVAL);
	pos = 0;
	EXPECT_EQ(t, cpio_next(archive, 118, &pos, &f), -EINVAL);
	EXPECT(t, cpio_is_archive(archive, 110) && !cpio_is_archive(archive, 109));
}

KTEST(sizes_and_names_of_members_are_exact)
{
	static const char content[0xab] = "x";
	static char name[100];
	struct boot_file f;
	size_t pos = 0;

	/* Each digit of a length counts, in upper or lower case. */
	memset(archive, 0, sizeof(archive));
	archive_len = 0;
	add_member("a/", "", 0);
	memset(name, 'n', 70);
	add_member(name, "x", 1);
	name[63] = '\0';
	add_member(name, content, sizeof(content));
	EXPECT_EQ(t, cpio_next(archive, archive_len, &pos, &f), 1);
	EXPECT_EQ(t, f.name[0], 0);
	EXPECT_EQ(t, cpio_next(archive, archive_len, &pos, &f), 1);
	EXPECT(t, !strcmp(f.name, name) && f.size == 1);
	archive[pos + 6 + 8 * 6 + 6] = 'a';
	EXPECT_EQ(t, cpio_next(archive, archive_len, &pos, &f), 1);
	EXPECT(t, !strcmp(f.name, name) && f.size == 0xab && pos == archive_len);
}

KTEST(parsing_of_damaged_archives_ends, KTEST_SLOW)
{
	u64 random = t->seed;
	unsigned round;
	size_t cut;

	for (cut = 0; cut < 700; cut++) {
		struct boot_file f;
		size_t pos = 0;

		make_archive();
		cut = MIN(cut, archive_len);
		while (cpio_next(archive, cut, &pos, &f) == 1)
			EXPECT(t, (const char *)f.data + f.size <= archive + cut);
		if (cut == archive_len)
			break;
	}
	for (round = 0; round < 5000; round++) {
		struct boot_file f;
		size_t pos = 0;

		make_archive();
		archive[ktest_rand(&random) % archive_len] = (char)(ktest_rand(&random) >> 20);
		archive[ktest_rand(&random) % archive_len] =
		    "0123456789abcdef"[ktest_rand(&random) >> 60];
		while (cpio_next(archive, archive_len, &pos, &f) == 1)
			EXPECT(t,
			    (const char *)f.data >= archive &&
			        (const char *)f.data + f.size <= archive + archive_len);
	}
	make_archive();
	archive[6 + 8 * 11] = 'g';
	EXPECT_EQ(t, cpio_next(archive, archive_len, &(size_t){0}, &(struct boot_file){.size = 0}),
	    -EINVAL);
}
