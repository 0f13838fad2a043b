#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A lab's kernel, with the reference's code and the student's side by side.

Usage: lab_kernel.py [--build DIR] [--tree DIR] [--own] LAB      makes it, and prints its path
       lab_kernel.py [--build DIR] [--tree DIR] [--own] LAB --run [SUITES]      boots it;
                                          exit status 0 if all tests pass

The reference's code serves the kernel's own memory, and so all programs: the kernel boots whatever
the student's code does.  The student's code serves the memories that suites build; with --own it
serves all memory.  The kernel is booted under icount, where time is the number of instructions: two
runs of one kernel print the same.
"""
import os
import signal
import sys
import time

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import labs
import qemu
import suites
from lab_build import Builder, Hosted
from lab_link import Failed, run
from lab_make import alone

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

    def link_rest(self, to, objects, library, named):
        run(self.settings["LD"][0], "-r", "-o", to + ".all", *objects)
        self.hide(to, named)

    def link(self, out, rest, objects):
        to, builder = os.path.join(out, "quarry.elf"), Builder(os.path.join(out, "link"))
        ld, flags = self.settings["LD"], self.settings["LDFLAGS"]
        table = os.path.join(out, "symtab")

        def symtab(names):
            run("sh", "tools/run/symtab.sh", names, table + ".S")
            run(self.cc, *self.flags, "-c", table + ".S", "-o", table + ".o")

        def linked():
            symtab("/dev/null")
            run(*ld, *flags, "-o", to + ".0", *objects, table + ".o")
            with open(table + ".txt", "w", encoding="utf-8") as f:
                f.write(run(self.settings["NM"][0], "-n", to + ".0"))
            symtab(table + ".txt")
            run(*ld, *flags, "-o", to, *objects, table + ".o")
            os.unlink(to + ".0")

        builder.make(to, objects, linked)
        builder.save()
        return to

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
        made = Programs(kernel.settings, kernel.cc, os.path.join(kernel.top, "programs"))
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
    """Builds programs of ring 3 in the directory @folder; @cc: the kernel's compiler."""

    def __init__(self, settings, cc, folder):
        self.settings, self.cc, self.folder = settings, cc, folder
        self.builder = Builder(folder)
        self.said = ""  # the compiler's output

    def compiled(self, source, more=()):
        to = os.path.join(self.folder, source.replace("/", "_").lstrip("_") + ".o")
        command = [self.cc, *self.settings["USER_FLAGS"], "-iquote", "user", *more]
        self.said += self.builder.compile(source, to, command)
        return to

    def program(self, source, name=None, more=()):
        """The path of a program; @more: flags for its source."""
        objects = [self.compiled(source, more), *map(self.compiled, LIBRARY)]
        to = os.path.join(self.folder, name or os.path.basename(source)[:-2])

        def linked():
            run(*self.settings["LD"], *self.settings["USER_LD"], "-o", to, *objects)

        self.builder.make(to, objects, linked)
        self.builder.save()
        return to

    def archive(self, programs):
        """The path of an archive with @programs, under the names of their files."""
        to = os.path.join(self.folder, "programs.cpio")
        named = [f"{os.path.basename(path)}={path}" for path in programs]

        def packed():
            run("sh", "tools/run/mkcpio.sh", to, *named)

        self.builder.make(to, programs, packed, *named)
        self.builder.save()
        return to


def main():
    parser = rooms.parser(usage=__doc__)
    parser.add_argument("--tree")
    parser.add_argument("--own", action="store_true")
    parser.add_argument("--times", action="store_true")
    parser.add_argument("--run", nargs="?", const="")
    parser.add_argument("lab")
    args = parser.parse_args()
    began = time.monotonic()
    one = labs.lab(args.lab)
    try:
        with alone(args.build):
            kernel = Kernel(one, args.build, own=args.own)
            image = kernel.program(one.tree(args.tree))
            which, options = run_of(kernel)
    except Failed as error:
        sys.exit(str(error))
    sys.stderr.write(kernel.said)
    if args.times:
        print(f"{time.monotonic() - began:.2f} s", file=sys.stderr)
    if args.run is None:
        print(image)
        return
    result = boot(image, args.run or which, **({} if args.run else options))
    print(result.text, end="")
    if args.times:
        print(f"{time.monotonic() - began:.2f} s", file=sys.stderr)
    if not result.passed and not result.failed:
        sys.exit(f"lab_kernel.py: the kernel has not ended itself; QEMU: {result.status}")
    sys.exit(not result.passed)


if __name__ == "__main__":
    labs.run_tool(main)
