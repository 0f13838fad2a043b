#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A lab's kernel, with the reference's code and the student's side by side; for a lab in ring 3,
this tree's kernel and the student's program.

Usage: lab_kernel.py [--build DIR] [--tree DIR] [--own] LAB      makes it, and prints its path
       lab_kernel.py [--build DIR] [--tree DIR] [--own] LAB --run [SUITES]      boots it, in ring 3
                             with all tests or one; exit status 0 if all tests pass

The reference's code serves the kernel's own memory, and so all programs: the kernel boots whatever
the student's code does.  The student's code serves the memories that suites build; with --own it
serves all memory.  The kernel is booted under icount, where time is the number of instructions: two
runs of one kernel print the same.
"""
import os
import re
import signal
import sys

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import lab_build
import labs
import qemu
import suites
from lab_build import NO_ERRORS, Builder, Hosted, tree_file
from lab_make import alone, run

ROOT = labs.ROOT
# Seconds of the host's CPU, not of the clock: a loaded host does not use them up sooner.  The
# longest lab needs a tenth of them.  A test that waits for ever ends much earlier, by its limit in
# guest time.
LIMIT = 60
PROGRAMS = ("user/stress.c",)  # programs that the tour and programs= start


class Kernel(Hosted):
    """The kernel of a lab."""

    KIND = "kernel"
    MADE = "kernel"
    TEST_FLAGS = ()  # without optimization its image would be too large

    def compilers(self, cc):
        self.cc = cc or self.settings["CC"][0]
        self.flags = self.settings["KFLAGS"]
        self.reference_flags = self.flags

    def command(self, source, tree=None):
        first = ["-iquote", tree] if tree and self.one.headers() else []
        return [self.cc, *first, *self.flags]

    def given(self):
        twice, known = set(self.one.twice()), self.settings["KSRCS"]
        more = [p for p in self.one.tests if not p.startswith("tests/") and p not in known]
        return [p for p in [*known, *more] if p not in twice]

    def roots(self, given):
        return set(given)

    def link_rest(self, to, objects, library, named, allow):
        run(self.settings["LD"][0], "-r", "-o", to + ".all", *objects)
        self.hide(to, named)

    def link(self, out, rest, objects):
        to, builder = os.path.join(out, "quarry.elf"), Builder(os.path.join(out, "link"))
        return builder.make(to, objects, self.linked, to, os.path.join(out, "symtab"), objects)

    def linked(self, to, table, objects):
        """Link twice: the second time with the table of symbols of the first."""
        names = "/dev/null"
        for made in (to + ".0", to):
            run("sh", "tools/run/symtab.sh", names, table + ".S")
            run(self.cc, *self.flags, "-c", table + ".S", "-o", table + ".o")
            ld = [*self.settings["LD"], *self.settings["LDFLAGS"]]
            run(*ld, "-o", made, *objects, table + ".o")
            names = table + ".txt"
            rooms.write(names, run(self.settings["NM"][0], "-n", made))
        os.unlink(to + ".0")

    def suites(self):
        """The suites of the lab that the kernel has."""
        known, sources = suites.suites(), set(self.given())
        return [name for name in self.one.suites if known[name].path in sources]


def run_of(kernel):
    """(the suites that a lab's kernel is to run, other arguments for boot())"""
    if not kernel.own or not kernel.one.own:
        return ",".join(kernel.suites()), {}
    which = ",".join(name for name in kernel.one.own if name not in ("tour", "programs"))
    options = {"more": "monitor=off" + ("" if "tour" in kernel.one.own else " tour=off")}
    if "programs" in kernel.one.own:
        made = Programs(kernel, os.path.join(kernel.top, "programs"))
        options["module"] = made.archive([made.program(p) for p in PROGRAMS])
        options["more"] += " programs=1"
    return which or "none", options


class Machine(qemu.Machine):
    """A machine that ends after LIMIT seconds of the host's CPU time."""

    def command(self, name, cmdline, console=None):
        # At the first limit comes SIGXCPU; at the second one SIGKILL, which says nothing.
        limits = f"--cpu={LIMIT}:{LIMIT + 5}"
        return ["prlimit", limits, "--", *super().command(name, cmdline, console)]

    def run(self, *words, **more):
        done = super().run(*words, **more)
        if done.status == -signal.SIGXCPU:
            done.status = qemu.TIMED_OUT
        return done


def boot(image, which, cpus=4, more="tour=off monitor=off", mem=256, **options):
    """Boot the kernel @image with the suites @which; returns a qemu.Run."""
    machine = Machine(cpus=cpus, mem=mem, icount=True, kernel=image, **options)
    return machine.run(f"lab-{os.getpid()}", f"selftest={which} {more}")


# ---- programs for ring 3 -------------------------------------------------------------------------
# A program is one source, linked with the small library of user/.  A boot gets its programs in one
# archive.


LIBRARY = ("user/crt.S", "user/lib.c")


class Programs:
    """Builds programs of ring 3 for a Kernel, in the directory @folder."""

    def __init__(self, kernel, folder):
        self.settings, self.cc, self.folder = kernel.settings, kernel.cc, folder
        self.builder = Builder(folder)
        self.said = ""  # the compiler's output

    def compiled(self, source, more=()):
        to = os.path.join(self.folder, source.replace("/", "_").lstrip("_") + ".o")
        command = [self.cc, *self.settings["USER_FLAGS"], "-iquote", "user", *more]
        self.said += self.builder.compile_all([(source, to, command)])
        return to

    def program(self, source, name=None, more=()):
        """The path of a program; @more: flags for its source."""
        objects = [self.compiled(source, more), *map(self.compiled, LIBRARY)]
        to = os.path.join(self.folder, name or os.path.basename(source)[:-2])
        command = (*self.settings["LD"], *self.settings["USER_LD"], "-o", to, *objects)
        return self.builder.make(to, objects, run, *command)

    def archive(self, programs):
        """The path of an archive with @programs, under the names of their files."""
        to = os.path.join(self.folder, "programs.cpio")
        named = [f"{os.path.basename(path)}={path}" for path in programs]
        return self.builder.make(to, programs, run, "sh", "tools/run/mkcpio.sh", to, *named)


# ---- the lab of ring 3 ---------------------------------------------------------------------------
# The kernel is this tree's.  Its boot modules are the student's program and labs/LAB/pager_test.c,
# which starts it for each test and uses its pages.  In one test its system calls return other
# results.  Each line on the console has the name of the task that wrote it, and the student's
# program may start no tasks: it cannot print lines of tests.


USER_MEM = 64  # MiB: one test uses all of it
RETURNS = os.path.join("labs", "P", "returns.h")  # other results of system calls


class User(Kernel):
    """A kernel without the student's code, and the student's program."""

    def given(self):
        return self.settings["KSRCS"]

    def rest(self):
        """The path of the kernel."""
        objects = self.compile_own(self.given())
        return self.link(os.path.join(self.lab, "kernel"), None, objects)

    def student(self, tree, out):
        """The paths of the student's program, and of another that includes RETURNS first."""
        source, name = tree_file(tree, self.one.files[0]), "pager_returns"
        made, other = Programs(self, out), Programs(self, os.path.join(out, name))
        program = made.program(source, more=NO_ERRORS)
        self.said += made.said
        return [program, other.program(source, name, (*NO_ERRORS, "-include", RETURNS))]

    def program(self, tree=None, name="student", more=()):
        """The paths of the kernel, and of an archive with the programs."""
        out = os.path.join(self.lab, name)
        given = Programs(self, os.path.join(self.lab, "given"))
        programs = [*self.student(tree, out), given.program(labs.PROGRAM_TEST)]
        return self.rest(), Programs(self, out).archive(programs)


def boot_user(made, which=0, cpus=4):
    """Boot with all tests, or with test number @which, counted from 1; returns a qemu.Run."""
    kernel, archive = made
    more = "tour=off monitor=off user=pager_test" + (f" user_arg={which}" if which else "")
    return boot(kernel, "none", cpus=cpus, more=more, mem=USER_MEM, module=archive)


def verdicts(done, chosen=None):
    """[(test, verdict, why, lines)] of a boot; SKIP: the boot ended before the test."""
    said = re.split(r"^pager_test: begin (\w+)$", done.text, flags=re.MULTILINE)
    parts, found = dict(zip(said[1::2], said[2::2])), []
    for name in chosen or labs.program_tests():
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


# ---- the leaderboard -----------------------------------------------------------------------------
# How many instructions a kernel whose own memory uses the student's code takes for an event of the
# kernel's short trace (bench/traces/README.md).  Under icount the time stamp counter counts
# instructions, so the figure is the same each time, on any host.


TRACED = "tour=off monitor=off trace="
FIGURE = re.compile(r"^ +([\d.]+) cycles \(instructions under icount\) per event", re.MULTILINE)


def of_kernel(one, build, tree, name):
    """The instructions per event, or None if the kernel does not get so far."""
    with alone(build):
        image = Kernel(one, build, own=True).program(tree, name)
    found = FIGURE.search(boot(image, "none", cpus=1, more=TRACED).text)
    return float(found.group(1)) if found else None


def measured(one, build, tree, name):
    """{"instructions": of the student's code, "reference", "ratio"}, or None."""
    if one.in_ring_3() or not one.own:
        return None
    theirs = of_kernel(one, build, tree, name)
    if theirs is None:
        return None
    ours = of_kernel(one, build, None, "reference") if tree else theirs
    if ours is None:
        return None
    return {"instructions": theirs, "reference": ours, "ratio": round(theirs / ours, 3)}


# ---- the tool ------------------------------------------------------------------------------------


def run_user(image, which):
    """Run all tests of a lab in ring 3, or the one of them, and end."""
    names = labs.program_tests()
    if which and which not in names:
        sys.exit(f"no test {which}; there are {' '.join(names)}")
    result = boot_user(image, names.index(which) + 1 if which else 0)
    print(result.text, end="")
    rows = verdicts(result, [which] if which else None)
    for name, verdict, why, _ in rows:
        print(f"{verdict} {name}" + (f": {why}" if why else ""))
    sys.exit(any(row[1] != "PASS" for row in rows))


def main():
    args = lab_build.arguments(__doc__)
    if labs.lab(args.lab).in_ring_3():
        run_user(lab_build.built(args, User)[1], args.run)
    _, image, (which, options) = lab_build.built(args, Kernel, run_of)
    result = boot(image, args.run or which, **({} if args.run else options))
    print(result.text, end="")
    if not result.passed and not result.failed:
        sys.exit(f"lab_kernel.py: the kernel has not ended itself; QEMU: {result.status}")
    sys.exit(not result.passed)


if __name__ == "__main__":
    labs.run_tool(main)
