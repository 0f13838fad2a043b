# SPDX-License-Identifier: MIT
"""The suites of arch/x86_64 on unusual machines, each for a second or two."""
import pytest

FPU = "task_cpu.fpu_registers_are_each_threads_own"
MACHINES = {
    # No ACPI tables: one CPU, and only the oldest registers; only the first eight leaves of
    # CPUID.
    "no_tables": (
        dict(machine="pc,acpi=off", cpu="qemu64,level=7,+smep,+smap,+umip", cpus=2),
        "arch_cpu,arch_page,arch_full",
        1,
    ),
    # APIC ids 0 1 2 4 5 6; no XSAVE, SMEP, SMAP, nor pages of 1 GiB.
    "sparse": (
        dict(machine="pc", cpu="qemu64", cpus="6,sockets=2,cores=3", mem=3072),
        "arch_cpu,arch_fault,arch_full,arch_page,arch.calls_begin_with_clean_flags,"
        + FPU,
        6,
    ),
    # Free places for CPUs and memory, also beyond the first 512 GiB; pages of 1 GiB.
    "places": (
        dict(
            cpus="2,maxcpus=4",
            mem=3072,
            room=600 << 10,
            nodes=[2048, 1024],
            node_cpus=["0-1", "2-3"],
        ),
        "arch_cpu,arch_full,arch_page",
        2,
    ),
    # No machine checks, no PAT; XSAVE, but CPUID limited to fewer leaves than XSAVE has.
    "old": (
        dict(cpu="Nehalem,-x2apic,-mce,-mca,-pat,+xsave,level=0xb", cpus=2),
        "arch_cpu,arch_page,mce_cpu.every_cpu_enables_machine_checks",
        2,
    ),
}


@pytest.mark.parametrize("name_", MACHINES)
def test_machine(passes, name_):
    machine, suites, cpus = MACHINES[name_]
    run = passes("selftest=" + suites, icount=True, shift=3, **machine)
    nodes = "2 nodes" if "nodes" in machine else "1 node"
    assert run.has(rf"^machine: {cpus} CPUs? online of \d+, {nodes}, "), run.story()
