#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The suites and tests of the tree, from the sources: their files and tags (docs/testing.md).

Usage: suites.py             the number of tests of each tag in each directory
       suites.py TAG,...     the tests with one of these tags: SUITE.TEST, tag, file

The other tools take the names from here.
"""
import glob
import os
import re
import sys
from dataclasses import dataclass, field
from functools import lru_cache

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import outer_make
from rooms import ROOT, read

FOLDERS = ("tests", "arch", "labs")
TAGS = ("contract", "cost", "inside")
GROUPS = {"all", "most", "quick", "none", *TAGS}  # names of groups of suites for selftest=
SUITE = re.compile(r"^KTEST_SUITE\(\s*(\w+),\s*([\w\s|]+)\);", re.MULTILINE)
CASE = re.compile(r"^KTEST(?:_(CONTRACT|COST|INSIDE))?\(\s*(\w+)", re.MULTILINE)
# Matches a line in a source's head: "Tests: SUITE, SUITE, tests/qemu/test_some.py."
HEAD = re.compile(r"^ \* (?:.*  )?Tests:(.*\n(?: \*  +.*\n)*)", re.MULTILINE)
TABLE = re.compile(r"^\s+X\((\w+),", re.MULTILINE)  # matches a test that is a line of a table


@dataclass
class Suite:
    """A suite: its source, its flags and its tests."""

    path: str
    flags: set
    tests: dict = field(default_factory=dict)  # {name of a test: tag}

    @property
    def tag(self):
        """The tag of the suite's tests that name no tag."""
        mostly = (tag for tag in TAGS if f"KTEST_MOSTLY_{tag.upper()}" in self.flags)
        return next(mostly, "contract")


@lru_cache(None)
def listed(name):
    """The files of the Makefile's list @name."""
    return set(outer_make.values("build", {"files": f"$({name})"})["files"])


def names_in(text):
    """The names of the suites that a source defines."""
    return {found[0] for found in SUITE.findall(text)}


def parts(text):
    """[(name, flags, text down to the next suite)] of each suite that a source defines."""
    found = SUITE.split(text)[1:]
    return list(zip(found[::3], found[1::3], found[2::3]))


@lru_cache(None)
def suites():
    """{name: Suite}"""
    found = {}
    for folder in FOLDERS:
        for path in glob.glob(os.path.join(ROOT, folder, "**", "*.c"), recursive=True):
            text = read(path)
            for name, flags, cases in parts(text):
                suite = Suite(os.path.relpath(path, ROOT), set(re.findall(r"\w+", flags)))
                if "\nSTATES(" in cases:
                    suite.tests.update(dict.fromkeys(TABLE.findall(text), suite.tag))
                tags = {test: tag.lower() or suite.tag for tag, test in CASE.findall(cases)}
                suite.tests.update(tags)
                found[name] = suite
    return found


@lru_cache(None)
def explored():
    """The names of the sets of the explorer of threads."""
    found = set()
    for path in glob.glob(os.path.join(ROOT, "tests", "**", "explore_*.c"), recursive=True):
        found.update(TABLE.findall(read(path)))
    return found


def tests():
    """The names of all tests, without their suites; also those of the explorer of threads."""
    return explored() | {test for suite in suites().values() for test in suite.tests}


def named_in(path):
    """The words in the line "Tests:" of a source's head; they should be suites."""
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as f:
        found = HEAD.search(f.read(6000))
    text = re.split(r"\.(?:\s|$)", re.sub(r"\n \* *", " ", found.group(1)))[0] if found else ""
    return [item.strip() for item in re.split(r"[,;]", text) if re.fullmatch(r"\w+", item.strip())]


def with_flag(flag):
    """The names of the suites with the flag @flag."""
    return {name for name, suite in suites().items() if flag in suite.flags}


def table():
    """Print the number of tests of each tag, by directory."""
    counts = {}
    for suite in suites().values():
        row = counts.setdefault(os.path.dirname(suite.path), dict.fromkeys(TAGS, 0))
        for tag in suite.tests.values():
            row[tag] += 1
    counts["together"] = {tag: sum(row[tag] for row in counts.values()) for tag in TAGS}
    print(f"{'':24}" + "".join(f"{tag:>10}" for tag in TAGS))
    for folder, row in sorted(counts.items(), key=lambda item: (item[0] == "together", item[0])):
        print(f"{folder:24}" + "".join(f"{row[tag]:10}" for tag in TAGS))


def main():
    if len(sys.argv) == 1:
        table()
        return 0
    wanted = sys.argv[1].split(",")
    if len(sys.argv) > 2 or set(wanted) - set(TAGS):
        sys.exit(__doc__)
    for name, suite in sorted(suites().items()):
        for test, tag in suite.tests.items():
            if tag in wanted:
                print(f"{name}.{test} {tag} {suite.path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
