# SPDX-License-Identifier: MIT
"""The texts of wrong variants, read and checked; for tools/variant.py.  docs/mutants.md describes
the format."""
import os
import re
from dataclasses import dataclass

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WORLDS = ("host", "qemu")
BUILDS = ("port", "plain", "order3", "asan", "tsan", "threads", "threads-asan", "silence")
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
    id: str
    header: dict  # {key: [values]}
    edits: list  # [(path, old, new)]

    def get(self, key, default=""):
        return self.header.get(key, [default])[0]

    @property
    def title(self):
        return self.get("title")

    @property
    def kills(self):
        return [Kill(*pair) for pair in zip(self.header["kill"], self.header.get("expect", []))]


def parse_header(name, lines):
    header, key = {}, None
    for line in lines:
        found = re.match(r"([a-z]+):(.*)$", line)
        if found:
            key = found.group(1)
            if key not in KEYS or key in ONCE and key in header:
                raise BadVariant(f"{name}: {'second' if key in KEYS else 'unknown'} line {key}:")
            header.setdefault(key, []).append(found.group(2).strip())
        elif key and line.startswith((" ", "\t")):
            header[key][-1] += " " + line.strip()
        elif line.strip():
            raise BadVariant(f"{name}: not a header line: {line!r}")
    return header


def parse_edits(name, lines):
    """[(path, old, new)] from blocks of --- file, --- old, --- new.  A block without a file is for
    the file of the block before."""
    edits, path, what, parts = [], None, None, {}

    def close():
        if parts:
            if path is None or set(parts) != {"old", "new"}:
                raise BadVariant(f"{name}: a block needs file, old and new")
            old, new = ("".join(line + "\n" for line in parts[k]) for k in ("old", "new"))
            if not old.strip() or old == new:
                raise BadVariant(f"{name}: {path}: nothing to replace")
            edits.append((path, old, new))
            parts.clear()

    for line in lines:
        found = re.match(r"--- (file|old|new)(?:\s+(\S+))?\s*$", line)
        if not found:
            if what is None:
                raise BadVariant(f"{name}: text outside a block: {line!r}")
            parts[what].append(line)
        elif found.group(1) == "file":
            close()
            path, what = found.group(2), None
            if not path or os.path.isabs(path) or ".." in path.split("/"):
                raise BadVariant(f"{name}: not a file of the tree: {line!r}")
        else:
            what = found.group(1)
            if what == "old":
                close()
            parts[what] = []
    close()
    if not edits:
        raise BadVariant(f"{name}: changes nothing")
    return edits


def paths(folder):
    """The paths of all .mut files in the folder and in those below it."""
    return sorted(
        os.path.join(home, name)
        for home, _, names in os.walk(folder)
        for name in names
        if name.endswith(".mut")
    )


def split(path):
    """[(id, text)] of the variants in a file.  A variant reaches from its line "id:" to the next
    line "id:"."""
    name = os.path.relpath(path, ROOT)
    with open(path, encoding="utf-8") as f:
        before, *rest = re.split(r"^(?=id:)", f.read(), flags=re.MULTILINE)
    if before.strip() or not rest:
        raise BadVariant(f"{name}: a file begins with a line id:")
    return [(text.split("\n", 1)[0][3:].strip(), text.rstrip("\n") + "\n") for text in rest]


def parse(text, needed=NEEDED):
    """The variant of a text that begins with its line "id:"."""
    name = text.split("\n", 1)[0]
    lines = text.rstrip("\n").split("\n")
    first = next((i for i, line in enumerate(lines) if line.startswith("--- ")), len(lines))
    v = Variant("", parse_header(name, lines[:first]), parse_edits(name, lines[first:]))
    missing = [key for key in needed if not all(v.header.get(key, [""]))]
    if missing:
        raise BadVariant(f"{name}: no line {', '.join(missing)}")
    v.id = v.get("id")
    if v.get("world", "host") not in WORLDS or v.get("build", "port") not in BUILDS:
        raise BadVariant(f"{name}: no world {v.get('world')} or no build {v.get('build')}")
    if "expect" in needed and len(v.header["kill"]) != len(v.header["expect"]):
        raise BadVariant(f"{name}: a kill: and an expect: go together")
    for kill in v.header["kill"]:
        if not re.fullmatch(
            r"\w+\.\w+|race \S+( fiber| mttcg)?|(explore|matrix) \S+|fuzz \w+", kill
        ):
            raise BadVariant(
                f"{name}: kill: {kill!r}: neither SUITE.TEST nor race SCRIPT nor explore SET"
            )
    return v
