# SPDX-License-Identifier: MIT
"""Random seeds: with those of test_boot.py, a twentieth of `make soak TARGET=boots`."""
from concurrent.futures import ThreadPoolExecutor

import pytest

import conftest
import qemu
from conftest import full


@pytest.mark.parametrize(
    "cpus, machine",
    [(2, {}), (3, {}), full(3, {"threads": "single"}), full(4, {"threads": "single"})],
)
def test_seed(passes, drawn, cpus, machine):
    """With FULL=1 two of them have a thread of the host's for each CPU, as test_boot.py's by PVH
    always has."""
    run = passes(f"selftest=most seed={drawn}", cpus=cpus, **machine)
    assert run.has(rf"\(seed {drawn}\)"), run.story()


def test_icount_is_deterministic(name):
    """
    The same command under icount prints the same, byte for byte.  With slow idle ticks it would
    not: where all CPUs rest for long, QEMU goes on at its next timer, and which one that is depends
    on its own threads.  Without FULL=1 the suites about what CPUs do to each other.
    """
    suites = "selftest=most" if conftest.whole() else conftest.CROWD
    words = f"{suites} idle_tick=fast tour=off monitor=off"
    machine = qemu.Machine(icount=True)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda n: machine.run(f"{name}-{n}", words), (1, 2))
    assert first.passed, first.story()
    assert first.text == second.text
