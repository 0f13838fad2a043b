#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Functions of mm/, kernel/ and drivers/ that wait, against docs/waits.md, which says what ends each; part of lint.

Usage: tools/waits.py [FILE...]

Prints what the page lacks, and what it names in vain; with FILEs, the functions of these that wait.
"""
import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = "docs/waits.md"
ROW = re.compile(r"^\| ((?:mm|kernel|drivers)/\w+\.[ch]) \| `(\w+)` \| (.+) \|$", re.MULTILINE)
WAITS = re.compile(r"\b(?:wait_until|thread_sleep|thread_yield|cpu_relax|arch_idle_wait|arch_cpu_park)\(|"
                   r"\bfor \(;;\)|\bwhile \((?:true|1)\)")
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)


def waiting(path):
    """The functions of a file that wait, in order.  A function's name stands in a line without indentation."""
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        text = COMMENT.sub(lambda m: "\n" * m.group().count("\n"), f.read())
    name, found = None, []
    for line in text.split("\n"):
        head = re.match(r"^[A-Za-z_][^=;]*?\b(\w+)\(", line)
        if head and not line.rstrip().endswith(";"):
            name = head.group(1)
        if line[:1].isspace() and WAITS.search(line) and name and name not in found:
            found.append(name)
    return found


def wrong():
    with open(os.path.join(ROOT, PAGE), encoding="utf-8") as f:
        named = {(path, name) for path, name, _ in ROW.findall(f.read())}
    paths = [os.path.relpath(p, ROOT) for d in ("mm", "kernel", "drivers")
             for p in glob.glob(os.path.join(ROOT, d, "*.[ch]"))]
    there = {(path, name) for path in paths for name in waiting(path)}
    for path, name in sorted(there - named):
        yield f"{path}: {name} waits, and {PAGE} does not say what ends it"
    for path, name in sorted(named - there):
        yield f"{PAGE}: {path}: {name} does not wait"


if __name__ == "__main__":
    said = [f"{path}: {name}" for path in sys.argv[1:] for name in waiting(path)] if sys.argv[1:] else list(wrong())
    print("\n".join(said) or "waits: all are named")
    sys.exit(bool(said) and not sys.argv[1:])
