#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Step through a race by keys, one move at a time; `make race NAME=R-S0A STEP=1`.

NAME='SCRIPT VARIANT': without a variant the wrong code that docs/races shows with the script;
"right" (or "none") is the right code.  ENGINE=fiber, the default, runs the hosted program;
ENGINE=qemu the kernel in a virtual machine.  MODEL=tso: other CPUs see a store late. Keys may come
from a pipe.  Exit status 0: played to its end, whatever that was, or left by q, Ctrl-D or the end
of the keys; 1: nothing was played; 130: Ctrl-C.
"""
import glob
import os
import re
import select
import signal
import subprocess
import sys
import termios
import tty

import outer_make
import qemu
import race
import race_engine
import race_table
import race_view
import race_why
import variant
from rooms import read, write

KEYS = """\
  a letter   that role moves: to its next point, until it waits, or has ended
  a capital  it moves on and on, until it waits, has ended, or goes round
  >          the next move of the recorded script (also the right arrow)
  r          the rest as the recorded script does it
  u          undo the last move (also <, the left arrow and backspace)
  ?          this list
  q          leave (also Ctrl-D, Ctrl-C); your order is printed as a script"""
KEYS_TOLD = """Keys: right arrow (>) the next recorded move, left arrow (<) back, a letter moves
that role, r the rest as recorded, ? all keys, q leave."""
WHERE = {
    "tso": "On fibers, with store buffers: page P and the caches are as other CPUs see them; "
    "MODEL=sc is without.",
    "fiber": "On fibers: one thread; ENGINE=qemu is the live machine.",
    "qemu": "On the live machine, in QEMU, which stops while you think.",
}
UNDO = ("u", "<", "\b", "\x7f")
ARROWS = {"[C": ">", "OC": ">", "[D": "<", "OD": "<"}  # behind an Escape
# A whole sequence: of Linux's console, CSI, SS3, OSC, or a key with Alt.
WHOLE = r"\x1b*(\[\[.|\[[0-?]*[ -/]*[@-Z\\-~]|O.|\].*(\x07|\x1b\\)|[^\x1b\[O\]])"
PAUSE = 0.1  # seconds; a terminal sends the bytes of one key without one
MANY = 1000  # most moves of a recorded script


class Left(Exception):
    """The reader has left."""


# ---- programs ------------------------------------------------------------------------------------


def show_progress(what, command):
    """Run make, and show its progress in one line.  True if it worked."""
    terminal = sys.stdout.isatty()
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    command = command + (["TTY=1"] if terminal else [])
    proc = subprocess.Popen(command, env=outer_make.env(), **pipes)
    said, steps = [], 0
    for line in proc.stdout:
        said.append(line)
        step = re.match(r"(\[ *\d+/\d+\])?  [A-Z]+ ", line)
        steps += bool(step)
        if step and (terminal or steps == 1):
            text = f"building {what} {step.group(1) or ''}".rstrip()
            print(f"\r{text}" if terminal else f"{text} ...", end="" if terminal else "\n")
            sys.stdout.flush()
    if steps and terminal:
        print("\r\x1b[K", end="", flush=True)
    if proc.wait():
        print("".join(line for line in said if not re.match(r"(\[.*\])?  [A-Z]+ ", line)), end="")
    return proc.returncode == 0


def fiber_program(build, ident):
    """The path of the hosted program, for which no other is built; None if it does not build."""
    make = outer_make.command(build, os.path.join(build, "fiber/race"))
    if not show_progress("the race program", make):
        return None
    programs = race.build_one(build, ident, ["fiber"])
    return programs and programs["fiber"]


def program_of(build, ident, engine):
    if engine == "fiber":
        return fiber_program(build, ident)
    print("building the kernel with scheduling points ...", flush=True)
    programs = race.build_one(build, ident, ["icount"])
    return programs and programs["icount"]


# ---- which race ----------------------------------------------------------------------------------


def shown_variant(script):
    """The variant that docs/races shows first with the script, else the script's first one."""
    wrong = [i for i in script.expect if i != "none"]
    for path in sorted(glob.glob(race_table.PAGES)):
        tables = race_table.TABLE.finditer(read(path))
        shown = [m.group(3) for m in tables if m.group(2) == script.name]
        wrong = sorted(wrong, key=lambda i: shown.index(i) if i in shown else len(shown))
    failing = [i for i in wrong if script.expect[i] != script.expect["none"]]
    return (failing + wrong + ["none"])[0]


def choose(names):
    """(script, variant) that @names name."""
    scripts = {s.name: s for s in race.scripts()}
    if len(names) not in (1, 2) or names[0] not in scripts:
        known = "\n".join(race_view.wrap(" ".join(sorted(scripts))))
        sys.exit(
            "race: STEP=1 needs one script, as NAME=R-S0A or NAME='R-S0A right', not "
            f"{' '.join(names) or 'none'}; scripts:\n{known}"
        )
    script = scripts[names[0]]
    ident = names[1] if len(names) == 2 else shown_variant(script)
    ident = "none" if ident == "right" else ident
    if ident != "none" and ident not in variant.known():
        wrong = " ".join(i for i in script.expect if i != "none") or "none"
        sys.exit(f"race: no variant {ident}; {script.name} names {wrong};\nright is the right code")
    return script, ident


def heading(script, ident):
    wrong = "" if ident == "none" else f"WRONG CODE {ident}: {race.title_of(ident)}"
    return [f"{script.name}: {script.title}", wrong or "RIGHT CODE"]


def introduction(script, ident, engine):
    wrong = [i for i in script.expect if i != "none"]
    name = script.name
    if ident != "none":
        text = f"You step through wrong code, variant {ident}. The right code: NAME='{name} right'."
    elif wrong:
        text = "You step through the right code. "
        text += f"Wrong code: NAME={name} or NAME='{name} {wrong[0]}'."
    else:
        text = "You step through the right code; the script names no wrong variant."
    where = WHERE["tso" if script.model == "tso" else engine]
    return [line for part in (text, where, KEYS_TOLD) for line in race_view.wrap(part)]


# ---- keys ----------------------------------------------------------------------------------------


class Keys:
    """Keys from the terminal, one by one as they are pressed; or from a pipe."""

    def __init__(self):
        self.terminal = sys.stdin.isatty()

    def __enter__(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda got, _: sys.exit(128 + got))
        if self.terminal:
            self.saved = termios.tcgetattr(0)
            tty.setcbreak(0)
        return self

    def __exit__(self, *_):
        if self.terminal:
            termios.tcsetattr(0, termios.TCSADRAIN, self.saved)

    def ask(self):
        """The next key, "" at the end; an arrow as its name in ARROWS."""
        while True:
            key = os.read(0, 1).decode("latin-1")
            if key == "\x1b":
                key = ARROWS.get(self.sequence(), " ")
            if key not in ("\n", "\r", " "):
                return key

    @staticmethod
    def sequence():
        """The bytes behind an Escape that belong to the same key."""
        text = ""
        while not re.fullmatch(WHOLE, text, re.DOTALL) and select.select([0], [], [], PAUSE)[0]:
            byte = os.read(0, 1).decode("latin-1")
            if not byte:
                break
            text += byte
        return text


# ---- the session ---------------------------------------------------------------------------------


class Session:
    def __init__(self, stepper, ident, text, view):
        self.stepper, self.ident, self.text, self.view = stepper, ident, text, view
        self.script = stepper.script
        self.record = None
        self.told = 0  # number of pictures that the view knows
        self.explained = False

    def sync(self):
        """Tell the record and the view of new moves."""
        pictures = self.stepper.pictures
        self.record = race_engine.Record(self.text)
        for picture in pictures:
            self.record.take(picture)
        for i in range(max(1, self.told), len(pictures)):
            self.view.moved(pictures[i - 1], pictures[i])
        self.told = len(pictures)
        for line in self.stepper.said:
            self.view.note(f"the kernel says: {line}")
        self.stepper.said = []

    def move(self, key):
        self.stepper.move(key)
        self.sync()

    def running(self):
        """{role: the operation that it runs, or begins next}"""
        found = {}
        for picture in self.stepper.pictures:
            for role, where in picture.roles.items():
                following = re.search(r"next: ([^,]*)", where)
                found[role] = following.group(1) if following else found.get(role, "")
        return found

    def explain(self):
        """Note what the end of the race means."""
        outcome, wrong = self.stepper.outcome, self.record.wrong
        number = f"after {self.stepper.count()}"
        if outcome == "OK" and not wrong:
            self.all_ended(number)
        elif outcome == "OK" or not outcome:
            self.view.note(f"WRONG {number}: an operation of {wrong[1].role} failed its script.")
            self.view.note(*race_why.not_wanted(wrong, self.ident))
        elif outcome == "CRASH":
            self.view.note(f"CRASH {number}: {self.stepper.why}.", race_why.right_code(self.ident))
        else:
            word = race_why.outcome_word(outcome)
            said = "" if word == outcome else f", {outcome}"
            self.view.note(f"{word} {number}{said}:")
            self.view.note(*race_why.sentences(self.stepper, self.ident))

    def all_ended(self, number):
        """Note that all operations have ended; in the recorded order, the script may check more."""
        expected = self.script.expect.get(self.ident, "OK")
        record = self.record
        if record.strayed or record.lost or not record.exact or expected == "OK":
            self.view.note(f"OK {number}: all operations have ended, and every check holds.")
            return
        self.view.note(f"All operations have ended {number}, and the checks made here hold.")
        if self.stepper.kind != "fiber":
            self.view.note(f"The script judges more than this: by itself it ends {expected}.")
            return
        texts = race_why.judged(self.stepper.program, self.script, self.text, self.ident)
        self.view.note(*texts)

    def play_recorded(self, key, most):
        """Make at most @most moves more as the recorded script makes them."""
        stepper = self.stepper
        for _ in range(most):
            following = self.record.next(stepper.movable)
            if stepper.outcome or self.record.wrong or not following:
                break
            self.move(following)
        else:
            return
        if not stepper.outcome and not self.record.wrong:
            self.recorded_end(key)

    def recorded_end(self, key):
        """Note why the recorded order goes no further, though a role can move."""
        record = self.record
        if record.lost and record.strayed:
            self.view.note(
                f"{key}: your moves left the recorded order at move {record.strayed}, and "
                f"\"{record.lost}\" does not happen any more; u goes back."
            )
        elif not record.exact:
            why = "it keeps the reclaim thread, or a CPU that comes up, and a stepper stops neither"
            self.view.note(f"{key}: the recorded order ends here: {why}.")
        elif record.lost:
            self.view.note(
                f"MISSED: the operation has ended without \"{record.lost}\", which the script "
                "expects.",
                race_why.right_code(self.ident, self.script),
            )
        elif record.waiting_role():
            self.view.note("STUCK in the recorded order, which keeps the role that can move:")
            self.view.note(*race_why.stuck(self.stepper, self.ident))
        else:
            self.view.note(f"{key}: the recorded order ends here.")

    def undo(self):
        try:
            if not self.stepper.back():
                self.view.note("u: there is no move to undo.")
                return
        except RuntimeError as e:
            sys.exit(f"race: {e}")
        self.view.note(f"undone: back after {self.stepper.count()}")
        self.told = len(self.stepper.pictures)
        self.explained = False
        self.sync()

    def refuse(self, key):
        role = key.upper()
        where = self.stepper.pictures[-1].roles.get(role)
        if self.stepper.outcome:
            self.view.note(f"{key!r}: it is over; u goes back, q leaves")
        elif where:
            self.view.note(f"{role} cannot move: {where}")
        else:
            self.view.note(f"{key!r}: no such key; ? lists the keys")

    def prompt(self):
        if self.stepper.outcome:
            return "u undo, ? help, q leave:"
        movable = " or ".join(self.stepper.movable)
        following = "" if self.record.lost else self.record.next(self.stepper.movable)
        hint = f"recorded: {following}; " if following else ""
        return f"{movable}? ({hint}r, u, ?, q)"

    def play(self, keys):
        """Run the session until the reader leaves."""
        self.stepper.boot()
        self.sync()
        while True:
            if not self.explained and (self.stepper.outcome or self.record.wrong):
                self.explain()
                self.explained = True
            self.view.draw(self.stepper.pictures, self.stepper.movable, self.running())
            if not self.stepper.outcome:
                self.stepper.engine.think()
            self.view.prompt(self.prompt())
            key = keys.ask()
            self.view.answered(key)
            if key in ("", "q", "\x04"):
                raise Left
            if key in UNDO:
                self.undo()
            elif key == "?":
                self.view.note(*KEYS.split("\n"))
            elif key in (">", "r") and not self.stepper.outcome:
                self.explained = False
                self.play_recorded(key, 1 if key == ">" else MANY - len(self.stepper.moves))
            elif self.stepper.outcome or key.lower() not in self.stepper.movable:
                self.refuse(key)
            else:
                self.explained = False
                self.move(key)


# ---- leaving -------------------------------------------------------------------------------------


def recorded_moves(program, script, text):
    """The number of moves that the recorded script makes on fibers."""
    stepper = race_engine.Stepper(program, script)
    record = race_engine.Record(text)
    try:
        stepper.boot()
        while True:
            for picture in stepper.pictures[0 if not record.last else record.last.number + 1 :]:
                record.take(picture)
            key = "" if stepper.outcome else record.next(stepper.movable)
            if not key or len(stepper.moves) >= MANY:
                return len(stepper.moves)
            stepper.move(key)
    finally:
        stepper.end()


def say_left(session, about):
    """Print how far the session came, and whether that was judged."""
    stepper = session.stepper
    if stepper.outcome and stepper.outcome != "QUIT":
        outcome = "WRONG" if session.record.wrong else race_why.outcome_word(stepper.outcome)
        print(f"played to its end: {outcome} after {stepper.count()}")
    else:
        number = about()
        of = f" of about {number}" if number else ""
        judged = "one operation was WRONG" if session.record.wrong else "nothing was judged"
        lines = f"left after {len(stepper.moves)}{of} moves: not played to its end, {judged}"
        print("\n".join(race_view.wrap(lines)))


def show_script(build, ident, stepper, text):
    """Write the moves made to a script, and print how to run it."""
    for line in race_view.wrap(f"your moves: {stepper.moves or 'none'}", "  "):
        print(line)
    if not stepper.moves:
        return
    if not text:
        print("the engine could not say the script any more")
        return
    path = os.path.join(build, "race", "mine.race")
    joined = re.sub(r"\n\s+", " ", "\n".join(text)).split("\n")
    lines = [part for line in joined for part in race_view.wrap(line, "  ") or [""]]
    write(path, "\n".join(lines) + "\n")
    print("as a script:\n" + "\n".join(lines))
    own = "" if ident == "none" else f"variant/{ident}/build/"
    program = os.path.relpath(os.path.join(build, own + "fiber/race"))
    make = f"tools/mutate/variant.py make {ident} build/fiber/race" if own else f"make {program}"
    print(f"run it:\n  {make} &&\n  {program} {os.path.relpath(path)}")


def step(build, names, engine="fiber", model=None):
    """Step through the race that @names name; returns the exit status."""
    if engine not in race_engine.ENGINES:
        known = ", ".join(race_engine.ENGINES)
        sys.exit(f"race: no engine {engine} to step with; ENGINE is one of: {known}")
    script, ident = choose(names)
    script.model = model or script.model
    if script.model == "tso" and engine != "fiber":
        sys.exit("race: only fibers decide when a store arrives; MODEL=tso needs ENGINE=fiber")
    program = program_of(build, ident, engine)
    if not program:
        sys.exit("race: the program does not build")
    tree = os.path.dirname(os.path.dirname(os.path.dirname(program)))
    source = race_view.Source(tree if ident != "none" else qemu.ROOT)
    recorded = read(f"tests/races/{script.name}.race")
    view = race_view.View(heading(script, ident), source)
    view.start(introduction(script, ident, engine))
    session = Session(race_engine.Stepper(program, script, engine), ident, recorded, view)
    status = 0
    try:
        with Keys() as keys:
            try:
                session.play(keys)
            except Left:
                print()
            except KeyboardInterrupt:
                status = 130
                print()
        text = session.stepper.own_script() if not status else []
    finally:
        session.stepper.end()

    def about():
        fiber = program if engine == "fiber" else fiber_program(build, ident)
        return fiber and recorded_moves(fiber, script, recorded)

    say_left(session, about)
    if not status:
        show_script(build, ident, session.stepper, text)
    return status
