#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tables of pages in docs/ that are made from the tests: lint says where they differ.

Usage: tables.py [--update]     make them again; then print what is wrong

docs/machine.md has the machines of tests/machines/*.machine; docs/mm/poison.md has rows of states,
besides those of cases that need two threads, which are written by hand.
"""
import glob
import os
import re
import sys

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
from rooms import ROOT, read


def outdated(page, made, make, source):
    """A line if the text of the pattern @made in the page is not what make() returns."""
    found = made.search(read(page))
    if not found or found.group() != make():
        yield f"{page}: the table is not that of {source}; run tools/lint/tables.py --update"


# ---- machines ------------------------------------------------------------------------------------

MACHINE_PAGE = "docs/machine.md"
# Each decision, and its column.
DECISIONS = {
    "ram": "RAM",
    "low": "of the first MiB",
    "cpus": "CPUs",
    "nodes": "nodes",
    "apic": "APIC",
    "clock": "clock",
    "mce": "machine checks",
    "console": "console",
    "lines": "I/O APIC and line",
    "pci": "PCI",
    "power": "turned off by",
    "end": "after a run",
}
MACHINES = re.compile(r"^\| machine \| RAM .*\n\|[-|]+\n((?:\|.*\|\n)+)", re.M)
EXPECT = re.compile(r"expect (\w+): (.*?) *(?:# *(.*))?")


def listed():
    """The names of the descriptions, in the order of the suite."""
    return re.findall(r'^    MACHINE\("(.*)"\)$', read("tests/machines/machines.c"), re.M)


def decisions(name):
    """For each decision: (what is expected, its source, perhaps on the line before)."""
    found, before = {}, ""
    for line in read(f"tests/machines/{name}.machine").splitlines():
        match = EXPECT.fullmatch(line)
        if match:
            source = match[3] or before.removeprefix("# ")
            found[match[1]] = (match[2], source if match[3] or before.startswith("# ") else "")
        before = line
    return found


def machine_table():
    rows = ["| machine | " + " | ".join(DECISIONS.values()) + " |\n", "|---" * 13 + "|\n"]
    for name in listed():
        found = decisions(name)
        title = re.search(r"^title (.*)", read(f"tests/machines/{name}.machine"), re.M)[1]
        cells = [title] + [found.get(decision, ("",))[0] for decision in DECISIONS]
        rows.append("| " + " | ".join(cells) + " |\n")
    return "".join(rows)


def check_machines(_):
    """docs/machine.md has the table of tests/machines/, each expectation its source"""
    files = glob.glob("*.machine", root_dir=os.path.join(ROOT, "tests/machines"))
    there = {name.removesuffix(".machine") for name in files}
    for name in sorted(there ^ set(listed())):
        yield f"tests/machines/machines.c: {name}.machine is not read, or not there"
    for name in sorted(there):
        for decision, (_, source) in decisions(name).items():
            if not source:
                yield f"tests/machines/{name}.machine: {decision} has no source"
    yield from outdated(MACHINE_PAGE, MACHINES, machine_table, "the machines")


# ---- states of a poisoned page -------------------------------------------------------------------

POISON_PAGE = "docs/mm/poison.md"
SUITES = {
    "poison_states": "tests/suites/mm/poison/test_poison_states.c",
    "poison_vm": "tests/suites/mm/poison/test_poison_vm.c",
}
NEXT = r",[\s\\]+"  # between two parts of an entry, which may have several lines
ROW = re.compile(
    rf'^\tX\((\w+){NEXT}"([^"]*)"{NEXT}(-?\w+){NEXT}(-?\w+){NEXT}(\w+){NEXT}(-?\w+){NEXT}(\w+)\)',
    re.MULTILINE,
)
# The rows of the page that are made from the tests.
STATES = re.compile(r"(?<=\|\n)(?:\|.*`poison_(?:states|vm)\.\w+` \|\n)+")
OUTCOMES = {
    "RECOVERED": "retired",
    "DELAYED": "flagged; retired with its last reference",
    "IGNORED": "flagged; retired when it is freed",
    "FAILED": "",
}


def said(error, outcome):
    what = OUTCOMES[outcome]
    if error == "0":
        return what
    return f"`{error}`" + (f": {'flagged' if error == '-ENXIO' else what}" if what else "")


def poison_rows():
    rows = ""
    for suite, path in SUITES.items():
        for name, text, soft, hard, outcome, unpoison, _ in ROW.findall(read(path)):
            asked = said(soft, "RECOVERED" if soft == "0" else "FAILED")
            back = unpoison if unpoison == "0" else f"`{unpoison}`"
            rows += f"| {text} | {asked} | {said(hard, outcome)} | {back} | `{suite}.{name}` |\n"
    return rows


def check_poison_table(_):
    """docs/mm/poison.md agrees with the tests about each state of a page"""
    yield from outdated(POISON_PAGE, STATES, poison_rows, "the tests")


CHECKS = [check_poison_table, check_machines]


def main():
    if "--update" in sys.argv[1:]:
        for page, made, make in (
            (MACHINE_PAGE, MACHINES, machine_table),
            (POISON_PAGE, STATES, poison_rows),
        ):
            text = read(page)
            start, end = made.search(text).span()
            rooms.write(page, text[:start] + make() + text[end:])
    lines = [line for check in CHECKS for line in check(None)]
    print("\n".join(lines) or "tables: as the tests say")
    return 1 if lines else 0


if __name__ == "__main__":
    rooms.run(main)
