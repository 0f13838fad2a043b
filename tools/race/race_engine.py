# SPDX-License-Identifier: MIT
"""Step through a race with an engine of its own: the hosted program, or the kernel in QEMU; for
race_step.py.

Both print the state after each move (lines "step: ...") and read keys.  One step back repeats all
moves but the last: in the same engine if it can run the race again, else in a new engine.  While
the reader thinks, the virtual machine is stopped.
"""
import os
import re
import select
import signal
import subprocess
import sys

import qemu

SILENCE = 300  # longest time without a line from a running engine, in seconds


class Engine:
    """A running race program: it prints lines, and reads keys that make moves."""

    def __init__(self, command, log):
        self.log = log  # what it writes to stderr
        os.makedirs(os.path.dirname(log), exist_ok=True)
        with open(log, "wb") as err:
            self.proc = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=err,
                preexec_fn=qemu._die_with_parent,
            )
        self.rest = b""

    def end(self):
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.wait()
        try:
            self.proc.stdin.close()
        except BrokenPipeError:
            pass
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
        with open(self.log, encoding="utf-8", errors="replace") as f:
            said = f.read().strip().split("\n")[-1]
        return "the engine has stopped" + (f": {said}" if said else "")

    def think(self):
        """Called while the reader thinks: an engine may pause."""

    def press(self, key):
        self.proc.stdin.write(key.encode())
        self.proc.stdin.flush()


class Fibers(Engine):
    """The hosted program: all CPUs in one thread."""

    def __init__(self, program, script, moves):
        super().__init__(
            [program, f"--model={script.model}", f"--moves={moves}", script.name],
            qemu.log_path("step") + ".err",
        )


class Machine(Engine):
    """The kernel in QEMU, under icount."""

    def __init__(self, kernel, script, moves):
        machine = qemu.Machine(cpus=max(4, script.cpus + 1), icount=True, kernel=kernel)
        command = machine.command(
            "step",
            f"selftest=none monitor=off race={script.name} race_step={moves}",
            console="stdio,id=con,signal=off",
        )
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
            word, _, rest = (
                line[6:].partition(" ") if line and line.startswith("step: ") else ("", "", "")
            )
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
        """Undo the last move; False if there is none.  Raises RuntimeError if the same moves now
        lead to another state."""
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
