# SPDX-License-Identifier: MIT
"""Random seeds: a twentieth of `make soak TARGET=boots`."""
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

import qemu

SEEDS = [random.SystemRandom().getrandbits(32) for _ in range(10)]


@pytest.mark.parametrize("index", range(len(SEEDS)))
def test_seed(passes, index):
    """What fails is run again with the seed that the message names."""
    run = passes(f"selftest=quick seed={SEEDS[index]:#x}", cpus=[1, 2, 3, 4, 4][index % 5], timeout=300)
    assert run.has(rf"\(seed {SEEDS[index]:#x}\)"), run.story()


def test_icount_is_deterministic(name):
    """
    The same command under icount prints the same, byte for byte.  With slow idle ticks it would not: where all CPUs
    rest for long, QEMU goes on at its next timer, and which one that is depends on its own threads.
    """
    words = "selftest=quick idle_tick=fast tour=off monitor=off"
    machine = qemu.Machine(icount=True, timeout=600)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda n: machine.run(f"{name}-{n}", words), (1, 2))
    assert first.passed, first.story()
    assert first.text == second.text
