# SPDX-License-Identifier: MIT
"""The output of a stepper: a screen of 80 columns and 24 rows, redrawn in place; or plain lines,
into a pipe and on a terminal that is smaller or dumb.  For race_step.py.
"""
import os
import re
import shutil
import sys
import textwrap

import race_record

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
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    if os.environ.get("TERM", "dumb") in ("dumb", ""):
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
        point, _ = race_record.place_of(where)
        if where.startswith("at "):
            return self.source.point(point, running)
        following = re.search(r"next: (.*?)(, CPU not online)?$", where)
        return self.source.operation(following.group(1)) if following else None

    def of(self, picture, movable, running, brief=False):
        lines = []
        for role, where in picture.roles.items():
            moves = role.lower() in movable
            key = f"[{role.lower()}]" if moves else "   "
            where, _, late = where.partition(LATE)
            head = f"{key} {role} on CPU {ord(role) - ord('A')}: {where}"
            if moves and where.startswith("at ") and "irqs off" not in where:
                head += ", irqs on" if "interrupt" not in where else ""
            lines.append(clip(head))
            if late:
                lines += wrap(f"      written, not seen yet by other CPUs: {late}", " " * 8)
            place = self.place(where, running.get(role, "")) if moves and not brief else None
            if not place:
                continue
            if place.where:
                lines.append(clip(f"      {place.where}  {place.line}"))
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
            for line in self.heading + lines:
                print(line)
            sys.stdout.flush()
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
        if self.plain or not is_screen():
            self.plain = True
            last = pictures[-1]
            blocks = self.blocks.of(last, movable, running)
            for line in [*state_lines(last), *blocks, *self.notes]:
                print(clip(line))
            sys.stdout.flush()
            self.notes = []
            return
        lines = self.screen(pictures, movable, running, shutil.get_terminal_size().lines - 1)
        clear = "" if self.drawn else "\x1b[2J"
        text = "".join(f"{line}\x1b[K\r\n" for line in lines)
        sys.stdout.write(f"{clear}\x1b[H{text}\x1b[J")
        sys.stdout.flush()
        self.drawn = True
        self.notes = []

    def prompt(self, text):
        print(clip(text, WIDTH - 2) + " ", end="", flush=True)

    def answered(self, key):
        """Called for each key; without a screen, print the key behind the prompt."""
        if self.plain:
            print(key if key.isprintable() else "", flush=True)
