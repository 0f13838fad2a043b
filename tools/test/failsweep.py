#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Let the n-th allocation of every test fail, for every n, and see that nothing breaks.

Links the objects of the asan build once more, with tests/host/host_fail.c between mm/ and its
allocations, and runs every test with n = 1, 2, ... until it makes no more calls.  A test's own
expectations may fail, since it did not get its memory.  Required are: no panic, no sanitizer
report, no hang, no invariant of check_memory broken, no page of the kernel's memory lost.  A test
that still passes must leave no more pages allocated than without a failure, and no more objects of
each kind (account.h).  --share 3/8 sweeps every eighth test from the third on.
"""
import fcntl
import glob
import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import check
import watchdog

WRAPPED = "mem_alloc_page mem_alloc_pages kmalloc thread_start arch_clock_ns threads_had_turn"
WRAPPED_EVERYWHERE = "memory_init ktest_run"
SOURCE = "tests/host/host_fail.c"
FLAGS = (
    "-std=gnu11 -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter -Iinclude -Iarch/host -I. "
    "-pthread -fsanitize=address,undefined -fno-sanitize-recover=all"
).split()
SLAB_SIZES = 8  # sizes of slabs: each may keep one empty page
PART = 1000  # values of n that one job runs
UNDER_LOAD = 1000  # values of n for a test whose CPUs repeat the same calls for as long as it runs
LEFT_OUT = {"fail": "fails on purpose"}
LINE = re.compile(
    r"^# fail at=(\d+) (\w+)\.(\w+) calls=(\d+) live=(\d+) lost=(-?\d+) failures=(\d+) left=(.*)$"
)


def link(build):
    """Build build/fail/check: its path, or None if it does not build."""
    home, asan = os.path.join(build, "fail"), os.path.join(build, "host-asan")
    if not check.make(build, os.path.join(asan, "check")):
        return None
    os.makedirs(home, exist_ok=True)
    with open(os.path.join(home, "lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another sweep may link at the same time
        return link_objects(home, asan)


def link_objects(home, asan):
    """Link home/check unless it is up to date: its path, or None if it does not link."""
    out, joined = os.path.join(home, "check"), os.path.join(home, "under_test.o")
    compiler = os.environ.get("HOSTCC", "gcc")

    def objects(*folders):
        # The directory also has objects of deleted sources: these are left out.
        found = sorted(o for f in folders for o in glob.glob(f"{asan}/{f}/**/*.o", recursive=True))
        sources = [os.path.join(rooms.ROOT, os.path.relpath(o, asan)[:-2]) for o in found]
        return [o for o, source in zip(found, sources) if os.path.exists(source)]

    def wrap(names):
        return [f"-Wl,--wrap={name}" for name in names.split()]

    needs = (os.path.join(asan, "check"), __file__, os.path.join(rooms.ROOT, SOURCE))
    if is_newer(out, *needs):
        return out
    under_test = objects("mm", "kernel", "demo", "bench", "drivers", "boot", "arch/x86_64")
    more = [*wrap(WRAPPED_EVERYWHERE), "-o", out, joined, *objects("arch/host", "tests"), SOURCE]
    for step in (
        [compiler, "-r", "-nostdlib", *wrap(WRAPPED), "-o", joined, *under_test],
        [compiler, *FLAGS, *more],
    ):
        done = rooms.call(step)
        if done.returncode:
            print(done.stdout)
            return None
    return out


def is_newer(path, *others):
    return os.path.exists(path) and all(
        os.stat(path).st_mtime > os.stat(other).st_mtime for other in others
    )


class Result:
    """The result of one run of one test, with one n."""

    def __init__(self, found):
        self.n, self.calls, self.live, self.lost, self.failures = (
            int(found.group(i)) for i in (1, 4, 5, 6, 7)
        )
        self.name, self.left = f"{found.group(2)}.{found.group(3)}", found.group(8)


def run(program, tests, at):
    """Run @tests with QUARRY_FAIL_AT=@at: (results, {n: complaint}, the n at which the program
    ended too early, or None)."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "stdin": subprocess.DEVNULL}
    env = dict(os.environ, **check.NO_LEAKS, QUARRY_FAIL_AT=at)
    proc = subprocess.Popen([program, tests], env=env, text=True, errors="replace", **pipes)
    results, wrong, recent, lines, n = [], {}, [], 0, int(at.split("-")[0])
    ended = done = False  # has the run with this n ended; have all runs ended
    test = ""  # " in " and the name of the running test
    with watchdog.Guard(proc.pid, watchdog.LEAST, lambda: lines, parts=True) as guard:
        for line in proc.stdout:
            lines += 1
            recent = recent[-40:] + [line.rstrip()]
            found = LINE.match(line)
            if found:
                results.append(Result(found))
                n, ended, test = results[-1].n, False, ""
            elif line.startswith("  # begin "):
                test = " in " + line.split()[2]
            elif "check_memory(" in line:
                wrong.setdefault(n, line.strip())
            ended = ended or line.startswith("# selftest: ")
            done = done or line.startswith("# fail done")
    proc.wait()
    if guard.why or proc.returncode not in (0, 1) or not ended:
        story = re.search(r"PANIC.*|ERROR: \w+Sanitizer.*|.*runtime error:.*", "\n".join(recent))
        n += ended
        wrong[n] = f"ended with {proc.returncode}{test}: {story.group() if story else recent[-1:]}"
        if guard.why:
            wrong[n] = f"hangs{test}: {guard.why}"
    return results, wrong, None if done else n


def judge(result, base):
    """The fault of a run in which a call failed, or None."""
    if result.lost > max(base.lost, 0) + SLAB_SIZES:
        return f"{result.lost} pages of the kernel's memory lost"
    if not result.failures and result.live > base.live:
        return f"passes, but leaves {result.live} pages allocated"
    if not result.failures and result.left != base.left:
        return f"passes, but leaves {result.left} behind"
    return None


class Sweep:
    """The runs of one test with all values of n."""

    def __init__(self, program, base, upto):
        self.program, self.base, self.upto = program, base, upto
        self.reached = self.injected = self.seconds = 0
        self.found = {}  # n -> complaint
        self.lock = threading.Lock()

    def parts(self):
        """Ranges of n, up to the number of calls without a failure; the last range is open."""
        if self.upto and self.upto < self.base.calls:
            return [(1, self.upto)]
        starts = range(1, self.base.calls + 1, PART)
        return [(at, min(at + PART - 1, self.base.calls)) for at in starts]

    def run(self, at, last):
        start, open_end = time.monotonic(), last == self.base.calls
        while at <= last:
            results, wrong, ended_at = run(self.program, self.base.name, f"{at}-{last}")
            with self.lock:
                self.found.update(wrong)
                for result in results:
                    self.take(result)
            at = ended_at + 1 if ended_at else last + 1
            # A failure may lead to more calls than a run without failures made.  The limit is twice
            # as many: a test under load repeats the same calls for as long as it runs.
            goes_on = results and results[-1].calls > results[-1].n
            if at > last and open_end and goes_on and last < 2 * self.base.calls:
                last += 10
        with self.lock:
            self.seconds += time.monotonic() - start

    def take(self, result):
        self.reached = max(self.reached, result.n)
        self.injected += result.calls >= result.n
        complaint = judge(result, self.base) if result.calls >= result.n else None
        if complaint:
            self.found.setdefault(result.n, complaint)

    def findings(self):
        return [f"{self.base.name}, n = {n}: {self.found[n]}" for n in sorted(self.found)]


def all_suites(program):
    return sorted(set(check.known_suites(program)) - set(LEFT_OUT))


def share_of(text):
    """An argument like 3/8."""
    number, shares = (int(word) for word in text.split("/"))
    if not 1 <= number <= shares:
        raise ValueError(text)
    return number, shares


def some_tests(program, number, shares):
    """Every @shares-th test in order of name, from test @number on."""
    word = "--list=" + ",".join(all_suites(program))
    lines = rooms.call([os.path.abspath(program), word]).stdout.split("\n")
    names = sorted({line.split()[0] for line in lines if re.match(r"\w+\.\w+ \w+$", line)})
    return names[number - 1 :: shares]


def all_tests(program, only):
    """(the result of each test without a failure, findings)"""
    names = all_suites(program)
    results, wrong, _ = run(program, ",".join(only or names), "0")
    return results, [f"nothing injected: {line}" for line in wrong.values()]


def report(sweeps):
    """Print a line for each suite."""
    suites = {}
    for sweep in sweeps:
        suites.setdefault(sweep.base.name.split(".")[0], []).append(sweep)
    for suite, mine in suites.items():
        lines = [line for sweep in mine for line in sweep.findings()]
        text = f"{len(mine):3} tests, n = 1 .. {max(s.reached for s in mine):5}: "
        text += f"{sum(s.injected for s in mine):6} failures injected in "
        text += f"{sum(s.seconds for s in mine):6.1f} s, {len(lines)} findings"
        print(f"  {suite:14} {text}", flush=True)
        for line in lines[:12]:
            print(f"    {line}")


def main():
    parser = rooms.parser(__doc__)
    parser.add_argument("--only", help="suites and tests, with commas")
    parser.add_argument("--jobs", type=int, default=4 * check.jobs(), help="tests mostly wait")
    parser.add_argument("--upto", type=int, help="only N allocations of each test")
    parser.add_argument("--share", type=share_of, help="3/8: every eighth test from the third on")
    args = parser.parse_args()
    counts, start = check.Counts(), time.monotonic()
    program = link(args.build)
    if not program:
        counts.one(False, "it does not build")
        return counts.close("failsweep", start)
    only = args.only.split(",") if args.only else None
    if args.share:
        only = some_tests(program, *args.share)
    bases, findings = all_tests(program, only)
    again = {r.name: r.calls for r in all_tests(program, only)[0]}
    for base in bases:
        fewest = min(base.calls, again.get(base.name, base.calls))
        # The calls of a test under load differ from run to run: 10,000 to 90,000.
        same = again.get(base.name) == base.calls
        base.calls = fewest if same else min(fewest, UNDER_LOAD)
    for line in findings:
        counts.one(False, line)
    sweeps = [Sweep(program, base, args.upto) for base in bases if base.calls]
    longest = sorted(sweeps, key=lambda s: -s.base.calls)  # first, so that no core idles at the end
    with ThreadPoolExecutor(max(1, args.jobs)) as pool:
        for job in [pool.submit(s.run, *part) for s in longest for part in s.parts()]:
            job.result()
    report(sweeps)
    for sweep in sweeps:
        lines = sweep.findings()
        counts.one(not lines, lines[0] if lines else sweep.base.name)
    print(
        f"# {len(bases)} tests, {len(sweeps)} of them with allocations; "
        f"{sum(s.injected for s in sweeps)} failures injected"
    )
    return counts.close("failsweep", start)


if __name__ == "__main__":
    rooms.run(main, interrupted="interrupted")
