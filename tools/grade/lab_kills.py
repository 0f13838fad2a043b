#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The kill matrix, labs/kills.md: which tests of a lab fail for which wrong solution.

Usage: lab_kills.py [LAB...]    print the faults of the matrix, a line each; exit status 1 if
                                  there is one.  Without LAB: of all labs that are in the matrix
       lab_kills.py --write     write the matrix again, with the tests and solutions of now,
                                  and the reasons of labs/stays.ini: a new test kills nothing
                                  until it is graded

labs_check.py --matrix fills the matrix: it grades wrong solutions in all layers.  Its faults are a
solution or a test that no longer exists or that it lacks, and a test that kills no solution alone
in its layer, unless labs/stays.ini gives a reason to keep that test.
"""
import fnmatch
import os
import re
import sys
from types import SimpleNamespace

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import grade
import labs
import submission

PATH = os.path.join("labs", "kills.md")
STAYS = os.path.join("labs", "stays.ini")
SHOWN = 3  # solutions, killed by one test alone, that its row names
HEAD = """# What fails for which wrong solution

The kill matrix of the labs ([grading](../docs/grading.md#submissions-for-trying-it)): for each lab
its tests, how many wrong solutions each kills, and those that no other test of its layer kills;
then the solutions, with the numbers of the tests that fail for them. Names are of `labs/wrong/`,
and of [variants](../docs/mutants.md) by id. `labs/stays.ini` says of the other tests why they stay.
`make labs-check MATRIX=1` writes this file; `tools/grade/lab_kills.py` says whether it is current.
"""
TESTS = "| layer | test | kills | alone, or why it stays |\n|---|---|---|---|"
ROW = re.compile(r"^\| (\w+) \| (\d+) ([\w.-]+) \| (\d+) \| .* \|$")


class Layered:
    """One lab: its tests by layer, and the tests that fail for each solution."""

    def __init__(self):
        self.tests = {}  # {layer: names of tests}
        self.rows = {}  # {solution: {layer: names of failed tests}}

    def killers(self, layer, name):
        """The tests of a layer that fail for a solution."""
        return self.rows[name].get(layer, [])

    def alone(self, layer, test):
        """The solutions that only this test of its layer kills."""
        return [name for name in self.rows if self.killers(layer, name) == [test]]

    def kills(self, layer, test):
        return [name for name in self.rows if test in self.killers(layer, name)]


# ---- the existing tests and solutions ----


def all_of(lab):
    """The names of all solutions that are graded for a lab."""
    own = [name for kind in submission.KINDS for name in submission.names(kind, lab)]
    return ["reference", "empty", *own, *labs.lab(lab).mutants]


def kind_of(lab, name):
    own = [kind for kind in submission.KINDS if name in submission.names(kind, lab)]
    return [*own, {"reference": "right", "empty": "empty"}.get(name, "variant")][0]


def wrong_of(lab):
    return [name for name in all_of(lab) if kind_of(lab, name) in ("wrong", "variant")]


def arguments(build, tree, only):
    """Arguments for a Grade, as grade.py would parse them."""
    return SimpleNamespace(build=build, tree=tree, only=only, seed=1, kernel=False, plan="")


def tests_of(lab):
    """{layer: tests} of the layers that the lab has."""
    one = grade.Grade(labs.lab(lab), None, arguments("build", None, ""))
    return {layer: list(names) for layer, names in one.layers().items() if names}


# ---- the file ----


def numbers(names, of):
    """The places of @names in the list @of, as "1-3 5"."""
    out = []
    for n in sorted(of.index(name) + 1 for name in names):
        begin = out.pop()[0] if out and out[-1][1] == n - 1 else n
        out.append((begin, n))
    return " ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in out)


def names_at(text, of):
    ranges = [word.split("-") for word in text.split()]
    return [name for ends in ranges for name in of[int(ends[0]) - 1 : int(ends[-1])]]


def known():
    """{lab: Layered} as the file has them; {} if there is no file."""
    if not os.path.exists(os.path.join(labs.ROOT, PATH)):
        return {}
    found, now, layers = {}, None, []
    for line in labs.read(PATH).split("\n"):
        title = re.match(r"## Lab (\w+),", line)
        if title:
            now = found[title.group(1)] = Layered()
        row = None if layers else ROW.match(line)
        if row:
            now.tests.setdefault(row.group(1), []).append(row.group(3))
        elif line.startswith("| solution |"):
            layers = [cell.strip() for cell in line.split("|")[2:-1]]
        elif now and layers and line.startswith("| ") and not line.startswith("| layer"):
            name, *cells = [cell.strip() for cell in line.split("|")[1:-1]]
            pairs = zip(layers, cells)
            now.rows[name] = {layer: names_at(cell, now.tests[layer]) for layer, cell in pairs}
        elif not line:
            layers = []
    return found


def reasons():
    """{lab: [(pattern, reason)]}"""
    ini = labs.parser(STAYS, str)
    return {section.split()[-1]: list(ini[section].items()) for section in ini.sections()}


def reason(rows, key):
    return next((why for pattern, why in rows if fnmatch.fnmatchcase(key, pattern)), "")


def of_test(one, layer, test, why, lab):
    """The last cell of a test's row: solutions that it kills alone, or the reason why it stays."""
    alone = one.alone(layer, test)
    more = f" and {len(alone) - SHOWN} more" if len(alone) > SHOWN else ""
    return ", ".join(alone[:SHOWN]) + more or reason(why.get(lab, []), f"{layer}.{test}")


def text(found):
    """The text of the file."""
    why, out = reasons(), [HEAD]
    for lab in labs.labs():
        if lab not in found:
            continue
        one = found[lab]
        out.append(f"## Lab {lab}, {labs.lab(lab).title}\n\n{TESTS}")
        for layer, tests in one.tests.items():
            for number, test in enumerate(tests, 1):
                kills, cell = len(one.kills(layer, test)), of_test(one, layer, test, why, lab)
                out.append(f"| {layer} | {number} {test} | {kills} | {cell} |")
        out.append(f"\n| solution | {' | '.join(one.tests)} |\n|{'---|' * (1 + len(one.tests))}")
        for name, row in one.rows.items():
            cells = [numbers(row.get(layer, []), tests) for layer, tests in one.tests.items()]
            out.append(f"| {name} | {' | '.join(cells)} |")
        out.append("")
    return "\n".join(out).rstrip("\n") + "\n"


def update(found, graded):
    """Add @graded, {lab: {solution: {layer: names}}}, to @found; remove what no longer exists."""
    for lab, rows in graded.items():
        one = found.setdefault(lab, Layered())
        one.tests = tests_of(lab)
        one.rows = {**one.rows, **rows}
        one.rows = {name: one.rows[name] for name in wrong_of(lab) if name in one.rows}
        for row in one.rows.values():
            for layer in one.tests:
                row[layer] = [name for name in one.tests[layer] if name in row.get(layer, [])]
    return found


def write(found):
    rooms.write(os.path.join(labs.ROOT, PATH), text(found))


# ---- faults of the file ----


def again(lab, what=""):
    return f"make labs-check ONLY={lab}{what} MATRIX=1"


def faults(lab):
    one = known().get(lab, Layered())
    wrong, tests = wrong_of(lab), tests_of(lab)
    for name in wrong:
        if name not in one.rows:
            yield f"lab {lab}: {name} is not in {PATH}: {again(lab, '.' + name)}"
    for name in set(one.rows) - set(wrong):
        yield f"lab {lab}: {name} of {PATH} is no wrong solution"
    if tests != one.tests:
        yield f"lab {lab} has other tests than {PATH}: {again(lab)}"
        return
    why = reasons()
    for layer, names in tests.items():
        for test in names:
            if not of_test(one, layer, test, why, lab):
                yield f"lab {lab}: {layer}.{test} kills nothing alone, and no reason in {STAYS}"
    keys = [(layer, test) for layer, names in tests.items() for test in names]
    for pattern, _ in why.get(lab, []):
        fit = [key for key in keys if fnmatch.fnmatchcase(".".join(key), pattern)]
        if not fit:
            yield f"{STAYS}, lab {lab}: no test {pattern}"
        elif all(one.alone(*key) for key in fit):
            yield f"{STAYS}, lab {lab}: {pattern} kills something alone, and needs no reason"


def main():
    words = sys.argv[1:]
    if words == ["--write"]:
        write(update(known(), {lab: {} for lab in known()}))
        return
    said = [line for lab in words or known() for line in faults(lab)]
    if said:
        sys.exit("\n".join(said))


if __name__ == "__main__":
    labs.run_tool(main)
