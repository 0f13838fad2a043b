# SPDX-License-Identifier: MIT
"""Where the bodies of functions begin and end; what headers declare.

The rule: a body is from a line "{" to a line "}", both alone and in column 0; the function's name
stands before the first parenthesis of the lines above it.  clang-format has all sources so.
"""
import glob
import os
import re
import textwrap
from dataclasses import dataclass
from functools import lru_cache

from rooms import ROOT, read

# A declarator begins in column 0; its further lines are indented.
DECLARATOR = re.compile(
    r"(?:\A|(?<=\n))((?:[A-Za-z_][^\n{};]*\n)(?:[ \t]+[^\n{};]*\n)*)\{\n", re.MULTILINE
)
ATTRIBUTE = re.compile(r"__attribute__\(\((?:[^()]|\([^()]*\))*\)\)")
NAME = re.compile(r"([A-Za-z_]\w*)\s*\(")
SPECIFIERS = r"\b(?:static|inline|always_inline|noinline|__attribute__\(\(.*?\)\))\s*"


@dataclass
class Body:
    """A function: its head, its type, and the positions of its braces in the text."""

    name: str
    head: str  # the declarator's lines
    type: str  # of the value that it returns
    begin: int  # position of "{"
    end: int  # position behind "}"

    def lines(self, text):
        """The lines between the braces."""
        return text.count("\n", self.begin, self.end) - 1


def bodies(text):
    """The functions of a source, by name."""
    found = {}
    for match in DECLARATOR.finditer(text):
        head = match.group(1)
        name = NAME.search(ATTRIBUTE.sub("", head))
        begin = match.end() - 2
        end = text.find("\n}\n", begin)
        if not name or end < 0:
            continue
        before = head[: head.index(name.group(1) + "(")]
        kind = " ".join(re.sub(SPECIFIERS, "", before).split())
        found[name.group(1)] = Body(name.group(1), head, kind, begin, end + 2)
    return found


# ---- what headers declare, and the rules of a lab's handout --------------------------------------


PUBLIC = os.path.join("include", "quarry")
LEFT_OUT = ("sched_point.h", "watch.h", "version.h")  # the first two: the explorer's, the tests'
FAULT = 5  # of 100 points, the least that a failed test costs
RULES = re.compile(r"<!-- tools/grade/labs.py write -->\n.*?(?=\n\n|\Z)", re.DOTALL)  # in a handout
COMMENT = re.compile(r"/\*.*?\*/|^\s*#(?:[^\n]*\\\n)*[^\n]*$", re.DOTALL | re.MULTILINE)
BRACES = re.compile(r"\{[^{}]*\}")
FUNCTION = re.compile(r"(?!.*\b(?:static|typedef)\b)(?:[\w*]+[ *]+)+?(\w+) ?\(")
DATA = re.compile(r"extern (?:\w+[ *]+)+?(\w+)(?:\[[^\]]*\])*(?: [A-Z]|$)")


@lru_cache(None)
def sources():
    """All sources and headers of mm/."""
    return sorted(glob.glob("mm/*/*.[ch]", root_dir=ROOT))


@lru_cache(None)
def public(left_out):
    """The headers of include/quarry/ that files of mm/ include, or that such headers include, apart
    from the files @left_out."""
    left = [path for path in sources() if path not in left_out]
    found = set()
    while left:
        names = re.findall(r"^#include <quarry/([\w.]+)>", read(left.pop()), re.MULTILINE)
        new = set(names) - found - set(LEFT_OUT)
        found |= new
        left += [os.path.join(PUBLIC, name) for name in new]
    return sorted(found)


@lru_cache(None)
def of_header(path):
    """The names that a header declares, but does not define."""
    text, before = COMMENT.sub("", read(path)), ""
    while text != before:
        text, before = BRACES.sub(";", text), text
    ones = [" ".join(one.split()) for one in text.split(";")]
    found = [FUNCTION.match(one) or DATA.match(one) for one in ones]
    return {match.group(1) for match in found if match and match.group(1)[0].islower()}


@lru_cache(None)
def names(left_out):
    """The names that are declared in a header of mm/, or in one of include/quarry/ that mm/
    includes.  Files @left_out do not count: a student writes them."""
    headers = [path for path in sources() if path.endswith(".h") and path not in left_out]
    headers += [os.path.join(PUBLIC, name) for name in public(left_out)]
    return set().union(*map(of_header, headers))


def rules(one):
    """The text in a lab's handout about the points of its functions, and what its code may use."""
    costs = ", ".join(f"`{name}` {points:g}" for name, points in one.shares().items())
    said = f"Of the 100 points a failed test costs at least {FAULT}"
    empty = ", and a function that is left empty at least this many: "
    said += f"{empty}{costs}." if costs else "."
    if not one.in_ring_3():
        more = sorted(one.more - {"host_this", "lab_unwritten"})
        headers = " ".join(f"`{name}`" for name in public(tuple(one.files)))
        said += " Your code may use everything that a header of `mm/` declares, or one of these of"
        said += f" `include/quarry/`: {headers}; besides, {' and '.join(f'`{n}`' for n in more)}."
        said += " Code that uses anything else is not graded; the last line then names what it is."
    return "<!-- tools/grade/labs.py write -->\n" + textwrap.fill(said, 120, break_on_hyphens=False)
