/* SPDX-License-Identifier: MIT */
/*
 * init.c: the only program of the Linux that `make bench-peers` boots.  It loads /pages.ko, which
 * measures while it is loaded.  Then it brings a DIMM of 128 MiB online, takes it offline, and ends
 * QEMU.
 *
 * Owns:       nothing.
 * Locks:      none.
 * Invariants: main never returns: if it did, the kernel would panic.
 * Tests:      tests/qemu/test_bench_peers.py.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BLOCK  "/sys/devices/system/memory/memory32/state" /* the DIMM, at 4 GiB */
#define ROUNDS 8

static unsigned long long now(void)
{
	unsigned low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (unsigned long long)high << 32 | low;
}

/* Write @text to a file; returns 0, or -1. */
static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t len = (ssize_t)strlen(text), done = fd < 0 ? -1 : write(fd, text, (size_t)len);

	if (fd >= 0)
		close(fd);
	return done == len ? 0 : -1;
}

static void say(const char *name, unsigned long long total)
{
	char line[80];

	snprintf(line, sizeof(line), "peer: %s %llu 1\n", name, total);
	put("/dev/kmsg", line);
}

/* Takes the least of several rounds: if the CPU waits in a round, time jumps under icount. */
static void memory_module(void)
{
	unsigned long long online = ~0ULL, offline = ~0ULL, t0, t1, t2;
	unsigned round;

	for (round = 0; round < ROUNDS; round++) {
		t0 = now();
		if (put(BLOCK, "online_movable"))
			return;
		t1 = now();
		if (put(BLOCK, "offline"))
			return;
		t2 = now();
		online = t1 - t0 < online ? t1 - t0 : online;
		offline = t2 - t1 < offline ? t2 - t1 : offline;
	}
	say("online_128m", online);
	say("offline_free_128m", offline);
}

int main(void)
{
	int fd = open("/pages.ko", O_RDONLY | O_CLOEXEC);

	mkdir("/dev", 0755);
	mkdir("/sys", 0755);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	mount("sys", "/sys", "sysfs", 0, NULL);
	if (fd >= 0)
		syscall(SYS_finit_module, fd, "", 0);
	memory_module();
	put("/dev/kmsg", "peer: over\n");
	reboot(RB_AUTOBOOT); /* ends QEMU, because of -no-reboot */
	for (;;)
		pause();
}
