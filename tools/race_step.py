#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Step through a race on the live machine, by keys; `make race NAME='R-S0A M02' STEP=1`.

The machine runs under icount with the race build of the kernel, which prints the state after each
move (lines "step: ..."); here they become a table, with a column for each CPU.  One step back
repeats all moves but the last: on the same machine if it is still good, else on one booted again.
While the reader thinks, the machine is stopped.
"""
import os
import re
import select
import signal
import subprocess
import sys
import termios
import tty

sys.dont_write_bytecode = True  # nothing outside the build directory
import qemu
import race
import variant

SILENCE = 300  # longest time without a line from a running machine, in seconds
KEYS = """\
  a letter    that role moves: to its next point, or until it waits, or its operation has ended
  a capital   it moves on and on, until it waits, its operation has ended, or it goes round
  <           one step back (or the backspace key)
  ?           this list
  q           leave; your own interleaving is printed as a script (so it is after the end)"""
WIDTH = 30


class Ended(Exception):
    """The reader has left."""


class Machine:
    """The kernel, booted with the moves made so far; it prints lines and reads keys."""

    def __init__(self, kernel, script, moves):
        machine = qemu.Machine(cpus=max(4, script.cpus + 1), icount=True, kernel=kernel)
        os.makedirs(os.path.join(qemu.BUILD, "qemu"), exist_ok=True)
        command = machine.command(
            "step",
            f"selftest=none monitor=off race={script.name} race_step={moves}",
            console="stdio,id=con,signal=off",
        )
        with open(qemu.log_path("step") + ".err", "wb") as err:
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
        self.proc.stdin.close()
        self.proc.stdout.close()

    def line(self):
        """The next line, or None: the machine has ended, or is silent."""
        while b"\n" not in self.rest:
            ready, _, _ = select.select([self.proc.stdout], [], [], SILENCE)
            more = os.read(self.proc.stdout.fileno(), 65536) if ready else b""
            if not more:
                return None
            self.rest += more
        line, self.rest = self.rest.split(b"\n", 1)
        return line.decode("utf-8", "replace").rstrip("\r")

    def think(self):
        self.proc.send_signal(signal.SIGSTOP)

    def press(self, key):
        self.proc.send_signal(signal.SIGCONT)
        self.proc.stdin.write(key.encode())
        self.proc.stdin.flush()


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

    def same(self, other):
        return (self.roles, self.page, self.more) == (other.roles, other.page, other.more)

    def row(self, roles):
        cells = [short(self.roles.get(r, "")) for r in roles]
        cells.append(short(self.page))
        cells.append("; ".join(m.removeprefix("cached ") for m in self.more))
        key = self.mover.lower() if self.number else " "
        return f"{self.number:4} {key} " + "  ".join(c.ljust(WIDTH) for c in cells).rstrip()


def short(text):
    for long, brief in (
        (r"^at ", ""),
        (r", in an interrupt", " (interrupt)"),
        (r", irqs off", " (irqs off)"),
        (r"^waits for an answer from", "waits: answer of"),
        (r"^waits for", "waits:"),
        (r"^P(:| is) ", ""),
        (r"^in the cache of", "cached on"),
        (r"its pageblock isolated", "isolated"),
    ):
        text = re.sub(long, brief, text)
    return text


class Stepper:
    def __init__(self, kernel, script):
        self.kernel, self.script = kernel, script
        self.pictures = []  # one for each move made, and the start
        self.machine = None
        self.movable = ""  # letters of the roles that can move
        self.goes_back = False  # the kernel can run the race again, up to the move before
        self.outcome, self.why, self.text = "", "", []

    @property
    def moves(self):
        return "".join(p.mover.lower() for p in self.pictures[1:])

    def boot(self, moves):
        """Make these moves on a new machine."""
        if self.machine:
            self.machine.end()
        self.machine = Machine(self.kernel, self.script, moves)
        self.pictures = []
        self.listen(show=not moves)

    def listen(self, show=True):
        """Read until the kernel asks for a key or has ended the race."""
        self.movable = self.outcome = self.why = ""
        self.goes_back = False
        self.text = []
        picture = None
        while not self.movable:
            line = self.machine.line()
            word, _, rest = (
                line[6:].partition(" ") if line and line.startswith("step: ") else ("", "", "")
            )
            crashed = line is None or "PANIC" in line
            if picture and (crashed or word in ("move", "choose", "outcome")):
                self.pictures.append(picture)
                if show:
                    print(picture.row(self.script.roles), flush=True)
                picture = None
            if crashed:
                self.outcome, self.why = "CRASH", line or "the machine has stopped"
                return
            if line == "step: end":
                # Then the kernel says that it can still go back, if every role has come back.
                self.goes_back = (self.machine.line() or "").startswith("step: <")
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
                print(f"       the kernel says: {line}")

    def say_outcome(self):
        good = self.outcome == "OK"
        print(
            f"{self.outcome}: "
            + ("all operations have ended, and every check holds" if good else self.why),
            flush=True,
        )

    def back(self):
        if len(self.pictures) < 2:
            print("nothing to go back to")
            return
        # The move that led to a crash has no picture.
        moves = self.moves if self.outcome == "CRASH" else self.moves[:-1]
        before = self.pictures[: len(moves) + 1]
        print(
            f"one step back: {len(moves)} move{'s' if len(moves) != 1 else ''} again"
            + ("" if self.goes_back else ", on a new machine"),
            flush=True,
        )
        if self.goes_back:
            self.pictures = before[:-1]
            self.machine.press("<")
            self.listen(show=False)
        else:
            self.boot(moves)
        print(self.pictures[-1].row(self.script.roles), flush=True)
        if len(self.pictures) != len(before) or not all(
            a.same(b) for a, b in zip(self.pictures, before)
        ):
            sys.exit("race: the same moves did not lead to the same place")

    def play(self, keys):
        self.boot("")
        if self.outcome:
            self.say_outcome()
        while True:
            if self.outcome:
                key = keys.ask("< one step back, q quit: ")
            else:
                self.machine.think()
                key = keys.ask(f"{' or '.join(self.movable)}? ")
            if key in ("<", "\b", "\x7f"):
                self.back()
            elif key in ("", "q", "\x04"):
                raise Ended
            elif key == "?":
                print(KEYS)
            elif self.outcome:
                print(f"{key!r}: it is over; < goes back, q quits")
            elif key.lower() not in self.movable:
                role = key.upper()
                print(
                    f"{role} cannot move: {self.pictures[-1].roles[role]}"
                    if role in self.script.roles
                    else f"{key!r}: no such key; ? lists the keys"
                )
            else:
                self.machine.press(key)
                self.listen()
                if self.outcome:
                    self.say_outcome()

    def own_script(self):
        """The moves made, as lines of a script."""
        if not self.outcome:
            self.machine.press("q")
            self.listen(show=False)
        return self.text[1:]


class Keys:
    """Keys from the terminal, one by one as they are pressed; or from a pipe."""

    def __init__(self):
        self.terminal = sys.stdin.isatty()

    def __enter__(self):
        if self.terminal:
            self.saved = termios.tcgetattr(0)
            tty.setcbreak(0)
        return self

    def __exit__(self, *_):
        if self.terminal:
            termios.tcsetattr(0, termios.TCSADRAIN, self.saved)

    def ask(self, prompt):
        if self.terminal:
            print(prompt, end="", flush=True)
        while True:
            key = os.read(0, 1).decode("latin-1")
            if key not in ("\n", "\r", " "):
                break
        if self.terminal:
            print(key if key.isprintable() else "", flush=True)
        return key


def choose(names):
    """(script, variant): NAME alone means the wrong variant that the script names first, if it
    names one."""
    scripts = {s.name: s for s in race.scripts()}
    if len(names) not in (1, 2) or names[0] not in scripts:
        sys.exit(
            "race: STEP=1 needs one script, as NAME=R-S0A or NAME='R-S0A M02', not "
            f"{' '.join(names) or 'none'}; "
            "scripts: " + " ".join(sorted(scripts))
        )
    script = scripts[names[0]]
    wrong = [i for i in script.expect if i != "none"]
    ident = names[1] if len(names) == 2 else (wrong + ["none"])[0]
    if ident != "none" and ident not in variant.known():
        sys.exit(
            f"race: no variant {ident}; {script.name} names {' '.join(wrong) or 'none'}; none is "
            "the right code"
        )
    return script, ident


def introduce(script, ident):
    print(f"{script.name}: {script.title}")
    if ident == "none":
        print("  with the right code")
    else:
        print(f"  with {ident}, a wrong variant: {variant.load(ident)[0]['title'][0]}")
        print(f"  the right code: NAME='{script.name} none'")
    print(KEYS)


def step(build, names):
    script, ident = choose(names)
    introduce(script, ident)
    sys.stdout.flush()
    programs = race.build_one(build, ident, ["icount"])
    if not programs:
        sys.exit("race: the kernel does not build")
    stepper = Stepper(programs["icount"], script)
    heads = [f"{r} on CPU {ord(r) - ord('A')}" for r in script.roles] + [
        "page P",
        "cached/room on each CPU",
    ]
    print("  nr   " + "  ".join(h.ljust(WIDTH) for h in heads).rstrip())
    try:
        with Keys() as keys:
            try:
                stepper.play(keys)
            except Ended:
                text = stepper.own_script()
    finally:
        if stepper.machine:
            stepper.machine.end()
    return show_script(build, ident, stepper, text)


def show_script(build, ident, stepper, text):
    print(f"your moves: {stepper.moves or 'none'}")
    if not text:
        print("the kernel could not say the script any more")
        return 0
    path = os.path.join(build, "race", "mine.race")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(text) + "\n")
    program = os.path.join(
        build, "fiber/race" if ident == "none" else f"variant/{ident}/build/fiber/race"
    )
    print("as a script:\n" + "\n".join(text))
    make = (
        f"make {os.path.relpath(program)}"
        if ident == "none"
        else f"tools/variant.py make {ident} build/fiber/race"
    )
    print(f"run it: {make} && {os.path.relpath(program)} {os.path.relpath(path)}")
    return 0
