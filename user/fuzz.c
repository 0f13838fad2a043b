/* SPDX-License-Identifier: MIT */
/*
 * fuzz.c: makes random system calls.  arg0: the seed; arg1: the number of calls; handle: an extra
 * handle to use, or 0.
 *
 * Arguments are numbers of all kinds: small, huge, valid handles, invalid handles, addresses of the
 * program, of the kernel and of no memory.  The program makes no call that would end it or unmap
 * its own code or stack, and sleeps only briefly.
 */
#include "quarry.h"

#define KEPT      32
#define AREA      0x200000000UL /* mapped and unmapped at random */
#define AREA_SIZE (64 * ABI_PAGE_SIZE)
#define MAX_NS    2000000UL

static u64 state;
static u64 handles[KEPT];
static u64 result_of[NR_SYSCALLS][2]; /* the numbers of calls that failed and that succeeded */

static u64 pick(u64 n)
{
	return next_random(&state) % n;
}

static u64 some_handle(void)
{
	u64 handle = handles[pick(KEPT)];

	switch (pick(8)) {
	case 0: return next_random(&state);
	case 1: return handle ^ (1UL << pick(40)); /* another slot, or another generation */
	case 2: return pick(512);
	default: return handle;
	}
}

static u64 some_address(void)
{
	static char buffer[ABI_PAGE_SIZE];

	switch (pick(10)) {
	case 0: return next_random(&state);
	case 1: return 0xffff888000000000UL + pick(1UL << 34);
	case 2: return 0xffffffff80000000UL + pick(1UL << 24);
	case 3: return 0x00007ffffffff000UL - pick(64);
	case 4: return 0x0000800000000000UL + pick(1UL << 20);
	case 5: return (u64)buffer + pick(sizeof(buffer));
	case 6: return pick(ABI_PAGE_SIZE);
	default: return AREA + (pick(AREA_SIZE) & ~(pick(2) * (ABI_PAGE_SIZE - 1)));
	}
}

static u64 some_number(void)
{
	static const u64 edges[] = {0, 1, ~0UL, 1UL << 63, 0x7fffffffffffffffUL, 0x80000000UL,
	    0xffffffffUL, 4096, ABI_MAX_PAGES, ABI_MAX_PAGES + 1, 1UL << 52};

	switch (pick(4)) {
	case 0: return next_random(&state) >> pick(64);
	case 1: return edges[pick(ARRAY_SIZE(edges))];
	default: return pick(16);
	}
}

static u64 some_argument(void)
{
	switch (pick(3)) {
	case 0: return some_handle();
	case 1: return some_address();
	default: return some_number();
	}
}

/* Does the range reach beyond AREA?  The program's own code, data and stack are outside AREA. */
static bool is_own(u64 at, u64 pages)
{
	u64 end;

	if (__builtin_mul_overflow(pages, ABI_PAGE_SIZE, &pages) ||
	    __builtin_add_overflow(at, pages, &end))
		return false; /* the kernel must refuse this range */
	return at < AREA || end > AREA + AREA_SIZE;
}

/*
 * True if the call would end or stop the program.  Arguments of other calls are changed so that the
 * calls do no harm.
 */
static bool harmful(u64 nr, u64 arg[7])
{
	switch (nr) {
	case SYS_EXIT:
	case SYS_THREAD_EXIT:
	case SYS_THREAD_CREATE: return true; /* a thread at a random address ends the task */
	case SYS_DEBUG_WRITE: arg[1] |= pick(16) ? 1UL << 20 : 0; return false; /* mostly refused */
	case SYS_SLEEP: arg[0] %= MAX_NS; return false;
	case SYS_TASK_WAIT:
	case SYS_CALL:
	case SYS_RECEIVE: arg[1] %= MAX_NS; return false;
	case SYS_PAGER_BIND: arg[3] %= MAX_NS; return false;
	case SYS_UNMAP: return is_own(arg[0], arg[1]) && arg[0] < 0x0000800000000000UL;
	case SYS_PROTECT: return is_own(arg[0], arg[1]) && arg[0] < 0x0000800000000000UL;
	case SYS_OBJECT_CREATE: arg[0] = pick(8) ? arg[0] % 256 : arg[0]; return false;
	case SYS_MAP: return false; /* a mapping over an existing one is refused */
	default: return false;
	}
}

static void keep(u64 handle)
{
	u64 *slot = &handles[pick(KEPT)];

	if (*slot)
		handle_close(*slot);
	*slot = handle;
}

/* Memory that must not change: the kernel must not write here. */
static const char canary[] = "the kernel writes nowhere that it was not asked to";
static char canary_copy[sizeof(canary)];

/* Make one random call.  False: the call would have done harm and was not made. */
static bool one(void)
{
	u64 nr = pick(64) ? pick(NR_SYSCALLS) : next_random(&state) >> pick(64), arg[7], before[7];
	unsigned i;
	s64 ret;

	for (i = 0; i < ARRAY_SIZE(arg); i++)
		before[i] = arg[i] = some_argument();
	if (pick(4) == 0)
		arg[0] = some_handle();
	if (pick(2) == 0)
		arg[1] = AREA + pick(64) * ABI_PAGE_SIZE;
	if (harmful(nr, arg))
		return false;
	memcpy(before, arg, sizeof(arg));
	ret = sys_regs(nr, arg);
	if (nr < NR_SYSCALLS)
		result_of[nr][ret >= 0]++;
	if (ret < 0 && (ret < -4095 || memcmp(before, arg, sizeof(arg)) != 0)) {
		printf("call %lu failed with %ld, and changed registers\n", nr, ret);
		exit(3);
	}
	for (i = 0; i < ARRAY_SIZE(arg); i++) {
		if (arg[i] != before[i] && arg[i] >= 0xffff800000000000UL) {
			printf("call %lu: register %u holds %lx\n", nr, i, arg[i]);
			exit(4);
		}
	}
	if (nr >= NR_SYSCALLS && ret != -ENOSYS)
		exit(5);
	if (ret > 0 &&
	    (nr == SYS_OBJECT_CREATE || nr == SYS_ENDPOINT_CREATE || nr == SYS_HANDLE_DUP ||
	        nr == SYS_PAGER_BIND))
		keep((u64)ret);
	else if (ret == 0 && nr == SYS_RECEIVE)
		keep(arg[0]);
	return true;
}

int main(u64 handle, u64 seed, u64 count)
{
	u64 i, failed = 0, good = 0;

	state = (2 * seed + 1) * 0x9e3779b97f4a7c15UL; /* odd, so never 0 */
	count = count ? count : 1000;
	memcpy(canary_copy, canary, sizeof(canary));
	for (i = 0; i < KEPT; i += 2)
		handles[i] = (u64)(i % 4 ? endpoint_create() : object_create(8));
	/* The random calls use a copy, which a call may close; @handle itself stays open. */
	if (handle)
		handles[1] = (u64)handle_dup(handle, (unsigned)info(INFO_RIGHTS, handle));
	for (i = 0; i < count; i += one()) {
		if (handle && i % 1024 == 0)
			map(handle, (void *)(AREA + AREA_SIZE / 2), 16, pick(64),
			    ABI_READ | ABI_WRITE);
	}
	for (i = 0; i < NR_SYSCALLS; i++) {
		failed += result_of[i][0];
		good += result_of[i][1];
	}
	printf("%lu calls of seed %lx: %lu succeeded, %lu failed\n", count, seed, good, failed);
	return memcmp(canary_copy, canary, sizeof(canary)) != 0 ? 6 : good && failed ? 0 : 7;
}
