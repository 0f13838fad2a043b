# SPDX-License-Identifier: MIT
"""The book's text: all chapters, figures that exist, references that lead somewhere."""
import os
import re

import book


def test_the_book_has_its_pages_and_figures():
    text = book.book()
    for path in book.PAGES:
        assert f"{{#{book.anchor(path)}" in text, path
    for path in re.findall(r"!\[[^]]*\]\(([^)]+)\)", text):
        assert os.path.exists(path), path
    marks = set(re.findall(r"^# .* \{#([\w-]+)", text, re.MULTILINE))
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= marks


def test_the_evening_shows_the_functions_that_it_names():
    text = book.chapter("docs/evening.md")
    for name in ("buddy_alloc", "pcp_push", "alloc_slow", "drain_round"):
        assert re.search(rf"^### `{name}` \(mm/core/\w+\.[ch]\)\n\n```c\n", text, re.M), name


def test_an_exhibit_has_each_step_of_its_runs():
    rows = ["| 1 | a |  |", "| 2 | b |  |", "| 3 * | c |  |", "| 4 |  | d |", "| 5 |  |  |"]
    want = "| 1-2  | a; b |  |\n| 3 * | c |  |\n| 4  |  | d |\n| 5  |  |  |\n"
    assert book.joined(rows).replace("\u2011", "-").replace("\u00a0", " ") == want
    for name in book.EXHIBITS.split():
        path = f"docs/races/{name}.md"
        steps = re.findall(r"^\| \d+[ *]*\|(.*)\|$", book.rooms.read(path), re.MULTILINE)
        text = book.chapter(path)
        for step in steps:
            assert all(cell.strip() in text for cell in step.split("|")), (path, step)
