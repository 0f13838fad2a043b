# SPDX-License-Identifier: MIT
"""docs.py: the documentation as a site."""
import json
import os
import re

import pytest

import docs
import docs_api
import qemu
import rooms
from conftest import needs_tool

HEADER = """
/* ---- caches ---- */

/*
 * drop - give back @nr pages.  Returns 0; -EBUSY in use; -EINVAL none.  It never sleeps.  Context:
 * any.  See docs/a.md.
 */
int drop(struct zone *zone, unsigned nr)
    must_check;
static inline int drop_all(void)
{
	return drop(NULL, 0); /* } */
}

struct use {
	int users; /* how many */
};
"""


@pytest.fixture(scope="module")
def site():
    return docs.make(os.path.join(qemu.BUILD, "docs"))


@pytest.mark.full
@needs_tool("site")
def test_each_link_leads_to_something(site):
    assert not list(docs.broken(site))
    for path in docs.pages():
        assert os.path.exists(os.path.join(site, docs.html_of(path))), path


@pytest.mark.full
@needs_tool("site")
def test_the_search_has_its_words(site):
    """A name is one word, an error a word without its minus."""
    with open(os.path.join(site, "search/search_index.json"), encoding="utf-8") as f:
        index = json.load(f)
    split = re.compile(index["config"]["separator"])
    words = {word for row in index["docs"] for word in split.split(row["text"])}
    assert {"pageblock", "zone_pcp_disable", "EBUSY"} <= words


FUNCTION = re.compile(r"^(?!extern|BUILD|LIST)[a-z][\w* ]*?\b([a-z]\w*)\(", re.MULTILINE)


@pytest.mark.full
@needs_tool("site")
def test_the_interface_has_each_function(site):
    for name in docs_api.HEADERS.split():
        text = docs_api.COMMENT.sub("", rooms.read(f"include/quarry/{name}.h"))
        text = re.sub(r"\{.*?^\}", "", text, flags=re.DOTALL | re.MULTILINE)
        functions = FUNCTION.findall(text)
        with open(os.path.join(site, "api", name + ".html"), encoding="utf-8") as f:
            ids = docs.Links(f.read()).ids
        missing = set(functions) - ids
        assert not missing, name
        assert functions or name == "mm_types"


def test_a_link_to_nothing_is_found(tmp_path):
    (tmp_path / "b.html").write_text('<p id="here"><a href="a.html#none"></a></p>')
    (tmp_path / "a.html").write_text(
        '<a href="b.html#here"></a><a href="#x"></a><img src="c.svg"><a href="http://x/y"></a>'
    )
    wanted = ["a.html: no place #x", "a.html: no file c.svg", "b.html: no place a.html#none"]
    assert list(docs.broken(str(tmp_path))) == wanted


@pytest.mark.parametrize(
    "text, linked, plain",
    [
        ("[a](../README.md#x) [b](#y)", None, None),
        ("[lru.c](../mm/vm/lru.c)", "[lru.c](at/mm/vm/lru.c)", "`lru.c`"),
        ("[some notes](../labs/notes/)", "[some notes](at/labs/notes)", "some notes"),
        ("`[c.c](c.c)`", None, None),
        ("```\n[c.c](c.c)\n```\n", None, None),
        ("`mm/files.mk`", "[`mm/files.mk`](at/mm/files.mk)", None),
    ],
)
def test_only_links_that_leave_the_site_change(monkeypatch, text, linked, plain):
    monkeypatch.setattr(docs, "read", lambda path: text)
    for source, wanted in (("at/", linked), ("", plain)):
        assert docs.Rewriter(["README.md"], source, []).page("docs/a.md") == (wanted or text)


def test_a_link_shows_the_title_instead_of_the_file(monkeypatch):
    text = "# A page\n[README.md](README.md#x) [b](README.md)"
    monkeypatch.setattr(docs, "read", lambda path: text)
    wanted = "# A page\n[A page](README.md#x) [b](README.md)"
    assert docs.Rewriter(["README.md"], "", []).page("a.md") == wanted


def test_a_link_to_no_file_is_found(monkeypatch):
    monkeypatch.setattr(docs, "read", lambda path: "[c.c](c.c)")
    with pytest.raises(docs.Wrong, match="docs/a.md has a link to docs/c.c"):
        docs.Rewriter([], "", []).page("docs/a.md")


@pytest.mark.parametrize(
    "text, address",
    [
        ("<!-- race R-A M02 -->\n", "../../lab/index.html#race=R-A&code=M02"),
        ("| R-A | M02 | x |", "../../lab/index.html#race=R-A&code=M02"),
        ("`make race NAME=R-A STEP=1`", "../../lab/index.html#race=R-A"),
        ("`make race NAME='R-A M02'`", "../../lab/index.html#race=R-A&code=M02"),
        ("`R-B`", ""),
    ],
)
def test_a_race_leads_to_the_laboratory(monkeypatch, text, address):
    monkeypatch.setattr(docs, "read", lambda path: text)
    made = docs.Rewriter([], "", ["R-A"]).page("docs/races/a.md")
    assert re.findall(r'href="(.*?)"', made) == ([address] if address else [])


def test_a_declaration_has_the_comment_before_it():
    heading, function, structure = docs_api.entries(HEADER)
    assert docs_api.title(heading.comment) == "caches" and not heading.items
    assert function.names() == ["drop", "drop_all"] and structure.names() == ["struct use"]
    assert function.items[1][2] == "static inline int drop_all(void);"
    text = docs_api.described(docs_api.words(function.comment), {"docs/a.md": "a.html"})
    assert "<p>Give back <code>nr</code> pages.</p>" in text
    assert "<li><code>-EBUSY</code> in use</li><li><code>-EINVAL</code> none</li>" in text
    assert "<p>It never sleeps.</p>" in text and "<strong>Context:</strong> any." in text
    assert '<a href="a.html"><code>docs/a.md</code></a>' in text
    assert "/* how many */" in structure.items[0][2]
