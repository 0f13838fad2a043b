/* SPDX-License-Identifier: MIT */
/*
 * bootinfo.c: converting the loader's data to struct bootinfo.
 *
 * Owns:       bootinfo, boot_trampoline_page: written only here, before any other code runs.
 * Locks:      none: the boot CPU, irqs off, no per-CPU area yet, so nothing here may print.
 * Invariants: ram[] and used[] are sorted and disjoint; ram[] is rounded inward to pages, used[]
 *             outward.
 *             Each module's bytes are in ram[], as the kernel's tables map nothing else.
 *             Nothing is read beyond the sizes that the loader gives, nor above 4 GiB.
 * Tests:      bootinfo, tests/fuzz/fuzz_multiboot2.c.
 */
#include <quarry/bootinfo.h>
#include <quarry/mm.h>
#include <quarry/port.h>
#include <quarry/string.h>

#include "x86.h"
#include <xen/arch-x86/hvm/start_info.h>

struct bootinfo bootinfo;
phys_t boot_trampoline_page;

/*
 * RAM above 16 TiB is not used: links between pages are 32-bit page numbers.  The last pageblock
 * below is left out too, since PFN_NONE lies in it.
 */
#define RAM_LIMIT ((phys_t)ALIGN_DOWN(PFN_NONE, PAGEBLOCK_PAGES) << PAGE_SHIFT)
#define LOW_END   (1ULL << 20)
/* The first 4 GiB, mapped by boot.S. */
#define BOOT_MAPPED (1ULL << 32)

/* Multiboot2 specification 2.0, 3.6: tags of the info block. */
enum {
	MB2_END = 0,
	MB2_CMDLINE = 1,
	MB2_LOADER = 2,
	MB2_MODULE = 3,
	MB2_MMAP = 6,
	MB2_FRAMEBUFFER = 8,
	MB2_RSDP1 = 14,
	MB2_RSDP2 = 15
};
#define MMAP_RAM 1

struct mb2_tag {
	u32 type, size;
};
struct mb2_module {
	struct mb2_tag tag;
	u32 start, end;
	char name[];
};
struct mb2_mmap {
	struct mb2_tag tag;
	u32 entry_size, entry_version;
};
struct mb2_mmap_entry {
	u64 base, length;
	u32 type, reserved;
};

/* The @len bytes at @pa if boot.S mapped them, else NULL. */
static const void *boot_view(phys_t pa, u64 len)
{
	if (!pa || pa >= BOOT_MAPPED || len > BOOT_MAPPED - pa)
		return NULL;
	return arch_phys_to_virt(pa);
}

/* Copy a string of at most @max bytes; returns false if it was cut to @size. */
static bool copy_string(char *dst, size_t size, const char *src, size_t max)
{
	size_t i;

	for (i = 0; i < max && src[i]; i++) {
		if (i + 1 == size) {
			dst[i] = 0;
			return false;
		}
		dst[i] = src[i];
	}
	dst[i] = 0;
	return true;
}

/*
 * Leave out the smallest of more than @max ranges, but none of the first MiB, in which other CPUs
 * start.  Returns its bytes.
 */
static u64 leave_out(struct boot_range *r, unsigned *nr, unsigned max)
{
	unsigned least = 0;
	u64 bytes;

	if (*nr <= max)
		return 0;
	for (unsigned i = 1; i < *nr; i++) {
		if (r[least].start < LOW_END ||
		    r[i].end - r[i].start < r[least].end - r[least].start)
			least = i;
	}
	bytes = r[least].end - r[least].start;
	(*nr)--;
	memmove(&r[least], &r[least + 1], (*nr - least) * sizeof(*r));
	return bytes;
}

/*
 * Insert [start, end), and join adjacent ranges.  The table has a place for one range more than
 * @max.  Returns the bytes left out.
 */
static u64 range_add(struct boot_range *r, unsigned *nr, unsigned max, phys_t start, phys_t end)
{
	unsigned i = 0, j;

	if (start >= end)
		return 0;
	while (i < *nr && r[i].end < start)
		i++;
	for (j = i; j < *nr && r[j].start <= end; j++) {
		start = MIN(start, r[j].start);
		end = MAX(end, r[j].end);
	}
	memmove(&r[i + 1], &r[j], (*nr - j) * sizeof(*r));
	*nr = *nr - (j - i) + 1;
	r[i] = (struct boot_range){start, end};
	return leave_out(r, nr, max);
}

/* Remove [start, end).  As range_add. */
static u64 range_remove(struct boot_range *r, unsigned *nr, unsigned max, phys_t start, phys_t end)
{
	unsigned i = 0;

	while (start < end && i < *nr) {
		phys_t old_end = r[i].end;

		if (old_end <= start || r[i].start >= end) {
			i++;
		} else if (r[i].start < start) {
			r[i++].end = start;
			if (old_end > end)
				return range_add(r, nr, max, end, old_end);
		} else if (old_end > end) {
			r[i].start = end;
		} else {
			memmove(&r[i], &r[i + 1], (*nr - i - 1) * sizeof(*r));
			(*nr)--;
		}
	}
	return 0;
}

static void used_add(phys_t start, u64 len)
{
	if (len && start + len > start)
		range_add(bootinfo.used, &bootinfo.nr_used, ARRAY_SIZE(bootinfo.used) - 1,
		    ALIGN_DOWN(start, PAGE_SIZE), ALIGN_UP(start + len, PAGE_SIZE));
}

/*
 * Handle one entry of the firmware's map.  Called first for all RAM entries, then for the others;
 * where two entries overlap, memory is not RAM if one of them says so.
 */
static void map_entry(phys_t base, u64 len, u32 type, bool ram_pass)
{
	phys_t end = base + len < base ? RAM_LIMIT : MIN(base + len, RAM_LIMIT);

	if ((type == MMAP_RAM) != ram_pass || base >= RAM_LIMIT)
		return;
	bootinfo.ram_left_out += (ram_pass ? range_add : range_remove)(
	    bootinfo.ram, &bootinfo.nr_ram, BOOT_MAX_RANGES, base, end);
}

static void align_ram(void)
{
	unsigned i, kept = 0;

	for (i = 0; i < bootinfo.nr_ram; i++) {
		phys_t start = ALIGN_UP(bootinfo.ram[i].start, PAGE_SIZE);
		phys_t end = ALIGN_DOWN(bootinfo.ram[i].end, PAGE_SIZE);

		if (start < end)
			bootinfo.ram[kept++] = (struct boot_range){start, end};
	}
	bootinfo.nr_ram = kept;
}

static void module_add(phys_t start, u64 size, const char *name, size_t name_max)
{
	struct boot_module *m = &bootinfo.module[bootinfo.nr_modules];

	if (start + size < start)
		return;
	if (bootinfo.nr_modules == BOOT_MAX_MODULES) {
		if (!bootinfo.modules_dropped++ && name)
			copy_string(
			    bootinfo.dropped_name, sizeof(bootinfo.dropped_name), name, name_max);
		return;
	}
	bootinfo.nr_modules++;
	m->start = start;
	m->size = size;
	if (name)
		copy_string(m->name, sizeof(m->name), name, name_max);
	used_add(start, size);
}

static void pvh_modules(const struct hvm_start_info *si)
{
	u64 len = si->nr_modules * (u64)sizeof(struct hvm_modlist_entry);
	const struct hvm_modlist_entry *list = boot_view(si->modlist_paddr, len);

	if (!list)
		return;
	used_add(si->modlist_paddr, len);
	for (u32 i = 0; i < si->nr_modules; i++) {
		size_t max = sizeof(bootinfo.module[0].name);
		const char *name = boot_view(list[i].cmdline_paddr, max);

		module_add(list[i].paddr, list[i].size, name, max);
	}
}

static void pvh_parse(phys_t info)
{
	const struct hvm_start_info *si = boot_view(info, sizeof(*si));
	const struct hvm_memmap_table_entry *map;
	const char *cmdline;

	bootinfo.path = "pvh";
	if (!si || si->magic != XEN_HVM_START_MAGIC_VALUE || si->version < 1)
		return;
	used_add(info, sizeof(*si));
	bootinfo.rsdp = si->rsdp_paddr;
	cmdline = boot_view(si->cmdline_paddr, 1);
	if (cmdline) {
		u64 max = MIN(BOOT_MAPPED - si->cmdline_paddr, (u64)BOOT_CMDLINE_MAX);

		bootinfo.cmdline_truncated =
		    !copy_string(bootinfo.cmdline, BOOT_CMDLINE_MAX, cmdline, max);
		used_add(si->cmdline_paddr, strlen(bootinfo.cmdline) + 1);
	}
	map = boot_view(si->memmap_paddr, si->memmap_entries * (u64)sizeof(*map));
	for (int pass = 1; map && pass >= 0; pass--) {
		for (u32 i = 0; i < si->memmap_entries; i++)
			map_entry(map[i].addr, map[i].size, map[i].type, pass);
	}
	if (map)
		used_add(si->memmap_paddr, si->memmap_entries * (u64)sizeof(*map));
	pvh_modules(si);
}

/* A module may reach into a page of which only a part is RAM. */
static void leave_out_modules(void)
{
	unsigned i, kept = 0;

	for (i = 0; i < bootinfo.nr_modules; i++) {
		const struct boot_module *m = &bootinfo.module[i];

		if (boot_is_all_ram(m->start, m->size))
			bootinfo.module[kept++] = *m;
		else if (!bootinfo.modules_outside++)
			memcpy(bootinfo.outside_name, m->name, sizeof(m->name));
	}
	bootinfo.nr_modules = kept;
}

static void mb2_mmap(const struct mb2_mmap *map)
{
	u32 size = map->tag.size < sizeof(*map) ? 0 : map->entry_size;

	/* Entries are aligned like tags: so no field is split, and the sum below cannot wrap. */
	if (size < sizeof(struct mb2_mmap_entry) || size > map->tag.size || size % 8)
		return;
	for (int pass = 1; pass >= 0; pass--) {
		for (u32 off = sizeof(*map); off + size <= map->tag.size; off += size) {
			const struct mb2_mmap_entry *e = (const void *)((const char *)map + off);

			map_entry(e->base, e->length, e->type, pass);
		}
	}
}

/* GRUB puts a backslash before each quote and backslash, which multiboot2 does not specify. */
static void undo_escapes(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && (s[1] == '\\' || s[1] == '\'' || s[1] == '"'))
			s++;
		*to++ = *s++;
	}
	*to = 0;
}

/* A tag that is refused is remembered: screen_init reports it. */
static void mb2_framebuffer(const u8 *tag, u32 size)
{
	bootinfo.framebuffer_refused = framebuffer_from_tag(&bootinfo.framebuffer, tag, size) != 0;
	if (!bootinfo.framebuffer_refused)
		return;
	bootinfo.framebuffer.address = 0;
	framebuffer_kind(tag, size, &bootinfo.refused_type, &bootinfo.refused_bits);
}

static void mb2_tag(const struct mb2_tag *tag)
{
	const char *body = (const char *)(tag + 1);
	u32 len = tag->size - sizeof(*tag);

	if (tag->type == MB2_CMDLINE) {
		bootinfo.cmdline_truncated =
		    !copy_string(bootinfo.cmdline, BOOT_CMDLINE_MAX, body, len);
	} else if (tag->type == MB2_MODULE && tag->size >= sizeof(struct mb2_module)) {
		const struct mb2_module *m = (const void *)tag;

		if (m->end > m->start)
			module_add(m->start, m->end - m->start, m->name, tag->size - sizeof(*m));
	} else if (tag->type == MB2_MMAP) {
		mb2_mmap((const void *)tag);
	} else if (tag->type == MB2_FRAMEBUFFER) {
		mb2_framebuffer((const void *)tag, tag->size);
	} else if (tag->type == MB2_RSDP2 || (tag->type == MB2_RSDP1 && !bootinfo.rsdp_len)) {
		/*
		 * The tag has a copy of the RSDP, not its address; the newer version is preferred.
		 */
		bootinfo.rsdp_len = MIN(len, (u32)sizeof(bootinfo.rsdp_copy));
		memcpy(bootinfo.rsdp_copy, body, bootinfo.rsdp_len);
	}
}

void multiboot2_parse(const void *block, u32 total)
{
	bool by_grub = false;

	for (u64 off = 8; off + sizeof(struct mb2_tag) <= total;) {
		const struct mb2_tag *tag = (const void *)((const char *)block + off);

		if (tag->type == MB2_END || tag->size < sizeof(*tag) || tag->size > total - off)
			break;
		mb2_tag(tag);
		if (tag->type == MB2_LOADER && tag->size >= sizeof(*tag) + 4)
			by_grub = !memcmp(tag + 1, "GRUB", 4);
		off += ALIGN_UP((u64)tag->size, 8);
	}
	if (by_grub)
		undo_escapes(bootinfo.cmdline);
}

static void mb2_parse(phys_t info)
{
	const u32 *head = boot_view(info, 8);
	u32 total = head ? head[0] : 0;

	bootinfo.path = "multiboot2";
	if (total < 16 || !boot_view(info, total))
		return;
	used_add(info, total);
	multiboot2_parse(head, total);
}

/*
 * Choose the page into which the start code of the other CPUs is copied: the highest free page
 * below 640 KiB, but not the first page, which the BIOS uses.  No other page of the first MiB is
 * used: firmware writes there even after the boot (SMM), whatever its map says.
 */
static void choose_trampoline(void)
{
	for (phys_t page = 0x9f000; page >= PAGE_SIZE; page -= PAGE_SIZE) {
		bool taken = false;

		for (unsigned i = 0; i < bootinfo.nr_used; i++)
			taken |= bootinfo.used[i].start <= page && page < bootinfo.used[i].end;
		if (!taken && boot_is_all_ram(page, PAGE_SIZE)) {
			boot_trampoline_page = page;
			break;
		}
	}
	used_add(0, LOW_END);
}

void boot_info_init(u32 info, u32 by)
{
	used_add(image_phys(image_start), image_end - image_start);
	if (by == BOOT_BY_PVH)
		pvh_parse(info);
	else
		mb2_parse(info);
	align_ram();
	leave_out_modules();
	choose_trampoline();
}

bool boot_is_ram(phys_t pa, u64 len)
{
	for (unsigned i = 0; i < bootinfo.nr_ram; i++) {
		const struct boot_range *ram = &bootinfo.ram[i];

		if (pa < ram->end && (pa >= ram->start || len > ram->start - pa))
			return true;
	}
	return false;
}

bool boot_is_all_ram(phys_t pa, u64 len)
{
	bool all = !len;

	for (unsigned i = 0; i < bootinfo.nr_ram; i++)
		all |= bootinfo.ram[i].start <= pa && pa + len <= bootinfo.ram[i].end;
	return all;
}
