#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Does the grader decide rightly?  `make labs-check`.  Are its verdicts the same each time, and
does each lab stand alone?  `make labs-sure`.

Usage: labs_check.py [--build DIR] [--only LAB[.NAME],...] [--jobs N] [--repeat N] [--whole]
                     [--matrix]
       labs_check.py --sure [--build DIR] [--repeat N] [--only LAB[.NAME],...] [--pairs all]

In each lab the reference must have all points; a right submission may lack only points of cost.
The student's empty tree must have no points, and pass exactly the tests that labs/grade.ini names.
A wrong submission must lose points in the layer that its file names, and a variant that
labs/labs.ini names must lose points in any layer.
A wrong solution is first graded with one test that fails for it by labs/kills.md, then with more
tests only if that one passes; --whole: with all tests.  If all solutions of a lab are graded, its
part of labs/kills.md must be current (lab_kills.py).

--jobs: grade this many at a time.  --repeat: grade each so often; its verdicts must be the same.
--matrix: write to labs/kills.md which tests fail for which wrong solution.

--sure: labs/grade.ini names some right and some wrong solutions under [sure].  Each is graded
--repeat times (2), every second time beside processes that never sleep, four for each CPU: every
test must have the same verdict each time.
A tree with wrong solutions of two labs must have, in each lab, the verdicts of a tree with the
wrong solution of that lab only.  The first wrong solution of each lab is paired with that of the
next lab; --pairs all: with that of every other lab.  --only leaves this check out.
"""
import contextlib
import itertools
import multiprocessing
import os
import shutil
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import check
import grade
import lab_kills as kills
import labs
import qemu
import skeleton
import submission
import variant
from lab_kills import all_of, kind_of
from lab_make import Once

QUICK = ("model", "contract,cost")  # layers to grade first, if any layer will do
WRONG = ("wrong", "variant")


def graded(lab, folder, build, only=""):
    one = grade.Grade(labs.lab(lab), folder, kills.arguments(build, folder, only))
    one.run()
    return one


def layer_of(lab, name):
    """The layer in which a wrong submission must lose a point; "" for other solutions."""
    return submission.read("wrong", lab, name)[0]["layer"] if kind_of(lab, name) == "wrong" else ""


def first_killer(lab, name, known):
    """[a test that is known to fail for the solution], or []."""
    rows = known[lab].rows.get(name, {}) if lab in known else {}
    layer = layer_of(lab, name)
    return [f"{key}.{rows[key][0]}" for key in rows if rows[key] and layer in ("", key)][:1]


def tries(lab, name, known):
    """The tests and layers that grade a wrong solution, one by one, until it loses a point."""
    layer = layer_of(lab, name)
    return [*first_killer(lab, name, known), *([layer] if layer else [*QUICK, ""])]


def graded_so_far(lab, name, folder, build, known):
    """Grade a solution; a wrong one only until it has lost a point."""
    if kind_of(lab, name) not in WRONG:
        return graded(lab, folder, build)
    layers = set(kills.tests_of(lab))
    for only in tries(lab, name, known):
        if only and not any(word.split(".")[0] in layers for word in only.split(",")):
            continue
        one = graded(lab, folder, build, only)
        if lost(one):
            break
    return one


def lost(one):
    return [r for r in one.results if r.verdict != "PASS" and not r.neutral]


def verdicts(one):
    return {r.key(): r.verdict for r in one.results}


def empty(lab, folder):
    """Write the lab's files to @folder, as a student's tree has them."""
    for path, text in skeleton.texts(labs.lab(lab)):
        rooms.write(os.path.join(folder, path), text)


def gate():
    """{lab: its solutions that `make test` grades}"""
    found = {}
    for word in labs.parser(grade.INI).get("gate", "solutions").split():
        found.setdefault(word.split(".")[0], []).append(word)
    return found


def known_words(only, pairs):
    """The words of @only; one that names no lab and no solution ends the program."""
    words = {word for word in only.split(",") if word}
    unknown = words - {lab for lab, _ in pairs} - {f"{lab}.{name}" for lab, name in pairs}
    if unknown:
        names = " ".join(dict.fromkeys(lab for lab, _ in pairs))
        sys.exit(f"{' '.join(sorted(unknown))}: wanted LAB or LAB.NAME; the labs are {names}")
    return words


def chosen_of(args):
    """[(lab, name)] of the solutions to grade."""
    pairs = [(lab, name) for lab in labs.labs() for name in all_of(lab)]
    only = known_words(args.only, pairs)
    return [pair for pair in pairs if not only or {pair[0], ".".join(pair)} & only]


def wholly_chosen(args):
    """The labs of which all solutions are graded."""
    return [lab for lab in labs.labs() if not args.only or lab in args.only.split(",")]


def faults_of_empty(lab, one):
    """Faults of the student's empty tree: it must have no points, and pass only stated tests."""
    passed = {r.key() for r in one.results if r.verdict == "PASS"}
    stated = grade.worthless(lab)
    for key in sorted(passed - stated):
        yield f"it passes {key}, which is not in `empty' of {grade.INI}"
    for key in sorted(stated - passed):
        yield f"it does not pass {key}, which is in `empty' of {grade.INI}"
    if one.points():
        yield f"it has {one.points():g} points"


def judge(lab, name, one):
    """The fault of the grader's verdict about a solution, or ""."""
    kind, bad = kind_of(lab, name), lost(one)
    layers = {r.layer for r in bad}
    if kind == "right":
        # A right solution may be slow, but the reference must not.
        if name != "reference":
            bad = [r for r in bad if r.layer != grade.COST]
        return "; ".join(f"{r.key()} {r.verdict}: {r.why}" for r in bad[:3])
    if kind == "empty":
        return "; ".join(faults_of_empty(lab, one))
    if kind == "wrong":
        layer = layer_of(lab, name)
        return "" if layer in layers else f"it loses no point in the layer {layer}"
    if layers == {"build"}:
        return f"it does not build: {bad[0].why}"
    return "" if bad else "it has all points"


def said(one):
    """The points of a graded solution; if only some tests ran, the first that failed."""
    if one.args.only and lost(one):
        return f"fails {lost(one)[0].key()}"
    return f"{one.points():g} points"


FORK = multiprocessing.get_context("fork")  # Python 3.14 has another default, with a SLOT each
SLOT = FORK.Value("i", 0)


def begin():
    """Prepare a process that grades: it gets folders of its own, and ends with its parent."""
    grade.end_when_asked()
    Once.begin()
    qemu._die_with_parent(signal.SIGTERM)
    with SLOT.get_lock():
        SLOT.value += 1
        Checked.slot = SLOT.value


class Checked:
    """A solution that has been graded."""

    slot = 0

    def __init__(self, build, lab, name, whole, repeat, known):
        self.lab, self.name, self.kind = lab, name, kind_of(lab, name)
        self.said, self.fails = "not graded", {}
        # All solutions of a process use one folder, so that their programs replace each other.
        folder = os.path.join(build, "labs", "checked", f"{lab}-{Checked.slot}")
        shutil.rmtree(folder, ignore_errors=True)
        try:
            if name == "empty":
                empty(lab, folder)
            else:
                submission.write(lab, name, folder)
        except (submission.BadSubmission, variant.BadVariant) as error:
            self.wrong = str(error)
            return
        if whole or repeat > 1:
            got = graded(lab, folder, build)
        else:
            got = graded_so_far(lab, name, folder, build, known)
        self.wrong = judge(lab, name, got)
        for number in range(1, repeat):
            now = verdicts(graded(lab, folder, build))
            self.wrong = self.wrong or difference(verdicts(got), now, f"after {number}")
        self.said = said(got)
        for r in lost(got):
            if r.verdict != "SKIP":
                self.fails.setdefault(r.layer, []).append(r.name)

    def line(self):
        which = f"{self.lab}.{self.name} ({self.kind})"
        return f"  not ok {which}: {self.wrong}" if self.wrong else f"  ok {which}: {self.said}"


def in_turn(pairs):
    """@pairs with right solutions first: all tests grade these, which takes longest."""
    return sorted(pairs, key=lambda pair: kind_of(*pair) in WRONG)


def check_all(args, counts):
    """Grade the chosen solutions, and compare labs/kills.md."""
    solutions, known, pairs = [], kills.known(), chosen_of(args)
    live, place = sys.stdout.isatty(), {pair: at for at, pair in enumerate(pairs)}
    clear, whole = "\r\033[K" if live else "", args.whole or args.matrix
    with ProcessPoolExecutor(args.jobs, FORK, begin) as pool:
        begun = [
            pool.submit(Checked, args.build, *pair, whole, args.repeat or 1, known)
            for pair in in_turn(pairs)
        ]
        for future in as_completed(begun):
            solutions.append(future.result())
            progress = f"{len(solutions)} of {len(pairs)} graded" if live else ""
            print(f"{clear}{solutions[-1].line()}\n{progress}", end="", flush=True)
    print(clear, end="", flush=True)
    solutions.sort(key=lambda s: place[s.lab, s.name])
    if args.matrix:
        found = {}
        for s in solutions:
            if s.kind in WRONG:
                found.setdefault(s.lab, {})[s.name] = s.fails
        kills.write(kills.update(kills.known(), found))
    for s in solutions:
        counts.one(not s.wrong, f"{s.lab}.{s.name}: {s.wrong}")
    for lab in wholly_chosen(args):
        if lab not in kills.known():
            print(f"# lab {lab} has no kill matrix: {kills.again(lab)}")
            continue
        faults = list(kills.faults(lab))
        for fault in faults:
            print(f"  not ok {fault}")
        counts.one(not faults, f"{lab}: {faults[0] if faults else ''}")


# ---- are verdicts sure? --------------------------------------------------------------------------


def busy():
    qemu._die_with_parent()
    while True:
        pass


@contextlib.contextmanager
def load(number):
    """@number processes that never sleep."""
    started = [FORK.Process(target=busy, daemon=True) for _ in range(number)]
    for process in started:
        process.start()
    yield
    for process in started:
        process.kill()
        process.join()


def difference(first, now, when):
    """A line about the first test whose verdict differs, or ""."""
    for key in {**first, **now}:
        if first.get(key) != now.get(key):
            return f"{key} was {first.get(key)}, and {now.get(key)} {when}"
    return ""


class Sure:
    """Checks that verdicts are sure; counts the checks that pass and fail."""

    def __init__(self, args, counts):
        self.args, self.counts, self.times = args, counts, args.repeat or 2
        self.folder = os.path.join(args.build, "labs", "sure")

    def verdicts(self, lab, *solutions):
        """{test: verdict} of a tree with these solutions, (lab, name) each."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for solution in solutions:
            submission.write(*solution, self.folder)
        return verdicts(graded(lab, self.folder, self.args.build))

    def say(self, what, wrong):
        print(f"  not ok {what}: {wrong}" if wrong else f"  ok {what}", flush=True)
        self.counts.one(not wrong, f"{what}: {wrong}")

    def same(self, lab, name):
        first, began = self.verdicts(lab, (lab, name)), time.monotonic()
        wrong = "" if first else "it has no verdicts"
        for number in range(2, self.times + 1):
            with load(0 if number % 2 else 4 * (os.cpu_count() or 2)):
                wrong = wrong or difference(first, self.verdicts(lab, (lab, name)), number)
        each = (time.monotonic() - began) / max(self.times - 1, 1)
        self.say(f"{lab}.{name}, {self.times} times, {each:.1f} s each", wrong)

    def alone(self, pairs):
        first = {lab: submission.names("wrong", lab)[0] for pair in pairs for lab in pair}
        known = {lab: self.verdicts(lab, (lab, name)) for lab, name in first.items()}
        for pair in pairs:
            wrong = ""
            for lab in pair:
                now = self.verdicts(lab, *((other, first[other]) for other in pair))
                wrong = wrong or difference(known[lab], now, "with both")
            self.say(" and ".join(f"{lab}.{first[lab]}" for lab in pair), wrong)

    def check_all(self):
        grade.end_when_asked()
        named = [name.split(".", 1) for name in labs.parser(grade.INI)["sure"]["solutions"].split()]
        words = known_words(self.args.only, named)
        for lab, name in named:
            if not words or {f"{lab}.{name}", lab} & words:
                self.same(lab, name)
        names = list(labs.labs())
        every = itertools.combinations(names, 2) if self.args.pairs == "all" else None
        if not self.args.only:
            self.alone(list(every or zip(names, names[1:])))


def main():
    parser = rooms.parser(usage=__doc__, flags="whole matrix sure", words="only")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--repeat", type=int)
    parser.add_argument("--pairs", choices=("some", "all"), default="some")
    args = parser.parse_args()
    counts, start = check.Counts(), time.monotonic()
    if args.sure:
        Sure(args, counts).check_all()
    else:
        check_all(args, counts)
    return counts.close("labs-sure" if args.sure else "labs-check", start)


if __name__ == "__main__":
    rooms.run(main, interrupted="interrupted")
