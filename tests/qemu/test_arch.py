# SPDX-License-Identifier: MIT
"""Unusual machines, each for a second or two: the suites of arch/x86_64, the timers that calibrate
the clock (under icount an instruction takes 1 ns, so the frequencies are known), and the end of a
machine without QEMU's own exit, which powers off by ACPI, or stays on if the option says so."""
import pytest
import qemu
from conftest import without_exit

ASSUMED = "clock: no timer to measure by, 1 GHz assumed\n"

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
            cpus="2,maxcpus=4", mem=3072, room=600 << 10, nodes=[2048, 1024],
            node_cpus=["0-1", "2-3"],
        ),
        "arch_cpu,arch_full,arch_page",
        2,
    ),
    # No machine checks, no PAT; XSAVE, but CPUID limited to fewer leaves than XSAVE has.
    "old": (
        dict(cpu="Nehalem,-x2apic,-mce,-mca,-pat,+xsave,level=0xb", cpus=2),
        "arch_cpu,arch_page,mce_cpu.every_cpu_enables_machine_checks", 2,
    ),
}


@pytest.mark.parametrize("name_", MACHINES)
def test_machine(passes, name_):
    machine, suites, cpus = MACHINES[name_]
    run = passes("selftest=" + suites, icount=True, shift=3, **machine)
    nodes = "2 nodes" if "nodes" in machine else "1 node"
    run.says(rf"^machine: {cpus} CPUs? online of \d+, {nodes}, ")


@pytest.mark.parametrize(
    "machine, assumed",
    [
        ("q35", False),  # the power management timer
        ("pc,acpi=off", False),  # the interval timer: no tables, so no other timer is known
        ("microvm,acpi=off", True),  # neither timer can be read
    ],
)
def test_frequencies(boot, machine, assumed):
    run = boot("selftest=none", machine=machine, cpus=1, icount=True)
    said = r"^clock: TSC (999|1000) MHz, not invariant; APIC timer (999|1000) MHz$"
    assert run.passed and run.has(said), run.story()
    assert (ASSUMED in run.text) == assumed, run.story()


def test_assumed_rate_is_said_at_the_prompt(boot):
    """A machine without any timer of a known rate."""

    def look(qmp):
        qmp.wait_for("^clock: its rate was assumed")
        qmp("quit")

    machine = "microvm,pit=off,pic=off,rtc=off"
    run = boot("selftest=none", machine=machine, cpus=2, monitor="on", talk=look)
    assert ASSUMED in run.text and run.has("^quarry: PASS$"), run.story()


@pytest.fixture
def no_exit(monkeypatch):
    whole = qemu.Machine.command
    without = lambda self, *args, **kw: without_exit(whole(self, *args, **kw))
    monkeypatch.setattr(qemu.Machine, "command", without)


@pytest.mark.parametrize("machine", ["q35", "pc", "microvm"])
def test_power_goes_off(boot, no_exit, machine):
    run = boot("selftest=none", machine=machine)
    assert run.status == 0 and run.last == qemu.PASS_LINE, run.story()


def test_power_stays_on(boot, no_exit):
    seen = []

    def look(qmp):
        qmp.wait_for("^quarry: halted")
        seen.append(qmp("query-status")["status"])
        qmp("quit")

    run = boot("selftest=none poweroff=off", talk=look)
    assert seen == ["running"], run.story()
    run.says("^quarry: halted; the power may be switched off$")
