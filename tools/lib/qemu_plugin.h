/* SPDX-License-Identifier: MIT */
/*
 * qemu_plugin.h: QEMU's interface for plugins, as far as qemu_count.c and qemu_yield.c use it.
 *
 * PLUGIN_API is the version that the plugin asks for: 1 with QEMU 4 to 8, 3 with QEMU 9.1 and
 * later (qemu_plugin.py tries them).
 *
 * Owns:       the numbers of the CPUs that cpu_now() has seen.
 * Locks:      none: cpu_now() is for one host thread for all CPUs.
 * Invariants: a CPU has one number, from 0 on.
 * Tests:      tests/qemu/test_boot.py, tests/qemu/test_bench_count.py.
 */
#ifndef QEMU_PLUGIN_H
#define QEMU_PLUGIN_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#ifndef PLUGIN_API
#define PLUGIN_API 1
#endif
#define EXPORT __attribute__((visibility("default")))
typedef uint64_t plugin_id;
typedef void (*exec_cb)(unsigned cpu, void *data);
typedef void (*mem_cb)(unsigned cpu, uint32_t info, uint64_t at, void *data);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*cb)(plugin_id id, void *tb));
void qemu_plugin_register_atexit_cb(plugin_id id, void (*cb)(plugin_id id, void *data), void *data);
size_t qemu_plugin_tb_n_insns(const void *tb);
void *qemu_plugin_tb_get_insn(const void *tb, size_t at);
#if PLUGIN_API < 3
const void *qemu_plugin_insn_data(const void *insn);
#else
size_t qemu_plugin_insn_data(const void *insn, void *to, size_t size);
#endif
size_t qemu_plugin_insn_size(const void *insn);
uint64_t qemu_plugin_insn_vaddr(const void *insn);
void qemu_plugin_register_vcpu_insn_exec_cb(void *insn, exec_cb cb, int flags, void *data);
void qemu_plugin_register_vcpu_mem_cb(void *insn, mem_cb cb, int flags, int rw, void *data);
bool qemu_plugin_mem_is_store(uint32_t info);
#define NO_REGS    0
#define READ_WRITE 3
EXPORT int qemu_plugin_version = PLUGIN_API;

/*
 * QEMU 9.1 and later pass a callback the number of the CPU for which the code was translated, not
 * of the CPU that executes it, if one host thread runs all CPUs.  So at the beginning of each block
 * of code cpu_now() looks at the GS bases, of which the kernel's is the address of a CPU's data.
 */
#if PLUGIN_API < 3
#define watch_cpu(tb)  ((void)(tb))
#define cpu_now(given) (given)
#else
typedef struct {
	uint8_t *data;
	unsigned len;
} byte_array; /* GByteArray of GLib */
typedef struct {
	void *handle;
	const char *name, *feature;
} reg;
struct reg_array {
	reg *data;
	unsigned len;
}; /* GArray of GLib */
byte_array *g_byte_array_new(void);
byte_array *g_byte_array_set_size(byte_array *bytes, unsigned size);
struct reg_array *qemu_plugin_get_registers(void);
int qemu_plugin_read_register(void *handle, byte_array *bytes);
void qemu_plugin_register_vcpu_tb_exec_cb(void *tb, exec_cb cb, int flags, void *data);
#define READ_REGS      1
#define MOST_BASES     256

static unsigned now;
#define cpu_now(given) ((void)(given), now)

static uint64_t value_of(void *handle)
{
	static byte_array *bytes;
	uint64_t value = 0;

	bytes = bytes ? bytes : g_byte_array_new();
	g_byte_array_set_size(bytes, 0);
	if (handle && qemu_plugin_read_register(handle, bytes) > 0 && bytes->len == sizeof(value))
		memcpy(&value, bytes->data, sizeof(value));
	return value;
}

static void block_begins(unsigned cpu, void *data)
{
	static void *gs, *other_gs;
	static uint64_t bases[MOST_BASES];
	static unsigned nr;
	uint64_t base;
	unsigned i;

	(void)cpu;
	(void)data;
	if (!gs) {
		struct reg_array *all = qemu_plugin_get_registers();

		for (i = 0; i < all->len; i++) {
			gs = strcmp(all->data[i].name, "gs_base") ? gs : all->data[i].handle;
			other_gs =
			    strcmp(all->data[i].name, "k_gs_base") ? other_gs : all->data[i].handle;
		}
	}
	base = value_of(gs);
	if ((int64_t)base >= 0)
		base = value_of(other_gs);
	for (i = 0; i < nr && bases[i] != base; i++)
		;
	if (i == nr && nr < MOST_BASES - 1)
		bases[nr++] = base;
	now = i;
}

static void watch_cpu(void *tb)
{
	qemu_plugin_register_vcpu_tb_exec_cb(tb, block_begins, READ_REGS, NULL);
}
#endif
#endif
