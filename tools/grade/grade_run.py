# SPDX-License-Identifier: MIT
"""Run programs that contain a student's code, with limits of time, memory and output, without a
network and without rights; for grade.py.

Sandbox.notes says which limit this machine refuses.  Each program is a session of its own, all of
whose processes have ended when run() returns; if the grader ends early, grade_guard.py ends
them.
"""
import contextlib
import os
import resource
import select
import shutil
import signal
import subprocess

import grade_guard
from grade_guard import stat_of
from lab_build import Once

OUTPUT = 256 << 10  # most bytes of a program's output
NOBODY = 65534
LOOK = 0.2  # seconds between two checks of a program's threads


class Sandbox:
    """The way in which programs are started on this machine."""

    def __init__(self, guard):
        self.guard, self.notes = guard, []
        self.drop = os.geteuid() == 0 and bool(shutil.which("setpriv"))
        self.prefix = Once.of(self.namespaces, "namespaces")
        if os.geteuid() == 0 and not self.drop:
            self.notes.append("no setpriv on this machine: the code is run as root")
        if not self.prefix:
            self.notes.append("no namespaces on this machine: the network is not cut off")

    def namespaces(self):
        """The command that gives a program namespaces of its own; [] if none works."""
        for command in (
            ["unshare", "--net", "--ipc", "--"],
            ["unshare", "--user", "--map-current-user", "--net", "--ipc", "--"],
        ):
            if shutil.which("unshare") and self.works(command):
                return command
        return []

    def works(self, command):
        done = subprocess.run([*command, "true"], capture_output=True, check=False)
        return done.returncode == 0

    def begin(self, cpu, output):
        """The function that the new process calls before the program: it sets limits."""

        def limits():
            os.setsid()
            self.guard.tell("P", os.getpid())
            # At @cpu seconds SIGXCPU asks the process to end; a second later SIGKILL ends it.
            resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
            for what, most in (
                (resource.RLIMIT_FSIZE, output),
                (resource.RLIMIT_CORE, 0),
                (resource.RLIMIT_NOFILE, 64),
            ):
                resource.setrlimit(what, (most, most))
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

        return limits

    def command(self, command):
        """@command with the words before it that drop rights, if the grader has rights to drop."""
        if not self.drop:
            return [*self.prefix, *command]
        rights = [
            "setpriv",
            f"--reuid={NOBODY}",
            f"--regid={NOBODY}",
            "--clear-groups",
            "--no-new-privs",
            "--inh-caps=-all",
            "--bounding-set=-all",
            "--",
        ]
        return [*self.prefix, *rights, *command]


ENV = {
    "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0:hard_rss_limit_mb=1024",
    "UBSAN_OPTIONS": "print_stacktrace=1",
}


def kept():
    """The part of the grader's environment that programs get."""
    names = ("PATH", grade_guard.NAME)
    return {name: os.environ[name] for name in names if name in os.environ}


def session(pid):
    """(seconds of CPU of a session's processes, do all of their threads sleep)"""
    total, asleep = 0.0, True
    tick = os.sysconf("SC_CLK_TCK")
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            words = stat_of(f"/proc/{name}/stat")
            if int(words[3]) != pid:
                continue
            total += sum(int(words[i]) for i in (11, 12, 13, 14)) / tick
            for task in os.listdir(f"/proc/{name}/task"):
                asleep &= stat_of(f"/proc/{name}/task/{task}/stat")[0] in "SZX"
        except OSError:
            continue
    return total, asleep


class Done:
    """The end of a program; how: "ended", or the limit that it broke, "cpu" or "asleep"."""

    def __init__(self):
        self.how, self.status, self.records, self.text, self.cpu = "ended", 0, [], "", 0.0

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
            sandbox.command([near(word) for word in command]),
            stdin=subprocess.DEVNULL,
            stdout=write if records == "stdout" else out,
            stderr=out,
            env={**kept(), **ENV, **more, **{k: near(v) for k, v in (env or {}).items()}},
            pass_fds=[write],
            preexec_fn=sandbox.begin(cpu, output),
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
    grade_guard.end_session(process.pid)
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
