# SPDX-License-Identifier: MIT
"""The layers of a grade: model, explorer, contract tests; for grade.py.

Each layer gives a list of results: a test's name and its verdict.  If the verdict is not PASS, a
result also has the first failing expectation in plain words, details, and a way to repeat the test.
"""
import json
import os
import re
import signal
from dataclasses import dataclass, field

import grade_run
import lab_kernel
import labs
import qemu
from lab_build import same
from lab_kernel import Kernel

VERDICTS = ("PASS", "FAIL", "CRASH", "HANG", "ERROR", "SKIP")
STUCK = 3  # the exit status of a test on fibers if all CPUs wait (arch/fiber/fiber_whole.h)
SCHEDULES = 100000  # about the most schedules of a set that are run
ALIVE_CPU = 10  # seconds of CPU time for 512 schedules; they take a tenth of a second
NO_PLAN = "race: not a plan: "  # printed by tests/races/fiber_explore.c
SET_CPU = 300  # seconds of CPU time of one set
# Not printable, and not allowed in XML.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
FRAME = re.compile(r"^[ \t]*#\d+ 0x\w+ in (\S+) (\S+:\d+)", re.MULTILINE)
REASON = re.compile(
    r"^.*(?:ERROR: \w+Sanitizer: |runtime error: |PANIC|panic).*$", re.MULTILINE
)


class Unfit(Exception):
    """What a student has handed in cannot be judged; the text is the reason, @lines are details."""

    def __init__(self, why, lines=()):
        super().__init__(why)
        self.lines = [line for line in lines if line.strip()]


@dataclass
class Result:
    layer: str
    name: str
    verdict: str
    why: str = ""  # the first failing expectation
    details: list = field(default_factory=list)
    about: str = ""
    neutral: bool = False  # a SKIP that is not the student's fault: it does not count
    plan: str = ""  # the failed schedule, if the test is a set of the explorer
    part: float = 0.0  # of its points that it gives without having passed (lab_perf.py)

    def gained(self):
        """The part of its points that the test gives."""
        return 1 if self.verdict == "PASS" else self.part

    def key(self):
        return f"{self.layer}.{self.name}"


def printable(text):
    return CONTROL.sub("", text)


def first_trouble(text):
    """(the reason, the frames with source lines) from the output of a program that died."""
    reason = REASON.search(text)
    found = FRAME.findall(text[reason.start() :] if reason else text)
    frames = [f"in {name}, {place}" for name, place in found if not place.startswith("../")]
    what = reason.group(0).strip() if reason else ""
    return re.sub(r"^==\d+==|0x[0-9a-f]{9,}", "...", what.lstrip("# "))[:300], frames[:8]


def judged(done):
    """{test: row} of the judge, which has ended.  A PASS counts only if its exit status fits."""
    rows = {row["test"]: row for row in map(json.loads, done.records)}
    failed = any(row["verdict"] != "PASS" for row in rows.values())
    if done.how == "ended" and done.status == int(failed):
        return rows
    return {name: row for name, row in rows.items() if row["verdict"] != "PASS"}


class Layers:
    """Runs the layers of one submission; @folder: the directory of the programs' output."""

    def __init__(self, sandbox, folder, seed, plan, told):
        self.sandbox, self.folder, self.seed, self.plan = sandbox, folder, seed, plan
        self.told = told

    def log(self, name):
        return os.path.join(self.folder, name + ".log")

    def tell(self, result):
        self.told(result)
        return result

    # ---- model ----

    def model(self, judge, student, names):
        """Run the model layer: the judge's process sends operations to the student's."""
        log, text = self.log("model." + names[0]), self.log("model." + names[0] + ".said")
        with open(text, "wb"):
            os.chmod(text, 0o666)
        command = [judge, f"--seed={self.seed}", student, *names]
        limits = {"cpu": 300, "asleep": 300, "output": 64 << 20}
        env = {"JUDGE_OUTPUT": text}
        done = grade_run.run(self.sandbox, command, log, env=env, records="stdout", **limits)
        said, rows = labs.read(text), judged(done)
        return [self.tell(of_model(name, rows.get(name), said, done)) for name in names]

    # ---- explorer ----

    def explore(self, program, name):
        """Run a set's schedules with at most two preemptions, or only self.plan.  A schedule that
        runs for ever is a hang; the number of schedules depends on the code, and is not judged."""
        which = f"--plan={self.plan}" if self.plan else f"--max={SCHEDULES}"
        command = [program, "--explore", name, "--json", "--alive", which]
        limits = {"each": ALIVE_CPU, "cpu": SET_CPU}
        log = self.log("explorer." + name)
        done = grade_run.run(self.sandbox, command, log, records="stdout", **limits)
        return [self.tell(of_set(name, done, self.plan))]

    # ---- contract tests ----

    def contract(self, program, names, layer="contract"):
        """Run tests, each in a process of its own (labs/grade/each.c)."""
        log = self.log(f"{layer}.{names[0]}")
        done = grade_run.run(self.sandbox, [program, ",".join(names)], log, records=True)
        rows = {}
        for line in done.records:
            what, name, *more = line.split()
            rows.setdefault(name, {})[what] = more
        said = texts_of(done.text)
        # In the order of the program, which may differ from the order of @names.
        order = [*rows, *[name for name in names if name not in rows]]
        slow = any(ended_by(row) == signal.SIGPROF for row in rows.values())
        of = [(layer, name, rows.get(name, {}), said.get(name, ""), slow) for name in order]
        return [self.tell(result_of(*what)) for what in of]


def of_model(name, row, said, done):
    """The result of a plan of the model layer; @row: the judge's, or None; @said: the text of the
    student's process; @done: the end of the judge."""
    if not row:
        why = f"the judge ended: {done.text[-300:].strip()}"
        return Result("model", name, "ERROR", why)
    details = []
    if row["verdict"] == "CRASH":
        reason, frames = first_trouble(said)
        details += [reason, *frames] if reason else []
    if row["verdict"] != "PASS":
        details += [row["page"]] if row["page"] else []
        if row["history"]:
            details += ["the calls before that concern the page:", *row["history"]]
        if row["last"]:
            details += ["the last calls:", *row["last"][-5:]]
    why = "" if row["verdict"] == "PASS" else row["why"]
    return Result("model", name, row["verdict"], why, details, row["about"])


def of_set(name, done, plan):
    """The result of a set of the explorer, which has run all schedules, or only @plan."""
    rows = [line for line in done.records if line.startswith('{"set"')]
    result = Result("explorer", name, "PASS")
    if not rows and plan and NO_PLAN in done.text:
        result.verdict, result.why = "ERROR", f"{plan} is no schedule of this set"
    elif not rows:
        late = done.how != "ended"
        result.verdict = "HANG" if late else "CRASH"
        reason, result.details = first_trouble(done.text)
        other = "it runs for ever" if late else done.crash() or "it ended early"
        result.why = reason or other
    if not rows:
        return result
    row = json.loads(rows[-1], strict=False)  # the text of a panic may have control characters
    if row["failed_at"]:
        result.verdict = {"CRASH": "CRASH", "STUCK": "HANG"}.get(row["outcome"], "FAIL")
        which = plan or f"{row['failed_at']} of the set"
        result.why = f"schedule {which} ends {row['outcome']}: {row['why']}"
        result.plan = row["plan"]
        head = "what each role does:" if plan else "the shortest script that shows it:"
        result.details = [head, *filter(None, row["script"].split("\n"))]
    elif not row["complete"] and not row["left_out"]:
        why = f"{plan}: a preemption did not happen" if plan else ""
        result.verdict, result.why = "ERROR", why or "not all schedules were run"
    return result


def ended_by(row):
    """The signal that ended a test's process, or 0; @row: {letter of a record: its words}"""
    return os.WTERMSIG(int(row["D"][0])) if "D" in row else 0


def result_of(layer, name, row, text, slow):
    """The result of a test, from its records; @text: what it printed; @slow: some tests before it
    used up their processor time.  A test must write its end, and its process must end well."""
    result = Result(layer, name, "PASS")
    if "B" not in row and "D" not in row:
        result.verdict = "SKIP" if slow else "ERROR"
        result.why = "not run, since tests before it took too long" if slow else "it was not run"
    elif "E" not in row or row.get("D") != ["0"]:
        late = ended_by(row) == signal.SIGPROF
        stuck = "D" in row and int(row["D"][0]) == STUCK << 8
        result.verdict = "HANG" if late or stuck else "CRASH"
        reason, result.details = first_trouble(text)
        result.why = reason or (
            "it does not end" if late else "it waits for ever" if stuck else signal_of(row)
        )
    elif "F" in row:
        result.verdict = "FAIL"
        result.why, result.details = expectation(text)
    elif "S" in row:
        result.verdict, result.why, result.neutral = "SKIP", "it is not for this build", True
    return result


def signal_of(row):
    """The signal that ended a test's process, in words."""
    number = ended_by(row)
    return signal.strsignal(number) or f"signal {number}" if number else "it ended early"


def texts_of(text):
    """{SUITE.TEST: what was printed while it ran}, for explanations only."""
    parts = re.split(r"^\s*# begin (\S+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def expectation(text):
    """(the first failing expectation, the lines that follow it)"""
    rows = [line.strip() for line in text.split("\n")]
    told = [line for line in rows if line[:1] == "#" or "expected" in line or "check" in line]
    lines = [line.lstrip("#").strip() for line in told]
    lines = [line for line in lines if line and not line.startswith(("begin", "seed"))]
    lines = lines or [line for line in rows if line and line not in told]  # its end was cut off
    return (lines[0], lines[1:8]) if lines else ("it failed without a text", [])


# ---- the layer that boots ------------------------------------------------------------------------
# It runs the contract tests of a lab's suites in a kernel that has the student's code and the
# reference's. QEMU runs it under icount, where time is the number of instructions, so two boots of
# one image are alike.  Results come over a port to which only the grader's objects write; the
# console's text only explains them.


PARTS = ("labs/grade/kernel_begin.c", "labs/grade/kernel_end.c")
CPUS = 4
NOT_RUN = "not run: the kernel ended in tests before it"
MOST_CRASHES = 3  # boots that end early, after which the other tests are not run


class Graded(Kernel):
    """A lab's kernel that reports results to the grader."""

    def program(self, tree=None, name="student", more=()):
        rest, out = self.rest(), self.folder(name)
        begin, end = self.compile_own(PARTS)
        return self.link(out, rest, [begin, rest, *self.student(tree, out), *more, end])

    def tests(self):
        """The contract tests whose suites the kernel has."""
        there = self.suites()
        return [t for t in self.one.tests_tagged("contract") if t.split(".")[0] in there]

    def grade(self, made, names, folder, tell):
        """The results of all @names; after a crash, another boot runs the remaining tests."""
        results, left, crashes, got = [], list(names), 0, True
        while left and got and crashes < MOST_CRASHES:
            got, ended = boot_once(made, left, folder)
            for result in got:
                tell(result)
            results += got
            left = left[len(got) :]
            crashes += not ended
        verdict = "SKIP" if crashes and results else "CRASH"
        return results + [Result("kernel", name, verdict, NOT_RUN) for name in left]

    def folder(self, name):
        return os.path.join(self.lab, name + "-graded")

    def student_objects(self, name, tree):
        """{source: [path of the student's object]}"""
        folders = (self.folder(name), self.folder_of_same())
        sources = self.one.sources()
        return {p: [labs.object_in(folders[bool(same(self.one, tree, p))], p)] for p in sources}


def boot_once(image, names, folder):
    """(results of the tests that ran, did all of @names run)"""
    records = os.path.join(folder, f"kernel.{names[0]}.records")
    which = ",".join(["lab_begin", *names, "lab_end"])
    done = lab_kernel.boot(image, which, cpus=CPUS, extra=["-debugcon", f"file:{records}"])
    lines = labs.read(records).split("\n")[:-1] if os.path.exists(records) else []
    begun, failed, skipped = ([line[2:] for line in lines if line[:1] == c] for c in "BFS")
    said, results = texts_of(done.text), []
    for name in [n for n in begun if n in names]:
        result = Result("kernel", name, "PASS")
        if begun.index(name) + 1 == len(begun):
            late = done.status == qemu.TIMED_OUT
            result.verdict = "HANG" if late else "CRASH"
            result.why, result.details = panic_of(said.get(name, ""), late)
        elif name in failed:
            result.verdict = "FAIL"
            result.why, result.details = expectation(said.get(name, ""))
        elif name in skipped:
            result.verdict, result.why, result.neutral = "SKIP", "it is not for this machine", True
        results.append(result)
    names[:] = [r.name for r in results] + [n for n in names if n not in begun]
    return results, "lab_end.end" in begun


def panic_of(text, late):
    """(the reason, the frames) from the console of a kernel that ended in a test."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    at = next((i for i, line in enumerate(lines) if "panic" in line.lower()), None)
    if at is None:
        return ("it does not end" if late else "the machine was powered off"), lines[-4:]
    return lines[at], lines[at + 1 : at + 8]


# ---- a lab in ring 3 -----------------------------------------------------------------------------
# The student's program has no rights but those that the tests give it, so its object need not obey
# rules.  The lines that decide are printed by other tasks, under their names.


MOST_BOOTS = 6


class GradedProgram(lab_kernel.User):
    """Grades a lab in ring 3: builds the kernel and the programs, and runs the tests."""

    def folder(self, name):
        return os.path.join(self.lab, name)

    def student_objects(self, _name, _tree):
        return {path: [] for path in self.one.sources()}

    def tests(self):
        return labs.program_tests()

    def grade(self, made, names, folder, tell):
        """The results of all @names.  A test that the boot of all did not reach is booted alone."""
        known, results, boots = labs.program_tests(), [], 0
        left = list(names)
        while left and boots < MOST_BOOTS:
            whole = left == known
            run = lab_kernel.boot_user(made, 0 if whole else known.index(left[0]) + 1)
            boots += 1
            for row in lab_kernel.verdicts(run, left if whole else left[:1]):
                if row[1] == "SKIP":
                    break
                results.append(Result("kernel", row[0], *row[1:]))
                tell(results[-1])
            left = [name for name in names if name not in {r.name for r in results}]
        return results + [Result("kernel", name, "SKIP", NOT_RUN) for name in left]
