#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Wrong variants of the tree: read tests/mutants/*.mut, apply one, build it with few compilations.

Usage: tools/variant.py check            every variant applies to the present tree
       tools/variant.py apply ID DIR     a copy of the tree in DIR, with the variant in it
       tools/variant.py show ID          what it changes, as a diff

The format of a .mut file is described in docs/mutants.md.
"""
import argparse
import difflib
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field

sys.dont_write_bytecode = True

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MUTANTS = os.path.join(ROOT, "tests", "mutants")
WORLDS = ("host", "qemu")
BUILDS = ("port", "plain", "order3", "asan", "tsan")
KEYS = {"id", "title", "why", "world", "build", "kill", "expect", "hang", "tries", "cpus"}
NEEDED = ("id", "title", "why", "kill", "expect")
TREE = ("arch", "bench", "boot", "drivers", "include", "kernel", "mm", "tests", "tools", "traces",
        "Makefile", "linker.ld")
LEFT_OUT = ("tests/mutants", "tests/qemu", "tests/model")  # nothing in them is compiled


class VariantError(Exception):
    """A .mut file that is malformed, or that does not fit the tree."""


@dataclass
class Mutant:
    id: str
    title: str
    why: str
    kill: str                # SUITE.TEST
    expect: str              # must stand in what that test printed
    world: str = "host"
    build: str = "port"
    hang: bool = False       # to hang is what is wrong with it
    tries: int = 1           # runs until it must have been killed, for those that need luck
    cpus: int = 4
    edits: list = field(default_factory=list)  # (path, old, new)

    @property
    def suite(self):
        return self.kill.split(".", 1)[0]

    @property
    def test(self):
        return self.kill.split(".", 1)[1]

    @property
    def files(self):
        return sorted({path for path, _, _ in self.edits})


def parse_header(name, text):
    head = {}
    key = None
    for line in text.split("\n"):
        found = re.match(r"([a-z]+):\s*(.*)$", line)
        if found:
            key = found.group(1)
            if key not in KEYS or key in head:
                raise VariantError(f"{name}: {'second' if key in head else 'unknown'} line {key}:")
            head[key] = found.group(2).strip()
        elif key and line.startswith((" ", "\t")):
            head[key] += " " + line.strip()
        elif line.strip() and not line.startswith("#"):
            raise VariantError(f"{name}: not a header line: {line!r}")
    return head


def parse_edits(name, lines):
    """Blocks of --- file, --- old, --- new; a block without a file is of the file before."""
    edits, path, what, parts = [], None, None, {}

    def close():
        if "old" in parts or "new" in parts:
            if path is None or "old" not in parts or "new" not in parts:
                raise VariantError(f"{name}: a block needs file, old and new")
            old, new = ("".join(line + "\n" for line in parts[k]) for k in ("old", "new"))
            if not old.strip() or old == new:
                raise VariantError(f"{name}: {path}: nothing to replace")
            edits.append((path, old, new))
            parts.clear()

    for line in lines:
        found = re.match(r"--- (file|old|new)(?:\s+(\S+))?\s*$", line)
        if not found:
            if what is None:
                raise VariantError(f"{name}: text outside a block: {line!r}")
            parts[what].append(line)
        elif found.group(1) == "file":
            close()
            path, what = found.group(2), None
            if not path or os.path.isabs(path) or ".." in path.split("/"):
                raise VariantError(f"{name}: not a file of the tree: {line!r}")
        else:
            what = found.group(1)
            if what == "old":
                close()
            parts[what] = []
    close()
    if not edits:
        raise VariantError(f"{name}: changes nothing")
    return edits


def parse(path):
    name = os.path.basename(path)
    with open(path, encoding="utf-8") as f:
        lines = f.read().rstrip("\n").split("\n")
    first = next((i for i, line in enumerate(lines) if line.startswith("--- ")), len(lines))
    head = parse_header(name, "\n".join(lines[:first]))
    missing = [key for key in NEEDED if not head.get(key)]
    if missing:
        raise VariantError(f"{name}: no line {', '.join(missing)}")
    head["hang"] = head.get("hang", "no") == "yes"
    for number in ("tries", "cpus"):
        if number in head:
            head[number] = int(head[number])
    m = Mutant(edits=parse_edits(name, lines[first:]), **head)
    if m.id + ".mut" != name:
        raise VariantError(f"{name}: its id is {m.id}")
    if m.world not in WORLDS or m.build not in BUILDS:
        raise VariantError(f"{name}: no world {m.world} or no build {m.build}")
    if "." not in m.kill:
        raise VariantError(f"{name}: kill: needs SUITE.TEST")
    return m


def load(ids=None):
    """All variants, or those of @ids, by id."""
    names = sorted(n[:-4] for n in os.listdir(MUTANTS) if n.endswith(".mut"))
    unknown = sorted(set(ids or []) - set(names))
    if unknown:
        raise VariantError(f"no variant {', '.join(unknown)}")
    return [parse(os.path.join(MUTANTS, n + ".mut")) for n in names if not ids or n in ids]


def patched(m, root=ROOT):
    """{path: the new text} of every file that the variant changes."""
    texts = {}
    for path, old, new in m.edits:
        if path not in texts:
            try:
                with open(os.path.join(root, path), encoding="utf-8") as f:
                    texts[path] = f.read()
            except OSError as e:
                raise VariantError(f"{m.id}: {path}: {e.strerror}") from e
        found = texts[path].count(old)
        if found != 1:
            raise VariantError(f"{m.id}: {path}: the old text is there {found} times, not once: "
                               + repr(old.strip().split("\n")[0]))
        at = texts[path].index(old)
        if at and texts[path][at - 1] != "\n":
            raise VariantError(f"{m.id}: {path}: the old text begins within a line")
        texts[path] = texts[path][:at] + new + texts[path][at + len(old):]
    return texts


def copy_tree(directory):
    """Hard links where that works: nothing here writes to a file that it has not made."""
    for top in TREE:
        source = os.path.join(ROOT, top)
        if os.path.isfile(source):
            link(source, os.path.join(directory, top))
            continue
        for where, dirs, names in os.walk(source):
            here = os.path.relpath(where, ROOT)
            dirs[:] = [d for d in dirs if os.path.join(here, d) not in LEFT_OUT and d != "__pycache__"]
            os.makedirs(os.path.join(directory, here), exist_ok=True)
            for n in names:
                link(os.path.join(where, n), os.path.join(directory, here, n))


def link(source, to):
    try:
        os.link(source, to)
    except OSError:
        shutil.copy2(source, to)


def apply(m, directory):
    """The tree with the variant in it, in @directory, which is made anew; the changed files."""
    texts = patched(m)
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    copy_tree(directory)
    for path, text in texts.items():
        target = os.path.join(directory, path)
        os.unlink(target)
        with open(target, "w", encoding="utf-8") as f:
            f.write(text)
    return sorted(texts)


# ---- building with few compilations --------------------------------------------------------------

def ask_make(build, wanted):
    """{key: words} of what make expands the expressions of @wanted to."""
    rule = "variant-vars: ; @" + "".join(f"echo '{k}' '{v}';" for k, v in wanted.items())
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    out = subprocess.run([os.environ.get("MAKE", "make"), "-s", "--no-print-directory", "-C", ROOT,
                          f"B={build}", "--eval", rule, "variant-vars"], env=env, check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    return {words[0]: words[1:] for words in map(shlex.split, out.strip().split("\n"))}


class Base:
    """A finished build of the unmodified tree, and how make would compile and link it."""

    def __init__(self, build, world, name=None):
        self.build = os.path.abspath(build)
        self.world = world
        self.dir = "kernel" if world == "qemu" else f"host-{name}"
        if world == "qemu":
            wanted = {"CC": "$(CC)", "FLAGS": "$(KFLAGS)", "OBJS": "$(KOBJS)", "LD": "$(LD)",
                      "LDFLAGS": "$(LDFLAGS)", "NM": "$(NM)"}
        else:
            wanted = {"CC": "$(HOSTCC)", "FLAGS": f"$(HFLAGS) $(HFLAGS_{name})",
                      "OBJS": f"$(patsubst %,$(B)/host-{name}/%.o,$(call host_srcs,{name}))"}
        self.vars = ask_make(self.build, wanted)
        prefix = os.path.join(self.build, self.dir)
        self.objects = {os.path.relpath(o, prefix)[:-2]: o for o in self.vars["OBJS"]}
        self.needs = {source: self.read_deps(o[:-2] + ".d") for source, o in self.objects.items()}

    def read_deps(self, path):
        """What a source includes, as make was told by the compiler."""
        try:
            with open(path, encoding="utf-8") as f:
                text = f.read()
        except OSError as e:
            raise VariantError(f"{path}: {e.strerror}; build the unmodified tree first") from e
        return set(re.sub(r"\\\n", " ", text).split("\n")[0].split()[1:])

    def compile(self, tree, changed):
        """Compile in @tree what depends on @changed; the objects to link."""
        objects = dict(self.objects)
        flags = [f for f in self.vars["FLAGS"] if f != "-g"] + ["-w"]
        for source, needs in self.needs.items():
            if not needs.intersection(changed):
                continue
            target = os.path.join(tree, "obj", source + ".o")
            os.makedirs(os.path.dirname(target), exist_ok=True)
            extra = ["-D__ASSEMBLY__"] if source.endswith(".S") else []
            run(self.vars["CC"] + flags + extra + ["-c", source, "-o", target], tree)
            objects[source] = target
        return list(objects.values())

    def make(self, tree, changed):
        """Compile and link; the program."""
        objects = self.compile(tree, changed)
        if self.world == "qemu":
            return self.link_kernel(tree, objects)
        program = os.path.join(tree, "obj", "check")
        run(self.vars["CC"] + self.vars["FLAGS"] + ["-o", program] + objects, tree)
        return program

    def link_kernel(self, tree, objects):
        """As the Makefile does it: twice, the second time with the table of symbols."""
        at = {name: os.path.join(tree, "obj", name) for name in
              ("symtab0.S", "symtab0.o", "quarry0.elf", "symbols.txt", "symtab.S", "symtab.o", "quarry.elf")}
        cc, ld = self.vars["CC"] + self.vars["FLAGS"], self.vars["LD"] + self.vars["LDFLAGS"]
        run(["sh", "tools/symtab.sh", "/dev/null", at["symtab0.S"]], tree)
        run(cc + ["-c", at["symtab0.S"], "-o", at["symtab0.o"]], tree)
        run(ld + ["-o", at["quarry0.elf"]] + objects + [at["symtab0.o"]], tree)
        with open(at["symbols.txt"], "w", encoding="utf-8") as f:
            subprocess.run(self.vars["NM"] + ["-n", at["quarry0.elf"]], stdout=f, check=True)
        run(["sh", "tools/symtab.sh", at["symbols.txt"], at["symtab.S"]], tree)
        run(cc + ["-c", at["symtab.S"], "-o", at["symtab.o"]], tree)
        run(ld + ["-o", at["quarry.elf"]] + objects + [at["symtab.o"]], tree)
        return at["quarry.elf"]


class BuildError(Exception):
    """A variant that does not compile or link."""


def run(command, cwd):
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise BuildError(f"{command[0]} ... {command[-3]}:\n{done.stdout}")


# ---- commands ------------------------------------------------------------------------------------

def check():
    bad = 0
    names = sorted(n for n in os.listdir(MUTANTS) if n.endswith(".mut"))
    for n in names:
        try:
            patched(parse(os.path.join(MUTANTS, n)))
        except VariantError as e:
            print(f"BAD PATCH {e}")
            bad += 1
    print(f"{len(names)} variants, {bad} do not apply")
    return 1 if bad or not names else 0


def show(m):
    for path, text in patched(m).items():
        with open(os.path.join(ROOT, path), encoding="utf-8") as f:
            old = f.read()
        sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), text.splitlines(True),
                                                   "a/" + path, "b/" + path))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="every variant applies to the present tree")
    for name in ("apply", "show"):
        commands.add_parser(name).add_argument("id")
    commands.choices["apply"].add_argument("dir")
    args = parser.parse_args()
    if args.command == "check":
        return check()
    m = load([args.id])[0]
    if args.command == "show":
        show(m)
    else:
        print("\n".join(apply(m, args.dir)))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except VariantError as e:
        print(f"variant: {e}", file=sys.stderr)
        sys.exit(2)
