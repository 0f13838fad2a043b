#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measure the lines and branches of mm/ that the hosted suites reach; `make coverage`.

Builds the hosted program with --coverage twice, with large and with small pageblocks, runs all
suites in both, and adds the results.  Branches of assertions and panics do not count: a passing
test never takes them.  Prints gcovr's tables, of lines and of branches, with the lines that were
not reached; build/coverage/index.html has the rest.  Exit status 1 below the percentages that
docs/testing.md promises.
"""
import glob
import os
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
from rooms import read
import check

# Unoptimized: inlined code would be counted again at each of its callers.
BUILDS = {"cov": "--coverage -O0", "cov3": "--coverage -O0 -DPAGEBLOCK_ORDER=3"}
# Lines whose branches are not counted: both ways of an assertion cannot be taken by a test that
# passes.
NOT_BRANCHES = (
    r".*\b(\w*ASSERT\w*|panic|page_store|page_corrupt|page_store_word|page_cas_state)\(.*"
)


def run_suites(build):
    for name, flags in BUILDS.items():
        home = os.path.join(build, f"host-{name}")
        program = os.path.join(home, "check")
        # make does not notice changed flags: after a change, remove the old objects.
        stamp = os.path.join(home, "flags")
        if not os.path.exists(stamp) or read(stamp) != flags:
            shutil.rmtree(home, ignore_errors=True)
            rooms.write(stamp, flags)
        settings = {f"HFLAGS_{build_}": flags_ for build_, flags_ in BUILDS.items()}
        if not check.make(build, program, HOST_BUILDS=" ".join(BUILDS), **settings):
            return False
        for path in glob.glob(os.path.join(home, "**", "*.gcda"), recursive=True):
            os.unlink(path)
        done = rooms.call([program], timeout=600)
        summary = re.findall(r"^# selftest: .*", done.stdout, re.MULTILINE)
        said = summary[-1][2:] if summary else f"ended with {done.returncode}"
        print(f"  {name}: {said}", flush=True)
        if not summary or done.returncode:
            return False
    return True


def gcovr(*options):
    """Call gcovr; False if it fails, or if less is reached than the options ask for."""
    command = ["gcovr", "-r", rooms.ROOT, "--filter", "mm/", "--exclude-throw-branches"]
    command += ["--exclude-unreachable-branches", "--exclude-branches-by-pattern", NOT_BRANCHES]
    return subprocess.run([*command, *options], cwd=rooms.ROOT).returncode == 0


def main():
    parser = rooms.parser(__doc__)
    args = parser.parse_args()
    build = os.path.abspath(args.build)
    out = os.path.join(build, "coverage")
    if not run_suites(build):
        return 1
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out)
    both, least = os.path.join(out, "both.json"), ["--fail-under-line", "95", "--fail-under-branch"]
    if not gcovr("--json", both, *(os.path.join(build, f"host-{name}") for name in BUILDS)):
        return 1
    page = ["--html-details", os.path.join(out, "index.html")]
    good = gcovr("-a", both, "--txt", "-", *page) and gcovr("-a", both, "-b", *least, "85")
    return 0 if good else 1


if __name__ == "__main__":
    rooms.run(main)
