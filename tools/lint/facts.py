#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compare README, docs/ and the labs' handouts with the tree: files, functions, suites, lines of
code, samples.

Usage: facts.py             print wrong statements, `file:line: what`; exit status 1 if any
       facts.py --update    write the line counts of docs/evening.md again

Line counts are rounded to 50 and may differ by a fifth: they say how long the reading is, and few
commits change them.  A fact is a word in backticks: a path of the tree, a function as `name()`, a
name and the file that defines it as `name` (`file`), a test as `suite.test`, a suite in the last
column of the table of docs/README.md, a function that a stop of docs/evening.md names.  Links, the
scheduling points of docs/races/README.md and the ranks of locks in docs/smp.md are facts, too.
Outside of sample output the text must not have counts of suites, tests or wrong variants, which
change with every commit.
"""
import functools
import glob
import os
import re
import sys

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
from rooms import ROOT, all_files, read
import bench_report
import lib
import race
import race_table
import samples
import suites
import outer_make

EVENING = "docs/evening.md"
ROOMS = "arch|bench|boot|demo|docs|drivers|examples|include|kernel|labs|mm|tests|tools|user|web"
STOP = re.compile(r"^(\| \d+ \| ((?:`[^`]+`(?:, )?)+) \| )(\d+)( \| (.*) \|)$")
SITTING = re.compile(r"^(## .*\(about )(\d+)( lines\))$")
TOGETHER = re.compile(r"(Together about )(\d+)( lines)")
CORE = "mm/core/"
PLACEHOLDER = re.compile(r"\b(?:NAME|ID|TARGET|SUITE|FILE)\b")
PAIR = re.compile(rf"`(\w+)` (?:\(|in )`((?:{ROOMS})/[\w./-]+\.(?:[chS]|py|mk))`")
TEST = re.compile(r"`(\w+\.\w+_\w+_\w+)`")  # names with a dot and fewer words may be points
BRITTLE = re.compile(r"\b\d[\d,]* (?:wrong variants|mutants|suites)\b")


def pages():
    found = glob.glob("docs/**/*.md", root_dir=ROOT, recursive=True)
    found += glob.glob("labs/*/handout.md", root_dir=ROOT)
    return ["README.md", "CONTRIBUTING.md", *sorted(found)]


def is_there(path):
    if re.search(r"[*?]", path):
        return bool(glob.glob(os.path.join(ROOT, path)))
    return os.path.exists(os.path.join(ROOT, path.rstrip("/")))


@functools.cache
def identifiers():
    """Every identifier of the sources and the scripts."""
    words = set()
    for path in all_files(".c", ".h", ".S", ".py", ".pml"):
        words.update(re.findall(r"\w+", read(path)))
    return words


def defines(path, name):
    """Does a line of the file begin the definition of @name, or of a list or a table of that
    name?"""
    text = read(path)
    if path.endswith((".c", ".h")):
        return any(
            not re.search(r"\)[^{]*;$", found.group()) and not found.group().startswith("extern")
            for found in re.finditer(rf"^(?:[A-Za-z]|# *define ).*\b{name}\b.*", text, re.M)
        )
    return bool(re.search(rf"^\W*(?:def |class |export )?{name}\b", text, re.M))


def count(files):
    return sum(read(name).count("\n") for name in files)


def rounded(lines):
    return max(50, (lines + 25) // 50 * 50)


def is_near(said, have):
    """Do the numbers differ by at most 3 %?  Numbers below 34 must be the same."""
    return abs(said - have) * 100 <= 3 * have


def is_about(said, lines):
    return abs(said - lines) * 5 <= lines


def stops(text):
    """The stops of docs/evening.md: (line, match, files, their number of lines)."""
    for number, line in enumerate(text.split("\n"), 1):
        match = STOP.match(line)
        if match:
            files = re.findall(r"`([^`]+)`", match.group(2))
            if all(is_there(f) for f in files):
                yield number, match, files, count(files)


def sections(text, is_there=is_there):
    """The sittings of docs/evening.md, then their sum: (match of the line that gives the number of
    lines to read, files)."""
    found, sittings = [], []
    for line in text.split("\n"):
        if SITTING.match(line):
            found.append((SITTING.match(line), []))
        elif found and STOP.match(line):
            named = re.findall(r"`([^`]+)`", STOP.match(line).group(2))
            found[-1][1].extend(filter(is_there, named))
        elif TOGETHER.search(line):
            sittings = [name for _, files in found for name in files]
            found.append((TOGETHER.search(line), sittings))
    return found, sittings


def wrong_evening():
    text = read(EVENING)
    for number, match, files, lines in stops(text):
        if not is_about(int(match.group(3)), lines):
            said = f"{', '.join(files)}: {match.group(3)} lines, have {lines}"
            yield f"{EVENING}:{number}: {said}: tools/lint/facts.py --update"
        for name in re.findall(r"`(\w+)`", match.group(5)):
            if not any(re.search(rf"\b{name}\b", read(f)) for f in files):
                yield f"{EVENING}:{number}: `{name}` is not in {', '.join(files)}"
    found, sittings = sections(text)
    for match, files in found:
        if not is_about(int(match.group(2)), count(files)):
            yield f"{EVENING}: {match.group()!r}: have {count(files)}: tools/lint/facts.py --update"
    for name in sorted(core_files() ^ {name for name in sittings if name.startswith(CORE)}):
        yield f"{EVENING}: {name} is a stop of no sitting, or not there"


def wrong_names(path, text):
    fenced = False
    for number, line in enumerate(text.split("\n"), 1):
        fenced ^= line.startswith("```")
        if fenced or line.startswith("    "):
            continue
        for word in re.findall(rf"`((?:{ROOMS})/[\w./*?-]+)`", line):
            if not PLACEHOLDER.search(word) and not is_there(word):
                yield f"{path}:{number}: no file `{word}`"
        yield from (f"{path}:{number}: {what}" for what in wrong_links(path, line))
        for name, word in PAIR.findall(line):
            if is_there(word) and not defines(word, name):
                yield f"{path}:{number}: {word} does not define `{name}`"
        for name in re.findall(r"`(\w+)\(\)`", line):
            if name not in identifiers():
                yield f"{path}:{number}: no function `{name}()`"
        for name in TEST.findall(line):
            yield from (f"{path}:{number}: {what}" for what in samples.wrong_selftest(name))
        for said in BRITTLE.findall(line):
            yield f"{path}:{number}: \"{said}\": a count that each commit changes"


@functools.cache
def anchors(path):
    heads = re.findall(r"^#+ (.*)$", read(path), re.M)
    return {re.sub(r"[^\w -]", "", head.strip().lower()).replace(" ", "-") for head in heads}


def wrong_links(path, line):
    for link, anchor in re.findall(r"\]\(([^)\s#]*)(?:#([^)\s]*))?\)", line):
        page = os.path.normpath(os.path.join(os.path.dirname(path), link)) if link else path
        if "://" not in link and not is_there(page):
            yield f"no file {link}"
        elif anchor and page.endswith(".md") and anchor not in anchors(page):
            yield f"no heading #{anchor} in {page}"


def wrong_suites():
    table = read("docs/README.md").split("| mechanism |", 1)[1].split("\n\n", 1)[0]
    for row in table.split("\n")[2:]:
        for name in re.findall(r"`([^`]+)`", row.rstrip("|").rsplit("|", 1)[1]):
            if name not in suites.suites() and not name.startswith("make "):
                yield f"docs/README.md: no suite `{name}`"
    for source in all_files(".c", ".h"):
        unknown = [name for name in suites.named_in(source) if name not in suites.suites()]
        yield from (f"{source}: Tests: no suite {name}" for name in unknown)


def wrong_points():
    """Check that docs/races/README.md has a row for each scheduling point, and no others."""
    page, code, rows = "docs/races/README.md", {}, {}
    for room in ("mm", "kernel", "demo", "bench", "arch", "drivers"):
        for name in glob.glob(f"{room}/**/*.[ch]", root_dir=ROOT, recursive=True):
            for point in re.findall(r'sched_point(?:_\w+)?\("([^"]+)"', read(name)):
                code.setdefault(point, set()).add(name)
    above, table = read(page).split("## Scheduling points\n")
    for number, line in enumerate(table.split("\n"), above.count("\n") + 2):
        row = re.match(r"\| (`[\w.]+`(?:, `[\w.]+`)*) \| ([^|]*) \|", line)
        for point in re.findall(r"[\w.]+", row.group(1)) if row else []:
            rows[point] = number
        for file, function in re.findall(r"([\w/]+\.[ch]) `(\w+)`", row.group(2)) if row else []:
            if not is_there(file) or not re.search(rf"\b{function}\(", read(file)):
                yield f"{page}:{number}: no `{function}` in {file}"
    for point in sorted(set(code) - set(rows)):
        yield f"{page}: no row for the point \"{point}\" of {', '.join(sorted(code[point]))}"


def wrong_ranks():
    """Check that the table of docs/smp.md has a row for each rank of a lock, in their order."""
    ranks = re.search(r"enum lock_rank \{(.*?)\};", read("include/quarry/port.h"), re.S).group(1)
    ranks = [rank for rank in re.findall(r"\bRANK_\w+", ranks) if rank != "RANK_NONE"]
    rows = re.findall(r"^\| `(RANK_\w+)` \|", read("docs/smp.md"), re.M)
    if rows != ranks:
        have = f"its ranks are {' '.join(rows)}, those of enum lock_rank {' '.join(ranks)}"
        yield f"docs/smp.md: {have}"


PLANTED = "tests/lint/facts.md"
FINDS = re.compile(r" *\(finds: (.*)\)$")


def wrong_plants(place):
    """Check that the faults planted in tests/lint/facts.md are found, each in its line, and no
    others."""
    lines = read(PLANTED).split("\n")
    text = "\n".join(FINDS.sub("", line) for line in lines)
    found = {}
    said_of_samples = (f"{PLANTED}:{n}: {what}" for n, what in samples.wrong(text, place))
    for said in [*wrong_names(PLANTED, text), *said_of_samples]:
        number, what = re.match(r"[^:]*:(\d+): (.*)", said).groups()
        found.setdefault(int(number), []).append(what)
    for number, line in enumerate(lines, 1):
        want, got = FINDS.search(line), found.pop(number, [])
        if len(got) != bool(want) or want and not re.search(want.group(1), got[0]):
            yield f"{PLANTED}:{number}: found: {'; '.join(got) or 'nothing'}"


def core_files():
    return set(glob.glob(CORE + "*.[ch]", root_dir=ROOT))


def core_of(build):
    """(lines, KiB of code in the kernel or None) of the core of mm/."""
    sources = outer_make.values(build, {"core": "$(CORE_SRCS)"})["core"]
    objects = [os.path.join(ROOT, build, "kernel", name + ".o") for name in sources]
    if not all(map(os.path.exists, objects)):
        return count(core_files()), None
    said = rooms.call(["size", *objects], check=True).stdout
    return count(core_files()), sum(int(line.split()[0]) for line in said.split("\n")[1:-1]) / 1024


def recorded_pair():
    history = bench_report.read_history()
    compiler = [row["compiler"] for row in history if "gcc" in row["compiler"]][-1]
    return bench_report.recorded(history, compiler)["order0_pair"]


def wrong_front(build):
    """Check the figures on README's first screen."""
    text = re.sub(r"\s+", " ", read("README.md"))
    lines, code = core_of(build)
    for pattern, have in (
        (r"core's ([\d,]+) lines compile", lines),
        (r"lines compile to (\d+) KiB", code),
        (r"need (\d+) names from", lib.MOST_NEEDED),
        (r"free are (\d+) instructions", recorded_pair()),
        (r"A program of (\d+) lines", lib.program().count("\n")),
    ):
        found = re.search(pattern, text)
        if not found:
            yield f"README.md: no text like {pattern!r}"
        elif have is not None and not is_near(int(found.group(1).replace(",", "")), have):
            yield f"README.md: {found.group()!r}: have {have:.0f}"


def wrong(build="build"):
    """@build: the directory with the kernel, from whose symbols suites are numbered."""
    place = samples.numbers(build)
    yield from wrong_front(build)
    yield from wrong_evening()
    yield from wrong_suites()
    yield from wrong_points()
    yield from wrong_ranks()
    yield from race_table.faults({s.name: s.expect for s in race.scripts()})
    yield from samples.wrong_help()
    yield from wrong_plants(place)
    for path in pages():
        yield from wrong_names(path, read(path))
        yield from (f"{path}:{number}: {what}" for number, what in samples.wrong(read(path), place))


def update():
    text = read(EVENING)
    for _, match, _, have in list(stops(text)):
        text = text.replace(match.group(), f"{match.group(1)}{rounded(have)}{match.group(4)}")
    for match, files in sections(text)[0]:
        now = f"{match.group(1)}{rounded(count(files))}{match.group(3)}"
        text = text.replace(match.group(), now)
    rooms.write(EVENING, text)


def main():
    if sys.argv[1:] == ["--update"]:
        update()
    elif sys.argv[1:]:
        sys.exit(__doc__)
    found = list(wrong())
    print("\n".join(found) or "facts: README and docs/ agree with the tree")
    return 1 if found else 0


if __name__ == "__main__":
    rooms.run(main)
