# SPDX-License-Identifier: MIT
"""Big machines: a terabyte of which only the used part costs, and 255 CPUs."""
import re

import conftest
import pytest
import qemu

TIB = 1 << 20  # MiB
RESIDENT_LIMIT = 64  # MiB that QEMU may have more than before the first instruction
CROWD_LIMIT = 20  # seconds of guest time for 255 CPUs: boot and suites
CYCLES_LIMIT = 1.5  # as a multiple of the cycles of a machine with 1 GiB
# With AMD's vendor and more RAM than fits below its hole, QEMU moves all high RAM to 1 TiB.
CPUS = {"moved": "max,phys-bits=46", "straight": "max,phys-bits=46,vendor=GenuineIntel"}


def resident(proc):
    """QEMU's resident memory on the host, in MiB."""
    with open(f"/proc/{proc.pid}/status", encoding="ascii") as f:
        return int(re.search(r"^VmRSS:\s+(\d+) kB", f.read(), re.MULTILINE).group(1)) / 1024


@pytest.fixture
def measure(name):
    """measure(**machine) -> (MiB resident, console), measured at the monitor's prompt, or at reset
    if @paused."""

    def run(suffix, paused=False, timeout=qemu.WATCHDOG, **machine):
        found = []

        def talk(qmp):
            if not paused:
                qmp.wait_for("^Type help", timeout=timeout)
            found.append(resident(qmp.proc))
            try:
                qmp("quit")
            except EOFError:
                pass

        machine = qemu.Machine(cpus=1, timeout=timeout, extra=["-S"] if paused else [], **machine)
        done = machine.run(f"{name}-{suffix}", "selftest=none tour=off monitor=on", talk=talk)
        return found[0], done

    return run


def cycles(run):
    return conftest.numbers(run, r"^boot: by \w+, (\d+) thousand cycles since")[0]


@pytest.mark.parametrize("map_", sorted(CPUS))
def test_terabyte(measure, report, map_):
    machine = {"cpu": CPUS[map_], "icount": True}
    _, small = measure("small", mem=1024, **machine)
    reset, _ = measure("reset", mem=TIB, paused=True, **machine)
    used, big = measure("big", mem=TIB, **machine)
    ratio = cycles(big) / cycles(small)
    report(
        f"1 TiB, {map_}: {used - reset:.0f} MiB more resident than at reset, {cycles(big)} "
        f"thousand instructions, {ratio:.2f} times those of 1 GiB"
    )
    assert used - reset <= RESIDENT_LIMIT, big.story()
    assert ratio <= CYCLES_LIMIT, big.story()


def test_terabyte_is_used(passes):
    """Standby memory comes online when it is needed; the suites pass on such a machine."""
    run = passes(
        "selftest=init,standby,memory_add,memory_span,offline,zone,oom", mem=TIB, cpu=CPUS["moved"]
    )
    run.says(r"^machine: 4 CPUs online of 4, 1 node, \d{4} MiB managed")


@pytest.mark.full
def test_255_cpus(passes, report):
    """The boot and the suites must end within CROWD_LIMIT. Without FULL=1 only suites run in which
    CPUs affect each other, and an instruction takes 4 ns, not 1, which makes the waits of the boot
    short for the host. The tour of test_run.py has offlines under each policy."""
    suites, shift = ("selftest=most", 0) if conftest.whole() else (conftest.CROWD, 2)
    run = passes(suites, cpus=255, mem=2048, icount=True, shift=shift)
    run.says("^machine: 255 CPUs online of 255,")
    (selftest,) = conftest.numbers(run, r"^# selftest: .*, (\d+) ms$")
    seconds = cycles(run) / 1e6 + selftest / 1e3
    report(f"255 CPUs: {seconds:.1f} s of the guest, {run.seconds:.0f} s")
    assert seconds <= CROWD_LIMIT, run.story()


@pytest.mark.parametrize("mib", [256, 600])
def test_standby_by_option(passes, mib):
    """The option standby= works on a smaller machine too."""
    run = passes(
        f"selftest=init,zone,offline,standby,poison_standby,reclaim standby={mib}", mem=8192
    )
    (managed,) = conftest.numbers(run, r"(\d+) MiB managed")
    assert 2048 + mib <= managed < 4096 + 2 * mib, run.story()
