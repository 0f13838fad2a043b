/* SPDX-License-Identifier: MIT */
/*
 * qemu_plugin.h: QEMU's interface for plugins, as far as qemu_count.c and qemu_yield.c use it.
 *
 * PLUGIN_API is the version that the plugin asks for: 1 with QEMU 4 to 8, 3 with QEMU 9.1 and
 * later, 7 with QEMU 11.1, which takes nothing older (qemu.py tries them).
 *
 * Owns:       the numbers of the CPUs that cpu_now() has seen; the plugin's two functions.
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

/* What a plugin does with each block of code @tb when it is translated, and at the end. */
static void (*for_code)(void *tb), (*at_end)(void);
#if PLUGIN_API < 7
#define CODE_ARGS plugin_id id, void *tb
#define END_ARGS  plugin_id id, void *data
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*cb)(CODE_ARGS));
#define REGISTER_CODE(id, cb) qemu_plugin_register_vcpu_tb_trans_cb(id, cb)
#else
#define CODE_ARGS             void *tb, void *data
#define END_ARGS              void *data
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*cb)(CODE_ARGS), void *data);
#define REGISTER_CODE(id, cb) qemu_plugin_register_vcpu_tb_trans_cb(id, cb, NULL)
#endif
void qemu_plugin_register_atexit_cb(plugin_id id, void (*cb)(END_ARGS), void *data);

static void code_translated(CODE_ARGS)
{
	for_code(tb);
}

static void machine_ends(END_ARGS)
{
	at_end();
}

/* Called by qemu_plugin_install(); @end may be NULL. */
static void plugin_calls(plugin_id id, void (*code)(void *tb), void (*end)(void))
{
	for_code = code;
	at_end = end;
	REGISTER_CODE(id, code_translated);
	if (end)
		qemu_plugin_register_atexit_cb(id, machine_ends, NULL);
}

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
	char *data;
	unsigned len;
}; /* GArray of GLib; QEMU's elements may have more members than reg */
unsigned g_array_get_element_size(struct reg_array *all);
byte_array *g_byte_array_new(void);
byte_array *g_byte_array_set_size(byte_array *bytes, unsigned size);
struct reg_array *qemu_plugin_get_registers(void);
#if PLUGIN_API < 7
int qemu_plugin_read_register(void *handle, byte_array *bytes);
#else
bool qemu_plugin_read_register(void *handle, byte_array *bytes);
#endif
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

	if (!gs) {
		struct reg_array *all = qemu_plugin_get_registers();

		for (i = 0; i < all->len; i++) {
			const reg *r =
			    (const void *)(all->data + (size_t)i * g_array_get_element_size(all));

			gs = strcmp(r->name, "gs_base") ? gs : r->handle;
			other_gs = strcmp(r->name, "k_gs_base") ? other_gs : r->handle;
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
