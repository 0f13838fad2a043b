#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run all tests; one closing line "N passed, N failed"; `make test`.

  hosted    tools/check.py: every suite in eight builds
  lint      tools/lint.py; clang-tidy and cppcheck over an eighth of the sources
  builds    the kernel with clang and lld, and with the cross prefix
  library   tools/library.py: mm/ as a library, alone, with a prefix, for 32 bits, for one CPU;
            ports that are wrong
  races     tools/race.py: every script, right code and wrong, on fibers and in QEMU
  mutants   tools/mutants.py: wrong variants fail the tests named for them
  failures  tools/failsweep.py --upto 40: the n-th allocation of a test fails, for n up to 40
  qemu      tests/qemu by pytest: the real image, judged from outside
  user      the same for programs in ring 3: test_user.py, test_hostile.py, test_memory.py
  devices   the same for virtio devices and slots: test_virtio.py, test_slots.py, test_slots_busy.py
  models    tools/model.py: SPIN models of the protocols, right ones and wrong ones
  bochs     tools/test-bochs.py: the same image in another emulator
  bench     tools/bench.py: no figure is worse than the recorded one

Usage: tools/test.py [--build DIR] [--only PART,...] [--full] [--eighth N] [-- PYTEST-OPTION ...]

Each part is split into jobs (tools/parts.py), which run beside each other on all cores, the longest
first (tools/schedule.py), by the lengths in tests/lengths.txt.  A run writes DIR/lengths.txt, which
may be copied there, and each job's output to DIR/test/JOB.log.  "mutants", "failures", clang-tidy
and cppcheck do what concerns files changed since the last release, and an eighth of the rest,
another one each day; of tests in QEMU that are marked as one more combination of the same an eighth
runs, too.  --full does all, --eighth repeats another day's.

The numbers add the hosted programs' test lines, lint's checks, one for each build and pytest's
tests.  Tests that were skipped, or are expected to fail, are listed and not counted.
"""
import argparse
import os
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # nothing outside the build directory
import check
import chosen
import outer_make
import parts
import qemu
import schedule

PARTS = [*parts.PARTS, "qemu", *parts.FILES]


def python_with_pytest():
    """The distribution's Python has the distribution's packages; another one may come first in
    PATH."""
    for python in ("/usr/bin/python3", sys.executable, "python3"):
        try:
            done = subprocess.run(
                [python, "-c", "import pytest, pexpect"], capture_output=True, check=False
            )
        except OSError:
            continue
        if done.returncode == 0:
            return python
    return ""


def collected(run, folder):
    """(the tests of tests/qemu that run today, what went wrong)"""
    if not run.python:
        return [], "no Python with pytest and pexpect: run make setup"
    path = os.path.abspath(os.path.join(folder, "tests.json"))
    if os.path.exists(path):
        os.unlink(path)
    done = subprocess.run(
        [*parts.pytest_command(run, "tests/qemu"), "--collect-only", "-q"],
        cwd=qemu.ROOT,
        env=dict(os.environ, QUARRY_LIST=path, **rotation(run), **parts.pytest_env(run)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    rows = parts.read_rows(path)
    tests = [row for row in rows if row["today"]]
    if len(tests) < len(rows):
        later = len(rows) - len(tests)
        print(f"tests in QEMU: eighth {run.eighth}; {later} combinations belong to other days")
    if not tests or done.returncode:
        return tests, f"no tests collected: {done.stdout}"
    return tests, left_out(rows)


def left_out(rows):
    """What is wrong if nothing of a test runs today."""
    never = sorted(set(map(function, rows)) - {function(row) for row in rows if row["today"]})
    return f"nothing of it runs today: {', '.join(never)}" if never else ""


def function(row):
    return row["id"].split("[")[0]


def rotation(run):
    """Which tests in QEMU belong to today: all, if some were asked for."""
    return {} if run.full or run.options else {"QUARRY_EIGHTH": str(run.eighth)}


class Report:
    """Prints what each job said, and counts."""

    def __init__(self, run, jobs):
        self.run, self.counts = run, check.Counts()
        self.left, self.cpu, self.tests, self.not_run = {}, {}, {}, set()
        for job in jobs:
            self.left[job.part] = self.left.get(job.part, 0) + 1

    def ended(self, job, verdict):
        self.left[job.part] -= 1
        self.cpu[job.part] = self.cpu.get(job.part, 0) + job.used
        if verdict is None:
            if job.part not in self.not_run and job.part != "build":
                print(f"==== {job.name}: not run: what it needs failed", flush=True)
                self.counts.one(False, f"{job.part}: not run: what it needs failed")
            self.not_run.add(job.part)
        else:
            self.judged(job, verdict)
        if not self.left[job.part] and job.part != "build":
            if not self.tests.get(job.part) and job.part not in self.not_run:
                self.counts.one(False, f"{job.part}: no test was run")
            print(
                f"==== {job.part}: {self.cpu[job.part]:.0f} s of a CPU, so far "
                f"{self.counts.line()}",
                flush=True,
            )

    def judged(self, job, verdict):
        self.counts.add(verdict.passed, verdict.failed, verdict.names)
        self.tests[job.part] = self.tests.get(job.part, 0) + verdict.passed + verdict.failed
        if verdict.good and not verdict.failed:
            self.measured(job)
        if job.part != "build" or verdict.failed:
            lines = [line if line.startswith("  ") else "  " + line for line in verdict.lines]
            print("\n".join([f"==== {job.name}, {job.took:.0f} s", *lines]), flush=True)

    def measured(self, job):
        if job.holds:
            share = (job.used / len(job.holds), job.took / len(job.holds))
            for name in set(job.holds):
                self.run.lengths[name] = share
        elif job.part not in ("qemu", *parts.FILES):
            # Of a build what it takes in an empty directory.
            least = self.run.lengths.get(job.name, (0, 0)) if job.part == "build" else (0, 0)
            self.run.lengths[self.run.key(job.name)] = max(least, (job.used, job.took))


def needed(jobs, builds):
    """The builds that these jobs need, and those that these need."""
    names, more = set(), jobs
    while more:
        new = {need for job in more for need in job.needs} - names
        names |= new
        more = [job for job in builds if job.name in new]
    return [job for job in builds if job.name in names]


def all_jobs(run, wanted, folder, wrong):
    """The jobs of these parts; what cannot even be collected goes to @wrong."""
    jobs = [job for part in wanted if part in parts.PARTS for job in parts.PARTS[part](run)]
    if {"qemu", *parts.FILES} & set(wanted):
        tests, why = collected(run, folder)
        if why:
            wrong.append(f"qemu: {why}")
        jobs += [job for job in parts.lanes(run, tests, folder) if job.part in wanted]
    return needed(jobs, parts.builds(run).values()) + jobs


def choice(run, wanted):
    """What is left out, said once."""
    if not {"mutants", "failures", "lint"} & set(wanted):
        return
    if run.full:
        print("mutants, failures, tidy, cppcheck: all (FULL=1)")
        return
    print(
        f"mutants, failures, tidy, cppcheck: eighth {run.eighth} of {chosen.EIGHTHS} "
        f"(EIGHTH={run.eighth} repeats it),\n"
        f"  and those of {len(run.changed)} changed files; FULL=1 runs all"
    )


def stop(*_):
    raise KeyboardInterrupt


def tests(run, wanted, folder):
    """Run these parts; the exit status."""
    begin, wrong = time.monotonic(), []
    jobs = all_jobs(run, wanted, folder, wrong)
    report = Report(run, jobs)
    for text in wrong:
        print(text)
        report.counts.one(False, text.split("\n", maxsplit=1)[0])
    for part in wanted:
        if part not in report.left and not run.options:
            report.counts.one(False, f"{part}: no test was run")
    print(f"==== {len(jobs)} jobs on {run.cores} cores", flush=True)
    schedule.Pool(folder, run.cores, report.ended).run(jobs)
    parts.write_lengths(os.path.join(run.build, "lengths.txt"), run.lengths)
    for name in report.counts.names:
        print(f"FAILED {name}")
    print(f"in {time.monotonic() - begin:.0f} s:")
    print(report.counts.line(), flush=True)
    return 1 if report.counts.failed or not report.counts.passed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--only", help="parts, with commas: " + ",".join(PARTS))
    parser.add_argument("--full", action="store_true", help="every variant, every allocation")
    parser.add_argument("--eighth", help="1 to 8; without it the day's")
    parser.add_argument("options", nargs="*", help="for pytest, after --")
    args = parser.parse_args()
    wanted = args.only.split(",") if args.only else PARTS
    if set(wanted) - set(PARTS):
        parser.error(f"no part {', '.join(set(wanted) - set(PARTS))}; known: {' '.join(PARTS)}")
    try:
        eighth = chosen.eighth_of(args.eighth) if args.eighth else chosen.today()
    except ValueError as e:
        parser.error(str(e))
    for name in outer_make.VARIABLES:
        os.environ.pop(name, None)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    folder = os.path.join(args.build, "test")
    os.makedirs(folder, exist_ok=True)
    run = parts.Run(
        args.build,
        check.jobs(),
        args.full,
        eighth,
        set() if args.full else chosen.changed(),
        python_with_pytest(),
        args.options,
        parts.read_lengths(parts.LENGTHS),
    )
    choice(run, wanted)
    return tests(run, wanted, folder)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
