#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Let the n-th allocation of every test fail, for every n, and see that nothing breaks.

Usage: tools/failsweep.py [--build DIR] [--suites NAME,...] [--max N] [--seconds N] [--all]

Links the objects of the asan build once more, with arch/host/host_fail.c between mm/ and its
allocations, and runs every suite with n = 1, 2, ... until no test makes so many calls any more, or up
to --max.  From 100 on n grows by an eighth each time; with --all it goes on one by one.  A test's own expectations may fail: it did not get its memory.  What counts is: no panic, no
sanitizer's report, no hang, no invariant of check_memory broken; no page lost of the kernel's memory;
and a test that still passes leaves no more allocated than without a failure.
"""
import argparse
import glob
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True  # nothing outside the build directory
import check
import qemu

WRAPPED = ["alloc_pages", "mem_alloc_pages", "kmalloc", "thread_start"]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
FLAGS = "-std=gnu11 -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter -Iinclude -Iarch/host -I. -pthread".split()
LIMIT = 120
SLAB_SIZES = 8  # one empty page of each may stay behind
# A suite that needs no memory of its own, or whose subject is time, is left out with its reason.
LEFT_OUT = {"fail": "fails on purpose"}


def link(build):
    """build/fail/check; None if it does not build."""
    home, asan = os.path.join(build, "fail"), os.path.join(build, "host-asan")
    if not check.make(build, os.path.join(asan, "check")):
        return None
    os.makedirs(home, exist_ok=True)
    out, joined = os.path.join(home, "check"), os.path.join(home, "under_test.o")
    compiler = os.environ.get("HOSTCC", "gcc")
    inner = sorted(glob.glob(f"{asan}/mm/*.o") + glob.glob(f"{asan}/kernel/*.o"))
    # Objects of sources that are gone stay in the directory.
    inner = [o for o in inner if os.path.exists(os.path.join(qemu.ROOT, os.path.relpath(o, asan)[:-2]))]
    outer = sorted(glob.glob(f"{asan}/arch/host/*.o") + glob.glob(f"{asan}/tests/*.o"))
    outer = [o for o in outer if os.path.exists(os.path.join(qemu.ROOT, os.path.relpath(o, asan)[:-2]))]
    wraps = [f"-Wl,--wrap={name}" for name in WRAPPED]
    steps = [[compiler, "-r", "-nostdlib", *wraps, "-o", joined, *inner],
             [compiler, *FLAGS, *SANITIZE, "-Wl,--wrap=memory_init", "-o", out, joined, *outer, "arch/host/host_fail.c"]]
    for step in steps:
        done = subprocess.run(step, cwd=qemu.ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            print(done.stdout)
            return None
    return out


class Run:
    def __init__(self, program, suite, n):
        env = dict(os.environ, **check.SANITIZERS, QUARRY_FAIL_AT=str(n))
        self.suite, self.n = suite, n
        try:
            done = subprocess.run([program, suite], env=env, timeout=LIMIT, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
            self.status, out = done.returncode, done.stdout
        except subprocess.TimeoutExpired as e:
            self.status, out = "timeout", e.stdout or b""
        self.text = out.decode("utf-8", "replace")
        # test -> (calls, live, lost, failures)
        self.tests = {m.group(1): tuple(int(g) for g in m.groups()[1:]) for m in re.finditer(
            r"^# fail \S+ (\S+) calls=(\d+) live=(\d+) lost=(-?\d+) failures=(\d+)$", self.text, re.MULTILINE)}

    def calls(self):
        return max((t[0] for t in self.tests.values()), default=0)

    def wrong(self, base):
        if self.status not in (0, 1) or "# selftest: " not in self.text:
            story = re.search(r"PANIC.*|ERROR: \w+Sanitizer.*|.*runtime error:.*", self.text)
            yield f"ended with {self.status}: {story.group(0) if story else self.text[-200:].strip()}"
        for line in re.findall(r"^.*check_memory\(.*", self.text, re.MULTILINE):
            yield line.strip()
        for name, (calls, live, lost, failures) in self.tests.items():
            if calls < self.n:
                continue  # nothing was injected here
            if lost > max(base.tests.get(name, (0, 0, 0, 0))[2], 0) + SLAB_SIZES:
                yield f"{name}: {lost} pages of the kernel's memory lost"
            if not failures and live > base.tests.get(name, (0, live))[1]:
                yield f"{name}: passes, but leaves {live} pages allocated"


def suites(program):
    said = subprocess.run([program, "?"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    names = re.search(r"known: all quick none fail(.*)", said).group(1).split()
    return sorted(n for n in set(names) if n not in LEFT_OUT)


def sweep_suite(program, suite, limit, until, every):
    """(runs, failures injected, calls of the busiest test, n reached, findings)"""
    base = Run(program, suite, 0)
    most, injected, found, n, runs = base.calls(), 0, [], 0, 1
    for line in base.wrong(base):
        found.append(f"{suite}, nothing injected: {line}")
    while n < min(most, limit) and time.monotonic() < until:
        n += 1 if every or n < 100 else n // 8
        runs += 1
        run = Run(program, suite, n)
        injected += sum(t[0] >= n for t in run.tests.values())
        found += [f"{suite}, n = {n}: {line}" for line in run.wrong(base)]
        most = max(most, run.calls()) if run.status in (0, 1) else most
    return runs, injected, most, n, found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--suites")
    parser.add_argument("--max", type=int, default=1 << 30)
    parser.add_argument("--seconds", type=int, default=1 << 30)
    parser.add_argument("--all", action="store_true")
    args = parser.parse_args()
    program = link(args.build)
    if not program:
        return 1
    names = args.suites.split(",") if args.suites else suites(program)
    until = time.monotonic() + args.seconds
    findings = total = 0
    with ThreadPoolExecutor(2) as pool:
        for name, result in zip(names, pool.map(lambda s: sweep_suite(program, s, args.max, until, args.all), names)):
            runs, injected, most, reached, found = result
            total += injected
            findings += len(found)
            note = "" if reached >= most else f"  (of {most})"
            print(f"  {name:14} n = 1 .. {reached}{note}, {runs} runs: {injected} failures injected, {len(found)} findings", flush=True)
            for line in found[:12]:
                print(f"    {line}")
    print(f"failsweep: {total} failures injected, {findings} finding{'' if findings == 1 else 's'}")
    return 1 if findings else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
