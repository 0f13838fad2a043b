#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The core of mm/ as two files, quarry.c and quarry.h, to drop into another kernel.

The sources keep their order, and each header comes once, where a compiler first meets it: the
public ones and the port's arch_inline.h in DIR/amalgamation/quarry.h, the others in quarry.c.
C++ programs can include quarry.h too.  Neither file includes anything that does not come with each
compiler.  A macro of one source is undefined behind it; a static name that two sources have is
renamed.
"""
import os
import re
import sys
import tempfile

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import lib

FIRST = ["memory_init.h", "memblock.h", "lock.h"]  # a user's headers; those of mm/ follow
LICENCE = "/* SPDX-License-Identifier: MIT */\n"
INCLUDE = re.compile(r'^#include ([<"])([\w./-]+)[>"]\n', re.MULTILINE)
MACRO = re.compile(r"^#define (\w+)", re.MULTILINE)
OBJECT = r"^static (?!inline|always_inline)[^;{=()]*?\b(\w+)(?:\(|(?:\[[^;=]*\])? = |;)"
STATIC = re.compile(OBJECT, re.MULTILINE)
FLAGS = "-std=gnu11 -O2 -fno-strict-aliasing -fno-common -fwrapv"
ABOUT_H = f"""{LICENCE}/*
 * quarry.h: the interface of Quarry's page allocator, with the arch_inline.h of PORT.
 *
 * Made by `make amalgamation`; docs/porting.md says what a port gives.  Compile with
 * {FLAGS}
 * C++ programs, from C++11 on, can include this file too; quarry.c is C.
 */
#ifndef QUARRY_H
#define QUARRY_H

"""
UNUSED = '#pragma GCC diagnostic ignored "-Wunused-function"'
ABOUT_C = f"""{LICENCE}/*
 * quarry.c: the core of Quarry's page allocator: zones, free blocks, caches, drains, kmalloc.
 *
 * Made by `make amalgamation` from the files named in it, in their order.
 */
#include "quarry.h"
{UNUSED} /* of headers that larger builds use more of */

"""


class Files:
    """The parts of quarry.h and quarry.c that are written so far."""

    def __init__(self, port):
        self.port, self.seen = port, set()
        self.parts = {"first": [], "h": [], "c": []}  # first: system headers of quarry.h

    def into(self, which, path):
        """Append @path without its licence; each included file replaces its #include line."""
        self.seen.add(path)
        text = rooms.read(path).replace(LICENCE, "", 1)
        at = 0
        for found in INCLUDE.finditer(text):
            self.parts[which].append(text[at : found.start()])
            self.include(which, *found.groups(), path)
            at = found.end()
        self.parts[which].append(text[at:])

    def include(self, which, mark, name, by=""):
        if name == "arch_inline.h":
            path = os.path.join(self.port, name)
        elif name.startswith("quarry/"):
            path = "include/" + name
        elif mark == '"' and "/" not in name:
            return  # host.h, which comes first
        elif mark == '"':
            path = name
        elif os.path.exists(os.path.join(rooms.ROOT, "include", "alone", name)):
            self.system(which, name)
            return
        else:
            # Ports may include some on a condition: these stay where they are.
            place = "first" if which == "h" and by.startswith("include/") else which
            self.parts[place].append(f"#include <{name}>\n")
            return
        if path in self.seen:
            return
        which = "c" if path.startswith("mm/") else "h"
        self.parts[which].append(f"/* ---- {path} ---- */\n\n")
        self.into(which, path)

    def system(self, which, name):
        """Append a header that some machines lack; other machines include their own instead."""
        path = "include/alone/" + name
        if path in self.seen:
            return
        self.parts[which].append(f"#if __has_include(<{name}>)\n#include <{name}>\n#else\n")
        self.into(which, path)
        self.parts[which].append("#endif\n")

    def source(self, path, twice):
        text = rooms.read(path)
        own = sorted(set(MACRO.findall(text)))
        renamed = sorted(set(STATIC.findall(text)) & twice)
        stem = os.path.basename(path)[:-2]
        # Headers come first: this source's #defines must not rename anything in them.
        for found in INCLUDE.finditer(text):
            self.include("c", *found.groups())
        self.parts["c"].append(f"/* ---- {path} ---- */\n\n")
        self.parts["c"] += [f"#define {name} {stem}_{name}\n" for name in renamed]
        self.into("c", path)
        self.parts["c"] += [f"#undef {name}\n" for name in [*own, *renamed]]


def port_files(files, port, sources):
    """The texts of host.h and host.c: the port @sources, which run in a process."""
    files.parts = {"first": [], "h": [], "c": []}
    files.seen.add(f"{port}/host.h")
    for path in sources:
        for _, name in re.findall(r'#include ([<"])(quarry/[\w/]+\.h)', rooms.read(path)):
            files.include("h", "<", name)
    for path in sources:
        files.source(path, set())
    header = INCLUDE.sub("", rooms.read(f"{port}/host.h"))
    header = header.replace("_H\n\n", '_H\n\n#include "quarry.h"\n', 1)
    text = "".join(files.parts["first"] + files.parts["h"] + files.parts["c"])
    return header, f'{LICENCE}#include "host.h"\n{UNUSED}\n{text}'


def amalgamation(port, sources, host=()):
    """The texts of quarry.h and quarry.c; with the sources of a port, also of host.h and host.c."""
    named = [name for path in sources for name in set(STATIC.findall(rooms.read(path)))]
    twice = {name for name in named if named.count(name) > 1}
    files = Files(port)
    for name in FIRST:
        files.include("h", "<", "quarry/" + name)
    for path in sources:
        files.source(path, twice)
    about = ABOUT_H.replace("PORT", port)
    first, declared, code = ("".join(files.parts[which]) for which in ("first", "h", "c"))
    header = f"{about}{first}\n{lib.C_BEGINS}\n{declared}\n{lib.C_ENDS}\n#endif\n"
    both = port_files(files, port, host) if host else ()
    return header, ABOUT_C + code, *both


def with_prefix(texts, prefix):
    """The texts of quarry.h and quarry.c, whose functions and variables get the @prefix."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in zip(("quarry.h", "quarry.c"), texts):
            rooms.write(f"{folder}/{name}", text)
        cc = os.environ.get("HOSTCC", "gcc").split()
        words = [*cc, *FLAGS.split(), "-c", f"{folder}/quarry.c", "-o", f"{folder}/o"]
        if (done := rooms.call(words)).returncode:
            sys.exit(f"{done.stdout}\nPREFIX={prefix}: does not compile: {' '.join(words)}")
        names = lib.prefixed(f"{folder}/o", texts)[1]
    return [lib.renamed(text, names, prefix) for text in texts]


def main():
    parser = rooms.parser(__doc__)
    parser.add_argument("--prefix", default="")
    parser.add_argument("--port", default="arch/host")
    parser.add_argument("sources", nargs="+", metavar="SOURCE")
    args = parser.parse_args()
    if not os.path.exists(os.path.join(rooms.ROOT, args.port, "arch_inline.h")):
        sys.exit(f"PORT={args.port}: it has no arch_inline.h")
    lib.check_prefix(args.prefix)
    folder = os.path.join(args.build, "amalgamation")
    texts = amalgamation(args.port, args.sources)
    if args.prefix:
        texts = with_prefix(texts, args.prefix)
    for name, text in zip(("quarry.h", "quarry.c"), texts):
        rooms.write(os.path.abspath(f"{folder}/{name}"), text)
        print(f"{folder}/{name}: {text.count(chr(10)):,} lines")
    print(f"to compile it:  gcc {FLAGS} -c {folder}/quarry.c")


if __name__ == "__main__":
    rooms.run(main)
