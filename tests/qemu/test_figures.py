# SPDX-License-Identifier: MIT
"""figures.py, hosted, on texts of the test: it finds figures that are out of date, or at odds
with the code."""
import os
import re

import pytest

import figures
import qemu


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with one figure that is up to date, and a page that shows it."""
    monkeypatch.setattr(figures, "FOLDER", str(tmp_path))
    text = "digraph g { a -> b; }\n"
    (tmp_path / "one.dot").write_text(text)
    (tmp_path / "one.svg").write_text(figures.tidy("<svg width='1'><g/></svg>", text))
    monkeypatch.setattr(figures, "shown", lambda: {str(tmp_path / "one.svg")})
    return tmp_path


def test_a_figure_that_is_up_to_date(folder):
    assert not list(figures.wrong())


def test_a_changed_text_is_found(folder):
    (folder / "one.dot").write_text("digraph g { b -> a; }\n")
    assert [re.sub(".*: ch", "ch", what) for what in figures.wrong()] == [
        "changed since it was drawn: make figures"
    ]


def test_a_changed_style_is_found(folder, monkeypatch):
    monkeypatch.setitem(figures.COLOURS, "black", ("#000000", "#ffffff"))
    assert "changed since it was drawn" in " ".join(figures.wrong())


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("two.dot", "digraph g {}", "not drawn"),
        ("two.svg", "<svg/>", "has no text beside it"),
        ("one.svg", "x" * 30000, "limit 25000"),
    ],
    ids=["undrawn", "orphan", "large"],
)
def test_other_faults_are_found(folder, name, content, message):
    (folder / name).write_text(content)
    assert message in "\n".join(figures.wrong())


def test_a_figure_that_no_page_shows(folder, monkeypatch):
    monkeypatch.setattr(figures, "shown", set)
    assert "no page shows it" in "\n".join(figures.wrong())


def of_tree(*names):
    return [figures.read(os.path.join(qemu.ROOT, name)) for name in names]


def test_edges_of_states_are_those_of_the_code():
    figure, code = of_tree("docs/figures/page-states.dot", "mm/core/page.h")
    assert not list(figures.wrong_states(figure, code))
    edges = re.findall(r"^\t[A-Z_]+ -> [A-Z_]+.*\n", figure, re.MULTILINE)
    assert len(edges) > 30
    for edge in edges:
        assert "missing" in "".join(figures.wrong_states(figure.replace(edge, "", 1), code)), edge
    extra = figure.replace(edges[0], edges[0] + "\tSLAB -> LRU;\n")
    assert "SLAB -> LRU: no such edge" in "".join(figures.wrong_states(extra, code))


def test_floors_are_those_of_the_list():
    figure, makefile = of_tree("docs/figures/floors.dot", "mm/files.mk")
    assert not list(figures.wrong_floors(figure, makefile))
    assert list(figures.wrong_floors(figure, makefile.replace(" mm/core/drain.c", "")))
    before, floor = makefile.split("# 6: ")
    sources = re.findall(r"mm/core/\w+\.c", floor.split("\n# ")[0])
    assert len(list(figures.wrong_floors(figure, f"{before}# 16: {floor}"))) == len(sources)


def test_colours_follow_the_scheme():
    for path in figures.names().values():
        svg = figures.read(figures.drawn(path))
        assert "prefers-color-scheme:dark" in svg
        used = set(re.findall(r'(?:fill|stroke)="([^"]+)"', svg)) - {"none", "transparent"}
        # Colours of curves need no style, because they show on both backgrounds.
        curves = figures.CURVE_COLOURS if path.endswith(".crv") else ()
        known = {*figures.COLOURS, *curves}
        assert used <= known, (path, used - known)
