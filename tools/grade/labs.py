#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The labs: labs/labs.ini, read and checked.

Usage: labs.py             print a table of the labs, and the tracks
       labs.py check       print the faults of labs.ini, a line each
       labs.py write       write the rules of each lab into its handout
       labs.py show LAB    print the lab's functions with their lengths, and its tests

The other tools take labs from here; labs/labs.ini says what each key means.
"""
import configparser
import glob
import os
import re
import sys
import textwrap
from dataclasses import dataclass, fields, replace
from functools import lru_cache

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
from rooms import ROOT
import bodies
import suites
import variant

INI = os.path.join("labs", "labs.ini")
INSTRUCTOR = "docs/instructor.md"
REFERENCE = os.path.join("labs", "reference")  # a student's tree has objects there
OF_LAB = os.path.join(REFERENCE, "lab")  # of which lab it is
VARIANT = os.path.join("labs", "variant.mk")  # a course's own constants; most trees have none
HIDDEN = "labs/hidden/"  # suites that a student's tree does not have
MOST, MOST_LINES = 130, {"capstone": 180}  # lines of bodies to write
SHORT = "short4"  # the track in which some labs have fewer functions
PROGRAM_TEST = os.path.join("labs", "P", "pager_test.c")  # the tests of a lab in ring 3
PROGRAM_TESTS = re.compile(r'^    \{"(\w+)", \w+\},$', re.MULTILINE)
NEUTRAL = (
    (r"void", ""),
    (r"bool", "return false;"),
    (r"pfn_t", "return PFN_NONE;"),
    (r".*\*", "return NULL;"),
    (r"int|long", "return -EINVAL;"),
    (r"unsigned|size_t|phys_t|u8|u16|u32|u64|s64|unsigned long|enum \w+", "return 0;"),
)
# In a source: a variable with its initialiser.
DATA = re.compile(r"^[A-Za-z_][^\n(]*=\s*\{.*?^\};", re.MULTILINE | re.DOTALL)


class BadLab(Exception):
    """A lab that does not exist, or a labs.ini that is malformed; the text is the reason."""


@dataclass
class Lab:
    """A section of labs.ini; labs.ini says what each field means."""

    name: str
    title: str
    hours: int
    functions: dict  # {file: names of functions}
    weights: dict  # {function: points}
    neutral: dict  # {function: statement}
    more: set  # key "allow"
    leave_out: list
    trace: str
    tracks: list  # of words, as all below
    files: list
    short: list  # [hours, names of functions]
    planted: list  # names of mistakes
    extra: list  # key "with"
    tests: list
    suites: list
    left: list  # key "not"
    hidden: list
    sets: list
    races: list
    mutants: list
    own: list

    def names(self):
        """The functions whose bodies the lab empties."""
        return sum(self.functions.values(), [])

    def shares(self):
        """{function: the least of 100 points that it costs if it is left empty}; in a track with
        fewer functions these share the points of all."""
        mine = sum(self.weights[name] for name in self.names())
        return {n: self.weights[n] * sum(self.weights.values()) / mine for n in self.names()}

    @property
    def allow(self):
        """The symbols that the student's objects may use."""
        return self.more | bodies.names(tuple(self.files))

    def sources(self):
        """The lab's files that are sources, not headers."""
        return [path for path in self.files if path.endswith(".c")]

    def headers(self):
        return [path for path in self.files if path.endswith(".h")]

    def twice(self):
        """The sources that have two objects: the reference's and the student's."""
        return self.sources() + [path for path in self.extra if not path.startswith("tests/")]

    def exports(self, path):
        """The functions of a file that are not static: its object may define no others.  In a
        student's tree the reference's trampolines name them, not the student's own file."""
        kept = os.path.join(REFERENCE, path.replace("/", "_"))
        if os.path.exists(os.path.join(ROOT, kept)):
            return list(dict.fromkeys(re.findall(r"\bref_(\w+)\([^;{]*\);\n", read(kept))))
        found = bodies.bodies(read(path)).items()
        return [name for name, body in found if not re.search(r"\bstatic\b", body.head)]

    def tree(self, folder):
        """The path of a student's tree, which has a file of the lab; None without @folder."""
        if whose() not in ("", self.name):
            raise BadLab(f"this is a student's tree of lab {whose()}, which cannot grade others")
        there = [os.path.join(folder, path) for path in self.files] if folder else []
        if folder and not any(map(os.path.lexists, there)):
            raise BadLab(f"{folder} has none of the lab's files: {' '.join(self.files)}")
        return os.path.abspath(folder) if folder else None

    def in_ring_3(self):
        """Does the student write a program of ring 3?"""
        return self.files[0].startswith("user/")

    def planted_path(self, name):
        return os.path.join("labs", "planted", self.name, name + ".c")

    def neutral_of(self, body):
        """The statement of an emptied body."""
        found = [does for pattern, does in NEUTRAL if re.fullmatch(pattern, body.type)]
        if body.name not in self.neutral and not found:
            raise BadLab(f"lab {self.name}: {body.name}: no neutral value of type {body.type}")
        return self.neutral.get(body.name, *found[:1])

    def body(self, path, name):
        """The body of the function @name in the file @path."""
        found = bodies.bodies(read(path))
        if name not in found:
            raise BadLab(f"lab {self.name}: {path} has no function {name}")
        return found[name]

    def tests_tagged(self, tag):
        """[SUITE.TEST] of the tests with this tag in the lab's suites."""
        known = [(name, suites.suites()[name]) for name in self.suites if name in suites.suites()]
        tests = [(f"{name}.{test}", has) for name, s in known for test, has in s.tests.items()]
        return [test for test, has in tests if has == tag and test not in self.left]


def whose():
    """The lab whose student's tree this is; "" in Quarry's own tree."""
    return read(OF_LAB).strip() if os.path.exists(os.path.join(ROOT, OF_LAB)) else ""


def run_tool(main, *errors):
    """Call a tool's main(); BadLab, @errors and Ctrl-C end the tool, without a traceback."""
    try:
        main()
    except (BadLab, *errors) as error:
        sys.exit(f"tools/grade/{os.path.basename(sys.argv[0])}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def object_in(folder, path, ending=".o"):
    """Where the object of the source @path is in @folder."""
    return os.path.join(folder, path.replace("/", "_") + ending)


def read(path):
    """The text of a file of the tree, which a test may move."""
    return rooms.read(os.path.join(ROOT, path))


def program_tests(path=PROGRAM_TEST):
    """The names of the tests in a program, in the order in which they run."""
    return PROGRAM_TESTS.findall(read(path))


def pairs(text):
    """{file: names} from lines FILE: NAME ..., whose names may go on in the next line."""
    found, now = {}, None
    for word in text.split():
        if word.endswith(":"):
            now = found.setdefault(word[:-1], [])
        elif now is None:
            raise BadLab(f"{word}: no file before it")
        else:
            now.append(word)
    return found


def weighed(functions):
    """{file: names}, {name: points} of {file: names, each with its points behind it}"""
    weights = {}
    for path, words in functions.items():
        if len(words) % 2 or not all(word.isdigit() for word in words[1::2]):
            raise BadLab(f"{path}: wanted NAME POINTS ... behind it")
        weights.update(zip(words[::2], map(int, words[1::2])))
    return {path: words[::2] for path, words in functions.items()}, weights


def statements(text):
    """{name: statement} from lines NAME: STATEMENT."""
    rows = [line.split(":", 1) for line in text.split("\n") if line.strip()]
    return {name.strip(): statement.strip() for name, statement in rows}


def parser(path=INI, optionxform=str.lower):
    ini = configparser.ConfigParser(interpolation=None, delimiters=("=",), strict=True)
    ini.optionxform = optionxform
    ini.read_string(read(path))
    return ini


@lru_cache(None)
def labs():
    """{name: Lab}, in the order of labs.ini"""
    ini, found = parser(), {}
    common, keys = ini["all"], {"extra": "with", "left": "not"}
    for section in [name for name in ini.sections() if name.startswith("lab ")]:
        row, name = ini[section], section[4:]
        functions, weights = weighed(pairs(row["functions"]))
        named = {
            field.name: row.get(keys.get(field.name, field.name), "").split()
            for field in fields(Lab)[9:]
        }
        # Hidden suites: only if this tree has them.
        named["suites"] += [suite for suite in named["hidden"] if suite in suites.suites()]
        found[name] = Lab(
            name, row["title"], int(row["hours"]), functions, weights,
            neutral=statements(row.get("neutral", "")),
            more=set((row.get("allow", "") + " " + common["allow"]).split()),
            leave_out=common["leave_out"].split(), trace=row.get("trace", ""), **named,
        )
    return found


def plans():
    """The judge's plans, of all labs (labs/grade.ini)."""
    ini = parser(os.path.join("labs", "grade.ini"))
    rows = [ini[name].get("model", "") for name in ini.sections() if name.startswith("lab ")]
    return " ".join(rows).split()


def grade_seed():
    """The seed of the model layer without SEED=: GRADE_SEED of labs/variant.mk, else 1."""
    text = read(VARIANT) if os.path.exists(os.path.join(ROOT, VARIANT)) else ""
    said = re.findall(r"^GRADE_SEED\b[ \t]*(.*)$", text, re.MULTILINE)
    if not said:
        return 1
    number = re.fullmatch(r"[:?]?=\s*(\d+)\s*(#.*)?", said[-1])
    if not number:
        raise BadLab(f"{VARIANT}: GRADE_SEED {said[-1]}: wanted GRADE_SEED := NUMBER")
    return int(number.group(1))


def lab(name, track=None):
    """The lab @name; in track short4, some labs have fewer functions to write."""
    if name not in labs():
        raise BadLab(f"no lab {name}; there are {' '.join(labs())}")
    one = labs()[name]
    if track and name not in sum(tracks().get(track, []), []):
        raise BadLab(f"no track {track} with lab {name}")
    if track != SHORT or not one.short:
        return one
    mine = set(one.short[1:])
    return replace(
        one, hours=int(one.short[0]),
        functions={path: [n for n in names if n in mine] for path, names in one.functions.items()},
        neutral={n: statement for n, statement in one.neutral.items() if n in mine},
    )


def tracks():
    """{name: weeks, each a list of labs}"""
    ini = parser()
    found = {name[6:]: ini[name]["labs"] for name in ini.sections() if name.startswith("track ")}
    rows = {name: text.strip().split("\n") for name, text in found.items()}
    return {name: [line.split() for line in lines] for name, lines in rows.items()}


def lines(one):
    """The number of lines of the bodies that the lab empties."""
    return sum(count for _, _, count in lengths(one))


def lengths(one):
    """(file, function, lines of its body) of the functions that the lab empties."""
    for path, names in one.functions.items():
        text = read(path)
        found = bodies.bodies(text)
        yield from ((path, name, found[name].lines(text)) for name in names)


def explorer_sets():
    return set(re.findall(r'^    \{"([\w-]+)",', read("tests/races/fiber_explore.c"), re.MULTILINE))


def faults_of_files(one):
    for path in one.files + one.extra + one.tests:
        if not os.path.exists(os.path.join(ROOT, path)):
            yield f"no file {path}"
            return
    for path, names in one.functions.items():
        found = bodies.bodies(read(path))
        if path not in one.files:
            yield f"{path} is not one of its files"
        for name in names:
            if name not in found:
                yield f"{path} has no function {name}"
                return
            one.neutral_of(found[name])
    for name in set(one.short[1:]) - set(one.names()):
        yield f"short: {name} is not emptied"
    if one.short and SHORT not in one.tracks:
        yield f"short: it is not in track {SHORT}"
    for name in set(one.neutral) - set(one.names()):
        yield f"neutral: {name} is not emptied"
    for path, data in ((path, data) for path in one.files for data in DATA.findall(read(path))):
        if set(re.findall(r"\w+", data)) & set(bodies.bodies(read(path))):
            yield f"{path} holds data with function pointers"
    whole = sum(one.weights.values())
    if whole > 100 or whole < 100 and not one.planted:
        yield f"its functions have {whole} points together"
    if lines(one) > MOST_LINES.get(one.name, MOST):
        yield f"{lines(one)} lines of bodies"


def faults_of_planted(one):
    """Compare labs.ini with the files of planted mistakes; a student's tree has no such files."""
    if not os.path.isdir(os.path.join(ROOT, "labs", "planted")):
        return
    for path in glob.glob(os.path.join("labs", "planted", one.name, "*"), root_dir=ROOT):
        if os.path.basename(path)[:-2] not in one.planted:
            yield f"{path} is not planted"
    for name in one.planted:
        if not os.path.exists(os.path.join(ROOT, one.planted_path(name))):
            yield f"no file {one.planted_path(name)}"


def faults_of_names(one):
    known, mutants = suites.suites(), variant.known()
    yield from (f"no suite {name}" for name in one.suites if name not in known)
    for name in one.hidden:
        if name in known and not known[name].path.startswith(HIDDEN):
            yield f"the suite {name} is not in {HIDDEN}"
    for name in one.left:
        suite, _, test = name.partition(".")
        if suite not in known or test not in known[suite].tests:
            yield f"no test {name}"
    yield from (f"no explorer's set {name}" for name in one.sets if name not in explorer_sets())
    for name in one.races:
        if not os.path.exists(os.path.join(ROOT, "tests", "races", name + ".race")):
            yield f"no race {name}"
    # A student's tree has no variants to check.
    for name in one.mutants if mutants else []:
        if name not in mutants:
            yield f"no variant {name}"
            continue
        strange = {path for path, _, _ in variant.read(name).edits} - set(one.files)
        if strange:
            yield f"variant {name} changes {min(strange)}"


def faults():
    """A line for each fault of labs.ini."""
    said, owner = [], {}
    for name, one in labs().items():
        said += [f"lab {name}: {what}" for what in faults_of_files(one)]
        said += [f"lab {name}: {what}" for what in faults_of_names(one)]
        said += [f"lab {name}: {what}" for what in faults_of_planted(one)]
        for path in one.files:
            if path in owner and not one.planted:
                said.append(f"lab {name}: {path} belongs to lab {owner[path]}")
            owner.setdefault(path, name)
        if set(one.tracks) != {t for t, weeks in tracks().items() if name in sum(weeks, [])}:
            said.append(f"lab {name}: its tracks are not those that name it")
    for track, weeks in tracks().items():
        said += [f"track {track}: no lab {n}" for w in weeks for n in w if n not in labs()]
    return said or list(faults_of_texts())


def hours_of(track):
    return sum(lab(name, track).hours for week in tracks()[track] for name in week)


def faults_of_texts():
    """Check the hours in the page for instructors and in the handouts."""
    page = read(INSTRUCTOR)
    for track in tracks():
        row = re.search(rf"^\| `{track}` \|.*\| (.*) \|$", page, re.MULTILINE)
        if not row or row.group(1) != str(hours_of(track)):
            yield f"{INSTRUCTOR}: the hours of track {track} are {hours_of(track)}"
    # A student's tree lacks what the rules of other labs are made from.
    ours = os.path.isdir(os.path.join(ROOT, "labs", "right"))
    for name, one in labs().items():
        text = read(os.path.join("labs", name, "handout.md"))
        if f"\nAbout {one.hours} hours" not in text:
            yield f"lab {name}: its handout does not say that it takes {one.hours} hours"
        if ours and bodies.RULES.findall(text) != [bodies.rules(one)]:
            yield f"lab {name}: its handout has other rules: tools/grade/labs.py write"


def counted(number, noun):
    return f"{number} {noun}" + ("" if number == 1 else "s")


def table():
    print("lab      hours lines tests  title")
    for name, one in labs().items():
        tests = one.tests_tagged("contract") + one.tests_tagged("cost")
        tests += program_tests() if one.in_ring_3() else []
        print(f"{name:9}{one.hours:5}{lines(one):6}{len(tests):6}  {one.title}")
    for name, weeks in tracks().items():
        print(f"\ntrack {name}, {counted(hours_of(name), 'hour')}")
        for number, week in enumerate(weeks, 1):
            one = f"week {number}: " if len(weeks) > 1 else ""
            print(f"    {one}{' '.join(week)}")


def write():
    for name, one in labs().items():
        path = os.path.join("labs", name, "handout.md")
        text = bodies.RULES.sub(lambda _, one=one: bodies.rules(one), read(path))
        rooms.write(os.path.join(ROOT, path), text)


def show(one):
    for path, name, count in lengths(one):
        print(f"{path}: {name}: {counted(count, 'line')}, {one.shares()[name]:g} points")
    for tag in ("contract", "cost"):
        print(f"{tag}: {counted(len(one.tests_tagged(tag)), 'test')}")
    print(f"explorer: {counted(len(one.sets), 'set')}")
    print(f"races: {' '.join(one.races) or 'none'}")
    print(textwrap.fill(f"wrong variants: {' '.join(one.mutants) or 'none'}", 80))


def main():
    steps = {
        (): table, ("check",): lambda: sys.exit("\n".join(faults()) or None), ("write",): write,
        ("show", sys.argv[-1]): lambda: show(lab(sys.argv[2]))
    }
    steps.get(tuple(sys.argv[1:]), lambda: sys.exit(__doc__.strip()))()


if __name__ == "__main__":
    run_tool(main)
