# SPDX-License-Identifier: MIT
"""waiters.py: 64 threads touch pages being moved. With the right code every page moves in at
most 2 tries."""
import pytest
import qemu
import race
import waiters
from conftest import full

LINE = (
    "waiters: phase={} threads=64 moves=8 moved={} failed={} try1={} try2=0 try3={} later=0 "
    "retries=0 waits=8 "
    "touches=8 errors=0 stuck={} instructions=1000\n"
)


@pytest.fixture(scope="module")
def kernel():
    return lambda ident: race.build_one(qemu.BUILD, ident, ["icount", "mttcg"])["mttcg"]


@pytest.mark.parametrize("engine", [full("icount"), "mttcg"])
def test_right_code_moves_every_page_in_two_tries(kernel, engine):
    got, found = waiters.outcome(waiters.run_one(kernel("none"), "none", engine))
    assert got == waiters.RIGHT and list(found) == ["storm", "late", "hammer"], found
    for figure in found.values():
        assert figure["threads"] == 64 and figure["moved"] == figure["moves"] > 0
        assert figure["try1"] + figure["try2"] == figure["moves"] and figure["waits"] > 0


@pytest.mark.full
def test_waiters_with_references_block_the_migration(kernel):
    got, found = waiters.outcome(waiters.run_one(kernel("M20"), "M20", "icount"))
    assert got == waiters.DIVERGES and found["storm"]["moved"] == 0, found
    assert found["storm"]["retries"] == 9 * found["storm"]["moves"]


class Run:
    def __init__(self, text, passed=True):
        self.text, self.passed = text, passed


def phases(*rest):
    return "".join(LINE.format(phase, *rest) for phase in ("storm", "late", "hammer"))


@pytest.mark.parametrize(
    "text, expected",
    [
        (phases(8, 0, 8, 0, 0), waiters.RIGHT),
        (phases(7, 1, 7, 0, 0), waiters.DIVERGES),
        (phases(8, 0, 7, 1, 0), waiters.SLOW),
        (phases(8, 0, 8, 0, 3), waiters.SLEEPS),
        (
            phases(8, 0, 8, 0, 0)
            + "waiters: late: FAIL: I-S1 word of a cached head: at 0x1: 1, should be 0\n",
            waiters.CORRUPTS,
        ),
        (LINE.format("storm", 8, 0, 8, 0, 0) + "PANIC\n", waiters.CORRUPTS),
        (LINE.format("storm", 8, 0, 8, 0, 0), "no figures"),
        ("", "no figures"),
    ],
)
def test_outcome(text, expected):
    assert waiters.outcome(Run(text))[0] == expected
