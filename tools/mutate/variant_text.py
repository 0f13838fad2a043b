# SPDX-License-Identifier: MIT
"""The texts of wrong variants, read and checked; for variant.py.  docs/mutants.md describes the
format."""
import os
import re
from dataclasses import dataclass

from rooms import ROOT

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
    return sorted(
        os.path.join(home, name)
        for home, _, names in os.walk(folder)
        for name in names
        if name.endswith(".mut")
    )


def split(path):
    """[(id, number of the first line, text)] of the variants in a file.  A variant reaches from its
    line "id:" to the next line "id:"."""
    with open(path, encoding="utf-8") as f:
        before, *rest = re.split(r"^(?=id:)", f.read(), flags=re.MULTILINE)
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
