#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The lab of ring 3: a student's program, judged by another program of the same machine.

Usage: lab_user.py [--build DIR] [--tree DIR] [--times] LAB [--only TEST]

The kernel is this tree's.  Its boot modules are the student's program and labs/LAB/pager_test.c,
which starts it for each test and uses its pages.  Each line on the console has the name of the task
that wrote it, and the student's program may start no tasks: it cannot print lines of the tests.
"""
import os
import re
import sys
import time

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import lab_kernel
import labs
import qemu
from lab_build import NO_ERRORS, tree_file
from lab_link import Failed
from lab_make import alone
from lab_kernel import Programs

ROOT = labs.ROOT
TEST = labs.PROGRAM_TEST
MEM = 64  # MiB: one test uses all of it
CPUS = 4


def names():
    """The names of the tests, in the order in which they run."""
    return labs.program_tests(TEST)


class User(lab_kernel.Kernel):
    """A kernel without the student's code, and the student's program."""

    def given(self):
        return self.settings["KSRCS"]

    def rest(self):
        """The path of the kernel."""
        given = self.given()
        rows = [(p, self.object_of(p), self.command(p)) for p in given]
        self.shared.compile_all([row for row in rows if row[1].startswith(self.top)])
        self.shared.save()
        return self.link(os.path.join(self.lab, "kernel"), None, [row[1] for row in rows])

    def student(self, tree, out):
        """The path of the student's program."""
        made = Programs(self.settings, self.cc, out)
        try:
            return made.program(tree_file(tree, self.one.files[0]), more=NO_ERRORS)
        finally:
            made.builder.save()
            self.said += made.said

    def program(self, tree=None, name="student", more=()):
        """The paths of the kernel, and of an archive with the programs."""
        out = os.path.join(self.lab, name)
        given = Programs(self.settings, self.cc, os.path.join(self.lab, "given"))
        programs = [self.student(tree, out), given.program(TEST)]
        archive = Programs(self.settings, self.cc, out).archive(programs)
        return self.rest(), archive


def boot(made, which=0, cpus=CPUS):
    """Boot with all tests, or with test number @which, counted from 1; returns a qemu.Run."""
    kernel, archive = made
    more = "tour=off monitor=off user=pager_test" + (f" user_arg={which}" if which else "")
    return lab_kernel.boot(kernel, "none", cpus=cpus, more=more, mem=MEM, module=archive)


def verdicts(done, chosen=None):
    """[(test, verdict, why, lines)] of a boot; SKIP: the boot ended before the test."""
    said = re.split(r"^pager_test: begin (\w+)$", done.text, flags=re.MULTILINE)
    parts, found = dict(zip(said[1::2], said[2::2])), []
    for name in chosen or names():
        part = parts.get(name, "")
        end = re.search(rf"^pager_test: (ok|not ok|hangs) {name}(?:: (.*))?$", part, re.MULTILINE)
        lines = [line for line in part[: end.start() if end else None].split("\n") if line]
        if not end:
            late = done.status == qemu.TIMED_OUT
            why = "the machine does not end" if late else "the kernel ended in it"
            verdict = ("HANG" if late else "CRASH") if name in parts else "SKIP"
            found.append((name, verdict, why if name in parts else "it was not reached", lines))
        elif end.group(1) == "ok":
            found.append((name, "PASS", "", []))
        else:
            expected = [line[12:] for line in lines if line.startswith("pager_test: ")]
            verdict = "HANG" if end.group(1) == "hangs" else "FAIL"
            why = expected[0] if expected else end.group(2) or "it does not end"
            found.append((name, verdict, why, lines))
    return found


def main():
    parser = rooms.parser(usage=__doc__)
    parser.add_argument("--tree")
    parser.add_argument("--times", action="store_true")
    parser.add_argument("--only")
    parser.add_argument("lab")
    args = parser.parse_args()
    began = time.monotonic()
    one = labs.lab(args.lab)
    if args.only and args.only not in names():
        sys.exit(f"no test {args.only}; there are {' '.join(names())}")
    try:
        with alone(args.build):
            user = User(one, args.build)
            made = user.program(one.tree(args.tree))
    except Failed as error:
        sys.exit(str(error))
    sys.stderr.write(user.said)
    if args.times:
        print(f"{time.monotonic() - began:.2f} s", file=sys.stderr)
    result = boot(made, names().index(args.only) + 1 if args.only else 0)
    print(result.text, end="")
    rows = verdicts(result, [args.only] if args.only else None)
    for name, verdict, why, _ in rows:
        print(f"{verdict} {name}" + (f": {why}" if why else ""))
    if args.times:
        print(f"{time.monotonic() - began:.2f} s", file=sys.stderr)
    sys.exit(any(row[1] != "PASS" for row in rows))


if __name__ == "__main__":
    labs.run_tool(main)
