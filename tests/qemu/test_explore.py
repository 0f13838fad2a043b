# SPDX-License-Identifier: MIT
"""The explorer: all schedules of a set with at most two preemptions, or a requested number."""
import json
import os
import subprocess

import qemu

SET = "free-enable-disable"


def explored(*more):
    """(the line of the set, the lines before it)"""
    program = os.path.join(qemu.BUILD, "fiber/race")
    done = subprocess.run(
        [program, "--explore", SET, "--json", *more], capture_output=True, text=True, check=True
    )
    *before, line = done.stdout.strip().split("\n")
    row = json.loads(line)
    del row["seconds"]
    return row, before


def test_some_schedules_of_many():
    whole, _ = explored()
    assert whole["complete"] and not whole["left_out"]
    some, _ = explored("--max=300")
    assert not some["complete"] and 200 < some["schedules"] < 400 < whole["schedules"]
    assert some["schedules"] + some["left_out"] == whole["schedules"]
    assert explored("--max=300")[0] == some


def test_a_schedule_that_runs_for_ever_would_print_nothing():
    """Schedules that end are reported, so that many of them do not look like an endless one."""
    row, alive = explored("--alive")
    assert set(alive) == {"alive"} and len(alive) >= row["schedules"] // 512
    assert explored()[1] == []
