# SPDX-License-Identifier: MIT
"""Random seeds: with those of test_boot.py, a twentieth of `make soak TARGET=boots`."""
from concurrent.futures import ThreadPoolExecutor

import pytest

import conftest
import qemu
from conftest import full


@pytest.mark.parametrize(
    "cpus, machine",
    [full(2, {}), (3, {}), full(3, {"threads": "single"}), full(4, {"threads": "single"})],
)
def test_seed(passes, drawn, cpus, machine):
    """With FULL=1 two of the machines have a thread of the host for each CPU, as the machines by
    PVH in test_boot.py always have."""
    run = passes(f"selftest=most seed={drawn}", cpus=cpus, **machine)
    assert run.has(rf"\(seed {drawn}\)"), run.story()


def test_icount_is_deterministic(name):
    """The same command under icount prints the same, byte for byte. With slow idle ticks it would
    not: if all CPUs rest for long, QEMU goes on at its next timer, and QEMU's threads decide which
    timer that is. Without FULL=1 only suites run in which CPUs affect each other."""
    suites = "selftest=most" if conftest.whole() else conftest.CROWD
    words = f"{suites} idle_tick=fast tour=off monitor=off"
    machine = qemu.Machine(icount=True)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda n: machine.run(f"{name}-{n}", words), (1, 2))
    assert first.passed, first.story()
    assert first.text == second.text
