# SPDX-License-Identifier: MIT
"""Memory runs out on all CPUs (pressure=SEED): the cost of failed allocations, and the pages they
miss.  waiters.py: 64 threads touch pages being moved; with the right code every page moves in at
most 2 tries."""
import pytest

import pressure
import qemu
import race
import waiters
from conftest import full

BOOTS = "multi"  # memory runs out on all CPUs at the same time

CMDLINE = "selftest=none movable=0 pressure="


@pytest.mark.parametrize("cpus,icount", [full(1, False), (4, False), full(8, False), (8, True)])
def test_nothing_is_missed(passes, cpus, icount):
    """The figures are exact when all threads have stopped. A thread's last request failed after a
    drain of all CPUs, which came after the thread's last free. So at the end no page is cached, and
    no page is free above the watermark: all pages that could be allocated were, and the same seed
    gives the same numbers."""
    run = passes(CMDLINE + "0-2", cpus=cpus, icount=icount)
    lines = pressure.figures(run.text)
    assert sorted(lines) == [0, 1, 2], run.story()
    for line in lines.values():
        quiet = line["threads"] * (cpus // 4) // cpus
        assert (line["cpus"], line["threads"], len(line)) == (cpus, 4 * cpus, 22), line
        # A quiet thread's requests never fail; any other thread stops at its 16th failure.
        assert line["failed"] == (line["threads"] - quiet) * 16 and line["high_failed"] > 0, line
        assert line["from_alloc"] == 0 and line["calls"] > 0, line
        assert line["calls"] <= line["waits"], line  # one drain serves any number of waiters
        assert line["last_cached"] == line["last_free"] == 0, line
        # A request fails only beside pages that were cached while it was in progress.
        assert line["stale"] == line["first_stale"] == 0, line
        assert line["allocs"] >= line["first_allocs"] > 0, line
        assert 0.9 * line["pages"] < line["last_held"] <= line["pages"], line
        assert (
            0 < line["first_held"] + line["first_cached"] <= line["last_held"] + 8 * line["threads"]
        ), line
        assert line["peak_ipis"] <= line["ipis"], line
        if cpus == 1:
            assert line["ipis"] == 0, line
            # A CPU may switch from a thread that has requested a drain to another thread that
            # requests one: the same drain serves both.
            assert line["calls"] == line["waits"] or not icount, line
            # Each thread may have been preempted between taking a block and counting it.
            somewhere = line["first_held"] + line["first_free"] + line["first_cached"]
            assert abs(somewhere - line["last_held"]) <= 8 * line["threads"], line
    assert len({line["last_held"] for line in lines.values()}) == 1, lines


def test_zones_and_nodes(passes):
    """The machine has a zone that not every request may use, and two nodes' reclaim threads."""
    run = passes("selftest=none pressure=0x10", cpus=4, nodes=[96, 160])
    assert list(pressure.figures(run.text)) == [16], run.story()


@pytest.mark.full
def test_same_seed_same_figures(boot):
    """The same command under icount gives the same figures, and another seed gives others."""
    first, second, other = (boot(CMDLINE + seed, cpus=8, icount=True) for seed in "778")
    assert first.passed and other.passed, first.story() + other.story()
    assert pressure.figures(first.text) == pressure.figures(second.text)
    assert pressure.figures(first.text)[7] != {**pressure.figures(other.text)[8], "seed": 7}


WRONG = [p for p in pressure.POLICIES if p != pressure.RIGHT]


@pytest.mark.parametrize("policy", [WRONG[0], *map(full, WRONG[1:])])
def test_wrong_variants(policy):
    """The run finds the fault of each wrong policy, and no other fault."""
    kernel = pressure.kernel_of(qemu.BUILD, policy)
    assert kernel, f"{policy} does not build"
    line, why = pressure.run_one(kernel, policy, "icount-8", 1)
    assert not why, why
    assert [s for s in line["said"] for w in pressure.expected(policy) if s.startswith(w)], line
    # The reclaim threads make a few calls of their own, for requests that failed.
    own = line["calls"] - line["from_alloc"]
    assert 0 <= own < line["failed"] / 4, line
    if policy == "local":
        assert not line["from_alloc"] and line["first_cached"] > 0, line
    else:
        assert line["from_alloc"] == line["waits"] > 0, line
        assert line["last_cached"] == 0, line
    if policy == "all":
        assert 0 <= line["ipis"] - 7 * line["from_alloc"] <= 7 * own, line


# ---- waiters.py ----------------------------------------------------------------------------------
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
