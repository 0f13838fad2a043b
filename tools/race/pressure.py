#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The cost of an allocation that finds no memory, under four policies; `make race NAME=pressure`.

Usage: pressure.py [--build DIR] [--seeds 1-20] [--machines LIST] [--update-docs] [POLICY...]
       pressure.py --check       the wrong variants apply to the present tree

Each policy is a kernel: "thread" is the tree's own, the others are the variants
tests/pressure/POLICY.mut. Each kernel is booted with pressure=SEED on each machine, ENGINE-CPUS;
ENGINE is icount (the same seed gives the same figures) or mttcg.  The tree's own must pass; a
variant must fail in the exact words that its .mut file expects.  One JSON line for each boot goes
to DIR/race/pressure.jsonl; the tables of medians are printed and, with --update-docs, written to
docs/races/pressure.md.
"""
import os
import re
import statistics
import sys
import time

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import check
import qemu
import race_table
import variant
import variant_build

RIGHT = "thread"
POLICIES = ("all", "masked", "local", RIGHT)
MACHINES = ("icount-8", "mttcg-8", "icount-4")
SEEDS = range(1, 21)
MEM = 256  # MiB
FOLDER = os.path.join(qemu.ROOT, "tests", "pressure")

# The figures of the tables: (name, its value in a run's line).
FIGURES = [
    ("blocks allocated", lambda r: r["allocs"]),
    ("requests for one page that failed", lambda r: r["failed"]),
    ("requests for 2, 4 or 8 pages that failed", lambda r: r["high_failed"]),
    ("requests that wanted other CPUs drained", lambda r: r["waits"]),
    ("drains (cross-calls)", lambda r: r["calls"]),
    ("of these, inside an allocation", lambda r: r["from_alloc"]), ("IPIs", lambda r: r["ipis"]),
    ("IPIs for each request that wanted a drain", lambda r: r["ipis"] / max(1, r["waits"])),
    ("most IPIs while one request failed", lambda r: r["peak_ipis"]),
    ("scheduler's interrupts", lambda r: r["kicks"]),
    ("first failure: pages free above the mark", lambda r: r["first_free"]),
    ("first failure: pages in caches", lambda r: r["first_cached"]),
    ("of these, at least so many all the while", lambda r: r["first_stale"]),
    ("blocks allocated after the first failure", lambda r: r["allocs"] - r["first_allocs"]),
    ("end: pages in caches, out of reach", lambda r: r["last_cached"])
]


# ---- kernels -------------------------------------------------------------------------------------


def kernel_of(build, policy):
    """The path of the kernel with a policy, or None if it does not build."""
    if not check.make(build, "kernel"):
        return None
    if policy == RIGHT:
        return os.path.join(build, "quarry.elf")
    tree = os.path.join(os.path.abspath(build), "variant", policy)
    changed = variant.make_tree(variant.read(policy, FOLDER), tree)
    base = variant_build.Base(build, "kernel")
    try:
        return base.link(tree, base.compile(tree, changed))
    except variant_build.BuildError as e:
        print(e)
        return None


def expected(policy):
    """The messages with which a kernel with this policy must fail; [] for the right one."""
    return [] if policy == RIGHT else variant.read(policy, FOLDER).header["expect"]


def check_variants():
    """A line for each variant that does not apply to the tree."""
    for policy in POLICIES:
        if policy != RIGHT:
            try:
                variant.edited(variant.read(policy, FOLDER))
            except variant.BadVariant as e:
                yield str(e)


# ---- runs ----------------------------------------------------------------------------------------


def figures(text):
    """{seed: {name: value}} of the lines that a kernel printed."""
    lines = race_table.figures_in(text, "pressure")
    return {int(line["seed"]): {k: int(v) for k, v in line.items()} for line in lines}


def complaints(text):
    return re.findall(r"^pressure: (?:seed \d+: )?FAIL: (.*)$", text, re.MULTILINE)


def run_one(kernel, policy, machine, seed):
    """One boot: (its line for the file, its fault or "")."""
    engine, cpus = machine.split("-")
    m = qemu.Machine(cpus=int(cpus), mem=MEM, icount=engine == "icount", kernel=kernel)
    words = f"selftest=none monitor=off movable=0 pressure={seed}"
    run = m.run(f"pressure-{policy}-{machine}", words)
    found, said, wanted = figures(run.text), complaints(run.text), expected(policy)
    line = {"policy": policy, "engine": engine, **found.get(seed, {}), "said": said}
    line["seconds"] = round(run.seconds, 2)
    odd = [s for s in said if not s.startswith(tuple(wanted))]
    if list(found) != [seed] or odd or not (run.passed if not wanted else run.failed):
        return line, run.story(15)
    return line, ""


def run_policy(counts, kernel, policy, machine, seeds, out):
    """Run all seeds; returns their figures."""
    start, lines = time.monotonic(), []
    for seed in seeds:
        line, why = run_one(kernel, policy, machine, seed)
        out(**line)
        if not counts.one(not why, f"pressure: {policy} on {machine}, seed {seed}"):
            print(why)
            continue
        lines.append(line)
    said, which = [s for line in lines for s in line["said"]], f"{policy} on {machine}"
    unseen = [w for w in expected(policy) if not any(s.startswith(w) for s in said)]
    counts.one(not unseen, f"pressure: {which}: no seed made it say: {'; '.join(unseen)}")
    if machine.startswith("icount") and lines:
        again = run_one(kernel, policy, machine, lines[0]["seed"])[0]
        same = {**again, "seconds": 0} == {**lines[0], "seconds": 0}
        counts.one(same, f"pressure: {which}: the same seed gave other figures: {again}")
    took = f"({time.monotonic() - start:.0f} s)"
    print(f"  {policy:6} on {machine}: {len(lines)} of {len(seeds)} seeds as expected {took}")
    sys.stdout.flush()
    return lines


# ---- tables --------------------------------------------------------------------------------------


def number(value):
    return f"{value:.1f}" if value != int(value) and value < 100 else f"{value:.0f}"


def cell(values):
    if not values:
        return "-"
    if min(values) == max(values):
        return number(values[0])
    return f"{number(statistics.median(values))} ({number(min(values))} to {number(max(values))})"


def table(machine, results):
    """Markdown: a row for each figure, a column for each policy."""
    engine, cpus = machine.split("-")
    some = next(lines[0] for lines in results.values() if lines)
    rows = [[f"{cpus} CPUs, {engine}"] + list(results)]
    for name, value in FIGURES:
        rows.append([name, *(cell([*map(value, lines)]) for lines in results.values())])
    most = max(map(len, results.values()))
    said = f"{some['threads']} threads, {some['pages']} pages; median (least to most) of {most}"
    return f"{race_table.markdown(rows)}\n{said} seeds.\n"


def compare(counts, build, policies=POLICIES, machines=MACHINES, seeds=SEEDS):
    """Build and run the kernels, and print the tables; returns these."""
    kernels = {}
    for policy in policies:
        kernel = kernel_of(build, policy)
        if kernel:
            kernels[policy] = kernel
        else:
            counts.one(False, f"pressure: {policy} does not build")
    tables = []
    with race_table.lines_file(build, "pressure") as out:
        for machine in machines:
            results = {p: run_policy(counts, kernels[p], p, machine, seeds, out) for p in kernels}
            if any(results.values()):
                tables.append(table(machine, results))
                print("\n" + tables[-1], flush=True)
    return tables


def main():
    parser = rooms.parser(__doc__, flags="update-docs check")
    parser.add_argument("--seeds", default="1-20", help="FIRST-LAST, or one")
    parser.add_argument("--machines", default=",".join(MACHINES), help="ENGINE-CPUS, with commas")
    parser.add_argument("policies", nargs="*", metavar="POLICY", help=" ".join(POLICIES))
    args = parser.parse_args()
    if args.check:
        wrong = list(check_variants())
        print("\n".join(wrong) if wrong else "all apply")
        return 1 if wrong else 0
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", args.seeds)
    seeds = range(int(found[1]), int(found[2] or found[1]) + 1) if found else []
    machines = args.machines.split(",")
    if not seeds:
        parser.error(f"--seeds {args.seeds}: wanted FIRST-LAST")
    if not all(re.fullmatch(r"(icount|mttcg)-[1-9]\d*", m) for m in machines):
        parser.error(f"--machines {args.machines}: wanted ENGINE-CPUS, as in {','.join(MACHINES)}")
    if set(args.policies) - set(POLICIES):
        unknown = ", ".join(set(args.policies) - set(POLICIES))
        parser.error(f"no policy {unknown}; known: {' '.join(POLICIES)}")
    counts = check.Counts()
    start = time.monotonic()
    policies = [p for p in POLICIES if not args.policies or p in args.policies]
    tables = compare(counts, os.path.abspath(args.build), policies, machines, seeds)
    if args.update_docs and not counts.failed:
        race_table.put_figures("pressure.md", "\n".join(tables))
    return counts.close("pressure", start)


if __name__ == "__main__":
    rooms.run(main, variant.BadVariant)
