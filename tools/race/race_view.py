# SPDX-License-Identifier: MIT
"""The output of a stepper: a screen of 80 columns and 24 rows, redrawn in place; or plain lines,
into a pipe and on a terminal that is smaller or dumb.  And the source of a race's moves: the place
of a scheduling point, its next line, and the text of docs/races about the code before and behind
it.  For race_step.py.
"""
import glob
import os
import re
import shutil
import sys
import textwrap
from dataclasses import dataclass

import race_engine
from rooms import read

WIDTH = 80
ROWS = 24


def clip(text, width=WIDTH):
    text = text.rstrip()
    return text if len(text) <= width else text[: width - 3].rstrip() + "..."


def wrap(text, indent="", width=WIDTH):
    """@text in lines of at most @width; all after the first begin with @indent."""
    return textwrap.wrap(
        text, width, subsequent_indent=indent, break_on_hyphens=False, break_long_words=True
    )


def is_screen():
    """Can the terminal be drawn on, in place?"""
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if not terminal or os.environ.get("TERM", "dumb") in ("dumb", ""):
        return False
    size = shutil.get_terminal_size()
    return size.columns >= WIDTH and size.lines >= ROWS


LATE = "; not seen yet: "  # of a role's line: its stores that the other CPUs do not see


def arrived(before, after):
    """The stores of a role's line @before that the others see in its line @after."""
    old, new = before.partition(LATE)[2], after.partition(LATE)[2]
    return "" if new.startswith(old) else old


def brief(where):
    """A role's line, with the number of such stores."""
    where, _, late = where.partition(LATE)
    nr = late.count(",") + 1
    return f"{where}; {nr} store{'s' if nr > 1 else ''} not seen yet" if late else where


def move_line(before, picture):
    """A line about a move: its role's new place, and other changes."""
    letter = picture.mover
    parts = [f"{letter} {brief(picture.roles.get(letter, ''))}"]
    for role, where in picture.roles.items():
        if role != letter and where != before.roles.get(role):
            parts.append(f"{role} {brief(where)}")
    for role, where in picture.roles.items():
        seen = arrived(before.roles.get(role, ""), where)
        parts += [f"{role}'s stores arrive: {seen}"] if seen else []
    if picture.page != before.page:
        parts.append(picture.page)
    return clip(f"{picture.number:4} {letter.lower()}  {'; '.join(parts)}")


def state_lines(picture):
    """The lines about page P and the caches."""
    yield clip(re.sub(r"^P(: | is |$)", "page P: ", picture.page))
    for text in picture.more:
        text = re.sub(r"^cached ", "pages cached/room on each CPU: ", text)
        yield clip(text.replace("unmovable cached", "unmovable cached/room:"))


class Blocks:
    """The lines about a role's place: its key, its next source line, both sides of its point."""

    def __init__(self, source):
        self.source = source

    def place(self, where, running):
        point, _ = race_engine.place_of(where)
        if where.startswith("at "):
            return self.source.point(point, running)
        following = re.search(r"next: (.*?)(, CPU not online)?$", where)
        return self.source.operation(following.group(1)) if following else None

    def of(self, picture, movable, running, brief=False):
        lines = []
        for role, where in picture.roles.items():
            key, moves = f"[{role.lower()}]", role.lower() in movable
            where, _, late = where.partition(LATE)
            head = f"{key if moves else '   '} {role} on CPU {ord(role) - ord('A')}: {where}"
            if moves and where.startswith("at ") and "irqs off" not in where:
                head += ", irqs on" if "interrupt" not in where else ""
            lines.append(clip(head))
            if late:
                lines += wrap(f"      written, not seen yet by other CPUs: {late}", " " * 8)
            place = self.place(where, running.get(role, "")) if moves and not brief else None
            if place and place.where:
                lines.append(clip(f"      {place.where}  {place.line}"))
            if place:
                sides = f"behind: {place.behind}; ahead: " if place.behind else ""
                lines.append(clip(f"      {sides}{place.ahead}"))
        return lines


class View:
    """Draws the state after each key."""

    def __init__(self, heading, source):
        self.heading = [clip(line) for line in heading]
        self.blocks = Blocks(source)
        self.plain = not is_screen()
        self.notes = []  # lines about the last key
        self.drawn = False

    def start(self, lines):
        if self.plain:
            print("\n".join(self.heading + lines), flush=True)
        else:
            self.notes = lines

    def moved(self, before, picture):
        """Called after each move: print it, unless there is a screen."""
        if self.plain:
            print(move_line(before, picture), flush=True)

    def note(self, *texts):
        """Text about the last key, shown below the state."""
        for text in texts:
            self.notes += [text] if text.startswith(" ") else wrap(text)

    def screen(self, pictures, movable, running, rows):
        """The lines of the screen, except the prompt."""
        last = pictures[-1]
        top = self.heading + [""] + list(state_lines(last)) + [""]
        notes = [clip(line) for line in self.notes]
        blocks = self.blocks.of(last, movable, running)
        if len(top) + len(blocks) + 1 + len(notes) > rows:
            blocks = self.blocks.of(last, movable, running, brief=True)
        room = rows - len(top) - len(blocks) - 1 - len(notes) - bool(notes)
        ends = pictures[-room - 1 :] if room > 0 else []
        past = [move_line(a, b) for a, b in zip(ends, ends[1:])]
        lines = top + blocks + [""] + past + [""] * bool(notes and past) + notes
        return lines[:rows]

    def draw(self, pictures, movable, running):
        """Show the state; the prompt follows."""
        self.plain = self.plain or not is_screen()
        if self.plain:
            blocks = self.blocks.of(pictures[-1], movable, running)
            lines = [*state_lines(pictures[-1]), *blocks, *self.notes]
            print("\n".join(map(clip, lines)), flush=True)
        else:
            lines = self.screen(pictures, movable, running, shutil.get_terminal_size().lines - 1)
            clear = "" if self.drawn else "\x1b[2J"
            text = "".join(f"{line}\x1b[K\r\n" for line in lines)
            print(f"{clear}\x1b[H{text}\x1b[J", end="", flush=True)
            self.drawn = True
        self.notes = []

    def prompt(self, text):
        print(clip(text, WIDTH - 2) + " ", end="", flush=True)

    def answered(self, key):
        """Called for each key; without a screen, print the key behind the prompt."""
        if self.plain:
            print(key if key.isprintable() else "", flush=True)


# ---- the source ----------------------------------------------------------------------------------
# A point's phrases come from the table "Scheduling points" of docs/races/README.md, which has a row
# for each point of the code (lint.py compares the two).  The lines come from the tree that was
# compiled, for a wrong variant from the variant's tree.


PAGE = "docs/races/README.md"
ROOMS = ("kernel", "demo", "bench", "arch/fiber", "tests/races")
SOURCES = ("mm/*/*.[ch]", *(room + "/*.c" for room in ROOMS))
OPERATIONS = {
    "alloc": "allocates a page",
    "free": "frees the page",
    "get": "takes a reference to the page",
    "put": "drops a reference to the page",
    "fill": "leaves a page in this CPU's cache",
    "reuse": "frees the page and takes it again, both by this CPU's cache",
    "hoard": "allocates every page that needs no wait",
    "hold": "allocates a page that can be moved",
    "drop": "frees the page that can be moved",
    "retire": "ends the owner of the pages that can be moved",
    "write": "writes to the page that can be moved",
    "pin": "pins the page: it must not move",
    "unpin": "unpins the page",
    "migrate": "moves the object's page",
    "disable": "switches the zone's caches off",
    "enable": "switches the zone's caches on",
    "drain": "drains the caches that hold something",
    "empty": "caches a page and drains it",
    "off": "looks if all caches are off",
    "uncached": "looks if the page is in no cache",
    "isolate": "isolates the pageblock",
    "undo": "undoes the isolation",
    "offline": "takes the pageblock offline",
    "online": "brings the pageblock online",
    "contig": "allocates all pages of the pageblock, and frees them",
    "call": "makes a cross-call that does nothing",
    "cpu_down": "takes the CPU down",
    "cpu_up": "brings the CPU up",
    "timeout": "sets how long cpu_up waits",
    "touch": "reads the page through its space",
    "hammer": "reads the page again and again until a move has ended",
    "move": "moves the page, in up to ten tries",
    "once": "moves the page, in one try",
    "unmap": "unmaps the page in one space",
    "remove": "empties the page's slot",
    "store": "writes to the page through its space",
    "remap": "maps the other object at the same address",
    "shift": "maps the object's next page at the same address",
    "protect": "makes the address read-only",
    "supply": "puts a page into the slot, as a pager does",
    "leave": "drops the reference to the space",
    "close": "drops the references to the objects",
    "end": "drops the references to spaces and objects",
    "limit": "limits the page tables",
    "soft": "takes the page softly out of use",
    "retired": "looks if the page is out of use",
    "fail": "reports the page as broken",
    "fail_now": "reports the page as broken, and waits for no thread that holds it",
    "machine": "reports the page as broken, as a machine check does",
    "unpoison": "declares the page good again",
    "standby": "brings the standby memory online",
    "add_memory": "adds memory",
    "remove_memory": "removes memory",
}
# Points in the operations of the tests: no code of mm/ is there.
OWN_POINTS = {
    "op.stored": ("the word is written", "it is written again, or the operation ends"),
    "pager.asked": ("the pager is asked", "it answers"),
    "pager.answered": ("the pager has answered", "the fault goes on"),
}


@dataclass
class Place:
    """A place where a role is kept."""

    where: str  # "mm/core/drain.c:88", "" if it is unknown
    line: str  # the source line there, which the next move runs first
    behind: str  # the part before the point: it has happened
    ahead: str  # the part behind the point: it comes next


def plain(text):
    return re.sub(r"[`*]", "", text).strip()


def table():
    """{point: [(files, behind, ahead)]} of the page's table."""
    rows = {}
    for line in read(PAGE).split("## Scheduling points\n")[1].split("\n"):
        cells = [c.strip() for c in line.strip("| ").split(" | ")]
        if len(cells) != 4 or "∣" not in cells[3]:
            continue
        behind, _, ahead = cells[3].partition("∣")
        files = re.findall(r"[\w/]+\.[ch]\b", cells[1])
        for point in re.findall(r"`([\w.]+)", cells[0]):
            rows.setdefault(point, []).append((files, plain(behind), plain(ahead)))
    return rows | {point: [([], *sides)] for point, sides in OWN_POINTS.items()}


def first_statement(lines, at):
    """The index of the line that runs after the point in line @at; @at if the block ends first."""
    depth = len(lines[at]) - len(lines[at].lstrip("\t"))
    comment = False
    for i in range(at + 1, min(at + 8, len(lines))):
        text = lines[i].strip()
        comment = comment or text.startswith("/*")
        if comment or not text or "sched_point" in text:
            comment = comment and "*/" not in text
            if "sched_point" in text:
                break
            continue
        if len(lines[i]) - len(lines[i].lstrip("\t")) < depth or text.startswith(("}", "#")):
            break
        if text.startswith(("_Static_assert", "KASSERT")) and text.endswith(";"):
            continue
        return i
    return at


class Source:
    """The points and operations of the tree at @tree."""

    def __init__(self, tree):
        self.tree = tree
        self.rows = table()
        self.sites = {}  # {point: [(path, index of the line)]}
        self.lines = {}  # {path: lines}
        for pattern in SOURCES:
            for path in sorted(glob.glob(os.path.join(tree, pattern))):
                self.scan(os.path.relpath(path, tree))
        self.known = {}  # {operation: its place}
        paths = sorted(glob.glob(os.path.join(tree, "tests/races/ops*.c")))
        row = re.compile(r'^\s+\{\.name = "(\w+)", \.\w+ = (\w+)\},', re.MULTILINE)
        self.functions = {n: (p, f) for p in paths for n, f in row.findall(read(p))}

    def scan(self, path):
        text = read(os.path.join(self.tree, path))
        if "sched_point" not in text and not path.startswith("tests/races/ops"):
            return
        self.lines[path] = text.split("\n")
        for i, line in enumerate(self.lines[path]):
            for point in re.findall(r'sched_point(?:_\w+)?\("([^"]+)"', line):
                self.sites.setdefault(point, []).append((path, i))

    def text(self, path, at):
        return " ".join(self.lines[path][at].split())

    def point(self, name, operation=""):
        """The place of the point @name; @operation: the operation that runs there."""
        rows = self.rows.get(name, [([], "", "")])
        sites = self.sites.get(name, [])
        # Two points have this name; operations on objects behind handles pass one of them.
        if len(rows) > 1:
            handle = operation.startswith(("migrate", "hold", "drop"))
            rows = [r for r in rows if any("handle" in f for f in r[0]) == handle] or rows
            sites = [s for s in sites if s[0] in rows[0][0]] or sites
        _, behind, ahead = rows[0]
        if not sites:
            return Place("", "", behind, ahead)
        path, at = sites[0]
        shown = first_statement(self.lines[path], at)
        where = f"{path}:{shown + 1}"
        if len(sites) > 1:
            where += f" (or {sites[1][0] if sites[1][0] != path else ''}:{sites[1][1] + 1})"
        return Place(where, self.text(path, shown), behind, ahead)

    def operation(self, op):
        """The place of a role that begins @op next."""
        if op not in self.known:
            self.known[op] = self.find_operation(op)
        return self.known[op]

    def find_operation(self, op):
        name = op.split("(")[0]
        ahead = f"it begins {op}: {OPERATIONS.get(name, 'see docs/races')}"
        where, function = self.functions.get(name, (self.tree, ""))
        own = os.path.relpath(where, self.tree)
        for path in sorted(self.lines, key=lambda p: p != own):
            for i, line in enumerate(self.lines[path]):
                if function and re.match(rf"[\w ]*\**{function}\(", line):
                    shown = self.call_in(self.lines[path], i)
                    return Place(f"{path}:{shown + 1}", self.text(path, shown), "", ahead)
        return Place("", "", "", ahead)

    @staticmethod
    def call_in(lines, start):
        """In the function that begins at @start, the line that calls the code of the race."""
        end = next((i for i in range(start, len(lines)) if lines[i].startswith("}")), start)
        body = range(start + 1, end)
        body = [i for i in body if "_put(" not in lines[i] and "ASSERT" not in lines[i]]
        calls = [i for i in body if re.search(r"\((&?ops\.mem|space|ops\.\w+)[,)]", lines[i])]
        calls = calls or [i for i in body if re.search(r"return \w+\(", lines[i])]
        whole = [i for i in calls if not re.match(r"\t+ ", lines[i])]  # without calls of two lines
        return (whole or calls or [start])[-1]
