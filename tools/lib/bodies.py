#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Where the bodies of functions begin and end.

Usage: bodies.py list FILE...        names and lengths
       bodies.py compare FILE...     a body that clang finds elsewhere is an error

The rule: a body is from a line "{" to a line "}", both alone and in column 0; the function's name
stands before the first parenthesis of the lines above it.  `make lint` also asks clang.
"""
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
from rooms import ROOT
# A declarator begins in column 0; its further lines are indented.
DECLARATOR = re.compile(
    r"(?:\A|(?<=\n))((?:[A-Za-z_][^\n{};]*\n)(?:[ \t]+[^\n{};]*\n)*)\{\n", re.MULTILINE
)
ATTRIBUTE = re.compile(r"__attribute__\(\((?:[^()]|\([^()]*\))*\)\)")
NAME = re.compile(r"([A-Za-z_]\w*)\s*\(")
SPECIFIERS = r"\b(?:static|inline|always_inline|noinline|__attribute__\(\(.*?\)\))\s*"
# Freestanding: main() of a program in ring 3 has the parameters that the kernel passes.
CLANG = ("-ffreestanding", "-Iinclude", "-Iarch/host", "-Iarch/x86_64", "-I.", "-DCHECKED_BUILD")


@dataclass
class Body:
    """A function: its head, its type, and the positions of its braces in the text."""

    name: str
    head: str  # the declarator's lines
    type: str  # of the value that it returns
    begin: int  # position of "{"
    end: int  # position behind "}"

    def lines(self, text):
        """The lines between the braces."""
        return text.count("\n", self.begin, self.end) - 1


def bodies(text):
    """The functions of a source, by name."""
    found = {}
    for match in DECLARATOR.finditer(text):
        head = match.group(1)
        name = NAME.search(ATTRIBUTE.sub("", head))
        begin = match.end() - 2
        end = text.find("\n}\n", begin)
        if not name or end < 0:
            continue
        before = head[: head.index(name.group(1) + "(")]
        kind = " ".join(re.sub(SPECIFIERS, "", before).split())
        found[name.group(1)] = Body(name.group(1), head, kind, begin, end + 2)
    return found


def file_after(node, file):
    """The file that clang named last in @node; @file, the one named before, if @node names none."""
    for key, value in node.items():
        if key == "file":
            file = value
        elif isinstance(value, dict) and key != "includedFrom":
            file = file_after(value, file)
        elif isinstance(value, list):
            for child in value:
                file = file_after(child, file)
    return file


def by_clang(path):
    """{name: (begin, end)} of the bodies of functions in @path, according to clang."""
    out = subprocess.run(
        ["clang", "-Xclang", "-ast-dump=json", "-fsyntax-only", "-w", "-std=gnu11", *CLANG, path],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    found, after = {}, None
    for node in json.loads(out)["inner"]:
        file, after = file_after(node.get("loc", {}), after), file_after(node, after)
        if node["kind"] != "FunctionDecl" or file != path:
            continue
        for child in node.get("inner", []):
            if child["kind"] == "CompoundStmt" and "offset" in child["range"]["begin"]:
                span = child["range"]
                found[node["name"]] = (span["begin"]["offset"], span["end"]["offset"] + 1)
    return found


def differences(path):
    """A line for each body that clang and the rule do not find in the same place."""
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        text = f.read()
    rule = {name: (b.begin, b.end) for name, b in bodies(text).items()}
    if not text.isascii():
        # clang counts bytes.
        at = [len(text[:i].encode()) for i in range(len(text) + 1)]
        rule = {name: (at[b], at[e]) for name, (b, e) in rule.items()}
    tree = by_clang(path)
    return [
        f"{path}: {name}: clang {tree.get(name)}, the rule {rule.get(name)}"
        for name in sorted(set(tree) | set(rule))
        if tree.get(name) != rule.get(name)
    ]


def main():
    if len(sys.argv) < 3 or sys.argv[1] not in ("list", "compare"):
        sys.exit(__doc__.strip())
    said = []
    for path in sys.argv[2:]:
        if sys.argv[1] == "compare":
            said += differences(path)
            continue
        with open(os.path.join(ROOT, path), encoding="utf-8") as f:
            text = f.read()
        for body in bodies(text).values():
            print(f"{path}: {body.name}: {body.lines(text)} lines, {body.type}")
    if said:
        sys.exit("\n".join(said))


if __name__ == "__main__":
    main()
