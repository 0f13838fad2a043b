#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run programs that contain a student's code, with limits of time, memory and output, without a
network and without rights; for grade.py.

Usage: grade_run.py MARK    be the guard: read the input to its end, then kill the processes

Sandbox.notes says which limit this machine refuses.  Each program is a session of its own, all of
whose processes have ended when run() returns.  If the grader ends early, its guard ends them.

The guard is a process of its own, which executes this file.  It reads a pipe whose other end only
the grader has: "P PID" for each program, which is the leader of a session; "E PID" when nothing of
that session is left; "D PATH" for a folder to remove.  When the grader ends, also by SIGKILL, the
pipe is closed.  Then the guard kills the processes of those sessions, and those with MARK in their
environment: compilers, QEMU.
"""
import contextlib
import functools
import os
import resource
import select
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


def stats():
    """(pid, words of its stat) of each visible process."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            yield int(name), stat_of(f"/proc/{name}/stat")


def processes():
    """[(pid, state, session)] of all visible processes."""
    return [(pid, words[0], int(words[3])) for pid, words in stats()]


def marked(pid, mark):
    try:
        with open(f"/proc/{pid}/environ", "rb") as f:
            return mark in f.read().split(b"\0")
    except OSError:
        return False


def end_all(wanted, longest=LONGEST):
    """Kill processes for which wanted(pid, session) is true until none is left or @longest ends."""
    late = time.monotonic() + longest
    while time.monotonic() < late:
        alive = [(pid, session) for pid, state, session in processes() if state not in "ZX"]
        left = [pid for pid, session in alive if pid != os.getpid() and wanted(pid, session)]
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
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
        command = [sys.executable, "-S", "-E", os.path.abspath(__file__), mark]
        null = subprocess.DEVNULL
        self.process = subprocess.Popen(
            command, stdin=read, stdout=null, stderr=null, start_new_session=True
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


# ---- programs ------------------------------------------------------------------------------------


OUTPUT = 256 << 10  # most bytes of a program's output
NOBODY = 65534
LOOK = 0.2  # seconds between two checks of a program's threads


@functools.lru_cache(None)
def namespaces():
    """The command that gives a program namespaces of its own; [] if none works."""
    for more in ([], ["--user", "--map-current-user"]):
        command = ["unshare", *more, "--net", "--ipc", "--"]
        with contextlib.suppress(FileNotFoundError):
            if not subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
                return command
    return []


class Sandbox:
    """The way in which programs are started on this machine."""

    def __init__(self, guard):
        self.guard, self.notes = guard, []
        self.drop = os.geteuid() == 0 and bool(shutil.which("setpriv"))
        self.prefix = namespaces()
        if os.geteuid() == 0 and not self.drop:
            self.notes.append("no setpriv on this machine: the code is run as root")
        if not self.prefix:
            self.notes.append("no namespaces on this machine: the network is not cut off")

    def begin(self, cpu, output):
        """The function that the new process calls before the program: it sets limits."""

        def limits():
            os.setsid()
            self.guard.tell("P", os.getpid())
            # At @cpu seconds SIGXCPU asks the process to end; a second later SIGKILL ends it.
            resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
            for what, most in (
                (resource.RLIMIT_FSIZE, output), (resource.RLIMIT_CORE, 0),
                (resource.RLIMIT_NOFILE, 64)
            ):
                resource.setrlimit(what, (most, most))
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

        return limits

    def command(self, command):
        """@command with the words before it that drop rights, if the grader has rights to drop."""
        if not self.drop:
            return [*self.prefix, *command]
        rights = f"--reuid={NOBODY} --regid={NOBODY} --clear-groups --no-new-privs"
        rights += " --inh-caps=-all --bounding-set=-all --"
        return [*self.prefix, "setpriv", *rights.split(), *command]


ENV = {
    "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0:hard_rss_limit_mb=1024",
    "UBSAN_OPTIONS": "print_stacktrace=1",
}


def kept():
    """The part of the grader's environment that programs get."""
    names = ("PATH", NAME)
    return {name: os.environ[name] for name in names if name in os.environ}


def session(pid):
    """(seconds of CPU of a session's processes, do all of their threads sleep)"""
    total, asleep = 0.0, True
    for name, words in stats():
        if int(words[3]) == pid:
            total += sum(int(words[i]) for i in (11, 12, 13, 14)) / os.sysconf("SC_CLK_TCK")
            with contextlib.suppress(OSError):
                for task in os.listdir(f"/proc/{name}/task"):
                    asleep &= stat_of(f"/proc/{name}/task/{task}/stat")[0] in "SZX"
    return total, asleep


class Done:
    """The end of a program; how: "ended", or the limit that it broke, "cpu" or "asleep"."""

    def __init__(self):
        self.how, self.status, self.records, self.text = "ended", 0, [], ""

    def crash(self):
        """The signal that ended the program, in words, or ""."""
        if self.status < 0:
            return signal.strsignal(-self.status) or f"signal {-self.status}"
        return ""


def near(word):
    """@word relative to this directory, if it is a path below it: a program without rights may not
    search the directories above, such as root's home."""
    here = os.getcwd() + os.sep
    return os.path.join(".", word[len(here) :]) if word.startswith(here) else word


def run(
    sandbox, command, log, cpu=60, asleep=60, each=None, env=None, records=False, output=OUTPUT
):
    """Run a program.  It hangs after @each seconds of CPU without a record, or @asleep seconds in
    which none of its threads wants a CPU; waiting for a CPU has no limit.  Its text goes to the
    file @log.  Records come over a pipe of their own; with @records="stdout" they are the standard
    output, for programs in which the student's code cannot print."""
    done = Done()
    read, write = os.pipe()
    os.set_inheritable(write, True)
    more = {"LAB_RECORDS": str(write)} if records is True else {}
    with open(log, "wb") as out:
        os.chmod(log, 0o666)
        process = subprocess.Popen(
            sandbox.command([near(word) for word in command]), stdin=subprocess.DEVNULL,
            stdout=write if records == "stdout" else out, stderr=out,
            env={**kept(), **ENV, **more, **{k: near(v) for k, v in (env or {}).items()}},
            pass_fds=[write], preexec_fn=sandbox.begin(cpu, output)
        )
    os.close(write)
    at, since, before, quiet = b"", 0.0, 0.0, 0
    opened = True
    while done.how == "ended" and (opened or process.poll() is None):
        if opened and select.select([read], [], [], LOOK)[0]:
            got = os.read(read, 65536)
            opened = bool(got)
            at += got
            if got:
                since, quiet = -1.0, 0
            continue
        if not opened:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=LOOK)
        if process.poll() is not None:
            # Its children may still hold the pipe open: read only what is there.
            while opened and select.select([read], [], [], 0)[0]:
                got = os.read(read, 65536)
                opened = bool(got)
                at += got
            break
        used, sleeps = session(process.pid)
        # A waiting thread may poll, and sleep in between: a little CPU time counts as sleep.
        quiet = quiet + 1 if sleeps and used - before < LOOK / 10 else 0
        before = used
        if since < 0:
            since = used
        if each and used - since > each:
            done.how = "cpu"
        elif quiet * LOOK > asleep:
            done.how = "asleep"
    end_session(process.pid)
    process.wait()
    sandbox.guard.tell("E", process.pid)
    os.close(read)
    done.status = process.returncode
    done.records = at.decode("utf-8", "replace").split("\n")[:-1]
    if done.how == "ended" and -done.status == signal.SIGXCPU:
        done.how = "cpu"
    with open(log, "rb") as f:
        done.text = f.read(OUTPUT).decode("utf-8", "replace")
    return done


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
