#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Apply, build and run every wrong variant of tests/mutants, and print which test kills it.

Usage: tools/mutants.py [--build DIR] [--only ID,...] [--jobs N] [--world host|qemu] [--keep]

The last line is "N passed, N failed"; passed is what was killed by the test named for it, with the
message expected.  The same goes to DIR/mutants.json.  docs/mutants.md explains the matrix.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True
import variant

HOST_LIMIT = 60   # seconds for a suite that takes one or two
HANG_LIMIT = 12   # the same, where hanging is expected
QEMU_LIMIT = 90
SANITIZERS = {"ASAN_OPTIONS": "detect_stack_use_after_return=0", "UBSAN_OPTIONS": "print_stacktrace=1",
              "TSAN_OPTIONS": "halt_on_error=0 exitcode=66"}
TIMED_OUT = "timeout"
RESULT = re.compile(r"^  (ok|not ok) (\d+) (\S+)")


class Report:
    """A KTAP report: what each test printed, which failed, and which was running at the end."""

    def __init__(self, text, status):
        self.status = status
        self.said = {}       # test -> what was printed before its result
        self.failed = []
        self.unfinished = ""  # printed after the last result
        self.nr = 0
        self.suites_done = 0
        said = []
        for line in text.replace("\r", "").split("\n"):
            found = RESULT.match(line)
            if found:
                self.said[found.group(3)] = "\n".join(said)
                self.nr += 1
                if found.group(1) == "not ok":
                    self.failed.append(found.group(3))
                said = []
            elif re.match(r"(ok|not ok) \d+ ", line):
                self.suites_done += 1
                said = []
            else:
                said.append(line)
        self.unfinished = "\n".join(said)

    def diagnosis(self, test):
        """The first thing that a test complained about."""
        lines = self.said.get(test, self.unfinished).split("\n")
        story = [x.strip() for x in lines if re.search(r"#|panic|PANIC|Sanitizer|runtime error", x)]
        return story[0] if story else "no message"


def run_hosted(program, suites, cpus, limit, until=None):
    """Run suites; end the run when the test @until has failed: what comes after is not asked for."""
    lines, late = [], threading.Event()
    proc = subprocess.Popen([program, f"--cpus={cpus}", suites], env=dict(os.environ, **SANITIZERS),
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    timer = threading.Timer(limit, lambda: (late.set(), proc.kill()))
    timer.start()
    failed = False
    try:
        for line in proc.stdout:
            lines.append(line.decode("utf-8", "replace"))
            found = RESULT.match(lines[-1])
            if until and found and found.group(1) == "not ok" and found.group(3) == until:
                failed = True
                proc.kill()
                break
    finally:
        if sys.exc_info()[0]:
            proc.kill()
        proc.stdout.close()
        proc.wait()
        timer.cancel()
    status = 1 if failed else TIMED_OUT if late.is_set() else proc.returncode
    return Report("".join(lines), status)


def run_kernel(kernel, suites, m_id, cpus, limit):
    import qemu
    machine = qemu.Machine(cpus=cpus, mem=256, kernel=kernel, timeout=limit)
    run = machine.run(f"variant-{m_id}", f"selftest={suites} tour=off monitor=off")
    return Report(run.text, 0 if run.passed else TIMED_OUT if run.status == qemu.TIMED_OUT else 1)


class Matrix:
    def __init__(self, args):
        self.args = args
        self.build = os.path.abspath(args.build)
        self.bases = {}
        self.order = {}   # (world, build, suite) -> names of its tests, in order
        self.normal = {}  # the same -> what each of them prints of the unmodified tree

    def prepare(self, mutants):
        """Build the unmodified tree and see that it passes what the variants shall fail."""
        import check
        targets = {}
        for m in mutants:
            targets.setdefault((m.world, m.build if m.world == "host" else None), set()).add(m.suite)
        goals = [os.path.join(self.build, f"host-{b}", "check") if w == "host"
                 else os.path.join(self.build, "quarry.elf") for w, b in targets]
        if not check.make(self.build, *goals):
            return "the unmodified tree does not build"
        for (world, build), suites in sorted(targets.items(), key=str):
            self.bases[world, build] = variant.Base(self.build, world, build)
            for suite in sorted(suites):
                wrong = self.look(world, build, suite)
                if wrong:
                    return wrong
        return None

    def look(self, world, build, suite):
        if world == "host":
            report = run_hosted(os.path.join(self.build, f"host-{build}", "check"), suite, 4, HOST_LIMIT)
        elif suite == "boot":
            report = run_kernel(os.path.join(self.build, "quarry.elf"), "none", "unmodified", 4, QEMU_LIMIT)
        else:
            report = run_kernel(os.path.join(self.build, "quarry.elf"), suite, "unmodified", 4, QEMU_LIMIT)
        self.order[world, build, suite] = list(report.said)
        self.normal[world, build, suite] = report.said
        if report.status != 0 or report.failed:
            return (f"the unmodified tree fails {suite} ({world}): {report.failed or report.status} "
                    + report.diagnosis((report.failed or [""])[0]))
        return None

    @staticmethod
    def key(m):
        return m.world, m.build if m.world == "host" else None, m.suite

    def tests_of(self, m):
        return self.order[self.key(m)]

    def one(self, m):
        start = time.monotonic()
        tree = os.path.join(self.build, "variant", m.id)
        try:
            if m.suite != "boot" and m.test not in self.tests_of(m):
                raise variant.VariantError(f"{m.id}: the suite {m.suite} has no test {m.test}")
            if not m.hang and m.expect in self.normal[self.key(m)].get(m.test, ""):
                raise variant.VariantError(f"{m.id}: the unmodified tree prints {m.expect!r} too")
            verdict, note = self.judge(m, tree)
        except variant.VariantError as e:
            verdict, note = "BAD PATCH", str(e)
        except variant.BuildError as e:
            verdict, note = "BUILD ERROR", str(e).strip()
        if not self.args.keep:
            shutil.rmtree(tree, ignore_errors=True)
        return {"id": m.id, "title": m.title, "world": m.world, "build": m.build, "kill": m.kill,
                "verdict": verdict, "note": note, "seconds": round(time.monotonic() - start, 1)}

    def judge(self, m, tree):
        changed = variant.apply(m, tree)
        base = self.bases[self.key(m)[:2]]
        program = base.make(tree, changed)
        verdict, note = "SURVIVED", ""
        for _ in range(m.tries):
            verdict, note = self.verdict(m, self.run(m, program))
            if verdict != "SURVIVED":
                break
        return verdict, note

    def run(self, m, program):
        limit = HANG_LIMIT if m.hang else HOST_LIMIT
        if m.world == "host":
            return run_hosted(program, m.suite, m.cpus, limit, m.test)
        suites = "none" if m.suite == "boot" else m.suite
        return run_kernel(program, suites, m.id, m.cpus, 30 if m.hang else QEMU_LIMIT)

    def running(self, m, report):
        """The test that had begun and not ended; None if all had."""
        order = self.tests_of(m)
        if m.suite == "boot":
            return m.test
        if report.suites_done or report.nr >= len(order):
            return None
        return order[report.nr]

    def verdict(self, m, report):
        running = self.running(m, report)
        if report.status == TIMED_OUT:
            if m.hang and running == m.test:
                return "KILLED", "hangs, as it must"
            return "TIMEOUT", f"in {running}"
        said = report.said.get(m.test, "")
        if running == m.test and m.test not in report.said:
            said = report.unfinished
        if report.status != 0 and m.expect in said:
            return "KILLED", m.expect
        if report.status == 0:
            return "SURVIVED", ""
        others = report.failed + ([running] if running else [])
        if m.test in others:
            return "KILLED BY ANOTHER", f"message of {m.test}: {report.diagnosis(m.test)}"
        if others:
            return "KILLED BY ANOTHER", f"{others[0]}: {report.diagnosis(others[0])}"
        return "KILLED BY ANOTHER", f"status {report.status}: {report.diagnosis('')}"


def line_of(r):
    if r["verdict"] == "KILLED":
        return f"{r['id']:6} killed by {r['kill']} ({r['seconds']} s)  {r['title']}"
    return f"{r['id']:6} {r['verdict']} ({r['kill']}; {r['seconds']} s)  {r['title']}\n         {r['note']}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--only", help="ids, with commas")
    parser.add_argument("--world", choices=variant.WORLDS)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", action="store_true", help="leave the variants' trees where they are")
    args = parser.parse_args()
    os.environ["QUARRY_BUILD"] = args.build
    start = time.monotonic()
    try:
        mutants = variant.load(args.only.split(",") if args.only else None)
    except variant.VariantError as e:
        print(f"mutants: {e}", file=sys.stderr)
        return 2
    mutants = [m for m in mutants if not args.world or m.world == args.world]
    matrix = Matrix(args)
    wrong = matrix.prepare(mutants)
    if wrong:
        print(f"mutants: {wrong}")
        print(f"0 passed, {max(1, len(mutants))} failed")
        return 1
    results = []
    with ThreadPoolExecutor(max(1, args.jobs)) as pool:
        for r in pool.map(matrix.one, mutants):
            print(line_of(r), flush=True)
            results.append(r)
    with open(os.path.join(args.build, "mutants.json"), "w", encoding="utf-8") as f:
        json.dump(results, f, indent=1)
        f.write("\n")
    good = sum(r["verdict"] == "KILLED" for r in results)
    for verdict in sorted({r["verdict"] for r in results}):
        print(f"# {verdict}: {sum(r['verdict'] == verdict for r in results)}")
    print(f"# {len(results)} variants in {time.monotonic() - start:.0f} s")
    print(f"{good} passed, {len(results) - good} failed")
    return 0 if results and good == len(results) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
