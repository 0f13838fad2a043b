#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make rows of the table of docs/mm/poison.md from the tests that show them.

Usage: poison_table.py [--update]

Without --update it prints where the page differs from the tests; part of lint.  The other rows of
the table, of cases that need two threads, are written by hand.
"""
import os
import re
import sys

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import page_table
from rooms import read

PAGE = "docs/mm/poison.md"
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
MADE = re.compile(r"^\| the page is .*\n\|[-|]+\n((?:\|.*`poison_(?:states|vm)\.\w+` \|\n)+)", re.M)
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


def rows():
    return "".join(
        f"| {text} | {said(soft, 'RECOVERED' if soft == '0' else 'FAILED')} | "
        f"{said(hard, outcome)} | "
        f"{unpoison if unpoison == '0' else f'`{unpoison}`'} | `{suite}.{name}` |\n"
        for suite, path in SUITES.items()
        for name, text, soft, hard, outcome, unpoison, _ in ROW.findall(read(path))
    )


def wrong():
    """The faults of the page."""
    found = MADE.search(read(PAGE))
    if not found or found.group(1) != rows():
        yield (
            f"{PAGE}: the table of states is not that of the tests; "
            "run tools/lint/poison_table.py --update"
        )


if __name__ == "__main__":
    sys.exit(page_table.main(PAGE, MADE, 1, rows, wrong, "the tests"))
