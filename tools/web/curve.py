# SPDX-License-Identifier: MIT
"""Draw curves as SVG, for figures.py; docs/figures/NAME.crv has them, in lines:

    title: TEXT               below the horizontal axis
    x: LEAST MOST STEP        of the horizontal axis
    y: LEAST MOST STEP
    NAME: X,Y X,Y ...         a curve
"""
COLOURS = ["#2a6f97", "#bc6c25", "#6a994e", "#9d4edd"]
WIDTH, HEIGHT, LEFT, TOP = 520, 260, 60, 20
LINE = 15  # pixels between two names


def read(text):
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
    """The text that read() reads."""
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


def draw(text):
    """An SVG without style: figures.py adds it."""
    title, x, y, curves = read(text)

    def at(a, b):
        return (
            LEFT + WIDTH * (a - x[0]) / (x[1] - x[0]),
            TOP + HEIGHT - HEIGHT * (b - y[0]) / (y[1] - y[0]),
        )

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 150} {HEIGHT + 60}" '
        'font-size="12">'
    ]
    for value in ticks(y):
        _, row = at(x[0], value)
        out.append(
            f'<path d="M{LEFT} {row:.0f}H{LEFT + WIDTH}" stroke="#888888" stroke-width="0.3"/>'
        )
        out.append(f'<text x="{LEFT - 8}" y="{row + 4:.0f}" text-anchor="end">{value:g}</text>')
    for value in ticks(x):
        column, _ = at(value, y[0])
        out.append(
            f'<text x="{column:.0f}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{value:g}</text>'
        )
    out.append(f'<text x="{LEFT}" y="{TOP + HEIGHT + 36}">{title}</text>')
    where = places({name: at(*points[-1])[1] for name, points in curves.items()})
    for i, (name, points) in enumerate(curves.items()):
        colour = COLOURS[i % len(COLOURS)]
        line = " ".join("%.1f,%.1f" % at(*point) for point in points)
        out.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out.append(
            f'<text x="{LEFT + WIDTH + 6}" y="{where[name] + 4:.0f}" fill="{colour}">'
            f"{name}: {points[-1][1]:g}</text>"
        )
    return "\n".join(out) + "\n</svg>\n"
