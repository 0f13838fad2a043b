#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Run the matrix: each operation, with all that can come between two of its steps.

Usage: matrix.py [--build DIR] [--part N]

One test for each operation under way (tests/races/matrix_rows.c).  --part N: run only each N-th
cell of the matrix.  docs/races/README.md explains the matrix.
"""
import argparse
import os
import sys

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import check
import explore


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--part", type=int, default=1)
    args = parser.parse_args()
    counts = check.Counts()
    program = os.path.join(os.path.abspath(args.build), "fiber/race")
    if not check.make(args.build, program):
        counts.one(False, "build/fiber/race does not build")
        return counts.close("matrix")
    rows = explore.lines_of([program, "--matrix", "all", f"--part={args.part}", "--json"])
    for row in rows:
        counts.one(not row["failed_at"], row["set"])
        if row["failed_at"]:
            print(f"    {row['outcome']}: {row['why']}")
            print(f"    see it: build/fiber/race --matrix {row['script']}", flush=True)
    counts.one(bool(rows), "the matrix has rows")
    runs = sum(row["schedules"] for row in rows)
    print(f"  {len(rows)} rows, {sum(row['cells'] for row in rows)} cells, {runs} runs")
    return counts.close("matrix")


if __name__ == "__main__":
    sys.exit(main())
