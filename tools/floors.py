#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Check the floors of each room: a source calls only sources listed before it in ROOM/files.mk.

Usage: tools/floors.py [--build DIR] [--graph]

Prints circles, upward symbols and header lines; --graph also prints which source needs which.  nm
reads the symbols from the objects of DIR/kernel; without these, those of mm/ from DIR/host-plain.
"""
import argparse
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILDS = ("kernel", "host-plain")
ROOMS = ("mm", "arch/x86_64", "kernel")
# Functions that any code may call: to report, to stop the machine, to switch threads.
ANYWHERE = {"printk", "panic", "preempt_schedule"}
# Allowed upward symbols, "SOURCE SYMBOL"; each is to be removed.
ALLOWED = set()
# Groups of sources that may call each other: here, the entries from ring 3 and from interrupts.
ONE = (
    {f"arch/x86_64/{name}" for name in ("trap.c", "trap_entry.S", "user.c", "syscall_entry.S")},
)


def read(path, tree=ROOT):
    with open(os.path.join(tree, path), encoding="utf-8") as f:
        return f.read()


def sources(room="mm", tree=ROOT):
    """The sources of a room, lowest first."""
    lines = re.compile(rf"^\w+_SRCS \+= ({room}/\w+\.[cS])$", re.MULTILINE)
    return list(dict.fromkeys(lines.findall(read(f"{room}/files.mk", tree))))


def symbols(path):
    """The symbols that an object exports, and those that it needs."""
    out = subprocess.run(
        [os.environ.get("NM", "nm"), "-g", path], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split() for line in out.split("\n") if line.strip()]
    return ({row[2] for row in rows if len(row) == 3}, {row[1] for row in rows if len(row) == 2})


def needs(build, room="mm", tree=ROOT):
    """{source: {other source of the room: {symbols that the first needs from it}}}"""
    folders = [os.path.join(ROOT, build, name) for name in BUILDS]
    folder = next((name for name in folders if os.path.isdir(os.path.join(name, room))), None)
    if not folder:
        raise OSError(f"no objects of {room}/ in {build}: make kernel")
    found = {source: symbols(os.path.join(folder, source + ".o")) for source in sources(room, tree)}
    home = {symbol: source for source, (defined, _) in found.items() for symbol in defined}
    graph = {source: {} for source in found}
    for source, (_, wanted) in found.items():
        for symbol in wanted - ANYWHERE:
            other = home.get(symbol, source)
            if other != source and not any({source, other} <= one for one in ONE):
                graph[source].setdefault(other, set()).add(symbol)
    return graph


def upward(graph):
    """(source, symbol, defining source) for each symbol that a source needs from a higher one."""
    floor = {source: nr for nr, source in enumerate(graph)}
    return [
        (source, symbol, home)
        for source in graph
        for home in sorted(graph[source], key=floor.get)
        if floor[home] > floor[source]
        for symbol in sorted(graph[source][home])
    ]


def circles(graph):
    """Sets of two or more sources in which each needs, directly or not, all others."""
    reach = {}
    for source in graph:
        seen, todo = set(), list(graph[source])
        while todo:
            at = todo.pop()
            if at not in seen:
                seen.add(at)
                todo.extend(graph.get(at, ()))
        reach[source] = seen
    found = []
    for source in graph:
        ring = [other for other in graph if other in reach[source] and source in reach[other]]
        if source in ring and ring not in found:
            found.append(ring)
    return found


# ---- headers ----


def included(path):
    return re.findall(r'^#\s*include\s+"(mm/\w+\.h)"', read(path), re.MULTILINE)


def headers(path):
    """All headers of mm/ that @path includes, directly or not; @path itself only in a circle."""
    seen, todo = set(), included(path)
    while todo:
        at = todo.pop()
        if at not in seen:
            seen.add(at)
            todo.extend(included(at))
    return seen


def header_circles():
    names = sorted(
        "mm/" + name for name in os.listdir(os.path.join(ROOT, "mm")) if name.endswith(".h")
    )
    return circles(
        {
            name: {other: set() for other in included(name)}
            | ({name: set()} if name in headers(name) else {})
            for name in names
        }
    )


def header_floor(path, floor):
    """The floor of the lowest source that a header names; lower sources may not include it."""
    named = {"mm/" + name for name in re.findall(r"\b\w+\.c\b", read(path))} & set(floor)
    return min((floor[source] for source in named), default=0)


def upward_includes():
    """(source, header) for each included header that belongs to higher floors only."""
    floor = {source: nr for nr, source in enumerate(sources())}
    return [
        (source, header)
        for source in floor
        for header in sorted(headers(source))
        if header_floor(header, floor) > floor[source]
    ]


def header_lines():
    """Lines of mm/'s own headers that a source of mm/ includes, on average."""
    seen = [sum(read(header).count("\n") for header in headers(source)) for source in sources()]
    return sum(seen) // len(seen)


def wrong(build):
    """The lines for lint, one for each violation."""
    found = {}
    for room in ROOMS:
        for source, symbol, home in upward(needs(build, room)):
            found[f"{source} {symbol}"] = f"{home} is listed after it in {room}/files.mk"
    for text, why in found.items():
        if text not in ALLOWED:
            yield f"{text}: calls upwards: {why}"
    for text in sorted(ALLOWED):
        if text not in found:
            yield f"{text}: allowed by tools/floors.py, and not needed"
    for source, header in upward_includes():
        yield f"{source}: sees {header}, which is of higher floors only"
    for ring in header_circles():
        yield f"headers include each other: {' '.join(ring)}"


def measures(build):
    """(name, value) for `make house`."""
    rows = []
    for room in ROOMS:
        graph = needs(build, room)
        rings = circles(graph)
        rows += [
            (f"circles in {room}/", len(rings)),
            (f"sources of {room}/ in circles", sum(map(len, rings))),
            (f"upward symbols in {room}/", len(upward(graph))),
        ]
    return [
        *rows,
        ("upward includes in mm/", len(upward_includes())),
        ("circles of headers of mm/", len(header_circles())),
        ("private header lines per source of mm/", header_lines()),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--graph", action="store_true")
    args = parser.parse_args()
    for room in ROOMS:
        graph = needs(args.build, room)
        if args.graph:
            for source, homes in graph.items():
                for home, names in homes.items():
                    print(f"{source} -> {home}: {' '.join(sorted(names))}")
        for ring in circles(graph):
            print(f"circle: {' '.join(ring)}")
        for source, symbol, home in upward(graph):
            print(f"upward: {source} {symbol} of {home}")
    for source, header in upward_includes():
        print(f"upward: {source} includes {header}")
    for name, value in measures(args.build):
        print(f"{value:6} {name}")
    return 1 if list(wrong(args.build)) else 0


if __name__ == "__main__":
    sys.exit(main())
