# SPDX-License-Identifier: MIT
"""Decide whether a program hangs, by its CPU time, not by the time that has passed.

Beside other work a right program takes many times as long, but uses the same CPU time.  So a
program hangs if it has used far more CPU time than any good run.  It also hangs if for SILENCE
seconds it prints nothing and uses at most AWAKE seconds of a CPU: it waits for an event that does
not come.
"""
import os
import signal
import threading
import time

SILENCE = 120.0  # seconds without output
AWAKE = 3.0  # seconds of CPU time within SILENCE, because an idle guest handles ticks
FACTOR = 20  # limit as a multiple of the longest good run, which is measured on an idle machine
LEAST = 120.0  # seconds of CPU time that any program may use
TICKS = os.sysconf("SC_CLK_TCK")


def limit_of(measured):
    """The limit of CPU seconds for a program whose good runs use up to @measured."""
    return max(LEAST, FACTOR * measured)


def cpu_of(pid):
    """The seconds of CPU time that the process and its ended children have used; None if it has
    ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            fields = f.read().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return sum(map(int, fields[11:15])) / TICKS


class Watchdog:
    """Watches one process, which may use @limit seconds of CPU time.

    A process also hangs if in @silence (SILENCE) seconds it prints nothing and uses at most @awake
    (AWAKE) seconds of CPU time.
    """

    def __init__(self, pid, limit, silence=None, awake=None):
        self.pid, self.limit = pid, limit
        self.silence = SILENCE if silence is None else silence
        self.awake = AWAKE if awake is None else awake
        self.begin = self.used = cpu_of(pid) or 0.0
        self.since = time.monotonic()

    def heard(self):
        """Called when the process has printed something."""
        self.since, self.used = time.monotonic(), cpu_of(self.pid) or self.used

    def again(self):
        """Called when the process has done a part of its work: the limit starts again."""
        self.heard()
        self.begin = self.used

    def why(self):
        """The reason why the process counts as hanging, or ""."""
        used = cpu_of(self.pid)
        if used is None:
            return ""
        if used - self.begin > self.limit:
            return f"it has used {used - self.begin:.0f} s of a CPU, of at most {self.limit:.0f}"
        if used - self.used > self.awake:
            self.since, self.used = time.monotonic(), used
        if time.monotonic() - self.since > self.silence:
            return f"it has neither said nor done anything for {self.silence:.0f} s"
        return ""


class Guard(threading.Thread):
    """A thread that kills a process if it hangs, while the program waits for its output.

    @size() returns the size of that output.  With @parts each output ends a part of the work, and
    @limit is for each part.  After a kill, self.why is the reason; else "".
    """

    def __init__(self, pid, limit, size, parts=False):
        super().__init__(daemon=True)
        self.dog, self.size, self.why = Watchdog(pid, limit), size, ""
        self.heard = self.dog.again if parts else self.dog.heard
        self.process = os.pidfd_open(pid)  # after its end another process may get the pid
        self.over = threading.Event()
        self.start()

    def run(self):
        said = None
        while not self.why and not self.over.wait(0.2):
            last, said = said, self.size()
            if said != last:
                self.heard()
            self.why = self.dog.why()
        if self.why:
            try:
                signal.pidfd_send_signal(self.process, signal.SIGKILL)
            except ProcessLookupError:
                self.why = ""

    def close(self):
        self.over.set()
        self.join()
        os.close(self.process)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
