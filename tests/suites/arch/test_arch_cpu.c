/* SPDX-License-Identifier: MIT */
/*
 * test_arch_cpu.c: every bit that a CPU's tables, control registers and APIC must have, before and
 * after the CPU was offline; and its interrupts.
 */
#include "tests/lib/hotplug_help.h"
#include "x86.h"
#include <quarry/acpi.h>
#include <quarry/errno.h>
#include <quarry/machine.h>
#include <quarry/mce.h>
#include <quarry/smp.h>
#include <quarry/user.h>

#define APIC_TPR        0x80u
#define APIC_SVR        0xf0u
#define APIC_ISR        0x100u
#define APIC_ICR_LOW    0x300u
#define APIC_ICR_HIGH   0x310u
#define APIC_LVT_LINT0  0x350u
#define APIC_LVT_LINT1  0x360u
#define APIC_LVT_ERROR  0x370u
#define APIC_TIMER_INIT 0x380u
#define APIC_TIMER_DIV  0x3e0u
#define LVT_STATUS      0x1000u /* the interrupt was sent, and is not accepted yet */

struct tss {
	u32 reserved0;
	u64 rsp[3], reserved1, ist[7], reserved2;
	u16 reserved3, iomap;
} __attribute__((packed));

struct gate {
	u16 offset0, selector;
	u8 ist, type;
	u16 offset1;
	u32 offset2, reserved;
};

/* Values that a CPU reads from its own registers. */
struct found {
	struct table_register gdtr, idtr;
	u16 tr, ldtr, cs;
	u64 cr0, cr4, dr7, kernel_sp;
	struct tss tss;
	void *ist_top[NR_IST];
	u64 star, lstar, fmask, efer, pat, fs, gs, kernel_gs, apic_base;
	u32 tpr, svr, timer, lint0, lint1, error, div, init, step, id, in_service;
};

static u32 in_service(void)
{
	u32 some = 0, i;

	for (i = 0; i < 8; i++)
		some |= apic_read(APIC_ISR + 16 * i);
	return some;
}

static struct tss *tss_of(const u64 *gdt)
{
	u64 low = gdt[SEL_TSS / 8];

	return (
	    struct tss *)((low >> 16 & 0xffffff) | (low >> 56) << 24 | gdt[SEL_TSS / 8 + 1] << 32);
}

static void find_apic(struct found *f)
{
	f->tpr = apic_read(APIC_TPR);
	f->svr = apic_read(APIC_SVR);
	f->timer = apic_read(APIC_LVT_TIMER) & ~LVT_STATUS;
	f->lint0 = apic_read(APIC_LVT_LINT0) & ~LVT_STATUS;
	f->lint1 = apic_read(APIC_LVT_LINT1) & ~LVT_STATUS;
	f->error = apic_read(APIC_LVT_ERROR) & ~LVT_STATUS;
	f->div = apic_read(APIC_TIMER_DIV);
	f->init = apic_read(APIC_TIMER_INIT);
	f->step = this_cpu()->tick_step;
	f->id = apic_id();
	f->in_service = in_service();
}

static void find(void *arg)
{
	struct found *f = arg;
	irqflags_t flags = arch_irq_save();
	unsigned i;

	__asm__ volatile("sgdt %0" : "=m"(f->gdtr));
	__asm__ volatile("sidt %0" : "=m"(f->idtr));
	__asm__ volatile("str %0" : "=m"(f->tr));
	__asm__ volatile("sldt %0" : "=m"(f->ldtr));
	__asm__ volatile("movw %%cs, %0" : "=m"(f->cs));
	__asm__ volatile("movq %%cr0, %0" : "=r"(f->cr0));
	__asm__ volatile("movq %%dr7, %0" : "=r"(f->dr7));
	f->cr4 = read_cr4();
	f->tss = *tss_of((const u64 *)f->gdtr.base);
	f->kernel_sp = (uintptr_t)this_cpu()->kernel_sp;
	for (i = 0; i < NR_IST; i++)
		f->ist_top[i] = cpu_ist_top(i + 1);
	f->star = rdmsr(MSR_STAR);
	f->lstar = rdmsr(MSR_LSTAR);
	f->fmask = rdmsr(MSR_FMASK);
	f->efer = rdmsr(MSR_EFER);
	f->pat = rdmsr(MSR_PAT);
	f->fs = rdmsr(MSR_FS_BASE);
	f->gs = rdmsr(MSR_GS_BASE);
	f->kernel_gs = rdmsr(MSR_KERNEL_GS_BASE);
	f->apic_base = rdmsr(MSR_APIC_BASE);
	find_apic(f);
	arch_irq_restore(flags);
}

/* ---- tables ---- */

static void expect_gdt(struct ktest *t, const struct found *f)
{
	const u64 *gdt = (const u64 *)f->gdtr.base;

	EXPECT_EQ(t, f->gdtr.limit, 7 * 8 - 1);
	EXPECT_EQ(t, gdt[0], 0);
	/* All bits except "accessed" are compared. */
	EXPECT_EQ(t, gdt[SEL_KERNEL_CODE / 8] & ~(1UL << 40), 0x00af9a000000ffff);
	EXPECT_EQ(t, gdt[SEL_KERNEL_DATA / 8] & ~(1UL << 40), 0x00cf92000000ffff);
	EXPECT_EQ(t, gdt[SEL_USER_DATA / 8] & ~(1UL << 40), 0x00cff2000000ffff);
	EXPECT_EQ(t, gdt[SEL_USER_CODE / 8] & ~(1UL << 40), 0x00affa000000ffff);
	EXPECT_EQ(t, gdt[SEL_TSS / 8] & 0x00ffff000000ffff, 0x00008b0000000067); /* busy */
	EXPECT_EQ(t, f->tr, SEL_TSS);
	EXPECT_EQ(t, f->ldtr, 0);
	EXPECT_EQ(t, f->cs, SEL_KERNEL_CODE);
}

static void expect_tss(struct ktest *t, const struct found *f)
{
	u64 end = f->tss.ist[0];
	unsigned i;

	EXPECT_EQ(t, f->tss.rsp[0], f->kernel_sp);
	EXPECT_EQ(t, f->tss.rsp[1] | f->tss.rsp[2], 0);
	EXPECT_EQ(t, f->tss.iomap, sizeof(f->tss));
	EXPECT_EQ(t, end % 16, 0);
	for (i = 0; i < ARRAY_SIZE(f->tss.ist); i++)
		EXPECT_EQ(t, f->tss.ist[i], i < NR_IST ? end + i * IST_STACK_SIZE : 0);
	for (i = 0; i < NR_IST; i++)
		EXPECT_EQ(t, (uintptr_t)f->ist_top[i], f->tss.ist[i]);
}

static void expect_idt(struct ktest *t, const struct table_register *idtr)
{
	const struct gate *idt = (const struct gate *)idtr->base;
	unsigned i;

	EXPECT_EQ(t, idtr->limit, 256 * 16 - 1);
	for (i = 0; i < 256; i++) {
		const struct gate *g = &idt[i];
		uintptr_t at =
		    g->offset0 | (uintptr_t)g->offset1 << 16 | (uintptr_t)g->offset2 << 32;

		EXPECT_EQ(t, at,
		    i == VEC_NMI      ? (uintptr_t)nmi_entry
		        : i == VEC_DF ? (uintptr_t)df_entry
		        : i == VEC_MC ? (uintptr_t)mc_entry
		                      : (uintptr_t)trap_stubs + i * TRAP_STUB_SIZE);
		EXPECT_EQ(t, g->ist,
		    i == VEC_NMI      ? IST_NMI
		        : i == VEC_DF ? IST_DF
		        : i == VEC_MC ? IST_MC
		                      : 0);
		EXPECT_EQ(t, g->selector, SEL_KERNEL_CODE);
		EXPECT_EQ(t, g->type, 0x8e);
		EXPECT_EQ(t, g->reserved, 0);
	}
}

/* ---- registers ---- */

static u64 wanted_cr4(void)
{
	struct cpuid_regs one = cpuid(1, 0),
	                  seven = cpuid(0, 0).eax >= 7 ? cpuid(7, 0) : (struct cpuid_regs){0};
	u64 cr4 = 0x6a0; /* PAE, PGE, OSFXSR, OSXMMEXCPT */

	cr4 |= one.edx >> 7 & 1 ? 0x40 : 0;                               /* MCE */
	cr4 |= one.ecx >> 26 & 1 && cpuid(0, 0).eax >= 0xd ? 0x40000 : 0; /* OSXSAVE */
	cr4 |= seven.ecx >> 2 & 1 ? 0x800 : 0;                            /* UMIP */
	cr4 |= seven.ebx >> 7 & 1 ? 0x100000 : 0;                         /* SMEP */
	return cr4 | (seven.ebx >> 20 & 1 ? 0x200000 : 0);                /* SMAP */
}

static void expect_registers(struct ktest *t, const struct found *f, unsigned cpu)
{
	EXPECT_EQ(t, f->cr0, 0x80010033);
	EXPECT_EQ(t, f->cr4, wanted_cr4());
	EXPECT_EQ(t, f->dr7, 0x400);
	EXPECT_EQ(t, f->efer & 0xd01, 0xd01); /* NXE, LMA, LME, SCE */
	if (cpuid(1, 0).edx >> 16 & 1)
		EXPECT_EQ(t, f->pat, 0x0007040600070106);
	EXPECT_EQ(t, f->star, 0x0013000800000000); /* the RPL too: AMD's SYSRET adds none */
	EXPECT_EQ(t, f->lstar, (uintptr_t)syscall_entry);
	EXPECT_EQ(t, f->fmask, 0x47700);
	EXPECT_EQ(t, f->fs, 0);
	EXPECT_EQ(t, f->gs, (uintptr_t)cpus[cpu]);
	EXPECT_EQ(t, f->kernel_gs, 0);
	EXPECT_EQ(t, (uintptr_t)cpus[cpu]->self, (uintptr_t)cpus[cpu]);
	EXPECT_EQ(t, cpus[cpu]->id, cpu);
	EXPECT_EQ(t, arch_has_smep(), f->cr4 >> 20 & 1);
	EXPECT_EQ(t, arch_has_smap(), f->cr4 >> 21 & 1);
	EXPECT_EQ(t, arch_has_xsave(), f->cr4 >> 18 & 1);
}

static void expect_apic(struct ktest *t, const struct found *f, unsigned cpu)
{
	EXPECT_EQ(t, f->id, cpus[cpu]->apic_id);
	EXPECT(t, f->id <= apic_max_id());
	EXPECT_EQ(t, f->apic_base & 0x800, 0x800);
	EXPECT_EQ(t, f->apic_base & 0x400, apic_max_id() == X2APIC_MAX_ID ? 0x400 : 0);
	EXPECT_EQ(t, f->tpr, 0);
	EXPECT_EQ(t, f->svr & 0x1ff, 0x1ff);
	EXPECT_EQ(t, f->timer, 0x20000 | VEC_TIMER); /* periodic */
	EXPECT_EQ(t, f->lint0 & 0x10000, 0x10000);   /* masked */
	EXPECT_EQ(t, f->lint1, 0x400);               /* NMI */
	EXPECT_EQ(t, f->error & 0x10000, 0x10000);
	EXPECT_EQ(t, f->div, 3);
	EXPECT(t, f->step > 0);
	EXPECT_EQ(t, f->init, (u32)(clock_apic_hz / 100) * f->step);
	EXPECT_EQ(t, f->in_service, 0);
}

static struct found found[64];

static void expect_all_of(struct ktest *t, unsigned cpu)
{
	struct found *f = &found[cpu];

	ktest_on_cpu(cpu, find, f);
	expect_gdt(t, f);
	expect_tss(t, f);
	expect_registers(t, f, cpu);
	expect_apic(t, f, cpu);
	EXPECT_EQ(t, f->idtr.base, found[0].idtr.base);
}

KTEST_SUITE(arch_cpu, 0);

/* No two CPUs share a table or a stack.  A CPU that was offline sets all its bits again. */
KTEST_INSIDE(every_cpu_sets_its_feature_bits)
{
	unsigned nr = MIN(ktest_cpus(), (unsigned)ARRAY_SIZE(found)), cpu, other;

	for (cpu = 0; cpu < nr; cpu++)
		expect_all_of(t, cpu);
	expect_idt(t, &found[0].idtr);
	for (cpu = 0; cpu < nr; cpu++) {
		for (other = 0; other < cpu; other++) {
			u64 apart = found[cpu].tss.ist[0] - found[other].tss.ist[0];

			EXPECT(t, found[cpu].gdtr.base != found[other].gdtr.base);
			EXPECT(t,
			    apart >= NR_IST * IST_STACK_SIZE && -apart >= NR_IST * IST_STACK_SIZE);
		}
	}
	for (cpu = 1; cpu < nr && nr_cpus_online() == nr_boot_cpus; cpu++) {
		EXPECT_EQ(t, cpu_down(cpu), 0);
		EXPECT_EQ(t, cpu_up(cpu), 0);
		expect_all_of(t, cpu);
	}
}

/* @arg: the selector for SYSENTER that a CPU has after its start. */
static void start_again(void *arg)
{
	irqflags_t flags = arch_irq_save();

	wrmsr(MSR_SYSENTER_CS, SEL_KERNEL_CODE);
	user_init_cpu();
	*(u64 *)arg = rdmsr(MSR_SYSENTER_CS);
	arch_irq_restore(flags);
}

/* Firmware may have left an entry: then SYSENTER in ring 3 would reach ring 0 there. */
KTEST(the_firmware_leaves_no_entry_for_sysenter)
{
	unsigned cpu;
	u64 selector;

	for (cpu = 0; cpu < ktest_cpus(); cpu++) {
		ktest_on_cpu(cpu, start_again, &selector);
		EXPECT_EQ(t, selector, 0);
	}
}

/* ---- places ---- */

/* The kernel's data about @cpu agrees with the MADT and the SRAT. */
static void expect_place(struct ktest *t, unsigned cpu)
{
	const struct cpu *c = cpus[cpu];
	unsigned i;

	for (i = 0; i < acpi.nr_cpus && acpi.cpu[i].apic_id != c->apic_id; i++)
		;
	REQUIRE(t, i < acpi.nr_cpus);
	EXPECT_EQ(t, acpi.cpu[i].enabled, cpu < nr_boot_cpus);
	EXPECT_EQ(t, c->node, acpi.cpu[i].node);
	EXPECT_EQ(t, arch_cpu_node(cpu), acpi.cpu[i].node);
	REQUIRE(t, c->apic_id < ap_nr_slots);
	if (cpu) {
		EXPECT(t,
		    ap_slots[c->apic_id].cpu == c &&
		        ap_slots[c->apic_id].stack_top == c->boot_stack_top);
		EXPECT_EQ(t, ((uintptr_t)c->boot_stack_top - ARCH_STACK_BASE) % 32768, 0);
	}
}

KTEST_INSIDE(every_cpu_has_a_slot_and_stack_of_its_own)
{
	unsigned cpu, other, used = 0;
	u32 id, largest = 0;

	for (cpu = 0; cpu < nr_cpus; cpu++) {
		expect_place(t, cpu);
		largest = MAX(largest, cpus[cpu]->apic_id);
		for (other = 0; other < cpu; other++)
			EXPECT(t,
			    cpus[cpu]->apic_id != cpus[other]->apic_id &&
			        cpus[cpu]->boot_stack_top != cpus[other]->boot_stack_top);
	}
	EXPECT_EQ(t, ap_nr_slots, largest + 1);
	for (id = 0; id < ap_nr_slots; id++)
		used += ap_slots[id].cpu != NULL;
	EXPECT_EQ(t, used, nr_cpus - 1);
}

/* ---- interrupts ---- */

/* Each interrupt is acknowledged: afterwards none is in service, and its handler has returned. */
static void send_each(void *arg)
{
	static const u8 vectors[] = {VEC_KICK, VEC_CALL, VEC_TIMER, VEC_SERIAL, VEC_PCI, VEC_SCI,
	    VEC_KEYBOARD, VEC_MCE, 0x60, NR_EXCEPTION};
	struct ktest *t = arg;
	unsigned i;

	for (i = 0; i < ARRAY_SIZE(vectors); i++) {
		irqflags_t flags;
		u64 ticks;

		preempt_disable();
		flags = arch_irq_save();
		ticks = this_cpu()->ticks + this_cpu()->tick_step;
		apic_send_self(vectors[i]);
		EXPECT(t, arch_irqs_pending());
		arch_irq_restore(flags);
		cpu_relax();
		flags = arch_irq_save();
		EXPECT_EQ(t, in_service(), 0);
		EXPECT_EQ(t, this_cpu()->irq_depth, 0);
		EXPECT(t, vectors[i] != VEC_TIMER || this_cpu()->ticks >= ticks);
		arch_irq_restore(flags);
		preempt_enable();
	}
}

KTEST(every_interrupt_is_acknowledged, .reports = ": unexpected interrupt, vector")
{
	unsigned cpu;

	for (cpu = 0; cpu < ktest_cpus(); cpu++)
		ktest_on_cpu(cpu, send_each, t);
}

static void wait_for_nothing(void *arg)
{
	bool *nothing = arg;
	unsigned i;

	for (i = 0; i < 1000 && !*nothing; i++) {
		irqflags_t flags = arch_irq_save();

		*nothing = !arch_irqs_pending();
		arch_irq_restore(flags);
	}
}

KTEST(without_an_interrupt_none_is_pending)
{
	bool nothing = false;

	ktest_on_cpu(0, wait_for_nothing, &nothing);
	EXPECT(t, nothing);
}

static void expect_sent(struct ktest *t, u32 dest, u32 low)
{
	EXPECT_EQ(t, apic_read(APIC_ICR_LOW) & ~LVT_STATUS, low);
	if (apic_max_id() == XAPIC_MAX_ID)
		EXPECT_EQ(t, apic_read(APIC_ICR_HIGH), dest << 24);
}

static void send_some(void *arg)
{
	unsigned cpu = ktest_cpus() - 1;
	u64 calls = READ_ONCE(cpus[cpu]->calls), kicks = READ_ONCE(cpus[cpu]->kicks);
	irqflags_t flags = arch_irq_save();
	struct ktest *t = arg;

	arch_ipi_kick(cpu);
	expect_sent(t, cpus[cpu]->apic_id, 0x4042);
	arch_ipi_call(cpu);
	expect_sent(t, cpus[cpu]->apic_id, 0x4040);
	apic_send_self(VEC_KICK); /* the destination stays as it is */
	expect_sent(t, cpus[cpu]->apic_id, 0x44042);
	EXPECT(t, !arch_irqs_enabled());
	arch_irq_restore(flags);
	EXPECT(t, READ_ONCE(cpus[cpu]->calls) > calls);
	EXPECT(t, READ_ONCE(cpus[cpu]->kicks) > kicks);
}

KTEST_INSIDE(interrupts_are_sent_to_the_right_cpus_and_counted)
{
	ktest_on_cpu(0, send_some, t);
}

/* ---- FPU registers, names ---- */

KTEST(a_new_program_has_a_clean_fpu)
{
	u8 *fpu = NEED(t, arch_fpu_alloc());
	unsigned i, set = 0;

	EXPECT_EQ(t, (uintptr_t)fpu % 64, 0);
	EXPECT_EQ(t, *(u16 *)(void *)fpu, 0x037f);
	EXPECT_EQ(t, *(u32 *)(void *)(fpu + 24), 0x1f80);
	for (i = 0; i < 512; i++)
		set += fpu[i] != 0;
	EXPECT_EQ(t, set, 4);
	kfree(fpu);
}

KTEST(exceptions_have_names)
{
	EXPECT_EQ(t, strcmp(exception_text(0), "divide error"), 0);
	EXPECT_EQ(t, strcmp(exception_text(VEC_PF), "page fault"), 0);
	EXPECT_EQ(t, strcmp(exception_text(21), "control protection"), 0);
	EXPECT_EQ(t, strcmp(exception_text(22), "reserved"), 0);
	EXPECT_EQ(t, strcmp(exception_text(~0UL), "reserved"), 0);
}
