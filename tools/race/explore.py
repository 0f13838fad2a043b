#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Explore races on fibers: the right code has none, wrong variants have theirs; `make race`.

Usage: explore.py [--build DIR] [--seeds N] [--schedules N]
       explore.py [--build DIR] --matrix N    each N-th cell of the matrix: each operation, with all
       that can come between two of its steps (docs/races/README.md); a row is a test

The right code runs each set of operations under all schedules with at most two preemptions, then
under random schedules, N for each set and seed (sweep.sh, GNU parallel).  So does each variant that
has a line "kill: explore SET"; its failures must have words of its "expect:" line.  The output has
the median, over the seeds, of schedules until the race shows; JSON lines in DIR/race/explore.jsonl.
"""
import atexit
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from functools import lru_cache

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import check
import variant
import variant_build

LIMIT = 20000  # most schedules of one seed on a variant


def lines_of(command):
    """The JSON lines that a command prints."""
    done = rooms.call(command, stderr=subprocess.PIPE, timeout=1800)
    if done.returncode not in (0, 1, 2) or done.returncode and not done.stdout:
        print(f"    {command[0]} ended with {done.returncode}: {done.stderr.strip()[-400:]}")
        return []
    return [json.loads(line) for line in done.stdout.split("\n") if line.startswith("{")]


def sweep(program, sets, seeds, schedules):
    words = [program, sets, "1", str(seeds), str(schedules)]
    return lines_of(["sh", rooms.tool("sweep.sh"), *words])


def show(line):
    seen = f"{line['set']} seed {line['seed']}: {line['outcome']} in schedule {line['failed_at']}"
    print(f"    {seen}; a script that shows it:")
    show_script(line)


def show_script(line):
    print("      " + line["script"].strip().replace("\n", "\n      "), flush=True)


def right_code(counts, program, out, seeds, schedules):
    every = lines_of([program, "--explore", "all", "--json"])
    for line in every:
        out("none", line)
        counts.one(line["complete"] and not line["failed_at"], f"explore {line['set']}")
        if line["failed_at"]:
            show(line)
    total, failed = sum(line["schedules"] for line in every), [r for r in every if r["failed_at"]]
    print(
        f"  right code: {len(every)} sets, all schedules with at most two preemptions: "
        f"{total} schedules, {len(failed)} failed"
    )
    start = time.monotonic()
    by_chance = sweep(program, "all", seeds, schedules)
    for line in by_chance:
        out("none", line)
    failed = [line for line in by_chance if line["failed_at"]]
    for line in failed[:3]:
        show(line)
    total, seconds = sum(line["schedules"] for line in by_chance), time.monotonic() - start
    print(
        f"  right code: {seeds} seeds: {total} schedules by chance, {len(failed)} failed, "
        f"{seconds:.0f} s",
        flush=True,
    )
    whole = bool(every) and len(by_chance) == len(every) * seeds
    counts.one(whole and not failed, "explore by chance")


def refused(counts, program):
    """Check that the program refuses sets that fibers cannot run: the CPU of a role with operations
    is offline at its start, or goes offline."""
    for setup, roles in (
        ("A:scene", "cpu_down(1)=0 | drain"),
        ("A:scene", "drain | cpu_down(0)=0"),
        ("A:scene ; B:cpu_down(2)", "disable=0 | cpu_up(2)=0 | drain"),
    ):
        command = [program, "--explore", roles, f"--setup={setup}"]
        run = rooms.call(command)
        counts.one(run.returncode != 0 and "goes down" in run.stdout, f"explore refuses {roles}")


def wrong_code(counts, build, ident, out, seeds):
    for kill in variant.read(ident).kills:
        if kill.kind != "explore":
            continue
        name = kill.name
        program = (build_one(build, ident, ["fiber"]) or {}).get("fiber")
        if not program:
            counts.one(False, f"{ident} does not build")
            return
        every = lines_of([program, "--explore", name, "--json"])
        by_chance = sweep(program, name, seeds, LIMIT)
        for line in every + by_chance:
            out(ident, line)
        found = sorted(line["failed_at"] for line in by_chance if line["failed_at"])
        outcomes = sorted({line["outcome"] for line in every + by_chance})
        at = every[0]["failed_at"] if every else 0
        good = len(found) == seeds and at and kill.seen(every[0]["outcome"], outcomes)
        counts.one(bool(good), f"explore {name} with {ident}")
        middle, first, last = (statistics.median(found), found[0], found[-1]) if found else "---"
        print(
            f"  {ident} {name}: {', '.join(outcomes)}; in schedule {at} in order, by chance median "
            f"{middle} of {len(found)} seeds ({first} to {last})"
            f"{'' if good else ': NOT as expected'}"
        )
        if at:
            show_script(every[0])


def made(counts, build):
    """The program with the explorer; None if it does not build."""
    program = os.path.join(build, "fiber/race")
    good = check.make(build, program)
    return program if good else counts.one(False, "build/fiber/race does not build") or None


def matrix(counts, build, part):
    """Run each @part-th cell of the matrix."""
    program = made(counts, build)
    rows = lines_of([program, "--matrix", "all", f"--part={part}", "--json"]) if program else []
    for row in rows:
        counts.one(not row["failed_at"], row["set"])
        if row["failed_at"]:
            print(f"    {row['outcome']}: {row['why']}")
            print(f"    see it: build/fiber/race --matrix {row['script']}", flush=True)
    counts.one(bool(rows), "the matrix has rows")
    runs = sum(row["schedules"] for row in rows)
    print(f"  {len(rows)} rows, {sum(row['cells'] for row in rows)} cells, {runs} runs")


def explore(counts, build, seeds=10, schedules=1000):
    program = made(counts, build)
    if not program:
        return
    os.makedirs(os.path.join(build, "race"), exist_ok=True)
    with open(os.path.join(build, "race", "explore.jsonl"), "w", encoding="utf-8") as f:

        def out(ident, line):
            f.write(json.dumps({"variant": ident, **line}) + "\n")

        refused(counts, program)
        right_code(counts, program, out, seeds, schedules)
        for ident in variant.known():
            wrong_code(counts, build, ident, out, seeds)


# ---- programs that replay races, of the tree and of wrong variants -------------------------------


def build_one(build, ident, engines):
    """{engine: program} of a variant, or None if it does not build."""
    goals = []
    if "fiber" in engines:
        goals.append((build, f"{build}/fiber/race", {}))
    if set(engines) - {"fiber"}:
        goals.append((f"{build}/race", "kernel", {"RACE": "1"}))
    if not all(check.make(where, goal, **settings) for where, goal, settings in goals):
        return None
    if ident != "none":
        return build_own(build, ident, tuple(engines))
    return {
        e: os.path.join(build, "fiber/race" if e == "fiber" else "race/quarry.elf") for e in engines
    }


@lru_cache(None)
def build_own(build, ident, engines):
    """The programs of build_quick(), which are removed when this process ends."""
    programs, tree = build_quick(build, ident, engines)
    atexit.register(shutil.rmtree, tree, ignore_errors=True)
    return programs


@lru_cache(None)
def base_of(build, name):
    """The build of the unmodified tree, which must be finished."""
    return variant_build.Base(build, name)


def build_quick(build, ident, engines):
    """As build_one(), of a variant that is run and not debugged: (programs or None, its tree)."""
    tree, programs = os.path.join(build, "mutant", f"race-{ident}-{os.getpid()}"), {}
    changed = variant.make_tree(variant.read(ident), tree)
    for name, mine in (("fiber", {"fiber"}), ("race", set(engines) - {"fiber"})):
        if not mine & set(engines):
            continue
        base = base_of(build, name)
        try:
            program = base.link(tree, base.compile(tree, changed))
        except variant_build.BuildError as e:
            print(e)
            return None, tree
        programs.update(dict.fromkeys(mine & set(engines), program))
    return programs, tree


def main():
    parser = rooms.parser(__doc__)
    for name, default in (("seeds", 10), ("schedules", 1000), ("matrix", 0)):
        parser.add_argument("--" + name, type=int, default=default)
    args = parser.parse_args()
    counts, build = check.Counts(), os.path.abspath(args.build)
    if args.matrix:
        matrix(counts, build, args.matrix)
    else:
        explore(counts, build, args.seeds, args.schedules)
    return counts.close("matrix" if args.matrix else "explore")


if __name__ == "__main__":
    rooms.run(main, variant.BadVariant)
