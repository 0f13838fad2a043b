#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run all tests; one closing line "N passed, N failed"; `make test`.

  hosted    tools/check.py: every suite in eight builds
  lint      tools/lint.py
  builds    the kernel with clang and lld, and with the cross prefix
  library   tools/library.py: mm/ as a library, alone, with a prefix, for 32 bits, for one CPU;
            ports that are wrong
  races     tools/race.py: every script, right code and wrong, on fibers and in QEMU
  mutants   tools/mutants.py: every wrong variant fails the tests named for it
  failures  tools/failsweep.py --upto 40: the n-th allocation of every test fails, for n up to 40
  qemu      tests/qemu by pytest: the real image, judged from outside
  user      the same for programs in ring 3: test_user.py, test_hostile.py, test_memory.py
  devices   the same for virtio devices and slots: test_virtio.py, test_slots.py, test_slots_busy.py
  models    tools/model.py: SPIN models of the protocols, right ones and wrong ones
  bochs     tools/test-bochs.py: the same image in another emulator

They run in this order.  Parts of BESIDE, if chosen, run one after another beside another part that
leaves cores idle: "qemu", where most machines have one busy CPU, and "races".

Usage: tools/test.py [--build DIR] [--only PART,...] [-- PYTEST-OPTION ...]

The numbers add the hosted programs' test lines, lint's checks, one for each build and pytest's
tests.  Tests that were skipped, or are expected to fail, are listed and not counted.
"""
import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET

sys.dont_write_bytecode = True  # nothing outside the build directory
import check
import lint
import outer_make
import qemu
import variant_build

PARTS = [
    "hosted",
    "lint",
    "builds",
    "library",
    "races",
    "mutants",
    "failures",
    "qemu",
    "user",
    "devices",
    "models",
    "bochs",
]
BESIDE = {
    "races": ["lint", "bochs"],
    "qemu": ["user", "devices", "models", "failures", "builds", "library", "mutants"],
}
USER = [f"tests/qemu/test_{name}.py" for name in ("user", "hostile", "memory")]
DEVICES = [f"tests/qemu/test_{name}.py" for name in ("virtio", "slots", "slots_busy")]
HOSTED = [f"host-{name}" for name in check.BUILDS]
BUILDS = {"clang": {"CC": "clang"}, "cross": {"CROSS_COMPILE": "x86_64-linux-gnu-"}}
# Parts that are one tool each: what is called, and how many of its last lines are shown.
TOOLS = {
    "library": ("library.py", 9),
    "races": ("race.py --no-explore", 1),
    # Two at a time: some variants wait half a minute for an event that never comes.
    "mutants": ("mutants.py --jobs 2", 2),
    "failures": ("failsweep.py --upto 40", 2),
    "models": ("model.py", 2),
    "bochs": ("test-bochs.py", 3),
}


def kernel(counts, build):
    if not check.make(build, "kernel"):
        counts.one(False, "kernel: does not build")
        return False
    return True


def part_hosted(counts, build, _):
    check.check(counts, build)


def part_lint(counts, build, _):
    if kernel(counts, build):
        lint.lint(counts, build)


def part_builds(counts, build, _):
    for name, variables in BUILDS.items():
        start = time.monotonic()
        good = check.make(os.path.join(build, name), "kernel", **variables)
        what = " ".join(f"{k}={v}" for k, v in variables.items())
        print(
            f"  {'ok' if good else 'not ok'} make {what} ({time.monotonic() - start:.1f} s)",
            flush=True,
        )
        counts.one(good, f"build {name}: make {what}")


def start_tool(build, name, *options):
    command = [sys.executable, os.path.join(qemu.ROOT, "tools", name), "--build", build, *options]
    said = tempfile.TemporaryFile("w+", errors="replace")
    proc = subprocess.Popen(
        command,
        cwd=qemu.ROOT,
        env=outer_make.env(),
        stdout=said,
        stderr=subprocess.STDOUT,
        preexec_fn=qemu._die_with_parent,
    )
    return proc, said


def count_tool(counts, started, name, tail=1, story=60):
    """
    Wait for its end.  Its last line that says "N passed, N failed" counts; print its last @tail
    lines, or @story if it failed.
    """
    proc, said = started
    status = proc.wait()
    said.seek(0)
    text = said.read()
    found = re.findall(r"(\d+) passed, (\d+) failed", text)
    passed, failed = (int(n) for n in found[-1]) if found else (0, 0)
    print("  " + "\n  ".join(text.rstrip().split("\n")[-story if status else -tail :]), flush=True)
    counts.add(passed, failed, [f"{name}: {failed} failed"] if failed else ())
    if status and not failed or not passed:
        counts.one(False, f"{name}: ended with status {status}")


def start_beside(counts, args, parts):
    """Start these parts beside the following ones; returns the result of start_tool, or None."""
    # Build their common files once, not twice at the same time.
    if not parts or not kernel(counts, args.build):
        return None
    if "mutants" in parts:
        programs = [variant_build.program_of(args.build, name) for name in ["fiber", *HOSTED]]
        if not check.make(args.build, *programs) or not check.make(
            os.path.join(args.build, "race"), "kernel", RACE="1"
        ):
            counts.one(False, "what the variants are compared with does not build")
            return None
    return start_tool(args.build, "test.py", "--only", ",".join(parts), "--", *args.options)


def python_with_pytest():
    """The distribution's Python has the distribution's packages; another one may come first in
    PATH."""
    for python in ("/usr/bin/python3", sys.executable, "python3"):
        try:
            if (
                subprocess.run(
                    [python, "-c", "import pytest, pexpect"], capture_output=True
                ).returncode
                == 0
            ):
                return python
        except OSError:
            pass
    return None


def part_qemu(counts, build, options):
    pytest(
        counts,
        build,
        "pytest",
        [*(f"--ignore={name}" for name in USER + DEVICES), *options, "tests/qemu"],
    )


def part_user(counts, build, options):
    pytest(counts, build, "pytest-user", [*options, *USER])


def part_devices(counts, build, options):
    pytest(counts, build, "pytest-devices", [*options, *DEVICES])


def pytest(counts, build, name, options):
    """Run pytest on the kernel; its report is BUILD/NAME.xml."""
    python = python_with_pytest()
    if not python:
        counts.one(False, "qemu: no Python with pytest and pexpect: run make setup")
        return
    if not kernel(counts, build):
        return
    report = os.path.join(build, name + ".xml")
    if os.path.exists(report):
        os.unlink(report)
    env = outer_make.env(QUARRY_BUILD=build, PYTHONDONTWRITEBYTECODE="1")
    status = subprocess.run(
        [
            python,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-v",
            "--tb=short",
            "--durations=25",
            f"--junit-xml={report}",
            *options,
        ],
        cwd=qemu.ROOT,
        env=env,
    ).returncode
    count_pytest(counts, report, status)


def count_pytest(counts, report, status):
    """Add the counts of pytest's report; a run without a complete report is one failure."""
    failed = False
    try:
        cases = list(ET.parse(report).iter("testcase"))
    except (OSError, ET.ParseError):
        cases = []
    for case in cases:
        name = f"qemu: {case.get('classname')}::{case.get('name')}"
        if case.find("skipped") is not None:
            print(f"  not counted: {name}: {case.find('skipped').get('message')}")
        elif case.find("failure") is not None or case.find("error") is not None:
            counts.one(False, name)
            failed = True
        else:
            counts.one(True, name)
    if status != 0 and not failed:
        counts.one(False, f"qemu: pytest ended with status {status}")


def run_part(counts, args, part, beside):
    start = time.monotonic()
    print(f"==== {part}" + (f", and beside it {', '.join(beside)}" if beside else ""), flush=True)
    others = start_beside(counts, args, beside)
    if part not in TOOLS:
        globals()[f"part_{part}"](counts, args.build, args.options)
    elif part != "bochs" or kernel(counts, args.build):
        command, tail = TOOLS[part]
        count_tool(counts, start_tool(args.build, *command.split()), command.split()[0], tail)
    if others:
        print(f"  {', '.join(beside)}:", flush=True)
        count_tool(counts, others, " ".join(beside), tail=12, story=400)
    print(f"==== {part}: {time.monotonic() - start:.0f} s, so far {counts.line()}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--only", help="parts, with commas: " + ",".join(PARTS))
    parser.add_argument("options", nargs="*", help="for pytest, after --")
    args = parser.parse_args()
    parts = args.only.split(",") if args.only else PARTS
    if set(parts) - set(PARTS):
        parser.error(f"no part {', '.join(set(parts) - set(PARTS))}; known: {' '.join(PARTS)}")
    counts = check.Counts()
    begin = time.monotonic()
    for part in [p for p in parts if not any(p in b and q in parts for q, b in BESIDE.items())]:
        run_part(counts, args, part, [p for p in BESIDE.get(part, ()) if p in parts])
    for name in counts.names:
        print(f"FAILED {name}")
    print(f"in {time.monotonic() - begin:.0f} s:")
    print(counts.line(), flush=True)
    return 1 if counts.failed or not counts.passed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
