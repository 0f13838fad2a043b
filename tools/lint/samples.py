# SPDX-License-Identifier: MIT
"""Compare commands and samples of output in README and docs/ with the tree; for facts.py.

A command is a line of a block, or a span in backticks, that begins with make or with a script of
tools/.  A sample is any other line of a block.  All that needs no run is checked: targets and
variables of the Makefile, scripts and their options, names of suites, tests, races and wrong
variants, files and their numbers of lines.
"""
import functools
import glob
import os
import re

import lab_perf
import lab_race
import labs
import nm
import race_engine
import race_table
import suites
import variant
import rooms
from rooms import ROOT, all_files, read

GROUPS = suites.GROUPS | {"SUITE", "SUITE.TEST", "..."}
# Placeholders in the commands of pages.
FORMS = {"NAME", "ID", "SEED", "SUITE", "SUITE.TEST", "...", "FILE", "TARGET"}
HELP, FIRST = "tools/run/help.txt", "tools/run/help_first.txt"
RACES_BESIDES = {"pressure", "waiters", "fiber"}


@functools.cache
def sources():
    return all_files(".c", ".h", ".S")


def numbers(build):
    """{quick suite: its number in the kernel's boot}, by their order in the kernel."""
    done = rooms.call([*nm.COMMAND, "-n", os.path.join(ROOT, build, "quarry.elf")])
    found, quick = re.findall(r" (\w+)_suite$", done.stdout, re.M), suites.with_flag("KTEST_QUICK")
    return {name: i for i, name in enumerate((n for n in found if n in quick), 1)}


def variables(text):
    """The variables that the Makefile and its scripts read, set or pass on."""
    words = re.findall(
        r"\$[({]+(?:if )?([A-Z_]+)\b|\b([A-Z_]+) *[:?+]?=", text + read("tools/run/font.sh")
    )
    lists = re.findall(r"^(?:export (?=CPUS )|TAKES_\S+ *:= )(.*)", text, re.M)
    return {a or b for a, b in words} | set(" ".join(lists).split())


@functools.cache
def makefile():
    """(targets, variables, hosted builds, targets of `make soak`) of the Makefile."""
    names = ("run/args", "run/lib", "grade/labs", "web/web")
    text = read("Makefile") + "".join(read(f"tools/{n}.mk") for n in names)
    targets = set(re.findall(r"^  ([a-z][\w.-]*)  ", read(HELP), re.M))
    for line in re.findall(r"^\.PHONY: (.*)", text, re.M):
        targets |= set(line.split())
    builds = re.search(r"^HOST_BUILDS +:= (.*)", text, re.M).group(1).split()
    soaks = re.search(r"TARGET=([\w|]+)", read(HELP)).group(1).split("|")
    return targets - {"$(TOOLS)"}, variables(text), set(builds), set(soaks)


def race_names():
    found = glob.glob(os.path.join(ROOT, "tests/races/*.race"))
    scripts = {os.path.basename(path)[:-5] for path in found}
    return scripts | RACES_BESIDES | {race.commit for race in race_table.races()}


def variants():
    return {*variant.known(), *variant.texts(os.path.join(ROOT, "tests/pressure"))}


def wrong_selftest(value):
    for name in value.split(","):
        suite, _, test = name.partition(".")
        known = suites.suites().get(suite)
        if name not in GROUPS and (not known or test and test not in known.tests):
            yield f"no suite or test `{name}`"


def wrong_graded(names):
    """Check the tests that `make grade ONLY=...` names."""
    known = labs.labs().values()
    in_layer = {
        "model": set(labs.plans()),
        "race": set(lab_race.TESTS),
        "perf": set(lab_perf.TESTS),
        "explorer": {name for one in known for name in one.sets},
        "cost": {name for one in known for name in one.tests_tagged("cost")},
    }
    in_layer["contract"] = {name for one in known for name in one.tests_tagged("contract")}
    in_layer["kernel"] = in_layer["contract"]
    for name in names:
        layer, _, test = name.partition(".")
        have = in_layer.get(layer, set())
        if not have or test and not any(n == test or n.startswith(test + ".") for n in have):
            yield f"make grade ONLY={name}: there is no such name"


def wrong_value(target, variable, value):
    """Check the value of a variable in a make command."""
    _, _, builds, soaks = makefile()
    names = [n for n in value.strip("'\"").split(",") if n not in FORMS]
    known = {
        ("check", "ONLY"): builds,
        ("mutants", "ONLY"): variants(),
        ("soak", "TARGET"): soaks,
        ("race", "NAME"): race_names() | variants(),
    }.get((target, variable))
    if variable in ("FILES", "TRACE"):
        known = {n for n in names if os.path.exists(os.path.join(ROOT, n))}
    if variable == "LAB":
        known = set(labs.labs()) | {"n"}
    if variable == "ONLY" and target == "grade":
        yield from wrong_graded(names)
    if variable == "ONLY" and target == "failsweep":
        yield from wrong_selftest(",".join(names))
    for name in names if known is not None else []:
        if name.split(" ")[0] not in known:
            yield f"make {target} {variable}={name}: there is no such name"


def wrong_make(command):
    targets, variables, _, _ = makefile()
    command = re.split(r"\s{2,}|\s#|;|&&|\|\|?", command)[0]
    if command.count('"') % 2:
        command = command[: command.rindex('"')]  # the string continues in the next line
    words = re.findall(r"(?:[^\s\"']|\"[^\"]*\"|'[^']*')+", command)[1:]
    named = [w for w in words if re.fullmatch(r"[a-z][\w-]*", w)]
    for word in words:
        variable, is_set, value = word.partition("=")
        if is_set and variable not in variables:
            yield f"make has no variable `{variable}`"
        elif is_set:
            yield from wrong_value(named[0] if named else "all", variable, value)
    for word in named:
        if word not in targets:
            yield f"make has no target `{word}`"


def wrong_script(command):
    script = re.search(r"tools/[\w/-]+\.(?:py|sh)", command).group(0)
    if not os.path.exists(os.path.join(ROOT, script)):
        yield f"no file `{script}`"
        return
    runs = os.access(os.path.join(ROOT, script), os.X_OK)
    if command.startswith("tools/") and " " in command and not runs:
        yield f"`{script}` cannot be run as it stands: it is not executable"
    for option in re.findall(r"(?<!\S)--[\w-]+", re.split(r"\s{2,}", command)[0]):
        if option not in read(script):
            yield f"`{script}` has no option `{option}`"


def wrong_command(command):
    if re.match(r"make( |$)", command):
        yield from wrong_make(command)
    elif re.match(r"(python3 |/usr/bin/python3 )?tools/[\w/-]+\.(py|sh)\b", command):
        yield from wrong_script(command)
    for value in re.findall(r"selftest=([\w.,]+)", command):
        yield from wrong_selftest(value)


def wrong_sample(line, place):
    """Check a line of sample output."""
    result = re.match(r"\s*(?:not )?ok (\d+|\.\.\.) (\w+)$", line)
    if result and result.group(2) not in suites.suites() and result.group(2) not in suites.tests():
        yield f"no suite or test `{result.group(2)}`"
    elif result and result.group(1) != "...":
        number, name = result.groups()
        if str(place.get(name, number)) != number:
            yield f"suite {name} is number {place[name]}, not {number}"
    for path, number in re.findall(r"([\w/]+\.[chS]):(\d+)", line):
        there = [p for p in sources() if ("/" + p).endswith("/" + path)]
        if not there:
            yield f"no file {path}"
        elif all(read(p).count("\n") < int(number) for p in there):
            yield f"{path} has no line {number}"


def entries(race):
    """For each step of a race script: texts, one of which the trace must have at that step."""
    said = {"start": " started", "arrive": " arrived", "leave": " left"}
    for e in race_engine.entries(read(f"tests/races/{race}.race")):
        names = [name for name, _ in e.places] if e.role else [e.rest.partition("=")[0]]
        yield [""] if e.kind == "join" else [name + said.get(e.kind, "") for name in names]


def wrong_step(race, line):
    """Check a line of a race's trace."""
    step = re.match(r" +\*?(\d+)  (.*)", line)
    wanted = list(entries(race))
    if step and int(step.group(1)) > len(wanted):
        yield f"{race} has no step {step.group(1)}"
    elif step and not any(words in step.group(2) for words in wanted[int(step.group(1)) - 1]):
        yield f"step {step.group(1)} of {race} is {' or '.join(wanted[int(step.group(1)) - 1])}"


def brought(text):
    """The names that the patches of a page add: words with an underscore or a hyphen in added
    lines."""
    diffs = "\n".join(re.findall(r"^```diff\n(.*?)^```", text, re.M | re.S))
    added = re.findall(r"^\+.*", diffs, re.M)
    return set(re.findall(r"\w+[_-][\w-]+", "\n".join(added)))


def wrong(text, place):
    """(line, fault) for each fault of a page; @place: the result of numbers()."""
    own = brought(text)
    for number, what in wrong_lines(text, place):
        if not own & set(re.findall(r"[\w-]+", what)):
            yield number, what


def wrong_lines(text, place):
    fenced, race = False, None
    for number, line in enumerate(text.split("\n"), 1):
        fenced ^= line.startswith("```")
        block = fenced or line.startswith("    ")
        command = re.sub(r"^\s*(?:\$ )?", "", line)
        trace = re.match(r" +(R-[\w-]+) with \w+: ", line)
        race = (trace.group(1) if trace else race) if block else None
        if block and re.match(r"make( |$)|(python3 )?tools/", command):
            found = wrong_command(command)
        elif block:
            found = wrong_sample(line, place)
        else:
            spans = re.findall(r"`([^`]+)`", line)
            found = (what for span in spans for what in wrong_command(span))
        for what in found:
            yield number, what
        for what in wrong_step(race, line) if race in race_names() else []:
            yield number, what
        for name in re.findall(r"(?<![\w-])R-[A-Z0-9]\w*(?:-\w+)*", line):
            if name not in race_names():
                yield number, f"no race {name}"


def wrong_help():
    """Check the commands of `make help`, and that the tables of docs/build.md have the rows of
    `make help ALL=1`, and no other target."""
    for command in re.findall(r"^ *(make .*)", read(FIRST), re.M):
        yield from (f"{FIRST}: {what}" for what in wrong_make(command))
    page, text = "docs/build.md", read("docs/build.md")
    rows = re.findall(r"^\| ((?:`[\w.-]+`(?:, )?)+) \|", text, re.M)
    rows = {name for row in rows for name in re.findall(r"[\w.-]+", row)}
    help_rows = re.findall(r"^  (?:([a-z][\w.-]*)  |([A-Z]+)=)", read(HELP), re.M)
    for target, variable in help_rows:
        if (target or variable) not in rows:
            yield f"{page}: no row for `{target or variable}` of make help ALL=1"
    for name in sorted(n for n in rows if n.islower() and n not in makefile()[0]):
        yield f"{page}: make has no target `{name}`"
