# SPDX-License-Identifier: MIT
"""The layer that boots: the contract tests of a lab's suites in a kernel that has the student's
code and the reference's; for grade.py.

QEMU runs the kernel under icount, where time is the number of instructions, so two boots of one
image are alike.  Results come over a port to which only the grader's objects write; the console's
text only explains them.
"""
import os

import lab_kernel
import lab_user
import labs
import qemu
from grade_layers import Result, expectation, texts_of
from lab_build import same
from lab_kernel import Kernel

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


class GradedProgram(lab_user.User):
    """Grades a lab in ring 3: builds the kernel and the programs, and runs the tests."""

    def folder(self, name):
        return os.path.join(self.lab, name)

    def student_objects(self, _name, _tree):
        return {path: [] for path in self.one.sources()}

    def tests(self):
        return lab_user.names()

    def grade(self, made, names, folder, tell):
        """The results of all @names.  A test that the boot of all tests did not reach is booted
        alone."""
        known, results, boots = lab_user.names(), [], 0
        left = list(names)
        while left and boots < MOST_BOOTS:
            whole = left == known
            run = lab_user.boot(made, 0 if whole else known.index(left[0]) + 1)
            boots += 1
            for row in lab_user.verdicts(run, left if whole else left[:1]):
                if row[1] == "SKIP":
                    break
                results.append(Result("kernel", row[0], *row[1:]))
                tell(results[-1])
            left = [name for name in names if name not in {r.name for r in results}]
        why = "not run: the kernel ended in tests before it"
        return results + [Result("kernel", name, "SKIP", why) for name in left]
