# SPDX-License-Identifier: MIT
"""The layers of a grade: model, explorer, contract tests; for grade.py.

Each layer gives a list of results: a test's name and its verdict.  If the verdict is not PASS, a
result also has the first failing expectation in plain words, details, and a way to repeat the test.
"""
import json
import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor
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
FRAME = re.compile(r"^\s*#\d+ 0x\w+ in (\S+) (\S+:\d+)")


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

    def key(self):
        return f"{self.layer}.{self.name}"


def printable(text):
    return CONTROL.sub("", text)


def first_trouble(text):
    """(the reason, the frames with source lines) from the output of a program that died."""
    reason = re.search(
        r"^.*(?:ERROR: \w+Sanitizer: |runtime error: |PANIC|panic)(.*)$", text, re.MULTILINE
    )
    frames = []
    for line in text[reason.start() :].split("\n") if reason else text.split("\n"):
        found = FRAME.match(line)
        if found and not found.group(2).startswith("../") and len(frames) < 8:
            frames.append(f"in {found.group(1)}, {found.group(2)}")
    what = reason.group(0).strip() if reason else ""
    return re.sub(r"^==\d+==|0x[0-9a-f]{9,}", "...", what.lstrip("# "))[:300], frames


def judged(done):
    """{test: row} of the judge, which has ended.  A PASS counts only if its exit status fits."""
    rows = {}
    for line in done.records:
        row = json.loads(line)
        rows[row["test"]] = row
    failed = any(row["verdict"] != "PASS" for row in rows.values())
    if done.how == "ended" and done.status == int(failed):
        return rows
    return {name: row for name, row in rows.items() if row["verdict"] != "PASS"}


class Layers:
    """Runs the layers of one submission; @folder: the directory of the programs' output."""

    def __init__(self, sandbox, folder, seed, plan, chosen, told):
        self.sandbox, self.folder, self.seed, self.plan = sandbox, folder, seed, plan
        self.chosen, self.told = chosen, told
        self.cpu = {}

    def wanted(self, layer, names):
        return [name for name in names if self.chosen(f"{layer}.{name}")]

    def log(self, name):
        return os.path.join(self.folder, name + ".log")

    def spent(self, layer, seconds):
        self.cpu[layer] = self.cpu.get(layer, 0.0) + seconds

    def tell(self, result):
        self.told(result)
        return result

    # ---- model ----

    def model(self, judge, student, names, about):
        """Run the model layer: the judge's process sends operations to the student's."""
        log, text = self.log("model." + names[0]), self.log("model." + names[0] + ".said")
        with open(text, "wb"):
            os.chmod(text, 0o666)
        done = grade_run.run(
            self.sandbox,
            [judge, f"--seed={self.seed}", student, *names],
            log,
            cpu=300,
            asleep=300,
            env={"JUDGE_OUTPUT": text},
            records="stdout",
            output=64 << 20,
        )
        with open(text, "rb") as f:
            said = f.read().decode("utf-8", "replace")
        rows, results = judged(done), []
        for name in names:
            row = rows.get(name)
            if not row:
                results.append(
                    Result("model", name, "ERROR", f"the judge ended: {done.text[-300:].strip()}")
                )
            elif row["verdict"] == "PASS":
                results.append(Result("model", name, "PASS", about=row["about"]))
            else:
                results.append(Result("model", name, row["verdict"], row["why"], [], row["about"]))
                self.explain_model(results[-1], row, said)
            self.tell(results[-1])
        return results

    def explain_model(self, result, row, said):
        if result.verdict == "CRASH":
            reason, frames = first_trouble(said)
            result.details += [reason, *frames] if reason else []
        if row["page"]:
            result.details.append(row["page"])
        if row["history"]:
            result.details += ["the calls before that concern the page:", *row["history"]]
        if row["last"]:
            result.details += ["the last calls:", *row["last"][-5:]]

    # ---- explorer ----

    def explore(self, program, name):
        """Run a set's schedules with at most two preemptions, or only self.plan.  A schedule that
        runs for ever is a hang; the number of schedules depends on the code, and is not judged."""
        which = f"--plan={self.plan}" if self.plan else f"--max={SCHEDULES}"
        done = grade_run.run(
            self.sandbox,
            [program, "--explore", name, "--json", "--alive", which],
            self.log("explorer." + name),
            each=ALIVE_CPU,
            cpu=SET_CPU,
            records="stdout",
        )
        rows = [line for line in done.records if line.startswith('{"set"')]
        result = Result("explorer", name, "PASS")
        if not rows and self.plan and NO_PLAN in done.text:
            result.verdict, result.why = "ERROR", f"{self.plan} is no schedule of this set"
            return self.tell(result)
        if not rows:
            late = done.how != "ended"
            result.verdict = "HANG" if late else "CRASH"
            reason, frames = first_trouble(done.text)
            result.why = reason or (
                "it runs for ever" if late else done.crash() or "it ended early"
            )
            result.details = frames
            return self.tell(result)
        row = json.loads(rows[-1], strict=False)  # the text of a panic may have control characters
        if row["failed_at"]:
            result.verdict = {"CRASH": "CRASH", "STUCK": "HANG"}.get(row["outcome"], "FAIL")
            which = self.plan or f"{row['failed_at']} of the set"
            result.why = f"schedule {which} ends {row['outcome']}: {row['why']}"
            result.plan = row["plan"]
            script = [line for line in row["script"].split("\n") if line]
            head = "what each role does:" if self.plan else "the shortest script that shows it:"
            result.details = [head, *script]
        elif not row["complete"] and not row["left_out"]:
            why = f"{self.plan}: a preemption did not happen" if self.plan else ""
            result.verdict, result.why = "ERROR", why or "not all schedules were run"
        return self.tell(result)

    # ---- contract tests ----

    def contract(self, program, names, layer="contract"):
        """Run tests, each in a process of its own (labs/grade/each.c)."""
        done = grade_run.run(
            self.sandbox,
            [program, ",".join(names)],
            self.log(f"{layer}.{names[0]}"),
            records=True,
        )
        rows = {}
        for line in done.records:
            what, name, *more = line.split()
            rows.setdefault(name, {})[what] = more
        said = texts_of(done.text)
        # In the order of the program, which may differ from the order of @names.
        order = [*rows, *[name for name in names if name not in rows]]
        slow = any(ended_by(row) == signal.SIGPROF for row in rows.values())
        return [
            self.tell(result_of(layer, name, rows.get(name, {}), said.get(name, ""), slow))
            for name in order
        ]


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
    lines = [
        line.strip().lstrip("#").strip()
        for line in text.split("\n")
        if line.strip().startswith("#") or "expected" in line or "check" in line
    ]
    lines = [line for line in lines if line and not line.startswith(("begin", "seed"))]
    return (lines[0], lines[1:8]) if lines else ("it failed without a text", [])


def run_all(jobs):
    """Call all functions of @jobs, as many at a time as there are CPUs: their results, in order."""
    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        return [future.result() for future in [pool.submit(job) for job in jobs]]


# ---- the layer that boots ------------------------------------------------------------------------
# It runs the contract tests of a lab's suites in a kernel that has the student's code and the
# reference's. QEMU runs it under icount, where time is the number of instructions, so two boots of
# one image are alike.  Results come over a port to which only the grader's objects write; the
# console's text only explains them.


PARTS = ("labs/grade/kernel_begin.c", "labs/grade/kernel_end.c")
CPUS = 4
MOST_CRASHES = 3  # boots that end early, after which the other tests are not run


class Graded(Kernel):
    """A lab's kernel that reports results to the grader."""

    def program(self, tree=None, name="student", more=()):
        rest = self.rest()
        rows = [(p, self.object_of(p), self.command(p)) for p in PARTS]
        self.shared.compile_all(rows)
        self.shared.save()
        begin, end = (to for _, to, _ in rows)
        out = self.folder(name)
        return self.link(out, rest, [begin, rest, *self.student(tree, out), *more, end])

    def tests(self):
        """The contract tests whose suites the kernel has."""
        there = self.suites()
        return [t for t in self.one.tests_tagged("contract") if t.split(".")[0] in there]

    def grade(self, made, names, folder, tell):
        return run(made, names, folder, tell)

    def folder(self, name):
        return os.path.join(self.lab, name + "-graded")

    def student_objects(self, name, tree):
        """{source: [path of the student's object]}"""
        out, found = self.folder(name), {}
        for p in self.one.sources():
            folder = self.folder_of_same() if same(self.one, tree, p) else out
            found[p] = [labs.object_in(folder, p)]
        return found


def boot_once(image, names, folder):
    """(results of the tests that ran, did all of @names run)"""
    records = os.path.join(folder, f"kernel.{names[0]}.records")
    which = ",".join(["lab_begin", *names, "lab_end"])
    done = lab_kernel.boot(image, which, cpus=CPUS, extra=["-debugcon", f"file:{records}"])
    lines = []
    if os.path.exists(records):
        with open(records, encoding="utf-8", errors="replace") as f:
            lines = f.read().split("\n")[:-1]
    begun = [line[2:] for line in lines if line[:1] == "B"]
    failed = {line[2:] for line in lines if line[:1] == "F"}
    skipped = {line[2:] for line in lines if line[:1] == "S"}
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


def run(image, names, folder, tell):
    """The results of all @names; after a crash, another boot runs the remaining tests."""
    results, left, crashes = [], list(names), 0
    while left and crashes < MOST_CRASHES:
        got, ended = boot_once(image, left, folder)
        results += got
        for result in got:
            tell(result)
        left = left[len(got) :]
        crashes += not ended
        if not got:
            break
    why = "not run: the kernel ended in tests before it"
    verdict = "SKIP" if crashes and results else "CRASH"
    results += [Result("kernel", name, verdict, why) for name in left]
    return results


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
        """The results of all @names.  A test that the boot of all tests did not reach is booted
        alone."""
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
        why = "not run: the kernel ended in tests before it"
        return results + [Result("kernel", name, "SKIP", why) for name in left]
