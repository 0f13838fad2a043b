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
import filecmp
import functools
import os
import shutil
import sys

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import lab_make
import labs
import suites
from lab_make import Builder, Failed, Once, Settings, alone, inputs_of, rename, run, write_changed

ROOT = labs.ROOT
REFERENCE = labs.REFERENCE
GIVEN = os.path.join(REFERENCE, "given")  # a student's tree has objects of labs still to come there
# Flags for the student's files: the compiler's warnings do not end the build.
NO_ERRORS = ("-Wno-error",)
# The end of the name of an object whose symbols are not renamed yet.
PLAIN = ".plain.o"
SAME = "same"  # the folder of objects whose sources a submission has not changed


def same(one, tree, path):
    """Are a source and the lab's headers in the student's tree the same as in this one?  Then so
    is the object, which many submissions share."""
    return tree and all(same_text(tree, p) for p in {path, *one.headers()} if p in one.files)


def same_text(tree, path):
    there = os.path.join(tree, path)
    if not os.path.exists(there):
        return True
    return filecmp.cmp(there, os.path.join(ROOT, path), shallow=False)


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
    """The hosted build of a lab's suites.  @own: the student's code serves every memory."""

    KIND = "suites"
    MADE = "host-suites"
    TEST_FLAGS = ("-O0",)  # of tests that the student's headers change: they run once
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
        """The reference's object of a source, renamed; a student's tree comes with this object."""
        to = labs.object_in(os.path.join(self.lab, "ref"), path)
        kept = labs.object_in(os.path.join(ROOT, REFERENCE, self.KIND), path)
        if os.path.exists(kept):
            return kept
        self.builder.compile(path, to + ".plain", [self.cc, *self.reference_flags])
        names = {name: "ref_" + name for name in exports}
        return self.builder.make(to, [to + ".plain"], rename, to + ".plain", to, names)

    def trampoline(self, path):
        """The source of a file's trampolines; a student's tree comes with it."""
        name = path.replace("/", "_")
        kept = os.path.join(ROOT, REFERENCE, name)
        if os.path.exists(kept):
            return kept
        to = os.path.join(self.lab, "trampoline", name)
        write_changed(to, lab_make.trampolines(path))
        return to

    def named(self):
        """The functions that have a trampoline."""
        found = [name for path in self.one.twice() for name in self.one.exports(path)]
        return list(dict.fromkeys(found))

    def trampoline_objects(self):
        command = [self.cc, *self.reference_flags, "-Wno-missing-prototypes"]
        folder = os.path.join(self.lab, "trampoline")
        rows = [
            (self.trampoline(p), labs.object_in(folder, p), command) for p in self.one.twice()
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
        self.compile_own([p for p in given if p not in self.one.extra])
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
        inputs, allow = [*objects, *library], sorted(self.one.allow)
        return self.builder.make(to, inputs, self.link_rest, to, objects, library, named, allow)

    def compile_own(self, sources):
        """Compile those of @sources of which neither make nor a student's tree has an object."""
        rows = [(p, self.object_of(p), self.command(p)) for p in sources]
        self.shared.compile_all([row for row in rows if row[1].startswith(self.top)])
        return [row[1] for row in rows]

    def roots(self, given):
        """The sources that are always linked; others come from a library if they are needed."""
        known = {suite.path for suite in suites.suites().values()}
        return {*self.settings["LAB_SRCS"], *self.settings["SCHED_SRCS"], *known}

    def link_rest(self, to, objects, library, named, allow):
        if os.path.exists(to + ".a"):
            os.unlink(to + ".a")
        run("ar", "rcs", to + ".a", *library)
        wanted = [arg for name in allow for arg in ("-u", name)]
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
        names, given = {name: "lab_" + name for name in named}, self.object_of(path)
        return self.builder.make(to, [given], rename, given, to, names)

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
        made = functools.partial(self.compiled, None, self.folder_of_same(), [path])
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
            with open(tree_file(tree, path), "rb") as f:
                write_changed(os.path.join(headers, path), f.read())
        rows = []
        for path in sources:
            source = tree_file(tree, path) if path in self.one.files else os.path.join(ROOT, path)
            flags = self.command(path, headers)
            flags += NO_ERRORS if path in self.one.files else []
            flags += self.TEST_FLAGS if path.startswith("tests/") else []
            rows.append((source, labs.object_in(out, path, PLAIN), flags))
        self.said += builder.compile_all(rows)
        for path, (_, plain, _) in zip(sources, rows):
            objects[path] = plain
            if not self.own and not path.startswith("tests/"):
                functions, data = lab_make.exported(plain)
                names = {name: "lab_" + name for name in [*named, *functions, *data]}
                to = labs.object_in(out, path)
                objects[path] = builder.make(to, [plain], rename, plain, to, names)
        return objects

    def program(self, tree=None, name="student", more=()):
        """The program's path; or Failed, with a compiler's output.  @more: further objects."""
        out, rest = self.folder(name), self.rest()
        objects = [rest, *self.student(tree, out), *more]
        return self.link(out, rest, objects)

    def link(self, out, rest, objects):
        to, builder = os.path.join(out, "check"), Builder(os.path.join(out, "link"))
        # The library comes again, for code that only the student's objects need.
        objects = [*objects, rest + ".a"]
        command = (self.cc, *self.flags, "-fuse-ld=" + linker(), "-o", to, *objects)
        return builder.make(to, objects, run, *command)


class OnHost(Hosted):
    """The reference's objects and the flags for the model layer, where CPUs are arch/host's."""

    KIND = "host"
    MADE = "host-asan"
    PORT = None


def linker():
    """The fastest linker that is installed."""
    return next((name for name in ("lld", "gold") if shutil.which("ld." + name)), "bfd")


def arguments(usage):
    """The arguments of a tool that makes a lab's program."""
    parser = rooms.parser(usage=usage, flags="own", words="tree")
    parser.add_argument("--run", nargs="?", const="")
    parser.add_argument("lab")
    return parser.parse_args()


def built(args, kind, more=lambda side: None):
    """(a Hosted, or another @kind, of the lab; its program; more(it)), as the arguments ask for."""
    one = labs.lab(args.lab)
    try:
        with alone(args.build):
            side = kind(one, args.build, own=args.own)
            program = side.program(one.tree(args.tree))
            found = more(side)
    except Failed as error:
        sys.exit(str(error))
    sys.stderr.write(side.said)
    if args.run is None:
        print(program if isinstance(program, str) else " ".join(program))
        sys.exit()
    return side, program, found


def main():
    args = arguments(__doc__)
    hosted, program, _ = built(args, Hosted)
    env = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"}
    os.execve(program, [program, args.run or ",".join(hosted.one.suites)], env)


if __name__ == "__main__":
    labs.run_tool(main)
