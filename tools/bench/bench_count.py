# SPDX-License-Identifier: MIT
"""Figures that no clock gives: boot the kernel with a counting plugin in QEMU (qemu_count.c).

The plugin knows nothing of the kernel.  This module finds the instructions to count in the kernel's
machine code, and turns the plugin's counts into figures.
"""
import bisect
import os
import re

import bench_report
import nm
import qemu
import rooms
from bench_report import Failed
from rooms import read

SOURCE = rooms.tool("qemu_count.c")
# Functions of kernel/lock.c: a LOCKed instruction of TAKES takes a lock, a store of DROPS frees it.
TAKES = "spin_lock spin_lock_irqsave lock_slow spin spin_trylock".split()
DROPS = "spin_unlock spin_unlock_irqrestore unlock_slow unlock_slow_irqrestore".split()
# No section with interrupts off is reported as beginning or ending in these, but in their caller.
THROUGH = TAKES + DROPS + ["check_order", "close_gap", "spin_is_held"]
# {row: the figure for its longest section with interrupts off}
LOADS = {"load": "irqs_off_max", "drain_full": "drain_full"}
RELINK = ("mm/core/buddy.c", "tree->list = (u8)(order + 1);")  # a pageblock changes its list
STACKS = (0xFFFFD00000000000, 0xFFFFE00000000000)  # ARCH_STACK_BASE


def said(*command):
    return bench_report.said(*command, what=" ".join(command), cwd=None)


def plugin(build):
    """The path of the plugin, made for this QEMU."""
    path = os.path.join(build, "count.so")
    why = qemu.make_plugin(SOURCE, path)
    if why or not os.path.getsize(path):
        raise Failed(f"{SOURCE}: {why or 'this QEMU does not load it'}")
    return path


# ---- the kernel's instructions -------------------------------------------------------------------


def instructions(elf, only=None):
    """[(function, address, text)] of the kernel's instructions, or of function @only, in order."""
    found, function = [], ""
    which = [f"--disassemble={only}"] if only else ["-d"]
    for line in said("objdump", *which, "--no-show-raw-insn", "-j", ".text", elf).split("\n"):
        head = re.match(r"^[0-9a-f]+ <(\S+)>:$", line)
        body = re.match(r"^([0-9a-f]+):\t(.*)$", line)
        if head:
            function = head.group(1)
        elif body:
            found.append((function, int(body.group(1), 16), body.group(2).strip()))
    return found


def stores_at(elf, path, text):
    """The addresses of instructions of the line @text of the source @path."""
    lines = [n for n, line in enumerate(read(path).split("\n"), 1) if line.strip() == text]
    found = set()
    name = os.path.basename(path)
    for row in said("objdump", "--dwarf=decodedline", elf).split("\n"):
        words = row.split()
        if len(words) < 3 or not words[1].isdigit():
            continue
        if os.path.basename(words[0]) == name and int(words[1]) in lines:
            found.add(int(words[2], 16))
    return found


def kind_of(function, text):
    """The plugin's flags for an instruction, except the flags that whole functions have."""
    if re.match(r"cli\b", text):
        yield "off"
    if re.match(r"(sti|popf|sysret)", text):
        yield "on"
    if re.match(r"iret", text):
        yield "leave"
    if text.startswith("lock ") or re.match(r"xchg\w?\s.*\(", text):
        yield "locked"
        if function in TAKES:
            yield "take"
    if function == "spin" and text.startswith("pause"):
        yield "spin"
    if function == "spin" and re.match(r"ret", text):
        yield "spun"


def tests_of_trace(code):
    """The addresses of the test whether events are recorded, with which mem_alloc_page and
    mem_free_page begin: from the load of the word to the first branch."""
    words = set()
    for name in ("mem_alloc_page", "mem_free_page"):
        body = [(at, text) for function, at, text in code if function == name]
        end = next((i for i, (_, text) in enumerate(body) if text.startswith("j")), 0)
        begin = next((i for i, (_, text) in enumerate(body[:end]) if "(%rdi)" in text), None)
        if begin is None:
            raise Failed(f"{name}: does not begin with a test whether to record")
        words.add(re.search(r"\S*\(%rdi\)", body[begin][1]).group())
        yield from (at for at, _ in body[begin : end + 1])
    if len(words) != 1:
        raise Failed(f"mem_alloc_page and mem_free_page test different words: {sorted(words)}")


FIRST_CALL, MAX_ROWS = 16, 32  # rows of calls; the kernel's own have lower numbers


def calls_of(code, names):
    """Lines of the spec that count each call of a function of @names in a row of its own name."""
    targets = {f"<{name}>": FIRST_CALL + i for i, name in enumerate(names)}
    found = set()
    for (_, at, text), (_, after, _) in zip(code, code[1:]):
        words = text.split()
        if words[0] == "call" and words[-1] in targets:
            row = targets[words[-1]]
            found.add(row)
            yield from (("call", at, row), ("next", after, row))
    for name, row in zip(names, targets.values()):
        if row not in found:
            raise Failed(f"PROFILE: nothing in the kernel calls {name}, or not by that name")
        if row >= MAX_ROWS:
            raise Failed(f"PROFILE: more than {MAX_ROWS - FIRST_CALL} functions")


def spec(elf, rows, names=()):
    """The text of the plugin's spec; @rows: {name: number}, as in the kernel; @names: functions
    whose calls are counted in rows, too."""
    symbols = {}
    for line in said(*nm.COMMAND, "-n", elf).split("\n"):
        words = line.split()
        if len(words) == 3:
            symbols.setdefault(words[2], int(words[0], 16))
    code = instructions(elf)
    missing = {"bench_mark", "bench_marks", "trap_stubs", "trap_common"} - set(symbols)
    missing |= {name for name in TAKES + DROPS if name not in symbols}
    if missing:
        raise Failed(f"{elf}: no {', '.join(sorted(missing))}: bench_count.py is out of date")
    first, last = code[0][1], code[-1][1] + 16
    lines = [("text", first, last), ("marks", symbols["bench_marks"], 0)]
    lines.append(("stacks", *STACKS))
    lines += [("load", rows[name], 0) for name in LOADS if name in rows]
    lines.append(("entry", symbols["trap_stubs"], symbols["trap_common"]))
    starts = [a for (f, a, _), (before, _, _) in zip(code, [("", 0, ""), *code]) if f != before]
    lines += [("function", a, b) for a, b in zip(starts, [*starts[1:], last])]
    for function, at, text in code:
        lines += [(kind, at, at + 1) for kind in kind_of(function, text)]
        if function in DROPS:
            lines.append(("drop", at, at + 1))
        if function in THROUGH:
            lines.append(("through", at, at + 1))
        if function == "bench_mark" and not names:
            lines.append(("mark", at, at + 1))
    lines += [("test", at, at + 1) for at in tests_of_trace(code)]
    at_line = stores_at(elf, *RELINK)
    store = re.compile(r"mov\w*\s.*,\S*\(\S+\)$")
    relinks = [at for _, at, text in code if at in at_line and store.match(text)]
    if not relinks:
        raise Failed(f"{RELINK[0]}: no store of {RELINK[1]!r}: bench_count.py is out of date")
    lines += [("relink", at, at + 1) for at in relinks]
    lines += calls_of(code, names)
    return "".join(f"{kind} {a:x} {b:x}\n" for kind, a, b in lines)


def source_rows():
    """{name: number} of the rows of bench/bench_count.c."""
    names = re.findall(r'X\(ROW_\w+, "(\w+)"\)', read("bench/bench_count.c"))
    return {name: number for number, name in enumerate(names)}


def options(build, name, names=()):
    """(QEMU's options, the path of the plugin's output); @names: see spec()."""
    elf = os.path.join(build, "quarry.elf")
    path = os.path.join(build, "qemu", f"{name}.spec")
    rooms.write(os.path.abspath(path), spec(elf, source_rows(), names))
    out = os.path.join(build, "qemu", f"{name}.counts")
    return ["-plugin", f"{plugin(build)},spec={path},out={out}"], out


# ---- figures -------------------------------------------------------------------------------------


class Counts:
    """The plugin's output, with the names of rows that the kernel printed."""

    def __init__(self, text, console):
        names = re.findall(r"^bench: row #(\d+) is (\w+)$", console, re.M)
        names = {int(number): name for number, name in names}
        zones = re.findall(r"^bench: lock 0x(\w+) is of a zone$", console, re.M)
        self.zones = {int(at, 16) for at in zones}
        self.rows, self.held, self.sections, self.at = {}, {}, [], {}
        for line in text.split("\n"):
            kind, *rest = line.split() or [""]
            if kind == "row":
                self.rows[names[int(rest[0])]] = [int(word) for word in rest[1:]]
            elif kind == "held":
                key = (names[int(rest[0])], int(rest[1], 16) in self.zones)
                was = self.held.get(key, (0, 0))
                self.held[key] = (was[0] + int(rest[2]), was[1] + int(rest[3]))
            elif kind == "at":
                self.at.setdefault(names[int(rest[0])], {})[int(rest[1], 16)] = int(rest[2])
            elif kind == "off":
                length, *where, most = rest
                where = [int(word, 16) for word in where]
                self.sections.append((int(length), *where, int(most)))

    def per(self, row, column):
        """The count in @column of one operation of @row, less the count of the marks themselves."""
        windows, *counts = self.rows[row]
        none, *empty = self.rows["empty"]
        return counts[column] / windows - empty[column] / none

    def per_held(self, row, zone, column):
        return self.held.get((row, zone), (0, 0))[column] / self.rows[row][0]


INSNS, LOCKED, LINES, CODE, TESTS, RELINKS = range(6)


def counted(counts):
    """[(name, value, unit)] of the group "counted"."""
    for row in bench_report.COUNTED.split():
        yield f"locked_{row}", counts.per(row, LOCKED), "LOCKed instructions"
        yield f"lines_{row}", counts.per(row, LINES), "cache lines of data"
        yield f"code_lines_{row}", counts.per(row, CODE), "cache lines of code"
    yield "trace_off_cost", counts.per("order0_pair", TESTS), "instructions"
    both = ("fill_order0", "free_random_order0")
    held = sum(counts.per_held(row, True, 0) for row in both)
    yield "zone_lock_held_pair", held, "instructions"
    yield "zone_lock_taken_pair", sum(counts.per_held(row, True, 1) for row in both), "times"
    others = sum(counts.per_held(row, False, 0) for row in both)
    yield "other_locks_held_pair", others, "instructions"
    inside, holds = counts.held.get(("isolate_fragmented", True), (0, 0))
    yield "isolate_fragmented", inside / holds if holds else 0, "instructions"
    yield "relinks_pair", sum(counts.per(row, RELINKS) for row in both), "pageblocks"
    whole = sum(counts.per(row, INSNS) for row in both)
    yield "zone_lock_full_at", whole / held if held else 0, "CPUs"


def loaded(counts, name):
    """The longest section with interrupts off, as figure @name."""
    if counts.sections:
        yield name, max(counts.sections)[0], "instructions"


class Functions:
    """The functions of the kernel, by address."""

    def __init__(self, elf):
        rows = (line.split() for line in said(*nm.COMMAND, "-n", elf).split("\n"))
        found = sorted((int(r[0], 16), r[2]) for r in rows if len(r) == 3 and r[1] in "tT")
        self.starts, self.names = [a for a, _ in found], [name for _, name in found]

    def at(self, address):
        """(name, offset)"""
        i = bisect.bisect_right(self.starts, address) - 1
        return (self.names[i], address - self.starts[i]) if i >= 0 else (hex(address), 0)


def sections(counts, functions):
    """A line for each of the longest sections: its length, its first and its last instruction
    outside of locks, and the function in which most of its instructions are."""

    def name(address):
        return "%s+%#x" % functions.at(address)

    return [
        f"{n} from {name(first)} to {name(last)}; {of} in {functions.at(most)[0]}"
        for n, first, last, most, of in sorted(counts.sections, reverse=True)
    ]


def profile(counts, functions):
    """Lines that say how many instructions of each row are in which function, from 1/200 on."""
    for row, at in counts.at.items():
        windows, share = counts.rows[row][0], {}
        for address, times in at.items():
            name = functions.at(address)[0]
            share[name] = share.get(name, 0) + times
        yield f"{row}: {sum(share.values()) / windows:.1f} instructions"
        for name, times in sorted(share.items(), key=lambda item: -item[1]):
            if times / windows >= max(0.05, sum(share.values()) / windows / 200):
                yield f"  {times / windows:10.1f}  {name}"


def profile_of_calls(out, names, build):
    """The lines of profile() for each call of the functions @names."""
    said = [f"bench: row #{FIRST_CALL + i} is {name}" for i, name in enumerate(names)]
    with open(out, encoding="utf-8") as f:
        rows = [line for line in f if line.split()[0] in ("row", "at")]
    rows = [line for line in rows if FIRST_CALL <= int(line.split()[1]) < FIRST_CALL + len(names)]
    counts = Counts("".join(rows), "\n".join(said))
    for name in names:
        yield f"{name}: {counts.rows.get(name, [0])[0]} calls"
    yield from profile(counts, Functions(os.path.join(build, "quarry.elf")))


def write_lines(build, name, lines):
    rooms.write(os.path.join(os.path.abspath(build), "qemu", name), "\n".join(lines) + "\n")


def figures(out, console, build):
    """[(name, value, unit)]; also writes the profile to BUILD/qemu/profile.txt, and the longest
    sections to irqs-off.txt."""
    try:
        counts = Counts(read(os.path.abspath(out)), console)
    except OSError as error:
        raise Failed(f"{out}: {error.strerror}") from error
    functions = Functions(os.path.join(build, "quarry.elf"))
    policies = [row for row in counts.rows if row.startswith("policy_")]
    found = [(f"{row}_time", counts.rows[row][1], "instructions") for row in policies]
    load = next((name for name in LOADS if name in counts.rows), None)
    if load:
        if load == "load":
            write_lines(build, "irqs-off.txt", sections(counts, functions))
        found += loaded(counts, LOADS[load])
    elif "empty" in counts.rows:
        write_lines(build, "profile.txt", profile(counts, functions))
        found += counted(counts)
    return [(name, int(v) if v == int(v) else round(v, 4), unit) for name, v, unit in found]
