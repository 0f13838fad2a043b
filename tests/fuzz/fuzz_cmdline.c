/* SPDX-License-Identifier: MIT */
/* fuzz_cmdline.c: kernel/cmdline.c on any bytes a loader may bring. */
#include "fuzz.h"
#include <quarry/bootinfo.h>
#include <quarry/cmdline.h>
#include <quarry/isolation.h>
#include <quarry/port.h>
#include <quarry/string.h>

#define LINE_MAX (BOOT_CMDLINE_MAX + 16)

static bool one_of(const char *value, const char *a, const char *b, const char *c)
{
	return !strcmp(value, a) || !strcmp(value, b) || !strcmp(value, c);
}

static bool is_policy(const char *value)
{
#define IS(id, name) (!strcmp(value, name))
	return ISO_POLICIES(IS, ||);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const char *const names[] = {"selftest", "seed", "isolation", "movable", "trace",
	    "tour", "picture", "rounds", "monitor", "bench", "ipi_timeout", "badpage", "history",
	    "fault"};
	char line[LINE_MAX + 1], copy[LINE_MAX + 1];
	u64 number, first, last;
	unsigned i;

	host_fuzz_reset(1);
	size = MIN(size, (size_t)LINE_MAX);
	memset(line, 0, sizeof(line));
	memcpy(line, data, size);
	memcpy(copy, line, sizeof(copy));
	cmdline_init(line, size == LINE_MAX);
	MUST(!memcmp(copy, line, sizeof(copy)), "the loader's own copy was written to");
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		const char *value = cmdline_get(names[i], "");

		MUST(strlen(value) < BOOT_CMDLINE_MAX, "%s: not ended", names[i]);
	}
	MUST(is_policy(cmdline_get("isolation", "precise")), "isolation");
	MUST(one_of(cmdline_get("picture", "plain"), "plain", "live", "plain"), "picture");
	MUST(one_of(cmdline_get("badpage", "panic"), "panic", "report", "panic"), "badpage");
	MUST(one_of(cmdline_get("history", "slow"), "slow", "all", "slow"), "history");
	MUST(!cmdline_get("seed", NULL) || !parse_u64(cmdline_get("seed", NULL), &number), "seed");
	MUST(cmdline_u64("rounds", 7) == 7 || cmdline_get("rounds", NULL), "rounds");
	MUST(cmdline_u64("rounds", 0) <= 1000000, "rounds");
	MUST(cmdline_u64("movable", 50) <= 95, "movable");
	MUST(cmdline_u64("standby", 0) <= 16ULL << 20, "standby");
	MUST(cmdline_u64("ipi_timeout", 10000) >= 200, "ipi_timeout");
	MUST(!cmdline_range("pressure", &first, &last) || first <= last, "pressure");
	return 0;
}
