# SPDX-License-Identifier: MIT
"""Checks of what CPUs share: which functions wait, and which stores a field; part of lint.

A function of mm/, kernel/, demo/, drivers/ or arch/x86_64 waits if it sleeps, yields or relaxes;
has a loop without a condition; a loop around a compare-and-swap; or a loop whose condition reads a
value that another CPU or a device writes, and compares no counter.  docs/waits.md says what ends
each wait.  A field of WRITERS is stored by its writer only, and by WRITE_ONCE if it is read by
READ_ONCE, thus without the lock.
"""
import glob
import re

import bodies
from rooms import ROOT, read

WAITS_PAGE = "docs/waits.md"
FOLDERS = ("mm", "kernel", "demo", "bench", "drivers", "arch/x86_64", "tests/soak")
ROW = re.compile(
    rf"^\| ((?:{'|'.join(FOLDERS)})/(?:\w+/)?\w+\.[ch]) \| `(\w+)` \| (.+) \|$", re.MULTILINE
)
WAITS = re.compile(
    r"\b(?:wait_until|mutex_lock_unless|"
    r"sleep_unlocked|sleep_passing|thread_sleep|thread_yield|cpu_relax|"
    r"arch_idle_wait)\(|"
    r"\barch_cpu_park\(|"
    r"\bfor \(;;\)|\bwhile \((?:true|1)\)|\bhlt\b"
)
LOOP = re.compile(r"\b(for|while|do)\b")
CAS = re.compile(r"\b\w*cas\w*\(|__atomic_compare_exchange")
# Reads of values that another CPU or a device changes: shared memory, and registers of devices.
SHARED = re.compile(
    r"\b(?:READ_ONCE|load_acquire|atomic_\w+|__atomic_\w+|in[bwl]|inp[bwl]|page_word|"
    r"\w*trylock\w*|rdmsr|\w*apic_read|pm_read)\("
)
COUNTED = re.compile(r"(?<![-<])[<](?![<])|(?<![->])[>](?![>])|--|\+\+")
OF_HOST = re.compile("bench/(?:peers|time)/")  # programs of the host
# Functions of tests/lint/waits.c that must be found.
PLANTED_WAITS = "sleeps_on_a_queue sleeps_a_while spins_for_ever swaps_until_it_succeeds ".split()
PLANTED_WAITS += "swaps_in_the_body spins_without_a_pause spins_by_do spins_until_told".split()
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:[^\"\\\n]|\\.)*\"", re.DOTALL)


def without_comments(path):
    """The text of a file, with its lines, but no comments and strings."""
    return COMMENT.sub(lambda m: "\n" * m.group().count("\n"), read(path))


def closing(text, at):
    """The index behind the bracket that closes the one at @at."""
    depth = 0
    for i in range(at, len(text)):
        depth += text[i] in "({"
        depth -= text[i] in ")}"
        if depth == 0:
            return i + 1
    return len(text)


def statement(text, at):
    """The index behind the statement that begins at @at: a block, or up to its semicolon."""
    while at < len(text) and text[at].isspace():
        at += 1
    if text[at : at + 1] == "{":
        return closing(text, at)
    while at < len(text) and text[at] != ";":
        at = closing(text, at) if text[at] in "({" else at + 1
    return at + 1


def loops(text):
    """(condition, body) of each loop."""
    for m in LOOP.finditer(text):
        at = m.end()
        while text[at : at + 1].isspace():
            at += 1
        if m.group(1) == "do":
            end = statement(text, at)
            tail = re.match(r"\s*while\s*\(", text[end:])
            if tail:
                begin = end + tail.end()
                yield text[begin : closing(text, begin - 1) - 1], text[at:end]
        elif text[at : at + 1] == "(":
            end = closing(text, at)
            inside = text[at + 1 : end - 1]
            if m.group(1) == "for" and inside.count(";") == 2:
                inside = inside.split(";")[1]
            yield inside, text[end : statement(text, end)]


def waiting_loop(condition, body):
    if CAS.search(condition):
        return True
    if CAS.search(body) and not COUNTED.search(condition):
        return True
    return bool(SHARED.search(condition)) and not COUNTED.search(condition)


def waiting(path):
    """The waiting functions of a file, in order."""
    text, found = without_comments(path), []
    for body in bodies.bodies(text).values():
        code = text[body.begin : body.end]
        spins = any(waiting_loop(condition, inside) for condition, inside in loops(code))
        if spins or WAITS.search(code):
            found.append(body.name)
    return found


def check_waits(_):
    """docs/waits.md says what ends the wait of each waiting function"""
    named = {(path, name) for path, name, _ in ROW.findall(read(WAITS_PAGE))}
    paths = [p for d in FOLDERS for p in glob.glob(f"{d}/**/*.[ch]", root_dir=ROOT, recursive=True)]
    there = {(path, name) for path in paths for name in waiting(path) if not OF_HOST.match(path)}
    for path, name in sorted(there - named):
        yield f"{path}: {name} waits, and {WAITS_PAGE} does not say what ends it"
    for path, name in sorted(named - there):
        yield f"{WAITS_PAGE}: {path}: {name} does not wait"
    planted = waiting("tests/lint/waits.c")
    if planted != PLANTED_WAITS:
        yield f"tests/lint/waits.c: found are {', '.join(planted)}"


# ---- one writer ----------------------------------------------------------------------------------

WRITERS_PAGE = "docs/mm/model.md"
PLANTED = "tests/lint/writers.c"
LINKS = ["mm/core/buddy.c link_block", "mm/core/buddy.c unlink_block"]
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
    ("zone", "blocks"): [*LINKS, "mm/core/mm_init.c init_zone"],
    ("zone", "have"): LINKS,
    ("pageblock_tree", "list"): LINKS,
    ("pageblock_tree", "next"): LINKS,
    ("pageblock_tree", "prev"): LINKS,
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


# The expression that a field is read from: names, and brackets with at most one level inside.
PLACE = re.compile(r"(?:[\w>.&-]|\((?:[^()]|\([^()]*\))*\)|\[(?:[^\[\]]|\[[^\]]*\])*\])*$")


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
    text = without_comments(path)
    for function in bodies.bodies(text).values():
        start = function.begin - len(function.head)
        first, name, body = text.count("\n", 0, start), function.name, text[start : function.end]
        for kind, field in WRITERS:
            index = r"(?:\[[^\]]*\])*" if kind == "zone" else ""  # only zones have arrays
            for m in re.finditer(STORE.format(field=field, index=index), body):
                at = m.start() + re.search(rf"(?:->|\.){field}\b", m.group()).start()
                if of_struct(kind, body[:at], body):
                    plain = "WRITE_ONCE" not in m.group()
                    yield first + body.count("\n", 0, m.end()) + 1, kind, field, name, plain


def read_unlocked(path):
    """The fields of WRITERS that a file reads by READ_ONCE."""
    text = read(path)
    for kind, field in WRITERS:
        for m in re.finditer(rf"READ_ONCE\([^;]*?(?:->|\.){field}\b", text):
            if of_struct(kind, m.group()[: m.group().rindex(field) - 1].rstrip("-"), text):
                yield kind, field


def table():
    """The lines of the table in WRITERS_PAGE."""
    for (kind, field), by in WRITERS.items():
        yield f"| `{kind}->{field}` | " + ", ".join(f"`{w.split()[1]}`" for w in by) + " |"


def check_writers(_):
    """each field of shared.py is stored by its writer only"""
    found = set()
    places = glob.glob("mm/*/*.[ch]", root_dir=ROOT)
    places = sorted(places + glob.glob("include/quarry/*.h", root_dir=ROOT))
    unlocked = {field for path in places for field in read_unlocked(path)}
    for path in places:
        for line, kind, field, name, plain in stores(path):
            if plain and (kind, field) in unlocked:
                yield f"{path}:{line}: a plain store to {kind}.{field}, read without its lock"
            found.add((kind, field, f"{path} {name}"))
            if f"{path} {name}" not in WRITERS[kind, field]:
                yield f"{path}:{line}: {name} stores {kind}.{field}"
    yield from (
        f"tools/lint/shared.py: {writer} does not store {kind}.{field}"
        for (kind, field), by in WRITERS.items()
        for writer in by
        if (kind, field, writer) not in found
    )
    lines = read(WRITERS_PAGE).split("\n")
    yield from (f"{WRITERS_PAGE}: lacks {row}" for row in table() if row not in lines)
    marked = enumerate(read(PLANTED).split("\n"), 1)
    wanted = {nr for nr, line in marked if "/* finds */" in line}
    planted = {line for line, *_ in stores(PLANTED)}
    yield from (f"{PLANTED}:{nr}: the check is wrong here" for nr in sorted(wanted ^ planted))


CHECKS = [check_waits, check_writers]
