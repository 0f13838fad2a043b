# SPDX-License-Identifier: MIT
"""The tables of docs/races/ are compared with the run: tools/race.py, hosted, on a page of our
own."""
import os

import check
import pytest
import qemu
import race

PAGE = (
    "before\n<!-- race R-S1 M05 -->\n<!-- end -->\nbetween\n"
    "<!-- race R-S1 -->\n<!-- end -->\nafter\n"
)


@pytest.fixture
def page(tmp_path, monkeypatch):
    path = tmp_path / "page.md"
    path.write_text(PAGE, encoding="utf-8")
    monkeypatch.setattr(race, "PAGES", str(tmp_path / "*.md"))
    return path


@pytest.fixture(scope="module")
def trace():
    """The trace of R-S1 on fibers, with the right code."""
    program = os.path.join(qemu.BUILD, "fiber/race")
    assert check.make(qemu.BUILD, program)
    return race.run_scripts(program, "fiber", "none", ["R-S1"], 2)["R-S1"]


def show(trace, update, ident="none", everything=False):
    counts = check.Counts()
    pages = race.Pages(update)
    pages.show("R-S1", ident, trace[0][0], trace[0][1], "")
    pages.judge(counts, everything)
    return counts


def test_runs_are_repeated(trace):
    assert len(trace) == 2 and trace[0][:2] == trace[1][:2] and trace[0][1] == "OK"


def test_table_is_written_once(page, trace):
    """Only where the run belongs, and so that it is then found to be right."""
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


def test_table_of_no_run_fails(page, trace):
    page.write_text(PAGE.replace("M05", "M98"), encoding="utf-8")
    counts = show(trace, True, everything=True)
    assert "docs/races: no such run: R-S1 M98" in counts.names, counts.names
