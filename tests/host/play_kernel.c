/* SPDX-License-Identifier: MIT */
/*
 * play_kernel.c: parts of the kernel that the hosted program lacks, around the machine of
 * play_help.h: their calls are noted.
 */
#include "tests/host/play_help.h"

#include <quarry/errno.h>
#include <quarry/hotplug.h>
#include <quarry/machine.h>
#include <quarry/mce.h>
#include <quarry/mm.h>
#include <quarry/panic.h>
#include <quarry/sched.h>

struct cpu **cpus;
unsigned nr_boot_cpus;
struct mce_stats mce_stats;

/* Addresses in the kernel's image, which is not loaded here. */
void thread_entry(void); /* switch.S */
char image_start[1], image_end[1], boot_pml4[8], ap_entry64[8];

/* The trampoline: the offsets of its parts count, not their content. */
char play_code[PLAY_CODE + 1];
__asm__(".globl ap_trampoline, ap_trampoline_end, ap_start32, ap_start64\n"
        ".globl ap_slot_gdtr, ap_slot_far32, ap_slot_far64, ap_slot_cr3, ap_slot_entry\n"
        ".set ap_trampoline, play_code\n"
        ".set ap_start32, play_code + 0x20\n"
        ".set ap_start64, play_code + 0x34\n"
        ".set ap_slot_gdtr, play_code + 0x60\n"
        ".set ap_slot_far32, play_code + 0x70\n"
        ".set ap_slot_far64, play_code + 0x7c\n"
        ".set ap_slot_cr3, play_code + 0x88\n"
        ".set ap_slot_entry, play_code + 0x90\n"
        ".set ap_trampoline_end, play_code + 0xb0\n");

/* ---- boot memory ---- */

static u8 pool[8 << 20] __attribute__((aligned(256)));
static size_t pool_used;

void play_pool_clear(void)
{
	memset(pool, 0, pool_used);
	pool_used = 0;
}

void *boot_alloc(size_t bytes, size_t align)
{
	u8 *at = pool + ALIGN_UP(pool_used, align);

	if (align < 8 || align > 256 || align & (align - 1) ||
	    pool_used + align + bytes > sizeof(pool))
		panic("no room for %zu bytes, aligned to %zu", bytes, align);
	pool_used = ALIGN_UP(pool_used, align) + bytes;
	return at;
}

/* ---- page tables: of the kernel's stacks ---- */

#define STACK_PAGES 2048u /* addresses */

static phys_t *entry(uintptr_t va)
{
	static phys_t table[STACK_PAGES];
	uintptr_t at = (va - ARCH_STACK_BASE) / PAGE_SIZE;

	if (at >= STACK_PAGES)
		panic("no address of a stack: %lx", (unsigned long)va);
	return &table[at];
}

void *arch_page_alloc(void)
{
	struct page *page;

	if (play.no_page && --play.no_page == 0)
		return NULL;
	page = alloc_pages(GFP_KERNEL, 0);
	if (!page)
		return NULL;
	play.given[play.nr_given++ % ARRAY_SIZE(play.given)] =
	    (phys_t)page_to_pfn_in(&kernel_memory, page) << PAGE_SHIFT;
	return page_address(page);
}

int arch_map(uintptr_t va, phys_t pa, size_t len, unsigned flags)
{
	if (play.no_table && --play.no_table == 0)
		return -ENOMEM;
	if (*entry(va) || len != PAGE_SIZE || flags != MAP_WRITE)
		panic("mapped twice, or otherwise");
	*entry(va) = pa;
	return 0;
}

bool arch_unmap(uintptr_t va, size_t len)
{
	judge_note("unmap %lx+%lx\n", (unsigned long)(va - ARCH_STACK_BASE), (unsigned long)len);
	for (; len; len -= PAGE_SIZE, va += PAGE_SIZE)
		*entry(va) = 0;
	return true;
}

phys_t arch_mapped_at(uintptr_t va)
{
	return *entry(va);
}

void thread_entry(void)
{
}

void *arch_map_device(phys_t pa, size_t len, unsigned flags)
{
	return host_machine->map(pa, len, flags);
}

/* ---- CPUs ---- */

void cpu_prepare(struct cpu *cpu)
{
	judge_note("CPU %u: id %x, node %u\n", cpu->id, cpu->apic_id, cpu->node);
	cpu->boot_stack_top = play_stack(cpu->id);
}

void *play_stack(unsigned cpu)
{
	return pool + cpu;
}

void cpu_set_absent(struct cpu *cpu)
{
	judge_note("CPU %u: absent\n", cpu->id);
}

void cpu_load(struct cpu *cpu)
{
	judge_note("load %u, %u\n", cpu->id, cpu->started);
	if (play.loaded)
		play.loaded(cpu);
}

void kernel_ap_entry(void)
{
	judge_note("enter\n");
	longjmp(play.end, 1);
}

bool cpu_out_of_reach(void)
{
	return play.out_of_reach;
}

int cpu_plug(unsigned cpu)
{
	return cpu == 1 ? play.cpu_plug : -ENODEV;
}

int cpu_up(unsigned cpu)
{
	return play.cpu_up;
}

int cpu_down(unsigned cpu)
{
	return -EALREADY;
}

int cpu_unplug(unsigned cpu)
{
	play.unplugged += !play.cpu_unplug;
	return play.cpu_unplug;
}

const char *cpu_state_name(unsigned cpu)
{
	return "arriving";
}

/* ---- machine checks ---- */

bool mce_post(const struct mce_record *rec)
{
	judge_note("bank %u: %s, pfn %lx%s\n", rec->bank, mce_severity_name(rec->severity),
	    rec->pfn == PFN_NONE ? 0 : rec->pfn, rec->ends ? ", ends" : "");
	if (play.posted)
		play.posted();
	return !play.mce_full;
}

void mce_wake(void)
{
	judge_note("wake\n");
}

bool mce_started(void)
{
	return play.mce_started;
}

/* ---- console, panic, clock ---- */

void console_cursor(bool on)
{
	judge_note("cursor %s\n", on ? "on" : "off");
}

void console_invite(unsigned cpu)
{
	judge_note("invite %u\n", cpu);
}

void frame_backtrace(const struct trap_frame *f)
{
	judge_note("frames\n");
	if (play.frames)
		play.frames();
}

const char *thread_name(void)
{
	return "some";
}

void panic_stop(void)
{
	judge_note("stop\n");
}

bool panicking(void)
{
	return play.panics && play.panics();
}

void panic_pages(void)
{
	judge_note("pages\n");
}

void clock_init(void)
{
	judge_note("clock\n");
}
