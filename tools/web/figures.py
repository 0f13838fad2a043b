#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draw the figures of the documentation from their texts; `make figures`.

docs/figures/NAME.dot is drawn by graphviz's dot, docs/figures/NAME.msc by mscgen, NAME.crv (curves
that `make bench CURVES=1` has measured) here, each into docs/figures/NAME.svg.  A comment in
the SVG has a hash of its text, and of the style below, so lint sees a figure that is out of date
without these programs.  The SVG has no background: its colours follow the reader's scheme, light or
dark.
"""
import glob
import hashlib
import os
import re
import subprocess
import sys

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
from rooms import ROOT, read

FOLDER = os.path.join(ROOT, "docs/figures")
MAX_BYTES = 25_000
FONT = "Helvetica,Arial,sans-serif"
DOT = ["dot", "-Tsvg", "-Gbgcolor=transparent", f"-Gfontname={FONT}", "-Gfontsize=12"]
DOT += ["-Nshape=box", "-Nstyle=rounded,filled", "-Nfillcolor=white", f"-Nfontname={FONT}"]
DOT += ["-Nfontsize=11", "-Nmargin=0.12,0.06", "-Nheight=0.3"]
DOT += [f"-Efontname={FONT}", "-Efontsize=10", "-Earrowsize=0.7"]
MSC = ["mscgen", "-T", "svg", "-o", "-"]
# {colour in the text of a figure: (colour in the light scheme, colour in the dark one)}
COLOURS = {
    "black": ("#1f2328", "#d5dbe1"),
    "white": ("#ffffff", "#0d1117"),
    "#888888": ("#888888", "#888888"),
    "#e8e8e8": ("#e8e8e8", "#2d333b"),  # not in use, or waiting
    "#d8f0d8": ("#d8f0d8", "#1b4023"),  # free, or served
    "#cfe0ff": ("#cfe0ff", "#1c3a66"),  # in use
    "#ffe9c7": ("#ffe9c7", "#553a0c"),  # in transit, or at work
    "#ffd6d6": ("#ffd6d6", "#632026"),  # broken, refused, or wrong
    "#c00000": ("#c00000", "#ff7b72"),
}


def style():
    """A <style> with the colours of both schemes, for an SVG that names colours of COLOURS."""

    def rules(scheme):
        return "".join(
            f'[{what}="{name}"]{{{what}:{pair[scheme]}}}'
            for name, pair in COLOURS.items()
            for what in ("fill", "stroke")
            if (name, what) not in (("white", "stroke"), ("#888888", "fill"))
        )

    text = "text:not([fill]){fill:%s}"
    return (
        f"<style>{text % COLOURS['black'][0]}{rules(0)}"
        f"@media (prefers-color-scheme:dark){{{text % COLOURS['black'][1]}{rules(1)}}}</style>"
    )


def stamp(text):
    digest = hashlib.sha256((style() + "\0" + text).encode()).hexdigest()[:24]
    return f"<!-- made by tools/web/figures.py of text {digest} -->"


def names():
    """{figure: path of its text}"""
    kinds = ("dot", "msc", "crv")
    found = [path for kind in kinds for path in sorted(glob.glob(f"{FOLDER}/*.{kind}"))]
    return {os.path.basename(path)[:-4]: path for path in found}


def drawn(path):
    return path[:-4] + ".svg"


def tidy(svg, text):
    """The SVG that dot or mscgen wrote, without its comments, with the style and the stamp."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<title>.*?</title>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<g id=\"[a-z_]*\d+\" class=\"(?:node|edge)\">\n", "<g>\n", svg)
    svg = re.sub(r' font-family="[^"]*"', "", svg)
    svg = re.sub(r"(<text[^>]*>)\s*(.*?)\s*</text>", r"\1\2</text>", svg, flags=re.DOTALL)
    svg = re.sub(r"#[0-9A-F]{6}\b", lambda m: m.group().lower(), svg)
    if "crispEdges" in svg:  # drawn by mscgen: move the labels up, since they touch the lines
        svg = re.sub(r'(<text x="\d+" y=")(\d+)"', lambda m: f'{m[1]}{int(m[2]) - 2}"', svg)
        svg = svg.replace(' shape-rendering="crispEdges"', "")
    head = re.match(r"<svg[^>]*>", svg).group()
    begin = f'{head[:-1]} font-family="{FONT}">\n{stamp(text)}\n{style()}\n'
    return begin + svg[len(head) :].strip() + "\n"


# ---- curves --------------------------------------------------------------------------------------
# NAME.crv has lines "title: TEXT", which is below the horizontal axis, "x: LEAST MOST STEP",
# "y: LEAST MOST STEP", and for each curve "NAME: X,Y X,Y ...".

CURVE_COLOURS = ["#2a6f97", "#bc6c25", "#6a994e", "#9d4edd"]
WIDTH, HEIGHT, LEFT, TOP = 520, 260, 60, 20
LINE = 15  # pixels between two names


def curves_of(text):
    """(title, x axis, y axis, {curve: [(x, y)]}); an axis is [least, most, step]."""
    fields = dict(line.split(": ", 1) for line in text.split("\n") if ": " in line)
    title = fields.pop("title")
    x, y = ([float(n) for n in fields.pop(axis).split()] for axis in "xy")
    curves = {
        name: [tuple(float(n) for n in point.split(",")) for point in points.split()]
        for name, points in fields.items()
    }
    return title, x, y, curves


def written(title, x, y, curves):
    """The text that curves_of() reads."""
    lines = [f"title: {title}", "x: %d %d %d" % x, "y: %d %d %d" % y]
    lines += [f"{name}: " + " ".join(f"{a},{b}" for a, b in c) for name, c in curves.items()]
    return "\n".join(lines) + "\n"


def ticks(axis):
    least, most, step = axis
    while least <= most:
        yield least
        least += step


def places(ends):
    """{name: y}, top down: each name stands beside its curve's end, and no two overlap."""
    found, last = {}, -1e9
    for name, y in sorted(ends.items(), key=lambda end: end[1]):
        last = max(y, last + LINE)
        found[name] = last
    over = max(0, last - (TOP + HEIGHT + 8))
    return {name: y - over for name, y in found.items()}


def draw_curves(text):
    """An SVG without style."""
    title, x, y, curves = curves_of(text)

    def at(a, b):
        down = HEIGHT * (b - y[0]) / (y[1] - y[0])
        return LEFT + WIDTH * (a - x[0]) / (x[1] - x[0]), TOP + HEIGHT - down

    def label(column, row, text, more=""):
        out.append(f'<text x="{column:.0f}" y="{row:.0f}"{more}>{text}</text>')

    box = f"0 0 {LEFT + WIDTH + 150} {HEIGHT + 60}"
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" font-size="12">']
    for value in ticks(y):
        _, row = at(x[0], value)
        line = f"M{LEFT} {row:.0f}H{LEFT + WIDTH}"
        out.append(f'<path d="{line}" stroke="#888888" stroke-width="0.3"/>')
        label(LEFT - 8, row + 4, f"{value:g}", ' text-anchor="end"')
    for value in ticks(x):
        label(at(value, y[0])[0], TOP + HEIGHT + 18, f"{value:g}", ' text-anchor="middle"')
    label(LEFT, TOP + HEIGHT + 36, title)
    where = places({name: at(*points[-1])[1] for name, points in curves.items()})
    for i, (name, points) in enumerate(curves.items()):
        colour = CURVE_COLOURS[i % len(CURVE_COLOURS)]
        line = " ".join("%.1f,%.1f" % at(*point) for point in points)
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        said = f"{name}: {points[-1][1]:g}"
        label(LEFT + WIDTH + 6, where[name] + 4, said, f' fill="{colour}"')
    return "\n".join(out) + "\n</svg>\n"


def draw(path):
    text = read(path)
    if path.endswith(".crv"):
        return tidy(draw_curves(text), text)
    command = DOT if path.endswith(".dot") else MSC
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode or "<svg" not in done.stdout:
        sys.exit(f"figures: {os.path.relpath(path, ROOT)}: {done.stderr.strip()}")
    return tidy(done.stdout, text)


def shown():
    """The figures that pages show, as paths."""
    pages = glob.glob(os.path.join(ROOT, "docs", "**", "*.md"), recursive=True)
    pages += glob.glob(os.path.join(ROOT, "labs", "*", "handout.md"))
    found = set()
    for page in [os.path.join(ROOT, "README.md"), *pages]:
        for link in re.findall(r"!\[[^\]]*\]\(([^)\s]+\.svg)\)", read(page)):
            found.add(os.path.normpath(os.path.join(os.path.dirname(page), link)))
    return found


# ---- figures that repeat facts of a source -------------------------------------------------------


def wrong_states(figure, code):
    """Check that the edges of page-states.dot are those of EDGES_... in page.h."""
    have = set(re.findall(r"^\t([A-Z_]+) -> ([A-Z_]+)", figure, re.MULTILINE))
    rows = re.findall(r"^#define EDGES_PG_(\w+) +(.*)", code.replace("\\\n", ""), re.MULTILINE)
    want = {(state, to) for state, row in rows for to in re.findall(r"TO\((\w+)\)", row)}
    want -= {(state, state) for state, _ in rows}  # these edges split a block
    for pair in sorted(have ^ want):
        how = "no such edge in" if pair in have else "missing, and in"
        yield f"docs/figures/page-states.dot: {' -> '.join(pair)}: {how} mm/core/page.h"


def wrong_floors(figure, makefile):
    """Check that floors.dot has the sources of mm/files.mk, each on its floor."""
    floor, want = 0, {}
    for line in makefile.replace("\\\n", "").split("\n"):
        head = re.match(r"# (\d+): ", line)
        floor = int(head.group(1)) if head else floor
        if line.startswith("MM_SRCS +="):
            want.update(dict.fromkeys(re.findall(r"mm/\w+/(\w+)\.c", line), floor))
    have = {}
    for number, row in re.findall(r"<tr><td>(\d+)</td>(.*)</tr>", figure):
        cell = re.findall(r"<td[^>]*>(.*?)</td>", row)[1]
        have.update({name: int(number) for name in re.sub(r"<[^>]*>", " ", cell).split()})
    for name in sorted(set(want) | set(have)):
        if want.get(name) != have.get(name):
            where = f"{have.get(name, 'none')}, in mm/files.mk on {want.get(name, 'none')}"
            yield f"docs/figures/floors.dot: {name} is on floor {where}"


MOST_CALLS = 8  # from alloc_pages to the tree's word, and from free_pages


def wrong_calls(figure, _):
    """Check that calls.dot shows calls of the code, each function in its file, and few in a row."""
    home = dict(re.findall(r'^\t(\w+) \[label="\1\\n([\w/.]+)"', figure, re.MULTILINE))
    edges = set()
    for line in re.findall(r"^\t(\w+(?: -> \w+)+)", figure, re.MULTILINE):
        row = line.split(" -> ")
        edges |= set(zip(row, row[1:]))
    for caller, called in sorted(edges):
        code = read(os.path.join(ROOT, home[caller])) if caller in home else ""
        bodies = re.findall(rf"^\w[^;{{}}]*\b{caller}\([^;{{}}]*\n{{\n(.*?)^}}", code, re.M | re.S)
        if not any(re.search(rf"\b{called}\(", body) for body in bodies):
            where = home.get(caller, "a file that it names")
            yield f"docs/figures/calls.dot: {caller} -> {called}: no such call in {where}"
    rows = [[start] for start in ("alloc_pages", "free_pages")]
    for row in rows:
        rows += [row + [called] for caller, called in edges if caller == row[-1] not in row[:-1]]
    calls = max(map(len, rows)) - 1
    if calls > MOST_CALLS:
        yield f"docs/figures/calls.dot: {calls} calls in a row, limit {MOST_CALLS}"


def wrong():
    """Figures that are out of date, too large, shown nowhere, or at odds with the sources."""
    texts, pages = names(), shown()
    for name, path in texts.items():
        where = os.path.relpath(path, ROOT)
        if not os.path.exists(drawn(path)):
            yield f"{where}: not drawn: make figures"
            continue
        svg = read(drawn(path))
        if stamp(read(path)) not in svg:
            yield f"{where}: changed since it was drawn: make figures"
        if len(svg.encode()) > MAX_BYTES:
            yield f"{where}: drawn in {len(svg.encode())} bytes, limit {MAX_BYTES}"
        if drawn(path) not in pages:
            yield f"{where}: no page shows it"
    for path in glob.glob(os.path.join(FOLDER, "*.svg")):
        if os.path.basename(path)[:-4] not in texts:
            yield f"{os.path.relpath(path, ROOT)}: has no text beside it"
    sources = {
        "page-states": (wrong_states, "mm/core/page.h"),
        "floors": (wrong_floors, "mm/files.mk"),
        "calls": (wrong_calls, "mm/files.mk"),
    }
    for name, (compare, source) in sources.items():
        if name in texts:
            yield from compare(read(texts[name]), read(os.path.join(ROOT, source)))


def main():
    parser = rooms.parser(__doc__)
    parser.add_argument("--only", help="figures, with commas")
    args, texts = parser.parse_args(), names()
    for name in rooms.chosen(parser, args.only, texts, "figure"):
        path = drawn(texts[name])
        if not args.only and os.path.exists(path) and stamp(read(texts[name])) in read(path):
            continue
        svg = draw(texts[name])
        rooms.write(path, svg)
        print(f"  DRAW    {os.path.relpath(path, ROOT)}  {len(svg)} bytes")
    return 0


if __name__ == "__main__":
    rooms.run(main)
