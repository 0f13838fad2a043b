#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What programs and other kernels rely on, compared with the last release; docs/stable.md.

Usage: stable.py [--update]     write tests/lint/stable.txt again, for a release; then compare

A line of stable.txt is a function with the types of its parameters, a member of a structure, a
macro, or an enumerator with its value.  What a release had stays as long as the major version does;
new names may come with any version.
"""
import os
import re
import sys

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
from rooms import read

LIST = "tests/lint/stable.txt"
VERSION = "include/quarry/version.h"
# Marks that concern only static analysis.
MARKS = re.compile(
    r"\b(?:EXCLUDES|REQUIRES\w*|ACQUIRED?\w*|RELEASE\w*|NO_LOCK_ANALYSIS|CAPABILITY|must_check"
    r"|always_inline|__attribute__)\b(?:\s*\((?:[^()]|\([^()]*\))*\))?"
)
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
MACRO = re.compile(r"^#define (\w+)(\([^)]*\))?[ \t]+(.*?[^\\])\n", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"\b(struct|enum) (\w+)? ?\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}[^;]*;")
INNER = re.compile(r"(nr_)?stacks?_")  # functions of the caches' stacks, for fast paths
FUNCTION = re.compile(r"(?:^|[;}])\s*(?:static inline )?([\w ]+[ *])(\w+)\(([^;{}]*?)\)\s*(?=[;{])")


def headers():
    """The headers of which docs/stable.md says that they stay the same."""
    return re.findall(r"^\| `(\w+\.h)` \|", read("docs/stable.md"), re.MULTILINE)


def version():
    """The version, as 1.0.0; KeyError if the two macros differ."""
    text = read(VERSION)
    name = re.search(r'QUARRY_VERSION +"(\d+\.\d+\.\d+)"', text).group(1)
    major, minor, patch = map(int, name.split("."))
    number = int(re.search(r"QUARRY_VERSION_NUMBER (\d+)", text).group(1))
    if number != major * 10000 + minor * 100 + patch:
        raise KeyError(f"{VERSION}: the number {number} is not that of {name}")
    return name


def spaced(text):
    return re.sub(r"(\w)\*", r"\1 *", re.sub(r"\s*\*\s*", "*", " ".join(text.split())))


def type_of(parameter):
    """A parameter's type, without its name."""
    words = spaced(parameter)
    if "(" in words or words in ("void", "..."):
        return re.sub(r"\(\*\w+\)", "(*)", words)
    found = re.fullmatch(r"(.*[ *])\w+(\[\w*\])?", words)
    return (found[1].strip() + (found[2] or "")) if found else words


def split(text):
    """The parameters between commas outside of parentheses."""
    parts, deep = [""], 0
    for c in text:
        deep += (c == "(") - (c == ")")
        if c == "," and not deep:
            parts.append("")
        else:
            parts[-1] += c
    return parts


def enumerators(name, body):
    value, base = -1, ""
    for word in filter(None, (spaced(part) for part in split(body))):
        constant, _, given = word.partition(" = ")
        number = re.fullmatch(r"-?(?:0x)?[0-9a-fA-F]+", given)
        if given and not number:
            base, value = given + " + ", 0
        else:
            base, value = ("", int(given, 0)) if given else (base, value + 1)
        if not constant.startswith("NR_"):  # these grow
            yield f"enum {name}: {constant} = {base}{value}"


def members(name, body):
    body = re.sub(r"\{[^{}]*\}", "", body)
    for one in filter(None, (spaced(part) for part in body.split(";"))):
        yield f"struct {name}: {one}"


def names(path):
    """The lines of one header."""
    text = MARKS.sub("", COMMENT.sub("", read(path)))
    for name, arguments, value in MACRO.findall(text):
        yield f"macro {name}{arguments} {'' if arguments else spaced(value)}".strip()
    text = re.sub(r"^#(?:[^\n]*\\\n)*[^\n]*\n", "", text, flags=re.MULTILINE)
    for kind, name, body in BLOCK.findall(text):
        yield from (enumerators if kind == "enum" else members)(name, body)
    text = BLOCK.sub(";", text)
    while (less := re.sub(r"\{[^{}]*\}", "{};", text.replace("{};", ";"))) != text:
        text = less
    for returned, name, parameters in FUNCTION.findall(text):
        if returned.strip() not in ("return", "else") and not INNER.match(name):
            types = ", ".join(map(type_of, split(parameters)))
            yield f"function {spaced(returned).removeprefix('static ')} {name}({types})"


def present():
    paths = {header: f"include/quarry/{header}" for header in headers()}
    return {f"{header}: {line}" for header, path in paths.items() for line in names(path)}


def check_stable(_):
    """docs/stable.md: what the last release had is as it was, unless this is a new major version"""
    name = version()
    first, *kept = read(LIST).rstrip("\n").split("\n")
    released = re.fullmatch(r"# what (\d+)\.(\d+)\.(\d+) has; tools/lint/stable\.py", first)
    there = present()
    if len(there) < 200:
        yield f"{len(there)} names found: the check does not work"
    if f"## {name}, 20" not in read("CHANGES.md"):
        yield f"CHANGES.md: no version {name} with its date"
    if not released or released[1] == name.split(".")[0]:
        gone = [line for line in kept if line not in there]
        yield from (f"gone or changed since the last release: {line}" for line in gone)


CHECKS = [check_stable]


def main():
    args = rooms.parser(usage=__doc__, flags="update").parse_args()
    if args.update:
        head = f"# what {version()} has; tools/lint/stable.py"
        rooms.write(LIST, "\n".join([head, *sorted(present())]) + "\n")
    wrong = list(check_stable(""))
    print("\n".join(wrong or ["nothing that a release had is gone or changed"]))
    sys.exit(bool(wrong))


if __name__ == "__main__":
    rooms.run(main)
