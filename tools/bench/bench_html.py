# SPDX-License-Identifier: MIT
"""BUILD/bench.html: the figures as bars beside those of other allocators, and their history."""
import html

import bench_report

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
            f'<text x="{LEFT + long + 4}" y="{y + 13}">{bench_report.number(value)}</text></g>'
        )
    return "".join(out) + "</svg>"


def line(values):
    """A small curve of the recorded values, oldest first."""
    if len(values) < 2:
        return ""
    most = max(values) or 1
    step = 200 / (len(values) - 1)
    points = " ".join(f"{5 + i * step:.1f},{45 - 40 * v / most:.1f}" for i, v in enumerate(values))
    said = ", ".join(bench_report.number(v) for v in values)
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
    past = [
        h["figures"][name]
        for h in history
        if h["compiler"] == figure["compiler"] and h["figures"].get(name) is not None
    ]
    notes = "".join(f"<p>{html.escape(label)}: {html.escape(h)}</p>" for label, _, h in rows)
    return (
        f'<h2 id="{html.escape(name)}">{html.escape(name)}, {html.escape(figure["unit"])}</h2>'
        f"{bars(rows)}{line([*past, figure['value']])}{notes}"
    )


def overview(figures, peers, known):
    columns = peers["columns"]
    heads = ["", "figure", "recorded", *columns]
    out = ["<table><tr>", *(f"<th>{html.escape(h)}</th>" for h in heads), "</tr>"]
    for f in figures:
        row = peers["rows"].get(f["name"], {})
        than = (known or {}).get(f["name"])
        cells = [bench_report.number(f["value"])]
        cells.append("" if than is None else bench_report.number(than))
        cells += [bench_report.number(row[c]["value"]) if c in row else "" for c in columns]
        name = html.escape(f["name"])
        out.append(f'<tr><td><a href="#{name}">{name}</a></td>')
        out.append("".join(f"<td>{c}</td>" for c in cells) + "</tr>")
    return "".join(out) + "</table>"


def page(figures, peers, history):
    known = bench_report.recorded(history, figures[0]["compiler"])
    title = f"Figures, {figures[0]['compiler']}"
    whys = "".join(
        f"<li>{html.escape(h['compiler'])}: {html.escape(h['why'])}</li>" for h in history
    )
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head><body><h1>{title}</h1>"
        f"{overview(figures, peers, known)}"
        + "".join(section(f, peers, history) for f in figures)
        + (f"<h2>Records</h2><ul>{whys}</ul>" if whys else "")
        + "</body></html>\n"
    )


def write(path, figures, peers, history):
    with open(path, "w", encoding="utf-8") as f:
        f.write(page(figures, peers, history))
