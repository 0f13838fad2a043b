# SPDX-License-Identifier: MIT
"""The boots of `make soak` and their verdicts; and a fiftieth of TARGET=hotplug."""
import dataclasses

import pytest

import soak

BOOTS = "multi"  # CPUs go down while others call them


def test_cpus_come_and_go(passes):
    downs = soak.TARGETS["hotplug"].rounds // 100
    run = passes(f"selftest=none hotplug={downs}", cpus=8, mem=512)
    assert not soak.complaints("hotplug", run, 2 * downs), run.story()
    for old, new in (
        ("CPUs not online 0,", "CPUs not online 1,"),
        ("by such 0,", "by such 2,"),
        ("out of range 0", "out of range 1"),
        (f"hotplug: {downs} downs", "hotplug: 1 downs"),
        ("hotplug: IPIs", "hotplug: "),
    ):
        assert old in run.text, run.story()
        other = dataclasses.replace(run, text=run.text.replace(old, new))
        assert len(soak.complaints("hotplug", other, 2 * downs)) == 1, f"{old} -> {new}"


def test_suites_on_every_kind_of_machine():
    seen = set()
    for done in range(soak.TARGETS["suites"].rounds):
        cmdline, machine, worth = soak.plan("suites", 100, done, 5)
        assert worth == 1 and "selftest=all" in cmdline and "seed=0x5" in cmdline
        seen.add((machine.cpus, len(machine.nodes or [0]), machine.icount))
    assert seen == {
        (cpus, nodes, icount)
        for cpus in range(1, 9)
        for nodes in (1, 2, 3)
        for icount in (False, True)
    }


@pytest.mark.parametrize("target", sorted(soak.TARGETS))
def test_rounds_add_up(target):
    rounds, done = 7, 0
    while done < rounds:
        worth = soak.plan(target, rounds, done, 1)[2]
        assert worth > 0
        done += worth
    assert done - rounds < 2  # a down and its up count as two rounds
