#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The tree in numbers: circles, floors, headers, rooms, lengths, assertions, names, copies;
`make house`.

Usage: tools/house.py [--build DIR] [--before REV|DIR] [--list]

--before adds a column for another tree: a directory, or a commit, unpacked under DIR/house/.
--list names each upward symbol, each circle, each wide line, each function's name in two sources,
each pair of copies that was counted.

Calls are read by nm from the objects of the kernel, so it is compiled first, in each tree.
"""
import argparse
import itertools
import os
import re
import subprocess
import sys
from collections import defaultdict

sys.dont_write_bytecode = True  # nothing outside the build directory
import facts
import floors
import nm
import outer_make

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CODE = (".c", ".h", ".S")
TEXT = CODE + (".ld", ".py", ".sh", ".gdb", ".mk", ".md", ".pml", ".race")
WIDE = 100  # columns; a tab counts 8
NAMED = ("mm", "kernel", "arch/x86_64", "drivers", "demo")  # a name stands for one function there
COPIED = 6  # code lines that two places must share to count as copies
PRIVATE = re.compile(r'^\s*#\s*include\s+"(mm/\w+/\w+\.h)"', re.MULTILINE)
COMMENT = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.DOTALL)
ASSERTION = re.compile(r"^\s*(\w*(?:ASSERT|assert)\w*)\(", re.MULTILINE)
# Names with "assert" in them that check nothing at run time, or only report.
NO_ASSERTION = {"BUILD_ASSERT", "_Static_assert", "ASSERT_HELD", "page_assert_failed"}
DEFINE = re.compile(r"^\s*#\s*define\b(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)
# An assertion's argument that checks only a pointer: it alone, or its comparison with NULL.
NULL_CHECK = re.compile(r"^!?[\w.>\[\]-]+$|[!=]=\s*NULL\s*$")


def output(command, **options):
    """The output of a command; an exception if it fails."""
    done = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, **options)
    return done.stdout


def make(tree, build, *arguments):
    """The output of make in @tree; the build directory of the tree is @build."""
    gnu_make = os.environ.get("MAKE", "make")
    command = [gnu_make, "-s", "--no-print-directory", "-C", tree, f"B={build}"]
    return output([*command, *arguments], env=outer_make.env())


def files(tree):
    """Each text file of the tree with its lines."""
    for folder, folders, names in os.walk(tree):
        top = os.path.relpath(folder, tree) == "."
        left_out = (".", "__", "build") if top else (".", "__")
        folders[:] = sorted(d for d in folders if not d.startswith(left_out))
        for name in sorted(names):
            if name.endswith(TEXT) or name == "Makefile":
                path = os.path.join(folder, name)
                with open(path, encoding="utf-8", errors="replace") as f:
                    yield os.path.relpath(path, tree), f.read().split("\n")[:-1]


def room(path):
    """The room of a file: its first directory; in arch/ the first two."""
    parts = path.split("/")[:-1]
    return "/".join(parts[: 2 if parts[:1] == ["arch"] else 1]) or "."


def without_comments(text):
    """C without comments; its lines stay where they are, strings stay as they are."""

    def kept(match):
        found = match.group(0)
        return found if found[0] == '"' else "\n" * found.count("\n")

    return COMMENT.sub(kept, text)


def kernel_objects(tree, build, sources):
    """The objects of these sources of the kernel, compiled."""
    objects = [f"{build}/kernel/{path}.o" for path in sources]
    make(tree, build, f"-j{os.cpu_count()}", *objects)
    return objects


def rooms_on_floors(tree, build):
    """({room: (its circles, its upward symbols)}, names that mm/ takes from outside, sources of
    mm/)"""
    order = {room: floors.sources(room, tree) for room in floors.ROOMS}
    objects = kernel_objects(tree, build, sum(order.values(), []))
    names = nm.symbols(objects[: len(order["mm"])]).values()
    outside = set().union(*(n[1] for n in names)) - set().union(*(n[0] for n in names))
    graphs = {room: floors.needs(build, room, tree) for room in floors.ROOMS}
    found = {room: (floors.circles(g), floors.upward(g)) for room, g in graphs.items()}
    return found, outside, order["mm"]


def doors(tree, build, texts):
    """The number of names that kernel/main.c takes from demo/."""
    demo = [path for path in texts if re.fullmatch(r"demo/\w+\.c", path)]
    if not demo:
        return "-"
    objects = kernel_objects(tree, build, ["kernel/main.c", *demo])
    (_, wanted), *others = nm.symbols(objects).values()
    return str(len(wanted & set().union(*(defined for defined, _ in others))))


def evening(texts):
    """Lines of the files of mm/ in the sittings of docs/evening.md, from boot to offline."""
    _, files = facts.sections("\n".join(texts.get(facts.EVENING, ())), texts.__contains__)
    return sum(len(texts[name]) for name in files if name.startswith("mm/"))


def header_lines(order, texts):
    """For each source of mm/: the lines of private headers that it includes, directly or not."""

    def seen(path, headers):
        for header in PRIVATE.findall("\n".join(texts.get(path, ()))):
            if header not in headers:
                headers.add(header)
                seen(header, headers)
        return headers

    return {source: sum(len(texts.get(h, ())) for h in seen(source, set())) for source in order}


def functions(lines):
    """(number of lines, name) of each function: only its braces stand alone in column 0."""
    start = None
    for nr, line in enumerate(lines):
        if line == "{":
            start = nr
        elif line == "}" and start is not None:
            head = " ".join(lines[max(0, start - 3) : start])
            yield nr - start + 1, (re.findall(r"\b([a-z]\w*)\(", head) or ["?"])[0]
            start = None


def names_in_two(texts):
    """(name, sources) of each name that functions of two sources of a room of the kernel bear."""
    found = defaultdict(set)
    for path, lines in texts.items():
        if room(path) in NAMED and path.endswith(".c"):
            for _, name in functions(lines):
                found[room(path), name].add(path)
    return [(name, sorted(paths)) for (_, name), paths in sorted(found.items()) if len(paths) > 1]


def arguments(text, start):
    """The text between the bracket that opens before @start and the one that closes it."""
    depth = 1
    for end in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[end], 0)
        if not depth:
            return text[start:end]
    return ""


def assertions(text):
    """The number of assertions in a C text that check more than a pointer, at run time."""
    text = DEFINE.sub("", without_comments(text))
    found = [
        arguments(text, match.end()).strip()
        for match in ASSERTION.finditer(text)
        if match.group(1) not in NO_ASSERTION
    ]
    return sum(not NULL_CHECK.search(inside) for inside in found)


def code_lines(lines):
    """(line number, text) of each line that is more than blanks, brackets or an #include."""
    for nr, line in enumerate(without_comments("\n".join(lines)).split("\n"), 1):
        text = line.strip()
        if re.search(r"\w", text) and not re.match(r"#\s*include\b", text):
            yield nr, text


def copies(texts):
    """((path, line), (path, line), length) of each pair of places with COPIED equal code lines."""
    code = {path: list(code_lines(lines)) for path, lines in texts.items()}
    windows = defaultdict(list)
    for path, lines in code.items():
        for i in range(len(lines) - COPIED + 1):
            windows[tuple(text for _, text in lines[i : i + COPIED])].append((path, i))
    pairs = {
        pair
        for places in windows.values()
        for pair in itertools.combinations(places, 2)
        if pair[0][0] != pair[1][0] or pair[1][1] - pair[0][1] >= COPIED
    }
    for (a, i), (b, j) in sorted(pairs):
        if ((a, i - 1), (b, j - 1)) in pairs:
            continue
        length = COPIED
        while ((a, i + length - COPIED + 1), (b, j + length - COPIED + 1)) in pairs:
            length += 1
        yield (a, code[a][i][0]), (b, code[b][j][0]), length


def measure(tree, build):
    """({measure: value}, lines that list the counted places)."""
    texts = dict(files(tree))
    calls, outside, order = rooms_on_floors(tree, build)
    headers = header_lines(order, texts)
    sources = {path: lines for path, lines in texts.items() if path.endswith((".c", ".h"))}
    in_mm = {path: lines for path, lines in sources.items() if room(path) == "mm"}
    checks = sum(assertions("\n".join(lines)) for lines in in_mm.values())
    code = sum(1 for lines in in_mm.values() for _ in code_lines(lines))
    worst = max(headers, key=headers.get)
    function = max(f for lines in sources.values() for f in functions(lines))
    longest = max((len(lines), path) for path, lines in sources.items())
    wide = [
        (path, nr)
        for path, lines in texts.items()
        if not path.endswith(".md")
        for nr, line in enumerate(lines, 1)
        if len(line.expandtabs(8)) > WIDE
    ]
    pairs, twice = list(copies(sources)), names_in_two(texts)
    found = {}
    for where, (rings, ups) in calls.items():
        found[f"{where}: circles of sources"] = f"{len(rings)} ({sum(map(len, rings))} files)"
        found[f"{where}: upward symbols"] = str(len({name for _, name, _ in ups}))
    found |= {
        "mm: symbols from outside": str(len(outside)),
        "mm: private header lines per source": f"{sum(headers.values()) // len(order)}",
        "mm: the most of them": f"{headers[worst]} ({os.path.basename(worst)})",
        "mm: code lines per assertion": f"{code / max(checks, 1):.0f} ({code} / {checks})",
        "kernel: names main.c takes of demo": doors(tree, build, texts),
        "names of functions in two sources": str(len(twice)),
        "evening: lines of mm/ to offline": str(evening(texts)),
        "longest function": f"{function[0]} ({function[1]})",
        "longest file": f"{longest[0]} ({os.path.basename(longest[1])})",
    }
    rooms = sorted({room(path) for path in texts} - {"."})
    for name in rooms:
        there = [lines for path, lines in texts.items() if room(path) == name]
        found[f"{name}: files, lines"] = f"{len(there)}, {sum(map(len, there))}"
    for name in rooms:
        if name != "docs":
            found[f"{name}: wide lines, copies"] = (
                f"{sum(room(path) == name for path, _ in wide)}, "
                f"{sum(name in (room(a[0]), room(b[0])) for a, b, _ in pairs)}"
            )
    found["all: wide lines, copies"] = f"{len(wide)}, {len(pairs)}"
    named = [f"circle: {' '.join(ring)}" for rings, _ in calls.values() for ring in rings]
    named += [f"upward: {a} takes {name} of {b}" for _, ups in calls.values() for a, name, b in ups]
    named += [f"wide: {path}:{nr}" for path, nr in wide]
    named += [f"name: {name}: {' '.join(paths)}" for name, paths in twice]
    named += [f"copies: {a[0]}:{a[1]} {b[0]}:{b[1]}: {length} lines" for a, b, length in pairs]
    return found, named


def unpack(revision, build):
    """The path of a commit's unpacked tree, or of the directory @revision."""
    if os.path.isdir(revision):
        return os.path.abspath(revision)
    tree = os.path.join(build, "house", revision)
    os.makedirs(tree, exist_ok=True)
    output(["git", "-C", ROOT, "archive", "-o", f"{tree}.tar", revision])
    output(["tar", "-x", "-C", tree, "-f", f"{tree}.tar"])
    return tree


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--before", metavar="REV|DIR", help="another tree, to compare with")
    parser.add_argument("--list", action="store_true", help="list the counted places")
    args = parser.parse_args()
    build = os.path.abspath(args.build)
    now, named = measure(ROOT, build)
    before = {}
    if args.before:
        tree = unpack(args.before, build)
        objects = os.path.join(build, "house", re.sub(r"\W", "_", args.before) + ".o")
        before, _ = measure(tree, objects)
    wide = max(len(v) for v in [*before.values(), "before"]) if before else 0
    print(f"{'measure':38} {'before' if before else '':{wide}}  now")
    for name in [*now, *(n for n in before if n not in now)]:
        print(f"{name:38} {before.get(name, '-') if before else '':{wide}}  {now.get(name, '-')}")
    if args.list:
        print("\n".join(named))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, subprocess.CalledProcessError) as e:
        sys.exit(f"house: {e}")
