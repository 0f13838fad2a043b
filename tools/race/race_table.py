# SPDX-License-Identifier: MIT
"""A race's trace as a table: printed, and in the pages of docs/races/, with its time line; for
race.py.  Tables of figures in these pages; for pressure.py and waiters.py.
"""
import glob
import os
import re

import qemu
import race_figure

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
    widths = {
        r: max([len(head(r))] + [len(rest) for _, role, rest, _ in rows if role == r])
        for r in roles
    }
    print("    step  " + "  ".join(head(r).ljust(widths[r]) for r in roles))
    for step, role, rest, same in rows:
        cells = [(rest if r == role else "").ljust(widths[r]) for r in roles]
        number = step if same else "*" + step
        print(f"    {number.rjust(4)}  " + ("  ".join(cells) if role != "-" else rest).rstrip())


def page_table(trace, outcome, against, figure):
    """The table of steps, in Markdown, for a page of docs/races/; its time line is above it."""
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
    line = f"![{figure[:-4].replace('.', ' with ')} in time](figures/{figure})"
    return f"\n{line}\n\n" + "\n".join(lines) + f"\n\nOutcome: **{outcome}**\n\n"


def references(trace):
    """For a script that counts refs(V): [(owner of a reference, when taken, when dropped)]."""
    looks, place = [], "before"  # [(places of the roles, owners of the references)]
    for _, role, rest, _ in steps(trace):
        found = re.match(r"count refs\(V\) \d+: (.*)", rest)
        if found and found.group(1) != FROZEN:
            looks.append(
                (
                    place,
                    [
                        re.sub(r"^\d+ of entries", "each entry's", h)
                        for h in found.group(1).split(", ")
                    ],
                )
            )
        elif role != "-":
            place = f"{role} {rest}"
    rows = []
    for holder in dict.fromkeys(h for _, holders in looks for h in holders):
        there = [i for i, (_, holders) in enumerate(looks) if holder in holders]
        taken = (
            f"between \"{looks[there[0] - 1][0]}\" and \"{looks[there[0]][0]}\""
            if there[0]
            else "before"
        )
        dropped = (
            f"between \"{looks[there[-1]][0]}\" and \"{looks[there[-1] + 1][0]}\""
            if there[-1] + 1 < len(looks)
            else "never"
        )
        rows.append((holder, taken, dropped))
    return rows


class Pages:
    """The tables of docs/races/, and the figures beside them."""

    def __init__(self, update):
        self.update = update
        self.wrong = []  # tables that differ from the run
        self.compared = 0
        self.pairs = {}  # {(script, variant): the first page that shows it}
        for path in sorted(glob.glob(PAGES)):
            with open(path, encoding="utf-8") as f:
                for m in TABLE.finditer(f.read()):
                    pair = (m.group(2), m.group(3) or "none")
                    self.pairs.setdefault(pair, os.path.relpath(path, qemu.ROOT))

    def show_figure(self, folder, name, svg):
        """Write a time line into @folder, or compare it with the file there."""
        path = os.path.join(folder, "figures", name)
        old = ""
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                old = f.read()
        if old != svg and self.update:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as f:
                f.write(svg)
        elif old != svg:
            self.differs(path, name[:-4])

    def differs(self, path, what):
        self.wrong.append(
            f"{os.path.relpath(path, qemu.ROOT)}: {what}: not what the run shows; "
            "tools/race/race.py --update-docs writes it anew"
        )

    def show(self, script, ident, trace, outcome, against):
        if (script, ident) not in self.pairs:
            return
        figure = race_figure.name(script, ident)
        svg = race_figure.draw(steps(trace, against), outcome, head)
        self.show_figure(os.path.dirname(PAGES), figure, svg)
        for path in sorted(glob.glob(PAGES)):
            with open(path, encoding="utf-8") as f:
                text = f.read()

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
            if new == text:
                continue
            if self.update:
                with open(path, "w", encoding="utf-8") as f:
                    f.write(new)
            else:
                self.differs(path, f"{script} {ident}")

    def judge(self, counts, known=None):
        """Count the faults of the pages.  @known: {(script, variant)} of all runs, or None if not
        all scripts ran."""
        if known is not None:
            unknown = sorted(set(self.pairs) - known)
            self.wrong += [f"docs/races: no such run: {' '.join(pair)}" for pair in unknown]
            have = {race_figure.name(*pair) for pair in self.pairs}
            self.wrong += [
                f"{os.path.relpath(path, qemu.ROOT)}: no page shows it"
                for path in sorted(glob.glob(os.path.join(os.path.dirname(PAGES), "figures/*")))
                if os.path.basename(path) not in have
            ]
        for line in self.wrong:
            counts.one(False, line)
        if self.compared:
            print(
                "  docs/races: %d tables and time lines %s"
                % (self.compared, "written" if self.update else "compared")
            )
            counts.one(not self.wrong, "tables of docs/races")


# ---- figures -------------------------------------------------------------------------------------


def markdown(rows):
    """The rows as a table, of which the first is the head."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    rows = [rows[0], ["-" * w for w in widths], *rows[1:]]
    return "".join(
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths)) + " |\n" for row in rows
    )


def put_figures(name, text):
    """Write @text between the marks of a page of docs/races/."""
    path = os.path.join(os.path.dirname(PAGES), name)
    with open(path, encoding="utf-8") as f:
        before, rest = f.read().split("<!-- figures: begin -->\n")
    _, after = rest.split("<!-- figures: end -->\n")
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"{before}<!-- figures: begin -->\n\n{text}\n<!-- figures: end -->\n{after}")
