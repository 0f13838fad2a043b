#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Replay the race scripts, with the right code and with each wrong variant, on fibers and in QEMU; `make race`.

Usage: tools/race.py [--build DIR] [--grub] [--repeat N] [--engines LIST] [--no-explore] [NAME...]
       tools/race.py [--build DIR] --step NAME [VARIANT]     by keys, one move at a time: tools/race_step.py

For each script of tests/races/*.race (or those named; a variant's name means the scripts that show it)
and each variant that its lines "expect ID: OUTCOME" name: the outcome must be the one expected, and the
trace must be the same, byte for byte, on every engine: fiber (hosted), mttcg, icount and, with --grub,
grub (from an ISO image).  One JSON line for each run goes to DIR/race/race.jsonl.  Without names the
explorer (tools/explore.py) runs too.  The name "pressure" stands for tools/pressure.py.  Exit status 0 only if everything was as expected.
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
CPUS = 4


class Script:
    def __init__(self, path):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        self.name = re.search(r"^race:\s*(\S+)", text, re.MULTILINE).group(1)
        self.title = re.search(r"^title:\s*(.*)", text, re.MULTILINE).group(1)
        self.expect = {m.group(1) or "none": m.group(2).strip()
                       for m in re.finditer(r"^expect(?: (\w+))?:(.*)$", text, re.MULTILINE)}
        entries = re.findall(r"\b([A-H])[?@:!]", text)
        self.roles = sorted(set(entries))


def scripts():
    return sorted((Script(p) for p in glob.glob(os.path.join(qemu.ROOT, "tests/races/*.race"))),
                  key=lambda s: s.name)


# ---- programs -----------------------------------------------------------------------------------------

def build_one(build, ident, engines):
    """{engine: program} of a variant, or None if it does not build."""
    targets = []
    if "fiber" in engines:
        targets.append(["build/fiber/race" if ident != "none" else f"{build}/fiber/race"])
    if set(engines) - {"fiber"}:
        targets.append(["kernel", "RACE=1", "B=build/race" if ident != "none" else f"B={build}/race"])
    for target in targets:
        if ident == "none":
            words = [t for t in target if "=" not in t]
            settings = dict(t.split("=", 1) for t in target if "=" in t)
            worked = check.make(settings.pop("B", build), *words, **settings)
        else:
            worked, out, _ = variant.make(build, ident, *target)
            if not worked:
                print("\n".join(line for line in out.split("\n") if not re.match(r"  [A-Z]+ ", line)))
        if not worked:
            return None
    base = build if ident == "none" else os.path.join(os.path.abspath(build), "variant", ident, "build")
    return {e: os.path.join(base, "fiber/race" if e == "fiber" else "race/quarry.elf") for e in engines}


# ---- runs ---------------------------------------------------------------------------------------------

def traces(text):
    """{script: (trace, outcome)} of what a program printed."""
    text = text.replace("\r", "")
    return {m.group(1): (m.group(2), m.group(3)) for m in
            re.finditer(r"^race: begin (\S+)\n((?:\d+ .*\n)*)race: end \1 (.*)$", text, re.MULTILINE)}


def run_program(program, engine, tag, names):
    """What it printed, and how it ended if not by itself."""
    if engine == "fiber":
        try:
            done = subprocess.run([program, *names], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, timeout=TIMEOUT[engine], errors="replace")
            return done.stdout, "CRASH" if done.returncode < 0 else ""
        except subprocess.TimeoutExpired:
            return "", "TIMEOUT"
    machine = qemu.Machine(boot="grub" if engine == "grub" else "pvh", cpus=CPUS, icount=engine == "icount",
                           timeout=TIMEOUT[engine], kernel=program)
    run = machine.run(f"race-{tag}-{engine}", "selftest=none monitor=off race=" + ",".join(names))
    ended = "TIMEOUT" if run.status == qemu.TIMED_OUT else "CRASH" if "PANIC" in run.text else ""
    return run.text, ended


def run_scripts(program, engine, ident, names):
    """{script: (trace, outcome, seconds)}; one run for all, and again alone what that left out."""
    start = time.monotonic()
    text, ended = run_program(program, engine, ident, names)
    found = traces(text)
    seconds = (time.monotonic() - start) / len(names)
    result = {name: (*found[name], seconds) for name in names if name in found}
    for name in names:
        if name in result:
            continue
        if len(names) > 1:
            result.update(run_scripts(program, engine, ident, [name]))
        else:
            result[name] = ("", ended or "NO TRACE", seconds)
    return result


# ---- what is printed ----------------------------------------------------------------------------------

def table(script, trace, against=""):
    """The steps, a column for each role; an asterisk where they differ from those of @against."""
    roles = script.roles
    widths = {r: len(f"{r} on CPU {ord(r) - ord('A')}") for r in roles}
    rows = []
    other = against.split("\n")
    for i, line in enumerate(trace.split("\n")[:-1]):
        step, role, rest = line.split(" ", 2)
        mark = "*" if against and (i >= len(other) or other[i] != line) else " "
        rows.append((mark + step, role, rest))
        if role in widths:
            widths[role] = max(widths[role], len(rest))
    print("    step  " + "  ".join(f"{r} on CPU {ord(r) - ord('A')}".ljust(widths[r]) for r in roles))
    for step, role, rest in rows:
        cells = [(rest if r == role else "").ljust(widths[r]) for r in roles]
        print(f"    {step.rjust(4)}  " + ("  ".join(cells) if role != "-" else rest).rstrip())


def judge(counts, script, ident, runs, right):
    """runs: {engine: [(trace, outcome, seconds)]}; prints the table and the verdict."""
    expected = script.expect[ident]
    all_runs = [(e, *r) for e in runs for r in runs[e]]
    first = all_runs[0][1]
    outcomes = sorted({r[2] for r in all_runs})
    same = all(r[1] == first for r in all_runs)
    name = script.name if ident == "none" else f"{script.name} with {ident}"
    title = script.title if ident == "none" else variant.load(ident)[0]["title"][0]
    print(f"  {name}: {title}")
    table(script, first, right)
    for engine, trace, outcome, _ in all_runs:
        if trace != first:
            print(f"    and on {engine}, which ended {outcome}:")
            table(script, trace, first)
    good = outcomes == [expected] and same
    print(f"    {', '.join(outcomes)}: {'as expected' if good else f'NOT as expected ({expected})'}; "
          f"{len(all_runs)} runs on {', '.join(runs)}: traces {'equal' if same else 'DIFFER'}", flush=True)
    counts.one(good, name)
    return first


def replay(counts, build, chosen, engines, repeat):
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
            runs = {s.name: {e: [] for e in engines} for s in mine}
            for engine in engines:
                for number in range(repeat):
                    results = run_scripts(programs[engine], engine, ident, [s.name for s in mine])
                    for s in mine:
                        trace, outcome, seconds = results[s.name]
                        runs[s.name][engine].append((trace, outcome, seconds))
                        out.write(json.dumps({
                            "script": s.name, "variant": ident, "engine": engine, "run": number + 1,
                            "outcome": outcome, "expected": s.expect[ident],
                            "trace": hashlib.sha256(trace.encode()).hexdigest()[:16],
                            "seconds": round(seconds, 3)}) + "\n")
                        out.flush()
            for s in mine:
                first = judge(counts, s, ident, runs[s.name], right.get(s.name, ""))
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
        sys.exit(f"race: no script or variant {', '.join(sorted(unknown))}; scripts: "
                 + " ".join(s.name for s in scripts()))
    return chosen


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--grub", action="store_true")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--engines", help="with commas: " + ",".join(ENGINES))
    parser.add_argument("--no-explore", action="store_true", help="leave out tools/explore.py")
    parser.add_argument("--step", action="store_true", help="step through one script")
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    engines = args.engines.split(",") if args.engines else [e for e in ENGINES if e != "grub" or args.grub]
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
    scripts_named = [n for n in names if n != "pressure"]
    if scripts_named or not names:
        replay(counts, os.path.abspath(args.build), choose(scripts_named), engines, args.repeat)
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
