# SPDX-License-Identifier: MIT
"""Whether a program hangs: by the time that it has used, not by the time that has passed.

Beside other work a program that is right takes many times as long, and uses as much of a CPU.  So
it hangs if it has used far more than any good run; or if for SILENCE seconds it has neither said
anything nor used more than AWAKE seconds of a CPU: then it waits for what does not come.
"""
import os
import signal
import threading
import time

SILENCE = 120.0  # seconds
AWAKE = 3.0  # of a CPU, in that time: a guest with nothing to do ticks
FACTOR = 20  # times the longest good run, which is measured on an idle machine
LEAST = 120.0  # seconds of a CPU that any program may use
TICKS = os.sysconf("SC_CLK_TCK")


def limit_of(measured):
    """The seconds of a CPU that a program may use whose good runs use so many."""
    return max(LEAST, FACTOR * measured)


def cpu_of(pid):
    """Seconds of a CPU that the process has used; None if it has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            fields = f.read().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / TICKS


class Watchdog:
    """Watches one process, which may use @limit seconds of a CPU.

    It hangs too if it says nothing and uses at most @awake (AWAKE) seconds of a CPU in @silence
    (SILENCE) seconds.
    """

    def __init__(self, pid, limit, silence=None, awake=None):
        self.pid, self.limit = pid, limit
        self.silence = SILENCE if silence is None else silence
        self.awake = AWAKE if awake is None else awake
        self.begin = self.used = cpu_of(pid) or 0.0
        self.since = time.monotonic()

    def heard(self):
        """It has said something."""
        self.since, self.used = time.monotonic(), cpu_of(self.pid) or self.used

    def again(self):
        """It has done a part of its work: the limit is that of the next one."""
        self.heard()
        self.begin = self.used

    def why(self):
        """Why it hangs; nothing if it does not."""
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
    """Kills one process if it hangs, beside a program that waits for its words.

    @size(): how much it has said.  Then why says why it was killed; "" otherwise.
    """

    def __init__(self, pid, limit, size):
        super().__init__(daemon=True)
        self.dog, self.size, self.why = Watchdog(pid, limit), size, ""
        self.process = os.pidfd_open(pid)  # the number may be another's once it has ended
        self.over = threading.Event()
        self.start()

    def run(self):
        said = None
        while not self.why and not self.over.wait(0.2):
            last, said = said, self.size()
            if said != last:
                self.dog.heard()
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
