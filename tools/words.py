#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Find words that docs/GLOSSARY.md has retired, in code, comments and docs.

Usage: tools/words.py              print words used more often than the glossary allows
       tools/words.py --list WORD  print each line that uses one
       tools/words.py --update     lower the glossary's numbers to the present ones
"""
import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = "docs/GLOSSARY.md"
SOURCES = ("c", "h", "S", "ld", "py", "sh", "gdb", "mk", "txt")
# A row of the table: a word, its replacement, the number of lines that may still use it.
ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \| (\d+) \|$", re.MULTILINE)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as f:
        return f.read()


def texts(_cache=[]):
    """(path, lines) of each source, and of each page except the glossary."""
    if not _cache:
        found = [
            os.path.relpath(path, ROOT)
            for ending in SOURCES
            for path in glob.glob(os.path.join(ROOT, "**", "*." + ending), recursive=True)
        ]
        found += [
            os.path.relpath(path, ROOT)
            for room in ("docs", "labs")
            for path in glob.glob(os.path.join(ROOT, room, "**", "*.md"), recursive=True)
        ]
        found = [path for path in found if not path.startswith("build") and path != PAGE]
        _cache += [
            (path, read(path).split("\n"))
            for path in sorted([*found, "README.md", "CONTRIBUTING.md", "Makefile"])
        ]
    return _cache


def retired(page):
    """{words of a row: (replacement, number of lines that may use them)}"""
    return {words: (instead, int(left)) for words, instead, left in ROW.findall(page)}


def uses(words):
    """A text PATH:LINE: LINE for each line with one of the words, also within an identifier."""
    forms = "|".join(re.escape(form).replace(r"\ ", "[ _]") for form in words.split(", "))
    pattern = re.compile(rf"(?<![A-Za-z])(?:{forms})(?![A-Za-z])", re.IGNORECASE)
    return [
        f"{path}:{number}: {line.strip()}"
        for path, lines in texts()
        for number, line in enumerate(lines, 1)
        if pattern.search(line)
    ]


def wrong():
    rows = retired(read(PAGE))
    if not rows:
        yield f"{PAGE}: no table of retired words"
    for words, (instead, left) in rows.items():
        found = len(uses(words))
        if found > left:
            yield (
                f'"{words}": {found} lines, {left} allowed; write "{instead}" '
                f'(tools/words.py --list "{words.split(", ")[0]}")'
            )


def update():
    def lowered(match):
        words, instead, left = match.groups()
        return f"| {words} | {instead} | {min(int(left), len(uses(words)))} |"

    text = ROW.sub(lowered, read(PAGE))
    with open(os.path.join(ROOT, PAGE), "w", encoding="utf-8") as f:
        f.write(text)


def main():
    if sys.argv[1:] == ["--update"]:
        update()
    elif len(sys.argv) == 3 and sys.argv[1] == "--list":
        words = next((w for w in retired(read(PAGE)) if sys.argv[2] in w.split(", ")), sys.argv[2])
        print("\n".join(uses(words)))
        return 0
    elif sys.argv[1:]:
        sys.exit(__doc__)
    found = list(wrong())
    print("\n".join(found) or "words: no retired word is used more often than before")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
