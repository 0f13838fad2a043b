#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Wrong variants of the tree, tests/mutants/SOURCE.mut: read one, apply it to a copy of the tree,
make it.

Usage: variant.py check                    check that each variant is well formed and fits
       variant.py list                     ids, titles, and the tests that must fail
       variant.py show ID                  its changes, as a diff
       variant.py [--build DIR] tree ID    copy the tree to DIR/variant/ID; prints the path
       variant.py [--build DIR] make ID TARGET... [VARIABLE=value...]     make in that copy

The copy consists of links, except for the files that the variant changes, and of the objects built
so far, so that only the differences are compiled.  ID "none" is the unmodified tree.
docs/mutants.md describes the format.
"""
import difflib
import fcntl
import glob
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
from rooms import ROOT, read as read_text
import outer_make
import suites

MUTANTS = os.path.join(ROOT, "tests", "mutants")
VALUES = {  # of some lines of the header: the patterns
    "world": "host|qemu",
    "build": "port|plain|order3|asan|tsan|threads|threads-asan|silence",
    "kill": r"\w+\.\w+|race \S+( fiber| mttcg)?|(explore|matrix) \S+|fuzz \w+",
}
ONCE = ("id", "title", "mechanism", "why", "world", "build", "cpus", "compile")
KEYS = ONCE + ("kill", "expect")
NEEDED = ("id", "title", "why", "kill", "expect")
NEEDED_PLANTED = ("id", "title", "kill")
PLANTED = os.path.join(ROOT, "tests", "fuzz", "planted")  # bugs for fuzz.py to find
RACES = os.path.join(ROOT, "tests", "races")
NO_WARNINGS = "WARN=-w"  # a mistake may leave a function unused
HANGS = "hangs"  # a value of "expect:": the variant never ends
# Builds whose objects are worth copying.
OBJECTS = "fiber race host-plain host-port host-order3 host-threads host-threads-asan".split()
OBJECTS += ["host-silence", "kernel"]


# ---- the texts: docs/mutants.md describes their format -------------------------------------------


class BadVariant(Exception):
    """A variant that is malformed, or does not fit the tree; the text is the reason."""


@dataclass
class Kill:
    """A test that must fail: a line "kill:" and its line "expect:"."""

    text: str
    expect: str

    @property
    def kind(self):
        word = self.text.split()[0]
        return word if word in ("race", "explore", "matrix", "fuzz") else "test"

    @property
    def name(self):
        """SUITE.TEST, or the name of the race script, the explorer's set, the row of the matrix,
        the fuzz target."""
        return self.text.split()[0 if self.kind == "test" else 1]

    @property
    def engine(self):
        """The engine that replays a race."""
        return (self.text.split() + ["fiber"])[2] if self.kind == "race" else "fiber"

    def seen(self, first, others=()):
        """Is @first the expected outcome, and does each of @others have words of expect, too?"""
        words = self.expect.split(", or ")
        return words[0] in first and all(any(w in o for w in words) for o in others)


@dataclass
class Variant:
    header: dict  # {key: [values]}
    edits: list  # [(path, old, new)]

    def get(self, key, default=""):
        return self.header.get(key, [default])[0]

    @property
    def id(self):
        return self.get("id")

    @property
    def title(self):
        return self.get("title")

    @property
    def kills(self):
        return [Kill(*pair) for pair in zip(self.header["kill"], self.header.get("expect", []))]


def parse_header(lines):
    """{key: [values]} of the lines KEY: VALUE; @lines: [(file and number, line)]."""
    header = {}
    for place, line in lines:
        key, value = (part.strip() for part in line.split(":", 1))
        if key not in KEYS or key in ONCE and key in header:
            raise BadVariant(f"{place}: {'second' if key in KEYS else 'unknown'} line {key}:")
        if not re.fullmatch(VALUES.get(key, ".*"), value):
            raise BadVariant(f"{place}: {key}: {value!r} is none of {VALUES[key]}")
        header.setdefault(key, []).append(value)
    return header


def parse_edits(lines, path):
    """[(path, old, new)] of the lines of a diff; @lines: [(file and number, line)].  The first
    change is one of the file @path.  @@ begins another change, @@ PATH one of another file."""
    hunks, edits = [], []
    for place, line in lines:
        begins = re.fullmatch("@@(?: (\\S+))?", line)
        path = begins and begins.group(1) or path
        if begins or not hunks:
            hunks.append((place, path, []))
        if line[:1] in " -+":  # an empty line, too: it is in the old and in the new text
            hunks[-1][2].append(line)
        elif not begins:
            raise BadVariant(f"{place}: not a line of a header or of a diff: {line!r}")
    for place, path, hunk in hunks:
        old, new = ("".join(s[1:] + "\n" for s in hunk if s[:1] in kinds) for kinds in (" -", " +"))
        if os.path.isabs(path) or ".." in path.split("/"):
            raise BadVariant(f"{place}: {path}: not a file of the tree; @@ PATH names one")
        if not old.strip() or old == new:
            raise BadVariant(f"{place}: nothing to replace")
        edits.append((path, old, new))
    return edits


def source_of(path):
    """The source that a file of MUTANTS is for."""
    return os.path.relpath(path, MUTANTS)[: -len(".mut")]


def paths(folder):
    """The paths of all .mut files in the folder and in those below it."""
    return sorted(glob.glob(os.path.join(folder, "**", "*.mut"), recursive=True))


def split(path):
    """[(id, number of the first line, text)] of the variants in a file.  A variant reaches from its
    line "id:" to the next line "id:"."""
    before, *rest = re.split(r"^(?=id:)", read_text(path), flags=re.MULTILINE)
    if before.strip() or not rest:
        raise BadVariant(f"{os.path.relpath(path, ROOT)}:1: a file begins with a line id:")
    found, first = [], before.count("\n") + 1
    for text in rest:
        found.append((text.split("\n", 1)[0][3:].strip(), first, text.rstrip("\n") + "\n"))
        first += text.count("\n")
    return found


def parse(path, first, text, needed=NEEDED):
    """The variant with the text that begins at line @first of the file @path."""
    name = os.path.relpath(path, ROOT)
    lines = [(f"{name}:{n}", line) for n, line in enumerate(text.split("\n")[:-1], first)]
    end = next((n for n, (_, s) in enumerate(lines) if not re.match("[a-z]+:", s)), len(lines))
    v = Variant(parse_header(lines[:end]), parse_edits(lines[end:], source_of(path)))
    missing = [key for key in needed if not all(v.header.get(key, [""]))]
    if missing:
        raise BadVariant(f"{name}:{first}: no line {', '.join(missing)}")
    if "expect" in needed and len(v.header["kill"]) != len(v.header["expect"]):
        raise BadVariant(f"{name}:{first}: a kill: and an expect: go together")
    if not v.edits:
        raise BadVariant(f"{name}:{first}: changes nothing")
    return v


# ---- reading -------------------------------------------------------------------------------------


def texts(folder=None):
    """{id: (path, number of its first line, text)} of the variants of a folder, MUTANTS unless
    given."""
    found = paths(folder or MUTANTS)
    return _texts(tuple((path, os.stat(path).st_mtime_ns) for path in found))


@lru_cache(maxsize=8)
def _texts(files):
    found = {}
    for path, _ in files:
        for ident, first, text in split(path):
            if ident in found:
                raise BadVariant(f"{ident}: is in {found[ident][0]} and in {path}")
            found[ident] = path, first, text
    return found


def known():
    return sorted(texts())


def read(ident, folder=None, needed=NEEDED):
    found = texts(folder)
    if ident not in found:
        raise BadVariant(f"no variant {ident}; tools/mutate/variant.py list names them")
    return parse(*found[ident], needed)


def edited(v, root=ROOT):
    """{path: the new text} of every file that the variant changes."""
    texts = {}
    for path, old, new in v.edits:
        if path not in texts:
            try:
                texts[path] = read_text(os.path.join(root, path))
            except OSError as e:
                raise BadVariant(f"{v.id}: {path}: {e.strerror}") from e
        found = texts[path].count(old)
        if found != 1:
            why = f"the old text is there {found} times, not once"
            raise BadVariant(f"{v.id}: {path}: {why}: {old.strip().split(chr(10))[0]!r}")
        at = texts[path].index(old)
        if at and texts[path][at - 1] != "\n":
            raise BadVariant(f"{v.id}: {path}: the old text begins within a line")
        texts[path] = texts[path][:at] + new + texts[path][at + len(old) :]
    return texts


# ---- a tree with the variant in it ---------------------------------------------------------------


def make_tree(v, tree):
    """Bring the variant's tree @tree up to date: the files that the variant changes, and symbolic
    links to the rest.  A file with the same text keeps its time.  Returns the changed files."""
    texts = edited(v)
    fill(tree, texts)
    return sorted(texts)


def fill(tree, texts, rel=""):
    """Give the folder @rel of @tree, "" or ending with a slash, the files of @texts, and links to
    the rest of ROOT/@rel, to whole folders if nothing in them changes.  Keeps tree/build."""
    here = os.path.join(tree, rel)
    os.makedirs(here, exist_ok=True)
    mine = {path[len(rel) :].split("/")[0] for path in texts if path.startswith(rel)}
    others = {n for n in os.listdir(ROOT + "/" + rel) if rel or not n.startswith((".git", "build"))}
    for name in set(os.listdir(here)) - ({"build"} if not rel else set()):
        path = os.path.join(here, name)
        if os.path.islink(path) and (name in mine or name not in others):
            os.unlink(path)
        elif not os.path.islink(path) and name not in mine:
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    for name in others:
        path, copy = rel + name, os.path.join(here, name)
        if path in texts:
            if not os.path.exists(copy) or read_text(copy) != texts[path]:
                rooms.write(copy, texts[path])
        elif name in mine:
            fill(tree, texts, path + "/")
        elif not os.path.lexists(copy):
            os.symlink(os.path.join(ROOT, path), copy)


def own_deps(tree, copy):
    """Rewrite the dependencies of copied objects to the paths of this tree."""
    for path in glob.glob(os.path.join(copy, "**", "*.d"), recursive=True):
        needs = read_text(path).split(":", 1)[1]
        rooms.write(path, f"{os.path.relpath(path, tree)[:-2]}.o:{needs}")


def copy_objects(build, tree, name, changed):
    """Copy the unmodified tree's objects of build/@name, unless the variant's tree has its own."""
    source, copy = os.path.join(build, name), os.path.join(tree, "build", name)
    # Objects older than the Makefile are useless: make would compile all of them again.
    since = os.stat(os.path.join(ROOT, "Makefile")).st_mtime
    if os.path.isdir(copy) and os.stat(copy).st_mtime < since:
        shutil.rmtree(copy)
    if os.path.isdir(source) and not os.path.isdir(copy):
        ignored = shutil.ignore_patterns("*.elf", "*.iso", "*.log", "qemu")
        shutil.copytree(source, copy, ignore=ignored)
        own_deps(tree, copy)
        os.utime(copy)
        # The copied objects are of the right code: make the changed files newer than these.
        for path in changed:
            os.utime(os.path.join(tree, path))


def tree_of(build, ident, targets=()):
    """The directory of the variant's tree, with the objects that make may need for @targets."""
    if ident == "none":
        return ROOT
    tree = os.path.join(os.path.abspath(build), "variant", ident)
    changed = make_tree(read(ident), tree)
    for name in OBJECTS:
        if any(re.search(rf"\bbuild/{name}\b", t) or t == name for t in targets):
            copy_objects(build, tree, name, changed)
    return tree


def make(build, ident, *targets):
    """Run make @targets in the variant's tree, in its directory build/; returns its exit status."""
    tree = os.path.join(os.path.abspath(build), "variant", ident)
    os.makedirs(os.path.dirname(tree), exist_ok=True)
    with open(tree + ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another tool may build the same variant
        command = [os.environ.get("MAKE", "make"), "--no-print-directory", "-j2", NO_WARNINGS]
        command += ["-C", tree_of(build, ident, targets), *targets]
        return subprocess.run(command, env=outer_make.env()).returncode


# ---- commands ------------------------------------------------------------------------------------


def text_of(*path):
    return read_text(os.path.join(*path))


def all_tests():
    """The names of all tests, and {script: {variant or "": expected outcome}} of all race
    scripts."""
    races = {}
    for name in os.listdir(RACES):
        if name.endswith(".race"):
            text = text_of("tests/races", name)
            found = re.findall(r"^expect(?: (\w+))?:(.*)$", text, re.MULTILINE)
            races[name[:-5]] = {ident: outcome.strip() for ident, outcome in found}
    return suites.tests(), races


def stands_alone(v):
    """Does only a unit test notice the variant, which stands for no mechanism, and no lab or page
    names it?  Then make mutate writes such mistakes, too."""
    if v.get("mechanism") or v.get("build") or any(k.kind != "test" for k in v.kills):
        return False
    return v.id not in named()


@lru_cache(maxsize=1)
def named():
    """The words of the labs' table and of pages that may be ids of variants."""
    pages = [os.path.join(at, f) for at, _, fs in os.walk(os.path.join(ROOT, "docs")) for f in fs]
    text = "".join(text_of(p) for p in pages if p.endswith(".md")) + text_of("labs", "labs.ini")
    return set(re.findall(r"\b[A-Z]+\d+\b", text))


def misfits(v, tests, races):
    """A line for each kill that names a missing test or script, whose test the variant's build does
    not have, or whose script expects another outcome of the variant than the variant says."""
    for kill in v.kills:
        if kill.kind == "test":
            suite, test = kill.name.split(".")
            found = suites.suites().get(suite)
            if test not in (suites.explored().union(found.tests) if found else tests):
                yield f"{v.id}: no test {kill.name}"
            elif found and found.path.startswith("tests/fiber/") and v.get("build") != "silence":
                yield f"{v.id}: {kill.name} is a test of build: silence"
        elif kill.kind == "race" and kill.name not in races:
            yield f"{v.id}: no race script {kill.name}"
        elif kill.kind == "race" and kill.expect not in races[kill.name].get(v.id, ""):
            yield f"{v.id}: {kill.name}.race has no line \"expect {v.id}: {kill.expect}\""


def check():
    bad = []
    tests, races = all_tests()
    names, stands_for = known(), {}
    for ident in names:
        try:
            v = read(ident)
            edited(v)
            bad += misfits(v, tests, races)
            if stands_alone(v):
                bad.append(f"{ident}: a unit test alone notices it: make mutate does as much")
            first = stands_for.setdefault(v.get("mechanism") or ident, ident)
            if first != ident:
                bad.append(f"{ident}: {first} has the mechanism \"{v.get('mechanism')}\", too")
        except BadVariant as e:
            bad.append(str(e))
    planted = sorted(texts(PLANTED))
    for ident in planted:
        try:
            edited(read(ident, PLANTED, NEEDED_PLANTED))
        except BadVariant as e:
            bad.append(str(e))
    pairs = [(script, ident) for script in races for ident in races[script]]
    bad += [f"{script}.race: no variant {i}" for script, i in pairs if i and i not in names]
    for text in bad:
        print(f"BAD PATCH {text}")
    print(f"{len(names)} variants, {len(planted)} planted bugs, {len(bad)} faults")
    return 1 if bad or not names else 0


def show(v):
    for path, text in edited(v).items():
        old, new = text_of(path).splitlines(True), text.splitlines(True)
        sys.stdout.writelines(difflib.unified_diff(old, new, "a/" + path, "b/" + path))


def main():
    parser = rooms.parser(__doc__)
    parser.add_argument("command", choices=["check", "list", "show", "tree", "make"])
    parser.add_argument("id", nargs="?")
    parser.add_argument("targets", nargs="*")
    args = parser.parse_args()
    if args.command == "check":
        return check()
    if args.command == "list":
        for v in map(read, known()):
            print(f"{v.id:6} {v.title}\n       {'; '.join(k.text for k in v.kills)}")
        return 0
    if not args.id:
        parser.error("which variant?")
    if args.command == "show":
        show(read(args.id))
    elif args.command == "tree":
        print(tree_of(args.build, args.id))
    else:
        return make(args.build, args.id, *args.targets)
    return 0


if __name__ == "__main__":
    rooms.run(main, BadVariant)
