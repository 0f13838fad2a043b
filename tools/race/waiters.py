# SPDX-License-Identifier: MIT
"""Eight ways in which threads wait for a page that is being moved; `make race NAME=waiters`.

A race build with each variant is booted with race=waiters (tests/races/waiters.c), under icount,
where the same build gives the same figures; the right code and the historic mistake under MTTCG
too.  The right code must pass, and so must variants that are only slow; each of the others must
fail as expected. One JSON line for each boot goes to DIR/race/waiters.jsonl; the table is printed
and, with --update-docs of race.py, written to docs/races/d-waiters.md.
"""
import re

import explore
import qemu
import race_table

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
    lines = race_table.figures_in(text, "waiters")
    return {line.pop("phase"): {k: int(v) for k, v in line.items()} for line in lines}


def phase_outcome(figure):
    if figure["stuck"]:
        return SLEEPS
    if figure["failed"]:
        return DIVERGES
    if figure["errors"]:
        return CORRUPTS
    return SLOW if figure["try3"] or figure["later"] else RIGHT


def outcome(run):
    """The outcome of the worst phase; a panic or a finding of check_memory is a corruption."""
    found = figures(run.text)
    shown = [phase_outcome(f) for f in found.values()]
    if re.search(r"PANIC|^waiters: \w+: FAIL: I-", run.text, re.MULTILINE):
        shown.append(CORRUPTS)
    right = RIGHT if run.passed and len(found) == 3 else "no figures"
    worst = next((k for k in (SLEEPS, DIVERGES, CORRUPTS, SLOW) if k in shown), right)
    return worst, found


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
    later = figure["try3"] + figure["later"]
    return f"{figure['try1']} / {figure['try2']} / {later} / {figure['failed']}"


def cost(figure):
    """Instructions of all CPUs for each page of the storm, moved or not."""
    known = figure and not figure["stuck"]
    return f"{figure['instructions'] / figure['moves']:.0f}" if known else "-"


def burns(found, right):
    """Does the variant take over 1.5 times the right code's instructions for the same moves?"""
    mine, its = found.get("storm"), right.get("storm")
    if not mine or not its or mine["stuck"] or mine["failed"]:
        return False
    return mine["instructions"] > 1.5 * its["instructions"]


HEAD = ("who finds the marker waits ...", "", "tries for each page", "moved")
HEAD += ("instructions for each page", "late", "hammered", "outcome")


def table(results):
    rows = [HEAD]
    right = next((found for ident, _, _, found in results if ident == "none"), {})
    for ident, way, got, found in results:
        storm, late, hammer = (found.get(phase) for phase in ("storm", "late", "hammer"))
        row = [way, "" if ident == "none" else ident, tries(storm), moved(storm), cost(storm)]
        said = f"**{got}{', and burns' if burns(found, right) else ''}**"
        rows.append([*row, spread(late), spread(hammer), said])
    return race_table.markdown(rows)


# ---- all of them ---------------------------------------------------------------------------------


def compare(counts, build, update=False):
    """Build and run the variants; the table is printed and, with @update, written to the page."""
    results = []
    with race_table.lines_file(build, "waiters") as out:
        for ident, way, expected in WAYS:
            programs = explore.build_one(build, ident, ["icount", "mttcg"])
            if not programs:
                counts.one(False, f"waiters: {ident} does not build")
                continue
            for engine in ["icount"] + ["mttcg"] * (ident in ALSO_MTTCG):
                run = run_one(programs[engine], ident, engine)
                got, found = outcome(run)
                seconds = round(run.seconds, 2)
                out(variant=ident, engine=engine, outcome=got, **found, seconds=seconds)
                good = counts.one(got == expected, f"waiters: {ident} on {engine}: {got}")
                odd = "" if good else f", NOT as expected ({expected})"
                print(f"  {ident:4} {engine}: waits {way}: {got}{odd}", flush=True)
                if not good:
                    print(run.story(15))
                if engine == "icount":
                    results.append((ident, way, got, found))
    text = table(results)
    print("\n" + text, flush=True)
    if update and not counts.failed:
        race_table.put_figures("d-waiters.md", text)
