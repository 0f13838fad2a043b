# SPDX-License-Identifier: MIT
"""A race's trace as a table: printed, and in the pages of docs/races/, the first of each page with
its time line; for race.py.  Tables of figures in these pages; for pressure.py and waiters.py.
"""
import contextlib
import glob
import json
import os
import re
import textwrap
from dataclasses import dataclass
from xml.sax.saxutils import escape

import figures
import qemu
from rooms import read, write

PAGES = os.path.join(qemu.ROOT, "docs/races/*.md")
TABLE = re.compile(r"(<!-- race (\S+)(?: (\w+))? -->\n)(.*?)(<!-- end -->)", re.DOTALL)
REFS = re.compile(r"(<!-- refs (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
FROZEN = "all taken by the freeze"


def steps(trace, against=""):
    """[(step, role or "-", text, does @against have the same step?)]"""
    other = against.split("\n")
    rows = []
    for i, line in enumerate(trace.split("\n")[:-1]):
        step, role, rest = line.split(" ", 2)
        rows.append((step, role, rest, not against or (i < len(other) and other[i] == line)))
    return rows


def head(role):
    return "R, the reclaim thread" if role == "R" else f"{role} on CPU {ord(role) - ord('A')}"


def columns(rows):
    return sorted({role for _, role, _, _ in rows if role != "-"})


def table(trace, against=""):
    """Print the steps, a column for each role; an asterisk marks steps that @against lacks."""
    rows = steps(trace, against)
    roles = columns(rows)
    texts = {r: [head(r), *(rest for _, role, rest, _ in rows if role == r)] for r in roles}
    widths = {r: max(map(len, texts[r])) for r in roles}
    print("    step  " + "  ".join(head(r).ljust(widths[r]) for r in roles))
    for step, role, rest, same in rows:
        cells = [(rest if r == role else "").ljust(widths[r]) for r in roles]
        number = step if same else "*" + step
        print(f"    {number.rjust(4)}  " + ("  ".join(cells) if role != "-" else rest).rstrip())


def page_table(trace, outcome, against, figure):
    """The table of steps, in Markdown, for a page of docs/races/; above it its time line, or ""."""
    rows = steps(trace, against)
    roles = columns(rows)
    checks = any(role == "-" for _, role, _, _ in rows)
    lines = [
        "| step | " + " | ".join([head(r) for r in roles] + ["checked"] * checks) + " |",
        "|---|" + "---|" * (len(roles) + checks),
    ]
    for step, role, rest, same in rows:
        rest = rest.replace("|", "\\|")
        cells = [rest if r == role else "" for r in roles] + [rest if role == "-" else ""] * checks
        lines.append(f"| {step if same else step + ' *'} | " + " | ".join(cells) + " |")
    if figure:
        lines[:0] = [f"![{figure[:-4].replace('.', ' with ')} in time](figures/{figure})", ""]
    return "\n" + "\n".join(lines) + f"\n\nOutcome: **{outcome}**\n\n"


def references(trace):
    """For a script that counts refs(V): [(owner of a reference, when taken, when dropped)]."""
    looks, place = [], "before"  # [(places of the roles, owners of the references)]
    for _, role, rest, _ in steps(trace):
        found = re.match(r"count refs\(V\) \d+: (.*)", rest)
        if found and found.group(1) != FROZEN:
            holders = found.group(1).split(", ")
            looks.append((place, [re.sub(r"^\d+ of entries", "each entry's", h) for h in holders]))
        elif role != "-":
            place = f"{role} {rest}"

    def between(at, otherwise):
        if not 0 <= at < len(looks) - 1:
            return otherwise
        return f"between \"{looks[at][0]}\" and \"{looks[at + 1][0]}\""

    rows = []
    for holder in dict.fromkeys(h for _, holders in looks for h in holders):
        there = [i for i, (_, holders) in enumerate(looks) if holder in holders]
        rows.append((holder, between(there[0] - 1, "before"), between(there[-1], "never")))
    return rows


class Pages:
    """The tables of docs/races/, and the figures beside them."""

    def __init__(self, update):
        self.update, self.compared = update, 0
        self.wrong = []  # tables that differ from the run
        self.pairs = {}  # {(script, variant): the first page that shows it}
        self.drawn = set()  # those that a page shows first, and those that have been drawn
        for path in sorted(glob.glob(PAGES)):
            found = [(m.group(2), m.group(3) or "none") for m in TABLE.finditer(read(path))]
            self.drawn |= {p for p in found if p == found[0] or os.path.exists(drawing(p))}
            for pair in found:
                self.pairs.setdefault(pair, os.path.relpath(path, qemu.ROOT))

    def differs(self, path, what, new):
        """Write @new, or note that the file differs."""
        again = "not what the run shows; tools/race/race.py --update-docs writes it anew"
        if self.update:
            write(path, new)
        else:
            self.wrong.append(f"{os.path.relpath(path, qemu.ROOT)}: {what}: {again}")

    def show(self, script, ident, trace, outcome, against):
        if (script, ident) not in self.pairs:
            return
        figure, path = "", drawing((script, ident))
        if (script, ident) in self.drawn:
            figure, svg = name(script, ident), draw(steps(trace, against), outcome)
            if not os.path.exists(path) or read(path) != svg:
                self.differs(path, figure[:-4], svg)
        for path in sorted(glob.glob(PAGES)):
            text = read(path)

            def replace(m):
                if (m.group(2), m.group(3) or "none") != (script, ident):
                    return m.group(0)
                self.compared += 1
                return m.group(1) + page_table(trace, outcome, against, figure) + m.group(5)

            def replace_refs(m):
                if m.group(2) != script or ident != "none":
                    return m.group(0)
                lines = ["| reference | taken | dropped |", "|---|---|---|"]
                lines += [f"| {' | '.join(row)} |" for row in references(trace)]
                return m.group(1) + "\n" + "\n".join(lines) + "\n\n" + m.group(4)

            new = REFS.sub(replace_refs, TABLE.sub(replace, text))
            if new != text:
                self.differs(path, f"{script} {ident}", new)

    def judge(self, counts, known=None):
        """Count the faults of the pages.  @known: {(script, variant)} of all runs, or None if not
        all scripts ran."""
        if known is not None:
            unknown = sorted(set(self.pairs) - known)
            self.wrong += [f"docs/races: no such run: {' '.join(pair)}" for pair in unknown]
            have, there = {name(*pair) for pair in self.drawn}, glob.glob(PAGES[:-4] + "figures/*")
            odd = [path for path in sorted(there) if os.path.basename(path) not in have]
            self.wrong += [f"{os.path.relpath(path, qemu.ROOT)}: no page shows it" for path in odd]
        for line in self.wrong:
            counts.one(False, line)
        if self.compared:
            done = "written" if self.update else "compared"
            print(f"  docs/races: {self.compared} tables and time lines {done}")
            counts.one(not self.wrong, "tables of docs/races")


# ---- figures -------------------------------------------------------------------------------------


@contextlib.contextmanager
def lines_file(build, name, mode="w"):
    """A function that writes a JSON line of its arguments to BUILD/race/NAME.jsonl."""
    os.makedirs(os.path.join(build, "race"), exist_ok=True)
    with open(os.path.join(build, "race", name + ".jsonl"), mode, encoding="utf-8") as f:
        yield lambda **row: print(json.dumps(row), file=f, flush=True)


def figures_in(text, what):
    """The lines "@what: NAME=NUMBER ..." that a kernel printed: [{name: text}]."""
    lines = re.findall(rf"^{what}: (\w+=.*)$", text, re.MULTILINE)
    return [dict(word.split("=") for word in line.split()) for line in lines]


def markdown(rows):
    """The rows as a table, of which the first is the head."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    rows = [rows[0], ["-" * w for w in widths], *rows[1:]]
    cells = [" | ".join(c.ljust(w) for c, w in zip(row, widths)) for row in rows]
    return "".join(f"| {line} |\n" for line in cells)


def put_figures(name, text):
    """Write @text between the marks of a page of docs/races/."""
    path = os.path.join(os.path.dirname(PAGES), name)
    before, rest = read(path).split("<!-- figures: begin -->\n")
    _, after = rest.split("<!-- figures: end -->\n")
    write(path, f"{before}<!-- figures: begin -->\n\n{text}\n<!-- figures: end -->\n{after}")


# ---- the time line beside a table, as an SVG -----------------------------------------------------
# Lanes are threads on their CPUs, rows are steps, time goes down.  A lane is blue while its
# operation runs, and amber while the script holds it at a scheduling point.  Red steps differ from
# those of the right code; the first of them is marked: from there on the run is wrong.


LEFT, TOP, STEP, LINE = 64, 34, 24, 13  # pixels of the margin, the heads, a row, a line of text
CHARACTER, WIDEST = 6.3, 42  # pixels of a character; characters of a line
RUNNING, HELD, WRONG, CHECKED = "#cfe0ff", "#ffe9c7", "#ffd6d6", "#e8e8e8"
MAX_BYTES = 15_000


def name(script, ident):
    return script + ("" if ident == "none" else "." + ident) + ".svg"


def drawing(pair):
    return os.path.join(os.path.dirname(PAGES), "figures", name(*pair))


def state_after(text):
    """The colour of a lane below the step @text; None if the step does not change it."""
    kinds = {r" started$| left$": RUNNING, r" arrived$": HELD, r" returned\b| STUCK$": ""}
    return next((state for pattern, state in kinds.items() if re.search(pattern, text)), None)


def lanes_of(rows):
    """[(role, its head, x of its middle, width)]; the lane of checks is the last one."""
    roles = sorted({role for _, role, _, _ in rows}, key=lambda role: (role == "-", role))
    found, x = [], LEFT
    for role in roles:
        title = "checked" if role == "-" else head(role)
        texts = [line for _, r, rest, _ in rows if r == role for line in wrap(rest)]
        width = round(CHARACTER * max(map(len, [title, *texts]))) + 22
        found.append((role, title, x + width // 2, width))
        x += width + 10
    return found, x


def wrap(text):
    return textwrap.wrap(text, WIDEST) or [""]


def box(x, y, width, lines, fill, stroke):
    size = f'width="{width}" height="{LINE * len(lines) + 4}" rx="4"'
    yield f'<rect x="{x - width // 2}" y="{y - 2}" {size} fill="{fill}" stroke="{stroke}"/>'
    for i, line in enumerate(lines):
        at = f'x="{x}" y="{y + 9 + LINE * i}" text-anchor="middle"'
        yield f'<text {at} fill="black">{escape(line)}</text>'


def bars(rows, places, lanes, end):
    """A bar in each lane for its state between two steps."""
    for role, _, x, _ in lanes:
        state, since = None, 0
        for (_, r, text, _), y in zip([*rows, ("", role, " returned", True)], [*places, end]):
            after = state_after(text) if r == role else None
            if after is None or r == "-":
                continue
            if state:
                size = f'width="8" height="{y - since}"'
                yield f'<rect x="{x - 4}" y="{since}" {size} fill="{state}"/>'
            state, since = after, y


def draw(rows, outcome):
    """An SVG of @rows as steps() has them."""
    lanes, width = lanes_of(rows)
    where = {role: (x, wide) for role, _, x, wide in lanes}
    places, y = [], TOP
    for _, _, text, _ in rows:
        places.append(y)
        y += STEP + LINE * (len(wrap(text)) - 1)
    out = []
    for _, title, x, _ in lanes:
        out.append(f'<text x="{x}" y="14" text-anchor="middle" fill="black">{escape(title)}</text>')
        out.append(f'<path d="M{x} 22V{y}" stroke="#888888" stroke-dasharray="2,3"/>')
    out += bars(rows, places, lanes, y)
    marked = False
    for (step, role, text, same), at in zip(rows, places):
        if not same and not marked:
            marked = True
            out.append(f'<path d="M0 {at - 6}H{width}" stroke="#c00000" stroke-dasharray="6,3"/>')
            out.append(f'<text x="2" y="{at + 9}" fill="#c00000">wrong</text>')
        color = "#c00000" if not same else "black"
        place = f'x="{LEFT - 8}" y="{at + 9}" text-anchor="end"'
        out.append(f'<text {place} fill="{color}">{step}</text>')
        fill = WRONG if not same else CHECKED if role == "-" else state_after(text) or "white"
        x, wide = where[role]
        out += box(x, at, wide, wrap(text), fill, "#c00000" if not same else "#888888")
    color = "black" if outcome == "OK" else "#c00000"
    out.append(f'<text x="{LEFT}" y="{y + 14}" fill="{color}">outcome: {escape(outcome)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y + 22}" '
        f'viewBox="0 0 {width} {y + 22}" font-family="{figures.FONT}" font-size="11" fill="none">\n'
        f"{figures.style()}\n" + "\n".join(out) + "\n</svg>\n"
    )


# ---- the table of docs/races/linux.md ------------------------------------------------------------


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


def races():
    rows = re.findall(rf"^\| (\d+ \| {COMMIT} \|.*) \|$", read(PAGE), re.MULTILINE)
    return [Race(*(cell.strip() for cell in row.split("|"))) for row in rows]


def names_of(words):
    """@words, with known commits (seven digits or more) replaced by their script and variant."""
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
