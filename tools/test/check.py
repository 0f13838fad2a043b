#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Build the hosted test program in each of its builds, run all suites in each, count; `make check`.

Each build runs as several processes, which have some suites each.  With --suite or --fail-fast the
builds that have the suites are made and run one by one, "plain" first.  --fail-fast stops at the
first test that fails.  --watch waits for saved files and runs their suites, in the build "plain" or
those of --only.
"""
import glob
import os
import re
import select
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import needs
import outer_make
import qemu
import suites
import watchdog

BUILDS = {  # in the order of their run time
    "tsan": "the thread sanitizer",
    "asan": "the address and undefined-behaviour sanitizers",
    "plain": "the kernel's lock.c and smp.c",
    "port": "the host's own locks and cross-calls",
    "order3": "pageblocks of 8 pages",
    "threads": "the kernel's threads, tasks and system calls on fibers, under many schedules",
    "threads-asan": "the same under the address and undefined-behaviour sanitizers, under fewer",
    "silence": "CPUs, pagers and devices that never answer, on fibers",
}
# Seconds of CPU time that a suite may use: twenty times the need of the longest suite.
SUITE_LIMIT = {"tsan": 600, "asan": 300, "threads-asan": 300}
SUITE_LIMIT_PLAIN = 150
HUNG = "hung"  # status of a program that hangs
STOPPED = "stopped"  # status of a program that was stopped at its first failed test
FIBERS = {"tests/fiber/test_silence": ("silence",), "tests/fiber/": ("threads", "threads-asan")}
SHOWN = 20  # failed tests of a build that are named as soon as they fail
ENDED = "# selftest: "  # begins the last line of each process
GROUND = 16  # suites that run first, in their order: the others rely on the code that these test
TOGETHER = 6  # suites of one process, when several processes run side by side
SANITIZERS = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=0",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=0 exitcode=66 second_deadlock_stack=1",
}
# Without the search for leaks, which reads all of the program's memory, 300 MiB, when it ends: it
# takes ten times as long as a suite.  The run of all suites looks for leaks.
NO_LEAKS = SANITIZERS | {"ASAN_OPTIONS": SANITIZERS["ASAN_OPTIONS"] + ":detect_leaks=0"}


def count_line(passed, failed, skipped=0):
    """The closing line: "N passed, N failed", and ", N skipped" if any was."""
    return f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else "")


class Counts:
    """Numbers of tests passed, failed and left out, and names of the failed tests, for the closing
    line."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.names = []

    def add(self, passed, failed, names=()):
        self.passed += passed
        self.failed += failed
        self.names += names

    def one(self, good, name):
        self.add(1, 0) if good else self.add(0, 1, [name])
        return good

    def left_out(self, what, reason):
        """Say that @what is left out, and count it as skipped."""
        print("  " + needs.line(what, reason), flush=True)
        self.skipped += 1

    def line(self):
        return count_line(self.passed, self.failed, self.skipped)

    def close(self, tool, start=None):
        """Print the failures and the closing line; returns the exit status: 0 only if tests
        passed and none failed."""
        for name in self.names:
            print(f"FAILED {name}")
        took = f" in {time.monotonic() - start:.0f} s" if start is not None else ""
        print(f"{tool}: {self.line()}{took}")
        return 1 if self.failed or not self.passed + self.skipped else 0


def make(build, *targets, **variables):
    """Run make TARGETS, independent of an outer make; True if it succeeded."""
    wrong = outer_make.run(build, *targets, **variables)
    print(wrong or "", end="")
    return wrong is None


jobs = outer_make.jobs


def known_suites(program):
    """The names of all suites that a program has, in their order."""
    said = rooms.call([os.path.abspath(program), "no-such-suite"], timeout=qemu.WATCHDOG).stdout
    words = " ".join(re.findall(r"^selftest: known: (.*)$", said, re.MULTILINE)).split()
    return [word for word in words if word not in suites.GROUPS]


def all_suites(program):
    """The names of the suites of selftest=all, in their order."""
    return [n for n in known_suites(program) if n not in suites.with_flag("KTEST_EXTRA")]


def run_suites(command, limit, out, fails):
    """Run the program until it ends, a suite hangs, or fails(test) returns True.  Returns (exit
    status, HUNG or STOPPED; number of suites that ended; why it hangs, or "")."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
    proc = subprocess.Popen(command, env=dict(os.environ, **SANITIZERS), **pipes)
    dog, done, part = watchdog.Watchdog(proc.pid, limit), 0, b""
    try:
        while True:
            why = dog.why()
            if why:
                return HUNG, done, why
            if not select.select([proc.stdout], [], [], 0.5)[0]:
                continue
            data = os.read(proc.stdout.fileno(), 1 << 16)
            if not data:
                return proc.wait(), done, ""
            dog.heard()
            out.append(data)
            *lines, part = (part + data).split(b"\n")
            for line in lines:
                if line.startswith((b"ok ", b"not ok ")):
                    done += 1
                    dog.again()
                elif line.startswith(b"  not ok "):
                    if fails(line.split()[3].decode("utf-8", "replace")):
                        return STOPPED, done, ""
    finally:
        proc.kill()
        proc.wait()
        proc.stdout.close()


def run_some(command, name, wanted, fails):
    """Run the @wanted suites, or all: (exit status, report, tests that hang)."""
    limit = SUITE_LIMIT.get(name, SUITE_LIMIT_PLAIN)
    out, stuck, left = [], [], wanted
    status, done, why = run_suites(command + ([",".join(left)] if left else []), limit, out, fails)
    while status == HUNG:
        left = (all_suites(command[0]) if left is None else left)[done:]
        running = qemu.ktap_running(b"".join(out).decode("utf-8", "replace"))
        stuck.append(running or (left[0] if left else f"suite {done + 1}"))
        said = f"{stuck[-1]} hangs: {why}; its suite is left out, the others still run"
        print(f"  {name:8} {said}", flush=True)
        left = left[1:]
        if not left:
            break
        out.append(b"\n")
        status, done, why = run_suites(command + [",".join(left)], limit, out, fails)
    return status, b"".join(out).decode("utf-8", "replace"), stuck


def run_beside(command, name, fails, lanes):
    """Run all suites in several processes: a list of the results of run_some, one for each."""
    names = all_suites(command[0])
    rest = [names[at : at + TOGETHER] for at in range(GROUND, len(names), TOGETHER)]
    done = [run_some(command, name, names[:GROUND], fails)]
    with ThreadPoolExecutor(lanes) as pool:
        done += pool.map(lambda some: run_some(command, name, some, fails), rest)
    return done


def run_build(build, name, seed, lanes=1, wanted=None, fail_fast=False):
    """Run one build's suites, or the @wanted ones: (seconds, exit status, report, tests that
    hang)."""
    program = os.path.join(build, f"host-{name}", "check")
    command = [program] + ([f"--seed={seed}"] if seed else [])
    start = time.monotonic()
    shown = []

    def fails(test):
        shown.append(test)
        if len(shown) <= SHOWN:
            print(f"  {name:8} not ok: {test} ({time.monotonic() - start:.0f} s)", flush=True)
        return fail_fast

    if lanes > 1 and not wanted and not fail_fast:
        done = run_beside(command, name, fails, lanes)
    else:
        done = [run_some(command, name, wanted, fails)]
    # Return the first status that is not 0.  If a process ended too early, the last lines of the
    # others must not hide that.
    ends = [ENDED in text for _, text, _ in done]
    status = next((s for s, _, _ in done if s != 0), 0)
    text = "\n".join(text for _, text, _ in done)
    text = text if all(ends) else text.replace(ENDED, "# ended: ")
    stuck = [test for _, _, tests in done for test in tests]
    with open(os.path.join(build, f"host-{name}.log"), "w", encoding="utf-8") as f:
        f.write(text)
    return time.monotonic() - start, status, text, stuck


def repeat(build, name, test):
    """The line for a shell that runs one test of a build again."""
    names = {"asan": ("ASAN", "UBSAN"), "tsan": ("TSAN",)}
    kinds = next((kinds for key, kinds in names.items() if name.endswith(key)), ())
    options = {f"{kind}_OPTIONS": SANITIZERS[f"{kind}_OPTIONS"] for kind in kinds}
    before = "".join(f"{key}={shlex.quote(value)} " for key, value in options.items())
    return f"{before}{build}/host-{name}/check {test}"


STORY = re.compile(r"WARNING: ThreadSanitizer|ERROR: \w+Sanitizer|runtime error:")


def what_matters(text):
    """The important part of a report: a sanitizer's text, else the lines around failed tests,
    else its end."""
    lines = text.split("\n")
    if story := STORY.search(text):
        first = text.count("\n", 0, story.start())
        return lines[first : first + 40]
    failed = [i for i, line in enumerate(lines) if line.startswith("  not ok ")]
    return [line for i in failed for line in lines[max(0, i - 8) : i + 1]][:60] or lines[-40:]


def judge(counts, build, name, seconds, status, text, stuck):
    passed, failed, skipped, names = qemu.ktap_counts(text)
    numbers = f"{passed:4} passed {failed:3} failed {skipped:3} skipped {seconds:6.1f} s"
    print(f"  {name:8} {numbers}  ({BUILDS[name]})", flush=True)
    counts.add(passed, failed, [f"hosted {name}: {n}" for n in names])
    counts.add(0, len(stuck), [f"hosted {name}: {test} hangs" for test in stuck])
    failed += len(stuck)
    for test in [*names, *stuck][:SHOWN]:
        print(f"    again: {repeat(build, name, test)}")
    # A crash, a sanitizer's report or a suite that broke the kernel's memory has no test line.
    ended = ENDED in text
    if not failed and (status != 0 or not ended or not passed):
        story = STORY.search(text)
        where = qemu.in_test(text[: story.start()] if story else text)
        where += "" if ended else ", before the last suite"
        counts.one(False, f"hosted {name}: ended with status {status}{where}")
        failed = 1
    if failed:
        print("    " + "\n    ".join(what_matters(text)))
        print(f"    the whole report: {os.path.join(build, f'host-{name}.log')}")


def check(counts, build, only=None, seed=None, lanes=None):
    names = [n for n in BUILDS if not only or n in only]
    start = time.monotonic()
    print(f"hosted: building {' '.join(names)} ...", flush=True)
    built = make(build, *[os.path.join(build, f"host-{n}", "check") for n in names])
    lanes = lanes or (jobs() + 1 if len(names) == 1 else 1)
    print(f"hosted: built in {time.monotonic() - start:.1f} s; running ...", flush=True)
    if not built:
        for name in names:
            if not make(build, os.path.join(build, f"host-{name}", "check")):
                counts.one(False, f"hosted {name}: does not build")
        return
    with ThreadPoolExecutor(2) as pool:
        running = {n: pool.submit(run_build, build, n, seed, lanes) for n in names}
        for name in names:
            judge(counts, build, name, *running[name].result())


def builds_of(suite):
    """The builds that may have @suite, by its source's path; none if there is no such suite."""
    known = suites.suites().get(suite)
    if not known:
        return []
    mine = next((builds for path, builds in FIBERS.items() if known.path.startswith(path)), None)
    return mine or [name for name in BUILDS if not any(name in some for some in FIBERS.values())]


def check_some(counts, build, only, seed, wanted, fail_fast):
    """Run one build after the other: its @wanted suites and tests, or all if none is wanted."""
    order = ["plain", *(name for name in BUILDS if name != "plain")]
    ran = set()
    for name in order:
        mine = [w for w in wanted if name in builds_of(w.split(".")[0])]
        if (only and name not in only) or (wanted and not mine):
            continue
        print(f"hosted: building {name} ...", flush=True)
        program = os.path.join(build, f"host-{name}", "check")
        if not make(build, program):
            counts.one(False, f"hosted {name}: does not build")
        else:
            has = set(all_suites(program)) | suites.with_flag("KTEST_EXTRA")
            mine = [w for w in mine if w.split(".")[0] in has]
            ran.update(mine)
            if mine or not wanted:
                done = run_build(build, name, seed, wanted=mine or None, fail_fast=fail_fast)
                judge(counts, build, name, *done)
        if counts.failed and fail_fast:
            return
    for missing in [w for w in wanted if w not in ran]:
        counts.one(False, f"hosted: {missing}: no build that runs here has it")


# ---- again whenever a source is saved: make check WATCH=1 ----------------------------------------
# First the chosen suites run, then those that a saved file names: the suites that a test's source
# defines, or those after "Tests:" in the head of another source.  If it names none, all suites run.


ROOMS = ("arch", "bench", "demo", "drivers", "include", "kernel", "labs", "mm", "tests")
LOOK = 0.3  # seconds between two checks


def times():
    """{path: when it was saved}, of all sources."""
    at = os.path.join(suites.ROOT, "")
    kinds = (f"{at}{room}/**/*.{kind}" for room in ROOMS for kind in ("c", "h", "mk"))
    found = [path for kind in kinds for path in glob.glob(kind, recursive=True)]
    return {path.removeprefix(at): os.stat(path).st_mtime_ns for path in found}


def saved(before):
    """Wait until sources were saved, created or deleted, and change no more: (paths, times)."""
    last, now = before, times()
    while now == before or now != last:
        time.sleep(LOOK)
        last, now = now, times()
    return sorted(p for p in {*before, *now} if before.get(p) != now.get(p)), now


def named_by(path):
    """The suites that @path defines, or those after "Tests:" in its head; none if it is deleted."""
    try:
        return suites.names_in(suites.read(path)) or set(suites.named_in(path))
    except FileNotFoundError:
        return set()


def concerned(paths, has):
    """The suites of @has that test the saved files; an empty list stands for all suites."""
    named = [named_by(path) & has for path in paths]
    return sorted(set().union(*named)) if all(named) else []


def builds_for(wanted):
    """The builds to run without ONLY=: plain; for a suite not in plain, the first that has it."""
    have = [builds_of(test.split(".")[0]) for test in wanted] or [["plain"]]
    return sorted({"plain" if "plain" in names else names[0] for names in have})


def programs_have(build):
    """The suites of those test programs that are built."""
    programs = [os.path.join(build, f"host-{name}", "check") for name in BUILDS]
    built = [all_suites(program) for program in programs if os.path.exists(program)]
    return set().union(*built)


def watch(build, only, seed, wanted, fail_fast):
    """Run the suites for each saved file, until Ctrl-C."""
    before, now = times(), wanted
    while True:
        counts, start = Counts(), time.monotonic()
        check_some(counts, build, only or builds_for(now), seed, now, fail_fast)
        counts.close("hosted", start)
        print("waiting for a source to be saved; Ctrl-C ends this", flush=True)
        paths, before = saved(before)
        suites.suites.cache_clear()
        now = wanted or concerned(paths, programs_have(build))
        print(f"\nsaved: {' '.join(paths)}; suites: {' '.join(now) or 'all'}", flush=True)


def main():
    parser = rooms.parser(__doc__)
    parser.add_argument("--only", help="builds, with commas: " + ",".join(BUILDS))
    parser.add_argument("--suite", help="suites, and tests SUITE.TEST, with commas")
    parser.add_argument("--fail-fast", action="store_true", help="stop at the first failure")
    parser.add_argument("--watch", action="store_true", help="again when a source is saved")
    parser.add_argument("--seed")
    parser.add_argument("--jobs", type=int, help="processes of each build; else a core's and one")
    args = parser.parse_args()
    only = args.only and rooms.chosen(parser, args.only, BUILDS, "build")
    wanted = re.split(r"[, ]+", args.suite.strip()) if args.suite else []
    unknown = [w for w in wanted if not builds_of(w.split(".")[0])]
    if unknown:
        parser.error(f"no suite {', '.join(unknown)}; tools/lib/suites.py contract lists names")
    if args.watch:
        watch(args.build, only, args.seed, wanted, args.fail_fast)
    counts = Counts()
    start = time.monotonic()
    if wanted or args.fail_fast:
        check_some(counts, args.build, only, args.seed, wanted, args.fail_fast)
    else:
        check(counts, args.build, only, args.seed, args.jobs)
    return counts.close("hosted", start)


if __name__ == "__main__":
    rooms.run(main)
