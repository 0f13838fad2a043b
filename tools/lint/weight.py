#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Lines and files of each room of the tree, and the most that it may have (tests/weight.txt).

Usage: weight.py                 lower each limit to what the room has; print rooms over it
       weight.py ROOM SUBJECT    set the limits of a room that grew, and note the reason
"""
import os
import re
import sys

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
from rooms import read
import rooms

LIMITS = "tests/weight.txt"
PARTED = ("mm", "tests", "tools")  # each directory in these is a room
STEP = 100  # limits of lines are multiples of it, so that a small repair needs no new limit
# Tools write these.
RECORDS = ("bench/history.jsonl", "tests/lengths.txt", "tests/lint/stable.txt", LIMITS)
ROW = re.compile(r"(\S+) +(\d+) +(\d+)(?: +# (.+))?\n")


def room_of(path):
    parts = path.split("/")
    deep = 2 if parts[0] in PARTED and len(parts) > 2 else 1
    return "/".join(parts[:deep]) if len(parts) > 1 else "."


def weigh():
    """{room: (lines, files)}; a file that is no text has no lines."""
    found = {}
    for path in rooms.all_files():
        if path in RECORDS or path.startswith((".", "labs/hidden/")):
            continue
        with open(os.path.join(rooms.ROOT, path), "rb") as f:
            text = f.read()
        lines, files = found.get(room_of(path), (0, 0))
        found[room_of(path)] = lines + (0 if b"\0" in text else text.count(b"\n")), files + 1
    return found


def limits():
    """(text before the rows, {room: (lines, files, subject or None)})"""
    text = read(LIMITS)
    rows = {m[1]: (int(m[2]), int(m[3]), m[4]) for m in ROW.finditer(text)}
    return text[: text.index("\n\n") + 2], rows


def over(weights, rows):
    """A line about each room that has more than its limits."""
    for room, (lines, files) in sorted(weights.items()):
        most = rows.get(room, (0, 0))
        if lines > most[0] or files > most[1]:
            have = f"{lines} lines in {files} files, at most {most[0]} in {most[1]}"
            how = f"take something out, or name the subject: tools/lint/weight.py {room} SUBJECT"
            yield f"{room}: {have}: {how}"


def check_weight(_):
    """no room has more lines or files than tests/weight.txt allows"""
    yield from over(weigh(), limits()[1])
    if not any(over({"new": (1, 1)}, {})):
        yield "the check does not find a room without a limit"


CHECKS = [check_weight]


def main():
    raised = sys.argv[1] if len(sys.argv) == 3 else None
    weights, (head, rows) = weigh(), limits()
    if len(sys.argv) not in (1, 3) or raised and raised not in weights:
        sys.exit(__doc__)
    for room, (lines, files) in weights.items():
        has = (-(-lines // STEP) * STEP, files)
        if room == raised:
            rows[room] = (*has, sys.argv[2])
        elif room in rows:
            rows[room] = (*map(min, has, rows[room]), rows[room][2])
    with open(os.path.join(rooms.ROOT, LIMITS), "w", encoding="utf-8") as f:
        f.write(head)
        for room, (lines, files, subject) in sorted(rows.items()):
            if room in weights:
                f.write(f"{room:18}{lines:8}{files:6}{f'  # {subject}' if subject else ''}\n")
    wrong = list(over(weights, rows))
    print("\n".join(wrong) or "all rooms are within their limits")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
