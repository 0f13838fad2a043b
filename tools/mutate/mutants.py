#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Build every wrong variant of tests/mutants; each test named in it must fail; `make mutants`.

The matrix has a line for each variant and each of its lines "kill:".  docs/mutants.md says when a
variant counts as killed.  The matrix also goes to DIR/mutants.json, or with --result to another
file in DIR.  Exit status 0 only if all variants were killed as claimed.
--who runs all suites with each variant instead, and lists every test that fails.
"""
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import check
import explore
import qemu
import race
import variant
import variant_build
import watchdog

LIMIT = 120  # most seconds of CPU time of a run, which needs one or two
# A test takes milliseconds.  It hangs if it has used HANG_CPU without ending, or has been almost
# idle for HANG_SILENCE.
HANG_CPU = 2  # seconds of CPU time
HANG_SILENCE = 8  # seconds in which the test uses less than HANG_IDLE
HANG_IDLE = 1  # seconds of CPU time: an idle guest handles ticks
BEGINS = re.compile(r"^  # begin \S+$", re.MULTILINE)
# Matches a whole line: the beginning of a name could be another test's.
FAILED = re.compile(r"^  not ok .*\n", re.MULTILINE)
RESULT = re.compile(r"^  (ok|not ok) \d+ (\S+)")
# A wait of a test that has come to its limit (tests/lib/wait_help.h).
WAITED = re.compile(r"expected (OWN_)?(YIELD|SPIN)_UNTIL\(")


class Report:
    """A program's output, test by test, and its end."""

    def __init__(self, text, status):
        self.text, self.status = text.replace("\r", ""), status
        self.said, self.failed, said = {}, [], []  # said: {test: output before its result}
        for line in self.text.split("\n"):
            found = RESULT.match(line)
            if found:
                self.said[found.group(2)], said = "\n".join(said), []
                self.failed += [found.group(2)] if found.group(1) == "not ok" else []
            elif not BEGINS.match(line):
                said.append(line)
        self.unfinished = "\n".join(said)

    def diagnosis(self):
        """The first line that says what failed."""
        told = re.compile(r"^\s*# (?!selftest|begin )|panic|PANIC|Sanitizer|runtime error")
        none = f"no message; ended with {self.status}{qemu.in_test(self.text)}"
        return next((x.strip() for x in self.text.split("\n") if told.search(x)), none)

    def end(self):
        """The last lines, for a run that should not have failed."""
        return "".join("\n    " + line[:200] for line in self.text.rstrip().split("\n")[-30:])


class Watch:
    """Tells when a run may end: its test has failed, or hangs."""

    def __init__(self, hangs):
        self.hangs, self.dog = hangs, None
        self.hung = False

    def __call__(self, text, pid):
        if FAILED.search(text):
            return True
        if self.hangs and self.dog is None and BEGINS.search(text):
            self.dog = watchdog.Watchdog(pid, HANG_CPU, HANG_SILENCE, HANG_IDLE)
        self.hung = self.dog is not None and bool(self.dog.why())
        return self.hung

    def status(self, status):
        """The run's status; if the watch ended the run, HANGS for a hang, else 1."""
        return status if status != qemu.ENOUGH else variant.HANGS if self.hung else 1


def run_program(command, limit, ends, silence=None, awake=None):
    """Run a hosted program until it ends or hangs (watchdog.Watchdog), or ends(output, pid) is
    true: (output, exit status, qemu.TIMED_OUT or qemu.ENOUGH)."""

    def limited():
        qemu._die_with_parent()
        # For children that outlive the program.
        resource.setrlimit(resource.RLIMIT_CPU, (2 * int(limit) + 10,) * 2)

    # The file has no name, so that Ctrl-C leaves none behind.
    with tempfile.TemporaryFile() as log:
        path = f"/proc/self/fd/{log.fileno()}"
        pipes = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
        env = dict(os.environ, **check.NO_LEAKS)
        proc = subprocess.Popen(command, env=env, preexec_fn=limited, **pipes)
        dog, text, size = watchdog.Watchdog(proc.pid, limit, silence, awake), "", 0
        try:
            while (status := proc.poll()) is None:
                if os.path.getsize(path) != size:
                    size = os.path.getsize(path)
                    text = rooms.read(path)
                if ends(text, proc.pid):
                    status = qemu.ENOUGH
                    break
                if dog.why():
                    status = qemu.TIMED_OUT
                    break
                time.sleep(0.01)
        finally:
            proc.kill()
            proc.wait()
        return rooms.read(path), status


def run_hosted(program, tests, cpus=4, hangs=False):
    watch = Watch(hangs)
    text, status = run_program([program, f"--cpus={cpus}", tests], LIMIT, watch)
    return Report(text, watch.status(status))


def run_kernel(kernel, tests, cpus=4, hangs=False, tag="unmodified"):
    watch = Watch(hangs)
    machine = qemu.Machine(cpus=cpus, mem=256, kernel=kernel, timeout=LIMIT)
    cmdline = f"selftest={tests} tour=off monitor=off"
    run = machine.run(f"variant-{os.getpid()}-{tag}", cmdline, enough=watch)
    return Report(run.text, 0 if run.passed else watch.status(run.status))


def base_of(v, kill):
    """The name of the build that runs the kill."""
    if kill.kind in ("race", "explore", "matrix"):
        return "race" if kill.engine == "mttcg" else "fiber"
    return "kernel" if v.get("world") == "qemu" else "host-" + v.get("build", "port")


def outcome_of(kill, program, tag):
    """The outcome of a race, or of the first bad schedule of an explorer's set, or of the first bad
    run of a row of the matrix; OK if there is none."""
    if kill.kind == "race":
        tag = f"{os.getpid()}-{tag}"
        return race.run_scripts(program, kill.engine, tag, [kill.name])[kill.name][0][1]
    try:
        lines = explore.lines_of([program, f"--{kill.kind}", kill.name, "--json"])
    except subprocess.TimeoutExpired:
        return "TIMEOUT"
    return lines[0]["outcome"] if lines else "no such set"


class Hunt:
    def __init__(self, build, keep):
        self.build, self.keep = os.path.abspath(build), keep
        self.bases = {}  # {name of a build: variant_build.Base}
        self.normal = {}  # {(name of a build, test): the unmodified tree's output}

    # ---- the unmodified tree ---------------------------------------------------------------------

    def prepare(self, variants):
        """Build the unmodified tree; it must pass the tests that variants must fail.  Returns
        the first fault, or None."""
        kills = {}
        for v in variants:
            for kill in v.kills:
                kills.setdefault(base_of(v, kill), []).append(kill)
        goals = [variant_build.program_of(self.build, name) for name in kills if name != "race"]
        if goals and not check.make(self.build, *goals):
            return "the unmodified tree does not build"
        race_build = os.path.join(self.build, "race")
        if "race" in kills and not check.make(race_build, "kernel", RACE="1"):
            return "the unmodified race build does not build"
        self.bases = {name: variant_build.Base(self.build, name) for name in kills}
        faults = (self.look(name, kills[name]) for name in sorted(kills))
        return next(filter(None, faults), None)

    def look(self, name, kills):
        program = variant_build.program_of(self.build, name)
        for kill in {k.text: k for k in kills if k.kind != "test"}.values():
            outcome = outcome_of(kill, program, "none")
            if outcome != "OK":
                return f"the unmodified tree, {kill.text}: {outcome}"
        tests = sorted({k.name for k in kills if k.kind == "test"})
        if tests:
            report = (run_kernel if name == "kernel" else run_hosted)(program, ",".join(tests))
            if report.status != 0:
                why = f"{report.failed or report.status}: {report.end()}"
                return f"the unmodified tree, {name}: {why}"
            self.normal.update({(name, test): said for test, said in report.said.items()})
        return None

    # ---- a variant -------------------------------------------------------------------------------

    def one(self, v):
        """Build and run the variant: a row of the result for each of its kills."""
        tree = os.path.join(self.build, "mutant", v.id)
        programs, rows = {}, []
        for kill in v.kills:
            start = time.monotonic()
            name = base_of(v, kill)
            try:
                if name not in programs:
                    programs[name] = self.build_one(v, tree, name)
                verdict, note = self.judge(v, kill, name, programs[name])
            except variant.BadVariant as e:
                verdict, note = "BAD PATCH", str(e)
            except variant_build.BuildError as e:
                verdict, note = "BUILD ERROR", str(e).strip()
            row = {"id": v.id, "title": v.title, "build": name, "kill": kill.text}
            seconds = round(time.monotonic() - start, 1)
            rows.append({**row, "verdict": verdict, "note": note, "seconds": seconds})
        if not self.keep:
            shutil.rmtree(tree, ignore_errors=True)
        return rows

    def build_one(self, v, tree, name):
        changed = variant.make_tree(v, tree)
        kills = [kill for kill in v.kills if base_of(v, kill) == name]
        suites = {kill.name.split(".")[0] for kill in kills}
        suites = suites if all(kill.kind == "test" for kill in kills) else None
        objects = self.bases[name].compile(tree, changed, v.get("compile").split(), suites)
        return self.bases[name].link(tree, objects)

    def judge(self, v, kill, name, program):
        if kill.kind != "test":
            outcome = outcome_of(kill, program, v.id)
            if outcome in ("OK", "TIMEOUT"):
                return "SURVIVED" if outcome == "OK" else "TIMEOUT", ""
            return "KILLED" if kill.seen(outcome) else "KILLED OTHERWISE", outcome
        test, (first, _, other) = kill.name.split(".")[1], kill.expect.partition(", or ")
        hangs = first == variant.HANGS
        words = other if hangs else kill.expect  # "": none beside the hang
        normal = self.normal.get((name, test))
        if normal is None or words and words in normal:
            why = "no such test" if normal is None else f"the unmodified tree prints {words!r} too"
            raise variant.BadVariant(f"{v.id}: {why}")
        how = (program, kill.name, int(v.get("cpus", "4")), hangs)
        report = run_kernel(*how, v.id) if name == "kernel" else run_hosted(*how)
        if report.status == qemu.TIMED_OUT:
            return "TIMEOUT", report.diagnosis()
        if report.status == 0:
            return "SURVIVED", ""
        said = report.said.get(test, report.unfinished)
        # A test that waits for the event by itself may end before it is judged to hang.
        good = bool(words) and words in said
        good |= hangs and (report.status == variant.HANGS or bool(WAITED.search(said)))
        return "KILLED" if good else "KILLED OTHERWISE", report.diagnosis()


def line_of(row, first):
    what = "killed by" if row["verdict"] == "KILLED" else row["verdict"]
    text = f"{row['id'] if first else '':6} {what} {row['kill']} ({row['seconds']} s)"
    text += f"  {row['title']}" if first else ""
    return text if row["verdict"] == "KILLED" else f"{text}\n         {row['note']}"


def hunt(build, variants, jobs, keep):
    """The rows of all variants; None if the unmodified tree is not right."""
    hunt_ = Hunt(build, keep)
    if wrong := hunt_.prepare(variants):
        print(f"mutants: {wrong}")
        return None
    rows = []
    # One QEMU at a time beside the hosted programs: a guest that hangs would slow others down.
    with ThreadPoolExecutor(max(1, jobs)) as hosted, ThreadPoolExecutor(1) as booted:
        running = []
        for v in variants:
            boots = {base_of(v, k) for k in v.kills} & set(variant_build.KERNELS)
            running.append((booted if boots else hosted).submit(hunt_.one, v))
        for job in running:
            for i, row in enumerate(job.result()):
                print(line_of(row, i == 0), flush=True)
                rows.append(row)
    return rows


def main():
    parser = rooms.parser(__doc__)
    parser.add_argument("--only", help="ids, with commas")
    parser.add_argument("--jobs", type=int, default=check.jobs())
    parser.add_argument("--keep", action="store_true", help="leave the trees in DIR/mutant/")
    parser.add_argument("--who", action="store_true", help="list every test that fails with each")
    parser.add_argument("--result", default="mutants.json", help="a file's name")
    args = parser.parse_args()
    start = time.monotonic()
    variants = [variant.read(i) for i in (args.only.split(",") if args.only else variant.known())]
    if args.who:
        import mutate_run  # not at the top: it imports this module

        return mutate_run.who(args.build, variants)
    rows = hunt(args.build, variants, args.jobs, args.keep)
    counts = check.Counts()
    for row in rows or ():
        what = f"{row['id']}: {row['verdict']}: {row['kill']}: {row['note']}"
        counts.one(row["verdict"] == "KILLED", what)
    if rows is None:
        counts.one(False, "the unmodified tree")
    path = os.path.join(os.path.abspath(args.build), args.result)
    rooms.write(path, json.dumps(rows or [], indent=1) + "\n")
    print(f"# {len(variants)} variants, {len(rows or ())} kills")
    return counts.close("mutants", start)


if __name__ == "__main__":
    rooms.run(main, variant.BadVariant, interrupted="interrupted")
