#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make the table of docs/machine.md from the descriptions of machines.

Usage: machines.py [--update]

Without --update it prints where the page differs from tests/machines/*.machine, what has no source,
and which description the suite does not read; part of lint.
"""
import glob
import os
import re
import sys

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import page_table
from rooms import ROOT, read

PAGE = "docs/machine.md"
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
MADE = re.compile(r"^\| machine \| RAM .*\n\|[-|]+\n((?:\|.*\|\n)+)", re.M)
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


def table():
    rows = ["| machine | " + " | ".join(DECISIONS.values()) + " |\n", "|---" * 13 + "|\n"]
    for name in listed():
        found = decisions(name)
        title = re.search(r"^title (.*)", read(f"tests/machines/{name}.machine"), re.M)[1]
        cells = [title] + [found.get(decision, ("",))[0] for decision in DECISIONS]
        rows.append("| " + " | ".join(cells) + " |\n")
    return "".join(rows)


def wrong():
    """What is wrong with the page and the descriptions."""
    there = {
        os.path.basename(path)[: -len(".machine")]
        for path in glob.glob(os.path.join(ROOT, "tests/machines/*.machine"))
    }
    for name in sorted(there ^ set(listed())):
        yield f"tests/machines/machines.c: {name}.machine is not read, or not there"
    for name in sorted(there):
        for decision, (_, source) in decisions(name).items():
            if not source:
                yield f"tests/machines/{name}.machine: {decision} has no source"
    found = MADE.search(read(PAGE))
    if not found or found.group(0) != table():
        yield f"{PAGE}: the table is not that of the machines; run tools/lint/machines.py --update"


if __name__ == "__main__":
    sys.exit(page_table.main(PAGE, MADE, 0, table, wrong, "the descriptions"))
