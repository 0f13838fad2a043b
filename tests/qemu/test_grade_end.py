# SPDX-License-Identifier: MIT
"""No process and no folder of the grader outlives it: when it ends, when it is interrupted, and
when it is killed."""
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

import grade_build
import grade_run
import labs
import qemu
import rooms

BEGIN = """
import os, sys, time
sys.path.insert(0, "tools/lib")
import rooms, grade, grade_run
grade.end_when_asked()
guard = grade_run.Guard()
folder = sys.argv[1]
guard.tell("D", folder)
sandbox = grade_run.Sandbox(guard)
"""
RUNS = """
os.chdir(sys.argv[2])
os.chmod(".", 0o755)  # here it may, above it may not
done = grade_run.run(sandbox, [os.path.abspath("program")], folder + "/log")
print(done.text, end="")
"""
# A grader with a compiler, and a program that leaves a child behind: all of them sleep.
STUCK = """
import subprocess, threading
compiler = subprocess.Popen(["sleep", "1009"])
run = lambda: grade_run.run(sandbox, ["sh", "-c", "sleep 1008 & sleep 1007"], folder + "/log")
threading.Thread(target=run, daemon=True).start()
print("begun", flush=True)
time.sleep(1000)
"""
SECONDS = (b"1007", b"1008", b"1009")


def begin(folder):
    return subprocess.Popen(
        [sys.executable, "-c", BEGIN + STUCK, str(folder)],
        cwd=qemu.ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def sleepers():
    """The processes that the grader of this test has started."""
    found = []
    for pid, state, _ in grade_run.processes():
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                words = f.read().split(b"\0")
        except OSError:
            continue
        if state != "Z" and words[0] == b"sleep" and words[1] in SECONDS:
            found.append(pid)
    return found


def wait_for(condition):
    late = time.monotonic() + qemu.WATCHDOG
    while not condition():
        assert time.monotonic() < late
        time.sleep(0.05)


@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM, signal.SIGKILL))
def test_nothing_is_left_of_a_grader_that_is_ended(tmp_path, number):
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o777)
    grader = begin(folder)
    assert grader.stdout.readline() == "begun\n"
    wait_for(lambda: len(sleepers()) == 3)
    grader.send_signal(number)
    grader.wait()
    if number == signal.SIGKILL:
        wait_for(lambda: not sleepers() and not folder.exists())
    assert sleepers() == [] and not folder.exists()


def test_nothing_is_left_of_a_program_that_has_ended(tmp_path):
    guard = grade_run.Guard()
    try:
        sandbox = grade_run.Sandbox(guard)
        done = grade_run.run(sandbox, ["sh", "-c", "sleep 1008 &"], str(tmp_path / "log"))
        assert done.how == "ended" and sleepers() == []
    finally:
        guard.close()
    assert os.environ.get(grade_run.NAME) is None


WAITS = "exec python3 -c 'while True: __import__(\"time\").sleep(0.02)'"


@pytest.mark.parametrize(
    "command, how", (("sleep 1008", "asleep"), (WAITS, "asleep"), ("while :; do :; done", "cpu"))
)
def test_a_program_that_hangs_is_ended(tmp_path, command, how):
    """The limit is on the CPU time used, not on the time of day."""
    guard = grade_run.Guard()
    try:
        sandbox = grade_run.Sandbox(guard)
        log = str(tmp_path / "log")
        done = grade_run.run(sandbox, ["sh", "-c", command], log, asleep=1, each=1)
        assert done.how == how and sleepers() == []
    finally:
        guard.close()


def test_a_program_is_named_from_here(tmp_path):
    """A user without rights may not search the parent directories, such as root's home."""
    assert grade_run.near(os.path.abspath("build/x")) == "./build/x"
    assert [grade_run.near(word) for word in ("/bin/sh", "drain", "--seed=1")] == [
        "/bin/sh",
        "drain",
        "--seed=1",
    ]
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "program").write_text("#!/bin/sh\necho said\n")
    (closed / "program").chmod(0o755)
    done = rooms.call(
        [sys.executable, "-c", BEGIN + RUNS, str(tmp_path), str(closed)], stderr=subprocess.PIPE
    )
    assert done.stdout == "said\n", done.stderr


# In the place of the student's program: it looks at the judge's files, which needs the same right
# as taking one over.
THIEF = """#!/bin/sh
if readlink /proc/$PPID/fd/1; then echo took it; else echo took nothing; fi
"""


def test_the_judges_results_are_out_of_reach():
    build = grade_build.Programs(labs.lab("2"), os.path.relpath(qemu.BUILD))
    folder = os.path.join(build.top, "thief")
    os.makedirs(folder, exist_ok=True)
    thief, said = os.path.join(folder, "thief"), os.path.join(folder, "said")
    for path, text, mode in ((thief, THIEF, 0o755), (said, "", 0o666)):
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)
    guard = grade_run.Guard()
    try:
        sandbox, env = grade_run.Sandbox(guard), {"JUDGE_OUTPUT": said}
        command = [build.judge(), thief, "one_block"]
        log, output = os.path.join(folder, "log"), 64 << 20
        grade_run.run(sandbox, command, log, env=env, records="stdout", output=output)
    finally:
        guard.close()
    with open(said, encoding="utf-8") as f:
        assert "took nothing" in f.read()
    shutil.rmtree(folder)
