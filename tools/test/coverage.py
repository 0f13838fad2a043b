#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measure the lines and branches of mm/ that the hosted suites reach; `make coverage`.

Builds the hosted program with --coverage twice, with large and with small pageblocks, runs all
suites in both, and adds the results.  Branches of assertions and panics do not count: a passing
test never takes them.  Prints the table and each line that was not reached;
build/coverage/index.html has the rest.  Exit status 1 below the percentages that docs/testing.md
promises.
"""
import glob
import json
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
        if not summary:
            return False
    return True


def gcovr(build, *options):
    objects = [os.path.join(build, f"host-{name}") for name in BUILDS]
    command = ["gcovr", "-r", rooms.ROOT, "--filter", "mm/", "--exclude-throw-branches"]
    command += ["--exclude-unreachable-branches", "--exclude-branches-by-pattern", NOT_BRANCHES]
    done = rooms.call([*command, *options, *objects], stderr=subprocess.PIPE)
    if done.returncode:
        print(done.stderr)
    return done.stdout if done.returncode == 0 else None


def source(path, number):
    return read(path).split("\n")[number - 1].strip()


def table(report):
    """Per file: the lines and branches reached, and those not reached."""
    total = [0, 0, 0, 0]
    missed = []
    print(f"  {'file':26} {'lines':>12} {'branches':>16}")
    for file in sorted(report["files"], key=lambda f: f["file"]):
        lines = [l for l in file["lines"] if not l.get("gcovr/noncode")]
        branches = [b for l in lines for b in l["branches"]]
        counts = [len(lines), sum(l["count"] > 0 for l in lines)]
        counts += [len(branches), sum(b["count"] > 0 for b in branches)]
        total = [a + b for a, b in zip(total, counts)]
        print(f"  {file['file']:26} {counts[1]:5}/{counts[0]:<5} {counts[3]:7}/{counts[2]:<5}")
        missed += [(file["file"], l["line_number"]) for l in lines if not l["count"]]
        half = [l for l in lines if l["count"] and any(not b["count"] for b in l["branches"])]
        missed += [(file["file"], -l["line_number"]) for l in half]
    return total, missed


def main():
    parser = rooms.parser(__doc__)
    parser.add_argument("--lines", type=float, default=95)
    parser.add_argument("--branches", type=float, default=85)
    args = parser.parse_args()
    out = os.path.join(args.build, "coverage")
    build = os.path.abspath(args.build)
    if not run_suites(build):
        return 1
    shutil.rmtree(out, ignore_errors=True)
    os.makedirs(out)
    text = gcovr(build, "--json", "-")
    page = os.path.join(os.path.abspath(out), "index.html")
    if text is None or gcovr(build, "--html-details", page) is None:
        return 1
    total, missed = table(json.loads(text))
    lines, branches = 100 * total[1] / total[0], 100 * total[3] / max(total[2], 1)
    print("lines not reached:")
    for path, number in missed:
        if number > 0:
            print(f"  {path}:{number}: {source(path, number)}")
    print("lines of which a branch was not taken:")
    for path, number in missed:
        if number < 0:
            print(f"  {path}:{-number}: {source(path, -number)}")
    print(
        f"coverage of mm/: {lines:.1f} % of {total[0]} lines, {branches:.1f} % of {total[2]} "
        f"branches; {os.path.join(out, 'index.html')}"
    )
    return 0 if lines >= args.lines and branches >= args.branches else 1


if __name__ == "__main__":
    rooms.run(main)
