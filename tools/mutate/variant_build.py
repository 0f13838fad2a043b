# SPDX-License-Identifier: MIT
"""Build a wrong variant with few compilations, for mutants.py.

Sources that depend on the files that the variant changes (by the compiler's .d files) are compiled
in the variant's tree, and linked with the objects of the unmodified tree, which must be built.  The
programs have no debug information.  Most variants compile to what an earlier run compiled them to,
so ccache is asked, if the Makefile uses it ($CCACHE).
"""
import os
import re
import shlex
import shutil
import subprocess

import outer_make
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
    return os.path.join(
        build, name, "race" if name.startswith("fiber") else PROGRAMS.get(name, "check")
    )


def run(command, cwd):
    done = subprocess.run(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        raise BuildError(f"{command[0]} ... {command[-3]}:\n{done.stdout}")


def ask_make(build, wanted, settings=None):
    """{key: words} with the values of @wanted, {key: expression of the Makefile}."""
    rule = "variant-vars: ; @" + "".join(f"echo '{k}' '{v}';" for k, v in wanted.items())
    out = subprocess.run(
        [
            os.environ.get("MAKE", "make"),
            "-s",
            "--no-print-directory",
            "-C",
            variant.ROOT,
            f"B={build}",
            *(f"{k}={v}" for k, v in (settings or {}).items()),
            "--eval",
            rule,
            "variant-vars",
        ],
        env=outer_make.env(),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    return {words[0]: words[1:] for words in map(shlex.split, out.strip().split("\n"))}


class Base:
    """A finished build of the unmodified tree, and its commands to compile and link."""

    def __init__(self, build, name):
        self.name = name
        self.build = os.path.normpath(
            os.path.join(os.path.abspath(build), KERNELS.get(name, (".",))[0])
        )
        if name in KERNELS:
            wanted = {
                "CC": "$(CC)",
                "FLAGS": "$(KFLAGS)",
                "OBJS": "$(KOBJS)",
                "LD": "$(LD)",
                "LDFLAGS": "$(LDFLAGS)",
                "NM": "$(NM) $(NM_FORMAT)",
                "TESTS": "",
            }
        else:
            fiber = name.startswith("fiber")
            flags = (
                f"$(FIBER_FLAGS) $(HFLAGS_{name[6:]})"
                if fiber
                else f"$(HFLAGS) $(HFLAGS_{name[5:]})"
            )
            fibers = f"$(patsubst %,$(B)/{name}/%.o,$(FIBER_SRCS))"
            states = "$(patsubst %,$(B)/states/%.o,$(MM_SRCS) $(STATES_SRCS))"
            wanted = {
                "CC": "$(HOSTCC)",
                "FLAGS": flags,
                "TESTS": "$(HOSTT)",
                "OBJS": fibers if fiber else f"$(call host_objs,{name[5:]})",
            }
            if name == "states":
                wanted |= {"FLAGS": "$(HFLAGS) -DPAGEBLOCK_ORDER=3", "TESTS": "", "OBJS": states}
        self.vars = self.ask_make(wanted)
        self.objects = {self.source_of(o): o for o in self.vars["OBJS"]}
        self.needs = {source: self.read_deps(o[:-2] + ".d") for source, o in self.objects.items()}

    def source_of(self, object_file):
        """The source of an object, whose path is BUILD/NAME OF THE BUILD/SOURCE.o."""
        return os.path.relpath(object_file, self.build).split(os.sep, 1)[1][:-2]

    def ask_make(self, wanted):
        return ask_make(self.build, wanted, KERNELS.get(self.name, ("", {}))[1])

    @staticmethod
    def read_deps(path):
        """The files that a source includes, by the compiler's .d file."""
        try:
            with open(path, encoding="utf-8") as f:
                text = f.read()
        except OSError as e:
            raise variant.BadVariant(
                f"{path}: {e.strerror}; build the unmodified tree first"
            ) from e
        return set(re.sub(r"\\\n", " ", text).split("\n")[0].split()[1:])

    def compile(self, tree, changed, only=(), wanted=None):
        """
        Compile in @tree the sources that depend on @changed, or of these only @only; returns the
        objects to link.  With @wanted only those suites run: sources of other suites that include
        a changed source are not compiled again.
        """
        unknown = set(only) - {
            source for source, needs in self.needs.items() if needs.intersection(changed)
        }
        if unknown:
            raise variant.BadVariant(
                f"compile: {' '.join(sorted(unknown))}: not in {self.name}, or without what changes"
            )
        objects = dict(self.objects)
        for source, needs in self.needs.items():
            if not needs.intersection(changed) or only and source not in only:
                continue
            if wanted is not None and self.has_other_copies(
                tree, source, needs.intersection(changed), wanted
            ):
                continue
            target = os.path.join(tree, "build", self.name, source + ".o")
            os.makedirs(os.path.dirname(target), exist_ok=True)
            self.compile_one(tree, source, target)
            objects[source] = target
        return list(objects.values())

    @staticmethod
    def has_other_copies(tree, source, changed, wanted):
        """Does @source only have suites that are not @wanted, and include the changed sources?"""
        if not source.startswith("tests/") or not all(
            path.endswith(".c") and path != source for path in changed
        ):
            return False
        with open(os.path.join(tree, source), encoding="utf-8") as f:
            has = suites.names_in(f.read())
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
        run(
            self.vars["CC"] + self.vars["FLAGS"] + quick + ["-Wl,-S", "-o", program] + objects, tree
        )
        return program

    def link_kernel(self, tree, home, objects):
        """Link a kernel as the Makefile does: twice, the second time with the table of symbols."""
        at = {
            name: os.path.join(home, name)
            for name in (
                "symtab0.S",
                "symtab0.o",
                "quarry0.elf",
                "symbols.txt",
                "symtab.S",
                "symtab.o",
                "quarry.elf",
            )
        }
        cc, ld = self.vars["CC"] + self.vars["FLAGS"], self.vars["LD"] + self.vars["LDFLAGS"] + [
            "-S"
        ]
        run(["sh", "tools/run/symtab.sh", "/dev/null", at["symtab0.S"]], tree)
        run(cc + ["-c", at["symtab0.S"], "-o", at["symtab0.o"]], tree)
        run(ld + ["-o", at["quarry0.elf"]] + objects + [at["symtab0.o"]], tree)
        with open(at["symbols.txt"], "w", encoding="utf-8") as f:
            subprocess.run(self.vars["NM"] + ["-n", at["quarry0.elf"]], stdout=f, check=True)
        run(["sh", "tools/run/symtab.sh", at["symbols.txt"], at["symtab.S"]], tree)
        run(cc + ["-c", at["symtab.S"], "-o", at["symtab.o"]], tree)
        run(ld + ["-o", at["quarry.elf"]] + objects + [at["symtab.o"]], tree)
        return at["quarry.elf"]
