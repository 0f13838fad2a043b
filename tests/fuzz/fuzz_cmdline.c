/* SPDX-License-Identifier: MIT */
/* fuzz_cmdline.c: kernel/cmdline.c on any bytes a loader may bring. */
#include "fuzz.h"
#include <quarry/kernel.h>

struct bootinfo bootinfo;

static bool one_of(const char *value, const char *a, const char *b, const char *c)
{
	return !strcmp(value, a) || !strcmp(value, b) || !strcmp(value, c);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const char *const names[] = {"selftest", "seed", "isolation", "movable", "trace", "tour",
	    "picture", "rounds", "monitor", "bench", "ipi_timeout", "badpage", "history", "fault"};
	char copy[sizeof(bootinfo.cmdline)];
	u64 number;
	unsigned i;

	host_fuzz_reset(1);
	size = MIN(size, sizeof(bootinfo.cmdline));
	memset(bootinfo.cmdline, 0, sizeof(bootinfo.cmdline));
	memcpy(bootinfo.cmdline, data, size);
	memcpy(copy, bootinfo.cmdline, sizeof(copy));
	bootinfo.cmdline_truncated = size == sizeof(bootinfo.cmdline);
	cmdline_init();
	MUST(!memcmp(copy, bootinfo.cmdline, sizeof(copy)), "the loader's own copy was written to");
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		const char *value = cmdline_get(names[i], "");

		MUST(strlen(value) < sizeof(bootinfo.cmdline), "%s: not ended", names[i]);
	}
	MUST(one_of(cmdline_get("isolation", "precise"), "precise", "disable", "redrain"), "isolation");
	MUST(one_of(cmdline_get("picture", "plain"), "plain", "ansi", "off"), "picture");
	MUST(one_of(cmdline_get("badpage", "panic"), "panic", "report", "panic"), "badpage");
	MUST(one_of(cmdline_get("history", "slow"), "slow", "all", "slow"), "history");
	MUST(!cmdline_get("seed", NULL) || !parse_u64(cmdline_get("seed", NULL), &number), "seed");
	MUST(cmdline_u64("rounds", 7) == 7 || cmdline_get("rounds", NULL), "rounds");
	MUST(strlen(cmdline_get("movable", "")) < 8, "movable");
	return 0;
}
