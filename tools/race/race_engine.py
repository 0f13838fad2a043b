# SPDX-License-Identifier: MIT
"""Step through a race with an engine of its own: the hosted program, or the kernel in QEMU; and
follow the race's recorded script beside it; for race_step.py.

Both engines print the state after each move (lines "step: ...") and read keys.  One step back
repeats all moves but the last: in the same engine if it can run the race again, else in a new
engine.  While the reader thinks, the virtual machine is stopped.
"""
import contextlib
import os
import re
import select
import signal
import subprocess
import sys

import qemu
from rooms import read

SILENCE = 300  # longest time without a line from a running engine, in seconds


class Engine:
    """A running race program: it prints lines, and reads keys that make moves."""

    def __init__(self, command, log):
        self.log = log  # what it writes to stderr
        os.makedirs(os.path.dirname(log), exist_ok=True)
        with open(log, "wb") as err:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": err}
            self.proc = subprocess.Popen(command, preexec_fn=qemu._die_with_parent, **pipes)
        self.rest = b""

    def end(self):
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.wait()
        with contextlib.suppress(BrokenPipeError):
            self.proc.stdin.close()
        self.proc.stdout.close()

    def line(self):
        """The next line, or None if the engine has ended or is silent."""
        while b"\n" not in self.rest:
            ready, _, _ = select.select([self.proc.stdout], [], [], SILENCE)
            more = os.read(self.proc.stdout.fileno(), 65536) if ready else b""
            if not more:
                return None
            self.rest += more
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode("utf-8", "replace").rstrip("\r")

    def last_words(self):
        """That it has stopped, and the last line of its stderr, if there is one."""
        said = read(self.log).strip().split("\n")[-1]
        return "the engine has stopped" + (f": {said}" if said else "")

    def think(self):
        """Called while the reader thinks: an engine may pause."""

    def press(self, key):
        self.proc.stdin.write(key.encode())
        self.proc.stdin.flush()


class Fibers(Engine):
    """The hosted program: all CPUs in one thread."""

    def __init__(self, program, script, moves):
        command = [program, f"--model={script.model}", f"--moves={moves}", script.name]
        super().__init__(command, qemu.log_path("step") + ".err")


class Machine(Engine):
    """The kernel in QEMU, under icount."""

    def __init__(self, kernel, script, moves):
        machine = qemu.Machine(cpus=max(4, script.cpus + 1), icount=True, kernel=kernel)
        words = f"selftest=none monitor=off race={script.name} race_step={moves}"
        command = machine.command("step", words, console="stdio,id=con,signal=off")
        super().__init__(command, qemu.log_path("step") + ".err")

    def think(self):
        self.proc.send_signal(signal.SIGSTOP)

    def press(self, key):
        self.proc.send_signal(signal.SIGCONT)
        super().press(key)


ENGINES = {"fiber": Fibers, "qemu": Machine}


class Picture:
    """The state after a move."""

    def __init__(self, number, mover):
        self.number, self.mover = int(number), mover
        self.roles, self.page, self.more = {}, "", []

    def take(self, text):
        if re.match(r"[A-H] ", text):
            self.roles[text[0]] = text[2:]
        elif text.startswith("P"):
            self.page = text
        else:
            self.more.append(text)

    def state(self):
        return self.roles, self.page, self.more

    def same(self, other):
        return self.state() == other.state()

    def movable(self):
        """The letters of the roles that can move."""
        return "".join(
            role.lower()
            for role, where in self.roles.items()
            if where.startswith("at ") or re.search("next: [^,]*$", where)
        )

    def idle(self):
        """Does no operation run?"""
        return not any(re.match(r"at |waits |runs ", where) for where in self.roles.values())


class Stepper:
    """The moves made, the state after each, and how the race has ended."""

    def __init__(self, program, script, engine="fiber", show=lambda picture: None):
        self.program, self.script, self.kind, self.show = program, script, engine, show
        self.pictures = []  # the picture of the start, and one after each move
        self.engine = None
        self.movable = ""  # letters of the roles that can move
        self.goes_back = False  # the engine can run the race again, up to the move before
        self.outcome, self.why, self.text = "", "", []
        self.said = []  # other lines that the engine printed

    @property
    def moves(self):
        return "".join(p.mover.lower() for p in self.pictures[1:])

    def count(self):
        """The number of moves, in words."""
        return f"{len(self.moves)} move{'s' if len(self.moves) != 1 else ''}"

    def boot(self, moves=""):
        """Start a new engine and make @moves in it."""
        self.end()
        self.engine = ENGINES[self.kind](self.program, self.script, moves)
        self.pictures = []
        self.listen(show=not moves)

    def end(self):
        if self.engine:
            self.engine.end()

    def move(self, key):
        self.engine.press(key)
        self.listen()

    def listen(self, show=True):
        """Read until the engine asks for a key or has ended the race."""
        self.movable = self.outcome = self.why = ""
        self.goes_back = False
        self.text = []
        picture = None
        while not self.movable:
            line = self.engine.line()
            known = line[6:] if line and line.startswith("step: ") else ""
            word, _, rest = known.partition(" ")
            crashed = line is None or "PANIC" in line
            if picture and (crashed or word in ("move", "choose", "outcome")):
                self.pictures.append(picture)
                if show:
                    self.show(picture)
                picture = None
            if crashed:
                self.outcome, self.why = "CRASH", line or self.engine.last_words()
                return
            if line == "step: end":
                # The next line says whether the engine can go back: if every role has returned.
                self.goes_back = (self.engine.line() or "").startswith("step: <")
                return
            if self.text or line == "step: script":
                self.text.append(line)
            elif line.startswith("race: ") or word == "not":
                sys.exit(line)
            elif word == "move":
                picture = Picture(*rest.split())
            elif word == "choose":
                self.movable, self.goes_back = rest, True
            elif word in ("outcome", "why"):
                setattr(self, word, rest)
            elif picture and word:
                picture.take(line[6:])
            elif self.pictures and line and not word and show:
                self.said.append(line)

    def back(self):
        """Undo the last move; False if there is none; RuntimeError if the state is another now."""
        if len(self.pictures) < 2:
            return False
        # The move that led to a crash has no picture.
        moves = self.moves if self.outcome == "CRASH" else self.moves[:-1]
        before = self.pictures[: len(moves) + 1]
        if self.goes_back:
            self.pictures = before[:-1]
            self.engine.press("<")
            self.listen(show=False)
        else:
            self.boot(moves)
        if len(self.pictures) != len(before) or not all(
            a.same(b) for a, b in zip(self.pictures, before)
        ):
            raise RuntimeError("the same moves did not lead to the same place")
        return True

    def own_script(self):
        """The moves made, as lines of a script; [] if the engine can no longer print them."""
        if not self.outcome:
            self.engine.press("q")
            self.listen(show=False)
        return self.text[1:]


# ---- the recorded script -------------------------------------------------------------------------
# It is followed while the moves are made by keys, to say which move it makes next.  A script keeps
# the roles that it mentions and lets the others run; a stepper keeps each role at each point.  So
# an entry of the script is several moves: Record looks at the state after each move, passes the
# entries that have happened, and names the role that the next entry needs.  An interrupt on a kept
# role's CPU moves by that role's key; under the script it would move by itself.


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
        if self.last and not self.strayed:
            as_recorded = picture.mover.lower() == self.next(self.last.movable())
            self.strayed = 0 if as_recorded else picture.number
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
        mine = [x for x in self.list[: self.cursor] if x.role == e.role]
        begun = sum(x.kind in ("start", "run") for x in mine)
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
        here = role.point == name and nth in (0, role.nth)
        return here or (role.interrupt and role.below[0] == name)

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
