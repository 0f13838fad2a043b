#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Read the handouts of the labs, labs/LAB/handout.md, and follow them step by step.

Usage: handout.py [--build DIR] LAB...         follow a handout; print the first difference
       handout.py [--build DIR] --show LAB     the same, and print the output of each command
       handout.py [--build DIR] --update LAB   write the present numbers into the samples
       handout.py [--build DIR] --track NAME   follow the handouts of a track, in its order

The steps are done in the order of the handout: each "$ command" of a block is run, with a directory
of its own for ../labLAB.  A heading "### N. ...", or a comment <!-- writes NAME... -->, names
functions, whose bodies are then copied from this tree; <!-- takes NAME... --> names files of
labs/LAB/, which are copied whole.  A command's output must be as the handout
shows below the command: a line "..." stands for any lines, "..." within a line for any text.
"""
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import bodies
import labs
import outer_make

LIMIT = 600  # seconds that one command may take, also on a busy machine
STEP = re.compile(r"^### \d+\. .*$")
WRITES = re.compile(r"^<!-- writes (.*) -->$")
TAKES = re.compile(r"^<!-- takes (.*) -->$")
FULL = "100 of 100 points"


def path_of(lab):
    return os.path.join("labs", lab, "handout.md")


def written():
    """The labs that have a handout."""
    return [name for name in labs.labs() if os.path.exists(os.path.join(labs.ROOT, path_of(name)))]


def folder_in(lab):
    """The path of the student's tree in the handout's commands."""
    return f"../lab{lab}"


def actions(text):
    """[("write", names) | ("take", files) | ("run", (command, lines expected))], in their order."""
    found, inside = [], False
    for line in text.split("\n"):
        writes = WRITES.match(line)
        if line.startswith("```"):
            inside = not inside
        elif not inside and (writes or STEP.match(line)):
            names = writes.group(1).split() if writes else re.findall(r"`(\w+)`", line)
            found.append(("write", names))
        elif not inside and TAKES.match(line):
            found.append(("take", TAKES.match(line).group(1).split()))
        elif inside and line.startswith("$ "):
            found.append(("run", (line[2:], [])))
        elif inside and found and found[-1][0] == "run":
            found[-1][1][1].append(line)
    return found


def steps(text):
    """For each step, the functions that it writes."""
    return [names for kind, names in actions(text) if kind == "write"]


def matches(have, want):
    """None if @have matches @want, else the first line of @want that is not in its place."""
    at, free = 0, False
    for line in want:
        if line.strip() == "...":
            free = True
            continue
        found = place(".*".join(map(re.escape, line.rstrip().split("..."))), have, at)
        if found is None or found > at and not free:
            return line
        at, free = found + 1, False
    return None if free or at == len(have) else f"the end; it goes on: {have[at]}"


def place(pattern, lines, at):
    """The index of the first of @lines, from @at on, that matches; or None."""
    fits = re.compile(pattern).fullmatch
    return next((i for i in range(at, len(lines)) if fits(lines[i].rstrip())), None)


def renewed(have, want):
    """The lines of @want, with the numbers of the lines of @have that are otherwise the same."""
    found, at = [], 0
    for line in want:
        pieces = [re.sub(r"\d+(\\\.\d+)?", r"[\\d.]+", re.escape(p)) for p in line.split("...")]
        pattern = "(" + ")(.*)(".join(pieces) + ")"
        hit = place(pattern, have, at)
        if line.strip() in ("", "...") or hit is None:
            found.append(line)
            continue
        groups = re.fullmatch(pattern, have[hit].rstrip()).groups()
        found.append("...".join(groups[::2]))
        at = hit + 1
    return found


def write(one, folder, names):
    """Copy the bodies of the functions @names from this tree into the student's tree."""
    for path in one.files:
        own = os.path.join(folder, path)
        text, reference = labs.read(own), labs.read(path)
        known = bodies.bodies(reference)
        for name in [n for n in known if n in names]:
            body = bodies.bodies(text)[name]
            solution = reference[known[name].begin : known[name].end]
            text = text[: body.begin] + solution + text[body.end :]
        rooms.write(own, text)


class Follower:
    """Follows one handout in a student's tree; calls @told(command, lines) after each command."""

    def __init__(self, lab, build="build", told=lambda command, lines: None, update=False):
        self.one, self.build, self.told = labs.lab(lab), build, told
        self.text, self.update = labs.read(path_of(lab)), update
        self.work = tempfile.mkdtemp(prefix="handout-")
        self.folder = os.path.join(self.work, os.path.basename(folder_in(lab)))

    def words(self, command):
        """The words of a command, with the paths of this run's tree and build directory."""
        command = command.replace(folder_in(self.one.name), self.folder)
        words = shlex.split(command)
        if words[0] == "make":
            words.append(f"B={self.build}")
        return [re.sub(r"^build/", self.build + "/", word) for word in words]

    def run(self, command):
        """(status, the lines that it prints)"""
        env = outer_make.env("GITHUB_ACTIONS", PYTHONDONTWRITEBYTECODE="1")
        done = rooms.call(self.words(command), env=env, stderr=subprocess.PIPE, timeout=LIMIT)
        text = done.stdout.replace(self.folder, folder_in(self.one.name))
        lines = text.rstrip("\n").split("\n") if text.strip() else []
        self.told(command, lines)
        # A note is about this machine, not about the handout.
        said = [line for line in lines if not line.lstrip().startswith("note: ")]
        return done.returncode, said, done.stderr

    def renew(self, command, said, want):
        """Put new numbers into the first output below @command that has the lines @want."""
        old, new = ("\n".join(["$ " + command, *lines]) for lines in (want, renewed(said, want)))
        assert old in self.text
        self.text = self.text.replace(old, new, 1)

    def complete(self, status, said):
        """Does the output say full points, or, in a lab without points, that all tests pass?"""
        passed = any(line.startswith("PASS ") for line in said)
        return any(FULL in line for line in said) or passed and not status

    def faults(self):
        """Follow the handout; yields the first difference from it, if there is one."""
        full = False
        try:
            for kind, what in actions(self.text):
                if kind == "write":
                    write(self.one, self.folder, what)
                    full = False
                    continue
                if kind == "take":
                    for path in [os.path.join("labs", self.one.name, name) for name in what]:
                        shutil.copy(os.path.join(labs.ROOT, path), os.path.join(self.folder, path))
                    continue
                command, want = what
                status, said, errors = self.run(command)
                full = full or self.complete(status, said)
                while want and not want[-1].strip():
                    want = want[:-1]
                if not want and status:
                    yield f"{command}: status {status}: {errors[-2000:]}"
                    return
                if self.update:
                    self.renew(command, said, want)
                    continue
                wrong = matches(said, want) if want else None
                if wrong:
                    text = "\n".join([*said[-40:], errors[-1000:]])
                    yield f"{command}: expected {wrong}; it says:\n{text}"
                    return
            if not full:
                yield "after the last step no command says that all is right"
        finally:
            shutil.rmtree(self.work, ignore_errors=True)


def main():
    parser = rooms.parser(usage=__doc__, flags="show update")
    parser.add_argument("--track", choices=labs.tracks())
    parser.add_argument("lab", nargs="*")
    args = parser.parse_args()
    args.lab += sum(labs.tracks()[args.track], []) if args.track else []
    if not args.lab:
        parser.error("no lab")

    def told(command, lines):
        print("\n".join(["$ " + command, *(lines if args.show else [])]), flush=True)

    failed = False
    for lab in args.lab:
        follower = Follower(lab, args.build, told, args.update)
        for fault in follower.faults():
            print(f"{path_of(lab)}: {fault}")
            failed = True
        if args.update:
            rooms.write(path_of(lab), follower.text)
    sys.exit(failed)


if __name__ == "__main__":
    labs.run_tool(main)
