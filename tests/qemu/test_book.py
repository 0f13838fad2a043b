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
