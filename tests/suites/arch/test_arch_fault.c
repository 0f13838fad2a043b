/* SPDX-License-Identifier: MIT */
/*
 * test_arch_fault.c: the report of a fault, word by word; interrupts in ring 3; and threads that
 * must not run in ring 3. tests/qemu/test_exception.py judges the reports that end the machine.
 */
#include "demo/provoke.h"
#include "tests/lib/hotplug_help.h"
#include "tests/lib/said_help.h"
#include "tests/lib/task_help.h"
#include "x86.h"
#include <quarry/errno.h>
#include <quarry/string.h>

#define OTHER 0x600000UL
#define TRIES 50u

static const char *printed;

/* ---- page faults of the kernel ---- */

#define NOT_MAPPED  "not mapped\n"
#define NOT_ALLOWED "not allowed there\n"
#define GUARD       "guard page: kernel stack overflow\n"
#define NULL_PAGE   "null pointer, or a member of one\n"

static const struct {
	u64 error, address;
	const char *text;
} faults[] = {
    {0, 0x10, "page fault: read of 0000000000000010 by the kernel: " NOT_MAPPED NULL_PAGE},
    {PF_WRITE, 0xfff, "page fault: write of 0000000000000fff by the kernel: " NOT_MAPPED NULL_PAGE},
    {0, 0x1000, "page fault: read of 0000000000001000 by the kernel: " NOT_MAPPED},
    {PF_EXECUTE | PF_PRESENT, 0x1000,
        "page fault: execute of 0000000000001000 by the kernel: " NOT_ALLOWED},
    {PF_WRITE | PF_USER, 0x1000, "page fault: write of 0000000000001000 by the user: " NOT_MAPPED},
    {PF_RESERVED | PF_PRESENT, 0x1000,
        "page fault: read of 0000000000001000 by the kernel: reserved bit set in a page table\n"},
    {PF_WRITE, ARCH_STACK_BASE,
        "page fault: write of ffffd00000000000 by the kernel: " NOT_MAPPED GUARD},
    {PF_WRITE | PF_PRESENT, ARCH_STACK_BASE,
        "page fault: write of ffffd00000000000 by the kernel: " NOT_ALLOWED},
    {0, ARCH_STACK_BASE + 32767, "page fault: read of ffffd00000007fff by the kernel: " NOT_MAPPED},
};

static void print_fault(u64 error, u64 address)
{
	struct trap_frame f = {.error = error};
	irqflags_t flags = arch_irq_save();
	u64 pos = log_position();

	__asm__ volatile("movq %0, %%cr2" : : "r"(address));
	print_page_fault(&f);
	printed = text_since(pos);
	arch_irq_restore(flags);
}

KTEST_SUITE(arch_fault, 0);

/* Each fault is tried several times, because another CPU may print a line meanwhile. */
KTEST(page_fault_reports_are_complete, KTEST_REPORTS)
{
	unsigned i, tries;

	for (i = 0; i < ARRAY_SIZE(faults); i++) {
		for (tries = 0; tries < TRIES; tries++) {
			print_fault(faults[i].error, faults[i].address);
			if (!strcmp(printed, faults[i].text))
				break;
		}
		if (tries == TRIES)
			ktest_fail(t, __FILE__, __LINE__, "fault %u: %s", i, printed);
	}
}

/* ---- ring 3 ---- */

/* The program faults at its first instruction, and its registers follow in the report. */
KTEST(program_fault_is_reported_with_registers, KTEST_REPORTS)
{
	struct task *task = NEED(t, new_task(t));
	u64 pos = log_position();
	char text[128];

	ksnprintf(text, sizeof(text), "task %lu test: invalid opcode\n  rip %016lx cs 0023 rflags ",
	    task->id, code_at(user_ud2));
	EXPECT_EQ(t, add_thread(task, -1, code_at(user_ud2), 0), 0);
	expect_end(t, task, TASK_FAULTED, 0);
	printed = text_since(pos);
	while (*printed && strncmp(printed, text, strlen(text)) != 0)
		printed++;
	EXPECT(t, *printed && says(printed, " error 0\n"));
}

/* Wait until @text has been printed after @pos; false: it was not in time. */
static bool wait_said(u64 pos, const char *text)
{
	u64 end = arch_clock_ns() + WAIT_NS;
	unsigned rounds = 0;

	do {
		printed = text_since(pos);
		if (says(printed, text))
			return true;
		thread_yield();
	} while (!waited_enough(end, &rounds));
	return false;
}

/* Send an NMI to @cpu.  True: it hit ring 3, at the code of user_spin. */
static bool nmi_hits_ring_3(struct ktest *t, unsigned cpu)
{
	u64 pos = log_position(), rip;
	char text[80];

	ksnprintf(text, sizeof(text), "CPU %u (APIC id %u): not asked, NMI in thread ", cpu,
	    cpus[cpu]->apic_id);
	apic_send(cpus[cpu]->apic_id, ICR_NMI);
	EXPECT(t, wait_said(pos, text));
	for (rip = code_at(user_spin); rip < code_at(user_sleep); rip++) {
		ksnprintf(text, sizeof(text), "\n  %016lx in ring 3\n", rip);
		if (wait_said(pos, "\n  ") && says(printed, text))
			return true;
	}
	return false;
}

/* The program runs on after the NMIs. */
KTEST(nmi_in_a_program_is_reported_and_harmless, KTEST_REPORTS)
{
	unsigned cpu = ktest_cpus() - 1, tries = TRIES, i;
	struct task *task;
	char text[80];

	if (!needs_two(t))
		return;
	task = NEED(t, new_task(t));
	WRITE_ONCE(cpus[cpu]->quiet_until, 0UL);
	EXPECT_EQ(t, add_thread(task, (int)cpu, code_at(user_spin), 0), 0);
	while (!nmi_hits_ring_3(t, cpu) && --tries)
		thread_yield();
	EXPECT(t, tries);
	ksnprintf(
	    text, sizeof(text), "CPU %u: unexpected interrupt, vector %u\n", cpu, NR_EXCEPTION);
	for (i = 0; i < 10; i++) {
		u64 pos = log_position();

		apic_send(cpus[cpu]->apic_id, ICR_FIXED | NR_EXCEPTION);
		EXPECT(t, wait_said(pos, text));
	}
	EXPECT(t, !load_acquire(&task->ended));
	task_end(task, TASK_KILLED, 0);
	expect_end(t, task, TASK_KILLED, 0);
}

/* Map all that the program needs, so that no fault would stop it. */
static struct page *prepare(struct ktest *t, struct task *task, struct vm_object *object)
{
	struct page *page = NULL;
	u64 word = 0;

	space_use(task->space);
	EXPECT_EQ(t, copy_from_user(&word, code_at(user_count), sizeof(word)), 0);
	word = 0;
	EXPECT_EQ(t, copy_to_user(OTHER, &word, sizeof(word)), 0);
	space_use(NULL);
	EXPECT_EQ(t, vm_object_pin(object, 0, &page), 0);
	return page;
}

/* Add a thread to a CPU with interrupts off, and end its task before interrupts are on again. */
static void add_and_end_one(struct ktest *t)
{
	unsigned cpu = ktest_cpus() - 1;
	struct fault_hang hang;
	struct vm_object *object;
	struct task *task = new_task(t);
	struct page *page;

	REQUIRE(t, task);
	object = map_page(task, OTHER, VM_READ | VM_WRITE, NULL, 0);
	REQUIRE(t, object);
	page = prepare(t, task, object);
	REQUIRE(t, page);
	EXPECT_EQ(t, fault_hang_start(&hang, cpu, WAIT_NS), 0);
	EXPECT_EQ(t, add_thread(task, (int)cpu, code_at(user_count), OTHER), 0);
	task_end(task, TASK_KILLED, 0);
	fault_hang_end(&hang);
	expect_end(t, task, TASK_KILLED, 0);
	EXPECT_EQ(t, *(u64 *)page_address(page), 0);
	mem_unpin_page(&kernel_memory, page);
	vm_object_put(object);
}

/* Several times: an interrupt may come just before the first instruction of a thread that runs. */
static void add_and_end(void *arg)
{
	struct ktest *t = arg;
	unsigned i;

	for (i = 0; i < 8 && !t->failures; i++)
		add_and_end_one(t);
}

KTEST(thread_of_an_ended_task_never_runs)
{
	if (needs_two(t))
		ktest_on_cpu(0, add_and_end, t);
}

/* ---- user memory ---- */

/* A copy may reach user memory's last byte; even one of 0 bytes needs a user address. */
KTEST(user_memory_ends_at_its_last_byte)
{
	struct task *task = NEED(t, new_task(t));
	struct vm_object *object;
	u64 word = 0x0123456789abcdef, back = 0;

	object = NEED(t, map_page(task, USER_END - PAGE_SIZE, VM_READ | VM_WRITE, NULL, 0));
	vm_object_put(object);
	space_use(task->space);
	EXPECT_EQ(t, copy_to_user(USER_END - 8, &word, 8), 0);
	EXPECT_EQ(t, copy_from_user(&back, USER_END - 8, 8), 0);
	EXPECT_EQ(t, back, word);
	EXPECT_EQ(t, copy_to_user(USER_END - 7, &word, 8), -EFAULT);
	EXPECT_EQ(t, copy_from_user(&back, USER_END - 7, 8), -EFAULT);
	EXPECT_EQ(t, copy_to_user(USER_END - 1, &word, 0), 0);
	EXPECT_EQ(t, copy_from_user(&back, USER_END - 1, 0), 0);
	EXPECT_EQ(t, copy_to_user(USER_END, &word, 0), -EFAULT);
	EXPECT_EQ(t, copy_from_user(&back, USER_END, 0), -EFAULT);
	space_use(NULL);
	task_abandon(task);
	task_put(task);
}

/* A copy moves words and then bytes; a missing page is faulted in by either part. */
KTEST(user_copies_of_each_length_are_exact)
{
	u64 at = USER_END - PAGE_SIZE, end = USER_END - 2 * PAGE_SIZE;
	struct task *task = NEED(t, new_task(t));
	struct vm_object *object;
	u8 out[32], in[32];
	unsigned len, i;

	object = NEED(t, map_page(task, at, VM_READ | VM_WRITE, NULL, 0));
	space_use(task->space);
	for (len = 0; len <= 24; len++) {
		/* A fault in the middle of the range brings the page in again. */
		EXPECT_EQ(t, vm_object_remove(object, 0, 1), 0);
		for (i = 0; i < sizeof(out); i++)
			out[i] = (u8)(len + i + 1);
		EXPECT_EQ(t, copy_to_user(at + 1, out, len), 0);
		memset(in, 0xee, sizeof(in));
		EXPECT_EQ(t, copy_from_user(in, at + 1, len), 0);
		EXPECT(t, !memcmp(in, out, len) && in[len] == 0xee);
		EXPECT_EQ(t, copy_from_user(in, at, sizeof(in)), 0);
		EXPECT(t, in[0] == 0 && in[1 + len] == 0);
		/* Nothing is mapped in front of the page, so the first byte or word faults. */
		EXPECT_EQ(t, copy_from_user(in, at - 1, len), len ? -EFAULT : 0);
		EXPECT_EQ(t, copy_to_user(end, out, len), len ? -EFAULT : 0);
	}
	space_use(NULL);
	vm_object_put(object);
	task_abandon(task);
	task_put(task);
}

/* A copy from a page that is not mapped fails, and does not bring it in. */
KTEST(user_copy_without_a_wait_serves_no_fault)
{
	u64 at = USER_END - PAGE_SIZE, word = 0x0123456789abcdef, back = 0;
	struct task *task = NEED(t, new_task(t));
	struct vm_object *object;

	object = NEED(t, map_page(task, at, VM_READ | VM_WRITE, NULL, 0));
	EXPECT_EQ(t, vm_object_remove(object, 0, 1), 0);
	space_use(task->space);
	EXPECT_EQ(t, copy_from_user_now(&back, at, 8), -EFAULT);
	EXPECT_EQ(t, vm_object_present(object), 0);
	EXPECT_EQ(t, copy_to_user(at, &word, 8), 0);
	EXPECT_EQ(t, copy_from_user_now(&back, at, 8), 0);
	EXPECT_EQ(t, back, word);
	EXPECT_EQ(t, copy_from_user_now(&back, USER_END - 7, 8), -EFAULT);
	EXPECT_EQ(t, copy_from_user_now(&back, at - 8, 8), -EFAULT);
	EXPECT_EQ(t, arch_preempt_count(), 0);
	space_use(NULL);
	vm_object_put(object);
	task_abandon(task);
	task_put(task);
}

size_t user_copy(void *dst, const void *src, size_t len); /* syscall_entry.S */

static void copy_there(void *arg)
{
	u64 word = 0;

	user_copy(arg, &word, sizeof(word));
}

/* A bad kernel address is a bug: the copy faults, not as for a program's address. */
KTEST(bad_kernel_side_of_a_user_copy_faults)
{
	EXPECT_EQ(t, arch_probe(copy_there, (void *)USER_END), -EFAULT);
	EXPECT_EQ(t, arch_probe(copy_there, (void *)ARCH_STACK_BASE), -EFAULT);
}
