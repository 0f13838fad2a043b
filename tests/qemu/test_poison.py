# SPDX-License-Identifier: MIT
"""Memory that breaks: the suites, under load, and at the prompt (the latter in test_shown.py)."""
import re

import pytest


@pytest.mark.parametrize("cpus", [1, 2, 4])
def test_suites(passes, cpus):
    """Every state of a page; and programs whose memory is lost."""
    run = passes("selftest=poison,poison_states,poison_standby,poison_vm,poison_race,poison_task", cpus=cpus, mem=512, programs=True,
                 timeout=400)
    assert run.has("^ok 6 "), run.story()
    # Two tasks end: one without a handler, one whose handler says no.
    assert len(re.findall(r"^task \d+ lost: page fault: read of 0000000030000000: lost, its memory broke$", run.text,
                          re.M)) == 2, run.story()


@pytest.mark.parametrize("machine", [dict(cpus=4, mem=256), dict(cpus=4, nodes=[128, 128])])
def test_under_load(boot, machine):
    """Random requests while everything is going on; the flagged pages are those that the answers said."""
    run = boot("selftest=none poison=400", tour=None, timeout=400, **machine)
    assert run.passed, run.story()
    found = re.search(r"^poison: (\d+) pages flagged, on the list (\d+); ", run.text, re.M)
    assert found and found.group(1) == found.group(2) and int(found.group(1)) > 50, run.story()
