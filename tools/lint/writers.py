# SPDX-License-Identifier: MIT
"""
Check that each field of WRITERS is stored by its writer only, and by WRITE_ONCE if it is read by
READ_ONCE, thus without the lock; part of lint.
"""
import glob
import os
import re

import waits

PAGE = "docs/mm/model.md"
PLANTED = "tests/lint/writers.c"
# struct, field -> the functions that store it.  A list is stored by the pair that links and
# unlinks; zeroing a whole struct, and memory that nobody else has yet, are not stores.
WRITERS = {
    ("pcp_stack", "top"): ["include/quarry/mm.h stack_set_top"],
    ("pcp_stack", "limit"): ["include/quarry/mm.h stack_set_capacity"],
    ("pcp_stack", "slot"): ["mm/core/pcp_limits.c pcp_give_slots"],
    ("pageblock", "nr_free"): ["mm/core/buddy.h block_set_free"],
    ("pageblock", "stack"): ["mm/core/pageblock.c pageblock_store"],
    ("zone", "nr_free"): ["mm/core/buddy.h zone_add_free"],
    ("zone", "nr_free_cma"): ["mm/core/buddy.h zone_add_lent"],
    ("zone", "nr_isolated"): ["mm/core/pageblock.c zone_add_isolated"],
    ("zone", "present"): ["mm/core/zone.h zone_add_pages"],
    ("zone", "managed"): ["mm/core/zone.h zone_add_pages"],
    ("zone", "nr_doomed"): ["mm/core/poison_take.c zone_add_doomed"],
    ("zone", "blocks"): [
        "mm/core/buddy.c link_block",
        "mm/core/buddy.c unlink_block",
        "mm/core/mm_init.c init_zone",
    ],
    ("zone", "have"): ["mm/core/buddy.c link_block", "mm/core/buddy.c unlink_block"],
    ("pageblock_tree", "list"): ["mm/core/buddy.c link_block", "mm/core/buddy.c unlink_block"],
    ("pageblock_tree", "next"): ["mm/core/buddy.c link_block", "mm/core/buddy.c unlink_block"],
    ("pageblock_tree", "prev"): ["mm/core/buddy.c link_block", "mm/core/buddy.c unlink_block"],
}
# What names a struct besides the variables and fields that are declared as pointers to it.
MAKERS = {
    "pcp_stack": r"\bstack\[",
    "pageblock": r"\bpageblock_of\(|\bblock_of_number\(|\bpageblocks\[",
    "zone": r"\bzone_of\(|\bzones\[|(?:->|\.)zone\b",
    "pageblock_tree": r"\btree_of\(|\btrees\[",
}
STORE = (
    r"(?:->|\.)(?:{field})\b{index}\s*"
    r"(?:(?:[-+*/%&|^]|<<|>>)?=(?!=)|\+\+|--)"  # x->field = ..., x->field++
    r"|(?:\+\+|--)[^;,=(){{}}]*(?:->|\.)(?:{field})\b"
    r"|\b(?:WRITE_ONCE\(|store_release\(&|atomic_\w+\(&|memcpy\(&|memset\(&)"
    r"[^;]*?(?:->|\.)(?:{field})\b{index}\s*,"
    r"|(?<!&)&(?!&)[\w>.()\[\]\s-]*(?:->|\.)(?:{field})\b(?!\.|->)"  # its address
)


def functions(text):
    """(line, name, head and body) of each function: only its braces stand alone in column 0."""
    start, end, lines = None, 0, text.split("\n")
    for nr, line in enumerate(lines):
        if line == "{":
            start = nr
        elif line == "}" and start is not None:
            head = start - 1  # the last line without indentation
            while head > end and not re.match(r"[A-Za-z].*\(", lines[head]):
                head -= 1
            name = re.search(r"\b(\w+)\(", re.sub(r"\(\*\w+\)", "", lines[head]))
            yield head, name.group(1) if name else "?", "\n".join(lines[head : nr + 1])
            start, end = None, nr + 1


# The expression that a field is read from: names, and brackets with at most one level inside.
PLACE = re.compile(
    r"(?:[\w>.&-]|\((?:[^()]|\([^()]*\))*\)|\[(?:[^\[\]]|\[[^\]]*\])*\])*$",
)


def of_struct(kind, before, body):
    """Does the expression at the end of @before name a struct @kind?"""
    place = PLACE.search(before).group()
    name = re.search(r"(\w+)(?:\[[^\]]*\])?$", place)
    if name and re.search(
        rf"struct {kind} (?:(?!struct\b)[^;{{}}()]|\([^;()]*\))*?\*?"
        rf"\b{name.group(1)}\b(?![(>\w-])",
        body,
    ):
        return True
    return bool(re.search(rf"(?:{MAKERS[kind]})[^;]*$", place))


def stores(path):
    """(line, struct, field, function, plain) of each store to a field of WRITERS in a file."""
    with open(os.path.join(waits.ROOT, path), encoding="utf-8") as f:
        text = waits.COMMENT.sub(lambda m: "\n" * m.group().count("\n"), f.read())
    for first, name, body in functions(text):
        for kind, field in WRITERS:
            index = r"(?:\[[^\]]*\])*" if kind == "zone" else ""  # only zones have arrays
            for m in re.finditer(STORE.format(field=field, index=index), body):
                at = m.start() + re.search(rf"(?:->|\.){field}\b", m.group()).start()
                if of_struct(kind, body[:at], body):
                    plain = "WRITE_ONCE" not in m.group()
                    yield first + body.count("\n", 0, m.end()) + 1, kind, field, name, plain


def read_unlocked(path):
    """The fields of WRITERS that a file reads by READ_ONCE."""
    with open(os.path.join(waits.ROOT, path), encoding="utf-8") as f:
        text = f.read()
    for kind, field in WRITERS:
        for m in re.finditer(rf"READ_ONCE\([^;]*?(?:->|\.){field}\b", text):
            if of_struct(kind, m.group()[: m.group().rindex(field) - 1].rstrip("-"), text):
                yield kind, field


def table():
    """The lines of the table in PAGE."""
    for (kind, field), by in WRITERS.items():
        yield f"| `{kind}->{field}` | " + ", ".join(f"`{w.split()[1]}`" for w in by) + " |"


def wrong():
    found = set()
    places = glob.glob(os.path.join(waits.ROOT, "mm", "*", "*.[ch]"))
    places += glob.glob(os.path.join(waits.ROOT, "include", "quarry", "*.h"))
    places = sorted(os.path.relpath(p, waits.ROOT) for p in places)
    unlocked = {read for path in places for read in read_unlocked(path)}
    for path in places:
        for line, kind, field, name, plain in stores(path):
            if plain and (kind, field) in unlocked:
                yield f"{path}:{line}: a plain store to {kind}.{field}, read without its lock"
            found.add((kind, field, f"{path} {name}"))
            if f"{path} {name}" not in WRITERS[kind, field]:
                yield f"{path}:{line}: {name} stores {kind}.{field}"
    yield from (
        f"tools/lint/writers.py: {writer} does not store {kind}.{field}"
        for (kind, field), by in WRITERS.items()
        for writer in by
        if (kind, field, writer) not in found
    )
    with open(os.path.join(waits.ROOT, PAGE), encoding="utf-8") as f:
        lines = f.read().split("\n")
    yield from (f"{PAGE}: lacks {row}" for row in table() if row not in lines)
    with open(os.path.join(waits.ROOT, PLANTED), encoding="utf-8") as f:
        wanted = {nr for nr, line in enumerate(f.read().split("\n"), 1) if "/* finds */" in line}
    planted = {line for line, *_ in stores(PLANTED)}
    yield from (f"{PLANTED}:{nr}: the check is wrong here" for nr in sorted(wanted ^ planted))


def check_writers(_):
    """each field of writers.py is stored by its writer only"""
    yield from wrong()


CHECKS = [check_writers]
