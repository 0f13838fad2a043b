# SPDX-License-Identifier: MIT
"""Draw the time line of a race as an SVG; for race.py, which puts it beside the table.

Lanes are threads on their CPUs, rows are steps, time goes down.  A lane is blue while its operation
runs, and amber while the script holds it at a scheduling point.  Red steps differ from those of the
right code; the first of them is marked: from there on the run is wrong.
"""
import re
import textwrap
from xml.sax.saxutils import escape

import figures

LEFT, TOP, STEP, LINE = 64, 34, 24, 13  # pixels of the margin, the heads, a row, a line of text
CHARACTER, WIDEST = 6.3, 42  # pixels of a character; characters of a line
RUNNING, HELD, WRONG, CHECKED = "#cfe0ff", "#ffe9c7", "#ffd6d6", "#e8e8e8"
MAX_BYTES = 15_000


def name(script, ident):
    return script + ("" if ident == "none" else "." + ident) + ".svg"


def state_after(text):
    """The colour of a lane below the step @text; None if the step does not change it."""
    for pattern, state in (
        (r" started$| left$", RUNNING),
        (r" arrived$", HELD),
        (r" returned\b| STUCK$", ""),
    ):
        if re.search(pattern, text):
            return state
    return None


def lanes_of(rows, head):
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
    height = LINE * len(lines) + 4
    yield (
        f'<rect x="{x - width // 2}" y="{y - 2}" width="{width}" height="{height}" rx="4" '
        f'fill="{fill}" stroke="{stroke}"/>'
    )
    for i, line in enumerate(lines):
        yield (
            f'<text x="{x}" y="{y + 9 + LINE * i}" text-anchor="middle" fill="black">'
            f"{escape(line)}</text>"
        )


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


def draw(rows, outcome, head):
    """An SVG of @rows as race_table.steps() has them; head(role) names a lane."""
    lanes, width = lanes_of(rows, head)
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
        out.append(
            f'<text x="{LEFT - 8}" y="{at + 9}" text-anchor="end" fill="{color}">{step}</text>'
        )
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
