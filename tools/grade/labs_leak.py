#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Does a student's tree show the solution?  `make labs-leak`

Usage: labs_leak.py [--list] [LAB...]

No run of TOKENS tokens of an emptied body may stand elsewhere in the student's tree, unless a line
of labs/leaks.txt allows it: LAB FUNCTION FILE, and a reason behind "#".
--list prints each leak with its tokens.
"""
import os
import re
import sys

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import bodies
import lab_kills
import labs
import skeleton

TOKENS = 24
ALLOWED = os.path.join("labs", "leaks.txt")
READ = (".c", ".h", ".S", ".md", ".mut", ".pml", ".py", ".race", ".sh", ".txt", ".mk", ".svg")
TOKEN = re.compile(r"[A-Za-z_]\w*|\d\w*|->|[^\s\w]")
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def tokens(text):
    return TOKEN.findall(COMMENT.sub(" ", text))


def runs(row):
    """Each run of TOKENS tokens in the list @row."""
    return (tuple(row[i : i + TOKENS]) for i in range(len(row) - TOKENS + 1))


def solution(one):
    """{run: function} of all bodies that the lab empties."""
    found = {}
    for path, names in one.functions.items():
        text = labs.read(path)
        for name in names:
            body = one.body(path, name)
            for run in runs(tokens(text[body.begin : body.end])):
                found.setdefault(run, name)
    for head, functions in skeleton.mistakes(one):
        text = labs.read(head["file"])
        for name in bodies.bodies(functions):
            body = one.body(head["file"], name)
            for run in runs(tokens(text[body.begin : body.end])):
                found.setdefault(run, name)
    return found


def allowed():
    """{(lab, function, file)} of labs/leaks.txt; a line without a reason is an error."""
    rows = set()
    for line in labs.read(ALLOWED).split("\n"):
        words, _, reason = line.partition("#")
        if not words.strip():
            continue
        if len(words.split()) != 3 or not reason.strip():
            sys.exit(f"{ALLOWED}: wanted LAB FUNCTION FILE # reason: {line}")
        rows.add(tuple(words.split()))
    return rows


class Solutions:
    """The runs of several labs' emptied bodies."""

    PICKED = (0, TOKENS // 2, TOKENS - 1)  # places of tokens that tell most other runs from these

    def __init__(self, chosen):
        self.labs = {name: labs.lab(name) for name in chosen}
        self.runs = {name: solution(one) for name, one in self.labs.items()}
        self.own = {name: dict(skeleton.texts(one)) for name, one in self.labs.items()}
        self.picked = {
            tuple(run[at] for at in self.PICKED) for found in self.runs.values() for run in found
        }

    def in_row(self, row):
        """The runs that may be of some lab's solution, in their order."""
        picked = self.picked
        return [
            tuple(row[i : i + TOKENS])
            for i, key in enumerate(zip(*(row[at:] for at in self.PICKED)))
            if key in picked
        ]

    def leaks(self):
        """{lab: {(function, file): a run of tokens}}"""
        found = {name: {} for name in self.labs}
        for path in rooms.all_files():
            if not path.endswith(READ):
                continue
            here = self.in_row(tokens(labs.read(path)))
            for name, one in self.labs.items():
                own = self.own[name]
                # A student's tree shows a planted mistake with the rest of its function.
                if skeleton.left_out(one, path) or one.planted and path in own:
                    continue
                for run in self.in_row(tokens(own[path])) if path in own else here:
                    if run in self.runs[name]:
                        found[name].setdefault((self.runs[name][run], path), run)
        return found


def shown(chosen, verbose=False):
    """A line for each leak that labs/leaks.txt does not list, and for each of its rows without a
    leak."""
    found, may, used, said = Solutions(chosen).leaks(), allowed(), set(), []
    for name in chosen:
        for (function, path), run in sorted(found[name].items()):
            if (name, function, path) in may:
                used.add((name, function, path))
                continue
            said.append(f"lab {name}: {function} is shown by {path}")
            if verbose:
                said.append("    " + " ".join(run))
    for row in sorted(may - used):
        if row[0] in chosen:
            said.append(f"{ALLOWED}: no longer so: {' '.join(row)}")
    return said


def has_solutions():
    """False in a student's tree."""
    return os.path.isdir(os.path.join(labs.ROOT, "labs", "wrong"))


def wrong():
    """The lines for lint: leaks, and faults of labs.ini and of labs/kills.md."""
    yield from labs.faults()
    if has_solutions():
        yield from shown(list(labs.labs()))
        for lab in lab_kills.known():
            yield from lab_kills.faults(lab)


def main():
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    chosen = words or list(labs.labs())
    said = shown(chosen, "--list" in sys.argv)
    print("\n".join(said) if said else f"{len(chosen)} labs, no leak")
    return 1 if said else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except labs.BadLab as error:
        sys.exit(f"tools/grade/labs_leak.py: {error}")
