# SPDX-License-Identifier: MIT
"""The rows of `make bench`; their figures beside recorded ones and those of other allocators."""
import html
import json
import os
import re
import subprocess

import rooms

FOLDER = os.path.join(rooms.ROOT, "bench")
HISTORY = os.path.join(FOLDER, "history.jsonl")
PEERS = os.path.join(FOLDER, "peers.json")
TOLERANCE = 0.03
WIDER = 0.10  # than the figures of another version of the compiler
# Cache lines: the linker may place functions and data so that they span this many more.
MORE_LINES = 2


class Failed(Exception):
    """No figures; the text says why."""


def said(*command, what=None, **more):
    """The output of a program; Failed if it cannot be run, or fails."""
    try:
        done = rooms.call(command, stderr=subprocess.PIPE, **more)
    except OSError as error:
        raise Failed(f"{what or command[0]}: {error.strerror}") from error
    if done.returncode:
        text = (done.stdout + done.stderr).strip()[-4000:] or f"ended with {done.returncode}"
        if done.returncode < 0:
            text = f"{' '.join(command)}: ended by signal {-done.returncode}\n{text}".strip()
        raise Failed(f"{what}: {text}" if what else text)
    return done.stdout


def write_json(path, value):
    rooms.write(os.path.abspath(path), json.dumps(value, indent=1) + "\n")


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
                    raise Failed(f"{path}:{number}: not a record: {error}") from error
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
        raise Failed(f"{path}: not a table of other allocators: {error}") from error


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
    pairs = [(f["name"], f["value"], values.get(f["name"], f["value"])) for f in first]
    return [f"{name}: {number(a)}, then {number(b)}" for name, a, b in pairs if a != b]


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
        worse_than = f"a figure fails if it is more than {WIDER:.0%} worse than with {compared}"
        print(f"bench: nothing is recorded for {compiler}: {worse_than}")
    print(f"bench: {total - len(verdict)} passed, {len(verdict)} failed")
    return 1 if verdict else 0


def record(figures, history, why, path=None):
    """Add a line with the changed figures to the history; returns the exit status."""
    compiler = figures[0]["compiler"]
    known = recorded(history, compiler) or {}
    figures = [f for f in figures if f["compiler"] == compiler]
    values = {f["name"]: f["value"] for f in figures}
    names = [name for name, value in values.items() if risen(name, value, known.get(name, value))]
    if names and not why.strip():
        how = 'Say why: make bench RECORD="why"'
        raise Failed(f"not recorded: {', '.join(names)} would rise. {how}")
    changed = {name: value for name, value in values.items() if known.get(name) != value}
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
    found = {f["name"]: rows[f["compiler"]].get(f["name"]) for f in figures}
    return {name: value for name, value in found.items() if value is not None}


def others(history, compiler):
    """{kind: recorded figures} of other kinds of compiler, each in the version recorded last."""
    kinds = {line["compiler"].split()[0]: line["compiler"] for line in history}
    kinds.pop(compiler.split()[0], None)
    return {kind: recorded(history, version) for kind, version in kinds.items()}


def cells_of(figures, known, peers, beside=None):
    """Rows of cells, the heads first: each figure, the recorded one, those of other compilers,
    Linux and LLFree."""
    columns, beside = peers["columns"], beside or {}
    rows = [["", "figure", "recorded", *beside, *columns]]
    for f in figures:
        row = peers["rows"].get(f["name"], {})
        values = [f["value"], (known or {}).get(f["name"])]
        values += [c.get(f["name"]) for c in beside.values()]
        values += [row.get(c, {}).get("value") for c in columns]
        rows.append([f["name"], *("" if value is None else number(value) for value in values)])
    return rows


def print_rows(rows):
    """Print a table, its first column to the left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        cells = [f"{row[0]:{widths[0]}}"] + [f"{c:>{w}}" for c, w in zip(row[1:], widths[1:])]
        print(("  " + "  ".join(cells)).rstrip())


# ---- BUILD/bench.html: figures as bars beside those of other allocators, and their history -------


STYLE = """body{font:14px sans-serif;margin:2em;max-width:70em}
h2{font-size:1em;margin:1.6em 0 .2em}p{margin:.2em 0;color:#555}
svg text{font:12px sans-serif}table{border-collapse:collapse}
td,th{padding:.1em .8em .1em 0;text-align:right}td:first-child,th:first-child{text-align:left}"""
COLOURS = ["#2a6f97", "#bc6c25", "#dda15e", "#6a994e", "#a7c957"]
WIDTH, BAR, LEFT = 520, 18, 100


def bars(rows):
    """Horizontal bars; @rows: [(label, value, text of its tooltip)]."""
    most = max(value for _, value, _ in rows) or 1
    out = [f'<svg width="{LEFT + WIDTH + 100}" height="{len(rows) * (BAR + 4)}" role="img">']
    for i, (label, value, how) in enumerate(rows):
        y, long = i * (BAR + 4), max(1, round(WIDTH * value / most))
        out.append(
            f"<g><title>{html.escape(how)}</title>"
            f'<text x="{LEFT - 6}" y="{y + 13}" text-anchor="end">{html.escape(label)}</text>'
            f'<rect x="{LEFT}" y="{y}" width="{long}" height="{BAR}" '
            f'fill="{COLOURS[i % len(COLOURS)]}"/>'
            f'<text x="{LEFT + long + 4}" y="{y + 13}">{number(value)}</text></g>'
        )
    return "".join(out) + "</svg>"


def line(values):
    """A small curve of the recorded values, oldest first."""
    if len(values) < 2:
        return ""
    most = max(values) or 1
    step = 200 / (len(values) - 1)
    points = " ".join(f"{5 + i * step:.1f},{45 - 40 * v / most:.1f}" for i, v in enumerate(values))
    said = ", ".join(number(v) for v in values)
    return (
        f'<svg width="210" height="50"><title>recorded: {said}</title>'
        f'<polyline points="{points}" fill="none" stroke="{COLOURS[0]}" stroke-width="2"/></svg>'
    )


def section(figure, peers, history):
    name = figure["name"]
    how = f"{figure['engine']}, {figure['compiler']}, {figure['machine']}"
    rows = [("Quarry", figure["value"], how)]
    row = peers["rows"].get(name, {})
    rows += [(c, row[c]["value"], row[c]["how"]) for c in peers["columns"] if c in row]
    mine = [h["figures"].get(name) for h in history if h["compiler"] == figure["compiler"]]
    past = [value for value in mine if value is not None]
    notes = "".join(f"<p>{html.escape(label)}: {html.escape(h)}</p>" for label, _, h in rows)
    return (
        f'<h2 id="{html.escape(name)}">{html.escape(name)}, {html.escape(figure["unit"])}</h2>'
        f"{bars(rows)}{line([*past, figure['value']])}{notes}"
    )


def overview(figures, peers, known):
    heads, *rows = cells_of(figures, known, peers)
    out = "<table><tr>" + "".join(f"<th>{html.escape(head)}</th>" for head in heads) + "</tr>"
    for name, *cells in rows:
        name = html.escape(name)
        out += f'<tr><td><a href="#{name}">{name}</a></td>'
        out += "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
    return out + "</table>"


def page(figures, peers, history):
    known = recorded(history, figures[0]["compiler"])
    title = f"Figures, {figures[0]['compiler']}"
    whys = [html.escape(f"{h['compiler']}: {h['why']}") for h in history]
    whys = "".join(f"<li>{why}</li>" for why in whys)
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head><body><h1>{title}</h1>"
        f"{overview(figures, peers, known)}"
        + "".join(section(f, peers, history) for f in figures)
        + (f"<h2>Records</h2><ul>{whys}</ul>" if whys else "")
        + "</body></html>\n"
    )


def write(path, figures, peers, history):
    rooms.write(os.path.abspath(path), page(figures, peers, history))


# ---- the rows of each group ----------------------------------------------------------------------
# Groups are those of bench/bench.c, and besides: "ring3" (user/bench.c), "hosted" and
# "hosted_traces" (examples/plugin/compare.c).  One that is missing fails by its name.
POLICIES = "redrain disable precise"

TRACES = "tar_gzip cc_build mixed_2cpu"
# Operations whose costs the plugin of bench_count.py counts.
COUNTED = "order0_pair put_page_pair order4_pair fill_order0 free_random_order0"

ROWS = {
    "memmap": "memmap_bytes_per_page",
    "pairs": "order0_pair order1_pair order2_pair order3_pair order4_pair put_page_pair",
    "batches": "batch64_pair batch4096_pair bulk64_alloc bulk64_free bulk512_alloc bulk512_free",
    "recorded": "trace_on_cost",
    "check": "check_memory_page",
    "drain": "drain_all_empty",
    "softfree": "soft_offline_free",
    "object": "object_hold",
    "offline": "offline_free_128m offline_free_128m_disable online_128m hotplug_hold",
    "largest": "order9_pair order9_pair_uncached",
    "fresh": "online_fresh_128m",
    "elsewhere": "free_elsewhere_pair",
    "wait": "wait_beside_255",
    "teardown": "teardown_mapped_page",
    "contig": "alloc_contig_2m alloc_contig_64m",
    "migrate": "shootdown_ipi_per_page soft_offline_mapped offline_mapped_page",
    "policies": " ".join(
        ["policy_none_pair policy_none_hits"]
        + [f"policy_{p}_{what}" for p in POLICIES.split() for what in ("pair", "hits")]
        + [f"policy_{p}_{what}" for p in POLICIES.split() for what in ("ipis", "time")]
    ),
    "fill": "second_zone_pair fill_order0 free_random_order0",
    "counted": " ".join(
        [f"{what}_{name}" for name in COUNTED.split() for what in ("locked", "lines", "code_lines")]
        + ["trace_off_cost zone_lock_held_pair zone_lock_taken_pair zone_lock_full_at"]
        + ["other_locks_held_pair relinks_pair isolate_fragmented"]
    ),
    "load": "irqs_off_max",
    "drainfull": "drain_full",
    "stranded": "stranded_255",
    "ring3": "null_syscall context_switch ipc_round_trip fault_anonymous fault_pager",
    "hosted_traces": " ".join(
        f"{whose}_fragmentation_{name}" for name in TRACES.split() for whose in ("hosted", "lifo")
    ),
    "hosted": "blocks_back_after_churn blocks_back_mixed hosted_pair hosted_bytes_per_page",
}


def of_group(name):
    """The rows of a group; none if the group is not listed, such as the group of a trace."""
    return ROWS.get(name, "").split()


def wrong(figures, expected):
    """A line for each row that was not measured, is in no group, or was measured twice."""
    have = [f["name"] for f in figures]
    lines = [f"{name}: missing: nothing measured it" for name in expected if name not in have]
    unknown = [name for name in have if name not in expected]
    lines += [f"{name}: no group of bench_report.py has it" for name in unknown]
    return lines + [f"{name}: measured twice" for name in sorted(set(have)) if have.count(name) > 1]
