#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Replay race scripts, with right code and wrong variants, on fibers and in QEMU; `make race`.

Usage: race.py [--build DIR] [--grub] [--repeat N] [--engines LIST] [--no-explore] [--jobs N]
               [--update-docs] [--list] [--model sc|tso] [NAME...]
       race.py [--build DIR] --step [--engine fiber|qemu] [--model sc|tso] NAME [VARIANT]
               by keys, one move at a time: race_step.py

Each script of tests/races/*.race runs with the right code and with each variant that its lines
"expect ID: OUTCOME" name.  The outcome must be the expected one, and the trace must be the same,
byte for byte, on every engine: fiber (hosted), mttcg, icount and, with --grub, grub (from an ISO
image).  Scripts with "model: tso" run on fibers only, where other CPUs see a store late; --model
chooses for all scripts, and the pages are not compared.  A NAME is a script; or a variant, which
chooses the scripts that show it, or, beside a named script, only itself; or a commit of
docs/races/linux.md, which chooses its script and variant.  The tables of docs/races/*.md between
"<!-- race SCRIPT [ID] -->" and "<!-- end -->" must agree with the run, and so must the time line
beside each; --update-docs writes them instead.  One JSON line for each run goes to
DIR/race/race.jsonl.  With names the fibers run first, and their traces are printed at once.  --list
prints all scripts.  --jobs: so many variants at a time.  Without names the explorer (explore.py)
runs too, except with --no-explore.  The names "pressure" and "waiters" stand for pressure.py and
waiters.py.  Exit status 0 only if everything was as expected.
"""
import glob
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import check
import explore
import pressure
import qemu
import race_table
import variant
import waiters
from explore import build_one, build_quick

ENGINES = ("fiber", "mttcg", "icount", "grub")
TIMEOUT = {"fiber": 300, "mttcg": 600, "icount": 900, "grub": 900}
MORE_TIME = {"fiber": 5, "mttcg": 10, "icount": 30, "grub": 10}  # seconds per script of a run
# Milliseconds of guest time that all roles may wait before the race is STUCK; exact under icount.
PATIENCE = {"icount": 50, "mttcg": 1000}
MORE_PATIENCE = 30000  # for mttcg: the guest's clock goes on while a busy host runs other programs
SHIFT = 4  # under icount an instruction takes 16 ns: waits are short for the host
CPUS = 4
HOSTED = []  # options of the hosted program
NO_RACES = """make race needs Quarry's own tree: a student's tree lacks the wrong variants, of which
docs/races/ has recorded runs.  A schedule of your own code, move by move: make grade with SET= and
PLAN=, as a failure of the explorer prints them."""


class Script:
    def __init__(self, path):
        text = rooms.read(path)
        rows = re.findall(r"^(\w+)(?: (\w+))?: *(.*?) *$", text, re.MULTILINE)
        head = {key: value for key, of, value in reversed(rows) if not of}
        self.name, self.title, self.model = head["race"], head["title"], head.get("model", "sc")
        self.expect = {of or "none": value for key, of, value in rows if key == "expect"}
        self.roles = sorted(set(re.findall(r"\b([A-H])[?@:!]", text)))
        self.cpus = max(int(head.get("cpus", 0)), *(ord(r) - ord("A") + 1 for r in self.roles), 0)


def scripts():
    paths = glob.glob(os.path.join(qemu.ROOT, "tests/races/*.race"))
    return sorted(map(Script, paths), key=lambda s: s.name)


# ---- runs ----------------------------------------------------------------------------------------


def traces(text):
    """[(script, trace, outcome)] in the output of a race program."""
    run = r"^race: begin (\S+)\n((?:\d+ .*\n)*)race: end \1 (.*)$"
    return re.findall(run, text.replace("\r", ""), re.MULTILINE)


def run_program(program, engine, tag, names, times, patience=None):
    """Run the scripts @names: (output, "" or, if it did not end by itself, TIMEOUT or CRASH)."""
    timeout = TIMEOUT[engine] + MORE_TIME[engine] * len(names) * times
    if engine == "fiber":
        command = [os.path.abspath(program), *HOSTED, *names * times]
        try:
            done = rooms.call(command, timeout=timeout)
            return done.stdout, "CRASH" if done.returncode < 0 else ""
        except subprocess.TimeoutExpired:
            return "", "TIMEOUT"
    how = {"boot": "grub" if engine == "grub" else "pvh", "icount": engine == "icount"}
    machine = qemu.Machine(cpus=CPUS, shift=SHIFT, timeout=timeout, kernel=program, **how)
    patience = patience or PATIENCE.get(engine)
    command = f"selftest=none monitor=off race={','.join(names)} race_repeat={times}"
    command += f" race_patience={patience}" if patience else ""
    run = machine.run(f"race-{tag}-{engine}", command)
    if run.status == -signal.SIGSEGV:
        print(f"  QEMU itself crashed: {tag} on {engine} once more", flush=True)
        run = machine.run(f"race-{tag}-{engine}", command)
    ended = "TIMEOUT" if run.status == qemu.TIMED_OUT else "CRASH" if "PANIC" in run.text else ""
    return run.text, ended


def run_scripts(program, engine, tag, names, times=1):
    """{script: [(trace, outcome, seconds)]} with @times entries for each script.  The program runs
    again if it ended too early."""
    runs = {name: [] for name in names}
    while True:
        missing = [name for name in names if len(runs[name]) < times]
        if not missing:
            return runs
        start = time.monotonic()
        more = times - min(len(runs[n]) for n in missing)
        text, ended = run_program(program, engine, tag, missing, more)
        found = [t for t in traces(text) if t[0] in runs]
        seconds = (time.monotonic() - start) / max(1, len(found))
        for name, trace, outcome in found:
            if len(runs[name]) < times:
                runs[name].append((trace, outcome, seconds))
        if found:
            continue
        if len(missing) == 1:
            print(f"  {missing[0]} on {engine}: no trace; the last lines are:")
            print("\n".join("    " + line for line in text.rstrip().split("\n")[-10:]))
        # No output, not even of the first script: run each script alone to find the faulty one.
        for name in missing:
            alone = run_scripts(program, engine, tag, [name], 1)[name] if len(missing) > 1 else []
            runs[name] += alone or [("", ended or "NO TRACE", seconds)]


# ---- verdicts -----------------------------------------------------------------------------------


def judge(counts, pages, script, ident, runs, right, before=None):
    """Print the table and the verdict of @runs, {engine: [(trace, outcome, seconds)]}.  @before:
    such runs of earlier engines, whose table has been printed."""
    expected = script.expect[ident]
    all_runs = [(e, *r) for e in runs for r in runs[e]]
    known = [(e, *r) for e in before or {} for r in before[e]]
    first = (known or all_runs)[0][1]
    outcomes = sorted({r[2] for r in known + all_runs})
    same = all(r[1] == first for r in all_runs)
    name = script.name if ident == "none" else f"{script.name} with {ident}"
    print(f"  {name}: {script.title if ident == 'none' else title_of(ident)}")
    if not known:
        race_table.table(first, right)
        for row in race_table.references(first):
            print("    reference: {}: taken {}, dropped {}".format(*row))
        if (script.name, ident) in pages.pairs:
            print(f"    explained in {pages.pairs[script.name, ident]}")
    for engine, trace, outcome, _ in [run for run in all_runs if run[1] != first]:
        print(f"    and on {engine}, which ended {outcome}:")
        race_table.table(trace, first)
    good = outcomes == [expected] and same
    which = f"{', '.join(outcomes)}: {'' if good else 'NOT '}as expected"
    which += "" if good else f" ({expected})"
    count = f"{len(all_runs)} run{'s' * (len(all_runs) > 1)} on {', '.join(runs)}"
    print(f"    {which}; {count}: traces {'equal' if same else 'DIFFER'}", flush=True)
    counts.one(good, name)
    if good:
        pages.show(script.name, ident, first, expected, right)
    return first


def try_again(program, ident, script, runs, first):
    """Run the script again, with more patience, if it is STUCK but should not be, or not where it
    was in the trace @first: on a busy host a guest's CPUs can stand still for a second."""
    for i, (trace, outcome, _) in enumerate(runs):
        if outcome == "STUCK" and (script.expect[ident] != "STUCK" or trace != first):
            text, _ = run_program(program, "mttcg", ident, [script.name], 1, MORE_PATIENCE)
            for name, *ended in traces(text):
                runs[i] = (*ended, runs[i][2])
                print(f"  {name} on mttcg was stuck for a second: once more", flush=True)


def run_one(build, ident, some, engines, repeat):
    """{script: {engine: [(trace, outcome, seconds)]}} of one variant; None if it does not build."""
    right = (build_one(build, "none", engines), None) if ident == "none" else None
    programs, tree = right or build_quick(build, ident, engines)
    runs = {s.name: {} for s in some}
    for engine in engines if programs else ():
        able = [s for s in some if engine == "fiber" or s.model == "sc"]
        results = run_scripts(programs[engine], engine, ident, [s.name for s in able], repeat)
        for s in able:
            runs[s.name][engine] = results[s.name]
            if engine == "mttcg":
                first = runs[s.name][next(iter(runs[s.name]))][0][0]
                try_again(programs[engine], ident, s, results[s.name], first)
    if tree:
        shutil.rmtree(tree, ignore_errors=True)
    return runs if programs else None


def replay(counts, pages, build, chosen, how, before=None):
    """Replay the @chosen scripts: {(script, variant): runs}.  @how: (the engines, the number of
    runs on each, the number of variants at a time).  @before: the result for other engines."""
    engines, repeat, jobs = how
    idents = ["none"] + sorted({i for s, ids in chosen for i in ids if i != "none"})
    mine = {ident: [s for s, ids in chosen if ident in ids] for ident in idents}
    right, seen = {}, {}
    # The right code is built first: variants are linked with its objects.
    build_one(build, "none", engines)
    out_file = race_table.lines_file(build, "race", "a" if before else "w")
    with out_file as out, ThreadPoolExecutor(max(1, jobs)) as pool:
        running = {
            ident: pool.submit(run_one, build, ident, some, engines, repeat)
            for ident, some in mine.items()
            if some
        }
        for ident, job in running.items():
            runs = job.result()
            for s in mine[ident]:
                if runs is None:
                    counts.one(False, f"{s.name} with {ident}: does not build")
                    continue
                write_runs(out, s, ident, runs[s.name])
                seen[s.name, ident] = runs[s.name]
                earlier = (before or {}).get((s.name, ident))
                first = judge(counts, pages, s, ident, runs[s.name], right.get(s.name, ""), earlier)
                if ident == "none":
                    right[s.name] = first
    return seen


def replay_some(counts, pages, build, chosen, how):
    """Replay the named scripts: first on fibers, then in the kernel."""
    engines, *more = how
    others = [e for e in engines if e != "fiber"]
    elsewhere = [(s, ids) for s, ids in chosen if s.model == "sc"]
    seen = None
    if "fiber" in engines:
        print("race: on fibers", flush=True)
        seen = replay(counts, pages, build, chosen, (["fiber"], *more))
    if others and elsewhere:
        print(f"race: in the kernel, {' and '.join(others)}; Ctrl-C leaves that out", flush=True)
        replay(counts, pages, build, elsewhere, (others, *more), seen)


def write_runs(out, script, ident, runs):
    """Write a JSON line for each of @runs."""
    for engine, results in runs.items():
        for number, (trace, outcome, seconds) in enumerate(results, 1):
            row = {"script": script.name, "variant": ident, "engine": engine, "run": number}
            row |= {"outcome": outcome, "expected": script.expect[ident]}
            row["trace"] = hashlib.sha256(trace.encode()).hexdigest()[:16]
            out(**row, seconds=round(seconds, 3))


def choose(names):
    """[(script, idents)]: all, or those that @names name by script or by variant, or by both."""
    every, names = scripts(), set(names)
    known, chosen = [s.name for s in every], []
    for s in every:
        mine = ["none"] + [i for i in s.expect if i in names]
        if names & set(s.expect) and (s.name in names or not names & set(known)):
            chosen.append((s, mine))
        elif not names or s.name in names:
            chosen.append((s, list(s.expect)))
    unknown = names - set(known) - {i for s in every for i in s.expect}
    if unknown:
        unknown = ", ".join(sorted(unknown))
        sys.exit(f"race: no script or variant {unknown}; scripts: {' '.join(known)}")
    return chosen


def title_of(ident):
    """The title of a wrong variant."""
    return variant.read(ident).title


def list_all():
    """A line for each script, and one for each of its wrong variants."""
    pages = race_table.Pages(False).pairs
    for s in scripts():
        page = pages.get((s.name, "none"))
        print(f"{s.name:14} {s.title}{f' ({page})' if page else ''}")
        for ident, outcome in s.expect.items():
            if ident != "none":
                print(f"  {ident:12} {outcome}: {title_of(ident)}")
    print("commits of Linux: docs/races/linux.md; a race: make race NAME='R-S0A M02'")
    return 0


def main():
    flags, words = "grub no-explore step update-docs list", "engines engine model"
    parser = rooms.parser(__doc__, flags=flags, words=words)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    if os.path.exists(os.path.join("labs", "reference", "lab")):
        sys.exit(NO_RACES)
    usual = [e for e in ENGINES if e != "grub" or args.grub]
    engines = args.engines.split(",") if args.engines else usual
    if set(engines) - set(ENGINES):
        parser.error("engines: " + ", ".join(ENGINES))
    if args.engine and not args.step:
        parser.error("--engine (ENGINE=) is of --step (STEP=1); the replay has --engines")
    if args.model == "weak":
        parser.error(
            "a script does not say which stores arrive first: weak is for sets "
            "(build/fiber-weak/race --explore SET --model=weak)"
        )
    if args.model not in ("", "sc", "tso"):
        parser.error(f"no model {args.model}; --model (MODEL=) is sc or tso")
    if args.model:
        HOSTED.append(f"--model={args.model}")
        engines = ["fiber"]
    if args.repeat < 1:
        parser.error("--repeat (REPEAT=) is at least 1")
    counts, start, build = check.Counts(), time.monotonic(), os.path.abspath(args.build)
    names = [n for word in args.names for n in re.split(r"[, ]+", word) if n]
    names = race_table.names_of(names)
    if args.list:
        return list_all()
    if args.step:
        import race_step

        return race_step.step(build, names, args.engine or "fiber", args.model)
    if "pressure" in names:
        pressure.compare(counts, build)
    if "waiters" in names:
        waiters.compare(counts, build, args.update_docs)
    scripts_named = [n for n in names if n not in ("pressure", "waiters")]
    if scripts_named or not names:
        pages = race_table.Pages(args.update_docs)
        if args.model:
            pages.pairs = {}
        how = (engines, args.repeat, args.jobs)
        (replay_some if names else replay)(counts, pages, build, choose(scripts_named), how)
        known = {(s.name, i) for s in scripts() for i in s.expect}
        pages.judge(counts, None if names or args.model else known)
    if not names and not args.no_explore and not args.model:
        print("explorer:", flush=True)
        explore.explore(counts, build)
    return counts.close("race", start)


if __name__ == "__main__":
    rooms.run(main, variant.BadVariant)
