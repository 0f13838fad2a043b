# SPDX-License-Identifier: MIT
"""tools/race/race.py, hosted, on a page of the test: the tables of docs/races/, and the time lines
beside them, are compared with the run."""
import os

import check
import pytest
import qemu
import race
import race_table

PAGE = (
    "before\n<!-- race R-S1 M05 -->\n<!-- end -->\nbetween\n"
    "<!-- race R-S1 -->\n<!-- end -->\nafter\n"
)


@pytest.fixture
def page(tmp_path, monkeypatch):
    path = tmp_path / "page.md"
    path.write_text(PAGE, encoding="utf-8")
    monkeypatch.setattr(race_table, "PAGES", str(tmp_path / "*.md"))
    return path


@pytest.fixture(scope="module")
def trace():
    """Two runs of R-S1 on fibers, with the right code."""
    program = os.path.join(qemu.BUILD, "fiber/race")
    assert check.make(qemu.BUILD, program)
    return race.run_scripts(program, "fiber", "none", ["R-S1"], 2)["R-S1"]


def show(trace, update, ident="none", everything=False):
    counts = check.Counts()
    pages = race_table.Pages(update)
    pages.show("R-S1", ident, trace[0][0], trace[0][1], "")
    known = {(s.name, i) for s in race.scripts() for i in s.expect}
    pages.judge(counts, known if everything else None)
    return counts


def test_runs_are_repeated(trace):
    assert len(trace) == 2 and trace[0][:2] == trace[1][:2] and trace[0][1] == "OK"


def test_table_is_written_once(page, trace):
    """An update changes only the table of the run; a second comparison then finds no fault."""
    assert show(trace, True).failed == 0
    text = page.read_text(encoding="utf-8")
    head, table = text.split("<!-- race R-S1 -->\n")
    assert head == PAGE.split("<!-- race R-S1 -->\n", maxsplit=1)[0] and table.endswith(
        "<!-- end -->\nafter\n"
    )
    assert "| 1 | free(P) started |  |  |\n" in table and "Outcome: **OK**" in table
    assert show(trace, False).failed == 0 and page.read_text(encoding="utf-8") == text


@pytest.mark.parametrize(
    "old, new",
    [("free.prep arrived", "free.prep left"), ("**OK**", "**STUCK**"), ("| 3 |", "| 4 |")],
)
def test_other_table_fails(page, trace, old, new):
    show(trace, True)
    page.write_text(page.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    counts = show(trace, False)
    assert counts.failed == 2 and "not what the run shows" in counts.names[0], counts.names


def test_time_line_is_written_beside_the_page(page, trace):
    show(trace, True)
    assert "![R-S1 in time](figures/R-S1.svg)" in page.read_text(encoding="utf-8")
    figure = page.parent / "figures/R-S1.svg"
    svg = figure.read_text(encoding="utf-8")
    for _, _, text, _ in race_table.steps(trace[0][0]):
        assert f">{text}</text>" in svg, text
    assert "A on CPU 0" in svg and "outcome: OK" in svg and ">wrong</text>" not in svg
    assert len(svg) < race_table.MAX_BYTES


@pytest.mark.parametrize("old, new", [("free.prep arrived", "free.prep left"), ("OK", "STUCK")])
def test_other_time_line_fails(page, trace, old, new):
    show(trace, True)
    figure = page.parent / "figures/R-S1.svg"
    figure.write_text(figure.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    counts = show(trace, False)
    assert counts.failed == 2 and "not what the run shows" in counts.names[0], counts.names


def test_missing_and_superfluous_time_lines_fail(page, trace):
    show(trace, True)
    figures = page.parent / "figures"
    (figures / "R-S1.svg").rename(figures / "R-S9.svg")
    names = " ".join(show(trace, False, everything=True).names)
    assert (
        "R-S1.svg: R-S1: not what the run shows" in names and "R-S9.svg: no page shows it" in names
    )


def test_time_line_marks_the_first_other_step():
    right = "1 A free(P) started\n2 A free(P) returned 0\n3 - check ok\n"
    wrong = right.replace("returned 0", "returned -5").replace("check ok", "check I-P6")
    svg = race_table.draw(race_table.steps(wrong, right), "CHECK(I-P6)")
    assert svg.count(">wrong</text>") == 1
    lines = svg.split("\n")
    mark = next(i for i, line in enumerate(lines) if ">wrong</text>" in line)
    assert any("free(P) returned -5" in line for line in lines[mark : mark + 4])
    body = svg[svg.index("</style>") :]
    assert body.count('stroke="#c00000"') == 3  # the line of the mark, and two steps


def test_table_of_no_run_fails(page, trace):
    page.write_text(PAGE.replace("M05", "M98"), encoding="utf-8")
    counts = show(trace, True, everything=True)
    assert "docs/races: no such run: R-S1 M98" in counts.names, counts.names
