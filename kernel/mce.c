/* SPDX-License-Identifier: MIT */
/*
 * mce.c: the response to machine checks: a thread retires the broken pages.
 *
 * Owns:       the ring of records; its reader, the thread "mce"; the counts of corrected errors.
 * Locks:      none: the ring has one reader, the thread "mce", which alone writes the counts.
 * Invariants: for an uncorrected error the kernel acts or the machine stops: no record of such an
 *             error is dropped.  A thread that needs the damaged data acts itself
 *             (arch/x86_64/user.c), and waits for no other thread.
 *             Corrected errors never use the upper half of the ring.
 * Tests:      mce_cpu, mce_outside with tests/qemu/test_mce.py.
 */
#include <quarry/console.h>
#include <quarry/errname.h>
#include <quarry/errno.h>
#include <quarry/mce.h>
#include <quarry/poison.h>

struct mce_stats mce_stats;
static struct mce_ring ring;
static struct mce_pages corrected;
static struct waitq wq = WAITQ("mce");
static u32 started; /* atomic */

bool mce_post(const struct mce_record *rec)
{
	if (rec->severity != MCE_CORRECTED)
		return mce_ring_put(&ring, rec, 0);
	if (!mce_ring_put(&ring, rec, MCE_RING_SIZE / 2))
		counter_add(&mce_stats.lost, 1UL);
	return true;
}

void mce_wake(void)
{
	wake_up(&wq);
}

bool mce_started(void)
{
	return READ_ONCE(started);
}

static const char *outcome_text(enum poison_outcome outcome)
{
	switch (outcome) {
	case POISON_RECOVERED: return "out of use";
	case POISON_DELAYED: return "out of use with its last reference";
	case POISON_IGNORED: return "in use, until it is freed";
	case POISON_FAILED:
	default: return "nothing was done";
	}
}

/* Write the beginning of each line that this file prints. */
static void say_what(const struct mce_record *rec, char *buf, size_t size)
{
	if (rec->pfn == PFN_NONE)
		ksnprintf(buf, size, "mce: CPU %u bank %u: %s, no page", rec->cpu, rec->bank,
		    mce_severity_name(rec->severity));
	else
		ksnprintf(buf, size, "mce: CPU %u bank %u: %s, pfn %#lx", rec->cpu, rec->bank,
		    mce_severity_name(rec->severity), rec->pfn);
}

static void deal_corrected(const struct mce_record *rec, const char *what)
{
	/* MCE_OVER: at least two errors since the bank was last read. */
	unsigned nr = rec->status & MCE_OVER ? 2 : 1;
	int err;

	if (rec->pfn == PFN_NONE || !mce_count(&corrected, rec->pfn, nr, arch_clock_ns())) {
		printk("%s\n", what);
		return;
	}
	err = soft_offline_page(rec->pfn);
	if (err)
		printk("%s: number %u, but it cannot be moved: error %s\n", what, MCE_THRESHOLD,
		    errno_name(err));
	else
		printk("%s: number %u: out of use\n", what, MCE_THRESHOLD);
}

static bool deal_uncorrected(const struct mce_record *rec, const char *what)
{
	struct poison_result res;
	int err;

	if (rec->pfn == PFN_NONE) {
		printk("%s: nothing was done\n", what);
		return false;
	}
	err = memory_failure(rec->pfn, FAILURE_MACHINE_CHECK, &res);
	if (err == -EHWPOISON)
		printk("%s: reported before\n", what);
	else if (res.standby)
		printk("%s: standby memory; out of use, with all of its pageblock\n", what);
	else if (err == -ENXIO)
		printk("%s: not memory in use\n", what);
	else
		printk("%s: page was %s; %s%s\n", what, page_state_name(res.state),
		    outcome_text(res.outcome), res.lost ? "; its content is lost" : "");
	return res.outcome == POISON_RECOVERED || res.outcome == POISON_DELAYED ||
	    (err == -EHWPOISON && res.state == PG_HWPOISON);
}

bool mce_deal(const struct mce_record *rec)
{
	bool gone = true;
	char what[96];

	say_what(rec, what, sizeof(what));
	if (rec->severity == MCE_CORRECTED)
		deal_corrected(rec, what);
	else
		gone = deal_uncorrected(rec, what);
	counter_add(&mce_stats.dealt, 1UL);
	return gone;
}

static bool has_work(void *arg)
{
	return mce_ring_ready(&ring);
}

static void deal_with_all(void *arg)
{
	struct mce_record rec;

	WRITE_ONCE(started, 1u);
	for (;;) {
		while (mce_ring_get(&ring, &rec))
			mce_deal(&rec);
		wait_until(&wq, has_work, NULL, WAIT_FOREVER);
	}
}

int mce_start(void)
{
	return thread_start("mce", -1, deal_with_all, NULL) ? 0 : -ENOMEM;
}

static void print_here(void *arg)
{
	mce_print_banks(false);
}

/*
 * Print the banks of one CPU after the other, so that lines do not mix; no CPU may go offline
 * meanwhile.
 */
void mce_show(void)
{
	cpumask_t *mask = kmalloc(CPUMASK_WORDS(nr_cpus) * sizeof(*mask));
	unsigned i;

	if (!mask) {
		printk("mce: no memory\n");
		return;
	}
	rwsem_lock_shared(&cpu_hotplug);
	for (i = 0; i < nr_cpus; i++) {
		if (!cpumask_test(cpu_online_mask, i))
			continue;
		cpumask_set(mask, i);
		smp_call_mask(mask, print_here, NULL);
		cpumask_clear(mask, i);
	}
	rwsem_unlock_shared(&cpu_hotplug);
	kfree(mask);
	printk("machine checks: %lu\n  found:", READ_ONCE(mce_stats.exceptions));
	for (i = MCE_CORRECTED; i < MCE_FATAL; i++)
		printk("%s %s %lu", i == MCE_CORRECTED ? "" : ",", mce_severity_name(i),
		    READ_ONCE(mce_stats.found[i]));
	printk("\n  of others %lu; corrected ones lost %lu\n",
	    READ_ONCE(mce_stats.found[MCE_NOTHING]), READ_ONCE(mce_stats.lost));
	printk("ring: %u records waiting, %lu dealt with\n",
	    READ_ONCE(ring.head) - READ_ONCE(ring.tail), READ_ONCE(mce_stats.dealt));
}
