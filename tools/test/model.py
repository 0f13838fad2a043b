#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The SPIN models of tests/model: the right ones hold, each wrong one has its counterexample; `make
model`.

Each case is one model with one set of macros and one property.  A right model is searched
exhaustively: a search that reaches a limit of depth, memory or time counts as failed.  A wrong one
must fail in the expected way; its counterexample is replayed and saved, as a numbered table of
steps, in BUILD/model/MODEL-VARIANT.txt.  docs/models.md explains models and macros.
"""
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys
import time

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
from rooms import ROOT
import needs

MODELS = os.path.join(ROOT, "tests", "model")
MEMORY_MB = 1800  # most memory of one search; two run at a time
SECONDS = 900  # most seconds of one search, also on a busy machine
RIGHT_DEPTH = 300000
# The smallest depth that finds a cycle counts: a short cycle reads better.
CYCLE_DEPTHS = [90, 105, 115, 130, 150, 180, 220, 300, 500, RIGHT_DEPTH]
# The kinds of failure, by pan's messages.
ASSERTION, STUCK, CYCLE = "assertion", "stuck for ever", "never ends"
SAYS = {ASSERTION: "assertion violated", STUCK: "invalid end state", CYCLE: "acceptance cycle"}
HOLDS = "holds"
LIMITS = ("max search depth too small", "Search not completed", "reached -DMEMLIM")
LIMITS += ("out of memory", "resource limit")  # each ends a search early

ISO, OFF, CALL, DRAIN = "pcp_isolation", "pcp_disable_hotplug", "crosscall", "reclaim_drain"
WAIT, BACK, TICKET = "migrate_wait", "putback", "round_ticket"
# Model, name of the variant, macros, expected result.  LIVE: the LTL property under weak fairness.
CASES = [
    (ISO, "precise", "PRECISE", HOLDS),
    (ISO, "precise-3-pages", "PRECISE PAGES=3", HOLDS),
    (ISO, "precise-ends", "PRECISE LIVE", HOLDS),
    (ISO, "disable", "DISABLE", HOLDS),
    (ISO, "disable-ends", "DISABLE LIVE", HOLDS),
    (ISO, "redrain", "REDRAIN", HOLDS),
    (ISO, "redrain-ends", "REDRAIN LIVE", HOLDS),
    (ISO, "redrain-stale-ends", "REDRAIN STALE LIVE", HOLDS),
    (ISO, "precise-pieces", "PRECISE PIECES", HOLDS),
    (ISO, "precise-pieces-3", "PRECISE PIECES PAGES=3", HOLDS),
    (ISO, "precise-pieces-end", "PRECISE PIECES LIVE", HOLDS),
    (ISO, "disable-pieces", "DISABLE PIECES", HOLDS),
    (ISO, "redrain-pieces-end", "REDRAIN PIECES LIVE", HOLDS),
    (ISO, "historic", "ONCE STALE LIVE", CYCLE),
    (ISO, "one-masked-drain", "ONCE LIVE", CYCLE),
    (ISO, "redrain-historic", "REDRAIN STALE NO_RULE2 LIVE", CYCLE),
    (ISO, "precise-stale", "PRECISE STALE", ASSERTION),
    (ISO, "precise-no-rule2", "PRECISE NO_RULE2", ASSERTION),
    (ISO, "precise-masked", "PRECISE ASK_MASKED", ASSERTION),
    (ISO, "precise-scan-first", "PRECISE SCAN_FIRST", ASSERTION),
    (ISO, "precise-kept-type", "PRECISE KEPT_TYPE", ASSERTION),
    (ISO, "disable-masked", "DISABLE ASK_MASKED", ASSERTION),
    (ISO, "disable-kept-type", "DISABLE STALE KEPT_TYPE", ASSERTION),
    (ISO, "precise-first-piece", "PRECISE PIECES FIRST_ONLY", ASSERTION),
    (ISO, "disable-first-piece", "DISABLE PIECES FIRST_ONLY", ASSERTION),
    (OFF, "disable", "", HOLDS),
    (OFF, "pieces", "PIECES", HOLDS),
    (OFF, "pieces-end", "PIECES ONE_THREAD LIVE", HOLDS),
    (OFF, "first-piece", "PIECES FIRST_ONLY", ASSERTION),
    (OFF, "disable-ends", "ONE_THREAD LIVE", HOLDS),
    (OFF, "enable-round", "ROUND", HOLDS),
    (OFF, "remote-store", "REMOTE ROUND", HOLDS),
    (OFF, "async-enable", "ROUND ASYNC NO_DOWN ONE_THREAD", HOLDS),
    (OFF, "masked", "REMOTE MASKED ROUND", ASSERTION),
    (OFF, "capacity-early", "CAP_EARLY", ASSERTION),
    (OFF, "capacity-after", "CAP_AFTER", ASSERTION),
    (OFF, "no-drain", "NO_DRAIN", ASSERTION),
    (OFF, "not-self", "NOT_SELF", ASSERTION),
    (OFF, "pushed-enable", "ROUND ASYNC PUSHED", ASSERTION),
    (OFF, "no-wait", "NO_WAIT", ASSERTION),
    (OFF, "refill-any", "REFILL_ANY", ASSERTION),
    (OFF, "up-enabled", "UP_ENABLED", ASSERTION),
    (OFF, "down-drains-early", "DOWN_EARLY", ASSERTION),
    (OFF, "down-threads-late", "DOWN_LATE", ASSERTION),
    (CALL, "calls", "", HOLDS),
    (CALL, "calls-end", "ONE_CALL LIVE", HOLDS),
    (CALL, "nowait", "NOWAIT ALONE", HOLDS),
    (CALL, "again", "AGAIN ONE_CALL", HOLDS),
    (CALL, "again-end", "AGAIN ONE_CALL ALONE LIVE", HOLDS),
    (CALL, "again-deaf", "AGAIN AGAIN_DEAF", STUCK),
    (CALL, "again-lost", "AGAIN AGAIN_LOST", STUCK),
    (CALL, "again-answered", "AGAIN AGAIN_ANSWERED", ASSERTION),
    (CALL, "no-gate", "NO_GATE", STUCK),
    (CALL, "gate-late", "GATE_LATE", STUCK),
    (CALL, "irqs-off", "IRQS_OFF", STUCK),
    (CALL, "ack-newest", "NOWAIT ALONE ACK_NEWEST", ASSERTION),
    (CALL, "clear-late", "CLEAR_LATE", STUCK),
    (CALL, "online-early", "ONLINE_EARLY", STUCK),
    (DRAIN, "drain", "", HOLDS),
    (DRAIN, "owner-fails", "UNDER_LOCK OWNER_FAILS", HOLDS),
    (DRAIN, "late", "LATE", ASSERTION),
    (DRAIN, "no-drain", "NO_DRAIN", ASSERTION),
    (DRAIN, "hotplug-allocates", "UNDER_LOCK", STUCK),
    (DRAIN, "allocator-drains", "UNDER_LOCK ALLOC_DRAINS", STUCK),
    (TICKET, "barriers", "", HOLDS),
    (TICKET, "asker-passes", "ASKER_PASSES", ASSERTION),
    (TICKET, "round-passes", "ROUND_PASSES", ASSERTION),
    (WAIT, "queued", "", HOLDS),
    (WAIT, "queued-ends", "LIVE", HOLDS),
    (WAIT, "spin", "SPIN", HOLDS),
    (WAIT, "spin-ends", "SPIN LIVE", HOLDS),
    (WAIT, "held", "HELD LIVE", CYCLE),
    (WAIT, "first-touch-held", "FIRST_HELD LIVE", CYCLE),
    (WAIT, "dropped", "DROPPED LIVE", CYCLE),
    (WAIT, "no-reference", "NO_REFERENCE", ASSERTION),
    (WAIT, "queued-late", "LATE", STUCK),
    (WAIT, "on-entry", "ON_ENTRY", STUCK),
    (BACK, "put-and-putback", "", HOLDS),
    (BACK, "put-only", "PUT_ONLY", ASSERTION),
    (BACK, "putback-moved", "PUTBACK", ASSERTION),
    (BACK, "putback-batch", "BATCH", ASSERTION),
]


def run(command, cwd, seconds=SECONDS):
    """(the output, the exit status; -1 if the command took more than @seconds)"""
    try:
        done = rooms.call(command, cwd=cwd, timeout=seconds)
        return done.stdout, done.returncode
    except subprocess.TimeoutExpired as e:
        return (e.stdout or b"").decode(errors="replace") + f"\nmore than {seconds} s", -1


def verdict(out):
    """The kind of fault that a search has found, or None."""
    for kind, says in SAYS.items():
        if re.search(rf"^pan:\d+: .*{says}", out, re.M):
            return kind
    return None


def limit(out):
    """The reason why a search without an error is not exhaustive; None if it is exhaustive."""
    if "errors: 0" not in out:
        return "no result: " + (out.strip().splitlines() or ["no output"])[-1]
    return next((says for says in LIMITS if says in out), None)


def replay(case, folder, macros, out):
    """Write the counterexample as a numbered table of steps; False if there is none."""
    model, variant, _, expected = case
    trail = next((f for f in os.listdir(folder) if f.endswith(".trail")), None)
    if not trail:
        return False
    text, _ = run(["spin", "-T", "-k", trail, *macros, f"{MODELS}/{model}.pml"], folder)
    rows, loop, last = [], False, None
    for line in text.splitlines():
        step = re.match(r"\s*(CPU\d|ctl\d?)\|(.*)", line)
        if "START OF CYCLE" in line:
            rows.append("    -- from here on, for ever:")
            loop, last = True, None
        elif step and not (loop and last == step.groups()):
            last = step.groups()
            number = sum(not r.startswith("    --") for r in rows) + 1
            rows.append(f"{number:4}  {step[1]:5} {step[2]}")
    if sum(not r.startswith("    --") for r in rows) < 2:
        return False
    why = re.search(r"^pan:\d+: (.*)", out, re.M)
    lines = [
        f"{model}.pml, {variant}: spin macros {' '.join(macros) or '(none)'}",
        f"expected: {expected}; found: {why[1] if why else '?'}",
        "",
        "step  who   what",
        *rows,
        "",
    ]
    stands = [line for line in text.splitlines() if re.search(r"\d+:\s+proc\s+\d+ \(", line)]
    shorter = re.compile(r"^\s*\d+:\s*|\S*/(?=\w+\.pml)|\s*\(state \d+\)")
    lines += ["where each process stands:", *("  " + shorter.sub("", line) for line in stands)]
    path = os.path.join(os.path.dirname(folder), f"{model}-{variant}.txt")
    rooms.write(path, "\n".join(lines) + "\n")
    return True


def check(case, build):
    """(is the result as expected?, a line that says so) of a case."""
    model, variant, macros, expected = case
    start = time.monotonic()
    folder = os.path.join(build, "model", f"{model}-{variant}")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    macros = ["-D" + m for m in macros.split()]
    live, wrong = "-DLIVE" in macros, expected != HOLDS

    def result(got, good, out=""):
        states = re.findall(r"^\s*(\S+) states, stored", out, re.M)
        states = f"{int(float(states[-1])):,} states, " if states else ""
        rooms.write(os.path.join(folder, "pan.log"), out)
        said = f"{'ok' if good else 'not ok'} {model} {variant}: {got}"
        said += "" if good else f", not {expected}"
        return good, f"  {said} ({states}{time.monotonic() - start:.1f} s)"

    out, status = run(["spin", "-a", *macros, f"{MODELS}/{model}.pml"], folder)
    if status or not os.path.exists(os.path.join(folder, "pan.c")):
        return result("does not compile", False, out)
    # A search in breadth gives the shortest way to a state; a search of small depth, a short cycle.
    options = ["-DNFAIR=3"] if live else ["-DSAFETY", "-DBFS"] if wrong else ["-DSAFETY"]
    # More optimisation takes longer than it saves; the search of a wrong model ends soon.
    options += ["-O0" if wrong else "-O1", "-w", f"-DMEMLIM={MEMORY_MB}"]
    out, status = run(["gcc", *options, "-o", "pan", "pan.c"], folder)
    if status:
        return result("does not compile", False, out)
    for depth in CYCLE_DEPTHS if live and wrong else [RIGHT_DEPTH]:
        out, _ = run(["./pan", f"-m{depth}", "-w22", *(["-a", "-f"] if live else [])], folder)
        if found := verdict(out):
            shown = replay(case, folder, macros, out)
            got = found if shown else found + ", but no replay"
            return result(got, found == expected and shown, out)
    why = limit(out)
    return result(why or HOLDS, not wrong and not why, out)


def main():
    parser = rooms.parser("Search the SPIN models of tests/model.")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", default="", help="only cases whose MODEL-VARIANT holds this text")
    parser.add_argument("--cases", help="only these: MODEL-VARIANT, with commas")
    parser.add_argument("--list", action="store_true", help="print the cases and their macros")
    args = parser.parse_args()
    names = {f"{model}-{variant}": (model, variant, *_) for model, variant, *_ in CASES}
    wanted = rooms.chosen(parser, args.cases, names, "case")
    cases = [names[name] for name in wanted if args.only in name]
    if args.list:
        for model, variant, macros, expected in cases:
            print(f"{model + '-' + variant:40} {expected:15} {macros}")
        return 0
    if not cases:
        sys.exit(f"model.py: no case holds {args.only!r}; --list names them")
    if needs.why("models"):
        print("  " + needs.line("models", needs.why("models")))
        print("model: 0 passed, 0 failed, 1 skipped")
        return 0
    start, good = time.monotonic(), []
    # The long searches, of models that hold, come first, so that no core idles at the end.
    order = sorted(cases, key=lambda c: (c[3] != HOLDS, "LIVE" not in c[2] and "PAGES" not in c[2]))
    with concurrent.futures.ThreadPoolExecutor(max(1, args.jobs)) as pool:
        jobs = [pool.submit(check, c, os.path.abspath(args.build)) for c in order]
        for job in concurrent.futures.as_completed(jobs):
            good.append(job.result()[0])
            print(job.result()[1], flush=True)
    place = os.path.relpath(os.path.join(args.build, "model"))
    print(f"counterexamples: {place}/*.txt; {time.monotonic() - start:.0f} s in all")
    print(f"{sum(good)} passed, {len(good) - sum(good)} failed")
    return 0 if all(good) else 1


if __name__ == "__main__":
    rooms.run(main, interrupted="interrupted")
