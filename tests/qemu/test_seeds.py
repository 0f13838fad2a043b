# SPDX-License-Identifier: MIT
"""Random seeds: with those of test_boot.py, a twentieth of `make soak TARGET=boots`."""
from concurrent.futures import ThreadPoolExecutor

import pytest

import qemu


@pytest.mark.parametrize(
    "threads, cpus", [("multi", 2), ("multi", 3), ("single", 3), ("single", 4)]
)
def test_seed(passes, drawn, threads, cpus):
    run = passes(f"selftest=quick seed={drawn}", cpus=cpus, threads=threads)
    assert run.has(rf"\(seed {drawn}\)"), run.story()


def test_icount_is_deterministic(name):
    """
    The same command under icount prints the same, byte for byte.  With slow idle ticks it would
    not: where all CPUs rest for long, QEMU goes on at its next timer, and which one that is depends
    on its own threads.
    """
    words = "selftest=quick idle_tick=fast tour=off monitor=off"
    machine = qemu.Machine(icount=True, timeout=600)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda n: machine.run(f"{name}-{n}", words), (1, 2))
    assert first.passed, first.story()
    assert first.text == second.text
