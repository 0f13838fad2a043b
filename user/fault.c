/* SPDX-License-Identifier: MIT */
/* fault.c: does one forbidden thing, chosen by arg0, which must end the task. */
#include "quarry.h"

#define KERNEL_ADDRESS 0xffffffff80100000UL
#define DIRECT_MAP     0xffff888000000000UL
#define NOT_CANONICAL  0x0000900000000000UL

static const int constant = 1;
static char data[16] = {(char)0xc3}; /* the instruction ret */
static volatile u64 sink;

/* Plain accesses that the compiler cannot optimise. */
static void peek(u64 at)
{
	__asm__ volatile("movq (%0), %0" : "+r"(at) : : "memory");
}

static void poke(u64 at)
{
	__asm__ volatile("movb $1, (%0)" : : "r"(at) : "memory");
}

static u64 deeper(u64 depth)
{
	volatile char page[4096];

	page[0] = (char)depth;
	return depth == ~0UL ? 0 : deeper(depth + 1) + (u64)page[0];
}

static void jump(u64 to)
{
	__asm__ volatile("jmp *%0" : : "r"(to));
}

static void read_null(void)
{
	peek(0);
}

static void write_null(void)
{
	poke(8);
}

static void read_kernel(void)
{
	peek(KERNEL_ADDRESS);
}

static void write_direct_map(void)
{
	poke(DIRECT_MAP + 0x200000);
}

static void jump_kernel(void)
{
	jump(KERNEL_ADDRESS);
}

static void jump_nowhere(void)
{
	jump(NOT_CANONICAL);
}

static void invalid_opcode(void)
{
	__asm__ volatile("ud2");
}

static void divide_by_zero(void)
{
	__asm__ volatile("divl %0" : : "r"(0), "a"(1), "d"(0));
}

static void halt(void)
{
	__asm__ volatile("hlt");
}

static void port(void)
{
	__asm__ volatile("outl %0, %1" : : "a"(0x10), "Nd"((unsigned short)0xf4));
}

static void write_constant(void)
{
	poke((u64)&constant);
}

static void write_text(void)
{
	poke((u64)main);
}

static void execute_data(void)
{
	jump((u64)data);
}

static void stack_overflow(void)
{
	sink = deeper(0);
}

/* Enter through an interrupt gate that is reserved for the kernel. */
static void interrupt(void)
{
	__asm__ volatile("int $0x41");
}

/* Enter by an instruction for which the kernel has no entry. */
static void sysenter(void)
{
	__asm__ volatile("sysenter");
}

/* System calls must refuse bad addresses too: each call returns an error. */
static void pointers(void)
{
	static const u64 bad[] = {
	    0, KERNEL_ADDRESS, DIRECT_MAP, NOT_CANONICAL, ~0UL - 4, 0x7fffffffeffcUL + 4096};
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		s64 ret = sys(SYS_DEBUG_WRITE, bad[i], 8, 0, 0, 0);

		if (ret != -EFAULT)
			exit(100);
	}
	/* The first page of this text is mapped, the next page is not. */
	if (sys(SYS_DEBUG_WRITE, (u64)pages_alloc(1) + 4090, 12, 0, 0, 0) != -EFAULT)
		exit(101);
	exit(77);
}

static void (*const faults[])(void) = {
    read_null,
    write_null,
    read_kernel,
    write_direct_map,
    jump_kernel,
    jump_nowhere,
    invalid_opcode,
    divide_by_zero,
    halt,
    port,
    write_constant,
    write_text,
    execute_data,
    stack_overflow,
    interrupt,
    sysenter,
    pointers,
};

int main(u64 handle, u64 arg0, u64 arg1)
{
	if (arg0 < ARRAY_SIZE(faults))
		faults[arg0]();
	return 0;
}
