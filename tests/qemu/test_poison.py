# SPDX-License-Identifier: MIT
"""Memory that breaks: the suites, and under load. test_monitor.py has it at the prompt."""
import re

import pytest

import soak
from conftest import numbers


@pytest.mark.parametrize("cpus", [1, 2, 4])
def test_suites(passes, cpus):
    """Run the suites about each state of a broken page, with programs that lose memory."""
    run = passes(
        "selftest=poison,poison_states,poison_standby,poison_vm,poison_object,"
        "poison_race,poison_task",
        cpus=cpus,
        mem=512,
        programs=True,
    )
    run.says("^ok 7 ")
    # Two tasks end: one has no handler, and the handler of the other refuses.
    lost = r"^task \d+ lost: page fault: read of 0000000030000000: lost, its memory broke$"
    assert len(re.findall(lost, run.text, re.M)) == 2, run.story()


@pytest.mark.parametrize("machine", [dict(cpus=4, mem=256), dict(cpus=4, nodes=[128, 128])])
def test_under_load(passes, machine):
    """After random requests under load, the flagged pages are those that the answers named."""
    run = passes("selftest=none poison=400", tour=None, **machine)
    flagged, listed = numbers(run, r"^poison: (\d+) pages flagged, on the list (\d+); ")
    assert flagged == listed > 50, run.story()
    assert run.text.count("\npoison: 250 of 400 requests, ") == 1, run.story()
    counts = numbers(
        run,
        r"^poison: soft (\d+) done, (\d+) refused; hard (\d+) retired, (\d+) delayed, (\d+) "
        r"ignored, (\d+) refused; (\d+) taken back$",
    )
    # An unpoison of no page, or of a page in use, is not counted; a flagged page may be requested
    # again.
    assert 370 <= sum(counts) <= 400, run.story()
    done = counts[0] + counts[2] + counts[3] + counts[4] - counts[6]
    assert 0 <= done - flagged <= 20, run.story()
    lost, met, *others = numbers(
        run,
        r"^poison: (\d+) pages lost, (\d+) met by their users, 0 wrong; (\d+) reclaimed, (\d+) "
        r"moved, (\d+) offlines, \d+ refused, (\d+) downs, \d+ ups; stress made (\d+) operations$",
    )
    assert not soak.complaints("poison", run, 400), run.story()
    assert met <= lost and lost > 0 and all(others), run.story()
