# SPDX-License-Identifier: MIT
"""Check the floors of each room: a source calls only sources listed before it in ROOM/files.mk.

nm reads the symbols of BUILD/kernel, or else, of mm/ only, those of BUILD/host-plain.  `make lint`
prints what is wrong.
"""
import glob
import os
import re

import nm
from rooms import ROOT, read

BUILDS = ("kernel", "host-plain")
ROOMS = ("mm", "arch/x86_64", "kernel")
# Functions that any code may call: to report, to stop the machine, to switch threads.
ANYWHERE = {"printk", "panic", "preempt_schedule"}
# Groups of sources that may call each other: here, the entries from ring 3 and from interrupts.
ONE = (
    {
        f"arch/x86_64/{name}"
        for name in ("trap.c", "nmi.c", "trap_entry.S", "user.c", "syscall_entry.S")
    },
)


def sources(room="mm"):
    """The sources of a room, lowest first."""
    lines = re.compile(rf"^\w+_SRCS \+= ({room}/(?:\w+/)?\w+\.[cS])$", re.MULTILINE)
    return list(dict.fromkeys(lines.findall(read(f"{room}/files.mk"))))


def needs(build, room="mm"):
    """{source: {other source of the room: {symbols that the first needs from it}}}"""
    folders = [os.path.join(ROOT, build, name) for name in BUILDS]
    folder = next((name for name in folders if os.path.isdir(os.path.join(name, room))), None)
    if not folder:
        raise OSError(f"no objects of {room}/ in {build}: make kernel")
    paths = {os.path.join(folder, source + ".o"): source for source in sources(room)}
    found = {paths[path]: names for path, names in nm.symbols(paths).items()}
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
    return re.findall(r'^#\s*include\s+"(mm/\w+/\w+\.h)"', read(path), re.MULTILINE)


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
    names = sorted(glob.glob("mm/*/*.h", root_dir=ROOT))
    return circles(
        {
            name: {other: set() for other in included(name)}
            | ({name: set()} if name in headers(name) else {})
            for name in names
        }
    )


def header_floor(path, floor):
    """The floor of the lowest source that a header names; lower sources may not include it."""
    named = set(re.findall(r"\b\w+\.c\b", read(path)))
    return min((floor[s] for s in floor if os.path.basename(s) in named), default=0)


def upward_includes():
    """(source, header) for each included header that belongs to higher floors only."""
    floor = {source: nr for nr, source in enumerate(sources())}
    return [
        (source, header)
        for source in floor
        for header in sorted(headers(source))
        if header_floor(header, floor) > floor[source]
    ]


def wrong(build):
    """The lines for lint, one for each violation."""
    for room in ROOMS:
        for source, symbol, home in upward(needs(build, room)):
            yield f"{source} {symbol}: calls upwards: {home} is listed after it in {room}/files.mk"
    for source, header in upward_includes():
        yield f"{source}: sees {header}, which is of higher floors only"
    for ring in header_circles():
        yield f"headers include each other: {' '.join(ring)}"
