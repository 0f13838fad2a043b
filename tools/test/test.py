#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run all tests; one closing line "N passed, N failed"; `make test`.

docs/testing.md has the parts, what FULL adds to each, and what becomes of a test that fails.  A run
writes DIR/lengths.txt, which may be copied to tests/lengths.txt, and each job's output to
DIR/test/JOB.log.

The numbers add the hosted programs' test lines, lint's checks, one for each build and pytest's
tests.  Tests that were skipped, or are expected to fail, are counted apart.  What lacks its tool is
left out and listed at the end (needs.py); with CI=true on a known distribution that is a
failure.
"""
import os
import re
import shlex
import signal
import sys
import time
from dataclasses import dataclass

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import check
import needs
import outer_make
import parts
import schedule

PARTS = [*parts.PARTS, "qemu", *parts.FILES]
FORGIVEN = 3  # tests that may pass only at their second try
TRIED_AGAIN = 12  # most failures that are tried again: more do not happen by chance


# ---- the command that runs one failed test again ------------------------------------------------

# Part: (its make target, a pattern for a test's name, whose groups make the target's ONLY).
TARGETS = {
    "lint": ("lint", r"lint: (\w+)"),
    "mutants": ("mutants", r"mutants: (\w+): "),
    "failures": ("failsweep", r"failures: (\w+\.\w+)"),
    "labs": ("labs-check", r"labs: ([\w.]+): "),
    "bench": ("bench", r"bench: (\w+)"),
    "bochs": ("test-bochs", r"bochs: (\w+): "),
    "models": ("model", r"models: (\w+) ([\w-]+): "),
}


def again(name, part, run):
    """The shell command that runs a failed test again, alone; "" if there is none.  The name of a
    failure begins with its part: "hosted plain: drain.a_test", "lint: words"."""
    if not part or name.endswith("does not build") or ": not run: " in name:
        return ""
    known = {"hosted": hosted, "races": race, "library": library}.get(part)
    line = known(name, run) if known else ""
    if part in TARGETS:
        target, pattern = TARGETS[part]
        found = re.match(pattern, name)
        line = make(run, target, ONLY="-".join(found.groups())) if found else ""
    found = re.match(r"\w+: (tests/qemu/\S+\.py::.*?)(: did not end)?$", name)
    if found:
        line = pytest(found.group(1), run)
    return line or make(run, "test", ONLY=part, **({"FULL": 1} if run.full else {}))


def make(run, target, **variables):
    words = [f"B={run.build}"] if run.build != "build" else []
    words += [f"{key}={shlex.quote(str(value))}" for key, value in variables.items()]
    return " ".join(["make", target, *words])


def hosted(name, run):
    found = re.match(r"hosted ([\w-]+): (?:.* in )?(\w+\.\w+)", name)
    if not found:
        build = re.match(r"hosted ([\w-]+)", name)
        return make(run, "check", ONLY=build.group(1)) if build else ""
    build, test = found.groups()
    return check.repeat(run.build, build, test)


def race(name, run):
    found = re.match(r"races: (\S+)(?: with (\w+))?$", name)
    words = " ".join(word for word in found.groups() if word) if found else ""
    return make(run, "race", NAME=words) if words else make(run, "race")


def library(name, run):
    found = re.match(r"library: (?:library: )?(\w+)", name)
    build = f" --build {run.build}" if run.build != "build" else ""
    return f"python3 tools/test/library.py{build} --only {found.group(1)}" if found else ""


def pytest(ident, run):
    full = "FULL=1 " if run.full else ""
    limit = f"QUARRY_LIMIT={run.limit(ident):.0f} "
    return (
        f"{full}{limit}QUARRY_BUILD={run.build} {run.python} -m pytest -p no:cacheprovider "
        f"{shlex.quote(ident)}"
    )


def build_again(name, builds):
    """The command of a failed build, or ""; @builds: {name: job} of parts.py."""
    job = next((job for job in builds.values() if name.startswith(job.name + ":")), None)
    return shlex.join(job.command) if job else ""


# ---- the report ----------------------------------------------------------------------------------


def python_with_pytest():
    """The path of a Python with pytest.  The distribution's Python has the distribution's
    packages, but another Python may come first in PATH."""
    for python in ("/usr/bin/python3", sys.executable, "python3"):
        try:
            if rooms.call([python, "-c", "import pytest, pexpect"]).returncode == 0:
                return python
        except OSError:
            continue
    return ""


def collected(run, folder):
    """(the tests of tests/qemu that run, the reason why they could not be listed)"""
    if not run.python:
        return [], "no Python with pytest and pexpect: run make setup"
    path = os.path.abspath(os.path.join(folder, "tests.json"))
    if os.path.exists(path):
        os.unlink(path)
    done = rooms.call(
        [*parts.pytest_command(run, "tests/qemu"), "--collect-only", "-q"],
        env=dict(os.environ, QUARRY_LIST=path, **parts.pytest_env(run)),
    )
    rows = parts.read_rows(path)
    tests = [row for row in rows if run.full or run.options or not row["full"]]
    if len(tests) < len(rows):
        print(f"tests in QEMU: {len(rows) - len(tests)} more with FULL=1")
    if not tests or done.returncode:
        return tests, f"no tests collected: {done.stdout}"
    return tests, ""


@dataclass
class Failure:
    """A test that has failed."""

    name: str
    part: str
    log: str  # the path of its log
    flaky: bool = False  # passed at a second try


class Report:
    """Counts results; prints a line for each part, and the output of failed jobs."""

    def __init__(self, run, jobs, folder="."):
        self.run, self.folder = run, folder
        self.passed, self.skipped, self.failures = 0, 0, []
        self.left_out = {}  # {(what, why): number of tests}
        self.warnings = set()  # the compiler's
        self.left, self.cpu, self.tests, self.not_run = {}, {}, {}, set()
        for job in jobs:
            self.left[job.part] = self.left.get(job.part, 0) + 1

    def fail(self, name, part, log=""):
        self.failures.append(Failure(name, part, log))

    @property
    def failed(self):
        return [f for f in self.failures if self.run.full or not f.flaky]

    def line(self):
        return check.count_line(self.passed, len(self.failed), self.skipped)

    def ended(self, job, verdict):
        self.left[job.part] -= 1
        self.cpu[job.part] = self.cpu.get(job.part, 0) + job.used
        if verdict is None:
            if job.part not in self.not_run and job.part != "build":
                self.fail(f"{job.part}: not run: what it needs failed", job.part)
            self.not_run.add(job.part)
        else:
            self.judged(job, verdict)
        if not self.left[job.part] and job.part != "build":
            if not self.tests.get(job.part) and job.part not in self.not_run:
                self.fail(f"{job.part}: no test was run", job.part)
            mine = sum(f.part == job.part for f in self.failures)
            said = f"{'not ok' if mine else 'ok'} {job.part}: {self.tests.get(job.part, 0)} tests, "
            said += f"{mine} failed, {self.cpu[job.part]:.0f} s of a CPU; so far {self.line()}"
            print(said, flush=True)

    def judged(self, job, verdict):
        self.passed += verdict.passed
        for line in verdict.lines:
            self.skip(line)
        self.warnings |= {line for line in verdict.lines if ": warning: " in line}
        for name in verdict.names:
            self.fail(name, job.part, schedule.log_of(self.folder, job))
        self.tests[job.part] = self.tests.get(job.part, 0) + verdict.passed + verdict.failed
        if verdict.good and not verdict.failed:
            self.measured(job)
        if verdict.failed:
            lines = [line if line.startswith("  ") else "  " + line for line in verdict.lines]
            print("\n".join([f"not ok {job.name}, {job.took:.0f} s:", *lines]), flush=True)

    def skip(self, line):
        """Count a test that was skipped, if @line says so."""
        left = needs.LEFT_OUT.search(line)
        if left:
            self.left_out[left.groups()] = self.left_out.get(left.groups(), 0) + 1
        self.skipped += bool(left) or line.startswith("not counted: ")

    def judge_left_out(self):
        """What is left out fails in CI, if this distribution has what is missing."""
        for what, reason in self.left_out:
            if os.environ.get("CI") and not needs.excused(what):
                self.fail(needs.line(what, reason), "")

    def measured(self, job):
        if job.holds:
            share = (job.used / len(job.holds), job.took / len(job.holds))
            for name in set(job.holds):
                self.run.lengths[name] = share
        elif job.part not in ("qemu", *parts.FILES):
            # For a build, keep the longest time: that of a build in an empty directory.
            least = self.run.lengths.get(job.name, (0, 0)) if job.part == "build" else (0, 0)
            self.run.lengths[self.run.key(job.name)] = max(least, (job.used, job.took))

    def judge_strays(self, before):
        """Files that came while tests ran, outside of the build directory: none but @before."""
        for path in sorted(set(rooms.strays()) - set(before)):
            self.fail(f"a file outside of {self.run.build}: {path}", "")

    # ---- a second try ----------------------------------------------------------------------------

    def try_again(self):
        """Run each failed test once more, alone; not if many fail, which is not by chance.  A
        second try may be a `make test`, and then makes none of its own."""
        if os.environ.get("QUARRY_AGAIN"):
            return
        if len(self.failures) > TRIED_AGAIN:
            print(f"more than {TRIED_AGAIN} failures: none is tried again")
            return
        for number, failure in enumerate(self.failures, 1):
            line = again(failure.name, failure.part, self.run)
            if line:
                print(f"once more, alone: {failure.name}", flush=True)
                failure.flaky = tried(line, self.folder, f"again {number}")
        flaky = [f for f in self.failures if f.flaky]
        self.passed += 0 if self.run.full else len(flaky)
        if not self.run.full and len(flaky) > FORGIVEN:
            self.fail(f"more than {FORGIVEN} tests passed only at their second try", "")

    def close(self):
        """Print the last lines of the report."""
        if self.skipped:
            print(f"{self.skipped} tests were skipped: \"not counted\" in {self.folder}/*.log")
        for (what, reason), tests in sorted(self.left_out.items()):
            more = f": {tests} tests" if tests > 1 else ""
            print(needs.line(what, reason) + more)
        if self.warnings:
            print(f"{len(self.warnings)} warnings of the compiler:")
            print("\n".join("  " + line for line in sorted(self.warnings)[:20]))
        for failure in self.failures:
            if failure.flaky:
                print(f"FLAKY {failure.name}\n  its log: {failure.log}")
        for failure in self.failed:
            print(f"FAILED {failure.name}")
            line = again(failure.name, failure.part, self.run)
            line = line or build_again(failure.name, parts.builds(self.run))
            if line:
                print(f"  again: {line}")
            if failure.log:
                print(f"  log:   {failure.log}")


def tried(line, folder, name):
    """Run a command alone; returns whether it passed."""
    passed = []

    def judge(job, text, status):
        return schedule.Verdict(int(status == 0), int(status != 0), [], [])

    env = {"PYTHONDONTWRITEBYTECODE": "1", "QUARRY_AGAIN": "1"}
    job = schedule.Job(name, "again", ["sh", "-c", line], judge, alone=True, env=env)
    schedule.Pool(folder, 1, lambda job, verdict: passed.append(verdict.passed)).run([job])
    return passed == [1]


def needed(jobs, builds):
    """The @builds that the jobs need, directly or not."""
    names, more = set(), jobs
    while more:
        new = {need for job in more for need in job.needs} - names
        names |= new
        more = [job for job in builds if job.name in new]
    return [job for job in builds if job.name in names]


def all_jobs(run, wanted, folder, wrong):
    """The jobs of the @wanted parts, and the builds that they need.  If pytest cannot list tests,
    appends the reason to @wrong."""
    jobs = [job for part in wanted if part in parts.PARTS for job in parts.PARTS[part](run)]
    if {"qemu", *parts.FILES} & set(wanted):
        tests, why = collected(run, folder)
        if why:
            wrong.append(f"qemu: {why}")
        jobs += [job for job in parts.lanes(run, tests, folder) if job.part in wanted]
    return needed(jobs, parts.builds(run).values()) + jobs


def stop(*_):
    raise KeyboardInterrupt


def tests(run, wanted, folder):
    """Run the @wanted parts; returns the exit status."""
    begin, wrong, before = time.monotonic(), [], rooms.strays()
    print(f"tools: {needs.versions()}")
    left = [part for part in wanted if needs.why(part)]
    wanted = [part for part in wanted if part not in left]
    jobs = all_jobs(run, wanted, folder, wrong)
    report = Report(run, jobs, folder)
    for part in left:
        report.skip(needs.line(part, needs.why(part)))
    for text in wrong:
        print(text)
        report.fail(text.split("\n", maxsplit=1)[0], "qemu")
    for part in wanted:
        if part not in report.left and not run.options:
            report.fail(f"{part}: no test was run", part)
    print(f"{len(jobs)} jobs on {run.cores} cores; {'all' if run.full else 'FULL=1 runs more'}")
    sys.stdout.flush()
    schedule.Pool(folder, run.cores, report.ended).run(jobs)
    parts.write_lengths(os.path.join(run.build, "lengths.txt"), run.lengths)
    report.try_again()
    report.judge_left_out()
    report.judge_strays(before)
    report.close()
    print(f"in {time.monotonic() - begin:.0f} s:")
    print(report.line(), flush=True)
    return 1 if report.failed or not report.passed + report.skipped else 0


def main():
    parser = rooms.parser(__doc__)
    parser.add_argument("--only", help="parts, with commas: " + ",".join(PARTS))
    parser.add_argument("--full", action="store_true", help="all there is")
    parser.add_argument("options", nargs="*", help="for pytest, after --")
    args = parser.parse_args()
    wanted = rooms.chosen(parser, args.only, PARTS, "part")
    if not args.only and not args.full:
        wanted = [part for part in wanted if part not in parts.FULL_PARTS]
    for name in outer_make.VARIABLES:
        os.environ.pop(name, None)
    # Heaps of large pages: QEMU starts with half of the page faults, make reads with a tenth.  In a
    # virtual machine a fault takes up to 50 us.
    os.environ.setdefault("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    folder = os.path.join(args.build, "test")
    os.makedirs(folder, exist_ok=True)
    lengths = parts.read_lengths(parts.LENGTHS)
    run = parts.Run(
        args.build, check.jobs(), args.full, python_with_pytest(), args.options, lengths
    )
    return tests(run, wanted, folder)


if __name__ == "__main__":
    rooms.run(main)
