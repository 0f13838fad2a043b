# SPDX-License-Identifier: MIT
"""Lab R, a race: a set of operations and a race script, tried on a wrong drain and on the right
one; for grade.py and skeleton.py.

The wrong drain is the file that students get, with the planted mistake.  Of it and of the right one
a student's tree has only objects, in labs/reference/race/.  Programs with these are linked like the
explorer of the student's code (grade_build.py).
"""
import json
import os
import re

import grade_build
import lab_build
import lab_make
import labs
import skeleton
from grade_layers import ALIVE_CPU, SET_CPU, Result, Unfit, first_trouble
from lab_make import Once
import grade_run

LAYER = "race"
SET, SCRIPT, FIX = "set_breaks_only_the_wrong_drain", "script_replays_the_failure", "fix_holds"
TESTS = (SET, SCRIPT, FIX)
SET_FILE, SCRIPT_FILE = "labs/R/set.txt", "labs/R/script.txt"
KEPT = os.path.join(labs.REFERENCE, "race")
BOUND = 20000  # about the most schedules of a set that are run
MOST_SET, MOST_SCRIPT = 400, 4000  # characters
PLAIN = re.compile(r"[\n -~]*")
# A set of the explorer that shows the mistake, too, and notices if a fix lacks a barrier: it is not
# in the student's tree, in which all sets pass.
BUFFERED, SETS = "tso-drain-zone", "tests/races/fiber_explore.c"
ENTRY = re.compile(rf'^    \{{"{BUFFERED}",[^}}]*\}},\n', re.MULTILINE)
FAILURE = re.compile(r"expect: *(CHECK\(.+\)|WRONG\([A-H]\)|STUCK|CRASH)")
HANDED = {
    SET_FILE: "setup: A:scene\nset: drain=0 | drain=0\n",
    SCRIPT_FILE: "race: mine\npolicy: precise\nsetup: A:scene\n"
    "script: A!drain ; B!drain ; A:join=0 ; B:join=0 ; check final\nexpect: OK\n",
}


def tests(one):
    return list(TESTS) if SET_FILE in one.files else []


def texts(one):
    """{path: text} of the lab's files that are no code, as students get them."""
    return {path: text for path, text in HANDED.items() if path in one.files}


def without_answers(one):
    """{path: text} of the files of the student's tree from which the answer is left out."""
    return {SETS: ENTRY.sub("", labs.read(SETS))} if tests(one) else {}


def joined(results):
    """Without its other promises a fix does not hold: change the result of FIX accordingly."""
    bad = [r.key() for r in results if not (r.layer == LAYER or r.verdict == "PASS" or r.neutral)]
    for result in results:
        if result.name == FIX and result.verdict == "PASS" and bad:
            result.verdict, result.why = "FAIL", f"the fix breaks another promise: {bad[0]}"


# ---- the programs with the wrong and the right drain -------------------------------------------


def objects(one, build):
    """{"wrong" or "right": the object of the drain}"""
    kept = os.path.join(labs.ROOT, KEPT)
    if os.path.isdir(kept):
        return {which: os.path.join(kept, which + ".o") for which in ("wrong", "right")}
    programs, source = grade_build.Programs(one, build), one.sources()[0]
    kind = grade_build.EXPLORER
    folder = os.path.join(programs.top, kind, one.name, LAYER)
    command = [programs.cc, *programs.flags_for(kind)]
    found, given = {}, {"wrong": dict(skeleton.texts(one))[source], "right": labs.read(source)}
    for which, text in given.items():
        path = os.path.join(folder, which + ".c")
        lab_make.write_changed(path, text)
        builder, found[which] = lab_build.Builder(folder), os.path.join(folder, which + ".o")
        builder.compile(path, found[which], command)
        builder.save()
    return found


def write_reference(one, folder, build):
    """Write the objects of both drains into a student's tree."""
    for which, made in objects(one, build).items() if tests(one) else ():
        to = os.path.join(folder, KEPT, which + ".o")
        os.makedirs(os.path.dirname(to), exist_ok=True)
        lab_make.run("objcopy", "--strip-debug", made, to)


def programs(one, build):
    """{"wrong" or "right": the path of the explorer with that drain}"""
    of, kind, found = grade_build.Programs(one, build), grade_build.EXPLORER, {}
    flags, folder = of.flags_for(kind), os.path.join(of.top, kind, one.name)
    given = [path for path in of.sources(kind) if path not in one.sources()]
    rest = Once.of(lambda: of.rest(kind, given, flags, "fiber"), kind, folder)
    for which, made in objects(one, build).items():
        builder = lab_build.Builder(os.path.join(folder, LAYER))
        to = found[which] = os.path.join(folder, LAYER, which)

        def linked(to=to, made=made):
            lab_make.run(of.cc, *flags, "-fuse-ld=" + lab_build.linker(), "-o", to, rest, made)

        builder.make(to, [rest, made], linked)
        builder.save()
    return found


# ---- what a student hands in -------------------------------------------------------------------


def read(tree, path):
    with open(lab_build.tree_file(tree, path), encoding="utf-8", errors="replace") as f:
        text = f.read().replace("\r\n", "\n")
    most = MOST_SET if path == SET_FILE else MOST_SCRIPT
    if len(text) > most:
        raise Unfit(f"{path} has more than {most} characters")
    if not PLAIN.fullmatch(text):
        raise Unfit(f"{path} has a character that is not plain ASCII, or a tab")
    return text


def read_set(tree):
    """(setup, operations) of the set."""
    found = {}
    for line in [line for line in read(tree, SET_FILE).split("\n") if line.strip()]:
        key, colon, value = line.partition(":")
        if not colon or key not in ("setup", "set"):
            raise Unfit(f"{SET_FILE} has a line that begins with no setup: and no set:", [line])
        if key in found:
            raise Unfit(f"{SET_FILE} has two lines that begin with {key}:", [line])
        found[key] = value.strip()
    if "|" not in found.get("set", ""):
        raise Unfit(f"{SET_FILE} has no line `set: OPERATIONS | OPERATIONS`: two roles or more")
    return found.get("setup", "A:scene"), found["set"]


def read_script(tree):
    """(the script, its last line's outcome)"""
    text = read(tree, SCRIPT_FILE)
    if len(re.findall(r"^race:", text, re.MULTILINE)) != 1:
        raise Unfit(f"{SCRIPT_FILE} must have one script, which begins with a line race: NAME")
    last = text.rstrip().split("\n")[-1]
    found = FAILURE.fullmatch(last.strip())
    if not found:
        many = "expect: CHECK(...), WRONG(...), STUCK or CRASH"
        raise Unfit(f"the last line of {SCRIPT_FILE} must name a failure: {many}", [last])
    return text, found.group(1)


# ---- the three tests ---------------------------------------------------------------------------


class Race:
    """The tests of one submission; @made: the grader's programs."""

    def __init__(self, tree, sandbox, folder, made):
        self.tree, self.sandbox, self.folder = tree, sandbox, folder
        self.programs = {**made[LAYER], "fixed": made[grade_build.EXPLORER]}

    def run(self, which, words, **more):
        command, log = [self.programs[which], *words], os.path.join(self.folder, "race.log")
        return grade_run.run(self.sandbox, command, log, cpu=SET_CPU, **more)

    def explored(self, which, chosen):
        """(the failed schedule or None, the number of schedules) of a set on a drain."""
        setup, operations = chosen
        words = ["--explore", operations, *([f"--setup={setup}"] if setup else [])]
        words += ["--json", "--alive"]
        done = self.run(which, [*words, f"--max={BOUND}"], each=ALIVE_CPU, records="stdout")
        rows = [line for line in done.records if line.startswith('{"set"')]
        if not rows:
            said = re.search(r"^race: given: (.*)$", done.text, re.MULTILINE)
            if said:
                raise Unfit(f"the explorer cannot read {SET_FILE}: {said.group(1)}")
            ends = "ends early" if done.how == "ended" else "runs without end"
            why, lines = first_trouble(done.text)
            return {"outcome": ends, "why": why, "script": "\n".join(lines)}, 0
        row = json.loads(rows[-1], strict=False)
        return row if row["failed_at"] else None, row["schedules"]

    def played(self, which, text, expect):
        """None if the script ends with the outcome @expect, else (its outcome, its trace)."""
        path = os.path.join(self.folder, "script.race")
        with open(path, "w", encoding="utf-8") as f:
            f.write("\n".join([*text.rstrip().split("\n")[:-1], f"expect: {expect}", ""]))
        os.chmod(path, 0o644)
        done = self.run(which, [path])
        said = re.search(r"cannot be read: (.*)$", done.text, re.MULTILINE)
        if said:
            raise Unfit(f"{SCRIPT_FILE} cannot be read: {said.group(1)}")
        ends = re.findall(r"^race: end \S+ (.*)$", done.text, re.MULTILINE)
        if ends == [expect] and done.how == "ended" and done.status == 0:
            return None
        trace = [line for line in done.text.split("\n") if re.match(r"\d+ ", line)]
        return (ends[-1] if ends else "early, or never"), trace[-6:]

    def set(self):
        """The set, which has shown the mistake."""
        chosen = read_set(self.tree)
        failed, _ = self.explored("right", chosen)
        if failed:
            why = f"a schedule ends {failed['outcome']} on the right drain too: {failed['why']}"
            raise Unfit(why, failed["script"].split("\n"))
        failed, number = self.explored("wrong", chosen)
        if not failed:
            more = ["a drain and its check must meet another drain that is under way"]
            raise Unfit(f"the wrong drain passes all {number} schedules", more)
        return chosen

    def script(self):
        """The script, which has shown the mistake."""
        text, expect = read_script(self.tree)
        for which, want in (("wrong", expect), ("right", "OK")):
            other = self.played(which, text, want)
            if other:
                why = f"on the {which} drain the script ends {other[0]}, not {want}"
                raise Unfit(why, other[1])
        return text

    def fix(self, chosen, text):
        """Run the sets and the scripts on the student's drain, if one has shown the mistake.  This
        tree's own are the reference's, except in a student's tree."""
        sets, scripts = [chosen] if chosen else [], [text] if text else []
        if self.tree and not labs.whose():
            sets += [read_set(None), (None, BUFFERED)]
            scripts.append(read_script(None)[0])
        if not sets and not scripts:
            raise Unfit("neither the set nor the script shows the mistake: is it fixed?")
        for one in dict.fromkeys(sets):
            failed, _ = self.explored("fixed", one)
            if failed:
                why = "your drain still fails: a schedule of a set that shows the mistake ends"
                lines = failed["script"].split("\n") if one == chosen else []
                raise Unfit(f"{why} {failed['outcome']}: {failed['why']}", lines)
        for one in dict.fromkeys(scripts):
            other = self.played("fixed", one, "OK")
            if other:
                whose = "the script" if one == text else "another script"
                raise Unfit(f"on your drain {whose} ends {other[0]}, not OK", other[1])

    def results(self, wanted, tell):
        """The results of the tests @wanted."""
        found, shown = [], {}
        steps = (self.set, self.script, lambda: self.fix(shown.get(SET), shown.get(SCRIPT)))
        for name, step in zip(TESTS, steps):
            result = Result(LAYER, name, "PASS")
            try:
                shown[name] = step()
            except Unfit as why:
                result.verdict, result.why, result.details = "FAIL", str(why), why.lines
            if name in wanted:
                found.append(result)
                tell(result)
        return found
