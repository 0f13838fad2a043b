# SPDX-License-Identifier: MIT
"""Show the result of grade.py on the screen, and write it as JSON, JUnit XML, results.json of
Gradescope, and annotations of GitHub Actions."""
import json
import os
import secrets
import shlex
import shutil
import sys
import textwrap
import threading
import xml.etree.ElementTree as ElementTree

import grade_run
import labs
import rooms
from lab_make import alone

COLOURS = {"PASS": "32", "FAIL": "31", "CRASH": "31", "HANG": "31", "ERROR": "35", "SKIP": "33"}
TAGS = {"PASS": None, "SKIP": "skipped", "ERROR": "error"}  # of JUnit
WIDTH = 80
SHOWN = 3  # failed tests of a layer that are shown in full
# The files that --out=FOLDER writes.
FILES = {"json": "grade.json", "junit": "junit.xml", "gradescope": "results.json"}


class Screen:
    """Shows the progress of a grading, on a terminal only; then the result."""

    def __init__(self, grade, out):
        self.grade, self.out, self.live = grade, out, out.isatty()
        self.colour = self.live and not os.environ.get("NO_COLOR")
        self.lock, self.done = threading.Lock(), 0

    def paint(self, text, verdict):
        return f"\033[{COLOURS[verdict]}m{text}\033[0m" if self.colour else text

    def line(self, text):
        if self.live:
            self.out.write("\r\033[K" + text[: WIDTH - 1])
            self.out.flush()

    def tell(self, result):
        """Count and show one more result."""
        with self.lock:
            self.done += 1
            whole = sum(len(names) for names in self.grade.tests().values())
            self.line(f"{self.done} of {whole} {result.key()} {result.verdict}")

    def close(self):
        self.line("")
        lines = text_of(self.grade, self.paint)
        for line in quoted(lines) if is_for_github(self.grade.args) else lines:
            print(line, file=self.out)
        self.out.flush()


def wrap(text, indent):
    whole = {"break_long_words": False, "break_on_hyphens": False}
    lines = textwrap.wrap(text, WIDTH - len(indent), **whole)
    return [indent + line for line in lines] or [indent]


def replay(grade, result):
    """The command that runs exactly this test again."""
    command = f"make grade LAB={grade.one.name}"
    # With --clean the reader is a student, who types it in the own tree.
    if grade.args.tree and not getattr(grade.args, "clean", False):
        command += f" DIR={shlex.quote(grade.args.tree)}"
    if getattr(grade.args, "track", None):
        command += f" TRACK={grade.args.track}"
    if result.layer == "build":
        return command
    if result.plan:
        return f"{command} SET={result.name} PLAN={result.plan}"
    command += f" ONLY={result.key()}"
    if result.layer == "model" and grade.args.seed != labs.grade_seed():
        command += f" SEED={grade.args.seed}"
    return command + " KERNEL=1" * (result.layer == "kernel" and not grade.in_ring_3)


def text_of(grade, paint=lambda text, verdict: text):
    """The lines of the result for a terminal."""
    one = grade.one
    yield f"lab {one.name}, {one.title}"
    for line in grade.said.split("\n")[:12]:
        if line.strip():
            yield "  " + line[: WIDTH - 2]
    for layer in dict.fromkeys(r.layer for r in grade.results):
        mine = [r for r in grade.results if r.layer == layer]
        good = sum(r.verdict == "PASS" for r in mine)
        whole = sum(not r.neutral for r in mine)
        yield f"  {layer}: {good} of {whole} passed" if layer != "build" else "  build"
        bad = [r for r in mine if r.verdict != "PASS" and not r.neutral]
        for i, r in enumerate(bad):
            yield f"    {paint(r.verdict, r.verdict)} {r.name}"
            yield from wrap(r.why or "no reason is known", "      ")
            if i < SHOWN:
                for line in r.details:
                    yield from wrap(line, "        ")
                yield f"      again: {replay(grade, r)}"
    for note in grade.notes:
        yield f"  note: {note}"
    if grade.empty and grade.has_faults():
        costs = ", ".join(f"{name} ({points:g} points)" for name, points in grade.empty.items())
        yield from wrap(f"left empty: {costs}", "  ")
    if grade.board:
        ours, theirs = grade.board["reference"], grade.board["instructions"]
        yield f"  {theirs:g} instructions per event; the reference: {ours:g}"
        if "lines" in grade.board:
            ours, theirs = grade.board["lines_reference"], grade.board["lines"]
            yield f"  {theirs:g} cache lines per event; the reference: {ours:g}"
    cost = grade.cost_points()
    if cost and not grade.not_graded():
        yield f"  cost is apart: {cost[0]:g} of {cost[1]:g} points"
    took = f" in {grade.seconds:.1f} s, {grade.cpu:.1f} s of processor time"
    yield ending(grade) + ("" if grade.not_graded() else took)


def ending(grade):
    """The points in words; of code of which no test was run, the reason."""
    why = grade.not_graded()
    return f"not graded: {why}" if why else f"{grade.points():g} of 100 points"


def as_json(grade):
    what = ("layer", "name", "verdict", "why", "details", "plan")
    return {
        "lab": grade.one.name,
        "title": grade.one.title,
        "tree": grade.args.tree,
        "seed": grade.args.seed,
        "points": grade.points(),
        "not_graded": grade.not_graded(),
        "functions": [
            {"name": name, "points": round(points, 2), "empty": name in grade.empty}
            for name, points in grade.one.shares().items()
        ],
        "layers": [
            {"name": layer, "points": round(points, 2), "of": round(of, 2)}
            for layer, points, of in grade.scores()
        ],
        "tests": [
            {key: getattr(r, key) for key in what} | {"replay": replay(grade, r)}
            for r in grade.results
        ],
        "notes": grade.notes,
        "board": grade.board,
        "seconds": round(grade.seconds, 2),
        "cpu": round(grade.cpu, 2),
    }


def as_junit(grade):
    top = ElementTree.Element("testsuites")
    for layer in dict.fromkeys(r.layer for r in grade.results):
        mine, name = [r for r in grade.results if r.layer == layer], f"lab{grade.one.name}.{layer}"
        suite = ElementTree.SubElement(top, "testsuite", name=name, tests=str(len(mine)))
        tags = [TAGS.get(r.verdict, "failure") for r in mine]
        for tag, key in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
            suite.set(key, str(tags.count(tag)))
        for r, tag in zip(mine, tags):
            case = ElementTree.SubElement(suite, "testcase", classname=name, name=r.name)
            if tag:
                fault = ElementTree.SubElement(case, tag, type=r.verdict, message=r.why)
                fault.text = "\n".join([*r.details, "again: " + replay(grade, r)])
    ElementTree.indent(top, "")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(top, "unicode")}\n'


def as_gradescope(grade):
    """results.json of Gradescope: an entry for each test.  Their max_score add up to 100, their
    score to the points: what a fault costs beyond its test is taken from the tests that passed."""
    worths, results = grade.worths(), {(r.layer, r.name): r for r in grade.results}
    own = {key: of for key, of in worths.items() if key[0] != "cost"}
    gained = {key: results[key].gained() for key in own if key in results}
    factor = min(1, grade.points() / (sum(own[key] * part for key, part in gained.items()) or 1))
    tests, before = [], 0.0
    for key, of in worths.items():
        after = before + (of if key in own else 0)
        most, before = round(round(after, 2) - round(before, 2), 2), after
        part, r = gained.get(key, 0), results.get(key)
        why = f"{r.verdict}: {r.why}" if r else "not run"
        test = {"name": ".".join(key), "score": round(most * part * factor, 4)}
        test |= {"max_score": most, "visibility": "visible", "tags": [key[0]]}
        test["status"] = "passed" if r and r.verdict == "PASS" else "failed"
        if test["status"] == "failed":
            more = [*r.details, f"again: {replay(grade, r)}"] if r else []
            test["output"] = "\n".join([why, *more])
        tests.append(test)
    board = [{"name": "points", "value": grade.points()}]
    named = {"instructions per event of a trace": "instructions"}
    named |= {"cache lines per event of a trace": "lines", "ratio to the reference": "ratio"}
    for name, key in named.items():
        if key in (grade.board or {}):
            board.append({"name": name, "value": grade.board[key], "order": "asc"})
    cost = grade.cost_points()
    return {
        "score": grade.points(), "execution_time": round(grade.seconds),
        "output": "\n".join(text_of(grade)), "tests": tests, "leaderboard": board,
        "extra_data": {"lab": grade.one.name, "cost": cost and cost[0], "notes": grade.notes}
    }


def is_for_github(args):
    return getattr(args, "github", False) or os.environ.get("GITHUB_ACTIONS") == "true"


def quoted(lines):
    """The lines, in which GitHub Actions finds no commands: they may quote a submission.  It cannot
    know the word that ends this."""
    word = secrets.token_hex(16)
    yield f"::stop-commands::{word}"
    yield from lines
    yield f"::{word}::"


def as_github(grade):
    """Workflow commands, one a line."""

    def clean(text):
        return text.replace("%", "%25").replace("\r", "").replace("\n", "%0A")

    for r in grade.results:
        if r.verdict not in ("PASS", "SKIP"):
            path = grade.one.files[0]
            text = clean("\n".join([r.why, *r.details[:6], "again: " + replay(grade, r)]))
            yield f"::error file={path},title={r.verdict} {r.key()}::{text}"
    yield f"::notice title=lab {grade.one.name}::{clean(ending(grade))}"


def places(args):
    """{form: path} of the files that the arguments ask for.  Each can be written; else OSError."""
    if not args.out:
        return {}
    os.makedirs(args.out, exist_ok=True)
    paths = {key: os.path.join(args.out, name) for key, name in FILES.items()}
    for path in paths.values():
        with open(path, "a", encoding="utf-8"):
            pass
    return paths


def write(grade, args):
    """Write the files that the arguments ask for."""
    made = {"json": as_json, "junit": as_junit, "gradescope": as_gradescope}
    for key, path in places(args).items():
        result = made[key](grade)
        text = result if key == "junit" else json.dumps(result, indent=1) + "\n"
        rooms.write(os.path.abspath(path), text)
    if is_for_github(args):
        for line in as_github(grade):
            print(line)
    sys.stdout.flush()


# ---- one test in the debugger, which stops where it fails ----------------------------------------
# It is the program that grades, but runs as the user who called, without limits.


# {layer: the function that notes a failure; the debugger stops there}
STOPS = {"explorer": "fail_run", "contract": "ktest_fail", "cost": "ktest_fail"}


def command(made, layer, name, plan):
    """The debugger's command line."""
    program = made["explorer" if layer == "explorer" else "contract"]
    words = ["--explore", name] if layer == "explorer" else [name]
    words += [f"--plan={plan}"] if plan else []
    stops = [word for at in (STOPS[layer], "panic") for word in ("-ex", f"break {at}")]
    return ["gdb", "-q", *stops, "-ex", "run", "--args", program, *words]


def debug(grade):
    """Build the chosen test and run it in gdb.  Does not return."""
    layer, name = grade.only_test()
    if layer not in STOPS:
        sys.exit("GDB=1 takes one test: TEST=SUITE.TEST, or one set of the explorer: SET=NAME")
    if not shutil.which("gdb"):
        sys.exit("GDB=1 needs gdb")
    grade.label = grade.name()
    grade.stage()
    with alone(grade.args.build):
        made = grade.build()
    if not made:
        print("\n".join(text_of(grade)))
        sys.exit(1)
    os.chdir(labs.ROOT)
    os.execvpe("gdb", command(made, layer, name, grade.args.plan), {**os.environ, **grade_run.ENV})
