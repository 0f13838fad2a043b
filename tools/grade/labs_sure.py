#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Are the grader's verdicts the same each time, and does each lab stand alone?  `make labs-sure`.

Usage: labs_sure.py [--build DIR] [--times N] [--load N] [--only LAB[.NAME],...] [--pairs all]

Same: labs/grade.ini names some right and some wrong solutions under [sure].  Each is graded N times
(2), every second time beside --load processes that never sleep (4 for each CPU): every test must
have the same verdict each time.
Alone: a tree with wrong solutions of two labs must have, in each lab, the verdicts of a tree with
the wrong solution of that lab only.  The first wrong solution of each lab is paired with that of
the next lab; --pairs all: with that of every other lab.  --only leaves this check out.
"""
import itertools
import multiprocessing
import os
import shutil
import sys
import time

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import check
import grade
import labs
import labs_check
import submission


def busy():
    labs_check.end_with_parent()
    while True:
        pass


class Load:
    """@number processes that never sleep."""

    def __init__(self, number):
        self.started = [multiprocessing.Process(target=busy, daemon=True) for _ in range(number)]

    def __enter__(self):
        for process in self.started:
            process.start()

    def __exit__(self, *_):
        for process in self.started:
            process.kill()
            process.join()


class Sure:
    """Checks that verdicts are sure; counts the checks that pass and fail."""

    def __init__(self, args):
        self.args, self.counts = args, check.Counts()
        self.folder = os.path.join(args.build, "labs", "sure")

    def verdicts(self, lab, *solutions):
        """{test: verdict} of a tree with these solutions, (lab, name) each."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for solution in solutions:
            submission.write(*solution, self.folder)
        return labs_check.verdicts(labs_check.graded(lab, self.folder, self.args.build))

    def say(self, what, wrong):
        print(f"  not ok {what}: {wrong}" if wrong else f"  ok {what}", flush=True)
        self.counts.one(not wrong, f"{what}: {wrong}")

    def same(self, lab, name):
        first, began = self.verdicts(lab, (lab, name)), time.monotonic()
        wrong = "" if first else "it has no verdicts"
        for number in range(2, self.args.times + 1):
            with Load(0 if number % 2 else self.args.load):
                wrong = wrong or difference(first, self.verdicts(lab, (lab, name)), number)
        each = (time.monotonic() - began) / max(self.args.times - 1, 1)
        self.say(f"{lab}.{name}, {self.args.times} times, {each:.1f} s each", wrong)

    def alone(self, pairs):
        first = {lab: submission.names("wrong", lab)[0] for pair in pairs for lab in pair}
        known = {lab: self.verdicts(lab, (lab, name)) for lab, name in first.items()}
        for pair in pairs:
            wrong = ""
            for lab in pair:
                now = self.verdicts(lab, *((other, first[other]) for other in pair))
                wrong = wrong or difference(known[lab], now, "with both")
            self.say(" and ".join(f"{lab}.{first[lab]}" for lab in pair), wrong)


def difference(first, now, when):
    """A line about the first test whose verdict differs, or ""."""
    for key in {**first, **now}:
        if first.get(key) != now.get(key):
            return f"{key} was {first.get(key)}, and {now.get(key)} {when}"
    return ""


def chosen(only):
    named = grade.settings().get("sure", "solutions").split()
    words = labs_check.known_words(only, [name.split(".", 1) for name in named])
    names = [name for name in named if not words or {name, name.split(".")[0]} & words]
    return [name.split(".", 1) for name in names]


def pairs_of(which):
    names = list(labs.labs())
    if which == "all":
        return list(itertools.combinations(names, 2))
    return list(zip(names, names[1:]))


def main():
    parser = rooms.parser(usage=__doc__)
    parser.add_argument("--times", type=int, default=2)
    parser.add_argument("--load", type=int, default=4 * (os.cpu_count() or 2))
    parser.add_argument("--only", default="")
    parser.add_argument("--pairs", choices=("some", "all"), default="some")
    args = parser.parse_args()
    grade.end_when_asked()
    start, sure = time.monotonic(), Sure(args)
    for lab, name in chosen(args.only):
        sure.same(lab, name)
    if not args.only:
        sure.alone(pairs_of(args.pairs))
    sys.exit(sure.counts.close("labs-sure", start))


if __name__ == "__main__":
    main()
