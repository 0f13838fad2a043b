# SPDX-License-Identifier: MIT
"""The programs that grade a lab besides lab_build.py's: the judge of the model layer and the
process with the student's code; the explorer with the student's code; for grade.py.

In that process and the explorer the student's objects replace the reference's: there is one memory,
and all other sources are this tree's.

    build/labs/judge/            the judge; in a student's tree labs/reference/judge, if it exists
    build/labs/model/LAB/        the objects that all submissions of a lab share, and a folder for
                                 each submission
    build/labs/explorer/LAB/     the same for the explorer
"""
import functools
import os

import lab_build
import labs
from lab_build import SAME, Builder, Hosted, Once, OnHost, given_object, linker, tree_file
from lab_make import rename, run, symbols

MACHINE = ("arch/host/host_lock.c", "arch/host/host_format.c", "tests/fuzz/host_fuzz.c")
COMMON = (*MACHINE, "demo/handle.c", "tests/model/arena.c")
PARTS = ("model", "model_must", "model_split", "model_cache", "model_range", "model_count")
PARTS += ("model_record", "give_back")
JUDGE = tuple(f"tests/model/{name}.c" for name in PARTS)
JUDGE += tuple(f"labs/model/{name}.c" for name in ("plans", "report", "judge"))
STUDENT = ("tests/model/call.c", "labs/model/student.c")
# The explorer's compiler flags that add scheduling points to a student's code, and the source of
# the functions that this code then calls.
POINTS = ("-include", "labs/grade/points.h", "-fsanitize=thread")
POINTS += ("--param", "tsan-distinguish-volatile=1")
STORES = "labs/grade/stores.c"
MODEL, EXPLORER = "model", "explorer"  # kinds of programs with one memory
OF_JUDGE = "judge"
KEPT_JUDGE = os.path.join(lab_build.REFERENCE, "judge")


def objects_of(builder, folder, sources, command, kind=""):
    """Compile @sources; returns the paths of their objects.  Of a program of @kind a student's tree
    comes with some."""
    rows = [(s, os.path.join(folder, s + ".o"), command(s)) for s in sources]
    builder.compile_all([row for row in rows if not given_object(kind, row[0])])
    return [given_object(kind, s) or to for s, to, _ in rows]


class Programs:
    """The programs that grade a submission of one lab."""

    def __init__(self, one, build="build"):
        self.one = one
        self.suites, self.hosted = Hosted(one, build), OnHost(one, build)
        self.settings = self.hosted.settings
        self.top = os.path.join(self.hosted.build, "labs")
        self.cc = self.hosted.cc
        self.said = ""

    # ---- the judge ----

    def reference_objects(self, sources):
        """{source: object} of the sources that a student's tree has only as objects."""
        found = {}
        for path in sources:
            kept = labs.object_in(os.path.join(labs.ROOT, lab_build.REFERENCE, "host"), path)
            if os.path.exists(kept):
                to = os.path.join(self.top, "judge", "kept", os.path.basename(kept))
                os.makedirs(os.path.dirname(to), exist_ok=True)
                names = [name for _, name in symbols(kept) if name.startswith("ref_")]
                rename(kept, to, {name: name[4:] for name in names})
                found[path] = to
        return found

    def judge(self):
        """The path of the judge."""
        return Once.of(self.make_judge, "judge", self.top)

    def make_judge(self):
        kept = os.path.join(labs.ROOT, KEPT_JUDGE)
        if os.path.exists(kept):
            return kept
        folder = os.path.join(self.top, OF_JUDGE)
        builder, flags = Builder(folder), self.flags_for(OF_JUDGE)
        kept = self.reference_objects(self.one.twice())
        sources = [s for s in self.sources(OF_JUDGE) if s not in kept]
        objects = objects_of(builder, folder, sources, lambda s: [self.cc, *flags], OF_JUDGE)
        objects += kept.values()
        to = os.path.join(folder, "judge")
        command = (self.cc, "-pthread", "-fuse-ld=" + linker(), "-o", to, *objects)
        return builder.make(to, objects, run, *command)

    # ---- programs with the student's objects in the place of the reference's ----

    def single(self, kind, sources, made, tree, name):
        """Link @sources, the lab's own from @tree: the path of the program.  @made: the folder of
        the objects that make builds from the same sources; up-to-date ones are used."""
        folder, one = os.path.join(self.top, kind, self.one.name), self.one
        flags = self.flags_for(kind)
        again = [s for s in sources if s in one.sources()] + [s for s in sources if s in one.extra]
        others = [s for s in sources if s not in again]
        rest = Once.of(lambda: self.rest(kind, others, flags, made), kind, folder)
        mine = [
            self.common(kind, path, flags)
            if lab_build.same(one, tree, path)
            else self.compiled(kind, path, flags, tree, folder, name)
            for path in again
        ]
        to, own = os.path.join(folder, name, kind), Builder(os.path.join(folder, name))
        command = (self.cc, *flags, "-fuse-ld=" + linker(), "-o", to, rest, *mine)
        return own.make(to, [rest, *mine], run, *command)

    def common(self, kind, path, flags):
        """The object of a source, from this tree alone."""
        folder = os.path.join(self.top, kind, self.one.name)
        made = functools.partial(self.compiled, kind, path, flags, None, folder)
        return Once.of(made, kind, folder, path)

    def compiled(self, kind, path, flags, tree, folder, name=SAME):
        """The object of a source that is the student's or includes the student's headers."""
        first = ["-iquote", tree] if tree and self.one.headers() else []
        source = tree_file(tree, path) if path in self.one.files else path
        builder = Builder(os.path.join(folder, name))
        to = labs.object_in(builder.folder, path)
        command = [self.cc, *first, *self.flags_of(flags, path), *lab_build.NO_ERRORS, "-w"]
        if kind == EXPLORER:
            command += [*POINTS, *(["-DLAB_OWN"] if path in self.one.files else [])]
        builder.compile_all([(source, to, command)])
        return to

    def rest(self, kind, given, flags, made):
        """One object that joins the objects of all sources that are not the student's."""
        folder, shared = (os.path.join(self.top, kind, name) for name in (self.one.name, "obj"))
        there = {s: os.path.join(self.hosted.build, made, s + ".o") for s in given}
        there = {s: path for s, path in there.items() if self.hosted.up_to_date(path)}
        there = {s: path for s, path in there.items() if not given_object(kind, s)}
        others = [s for s in given if s not in there]
        command = functools.partial(self.flags_of, [self.cc, *flags])
        objects = objects_of(Builder(shared), shared, others, command, kind)
        objects += there.values()
        rest = os.path.join(folder, "rest.o")
        return Builder(folder).make(rest, objects, run, "ld", "-r", "-o", rest, *objects)

    def given_objects(self, name, steps):
        """[(source, its object with the student's headers, its object with this tree's headers)] of
        the given sources in the programs of @steps."""
        found = []
        for kind in [kind for kind in (MODEL, EXPLORER) if kind in steps]:
            for path in self.one.extra:
                theirs = labs.object_in(os.path.join(self.top, kind, self.one.name, name), path)
                if os.path.exists(theirs):
                    found.append((path, theirs, self.common(kind, path, self.flags_for(kind))))
        return found + (self.suites.given_objects(name) if "contract" in steps else [])

    def given(self, wanted):
        """[(kind, source, its object)] of those sources of the programs that are in @wanted.  The
        objects have no sanitizers, so they link with any compiler's."""
        found = []
        for kind in (OF_JUDGE, MODEL, EXPLORER):
            folder = os.path.join(self.top, kind, "given")
            base = [self.cc, *self.flags_for(OF_JUDGE if kind == MODEL else kind)]
            mine = [s for s in dict.fromkeys(self.sources(kind)) if s in wanted]
            flags = functools.partial(self.flags_of, base)
            objects = objects_of(Builder(folder), folder, mine, flags)
            found += [(kind, *row) for row in zip(mine, objects)]
        return found

    def sources(self, kind):
        """The sources of a program, the lab's own among them."""
        if kind == EXPLORER:
            return [*self.settings["FIBER_SRCS"], STORES]
        return [*self.settings["MM_SRCS"], *COMMON, *(STUDENT if kind == MODEL else JUDGE)]

    def flags_for(self, kind):
        if kind == MODEL:
            return self.hosted.flags
        flags = self.settings["FIBER_FLAGS" if kind == EXPLORER else "HFLAGS"]
        return [f for f in flags if f != "-O2"] + ["-O1"]

    def flags_of(self, flags, source):
        return [*flags, *(self.settings["HOSTT"] if source.startswith("tests/lib") else [])]

    def student(self, tree, name):
        """The process with the student's code, under two sanitizers."""
        return self.single(MODEL, self.sources(MODEL), self.hosted.MADE, tree, name)

    def explorer(self, tree, name):
        """The explorer: CPUs are fibers of one thread."""
        return self.single(EXPLORER, self.sources(EXPLORER), "fiber", tree, name)

    def each(self):
        """Objects that run each test of a program in a process of its own, and report on it."""
        folder, command = os.path.join(self.top, "grade"), [self.cc, *self.suites.flags, "-O0"]
        return objects_of(Builder(folder), folder, ["labs/grade/each.c"], lambda s: command)

    def contract(self, tree, name):
        """The contract tests of lab_build.py, in a program that also writes records."""
        more = Once.of(self.each, "each", self.top)
        program = self.suites.program(tree, name, more)
        self.said = self.suites.said
        return program
