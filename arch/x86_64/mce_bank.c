/* SPDX-License-Identifier: MIT */
/*
 * mce_bank.c: the machine-check registers of each CPU: reading, handing over, clearing.
 *
 * Owns:       MCG_* and MCi_*.
 * Locks:      none: each CPU has its own registers.  A machine check arrives anywhere, even with
 *             interrupts off or inside a critical section.  So the handler takes no lock, prints
 *             nothing and wakes no thread.  It hands over records and raises an interrupt, which
 *             arrives when it can.
 * Invariants: MCIP is cleared last: another machine check before that ends the machine.  After
 *             that, another one may arrive while the handler returns (trap_entry.S).
 *             If an error is fatal no bank has been cleared: the report shows all banks unchanged.
 * Tests:      play_mce, mce_bank, mce_cpu, tests/qemu/test_mce.py.
 */
#include <quarry/errno.h>
#include <quarry/machine.h>
#include <quarry/mce.h>
#include <quarry/port.h>

#include "x86.h"

#define CPUID_MCA   (1u << 14)  /* of leaf 1, EDX: banks that report machine checks */
#define CPUID_GUEST (1u << 31)  /* of leaf 1, ECX: a hypervisor runs the machine */
#define CPUID_MAKER 0x40000000u /* a leaf: in EBX how the maker of the hypervisor's name begins */
#define MAKER_TCG   0x54474354u /* "TCGT": QEMU itself executes the instructions */
#define ALL_ONES    (~0UL)

/* The same on all CPUs. */
static bool has_banks;
static u32 amd; /* as in mce_context */

static unsigned nr_banks(void)
{
	if (!has_banks)
		return 0;
	return MIN((unsigned)(rdmsr(MSR_MCG_CAP) & MCG_CAP_BANKS), MCE_MAX_BANKS);
}

static struct mce_bank read_bank(unsigned i)
{
	struct mce_bank b = {.status = rdmsr(MSR_MC0_STATUS + 4 * i)};

	KASSERT(i < nr_banks()); /* on a real machine reading any other bank faults */
	if (b.status & MCE_VAL && b.status & MCE_ADDRV)
		b.address = rdmsr(MSR_MC0_ADDR + 4 * i);
	if (b.status & MCE_VAL && b.status & MCE_MISCV)
		b.misc = rdmsr(MSR_MC0_MISC + 4 * i);
	return b;
}

static void print_bank(unsigned i, const struct mce_bank *b)
{
	char text[96];

	printk("  bank %u: status %016lx address %016lx misc %016lx: %s\n", i, b->status,
	    b->address, b->misc, mce_text(b->status, text, sizeof(text)));
}

void mce_print_banks(bool all)
{
	unsigned banks = nr_banks(), empty = 0;

	if (!banks) {
		printk("CPU %u: no banks\n", arch_cpu_id());
		return;
	}
	printk("CPU %u: MCG_CAP %#lx, MCG_STATUS %#lx%s%s%s\n", arch_cpu_id(), rdmsr(MSR_MCG_CAP),
	    rdmsr(MSR_MCG_STATUS), rdmsr(MSR_MCG_STATUS) & MCG_STATUS_RIPV ? " RIPV" : "",
	    rdmsr(MSR_MCG_STATUS) & MCG_STATUS_EIPV ? " EIPV" : "",
	    rdmsr(MSR_MCG_STATUS) & MCG_STATUS_MCIP ? " MCIP" : "");
	for (unsigned i = 0; i < banks; i++) {
		struct mce_bank b = read_bank(i);

		if (all || b.status & MCE_VAL)
			print_bank(i, &b);
		else
			empty++;
	}
	if (!all)
		printk("  %u of %u banks are empty\n", empty, banks);
}

u32 mce_amd_features(void)
{
	u32 features = MCE_AMD_OVERFLOW | MCE_AMD_SUCCOR | MCE_AMD_SMCA;

	if (!cpu_is_amd())
		return 0;
	if (cpuid(0x80000000, 0).eax < 0x80000007)
		return MCE_AMD;
	return MCE_AMD | (cpuid(0x80000007, 0).ebx & features);
}

static void find_features(void)
{
	u32 features = cpuid(1, 0).edx;

	has_banks = features & CPUID_MCE && features & CPUID_MCA;
	amd = mce_amd_features();
}

/* On old processors bank 0's control register is the platform's (SDM vol. 3B, 15.3.2.1). */
static bool may_enable_bank(unsigned i)
{
	u32 model = cpu_model();

	return i || cpuid(0, 0).ebx != VENDOR_INTEL || model < 0x600 || model >= 0x61a;
}

/*
 * Called before CR4.MCE is set (SDM vol. 3B, 15.8): the banks may hold errors from before the boot.
 */
void mce_init_cpu(void)
{
	unsigned banks;

	find_features();
	banks = nr_banks();
	if (banks && rdmsr(MSR_MCG_CAP) & MCG_CAP_CTL)
		wrmsr(MSR_MCG_CTL, ALL_ONES);
	for (unsigned i = 0; i < banks; i++) {
		struct mce_bank b = read_bank(i);

		if (b.status & MCE_VAL) {
			printk("mce: CPU %u: left from before the start:\n", arch_cpu_id());
			print_bank(i, &b);
		}
		if (may_enable_bank(i))
			wrmsr(MSR_MC0_CTL + 4 * i, ALL_ONES);
		wrmsr(MSR_MC0_STATUS + 4 * i, 0);
	}
}

/*
 * A parked CPU takes no interrupts, so it sends the interrupt to another CPU.  It uses its APIC
 * only in mce_parked: if that is interrupted, both interrupts go to the same CPU.
 */
static void raise_interrupt(void)
{
	unsigned other = 0;

	if (!mce_started())
		return; /* the thread checks the ring when it starts */
	if (READ_ONCE(this_cpu()->started) != STARTED_PARKED) {
		apic_send_self(VEC_MCE);
		return;
	}
	while (!cpumask_test(cpu_online_mask, other)) /* one CPU is always online */
		other++;
	apic_send(cpus[other]->apic_id, ICR_FIXED | VEC_MCE);
}

void mce_parked(void)
{
	if (arch_irqs_pending())
		raise_interrupt();
}

static struct mce_record bank_record(unsigned bank, const struct mce_bank *b,
    const struct mce_verdict *v, const struct mce_context *c, u64 ip)
{
	return (struct mce_record){
	    .pfn = v->pfn,
	    .ip = ip,
	    .status = b->status,
	    .cpu = arch_cpu_id(),
	    .bank = (u16)bank,
	    .severity = (u8)v->severity,
	    .ends = !(c->mcg_status & MCG_STATUS_RIPV),
	};
}

static const char *why_fatal(unsigned banks, const struct mce_context *c)
{
	bool required = false;

	for (unsigned i = 0; i < banks; i++) {
		struct mce_bank b = read_bank(i);
		struct mce_verdict v = mce_decode(&b, c);

		if (v.severity == MCE_FATAL)
			return v.why;
		required |= v.severity == MCE_REQUIRED;
	}
	return required || c->mcg_status & MCG_STATUS_RIPV
	    ? NULL
	    : "the interrupted code cannot go on (no RIPV)";
}

/*
 * Hand over the banks' errors, without clearing them: *@posted has a bit for each of these banks.
 * @hit: as in mce_exception.  Returns the reason to panic, or NULL.
 */
static const char *post_banks(
    unsigned banks, const struct mce_context *c, u64 ip, struct mce_record *hit, u32 *posted)
{
	for (unsigned i = 0; i < banks; i++) {
		struct mce_bank b = read_bank(i);
		struct mce_verdict v = mce_decode(&b, c);
		struct mce_record rec = bank_record(i, &b, &v, c, ip);

		if (v.severity == MCE_NOTHING)
			continue;
		*posted |= 1u << i;
		if (v.severity == MCE_REQUIRED && hit->severity != MCE_REQUIRED) {
			*hit = rec;
			if (c->from == MCE_FROM_USER)
				continue;
		}
		if (!mce_post(&rec))
			return "too many machine checks waiting";
	}
	return NULL;
}

/*
 * Clear the errors that were handed over, in the banks of @posted; a bank that had none then is
 * left to mce_poll.  Returns the number of them.
 */
static unsigned clear_banks(unsigned banks, const struct mce_context *c, u32 posted)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < banks; i++) {
		struct mce_bank b = read_bank(i);
		struct mce_verdict v = mce_decode(&b, c);

		if (!(posted >> i & 1) || v.severity == MCE_NOTHING)
			continue;
		counter_add(&mce_stats.found[v.severity], 1UL);
		wrmsr(MSR_MC0_STATUS + 4 * i, 0);
		nr++;
	}
	return nr;
}

const char *mce_exception(u64 ip, enum mce_from from, struct mce_record *hit)
{
	struct mce_context c = {.amd = amd, .from = from};
	unsigned banks = nr_banks();
	const char *why;
	u32 posted = 0;

	*hit = (struct mce_record){.severity = MCE_NOTHING};
	counter_add(&mce_stats.exceptions, 1UL);
	if (!banks)
		return "no bank reports it";
	c.cap = rdmsr(MSR_MCG_CAP);
	c.mcg_status = rdmsr(MSR_MCG_STATUS);
	why = why_fatal(banks, &c);
	/* Hand over all errors before any bank is cleared: a report must show all banks. */
	if (!why)
		why = post_banks(banks, &c, ip, hit, &posted);
	if (why)
		return why;
	if (!clear_banks(banks, &c, posted))
		counter_add(&mce_stats.found[MCE_NOTHING], 1UL);
	raise_interrupt();
	wrmsr(MSR_MCG_STATUS, 0);
	return NULL;
}

void mce_poll(void)
{
	struct mce_context c = {.mcg_status = MCG_STATUS_RIPV, .amd = amd, .polled = true};
	unsigned banks = nr_banks();
	bool found = false;

	for (unsigned i = 0; i < banks; i++) {
		struct mce_bank b = read_bank(i);
		struct mce_verdict v;
		struct mce_record rec;

		c.cap = rdmsr(MSR_MCG_CAP);
		v = mce_decode(&b, &c);
		rec = bank_record(i, &b, &v, &c, 0);
		/* If the record finds no space, the error stays in its bank. */
		if (v.severity == MCE_NOTHING || !mce_post(&rec))
			continue;
		counter_add(&mce_stats.found[v.severity], 1UL);
		wrmsr(MSR_MC0_STATUS + 4 * i, 0);
		found = true;
	}
	if (found)
		mce_wake();
}

bool mce_emulated(void)
{
	return cpuid(1, 0).ecx & CPUID_GUEST && cpuid(CPUID_MAKER, 0).ebx == MAKER_TCG;
}

int mce_inject(unsigned bank, const struct mce_bank *b, u64 mcg_status)
{
	/* No other code may use the bank before all of it is written. */
	KASSERT(!arch_irqs_enabled());
	if (bank >= nr_banks() || !mce_emulated())
		return -EOPNOTSUPP;
	wrmsr(MSR_MC0_ADDR + 4 * bank, b->address);
	wrmsr(MSR_MC0_MISC + 4 * bank, b->misc);
	wrmsr(MSR_MC0_STATUS + 4 * bank, b->status);
	if (mcg_status) {
		wrmsr(MSR_MCG_STATUS, mcg_status);
		__asm__ volatile("int $18" : : : "memory");
	}
	return 0;
}
