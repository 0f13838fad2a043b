#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Test the laboratory in a browser: `make web-check` (docs/web.md).

Usage: tools/web_check.py [--build DIR] [--jobs N] [--only traces,...]

Makes build/web with every wrong variant that a script names, and runs the programs of tests/web on
it.  The last line counts all of their tests.
"""
import argparse
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True  # nothing outside the build directory
import outer_make
import qemu

TESTS = {"traces": "traces.mjs"}


def run_test(build, name):
    """(passed, failed) of one program of tests/web."""
    program = os.path.join(qemu.ROOT, "tests/web", TESTS[name])
    done = subprocess.run(["node", program, build], stdout=subprocess.PIPE, text=True)
    print(done.stdout, end="", flush=True)
    found = re.findall(r"(\d+) passed, (\d+) failed", done.stdout)
    passed, failed = (int(n) for n in found[-1]) if found else (0, 1)
    return passed, failed + bool(done.returncode and not failed)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default=os.path.join(qemu.ROOT, "build"))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--only", default=",".join(TESTS))
    args = parser.parse_args()
    unknown = set(args.only.split(",")) - set(TESTS)
    if unknown:
        sys.exit(f"web-check: no test {sorted(unknown)[0]}; there are {' '.join(TESTS)}")
    build = os.path.abspath(args.build)
    make = [os.environ.get("MAKE", "make"), "--no-print-directory", f"-j{args.jobs}"]
    make += [f"B={outer_make.named(build)}", outer_make.named(os.path.join(build, "fiber/race"))]
    made = subprocess.run([*make, "web", "VARIANTS=all"], cwd=qemu.ROOT, env=outer_make.env())
    if made.returncode:
        print("not ok make web")
        print("web-check: 0 passed, 1 failed")
        return 1
    counts = [run_test(build, name) for name in args.only.split(",")]
    passed, failed = (sum(numbers) for numbers in zip(*counts))
    print(f"web-check: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
