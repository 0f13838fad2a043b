# SPDX-License-Identifier: MIT
"""Run jobs that depend on each other, so that all cores are busy until the end; for test.py.

A job is a command with a measured length.  Each gets a log, DIR/NAME.log, and is judged when it has
ended.  Jobs with the longest way to the end go first; a job starts when its needs are done and the
cores that it keeps busy are free.  No process that a job started survives the job: this process
adopts orphans.
"""
import graphlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field

import qemu

WATCHDOG = 3600  # seconds of one job: far more than the longest job needs on a busy machine
CPU, WALL = 20.0, 20.0  # seconds of a job that nobody has measured
MORE = 0.75  # cores that jobs may want beyond the machine's: no job is busy all the time
LEAST = 0.25  # cores of a job that mostly waits
SUBREAPER = 36  # prctl's PR_SET_CHILD_SUBREAPER


@dataclass
class Job:
    """One command; @judge(job, text, status) returns a Verdict."""

    name: str
    part: str
    command: list
    judge: object
    needs: tuple = ()  # names of jobs
    alone: bool = False  # no other job runs beside it
    cpu: float = CPU
    wall: float = WALL
    env: dict = field(default_factory=dict)
    holds: list = field(default_factory=list)  # names of its parts, whose lengths are kept
    first: float = 0.0  # seconds from its start to the end of all jobs that wait for it
    used: float = 0.0  # seconds of CPU time, once the job has ended
    took: float = 0.0

    def cores(self, cores):
        """The number of cores that the job keeps busy."""
        return min(float(cores), max(LEAST, self.cpu / max(self.wall, 0.1)))


@dataclass
class Verdict:
    """The numbers of a job's tests, the names of failed tests, and the lines to show."""

    passed: int
    failed: int
    names: list
    lines: list
    good: bool = True  # jobs that need this job may start


def rank(jobs):
    """Set job.first of each job; returns the jobs in the order in which they should start."""
    by_name = {job.name: job for job in jobs}
    missing = [need for job in jobs for need in job.needs if need not in by_name]
    if missing or len(by_name) != len(jobs):
        raise ValueError(f"jobs: missing {missing}, or two of one name")
    order = graphlib.TopologicalSorter({job.name: job.needs for job in jobs}).static_order()
    for name in reversed([*order]):  # CycleError, a ValueError: a job needs itself
        after = [job.first for job in jobs if name in job.needs]
        by_name[name].first = by_name[name].wall + max(after, default=0)
    return sorted(jobs, key=lambda job: (job.alone, -job.first))


def next_job(waiting, running, done, cores):
    """The first job of @waiting that may start now, or None; @waiting is in the order of rank()."""
    if any(job.alone for job in running) or len(running) >= 3 * cores:
        return None
    busy = sum(job.cores(cores) for job in running)
    for job in waiting:
        if not set(job.needs) <= done:
            continue
        if not running or not job.alone and busy + job.cores(cores) <= cores + MORE:
            return job
    return None


# ---- processes -----------------------------------------------------------------------------------


def adopt(orphans):
    """Let orphans below this process become its children, or not (prctl; Linux only)."""
    if hasattr(qemu._libc, "prctl"):
        qemu._libc.prctl(SUBREAPER, int(orphans), 0, 0, 0)


def descendants():
    """The pids of all processes below this one."""
    parents = {}
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as f:
                parents[int(name)] = int(f.read().rsplit(")", 1)[1].split()[1])
        except (OSError, ValueError):
            continue
    found, new = set(), {os.getpid()}
    while new:
        new = {pid for pid, parent in parents.items() if parent in new} - found
        found |= new
    return found


def end_all(patience=3.0):
    """End all processes below this one: by SIGINT, and those left after @patience by SIGKILL."""
    until = time.monotonic() + patience
    for how in (signal.SIGINT, signal.SIGKILL):
        for _ in range(10 if how == signal.SIGKILL else 1):
            for pid in descendants():
                try:
                    os.kill(pid, how)
                except OSError:
                    pass
            while reap() or descendants():
                if time.monotonic() > until:
                    break
                time.sleep(0.05)
            until = time.monotonic() + 1
            if not descendants():
                return


def reap():
    """{pid: (status, seconds of CPU time)} of children that have ended since the last call."""
    ended = {}
    while True:
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if not pid:
            return ended
        ended[pid] = (os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime)


def log_of(folder, job):
    """The path of a job's log."""
    return os.path.join(folder, re.sub(r"[/ ]", "-", job.name) + ".log")


# ---- the pool ------------------------------------------------------------------------------------


class Pool:
    """Runs jobs.  Calls @ended(job, verdict) for each job, in the order of their ends; the verdict
    is None if the job was not run because a job that it needs failed."""

    def __init__(self, folder, cores, ended, out=sys.stdout):
        self.folder, self.cores, self.ended, self.out = folder, cores, ended, out
        self.running = {}  # {pid: (job, Popen, start)}
        self.done, self.failed = set(), set()
        self.waiting, self.all = [], []
        self.begin = time.monotonic()
        self.screen = out.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.shown = ""

    def run(self, jobs):
        """Run all jobs.  An exception ends the jobs, too."""
        self.waiting, self.all = rank(jobs), list(jobs)
        os.makedirs(os.path.join(self.folder, "tmp"), exist_ok=True)
        adopt(True)
        try:
            while self.waiting or self.running:
                self.start_some()
                self.collect()
                self.progress()
                time.sleep(0.03)
        finally:
            self.clear()
            end_all()
            adopt(False)
            shutil.rmtree(os.path.join(self.folder, "tmp"), ignore_errors=True)

    def start_some(self):
        for job in [j for j in self.waiting if set(j.needs) & self.failed]:
            self.waiting.remove(job)
            self.failed.add(job.name)
            self.say(job, None)
        running = [job for job, _, _ in self.running.values()]
        while (job := next_job(self.waiting, running, self.done, self.cores)) is not None:
            self.waiting.remove(job)
            running.append(job)
            self.start(job)
        may = [j for j in self.waiting if set(j.needs) <= self.done or set(j.needs) & self.failed]
        if self.waiting and not self.running and not may:
            raise RuntimeError("jobs: none can start")

    def start(self, job):
        env = dict(os.environ, TMPDIR=os.path.abspath(os.path.join(self.folder, "tmp")), **job.env)
        with open(log_of(self.folder, job), "wb") as log:
            pipes = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": subprocess.STDOUT}
            how = {"start_new_session": True, "preexec_fn": qemu._die_with_parent, **pipes}
            proc = subprocess.Popen(job.command, cwd=qemu.ROOT, env=env, **how)
        self.running[proc.pid] = (job, proc, time.monotonic())

    def collect(self):
        """Judge the jobs that have ended; kill those that run longer than WATCHDOG."""
        for pid, (status, cpu) in reap().items():
            if pid in self.running:
                self.end(pid, status, cpu)
        for pid, (job, _, start) in list(self.running.items()):
            if time.monotonic() - start > WATCHDOG:
                os.killpg(pid, signal.SIGKILL)

    def end(self, pid, status, cpu):
        job, proc, start = self.running.pop(pid)
        proc.returncode = status  # reap() has already waited for the process
        job.used, job.took = cpu, time.monotonic() - start
        try:
            os.killpg(pid, signal.SIGKILL)  # processes that the job has left behind
        except OSError:
            pass
        with open(log_of(self.folder, job), encoding="utf-8", errors="replace") as f:
            verdict = job.judge(job, f.read().replace("\r", ""), status)
        (self.done if verdict.good else self.failed).add(job.name)
        self.say(job, verdict)

    def say(self, job, verdict):
        self.clear()
        self.ended(job, verdict)

    # ---- a line on a terminal --------------------------------------------------------------------

    def left(self):
        """The seconds that the other jobs will take, by their lengths and the speed so far."""
        now = time.monotonic()
        over = [job for job in self.all if job.used]
        spent = now - self.begin
        promised = sum(job.cpu for job in over)
        for job, _, start in self.running.values():
            promised += job.cpu * min(0.9, (now - start) / max(job.wall, 0.1))
        rest = sum(job.cpu for job in self.all if job.name not in self.done | self.failed)
        rest = max(0.0, rest - promised + sum(job.cpu for job in over))
        return rest / max(promised / spent if promised > 20 and spent > 10 else self.cores, 0.1)

    def progress(self):
        if not self.screen:
            return
        ended = len(self.done) + len(self.failed)
        left = int(self.left())
        names = [job.name for job, _, _ in self.running.values()]
        columns = shutil.get_terminal_size().columns
        text = progress_line(names, ended, len(self.all), left, columns)
        if text != self.shown:
            self.out.write("\r\033[K" + text)
            self.out.flush()
            self.shown = text

    def clear(self):
        if self.shown:
            self.out.write("\r\033[K")
            self.out.flush()
            self.shown = ""


def progress_line(names, ended, together, left, columns):
    """A line with the running jobs, the number of ended ones, and the time left."""
    head = f"[{ended}/{together}] {left // 60}:{left % 60:02} left: "
    return (head + ", ".join(names))[: max(20, columns - 1)]
