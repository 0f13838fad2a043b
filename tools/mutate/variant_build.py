# SPDX-License-Identifier: MIT
"""Build a wrong variant with few compilations, for mutants.py.

Sources that depend on the files that the variant changes (by the compiler's .d files) are compiled
in the variant's tree, and linked with the objects of the unmodified tree, which must be built.  The
programs have no debug information.  Most variants compile to what an earlier run compiled them to,
so ccache is asked, if the Makefile uses it ($CCACHE).
"""
import os
import re
import shutil

import outer_make
import rooms
import suites
import variant

# {name of a kernel's build: (its directory below the build directory, variables of make)}.  All
# other names are hosted builds of the Makefile.
KERNELS = {"kernel": (".", {}), "race": ("race", {"RACE": "1"})}
PROGRAMS = {"states": "states"}


class BuildError(Exception):
    """A variant that does not compile or link."""


def program_of(build, name):
    """The path of the unmodified tree's program in the build @name."""
    if name in KERNELS:
        return os.path.normpath(os.path.join(build, KERNELS[name][0], "quarry.elf"))
    program = "race" if name.startswith("fiber") else PROGRAMS.get(name, "check")
    return os.path.join(build, name, program)


def run(command, cwd):
    done = rooms.call(command, cwd=cwd)
    if done.returncode:
        raise BuildError(f"{command[0]} ... {command[-3]}:\n{done.stdout}")


class Base:
    """A finished build of the unmodified tree, and its commands to compile and link."""

    def __init__(self, build, name):
        self.name = name
        where = os.path.join(os.path.abspath(build), KERNELS.get(name, (".",))[0])
        self.build = os.path.normpath(where)
        wanted = {"CC": "$(HOSTCC)", "TESTS": "$(HOSTT)"}
        if name in KERNELS:
            wanted = {"CC": "$(CC)", "TESTS": "", "FLAGS": "$(KFLAGS)", "OBJS": "$(KOBJS)"}
            wanted |= {"LD": "$(LD) $(LDFLAGS) -S", "NM": "$(NM) $(NM_FORMAT)"}
        elif name.startswith("fiber"):
            wanted["FLAGS"] = f"$(FIBER_FLAGS) $(HFLAGS_{name[6:]})"
            wanted["OBJS"] = f"$(patsubst %,$(B)/{name}/%.o,$(FIBER_SRCS))"
        elif name == "states":
            wanted |= {"FLAGS": "$(HFLAGS) -DPAGEBLOCK_ORDER=3", "TESTS": ""}
            wanted["OBJS"] = "$(patsubst %,$(B)/states/%.o,$(MM_SRCS) $(STATES_SRCS))"
        else:
            wanted["FLAGS"] = f"$(HFLAGS) $(WATCH) $(HFLAGS_{name[5:]})"
            wanted["OBJS"] = f"$(call host_objs,{name[5:]})"
        self.vars = self.ask_make(wanted)
        self.objects = {self.source_of(o): o for o in self.vars["OBJS"]}
        self.needs = {source: self.read_deps(o[:-2] + ".d") for source, o in self.objects.items()}

    def source_of(self, object_file):
        """The source of an object, whose path is BUILD/NAME OF THE BUILD/SOURCE.o."""
        return os.path.relpath(object_file, self.build).split(os.sep, 1)[1][:-2]

    def ask_make(self, wanted):
        return outer_make.values(self.build, wanted, KERNELS.get(self.name, ("", {}))[1])

    @staticmethod
    def read_deps(path):
        """The files that a source includes, by the compiler's .d file."""
        try:
            text = rooms.read(path)
        except OSError as e:
            why = f"{path}: {e.strerror}; build the unmodified tree first"
            raise variant.BadVariant(why) from e
        return set(re.sub(r"\\\n", " ", text).split("\n")[0].split()[1:])

    def compile(self, tree, changed, only=(), wanted=None):
        """
        Compile in @tree the sources that depend on @changed, or of these only @only; returns the
        objects to link.  With @wanted only those suites run: sources of other suites that include
        a changed source are not compiled again.
        """
        mine = {s: both for s, needs in self.needs.items() if (both := needs & set(changed))}
        if unknown := set(only) - set(mine):
            why = f"{' '.join(sorted(unknown))}: not in {self.name}, or without what changes"
            raise variant.BadVariant(f"compile: {why}")
        objects = dict(self.objects)
        for source, both in mine.items():
            if only and source not in only:
                continue
            if wanted is not None and self.has_other_copies(tree, source, both, wanted):
                continue
            target = os.path.join(tree, "build", self.name, source + ".o")
            os.makedirs(os.path.dirname(target), exist_ok=True)
            self.compile_one(tree, source, target)
            objects[source] = target
        return list(objects.values())

    @staticmethod
    def has_other_copies(tree, source, changed, wanted):
        """Does @source only have suites that are not @wanted, and include the changed sources?"""
        others = all(path.endswith(".c") and path != source for path in changed)
        if not source.startswith("tests/") or not others:
            return False
        has = suites.names_in(rooms.read(os.path.join(tree, source)))
        return bool(has) and not has.intersection(wanted)

    def compile_one(self, tree, source, target):
        """Compile a source of @tree as make would, but without debug data and warnings."""
        flags = [f for f in self.vars["FLAGS"] if not f.startswith("-g")] + ["-w"]
        if source.startswith("tests/"):
            flags += self.vars["TESTS"]
        cache = os.environ.get("CCACHE", "").split()
        run(cache + self.vars["CC"] + flags + ["-c", source, "-o", target], tree)

    def link(self, tree, objects):
        """Link the program from @objects; returns its path."""
        home = os.path.join(tree, "build", self.name)
        os.makedirs(home, exist_ok=True)
        if self.name in KERNELS:
            return self.link_kernel(tree, home, objects)
        program = os.path.join(home, "program")
        # Both link faster than bfd's; gold also starts quickly, since it loads no large library.
        quick = [f"-fuse-ld={name}" for name in ("gold", "lld") if shutil.which(f"ld.{name}")][:1]
        words = [*self.vars["CC"], *self.vars["FLAGS"], *quick, "-Wl,-S", "-o", program]
        run(words + objects, tree)
        return program

    def link_kernel(self, tree, home, objects):
        """Link a kernel as the Makefile does: twice, the second time with the table of symbols."""
        cc, program = self.vars["CC"] + self.vars["FLAGS"], os.path.join(home, "quarry.elf")
        symbols = "/dev/null"
        for _ in range(2):
            run(["sh", "tools/run/symtab.sh", symbols, f"{home}/symtab.S"], tree)
            run([*cc, "-c", f"{home}/symtab.S", "-o", f"{home}/symtab.o"], tree)
            run([*self.vars["LD"], "-o", program, *objects, f"{home}/symtab.o"], tree)
            symbols = f"{home}/symbols.txt"
            said = rooms.call([*self.vars["NM"], "-n", program], stderr=None, check=True)
            rooms.write(symbols, said.stdout)
        return program
