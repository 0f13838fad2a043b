#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A lab's hosted program, with the reference's code and the student's side by side.

Usage: lab_build.py [--build DIR] [--tree DIR] [--own] LAB      makes it, and prints its path
       lab_build.py [--build DIR] [--tree DIR] [--own] LAB --run [SUITES]

The lab's files are taken from --tree, all other files from this tree.  --own links the student's
code only.  Only the settings are read from the Makefile, once; a program whose inputs have not
changed is found up to date in milliseconds (stamps.json).

    build/labs/suites/obj/       objects that all labs share
    build/labs/suites/LAB/       the lab's trampolines, and all but the student's code as one object
    build/labs/suites/LAB/NAME/  the objects and the program of the submission NAME
"""
import os
import re
import sys
import time

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import lab_link
import labs
import suites
from lab_link import Failed, run
from lab_make import Builder, Once, Settings, alone, inputs_of

ROOT = labs.ROOT
REFERENCE = labs.REFERENCE
GIVEN = os.path.join(REFERENCE, "given")  # a student's tree has objects of labs still to come there
# Flags for the student's files: the compiler's warnings do not end the build.
NO_ERRORS = ("-Wno-error",)
# The end of the name of an object whose symbols are not renamed yet.
PLAIN = ".plain.o"
# Symbols that compilers, sanitizers and inline functions of the hosted machine's headers add.
BY_COMPILER = re.compile(
    r"__(asan|ubsan|odr_asan|tsan|sanitizer|stack_chk|start|stop)_?\w*|"
    r"_GLOBAL_OFFSET_TABLE_|__odr_asan\.\w+|_sub_[ID]_\w+|"
    r"fiber_(this|interrupt|at_lock|preempt|memmap|pageblocks|ram|relax)|"
    r"__builtin_\w+|__udivti3|stores_wait|store_begins|stores_out"
)
SECTIONS = re.compile(
    r"\.(text|data|bss|tbss|rodata|comment|note|eh_frame|debug_\w+|rela|group)(\..*|-\w+)?|"
    r"\.(init|fini)_array\.0*99|asan_globals"
)


# Data that files of labs export.
TABLES = {"lab_free_count_depth", "lab_free_count_unit", "lab_free_count_units"}


SAME = "same"  # the folder of objects whose sources a submission has not changed


def same(one, tree, path):
    """Are a source and the lab's headers in the student's tree the same as in this one?  Then so
    is the object, which many submissions share."""
    return tree and all(same_text(tree, p) for p in {path, *one.headers()} if p in one.files)


def same_text(tree, path):
    there = os.path.join(tree, path)
    if not os.path.exists(there):
        return True
    with open(there, "rb") as theirs, open(os.path.join(ROOT, path), "rb") as ours:
        return theirs.read() == ours.read()


def tree_file(tree, path):
    """The file in the student's tree, or in this tree if the student's has none."""
    own = os.path.join(tree, path) if tree else ""
    return own if own and os.path.exists(own) else os.path.join(ROOT, path)


def given_object(kind, source):
    """In a student's tree, which shows no code of labs still to come, the object of such a source
    for programs of @kind; else None."""
    kept = os.path.join(ROOT, GIVEN, kind, source + ".o")
    return kept if os.path.exists(kept) else None


class Hosted:
    """The hosted build of a lab's suites, with CPUs as fibers.  @own: the student's code serves
    every memory."""

    KIND = "suites"
    MADE = "host-suites"
    PORT = "HFLAGS_suites"

    def __init__(self, one, build="build", cc=None, own=False):
        self.one, self.own = one, own
        self.build = os.path.abspath(os.path.join(ROOT, build))
        self.settings = Once.of(lambda: Settings(self.build), "settings", self.build)
        self.top = os.path.join(self.build, "labs", self.KIND)
        self.lab = os.path.join(self.top, one.name)
        self.builder = Builder(self.lab)
        self.shared = Builder(os.path.join(self.top, "obj"))
        self.objects = {}
        self.said = ""  # the compiler's output for the student's files
        self.compilers(cc)

    def compilers(self, cc):
        s = self.settings
        self.cc = cc or s["HOSTCC"][0]
        port = s[self.PORT] if self.PORT else []
        self.flags = [*s["HFLAGS"], *port, *s["HFLAGS_asan"]]
        # The reference needs no sanitizers; without them it links with any compiler's objects.
        self.reference_flags = [*[f for f in s["HFLAGS"] if f != "-O2"], *port, "-O1"]

    def command(self, source, tree=None):
        """The command that compiles a source; with @tree, the lab's headers there come first."""
        first = ["-iquote", tree] if tree and self.one.headers() else []
        flags = self.flags + (self.settings["HOSTT"] if source.startswith("tests/") else [])
        return [self.cc, *first, *flags]

    def test_sources(self):
        """The library of the suites, and the suites of the lab."""
        known = suites.suites()
        wanted = {known[name].path for name in self.one.suites}
        lib = [p for p in self.settings["TEST_SRCS"] if p.startswith("tests/lib/")]
        return [*lib, *sorted(wanted)]

    def given(self):
        """All sources except those with two objects, the reference's and the student's."""
        s, twice = self.settings, set(self.one.twice())
        found = [*s["MM_SRCS"], *s["BOTH_SRCS"], *s["SCHED_SRCS"], *s["LAB_SRCS"]]
        return [p for p in dict.fromkeys([*found, *self.test_sources()]) if p not in twice]

    def object_of(self, source):
        """The path of a source's object: the one that a student's tree came with; make's if it is
        up to date; else one of our own."""
        if source not in self.objects:
            made = os.path.join(self.build, self.MADE, source + ".o")
            own = os.path.join(self.top, "obj", source + ".o")
            kept = given_object(self.KIND, source)
            self.objects[source] = kept or (made if self.up_to_date(made) else own)
        return self.objects[source]

    def up_to_date(self, made):
        if not os.path.exists(made[:-2] + ".d") or not os.path.exists(made):
            return False
        then, time_of = os.stat(made).st_mtime_ns, self.shared.time_of
        inputs = ["Makefile", *inputs_of(made[:-2] + ".d")]
        return all(0 < time_of(path) <= then for path in inputs)

    def reference(self, path, exports):
        """The reference's object of a source, with its functions renamed; a student's tree comes
        with this object."""
        to = labs.object_in(os.path.join(self.lab, "ref"), path)
        kept = labs.object_in(os.path.join(ROOT, REFERENCE, self.KIND), path)
        if os.path.exists(kept):
            return kept
        plain = to + ".plain"
        self.builder.compile(path, plain, [self.cc, *self.reference_flags])
        names = {name: "ref_" + name for name in exports}

        def renamed():
            lab_link.rename("objcopy", plain, to, names)

        self.builder.make(to, [plain], renamed)
        return to

    def trampoline(self, path):
        """The source of a file's trampolines; a student's tree comes with it."""
        name = path.replace("/", "_")
        kept = os.path.join(ROOT, REFERENCE, name)
        if os.path.exists(kept):
            return kept
        to = os.path.join(self.lab, "trampoline", name)
        lab_link.write_changed(to, lab_link.trampolines(path))
        return to

    def named(self):
        """The functions that have a trampoline."""
        found = [name for path in self.one.twice() for name in self.one.exports(path)]
        return list(dict.fromkeys(found))

    def trampoline_objects(self):
        rows = [
            (
                self.trampoline(path),
                labs.object_in(os.path.join(self.lab, "trampoline"), path),
                [self.cc, *self.reference_flags, "-Wno-missing-prototypes"],
            )
            for path in self.one.twice()
        ]
        self.builder.compile_all(rows)
        return [row[1] for row in rows]

    def rest(self):
        """The path of one object of all code that is not the student's; its library is PATH.a."""
        return Once.of(self.make_rest, "rest", self.lab, self.own)

    def make_rest(self):
        given, named = self.given(), self.named()
        # Tests that call the student's functions directly, and sources that the student's headers
        # change: these are linked in another way.
        apart = [p for p in given if p in self.one.tests or p in self.one.extra]
        self.shared.compile_all(
            [
                (p, self.object_of(p), self.command(p))
                for p in given
                if p not in self.one.extra and self.object_of(p).startswith(self.top)
            ]
        )
        self.shared.save()
        roots = self.roots(given)
        objects = [self.object_of(p) for p in given if p not in apart and p in roots]
        library = [self.object_of(p) for p in given if p not in apart and p not in roots]
        if self.own:
            objects += [self.object_of(p) for p in given if p in self.one.tests]
        else:
            objects += self.trampoline_objects()
            objects += [self.reference(path, named) for path in self.one.twice()]
            objects += [self.redirected(p, named) for p in given if p in self.one.tests]
        to = os.path.join(self.lab, "rest-own.o" if self.own else "rest.o")

        def linked():
            self.link_rest(to, objects, library, named)

        self.builder.make(to, [*objects, *library], linked, *named, *sorted(self.one.allow))
        self.builder.save()
        return to

    def roots(self, given):
        """The sources that are always linked; others come from a library if they are needed."""
        known = {suite.path for suite in suites.suites().values()}
        return {*self.settings["LAB_SRCS"], *self.settings["SCHED_SRCS"], *known}

    def link_rest(self, to, objects, library, named):
        if os.path.exists(to + ".a"):
            os.unlink(to + ".a")
        run("ar", "rcs", to + ".a", *library)
        wanted = [arg for name in sorted(self.one.allow) for arg in ("-u", name)]
        run("ld", "-r", "-o", to + ".all", *wanted, *objects, to + ".a")
        self.hide(to, named)

    def hide(self, to, named):
        """Make the reference's functions local, so that the student's objects cannot name them."""
        local = [arg for name in named for arg in ("--localize-symbol", "ref_" + name)]
        run("objcopy", *local, to + ".all", to)
        os.unlink(to + ".all")

    def redirected(self, path, named):
        """A copy of a test's object, in which calls go to the student's functions."""
        to = labs.object_in(os.path.join(self.lab, "tests"), path)

        def renamed():
            names = {name: "lab_" + name for name in named}
            lab_link.rename("objcopy", self.object_of(path), to, names)

        self.builder.make(to, [self.object_of(path)], renamed, *named)
        return to

    def student(self, tree, out):
        """The student's objects."""
        sources = [*self.one.twice(), *[p for p in self.one.extra if p.startswith("tests/")]]
        shared = [p for p in sources if same(self.one, tree, p)]
        theirs = [p for p in sources if p not in shared]
        objects = self.compiled(tree, out, theirs) if theirs else {}
        for path in shared:
            objects.update(self.common(path))
        return [objects[path] for path in sources]

    def common(self, path):
        """{source: its object from this tree alone}"""

        def made():
            return self.compiled(None, self.folder_of_same(), [path])

        return Once.of(made, SAME, self.lab, self.own, path)

    def given_objects(self, name):
        """[(source, its object with the student's headers, its object with this tree's headers)] of
        the sources that the lab compiles once more with the student's headers."""
        found = []
        for path in self.one.extra:
            self.common(path)
            folders = (self.folder(name), self.folder_of_same())
            found.append((path, *[labs.object_in(folder, path, PLAIN) for folder in folders]))
        return found

    def folder(self, name):
        """The folder of the submission @name."""
        return os.path.join(self.lab, name + ("-own" if self.own else ""))

    def folder_of_same(self):
        """The folder of objects whose sources a submission has not changed."""
        return os.path.join(self.lab, SAME + ("-own" if self.own else ""))

    def compiled(self, tree, out, sources):
        """{source: object}"""
        named, builder, objects = self.named(), Builder(out), {}
        headers = tree and os.path.join(out, "headers")
        for path in self.one.headers() if tree else []:
            # These copies are the only headers of the student's that the compiler finds.
            with open(tree_file(tree, path), encoding="utf-8", errors="surrogateescape") as f:
                lab_link.write_changed(os.path.join(headers, path), f.read())
        rows = []
        for path in sources:
            source = tree_file(tree, path) if path in self.one.files else os.path.join(ROOT, path)
            flags = self.command(path, headers)
            flags += NO_ERRORS if path in self.one.files else []
            rows.append((source, labs.object_in(out, path, PLAIN), flags))
        try:
            self.said += builder.compile_all(rows)
        finally:
            builder.save()
        for path, (_, plain, _) in zip(sources, rows):
            if self.own or path.startswith("tests/"):
                objects[path] = plain
                continue
            to = labs.object_in(out, path)

            def renamed(plain=plain, to=to):
                functions, data = lab_link.exported(plain)
                names = {name: "lab_" + name for name in [*named, *functions, *data]}
                lab_link.rename("objcopy", plain, to, names)

            builder.make(to, [plain], renamed, *named)
            objects[path] = to
        builder.save()
        return objects

    def program(self, tree=None, name="student", more=()):
        """Build the program; returns its path.  @more: further objects.  Raises Failed with a
        compiler's output."""
        out, rest = self.folder(name), self.rest()
        objects = [rest, *self.student(tree, out), *more]
        return self.link(out, rest, objects)

    def link(self, out, rest, objects):
        to, builder = os.path.join(out, "check"), Builder(os.path.join(out, "link"))
        # The library comes again, for code that only the student's objects need.
        objects = [*objects, rest + ".a"]

        def linked():
            run(self.cc, *self.flags, "-fuse-ld=" + linker(), "-o", to, *objects)

        builder.make(to, objects, linked)
        builder.save()
        return to


class OnHost(Hosted):
    """The reference's objects and the flags for the model layer, where CPUs are arch/host's."""

    KIND = "host"
    MADE = "host-asan"
    PORT = None


def linker():
    """The fastest linker that is installed."""
    for name in ("lld", "gold", "bfd"):
        if any(
            os.access(os.path.join(folder, "ld." + name), os.X_OK)
            for folder in os.environ.get("PATH", "").split(":")
        ):
            return name
    return "bfd"


def object_faults(one, path, source):
    """A line for each symbol of a student's object that the lab does not list."""
    said, may = [], set(one.allow) | lab_link.BY_PORT
    for other in one.files:
        may |= {"lab_" + name for name in one.exports(other)} if other.endswith(".c") else set()
    for other in one.twice():
        may |= {"lab_" + name for name in one.exports(other)}
    for kind, name in lab_link.symbols(path):
        if BY_COMPILER.fullmatch(name.removeprefix("lab_")):
            continue
        if kind in "Uw" and name not in may:
            said.append(f"{source} may not use {name}")
        elif kind in "TDBRVWC" and name not in may and name not in TABLES:
            said.append(f"{source} may not define {name}")
    for line in run("objdump", "-h", path).split("\n"):
        words = line.split()
        if len(words) > 6 and words[0].isdigit() and not SECTIONS.fullmatch(words[1]):
            said.append(f"{source} may not have a section {words[1]}")
    return said


def main():
    parser = rooms.parser(usage=__doc__)
    parser.add_argument("--tree")
    parser.add_argument("--own", action="store_true")
    parser.add_argument("--times", action="store_true")
    parser.add_argument("--run", nargs="?", const="")
    parser.add_argument("lab")
    args = parser.parse_args()
    one, began = labs.lab(args.lab), time.monotonic()
    try:
        with alone(args.build):
            hosted = Hosted(one, args.build, own=args.own)
            program = hosted.program(one.tree(args.tree))
    except Failed as error:
        sys.exit(str(error))
    sys.stderr.write(hosted.said)
    if args.times:
        print(f"{time.monotonic() - began:.2f} s", file=sys.stderr)
    if args.run is None:
        print(program)
        return
    env = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"}
    os.execve(program, [program, args.run or ",".join(one.suites)], env)


if __name__ == "__main__":
    labs.run_tool(main)
