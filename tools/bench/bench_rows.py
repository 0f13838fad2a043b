# SPDX-License-Identifier: MIT
"""The rows of `make bench`, by the group that measures them: one that is missing fails by its name.

Groups are those of bench/bench.c, and besides: "ring3" (user/bench.c), "hosted"
and "hosted_traces" (examples/plugin/compare.c).
"""
POLICIES = "redrain disable precise"

TRACES = "tar_gzip cc_build mixed_2cpu"
# Operations whose costs the plugin of bench_count.py counts.
COUNTED = "order0_pair put_page_pair order4_pair fill_order0 free_random_order0"

ROWS = {
    "memmap": "memmap_bytes_per_page",
    "pairs": "order0_pair order1_pair order2_pair order3_pair order4_pair put_page_pair",
    "batches": "batch64_pair batch4096_pair bulk64_alloc bulk64_free bulk512_alloc bulk512_free",
    "recorded": "trace_on_cost",
    "check": "check_memory_page",
    "drain": "drain_all_empty",
    "softfree": "soft_offline_free",
    "object": "object_hold",
    "offline": "offline_free_128m offline_free_128m_disable online_128m hotplug_hold",
    "largest": "order9_pair order9_pair_uncached",
    "fresh": "online_fresh_128m",
    "elsewhere": "free_elsewhere_pair",
    "wait": "wait_beside_255",
    "teardown": "teardown_mapped_page",
    "contig": "alloc_contig_2m alloc_contig_64m",
    "migrate": "shootdown_ipi_per_page soft_offline_mapped offline_mapped_page",
    "policies": " ".join(
        ["policy_none_pair policy_none_hits"]
        + [f"policy_{p}_{what}" for p in POLICIES.split() for what in ("pair", "hits")]
        + [f"policy_{p}_{what}" for p in POLICIES.split() for what in ("ipis", "time")]
    ),
    "fill": "second_zone_pair fill_order0 free_random_order0",
    "counted": " ".join(
        [f"{what}_{name}" for name in COUNTED.split() for what in ("locked", "lines", "code_lines")]
        + ["trace_off_cost zone_lock_held_pair zone_lock_taken_pair zone_lock_full_at"]
        + ["other_locks_held_pair relinks_pair isolate_fragmented"]
    ),
    "load": "irqs_off_max",
    "drainfull": "drain_full",
    "stranded": "stranded_255",
    "ring3": "null_syscall context_switch ipc_round_trip fault_anonymous fault_pager",
    "hosted_traces": " ".join(
        f"{whose}_fragmentation_{name}" for name in TRACES.split() for whose in ("hosted", "lifo")
    ),
    "hosted": "blocks_back_after_churn blocks_back_mixed hosted_pair hosted_bytes_per_page",
}


def of_group(name):
    """The rows of a group; none if the group is not listed, such as the group of a trace."""
    return ROWS.get(name, "").split()


def wrong(figures, expected):
    """A line for each row that was not measured, is in no group, or was measured twice."""
    have = [f["name"] for f in figures]
    lines = [f"{name}: missing: nothing measured it" for name in expected if name not in have]
    lines += [
        f"{name}: no group of bench_rows.py has it" for name in have if name not in expected
    ]
    return lines + [f"{name}: measured twice" for name in sorted(set(have)) if have.count(name) > 1]
