# SPDX-License-Identifier: MIT
"""Random seeds: a twentieth of `make soak TARGET=boots`."""
import random

import pytest

SEEDS = [random.SystemRandom().getrandbits(32) for _ in range(10)]


@pytest.mark.parametrize("index", range(len(SEEDS)))
def test_seed(passes, index):
    """What fails is run again with the seed that the message names."""
    run = passes(f"selftest=quick seed={SEEDS[index]:#x}", cpus=[1, 2, 4, 4, 8][index % 5], timeout=300)
    assert run.has(rf"\(seed {SEEDS[index]:#x}\)"), run.story()


def test_icount_is_deterministic(boot):
    """
    The same command under icount prints the same, byte for byte.  With slow idle ticks it would not: where all CPUs
    rest for long, QEMU goes on at its next timer, and which one that is depends on its own threads.
    """
    first, second = (boot("selftest=quick idle_tick=fast", icount=True, timeout=300) for _ in range(2))
    assert first.passed, first.story()
    assert first.text == second.text
