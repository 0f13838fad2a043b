#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The kernel by the tools with a cross prefix, CROSS_COMPILE=x86_64-linux-gnu-; for test.py.

Usage: cross.py [--build DIR] [--jobs N]

If these are the same programs as the tools without the prefix, the kernel is not built again.  Then
each tool in make's commands must have the prefix, and one source must give the same object.
"""
import os
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import check
import outer_make
import qemu

PREFIX = "x86_64-linux-gnu-"
TOOLS = ("gcc", "ld", "nm")
SAMPLE = "kernel/mm/core/page_alloc.c.o"


def same_tools():
    """Are the tools with the prefix the same programs as those without it?"""
    return all(
        shutil.which(PREFIX + name)
        and os.path.realpath(shutil.which(PREFIX + name)) == os.path.realpath(shutil.which(name))
        for name in TOOLS
    )


def without_prefix(text):
    """The commands of a dry run that call a tool by a name without the prefix."""
    found = re.findall(r"(?:^|&&)[ ]*(\S*\b(?:gcc|clang|ld|nm)) +-.*", text, re.MULTILINE)
    wrong = sorted({name for name in found if name not in [PREFIX + tool for tool in TOOLS]})
    missing = [PREFIX + tool for tool in TOOLS if PREFIX + tool not in found]
    return [f"{name} is called" for name in wrong] + [f"{name} is not called" for name in missing]


def dry_run(build):
    """The commands that make would run in an empty directory."""
    make = os.environ.get("MAKE", "make")
    words = [make, "-n", "-C", qemu.ROOT, f"B={build}-dry", f"CROSS_COMPILE={PREFIX}", "kernel"]
    done = subprocess.run(words, env=outer_make.env(), capture_output=True, text=True, check=True)
    return done.stdout


def code(path):
    """An object without debug data: if it is from ccache, the data names another build's folder."""
    stripped = path + ".stripped"
    subprocess.run(["strip", "-g", "-o", stripped, path], check=True)
    with open(stripped, "rb") as f:
        return f.read()


def faults(build, cross):
    """Faults of a build with the prefix, if the tools with and without the prefix are the same."""
    yield from without_prefix(dry_run(cross))
    made = os.path.join(cross, SAMPLE)
    if not check.make(cross, made, CROSS_COMPILE=PREFIX):
        yield f"{SAMPLE} does not build"
        return
    if code(made) != code(os.path.join(build, SAMPLE)):
        yield f"{SAMPLE} differs from the one without the prefix"


def main():
    parser = rooms.parser(__doc__)
    parser.add_argument("--jobs", type=int, default=check.jobs())
    args = parser.parse_args()
    counts, cross = check.Counts(), os.path.join(args.build, "cross")
    if same_tools():
        wrong = list(faults(args.build, cross))
        how = "the same tools: a dry run and one object"
    else:
        wrong = [] if check.make(cross, "kernel", CROSS_COMPILE=PREFIX) else ["does not build"]
        how = "all of it"
    print(f"{'not ok' if wrong else 'ok'} make kernel CROSS_COMPILE={PREFIX} ({how})")
    for line in wrong:
        print(f"  {line}")
    counts.one(not wrong, f"make kernel CROSS_COMPILE={PREFIX}")
    return counts.close("cross")


if __name__ == "__main__":
    sys.exit(main())
