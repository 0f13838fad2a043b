#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Replay race scripts, with right code and wrong variants, on fibers and in QEMU; `make race`.

Usage: tools/race.py [--build DIR] [--grub] [--repeat N] [--engines LIST] [--no-explore]
[--update-docs] [NAME...]
       tools/race.py [--build DIR] --step NAME [VARIANT]     by keys, one move at a time:
       tools/race_step.py

For each script of tests/races/*.race (or those named; a variant's name means the scripts that show
it) and each variant that its lines "expect ID: OUTCOME" name: the outcome must be the expected one,
and the trace must be the same, byte for byte, on every engine: fiber (hosted), mttcg, icount and,
with --grub, grub (from an ISO image).  The tables of docs/races/*.md between "<!-- race SCRIPT [ID]
-->" and "<!-- end -->" must agree with the run; --update-docs writes them instead.  One JSON line
for each run goes to DIR/race/race.jsonl.  Without names the explorer (tools/explore.py) runs too.
The names "pressure" and "waiters" stand for tools/pressure.py and tools/waiters.py.  Exit status 0
only if everything was as expected.
"""
import argparse
import glob
import hashlib
import json
import os
import re
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # nothing outside the build directory
import check
import explore
import pressure
import qemu
import variant

ENGINES = ("fiber", "mttcg", "icount", "grub")
TIMEOUT = {"fiber": 60, "mttcg": 180, "icount": 300, "grub": 240}
MORE_TIME = {"fiber": 5, "mttcg": 10, "icount": 30, "grub": 10}  # for each script of a run
# In milliseconds of guest time, which is exact under icount.
PATIENCE = {"icount": " race_patience=50"}
CPUS = 4
PAGES = os.path.join(qemu.ROOT, "docs/races/*.md")
TABLE = re.compile(r"(<!-- race (\S+)(?: (\w+))? -->\n)(.*?)(<!-- end -->)", re.DOTALL)
REFS = re.compile(r"(<!-- refs (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
FROZEN = "all taken by the freeze"


class Script:
    def __init__(self, path):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        self.name = re.search(r"^race:\s*(\S+)", text, re.MULTILINE).group(1)
        self.title = re.search(r"^title:\s*(.*)", text, re.MULTILINE).group(1)
        self.expect = {
            m.group(1) or "none": m.group(2).strip()
            for m in re.finditer(r"^expect(?: (\w+))?:(.*)$", text, re.MULTILINE)
        }
        self.roles = sorted(set(re.findall(r"\b([A-H])[?@:!]", text)))
        self.cpus = max(
            [ord(r) - ord("A") + 1 for r in self.roles]
            + [int(m.group(1)) for m in re.finditer(r"^cpus: *(\d+)", text, re.MULTILINE)]
        )


def scripts():
    return sorted(
        (Script(p) for p in glob.glob(os.path.join(qemu.ROOT, "tests/races/*.race"))),
        key=lambda s: s.name,
    )


# ---- programs ------------------------------------------------------------------------------------


def build_one(build, ident, engines):
    """{engine: program} of a variant, or None if it does not build."""
    targets = []
    if "fiber" in engines:
        targets.append(["build/fiber/race" if ident != "none" else f"{build}/fiber/race"])
    if set(engines) - {"fiber"}:
        targets.append(
            ["kernel", "RACE=1", "B=build/race" if ident != "none" else f"B={build}/race"]
        )
    for target in targets:
        if ident == "none":
            words = [t for t in target if "=" not in t]
            settings = dict(t.split("=", 1) for t in target if "=" in t)
            worked = check.make(settings.pop("B", build), *words, **settings)
        else:
            worked, out, _ = variant.make(build, ident, *target)
            if not worked:
                print(
                    "\n".join(line for line in out.split("\n") if not re.match(r"  [A-Z]+ ", line))
                )
        if not worked:
            return None
    base = (
        build
        if ident == "none"
        else os.path.join(os.path.abspath(build), "variant", ident, "build")
    )
    return {
        e: os.path.join(base, "fiber/race" if e == "fiber" else "race/quarry.elf") for e in engines
    }


# ---- runs ----------------------------------------------------------------------------------------


def traces(text):
    """[(script, trace, outcome)] of what a program printed."""
    text = text.replace("\r", "")
    return [
        m.groups()
        for m in re.finditer(
            r"^race: begin (\S+)\n((?:\d+ .*\n)*)race: end \1 (.*)$", text, re.MULTILINE
        )
    ]


def run_program(program, engine, tag, names, times):
    """Its output, and how it ended if not by itself."""
    timeout = TIMEOUT[engine] + MORE_TIME[engine] * len(names) * times
    if engine == "fiber":
        try:
            done = subprocess.run(
                [program, *names * times],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=timeout,
                errors="replace",
            )
            return done.stdout, "CRASH" if done.returncode < 0 else ""
        except subprocess.TimeoutExpired:
            return "", "TIMEOUT"
    machine = qemu.Machine(
        boot="grub" if engine == "grub" else "pvh",
        cpus=CPUS,
        icount=engine == "icount",
        timeout=timeout,
        kernel=program,
    )
    run = machine.run(
        f"race-{tag}-{engine}",
        f"selftest=none monitor=off race={','.join(names)} "
        f"race_repeat={times}{PATIENCE.get(engine, '')}",
    )
    ended = "TIMEOUT" if run.status == qemu.TIMED_OUT else "CRASH" if "PANIC" in run.text else ""
    return run.text, ended


def run_scripts(program, engine, tag, names, times=1):
    """{script: [(trace, outcome, seconds)], as many as @times}: of one or more runs."""
    runs = {name: [] for name in names}
    while True:
        missing = [name for name in names if len(runs[name]) < times]
        if not missing:
            return runs
        start = time.monotonic()
        text, ended = run_program(
            program, engine, tag, missing, times - min(len(runs[n]) for n in missing)
        )
        found = [t for t in traces(text) if t[0] in runs]
        seconds = (time.monotonic() - start) / max(1, len(found))
        for name, trace, outcome in found:
            if len(runs[name]) < times:
                runs[name].append((trace, outcome, seconds))
        if found:
            continue
        # No output, not even of the first script: run each alone to find the one at fault.
        for name in missing:
            alone = run_scripts(program, engine, tag, [name], 1)[name] if len(missing) > 1 else []
            runs[name] += alone or [("", ended or "NO TRACE", seconds)]


# ---- printing ----------------------------------------------------------------------------------


def steps(trace, against=""):
    """[(step, role or "-", text, whether @against has the step too)]"""
    other = against.split("\n")
    rows = []
    for i, line in enumerate(trace.split("\n")[:-1]):
        step, role, rest = line.split(" ", 2)
        rows.append((step, role, rest, not against or (i < len(other) and other[i] == line)))
    return rows


def head(role):
    return "R, the reclaim thread" if role == "R" else f"{role} on CPU {ord(role) - ord('A')}"


def columns(rows):
    return sorted({role for _, role, _, _ in rows if role != "-"})


def table(trace, against=""):
    """The steps, a column for each role; an asterisk where they differ from those of @against."""
    rows = steps(trace, against)
    roles = columns(rows)
    widths = {
        r: max([len(head(r))] + [len(rest) for _, role, rest, _ in rows if role == r])
        for r in roles
    }
    print("    step  " + "  ".join(head(r).ljust(widths[r]) for r in roles))
    for step, role, rest, same in rows:
        cells = [(rest if r == role else "").ljust(widths[r]) for r in roles]
        number = step if same else "*" + step
        print(f"    {number.rjust(4)}  " + ("  ".join(cells) if role != "-" else rest).rstrip())


def page_table(trace, outcome, against):
    """The same table for a page of docs/races/."""
    rows = steps(trace, against)
    roles = columns(rows)
    checks = any(role == "-" for _, role, _, _ in rows)
    lines = [
        "| step | " + " | ".join([head(r) for r in roles] + ["checked"] * checks) + " |",
        "|---|" + "---|" * (len(roles) + checks),
    ]
    for step, role, rest, same in rows:
        rest = rest.replace("|", "\\|")
        cells = [rest if r == role else "" for r in roles] + [rest if role == "-" else ""] * checks
        lines.append(f"| {step if same else step + ' *'} | " + " | ".join(cells) + " |")
    return "\n" + "\n".join(lines) + f"\n\nOutcome: **{outcome}**\n\n"


def references(trace):
    """For a script that counts refs(V): [(owner of a reference, when taken, when dropped)]."""
    looks, place = [], "before"  # [(places of the roles, owners of the references)]
    for _, role, rest, _ in steps(trace):
        found = re.match(r"count refs\(V\) \d+: (.*)", rest)
        if found and found.group(1) != FROZEN:
            looks.append(
                (
                    place,
                    [
                        re.sub(r"^\d+ of entries", "each entry's", h)
                        for h in found.group(1).split(", ")
                    ],
                )
            )
        elif role != "-":
            place = f"{role} {rest}"
    rows = []
    for holder in dict.fromkeys(h for _, holders in looks for h in holders):
        there = [i for i, (_, holders) in enumerate(looks) if holder in holders]
        taken = (
            f"between \"{looks[there[0] - 1][0]}\" and \"{looks[there[0]][0]}\""
            if there[0]
            else "before"
        )
        dropped = (
            f"between \"{looks[there[-1]][0]}\" and \"{looks[there[-1] + 1][0]}\""
            if there[-1] + 1 < len(looks)
            else "never"
        )
        rows.append((holder, taken, dropped))
    return rows


class Pages:
    """The tables of docs/races/."""

    def __init__(self, update):
        self.update = update
        self.wrong = []  # tables that differ from the run
        self.compared = 0
        self.pairs = set()  # (script, variant) that some page shows
        for path in glob.glob(PAGES):
            with open(path, encoding="utf-8") as f:
                self.pairs |= {(m.group(2), m.group(3) or "none") for m in TABLE.finditer(f.read())}

    def show(self, script, ident, trace, outcome, against):
        if (script, ident) not in self.pairs:
            return
        for path in sorted(glob.glob(PAGES)):
            with open(path, encoding="utf-8") as f:
                text = f.read()

            def replace(m):
                if (m.group(2), m.group(3) or "none") != (script, ident):
                    return m.group(0)
                self.compared += 1
                return m.group(1) + page_table(trace, outcome, against) + m.group(5)

            def replace_refs(m):
                if m.group(2) != script or ident != "none":
                    return m.group(0)
                lines = ["| reference | taken | dropped |", "|---|---|---|"]
                lines += [f"| {' | '.join(row)} |" for row in references(trace)]
                return m.group(1) + "\n" + "\n".join(lines) + "\n\n" + m.group(4)

            new = REFS.sub(replace_refs, TABLE.sub(replace, text))
            if new == text:
                continue
            if self.update:
                with open(path, "w", encoding="utf-8") as f:
                    f.write(new)
            else:
                self.wrong.append(
                    f"{os.path.relpath(path, qemu.ROOT)}: {script} {ident}: not what the run "
                    "shows; "
                    "tools/race.py --update-docs writes it anew"
                )

    def judge(self, counts, everything):
        if everything:
            known = {(s.name, i) for s in scripts() for i in s.expect}
            self.wrong += [
                f"docs/races: no such run: {' '.join(pair)}" for pair in sorted(self.pairs - known)
            ]
        for line in self.wrong:
            counts.one(False, line)
        if self.compared:
            print(
                f"  docs/races: {self.compared} tables {'written' if self.update else 'compared'}"
            )
            counts.one(not self.wrong, "tables of docs/races")


def judge(counts, pages, script, ident, runs, right):
    """runs: {engine: [(trace, outcome, seconds)]}; prints the table and the verdict."""
    expected = script.expect[ident]
    all_runs = [(e, *r) for e in runs for r in runs[e]]
    first = all_runs[0][1]
    outcomes = sorted({r[2] for r in all_runs})
    same = all(r[1] == first for r in all_runs)
    name = script.name if ident == "none" else f"{script.name} with {ident}"
    title = script.title if ident == "none" else variant.load(ident)[0]["title"][0]
    print(f"  {name}: {title}")
    table(first, right)
    for row in references(first):
        print("    reference: {}: taken {}, dropped {}".format(*row))
    for engine, trace, outcome, _ in all_runs:
        if trace != first:
            print(f"    and on {engine}, which ended {outcome}:")
            table(trace, first)
    good = outcomes == [expected] and same
    print(
        f"    {', '.join(outcomes)}: {'as expected' if good else f'NOT as expected ({expected})'}; "
        f"{len(all_runs)} runs on {', '.join(runs)}: traces {'equal' if same else 'DIFFER'}",
        flush=True,
    )
    counts.one(good, name)
    if good:
        pages.show(script.name, ident, first, expected, right)
    return first


def replay(counts, pages, build, chosen, engines, repeat):
    idents = ["none"] + sorted({i for s, ids in chosen for i in ids if i != "none"})
    right = {}
    os.makedirs(os.path.join(build, "race"), exist_ok=True)
    with open(os.path.join(build, "race", "race.jsonl"), "w", encoding="utf-8") as out:
        for ident in idents:
            mine = [s for s, ids in chosen if ident in ids]
            if not mine:
                continue
            programs = build_one(build, ident, engines)
            if not programs:
                for s in mine:
                    counts.one(False, f"{s.name} with {ident}: does not build")
                continue
            runs = {s.name: {} for s in mine}
            for engine in engines:
                results = run_scripts(
                    programs[engine], engine, ident, [s.name for s in mine], repeat
                )
                for s in mine:
                    runs[s.name][engine] = results[s.name]
                    for number, (trace, outcome, seconds) in enumerate(results[s.name], 1):
                        out.write(
                            json.dumps(
                                {
                                    "script": s.name,
                                    "variant": ident,
                                    "engine": engine,
                                    "run": number,
                                    "outcome": outcome,
                                    "expected": s.expect[ident],
                                    "trace": hashlib.sha256(trace.encode()).hexdigest()[:16],
                                    "seconds": round(seconds, 3),
                                }
                            )
                            + "\n"
                        )
                    out.flush()
            for s in mine:
                first = judge(counts, pages, s, ident, runs[s.name], right.get(s.name, ""))
                if ident == "none":
                    right[s.name] = first


def choose(names):
    """[(script, idents)]: all, or those that @names name by script or by variant."""
    chosen = []
    for s in scripts():
        if not names or s.name in names:
            chosen.append((s, list(s.expect)))
        elif set(names) & set(s.expect):
            chosen.append((s, ["none"] + [i for i in s.expect if i in names]))
    unknown = set(names) - {s.name for s in scripts()} - {i for s in scripts() for i in s.expect}
    if unknown:
        sys.exit(
            f"race: no script or variant {', '.join(sorted(unknown))}; scripts: "
            + " ".join(s.name for s in scripts())
        )
    return chosen


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--grub", action="store_true")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--engines", help="with commas: " + ",".join(ENGINES))
    parser.add_argument("--no-explore", action="store_true", help="leave out tools/explore.py")
    parser.add_argument("--step", action="store_true", help="step through one script")
    parser.add_argument(
        "--update-docs", action="store_true", help="write the tables of docs/races/ anew"
    )
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    engines = (
        args.engines.split(",")
        if args.engines
        else [e for e in ENGINES if e != "grub" or args.grub]
    )
    if set(engines) - set(ENGINES):
        parser.error("engines: " + ", ".join(ENGINES))
    counts = check.Counts()
    start = time.monotonic()
    names = [n for word in args.names for n in re.split(r"[, ]+", word) if n]
    if args.step:
        import race_step

        return race_step.step(os.path.abspath(args.build), names)
    if "pressure" in names:
        pressure.compare(counts, os.path.abspath(args.build))
    if "waiters" in names:
        import waiters

        waiters.compare(counts, os.path.abspath(args.build))
    scripts_named = [n for n in names if n not in ("pressure", "waiters")]
    if scripts_named or not names:
        pages = Pages(args.update_docs)
        replay(
            counts, pages, os.path.abspath(args.build), choose(scripts_named), engines, args.repeat
        )
        pages.judge(counts, not names)
    if not names and not args.no_explore:
        print("explorer:", flush=True)
        explore.explore(counts, os.path.abspath(args.build))
    return counts.close("race", start)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except variant.BadVariant as e:
        sys.exit(f"race: {e}")
    except KeyboardInterrupt:
        sys.exit(130)
