#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make the table of docs/mm/poison.md from the tests that show its rows.

Usage: tools/poison_table.py [--update]

Without --update it prints where the page differs from the tests, or names a missing test; part of
lint.
"""
import os
import re
import sys

sys.dont_write_bytecode = True  # nothing outside the build directory
import suites

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
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
TABLE = re.compile(r"(<!-- states -->\n)(.*?)(<!-- end -->)", re.DOTALL)
OUTCOMES = {
    "RECOVERED": "retired",
    "DELAYED": "flagged; retired with its last reference",
    "IGNORED": "flagged; retired when it is freed",
    "FAILED": "",
}
# Cases that need two threads: (state, soft, hard, unpoison, the tests).
TOGETHER = [
    (
        "being freed",
        "waited for",
        "flagged; retired by that free",
        "0",
        "race R-PSN-soft, race R-PSN-put",
    ),
    (
        "being moved",
        "waited for, then as it is found",
        "waited for, then as it is found",
        "`-EINVAL`",
        "poison_race.page_that_breaks_during_its_migration_is_retired, "
        "poison_race.page_that_breaks_during_a_failed_migration_is_retired, "
        "poison_race.soft_offline_during_a_migration_succeeds",
    ),
    (
        "target of a move",
        "`-EBUSY`",
        "`-EBUSY`: flagged; the move goes back, and has another",
        "`-EBUSY`",
        "poison_race.target_that_breaks_during_the_copy_is_retired",
    ),
    (
        "in a range that is going offline",
        "retired",
        "retired",
        "0",
        "poison.a_page_breaks_during_an_offline",
    ),
    (
        "of standby memory",
        "`-ENXIO`",
        "`-ENXIO`: flagged, with all of its pageblock",
        "`-EBUSY`, until its step has come",
        "poison_standby.page_that_breaks_in_standby_memory_is_never_used",
    ),
    (
        "where a standby step has put its descriptors",
        "`-ENXIO`",
        "`-ENXIO`: all of its pageblock is reserved",
        "`-EINVAL`",
        "poison_standby.page_that_breaks_while_coming_online_is_reserved",
    ),
    ("in a range that was just offlined", "`-ENXIO`", "`-ENXIO`: flagged", "0", "race R-S4c"),
]


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def said(error, outcome):
    what = OUTCOMES[outcome]
    if error == "0":
        return what
    return f"`{error}`" + (f": {'flagged' if error == '-ENXIO' else what}" if what else "")


def cells(tests):
    return ", ".join(f"`{test}`" for test in tests.split(", "))


def table():
    lines = [
        "| the page is | soft offline | hard failure | unpoison after that | shown by |",
        "|---|---|---|---|---|",
    ]
    for suite, path in SUITES.items():
        for name, text, soft, hard, outcome, unpoison, _ in ROW.findall(read(path)):
            lines.append(
                f"| {text} | {said(soft, 'RECOVERED' if soft == '0' else 'FAILED')} | "
                f"{said(hard, outcome)} | "
                f"{unpoison if unpoison == '0' else f'`{unpoison}`'} | `{suite}.{name}` |"
            )
    lines += [
        f"| {state} | {soft} | {hard} | {unpoison} | {cells(tests)} |"
        for state, soft, hard, unpoison, tests in TOGETHER
    ]
    return "\n" + "\n".join(lines) + "\n\n"


def wrong():
    """The faults of the page."""
    text = read(PAGE)
    found = TABLE.search(text)
    if not found:
        yield f"{PAGE}: no table of states"
    elif found.group(2) != table():
        yield (
            f"{PAGE}: the table of states is not that of the tests; "
            "run tools/poison_table.py --update"
        )
    for suite, name in re.findall(r"`(poison(?:_\w+)?)\.(\w+)`", text):
        if suite not in suites.suites():
            yield f"{PAGE}: no suite {suite}"
        elif name not in suites.suites()[suite].tests:
            yield f"{PAGE}: no test {suite}.{name}"
    for name in re.findall(r"`race (R-[\w-]+)`", text):
        if not os.path.exists(os.path.join(ROOT, "tests/races", name + ".race")):
            yield f"{PAGE}: no script {name}"


def main():
    if "--update" in sys.argv[1:]:
        text = TABLE.sub(lambda m: m.group(1) + table() + m.group(3), read(PAGE))
        with open(os.path.join(ROOT, PAGE), "w", encoding="utf-8") as f:
            f.write(text)
    lines = list(wrong())
    print("\n".join(lines) or f"{PAGE}: as the tests say")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
