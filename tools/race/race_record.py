# SPDX-License-Identifier: MIT
"""Follow a race's recorded script while the moves are made by keys, and say which move it makes
next; for race_step.py.

A script keeps the roles that it mentions and lets the others run; a stepper keeps each role at each
point.  So an entry of the script is several moves: Record looks at the state after each move,
passes the entries that have happened, and names the role that the next entry needs.  An interrupt
on a kept role's CPU moves by that role's key; under the script it would move by itself.
"""
import re


class Entry:
    """One entry of a script: kind is start, run, join, arrive, leave or check."""

    KINDS = {"!": "start", ":": "run", "?": "arrive", "@": "leave"}

    def __init__(self, text):
        self.text = text
        found = re.fullmatch(r"([A-HR])([!:?@])(.*)", text)
        if not found:
            self.kind, self.role, self.rest = "check", "", text
            return
        self.role, self.kind = found.group(1), self.KINDS[found.group(2)]
        self.rest, _, self.want = found.group(3).partition("=")
        if self.kind == "run" and self.rest == "join":
            self.kind = "join"
        self.places = []  # [(point, its hit or 0)]; "done" stands for the end of the operation
        for place in self.rest.split("|"):
            name, _, nth = place.partition("#")
            self.places.append((name, int(nth or 0)))


def entries(text):
    """The entries of a script's play, in their order."""
    play = re.search(r"^script:(.*?)(?=^\w+[^\n]*:|\Z)", text, re.MULTILINE | re.DOTALL).group(1)
    return [Entry(" ".join(e.split())) for e in play.split(";") if e.strip()]


def place_of(where):
    """(point, is it in an interrupt) from the engine's line about a role."""
    found = re.match(r"at ([\w.]+)(, in an interrupt)?", where)
    if found:
        return found.group(1), bool(found.group(2))
    found = re.match(r"waits for (?:lock )?(.*?)(, in an interrupt)?(?:, irqs off)?$", where)
    if not found:
        return "", False
    what = found.group(1)
    what = "answer" if what.startswith("an answer") else what
    what = "reclaim served" if what == "the reclaim thread" else what
    return f"lock.wait({what})", bool(found.group(2))


class Role:
    def __init__(self):
        self.point, self.interrupt = "", False
        self.below = ("", 0)  # (point, hit) of the thread while an interrupt runs on top of it
        self.times = {}  # {point: hits so far}
        self.nth = 0
        self.arrived = ("", 0)  # (point, hit) where the script keeps the role
        self.ended = 0  # operations that have ended
        self.result = ""
        self.started = 0
        self.busy = False
        self.waited = False  # the role has waited at least once


class Record:
    """The recorded script beside the moves: take() each picture in order."""

    def __init__(self, text):
        self.list = entries(text)
        self.cursor = 0
        self.roles = {}
        self.lost = ""  # text of the first entry that can no longer happen
        self.strayed = 0  # number of the first move that the script would not make
        self.exact = True  # the script stops no role or CPU that a stepper cannot stop
        self.wrong = None  # (number of the move, entry, what the operation returned)
        self.last = None  # the picture taken last

    def state(self, role):
        return self.roles.setdefault(role, Role())

    def take(self, picture):
        """Note the state after a move, and pass the entries that have happened so far."""
        if (
            self.last
            and not self.strayed
            and picture.mover.lower() != self.next(self.last.movable())
        ):
            self.strayed = picture.number
        self.last = picture
        for letter, where in picture.roles.items():
            self.note(self.state(letter), where, picture.mover == letter and picture.number)
        while self.cursor < len(self.list) and self.passed(self.list[self.cursor], picture):
            self.cursor += 1

    @staticmethod
    def note(role, where, moved):
        point, interrupt = place_of(where)
        before, inside = (role.point, role.interrupt), role.interrupt
        if interrupt and not role.interrupt:
            role.below = (role.point, role.nth)
        if role.interrupt and not interrupt and point and role.below[0] == point:
            role.nth = role.below[1]  # the interrupt has ended; the thread has not moved
        elif point and (moved or before != (point, interrupt)):
            role.times[point] = role.nth = role.times.get(point, 0) + 1
        role.point, role.interrupt = point, interrupt
        # An interrupt does not tell whether an operation of the role runs below it.
        if interrupt:
            busy = role.busy or bool(moved and not inside)
        else:
            busy = where.startswith(("at ", "runs ", "waits "))
        ended = re.match(r"(.*) returned (\S+?)(?:,|$)", where)
        if not busy and (role.busy or moved and not inside):
            role.ended += 1
            role.started = max(role.started, role.ended)
            role.result = ended.group(2) if ended else ""
        elif busy and not role.busy:
            role.started = role.ended + 1
        role.busy = busy
        role.waited |= where.startswith("waits ")

    def passed(self, e, picture):
        role = self.state(e.role)
        if e.kind == "check":
            return True
        if e.role == "R":  # a stepper does not stop the reclaim thread
            self.exact = False
            return True
        begun = sum(
            1 for x in self.list[: self.cursor] if x.role == e.role and x.kind in ("start", "run")
        )
        if e.kind == "start":
            # The operation hammer passes no point, and runs until another role's move has begun.
            return role.started > begun or e.rest.startswith("hammer")
        if e.kind in ("run", "join"):
            if role.ended < begun + (e.kind == "run"):
                return False
            role.arrived = ("", 0)
            differs = e.want and e.want != role.result
            if differs and not self.wrong and not self.strayed and self.exact:
                self.wrong = (picture.number, e, role.result)
            return True
        if not begun:
            self.exact = False  # a CPU that goes down or comes up: a stepper does not stop it
            return True
        done = role.ended >= begun
        if e.kind == "leave":
            here = (role.point, role.nth) if not role.interrupt else role.below
            if not done and not role.arrived[0]:  # no entry A?P came before: wait for the arrival
                if any(name == here[0] and nth in (0, here[1]) for name, nth in e.places):
                    role.arrived = here
                return False
            if done or here != role.arrived and (role.point, role.nth) != role.arrived:
                role.arrived = ("", 0)
                return True
            return False
        for name, nth in e.places:
            if name == "done" and done:
                return True
            if self.is_at(role, name, nth):
                if self.keeps(e):
                    role.arrived = (name, nth or role.times[name])
                return True
        if done and not self.lost:
            self.lost = e.text
        return False

    @staticmethod
    def is_at(role, name, nth):
        if nth and role.times.get(name, 0) < nth:
            return False
        return (role.point == name and (not nth or role.nth == nth)) or (
            role.interrupt and role.below[0] == name
        )

    def keeps(self, e):
        """Does a later entry release the role from a place of the entry @e?"""
        for later in self.list[self.cursor + 1 :]:
            if later.role == e.role and later.kind == "leave":
                return bool({n for n, _ in later.places} & {n for n, _ in e.places})
            if later.role == e.role and later.kind in ("run", "start", "arrive"):
                return False
        return False

    def is_free(self, letter):
        """May a role move that is not next in the script?  Yes, if it runs and is not kept."""
        role = self.state(letter)
        if role.interrupt:
            return (role.point, role.nth) != role.arrived
        return role.busy and (role.point, role.nth) != role.arrived

    def next(self, movable):
        """The letter of the role that moves next by the script, or "" if there is none."""
        if self.lost or self.cursor >= len(self.list):
            return "" if self.lost else self.any(movable)
        role = self.list[self.cursor].role.lower()
        others = [m for m in movable if m != role and self.runs_on(m.upper())]
        # A role that the script only starts runs to its first wait before another role leaves.
        first = self.list[self.cursor].kind == "leave" and self.any(others)
        return first or (role if role in movable else self.any(movable))

    def runs_on(self, letter):
        """Does the script only start the role, whose operation ends and has not waited yet?"""
        own = [e for e in self.list if e.role == letter]
        kept = any(e.kind in ("arrive", "leave") for e in own)
        waited = self.state(letter).waited
        return not kept and not waited and not any(e.rest.startswith("hammer") for e in own)

    def any(self, movable):
        return next((m for m in movable if self.is_free(m.upper())), "")

    def waiting_role(self):
        """A role that waits, or ""."""
        return next((r for r, role in self.roles.items() if role.point.startswith("lock.wait")), "")
