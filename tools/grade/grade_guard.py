#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""No process outlives the grader that has started it, however the grader ends.

Usage: grade_guard.py MARK    reads its standard input to the end, then kills the processes

A guard is a process of its own.  It reads a pipe whose other end only the grader has: "P PID" for
each program, which is the leader of a session; "E PID" when nothing of that session is left; "D
PATH" for a folder to remove.  When the grader ends, also by SIGKILL, the pipe is closed.  Then the
guard kills the processes of those sessions, and those with MARK in their environment: compilers,
QEMU.
"""
import os
import shutil
import signal
import subprocess
import sys
import time

NAME = "QUARRY_GRADE"
LONGEST = 20.0  # seconds to wait for killed processes to end


def stat_of(path):
    """The words of a file /proc/PID/stat behind the program's name; the first is the state."""
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read().rsplit(")", 1)[1].split()


def processes():
    """[(pid, state, session)] of all visible processes."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                words = stat_of(f"/proc/{name}/stat")
            except OSError:
                continue
            found.append((int(name), words[0], int(words[3])))
    return found


def marked(pid, mark):
    try:
        with open(f"/proc/{pid}/environ", "rb") as f:
            return mark in f.read().split(b"\0")
    except OSError:
        return False


def end_all(wanted, longest=LONGEST):
    """Kill processes for which wanted(pid, session) is true until none is left, or for @longest
    seconds."""
    late = time.monotonic() + longest
    while time.monotonic() < late:
        left = [
            pid
            for pid, state, session in processes()
            if state not in "ZX" and pid != os.getpid() and wanted(pid, session)
        ]
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        if not left:
            return True
        time.sleep(0.01)
    return False


def end_session(leader):
    """Kill all processes of a session.  Its process group goes first: mostly no others are left."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return True
    return end_all(lambda pid, session: session == leader)


class Guard:
    """The grader's end of the guard."""

    now = None  # the Guard that is at work, or None

    def __init__(self):
        Guard.now = self
        mark = f"{os.getpid()}.{time.monotonic_ns()}"
        read, self.pipe = os.pipe()
        # The guard's process starts before the mark is set: its own environment must not have it.
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-E", os.path.abspath(__file__), mark],
            stdin=read,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(read)
        self.before = os.environ.get(NAME)
        os.environ[NAME] = mark

    def tell(self, what, of):
        """Send the guard a line; a forked child may call this before it executes its program."""
        os.write(self.pipe, f"{what} {of}\n".encode())

    def close(self):
        """End the guard, which ends all programs: all are dead when this returns."""
        Guard.now = None
        os.close(self.pipe)
        if self.before is None:
            os.environ.pop(NAME, None)
        else:
            os.environ[NAME] = self.before
        self.process.wait()


def main():
    mark = f"{NAME}={sys.argv[1]}".encode()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sessions, folders = set(), []
    for line in sys.stdin:
        what, _, of = line.rstrip("\n").partition(" ")
        if what == "P":
            sessions.add(int(of))
        elif what == "E":
            sessions.discard(int(of))
        elif what == "D":
            folders.append(of)
    end_all(lambda pid, session: session in sessions or marked(pid, mark))
    for path in folders:
        shutil.rmtree(path, ignore_errors=True)


if __name__ == "__main__":
    main()
