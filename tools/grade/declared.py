# SPDX-License-Identifier: MIT
"""What a student's code may use: the functions and data that headers declare; and the rules that a
lab's handout names; for labs.py."""
import os
import re
import textwrap
from functools import lru_cache

from rooms import ROOT

PUBLIC = os.path.join("include", "quarry")
LEFT_OUT = ("sched_point.h",)  # the explorer's
FAULT = 5  # of 100 points, the least that a failed test costs
RULES = re.compile(r"<!-- tools/grade/labs.py write -->\n.*?(?=\n\n|\Z)", re.DOTALL)  # in a handout
COMMENT = re.compile(r"/\*.*?\*/|^\s*#(?:[^\n]*\\\n)*[^\n]*$", re.DOTALL | re.MULTILINE)
BRACES = re.compile(r"\{[^{}]*\}")
FUNCTION = re.compile(r"(?!.*\b(?:static|typedef)\b)(?:[\w*]+[ *]+)+?(\w+) ?\(")
DATA = re.compile(r"extern (?:\w+[ *]+)+?(\w+)(?:\[[^\]]*\])*(?: [A-Z]|$)")


@lru_cache(None)
def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


@lru_cache(None)
def sources():
    """All files of mm/."""
    walk = os.walk(os.path.join(ROOT, "mm"))
    found = [os.path.join(folder, name) for folder, _, names in walk for name in names]
    return sorted(os.path.relpath(path, ROOT) for path in found)


@lru_cache(None)
def public(left_out):
    """The headers of include/quarry/ that files of mm/ include, or that such headers include, apart
    from the files @left_out."""
    left = [path for path in sources() if path.endswith((".c", ".h")) and path not in left_out]
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
    said = f"Of the 100 points a failed test costs at least {FAULT}, and a function that is left "
    said += f"empty at least this many: {costs}."
    if not one.in_ring_3():
        more = sorted(one.more - {"host_this", "lab_unwritten"})
        headers = " ".join(f"`{name}`" for name in public(tuple(one.files)))
        said += " Your code may use everything that a header of `mm/` declares, or one of these of"
        said += f" `include/quarry/`: {headers}; besides, {' and '.join(f'`{n}`' for n in more)}."
        said += " Code that uses anything else is not graded; the last line then names what it is."
    return "<!-- tools/grade/labs.py write -->\n" + textwrap.fill(said, 120, break_on_hyphens=False)
