#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Eight ways in which threads wait for a page that is being moved; `make race NAME=waiters`.

Usage: waiters.py [--build DIR] [--update-docs] [VARIANT...]

A race build with each variant is booted with race=waiters (tests/races/waiters.c), under icount,
where the same build gives the same figures; the right code and the historic mistake under MTTCG
too.  The right code must pass, and so must variants that are only slow; each of the others must
fail as expected. One JSON line for each boot goes to DIR/race/waiters.jsonl; the table is printed
and, with --update-docs, written to docs/races/d-waiters.md.
"""
import json
import os
import re
import sys
import time

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import check
import qemu
import race
import race_table
import variant

CPUS = 4
DIVERGES, SLEEPS, CORRUPTS, RIGHT = "does not converge", "sleeps for ever", "corrupts", "right"
SLOW = "converges, but not in 2 tries"

# Variant, its way to wait, its outcome: the worst of the phases of outcome().
WAYS = [
    ("M20", "with a reference, held while asleep", DIVERGES),
    ("J05", "on the pfn, with a reference, dropped before the sleep", RIGHT),
    ("M21", "for the page's lock, without a reference", CORRUPTS),
    ("J01", "in a loop, until the page's lock is free", RIGHT),
    ("J02", "on the page-table entry", SLEEPS),
    ("J04", "on the pfn; a first touch with a reference", DIVERGES),
    ("J03", "on the pfn, queued after the lock was released", SLEEPS),
    ("none", "on the pfn, queued under the lock (Quarry)", RIGHT),
]
ALSO_MTTCG = ("none", "M20")


def figures(text):
    """{phase: {name: value}} of the lines that a kernel printed."""
    found = {}
    for line in re.findall(r"^waiters: (phase=.*)$", text, re.MULTILINE):
        words = dict(word.split("=") for word in line.split())
        phase = words.pop("phase")
        found[phase] = {k: int(v) for k, v in words.items()}
    return found


def phase_outcome(figure):
    if figure["stuck"]:
        return SLEEPS
    if figure["failed"]:
        return DIVERGES
    if figure["errors"]:
        return CORRUPTS
    return SLOW if figure["try3"] or figure["later"] else RIGHT


def outcome(run):
    """The outcome of the worst phase; a panic, or a finding of check_memory, counts as
    corruption."""
    found = figures(run.text)
    shown = [phase_outcome(f) for f in found.values()]
    for kind in (SLEEPS, DIVERGES):
        if kind in shown:
            return kind, found
    if (
        CORRUPTS in shown
        or "PANIC" in run.text
        or re.search(r"^waiters: \w+: FAIL: I-", run.text, re.MULTILINE)
    ):
        return CORRUPTS, found
    if SLOW in shown:
        return SLOW, found
    return (RIGHT if run.passed and len(found) == 3 else "no figures"), found


def run_one(program, ident, engine):
    machine = qemu.Machine(cpus=CPUS, icount=engine == "icount", kernel=program)
    return machine.run(f"waiters-{ident}-{engine}", "selftest=none monitor=off race=waiters")


# ---- the table -----------------------------------------------------------------------------------


def tries(figure):
    """Tries per page, including pages abandoned after ten tries."""
    if not figure or not figure["moves"]:
        return "-"
    return f"{(figure['moves'] + figure['retries']) / figure['moves']:.2f}"


def moved(figure):
    return f"{figure['moved']} of {figure['moves']}" if figure else "-"


def spread(figure):
    """The pages moved at the first, the second, or a later try / the pages abandoned."""
    if not figure:
        return "-"
    if figure["stuck"]:
        return f"{figure['stuck']} threads wait for ever"
    return (
        f"{figure['try1']} / {figure['try2']} / {figure['try3'] + figure['later']} / "
        f"{figure['failed']}"
    )


def cost(figure):
    """Instructions of all CPUs for each page of the storm, moved or not."""
    return (
        f"{figure['instructions'] / figure['moves']:.0f}" if figure and not figure["stuck"] else "-"
    )


def burns(found, right):
    """Does the variant take over 1.5 times the right code's instructions for the same moves?"""
    mine, its = found.get("storm"), right.get("storm")
    return bool(
        mine
        and its
        and not mine["stuck"]
        and not mine["failed"]
        and mine["instructions"] > 1.5 * its["instructions"]
    )


def table(results):
    rows = [
        [
            "who finds the marker waits ...",
            "",
            "tries for each page",
            "moved",
            "instructions for each page",
            "late",
            "hammered",
            "outcome",
        ]
    ]
    right = next((found for ident, _, _, found in results if ident == "none"), {})
    for ident, way, got, found in results:
        storm, late, hammer = (found.get(phase) for phase in ("storm", "late", "hammer"))
        rows.append(
            [
                way,
                "" if ident == "none" else ident,
                tries(storm),
                moved(storm),
                cost(storm),
                spread(late),
                spread(hammer),
                f"**{got}{', and burns' if burns(found, right) else ''}**",
            ]
        )
    return race_table.markdown(rows)


# ---- all of them ---------------------------------------------------------------------------------


def compare(counts, build, wanted=()):
    """Build and run the variants, print the results; returns the table of runs under icount."""
    results = []
    os.makedirs(os.path.join(build, "race"), exist_ok=True)
    with open(os.path.join(build, "race", "waiters.jsonl"), "w", encoding="utf-8") as out:
        for ident, way, expected in WAYS:
            if wanted and ident not in wanted:
                continue
            programs = race.build_one(build, ident, ["icount", "mttcg"])
            if not programs:
                counts.one(False, f"waiters: {ident} does not build")
                continue
            for engine in ["icount"] + ["mttcg"] * (ident in ALSO_MTTCG):
                run = run_one(programs[engine], ident, engine)
                got, found = outcome(run)
                out.write(
                    json.dumps(
                        {
                            "variant": ident,
                            "engine": engine,
                            "outcome": got,
                            **found,
                            "seconds": round(run.seconds, 2),
                        }
                    )
                    + "\n"
                )
                out.flush()
                good = counts.one(got == expected, f"waiters: {ident} on {engine}: {got}")
                print(
                    f"  {ident:4} {engine}: waits {way}: "
                    f"{got}{'' if good else f', NOT as expected ({expected})'}",
                    flush=True,
                )
                if not good:
                    print(run.story(15))
                if engine == "icount":
                    results.append((ident, way, got, found))
    text = table(results)
    print("\n" + text, flush=True)
    return text


def main():
    parser = rooms.parser(__doc__)
    parser.add_argument(
        "--update-docs", action="store_true", help="write the table to docs/races/d-waiters.md"
    )
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help=" ".join(w[0] for w in WAYS))
    args = parser.parse_args()
    if set(args.variants) - {w[0] for w in WAYS}:
        parser.error(f"no variant {', '.join(set(args.variants) - {w[0] for w in WAYS})}")
    counts = check.Counts()
    start = time.monotonic()
    text = compare(counts, os.path.abspath(args.build), args.variants)
    if args.update_docs and not counts.failed and not args.variants:
        race_table.put_figures("d-waiters.md", text)
    return counts.close("waiters", start)


if __name__ == "__main__":
    rooms.run(main, variant.BadVariant)
