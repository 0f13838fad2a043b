# SPDX-License-Identifier: MIT
"""The races of Linux in docs/races/linux.md: script, variant and outcome of each."""
import glob
import os
import re
from dataclasses import dataclass

import qemu

FOLDER = os.path.join(qemu.ROOT, "docs", "races")
PAGE = os.path.join(FOLDER, "linux.md")
COMMIT = r"[0-9a-f]{12}"


@dataclass
class Race:
    year: str
    commit: str
    release: str
    what: str
    script: str
    variant: str
    outcome: str
    page: str


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def races():
    rows = re.findall(rf"^\| (\d+ \| {COMMIT} \|.*) \|$", read(PAGE), re.MULTILINE)
    return [Race(*(cell.strip() for cell in row.split("|"))) for row in rows]


def names_of(words):
    """@words, with each known commit (at least its first seven digits) replaced by its script and
    variant."""
    found = []
    for word in words:
        is_commit = re.fullmatch(r"[0-9a-f]{7,40}", word)
        known = [r for r in races() if is_commit and r.commit[: len(word)] == word[:12]]
        found += [known[0].script, known[0].variant] if known else [word]
    return found


def faults(scripts):
    """A line for each wrong or missing row; @scripts: {name: {variant: outcome}}."""
    rows = races()
    for row in rows:
        expected = scripts.get(row.script, {}).get(row.variant)
        if expected != row.outcome:
            yield f"{row.commit}: {row.script} with {row.variant}: {row.outcome}, not {expected}"
        name = re.search(r"\(([^)#]*)", row.page).group(1)
        if row.commit not in read(os.path.join(FOLDER, name)):
            yield f"{row.commit}: {name} does not name it"
    told = set()
    for page in glob.glob(os.path.join(FOLDER, "*.md")):
        told |= set(re.findall(rf"\b{COMMIT}\b", read(page)))
    for commit in sorted(told - {row.commit for row in rows}):
        yield f"{commit} is named in docs/races, and has no row"
