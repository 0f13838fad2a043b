/* SPDX-License-Identifier: MIT */
/* fuzz_multiboot2.c: the tags of the multiboot2 info block (boot/bootinfo.c). */
#include "fuzz_boot.h"
#include <quarry/bootinfo.h>
#include <quarry/mm.h>
#include <quarry/string.h>

/* Symbols that linker.ld defines for boot_info_init.  The function is not called. */
char image_start[1], image_end[1];

static void judge_ranges(const struct boot_range *r, unsigned nr, unsigned max, const char *what)
{
	unsigned i;

	MUST(nr <= max, "%s: %u ranges", what, nr);
	for (i = 0; i < nr; i++) {
		MUST(r[i].start < r[i].end, "%s: empty range %u", what, i);
		MUST(i == 0 || r[i - 1].end < r[i].start, "%s: ranges %u and the one before", what,
		    i);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	void *block = exact_copy(data, size);
	unsigned i;

	memset(&bootinfo, 0, sizeof(bootinfo));
	multiboot2_parse(block, (u32)size);
	__builtin_free(block);
	judge_ranges(bootinfo.ram, bootinfo.nr_ram, BOOT_MAX_RANGES, "ram");
	judge_ranges(bootinfo.used, bootinfo.nr_used, ARRAY_SIZE(bootinfo.used), "used");
	for (i = 0; i < bootinfo.nr_ram; i++)
		MUST(bootinfo.ram[i].end >> PAGE_SHIFT <= ALIGN_DOWN(PFN_NONE, PAGEBLOCK_PAGES),
		    "RAM above the last pageblock below 16 TiB");
	MUST(bootinfo.nr_modules <= BOOT_MAX_MODULES, "%u modules", bootinfo.nr_modules);
	for (i = 0; i < bootinfo.nr_modules; i++)
		MUST(strlen(bootinfo.module[i].name) < sizeof(bootinfo.module[0].name), "module %u",
		    i);
	if (bootinfo.framebuffer.address) {
		const struct framebuffer *fb = &bootinfo.framebuffer;

		MUST((u64)fb->width * fb->pixel_size <= fb->pitch, "lines of %u pixels in %u bytes",
		    fb->width, fb->pitch);
		MUST(fb->address + (u64)fb->pitch * fb->height <= 1ULL << 52, "framebuffer at %lx",
		    fb->address);
	}
	MUST(strlen(bootinfo.cmdline) < sizeof(bootinfo.cmdline), "cmdline");
	MUST(bootinfo.rsdp_len <= sizeof(bootinfo.rsdp_copy), "rsdp %u", bootinfo.rsdp_len);
	return 0;
}
