# SPDX-License-Identifier: MIT
"""Compare the figures of bench.py with recorded ones, and with those of other allocators."""
import json
import os
import re

import qemu

FOLDER = os.path.join(qemu.ROOT, "bench")
HISTORY = os.path.join(FOLDER, "history.jsonl")
PEERS = os.path.join(FOLDER, "peers.json")
TOLERANCE = 0.03
WIDER = 0.10  # than the figures of another version of the compiler
# Cache lines: the linker may place functions and data so that they span this many more.
MORE_LINES = 2


class Refused(Exception):
    """A figure would rise without a reason, or a file of figures is malformed."""


def higher_is_better(name):
    return name.startswith("blocks_back") or name.endswith("_hits")


def is_judged(name):
    """False for a ratio of two costs: it changes with either cost, and is only reported."""
    return not name.endswith("_full_at")


def worse(name, value, than, tolerance=TOLERANCE):
    """Is @value more than @tolerance worse than @than?  MORE_LINES more cache lines are not."""
    if not is_judged(name):
        return False
    if name.startswith(("lines_", "code_lines_")) and value - than <= MORE_LINES:
        return False
    if higher_is_better(name):
        return value < than * (1 - tolerance) - 1e-9
    return value > than * (1 + tolerance) + 1e-9


def risen(name, value, than):
    return is_judged(name) and (value < than if higher_is_better(name) else value > than)


# ---- files ---------------------------------------------------------------------------------------


def read_history(path=None):
    """The lines of bench/history.jsonl, oldest first."""
    path = path or HISTORY
    lines = []
    try:
        with open(path, encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                try:
                    row = json.loads(line)
                    lines.append({key: row[key] for key in ("compiler", "why", "figures")})
                except (ValueError, KeyError, TypeError) as error:
                    raise Refused(f"{path}:{number}: not a record: {error}") from error
    except FileNotFoundError:
        pass
    return lines


def recorded(history, compiler):
    """{name: value}: the value recorded last for each row with this version of the compiler; None
    if there is none.  A null in a record removes the row."""
    known = {}
    for line in history:
        if line["compiler"] == compiler:
            known.update(line["figures"])
    return {name: value for name, value in known.items() if value is not None} or None


def version(compiler):
    """(kind, numbers) of a compiler's name: ("gcc", [12, 2, 0])"""
    kind, *numbers = re.split("[ .]", compiler)
    return kind, [int(n) for n in numbers if n.isdigit()]


def nearest(history, compiler):
    """The compiler whose figures those of @compiler are compared with: itself if it has a record,
    else the nearest version of its kind that has one, the older of two; or None."""
    kind, numbers = version(compiler)
    far = {}
    for name in {line["compiler"] for line in history}:
        if version(name)[0] == kind and recorded(history, name):
            far[name] = [abs(a - b) for a, b in zip(version(name)[1], numbers)]
    return min(sorted(far), key=far.get, default=None)


def read_peers(path=None):
    path = path or PEERS
    try:
        with open(path, encoding="utf-8") as f:
            peers = json.load(f)
        return {key: peers[key] for key in ("columns", "rows")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Refused(f"{path}: not a table of other allocators: {error}") from error


# ---- the gate ------------------------------------------------------------------------------------


def judge(figures, known, tolerance=TOLERANCE):
    """A line for each figure that is more than @tolerance worse than the recorded one."""
    lines = []
    for figure in figures:
        name, value = figure["name"], figure["value"]
        than = (known or {}).get(name)
        if than is None or not worse(name, value, than, tolerance):
            continue
        change = f"{(value - than) / than * 100:+.1f} %" if than else "from nothing"
        lines.append(f"{name}: {number(value)}, recorded {number(than)} ({change})")
    return lines


def unequal(first, again):
    """A line for each figure that differs between two runs of the same build."""
    values = {f["name"]: f["value"] for f in again}
    return [
        f"{f['name']}: {number(f['value'])}, then {number(values[f['name']])}"
        for f in first
        if f["name"] in values and values[f["name"]] != f["value"]
    ]


def say(verdict, total, compiler, compared):
    """Print the verdict on figures of @compiler, compared with those of the version @compared;
    returns the exit status."""
    for line in verdict:
        print(f"FAILED bench: {line}")
    if verdict:
        print('bench: if it must be so: make bench RECORD="why"')
    if not compared:
        print(f"bench: nothing is recorded for {compiler}: figures are only reported")
    elif compared != compiler:
        print(
            f"bench: nothing is recorded for {compiler}: a figure fails if it is more than "
            f"{WIDER:.0%} worse than with {compared}"
        )
    print(f"bench: {total - len(verdict)} passed, {len(verdict)} failed")
    return 1 if verdict else 0


def record(figures, history, why, path=None):
    """Add a line with the changed figures to the history; returns the exit status."""
    compiler = figures[0]["compiler"]
    known = recorded(history, compiler) or {}
    figures = [f for f in figures if f["compiler"] == compiler]
    names = [
        f["name"] for f in figures if risen(f["name"], f["value"], known.get(f["name"], f["value"]))
    ]
    if names and not why.strip():
        raise Refused(
            f"not recorded: {', '.join(names)} would rise. Say why: " 'make bench RECORD="why"'
        )
    changed = {f["name"]: f["value"] for f in figures if known.get(f["name"]) != f["value"]}
    path = path or HISTORY
    with open(path, "a", encoding="utf-8") as f:
        json.dump({"compiler": compiler, "why": why.strip(), "figures": changed}, f)
        f.write("\n")
    print(f"bench: recorded {len(changed)} figures for {compiler} in {path}")
    return 0


# ---- the table -----------------------------------------------------------------------------------


def number(value):
    """@value with few digits: 39, 36.97, 0.0156."""
    if isinstance(value, int) or value == int(value):
        return str(int(value))
    return f"{value:.2f}" if value >= 1 else f"{value:.4f}"


def known_of(figures, history):
    """{name: value} recorded of each figure for its own compiler or the nearest; None if nothing is
    recorded for the first figure's.  A hosted figure may have another compiler than the kernel."""
    same = {compiler: nearest(history, compiler) for compiler in {f["compiler"] for f in figures}}
    if same[figures[0]["compiler"]] is None:
        return None
    rows = {compiler: recorded(history, name) or {} for compiler, name in same.items()}
    return {
        f["name"]: rows[f["compiler"]][f["name"]]
        for f in figures
        if f["name"] in rows[f["compiler"]]
    }


def others(history, compiler):
    """{kind: recorded figures} of other kinds of compiler, each in the version recorded last."""
    kinds = {line["compiler"].split()[0]: line["compiler"] for line in history}
    return {
        kind: recorded(history, version)
        for kind, version in kinds.items()
        if kind != compiler.split()[0]
    }


def table(figures, known, peers, beside=None):
    """Print each figure beside the recorded one and those of other compilers, Linux and LLFree."""
    columns, beside = peers["columns"], beside or {}
    heads = ["", "figure", "recorded", *beside, *columns]
    rows = []
    for f in figures:
        row = peers["rows"].get(f["name"], {})
        than = (known or {}).get(f["name"])
        rows.append(
            [f["name"], number(f["value"]), "" if than is None else number(than)]
            + [number(c[f["name"]]) if f["name"] in c else "" for c in beside.values()]
            + [number(row[c]["value"]) if c in row else "" for c in columns]
        )
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    for row in [heads, *rows]:
        cells = [f"{row[0]:{widths[0]}}"] + [f"{c:>{w}}" for c, w in zip(row[1:], widths[1:])]
        print(("  " + "  ".join(cells)).rstrip())
