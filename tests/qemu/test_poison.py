# SPDX-License-Identifier: MIT
"""Memory that breaks: the suites, and under load. test_monitor.py has it at the prompt."""
import re

import pytest

import soak


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
    assert run.has("^ok 7 "), run.story()
    # Two tasks end: one has no handler, and the handler of the other refuses.
    assert (
        len(
            re.findall(
                r"^task \d+ lost: page fault: read of 0000000030000000: lost, its memory broke$",
                run.text,
                re.M,
            )
        )
        == 2
    ), run.story()


@pytest.mark.parametrize("machine", [dict(cpus=4, mem=256), dict(cpus=4, nodes=[128, 128])])
def test_under_load(boot, machine):
    """After random requests under load, the flagged pages are those that the answers named."""
    run = boot("selftest=none poison=400", tour=None, **machine)
    assert run.passed, run.story()
    found = re.search(r"^poison: (\d+) pages flagged, on the list (\d+); ", run.text, re.M)
    assert found and found.group(1) == found.group(2) and int(found.group(1)) > 50, run.story()
    assert run.text.count("\npoison: 250 of 400 requests, ") == 1 and run.last.endswith(
        "PASS"
    ), run.story()
    done = re.search(
        r"^poison: soft (\d+) done, (\d+) refused; hard (\d+) retired, (\d+) delayed, (\d+) "
        r"ignored, (\d+) refused; "
        r"(\d+) taken back$",
        run.text,
        re.M,
    )
    counts = list(map(int, done.groups()))
    # An unpoison of no page, or of a page in use, is not counted; a flagged page may be requested
    # again.
    assert 370 <= sum(counts) <= 400, run.story()
    assert (
        0 <= counts[0] + counts[2] + counts[3] + counts[4] - counts[6] - int(found.group(1)) <= 20
    ), run.story()
    load = re.search(
        r"^poison: (\d+) pages lost, (\d+) met by their users, 0 wrong; (\d+) reclaimed, (\d+) "
        r"moved, (\d+) offlines, "
        r"\d+ refused, (\d+) downs, \d+ ups; stress made (\d+) operations$",
        run.text,
        re.M,
    )
    assert load and not soak.complaints("poison", run, 400), run.story()
    lost, met, *others = map(int, load.groups())
    assert met <= lost and lost > 0 and all(others), run.story()
