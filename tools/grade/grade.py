#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Grade a lab; `make grade LAB=n`.

Usage: grade.py [--build DIR] LAB [TREE] [--only LAYER[.TEST],...] [--test SUITE.TEST]
                      [--seed N] [--kernel] [--github] [--out DIR] [--clean] [--gdb] [--plan PLAN]
                      [--track TRACK] [--board]

Only the files that the lab gives to students are taken from TREE; all others are this tree's.
Without TREE these are this tree's, too.  If TREE lacks such a file, it is graded as students get
it, in the track TRACK.  docs/grading.md explains the layers and the verdicts.

Exit status: 0 with all points, 1 without, 2 if nothing could be graded.
"""
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import bodies
import grade_build
import grade_layers
import grade_report
import grade_run
import grade_source
import lab_build
import lab_kernel
import lab_perf
import lab_race
import labs
import skeleton
from grade_layers import Result
from lab_make import Failed, Limited, alone

LAYERS = (lab_race.LAYER, "model", "explorer", "contract", "kernel", lab_perf.LAYER, "cost")
CONTRACT, KERNEL = "contract", "kernel"
COST = "cost"  # its points are separate: a right solution may be slow
# {step: the folder of its programs}
KINDS = {"model": "model", "explorer": "explorer", "contract": lab_build.Hosted.KIND}
OWN = "student"  # the label of this tree's own code, which is not a submission
NEEDS = {"model": "judge", COST: CONTRACT, lab_race.LAYER: "explorer", lab_perf.LAYER: CONTRACT}
LINKING = re.compile(r"undefined (reference|symbol)|multiple definition|duplicate symbol")
PLAN = re.compile(r"[A-H]+(,\d+:[A-H])*")
INI = os.path.join("labs", "grade.ini")
TAKEN = "of a submission regular files are taken, no links (docs/grading.md)"
MOST_OUTPUT = 256 << 20  # bytes of a file, such as the console of a kernel that prints for ever


def worthless(lab):
    """{LAYER.TEST} that the student's empty tree passes: passing these tests gives no points."""
    ini, one = labs.parser(INI), labs.lab(lab)
    words = ini.get(f"lab {lab}", "empty", fallback="").split()
    if words == ["*"]:
        of = {"explorer": one.sets, CONTRACT: one.tests_tagged(CONTRACT)}
        of["model"] = ini.get(f"lab {lab}", "model", fallback="").split()
        words = [f"{layer}.{name}" for layer, names in of.items() for name in names]
    return set(words)


def empty_functions(one, tree):
    """The lab's functions that are in @tree as students get them, or do as little."""
    handed, found = dict(skeleton.texts(one)), []
    for path, names in one.functions.items():
        theirs = labs.read(lab_build.tree_file(tree, path))
        does, nothing = does_of(theirs), does_of(handed[path])
        found += [name for name in names if does.get(name) == nothing[name]]
    return found


def does_of(text):
    """{function: the words of its body, without comments and the note that it is not written}"""
    return {
        name: grade_source.stripped(text[b.begin : b.end].replace(skeleton.SAYS, ""))[0].split()
        for name, b in bodies.bodies(text).items()
    }


def selects(word, key):
    """Does a word of ONLY name the test @key, LAYER.TEST?"""
    return key == word or key.startswith(word + ".")


class Grade:
    """One grading: its results, its points, and the time that it took."""

    def __init__(self, one, tree, args):
        self.one, self.tree, self.args = one, tree, args
        ini = labs.parser(INI)
        self.points_of = {layer: ini.getint("points", layer) for layer in LAYERS}
        section = f"lab {one.name}"
        self.plans = ini.get(section, "model", fallback="").split()
        self.worthless = worthless(one.name)
        self.results, self.notes, self.said, self.label = [], [], "", ""
        self.empty = {}  # {function that is left empty: the points that it costs at least}
        self.seconds, self.cpu = 0.0, 0.0
        self.board = None  # figures for a leaderboard
        self.kernel = None
        self.in_ring_3 = one.in_ring_3()
        self.screen = grade_report.Screen(self, sys.stdout)

    def only(self):
        """The words of ONLY."""
        return [word for word in self.args.only.split(",") if word]

    def chosen(self, key):
        return not self.only() or any(selects(word, key) for word in self.only())

    def unknown(self):
        """The words of ONLY that name no test of the lab."""
        keys = [f"{layer}.{name}" for layer, tests in self.layers().items() for name in tests]
        return [word for word in self.only() if not any(selects(word, key) for key in keys)]

    def stage(self):
        """Copy the lab's files of the submission into the build directory, and grade the copy."""
        if self.tree:
            to = os.path.join(os.path.abspath(self.args.build), "labs", "staged", self.name())
            for path in grade_source.stage(self.one, self.tree, to):
                self.notes.append(f"{path} is not handed in; graded as students get it")
            self.tree = to

    def only_test(self):
        """(layer, test) if exactly one test is chosen, else (None, None)."""
        found = [(layer, name) for layer, names in self.tests().items() for name in names]
        return found[0] if len(found) == 1 else (None, None)

    def is_plan(self):
        """Is one set of the explorer chosen, and PLAN a schedule's text?"""
        return self.only_test()[0] == "explorer" and bool(PLAN.fullmatch(self.args.plan))

    def name(self):
        """The name of the submission's folders in the build directory."""
        if not self.tree:
            return OWN
        # gcc expands some characters in -o, such as %.
        plain = re.sub(r"[^\w.+-]", "_", os.path.basename(self.tree), flags=re.ASCII)[:60]
        return f"in-{plain}-{zlib.crc32(os.fsencode(self.tree)):x}"

    def layers(self):
        """{layer: tests} of this lab."""
        return {
            lab_race.LAYER: lab_race.tests(self.one),
            "model": self.plans,
            "explorer": self.one.sets,
            "contract": self.one.tests_tagged("contract"),
            "kernel": self.kernel_tests(),
            lab_perf.LAYER: lab_perf.tests(self.one),
            COST: self.one.tests_tagged("cost"),
        }

    def kernel_tests(self):
        """The tests in the kernel: on request; always for a lab in ring 3, which has no others."""
        if not self.in_ring_3 and not (self.args.kernel and self.one.suites):
            return []
        if not self.kernel:
            kind = grade_layers.GradedProgram if self.in_ring_3 else grade_layers.Graded
            self.kernel = kind(self.one, self.args.build)
        return self.kernel.tests()

    def tests(self):
        return {
            layer: [t for t in names if self.chosen(f"{layer}.{t}")]
            for layer, names in self.layers().items()
        }

    # ---- points ----

    def is_worthless(self, layer, name):
        """Does the empty tree pass this test?  The kernel runs the contract tests."""
        return f"{CONTRACT if layer == KERNEL else layer}.{name}" in self.worthless

    def scores(self):
        """[(layer, points, most points)] for each layer of the lab; the most are 100 together.  A
        test that the empty tree passes gives no points, but failing it costs as much as failing
        another.  A layer with no other tests gives no points, and failed tests cost some."""
        has = {layer: names for layer, names in self.layers().items() if names}
        free = {layer: {n for n in has[layer] if self.is_worthless(layer, n)} for layer in has}
        worth = [layer for layer in has if len(free[layer]) < len(has[layer])]
        whole = sum(self.points_of[layer] for layer in worth if layer != COST) or 1
        rows = []
        for layer, names in has.items():
            share = self.points_of[layer] * (1 if layer == COST else 100 / whole)
            mine = [r for r in self.results if r.layer == layer]
            counted = set(names) - {r.name for r in mine if r.neutral}
            run = [r for r in mine if not r.neutral]
            passed = sum(r.gained() for r in run)
            if layer in worth:
                gained = max(0, passed - sum(r.name in free[layer] for r in run))
                rows.append((layer, share * gained / max(len(counted - free[layer]), 1), share))
            else:
                rows.append((layer, share * (passed - len(run)) / max(len(counted), 1), 0))
        return rows

    def worths(self):
        """{(layer, test): the points that it gives if it passes}; for tests of cost, apart from the
        100.  The points of a layer are shared by its tests that the empty tree fails."""
        found = {}
        for layer, _, most in self.scores():
            names = self.layers()[layer]
            left_out = {r.name for r in self.results if r.layer == layer and r.neutral}
            counted = [n for n in names if n not in left_out and not self.is_worthless(layer, n)]
            found |= {(layer, n): most / len(counted) if n in counted else 0.0 for n in names}
        return found

    def points(self):
        """The points of the tests; less, if a failed test or a function that is left empty costs
        more.  Who passes all tests has all points, whatever is empty."""
        points = sum(row[1] for row in self.scores() if row[0] != COST)
        if self.has_faults():
            points = min(points, 100 - bodies.FAULT, 100 - sum(self.empty.values()))
        return max(0, round(points, 1))

    def has_faults(self):
        """Has a test failed that is not one of cost?"""
        mine = [r for r in self.results if r.layer != COST and not r.neutral]
        return any(r.verdict != "PASS" for r in mine)

    def not_graded(self):
        """The reason why no test was run, or ""."""
        return next((r.why for r in self.results if r.layer == "build"), "")

    def cost_points(self):
        """(points, most points) of the layer "cost", or None if the lab has no such tests."""
        return next(((p, of) for layer, p, of in self.scores() if layer == COST), None)

    # ---- the steps ----

    def build(self):
        """{step: program}, or None if the code was refused or did not build: results say why."""
        programs = grade_build.Programs(self.one, self.args.build)
        wanted, name = self.tests(), self.label
        steps = {
            "judge": programs.judge,
            "model": lambda: programs.student(self.tree, name),
            "explorer": lambda: programs.explorer(self.tree, name),
            "contract": lambda: programs.contract(self.tree, name),
            "kernel": lambda: self.kernel.program(self.tree, name),
            lab_perf.LAYER: self.own_faults,
        }
        code = [path for path in self.one.files if path not in lab_race.texts(self.one)]
        said = [text for path in code for text in self.source_faults(path)]
        if said:
            return self.refuse(said)
        needed = {layer for layer, names in wanted.items() if names}
        needed |= {NEEDS[layer] for layer in needed if layer in NEEDS}
        needed |= {lab_perf.LAYER} if getattr(self.args, "board", False) else set()
        first = not os.path.isdir(os.path.join(self.args.build, "labs", "suites", "obj"))
        what = " ".join(key for key in steps if key in needed and key != lab_perf.LAYER)
        self.screen.line("building " + what + ("; the first time takes minutes" if first else ""))
        try:
            with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
                begun = {key: pool.submit(step) for key, step in steps.items() if key in needed}
                made = {key: future.result() for key, future in begun.items()}
            if lab_race.LAYER in needed:
                made[lab_race.LAYER] = lab_race.programs(self.one, self.args.build)
        except Limited as error:
            self.results.append(Result("build", "compile", "FAIL", str(error)))
            return None
        except Failed as error:
            # Code that does not link may break a rule: then report that rule.
            if LINKING.search(str(error)):
                said = grade_source.faults(self.one, self.objects(programs, needed), [])
                if said:
                    return self.refuse(said)
            lacks = self.lacks(str(error))
            why = (lacks[0], lacks[1:]) if lacks else first_error(str(error))
            # The student's file, or the grader's trouble?
            theirs = lacks or any(f"{path}:" in str(error) for path in self.one.files)
            self.results.append(Result("build", "compile", "FAIL" if theirs else "ERROR", *why))
            return None
        said = programs.said + (self.kernel.said if self.kernel else "")
        self.said = grade_layers.printable(said)
        given = self.given_objects(programs, needed)
        said = grade_source.faults(self.one, self.objects(programs, needed), given)
        said += made.get(lab_perf.LAYER, [])
        return self.refuse(said) if said else made

    def own_kernel(self):
        """The kernel whose own memory the student's code serves."""
        return lab_kernel.Kernel(self.one, self.args.build, own=True)

    def own_faults(self):
        """Faults of the objects for that kernel."""
        if self.in_ring_3 or not self.one.own:
            return []
        own = self.own_kernel()
        try:
            objects = dict(zip(self.one.twice(), own.student(self.tree, own.folder(self.label))))
            given = own.given_objects(self.label) if self.has_own_headers() else []
        except Failed:
            return []  # that kernel does not run; who measures it says why
        mine = {path: [objects[path]] for path in self.one.sources()}
        return grade_source.faults(self.one, mine, given)

    def lacks(self, text):
        """A line for each function that a linker misses, and that a file of the lab should have."""
        found = re.findall(r"undefined (?:symbol: |reference to [`'])(?:lab_)?(\w+)", text)
        said = []
        for path in self.one.sources():
            for name in [n for n in found if n in self.one.exports(path)]:
                there = lab_build.tree_file(self.tree, path)
                empty = os.path.getsize(there) == 0
                said.append(f"{path} is empty" if empty else f"{path} does not define {name}")
        return list(dict.fromkeys(said))

    def source_faults(self, path):
        there = os.path.join(self.tree or labs.ROOT, path)
        return grade_source.source_faults(self.one, there, path) if os.path.exists(there) else []

    def refuse(self, said):
        """Fail the submission for the faults @said; none of its code is run."""
        rule = "the code uses what an allocator does not need (docs/grading.md)"
        self.results.append(Result("build", "rules", "FAIL", said[0], [*said[1:12], rule]))

    def objects(self, programs, needed):
        """{source: its objects in the programs of the steps @needed}; objects of other steps may be
        those of an earlier state of the code."""
        found, name = {}, self.label
        for path in self.one.sources():
            folder = lab_build.SAME if lab_build.same(self.one, self.tree, path) else name
            kinds = [kind for step, kind in KINDS.items() if step in needed]
            folders = [os.path.join(programs.top, k, self.one.name, folder) for k in kinds]
            places = [labs.object_in(there, path) for there in folders]
            if self.kernel:
                places += self.kernel.student_objects(name, self.tree)[path]
            found[path] = [p for p in places if os.path.exists(p)]
        return found

    def has_own_headers(self):
        """Does the submission have headers of the lab that differ from this tree's?"""
        return self.tree and not lab_build.same(self.one, self.tree, "")

    def given_objects(self, programs, needed):
        """[(given source, its object with the student's headers, its object with this tree's)]"""
        if not self.has_own_headers():
            return []
        found = programs.given_objects(self.label, needed)
        return found + (self.kernel.given_objects(self.label) if KERNEL in needed else [])

    def run(self):
        begin = time.monotonic()
        cpu = sum(os.times()[:4])
        self.label = self.name()
        try:
            self.stage()
        except grade_source.NotTaken as error:
            self.results.append(Result("build", "rules", "FAIL", str(error), [TAKEN]))
            self.seconds = time.monotonic() - begin
            return
        shares = self.one.shares()
        self.empty = {name: shares[name] for name in empty_functions(self.one, self.tree)}
        guard = grade_run.Guard()
        try:
            with alone(self.args.build):
                made = self.build()
            if made and getattr(self.args, "board", False):
                what = (self.one, self.args.build, self.tree, self.label)
                self.board = lab_kernel.measured(*what)
            if made:
                sandbox = grade_run.Sandbox(guard)
                self.notes += sandbox.notes
                folder = tempfile.mkdtemp(prefix="grade-")
                guard.tell("D", folder)
                os.chmod(folder, 0o777)
                self.run_layers(made, sandbox, folder)
        finally:
            guard.close()
        for r in self.results:
            r.why = grade_layers.printable(r.why)
            r.details = [grade_layers.printable(line) for line in r.details]
        self.seconds = time.monotonic() - begin
        self.cpu = sum(os.times()[:4]) - cpu

    def clean(self):
        """Remove the files built from this submission; those that all submissions share stay."""
        if self.label in ("", OWN):
            return
        top = os.path.join(os.path.abspath(self.args.build), "labs")
        folders = [os.path.join(top, kind, self.one.name, self.label) for kind in KINDS.values()]
        folders += [self.own_kernel().folder(self.label)] if self.one.own else []
        folders += [self.kernel.folder(self.label)] if self.kernel else []
        for folder in [os.path.join(top, "staged", self.label), *folders]:
            shutil.rmtree(folder, ignore_errors=True)

    def run_layers(self, made, sandbox, folder):
        args = self.args
        layers = grade_layers.Layers(sandbox, folder, args.seed, args.plan, self.screen.tell)
        wanted, jobs = self.tests(), []
        if wanted[KERNEL]:
            kernel = (made[KERNEL], wanted[KERNEL], folder, self.screen.tell)
            jobs.append((self.kernel.grade, *kernel))
        for layer in (CONTRACT, COST):
            if wanted[layer]:
                jobs.append((layers.contract, made[CONTRACT], wanted[layer], layer))
        if wanted[lab_race.LAYER]:
            race = lab_race.Race(self.tree, sandbox, folder, made)
            jobs.append((race.results, wanted[lab_race.LAYER], self.screen.tell))
        for name in wanted["explorer"]:
            jobs.append((layers.explore, made["explorer"], name))
        half = (len(wanted["model"]) + 1) // 2
        for some in filter(None, (wanted["model"][:half], wanted["model"][half:])):
            jobs.append((layers.model, made["judge"], made["model"], some))
        with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
            for future in [pool.submit(*job) for job in jobs]:
                self.results += future.result()
        self.results += lab_perf.results(self, wanted[lab_perf.LAYER], folder)
        self.results.sort(key=lambda r: LAYERS.index(r.layer))
        lab_race.joined(self.results)


def interrupted(number, _frame):
    """End the programs that threads wait for, and then this process."""
    if grade_run.Guard.now:
        grade_run.Guard.now.close()
    os.write(2, b"\ninterrupted\n")
    os._exit(128 + number)


def end_when_asked():
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupted)


def first_error(text):
    """(the first error in a compiler's output, the lines that follow it)"""
    lines = [line for line in text.split("\n") if line.strip()]
    at = next((i for i, line in enumerate(lines) if "error" in line or "undefined" in line), 0)
    first = lines[at] if lines else "it does not compile"
    return first.replace(labs.ROOT + "/", ""), lines[at + 1 : at + 8]


def main():
    flags, words = "kernel github board clean gdb", "only test plan track out"
    parser = rooms.parser(usage=__doc__, flags=flags, words=words)
    parser.add_argument("--seed", type=int, default=labs.grade_seed())
    parser.add_argument("lab", nargs="?", default="")
    parser.add_argument("tree", nargs="?", default="")
    args = parser.parse_args()
    if not args.lab:
        sys.exit("make grade LAB=n [DIR=...]; n is one of " + " ".join(labs.labs()))
    end_when_asked()
    resource.setrlimit(resource.RLIMIT_FSIZE, (MOST_OUTPUT, MOST_OUTPUT))
    one = labs.lab(args.lab, args.track)
    if args.test:
        args.only = f"{CONTRACT}.{args.test},{COST}.{args.test}"
    grade = Grade(one, one.tree(args.tree), args)
    if not any(grade.tests().values()) or (grade.unknown() and not args.test):
        unknown = args.test or " ".join(grade.unknown())
        raise labs.BadLab(f"lab {one.name} has no test {unknown}")
    if args.plan and not grade.is_plan():
        sys.exit("PLAN= takes one set, and a schedule as a failure prints it: SET=NAME PLAN=AB,7:B")
    try:
        grade_report.places(args)
    except OSError as error:
        raise labs.BadLab(f"{error.filename}: {error.strerror}") from None
    if args.gdb:
        grade_report.debug(grade)
    try:
        grade.run()
    finally:
        if args.clean:
            grade.clean()
    grade.screen.close()
    grade_report.write(grade, args)
    if not grade.results:
        sys.exit(2)
    sys.exit(0 if all(r.verdict == "PASS" or r.neutral for r in grade.results) else 1)


if __name__ == "__main__":
    labs.run_tool(main)
