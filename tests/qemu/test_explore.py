# SPDX-License-Identifier: MIT
"""The explorer: all schedules of a set with at most two preemptions, or a requested number."""
import json
import os
import subprocess

import check
import orders
import qemu

SET = "free-enable-disable"


def lines(name, *more, program="fiber/race"):
    program = os.path.join(qemu.BUILD, program)
    done = subprocess.run(
        [program, "--explore", name, "--json", *more], capture_output=True, text=True, check=True
    )
    return done.stdout


def explored(*more):
    """(the line of the set, the lines before it)"""
    *before, line = lines(SET, *more).strip().split("\n")
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


def test_right_code_has_its_barriers():
    """No set finds anything where other CPUs see stores late."""
    rows = [json.loads(line) for line in lines("all", "--model=tso", "--max=200").split("\n")[:-1]]
    assert len(rows) > 70 and {row["outcome"] for row in rows} == {"OK"}
    for row in rows:
        if row["set"].startswith("tso-"):
            for model in ("sc", "tso"):
                whole = json.loads(lines(row["set"], f"--model={model}"))
                assert whole["complete"] and whole["outcome"] == "OK"


def test_right_code_is_right_on_weaker_machines():
    """No set finds anything where stores overtake each other and loads are early."""
    assert check.make(qemu.BUILD, os.path.join(qemu.BUILD, "fiber-weak/race"))
    said = lines("all", "--model=weak", "--max=60", program="fiber-weak/race")
    rows = [json.loads(line) for line in said.split("\n")[:-1]]
    assert len(rows) > 70 and {row["outcome"] for row in rows} == {"OK"}


def offsets(program, text, *args):
    """Where the @program, with these @args, comes to an order whose place or line has the @text."""
    said = orders.output(program, *args, "--orders")
    found = [line.split()[1] for line in said if line.startswith("order ")]
    places = list(zip(found, orders.sources(program, found)))
    assert not [at for _, at in places if at.startswith(("/", ".."))]  # ccache: of any tree
    return [o for o, at in places if text in f"{at.split(':')[0]} {orders.line_of(at)}"]


def test_a_missing_barrier_is_noticed_on_weaker_machines_only():
    """A CPU that reads a stack's new count finds the blocks that left it: a barrier sees to this,
    which x86 does not need."""
    program = os.path.join(qemu.BUILD, "fiber-weak/race")
    assert check.make(qemu.BUILD, program)
    run = ["--explore", "drain-drained", "--model=weak", "--max=30"]
    here = offsets(program, "core/pcp.c store_barrier", *run)
    assert here and orders.killed(program, "weak", here, ["drain-drained"], 100)
    assert not orders.killed(program, "tso", here, ["drain-drained"], 100)


def test_a_thread_sleeps_on_if_its_task_ends_without_a_barrier():
    """The model also runs the kernel's threads: the end is stored, then the thread's state read."""
    program = os.path.join(qemu.BUILD, "threads-weak/check")
    assert check.make(qemu.BUILD, program)
    name = "threads.a_task_ends_while_its_thread_goes_to_sleep"
    assert orders.output(program, name)[-1].endswith(" 0 failed")
    here = offsets(program, "kernel/task.c full_barrier", name)
    said = orders.output(program, name, "--leave-out=" + ",".join(here))
    assert any(": STUCK:" in line for line in said)
