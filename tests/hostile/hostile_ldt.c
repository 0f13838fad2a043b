/* SPDX-License-Identifier: MIT */
/*
 * hostile_ldt.c: tries to enter ring 0 through the processor's own tables: descriptors, gates,
 * selectors.
 *
 * After a reset the LDT has base 0 and 64 KiB (SDM vol. 3A, table 10-1).  A program that could map
 * these addresses, or whose CPU still had such an LDT, could write the kernel's descriptors itself.
 */
#include "tests/hostile/hostile.h"

#define LOWEST   0x10000UL /* the lowest user address: docs/abi.md */
#define LDT_PAGE 0x1000UL
#define TI       4u /* bit of a selector: use the LDT */
#define RPL3     3u
/* The descriptor at the start of LDT_PAGE, if the LDT begins at address 0. */
#define PLANTED        ((unsigned)LDT_PAGE | TI | RPL3)
#define KERNEL_CODE    0x08u
#define KERNEL_DATA    0x10u
#define KERNEL_ADDRESS 0xffffffff80100000UL

struct far_pointer {
	u64 offset;
	u16 selector;
} __attribute__((packed));

static u64 ring0_cr0;

/*
 * The target of a planted gate: reads CR0, which proves ring 0, and returns.  The CPU has saved the
 * caller's stack pointer on the kernel's stack.
 */
static void __attribute__((naked)) in_ring_0(void)
{
	__asm__ volatile("cli\n\t"
	                 "movq %%cr0, %%rax\n\t"
	                 "movq %%rax, %0\n\t"
	                 "lretq"
	                 : "=m"(ring0_cr0));
}

/* Map addresses where an LDT with base 0 would be; false: they cannot be mapped. */
static bool map_low(u64 at, u64 pages)
{
	s64 object = object_create(pages);
	s64 err = map((u64)object, (void *)at, pages, 0, ABI_READ | ABI_WRITE);

	handle_close((u64)object);
	return !err;
}

static void far_call(unsigned selector)
{
	struct far_pointer to = {.selector = (u16)selector};

	/* The REX.W prefix is a byte, since assemblers differ in its name. */
	__asm__ volatile(".byte 0x48\n\tlcall *(%%rcx)" : : "c"(&to) : "rax", "memory", "cc");
}

/* A 64-bit call gate of DPL 3 to the kernel's code selector (SDM vol. 3A, 5.8.3.1). */
static void plant_gate(u64 at, u64 target)
{
	volatile u64 *gate = (volatile u64 *)at;

	gate[0] = (target & 0xffff) | (u64)KERNEL_CODE << 16 | 0xecUL << 40 |
	    (target >> 16 & 0xffff) << 48;
	gate[1] = target >> 32;
}

/* ---- properties of user memory ---- */

static void low_pages_are_refused(void)
{
	s64 object = object_create(16);
	u64 at;

	for (at = 0; at < LOWEST; at += ABI_PAGE_SIZE)
		WANT(map((u64)object, (void *)at, 1, 0, ABI_READ | ABI_WRITE), -EINVAL);
	WANT(map((u64)object, (void *)LDT_PAGE, 15, 0, ABI_READ | ABI_WRITE), -EINVAL);
}

static void range_across_the_lowest_address_is_refused(void)
{
	s64 object = object_create(2);
	char *border = (char *)LOWEST;

	WANT(map((u64)object, border - ABI_PAGE_SIZE, 2, 0, ABI_READ), -EINVAL);
	WANT(unmap(border - ABI_PAGE_SIZE, 2), -EINVAL);
	WANT(protect(border - ABI_PAGE_SIZE, 2, ABI_READ), -EINVAL);
}

static void lowest_page_is_served(void)
{
	volatile u64 *lowest = (volatile u64 *)LOWEST;

	WANT(map_low(LOWEST, 1), true);
	*lowest = 77;
	WANT(*lowest, 77);
	WANT(unmap((void *)LOWEST, 1), 0);
}

static void low_memory_is_no_argument(void)
{
	WANT(sys(SYS_DEBUG_WRITE, LDT_PAGE, 1, 0, 0, 0), -EFAULT);
	WANT(sys(SYS_DEBUG_WRITE, LOWEST - 1, 1, 0, 0, 0), -EFAULT);
}

static void low_memory_is_read(void)
{
	__asm__ volatile("movq (%0), %%rax" : : "r"(LDT_PAGE) : "rax", "memory");
}

/* ---- descriptors of an LDT ---- */

/* The gate is written if its page can be mapped; the call is tried in any case. */
static void planted_gate_is_called(void)
{
	if (map_low(LDT_PAGE, 1))
		plant_gate(LDT_PAGE, (u64)in_ring_0);
	far_call(PLANTED);
	printf("ring 0, CR0 %lx\n", ring0_cr0);
}

static void planted_gate_is_jumped_to(void)
{
	struct far_pointer to = {.selector = PLANTED};

	if (map_low(LDT_PAGE, 1))
		plant_gate(LDT_PAGE, (u64)in_ring_0);
	__asm__ volatile(".byte 0x48\n\tljmp *(%%rcx)" : : "c"(&to) : "memory");
}

static void first_entry_is_called(void)
{
	far_call(TI | RPL3);
}

static void last_entry_is_called(void)
{
	far_call(0xfff8 | TI | RPL3);
}

static void code_segment_is_returned_to(void)
{
	__asm__ volatile("pushq %0\n\t"
	                 "pushq $0x400000\n\t"
	                 "lretq"
	                 :
	                 : "i"(PLANTED));
}

static void data_segment_is_loaded(void)
{
	__asm__ volatile("movl %0, %%ds" : : "r"(PLANTED));
}

static void stack_segment_is_loaded(void)
{
	__asm__ volatile("movl %0, %%ss" : : "r"(PLANTED));
}

static void thread_segment_is_loaded(void)
{
	__asm__ volatile("movl %0, %%fs" : : "r"(PLANTED));
}

/* LAR, LSL, VERR and VERW, which read a descriptor of the LDT, only fail: there is no LDT. */
static void no_selector_leads_anywhere(void)
{
	unsigned selector, value;
	bool found;

	for (selector = TI | RPL3; selector < 0x10000; selector += 8 * 61) {
		__asm__ volatile("lar %2, %1" : "=@ccz"(found), "=r"(value) : "r"(selector));
		WANT(found, false);
		__asm__ volatile("lsl %2, %1" : "=@ccz"(found), "=r"(value) : "r"(selector));
		WANT(found, false);
		__asm__ volatile("verr %w1" : "=@ccz"(found) : "r"(selector));
		WANT(found, false);
		__asm__ volatile("verw %w1" : "=@ccz"(found) : "r"(selector));
		WANT(found, false);
	}
}

/* ---- descriptors of the GDT, and the instructions that reveal the tables ---- */

static void kernel_code_is_called(void)
{
	far_call(KERNEL_CODE);
}

static void kernel_code_is_returned_to(void)
{
	__asm__ volatile("pushq %0\n\t"
	                 "pushq %1\n\t"
	                 "lretq"
	                 :
	                 : "i"(KERNEL_CODE), "r"(KERNEL_ADDRESS));
}

static void kernel_data_is_the_stack(void)
{
	__asm__ volatile("movl %0, %%ss" : : "r"(KERNEL_DATA));
}

static void task_segment_is_called(void)
{
	far_call(0x28 | RPL3);
}

static void what_lies_behind_the_gdt_is_called(void)
{
	far_call(0x40 | RPL3);
}

static void ldt_is_loaded(void)
{
	__asm__ volatile("lldt %w0" : : "r"(0));
}

static void gdt_is_loaded(void)
{
	static const struct far_pointer nowhere;

	__asm__ volatile("lgdt %0" : : "m"(nowhere));
}

static void task_register_is_loaded(void)
{
	__asm__ volatile("ltr %w0" : : "r"(0x28));
}

static void control_register_is_written(void)
{
	__asm__ volatile("movq %0, %%cr4" : : "r"(0UL));
}

static void model_register_is_written(void)
{
	__asm__ volatile("wrmsr" : : "c"(0xc0000082), "a"(0x400000), "d"(0));
}

static const struct hostile_case cases[] = {
    ENDS_WELL(low_pages_are_refused),
    ENDS_WELL(range_across_the_lowest_address_is_refused),
    ENDS_WELL(lowest_page_is_served),
    ENDS_WELL(low_memory_is_no_argument),
    FAULTS(low_memory_is_read),
    FAULTS(planted_gate_is_called),
    FAULTS(planted_gate_is_jumped_to),
    FAULTS(first_entry_is_called),
    FAULTS(last_entry_is_called),
    FAULTS(code_segment_is_returned_to),
    FAULTS(data_segment_is_loaded),
    FAULTS(stack_segment_is_loaded),
    FAULTS(thread_segment_is_loaded),
    ENDS_WELL(no_selector_leads_anywhere),
    FAULTS(kernel_code_is_called),
    FAULTS(kernel_code_is_returned_to),
    FAULTS(kernel_data_is_the_stack),
    FAULTS(task_segment_is_called),
    FAULTS(what_lies_behind_the_gdt_is_called),
    FAULTS(ldt_is_loaded),
    FAULTS(gdt_is_loaded),
    FAULTS(task_register_is_loaded),
    FAULTS(control_register_is_written),
    FAULTS(model_register_is_written),
};
const struct hostile_subject hostile_ldt = SUBJECT("ldt", cases);
