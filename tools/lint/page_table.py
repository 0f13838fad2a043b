# SPDX-License-Identifier: MIT
"""A table of a page in docs/ that a tool makes: renew it, or say where it differs."""
import os
import sys

from rooms import ROOT, read



def main(page, made, group, make, wrong, source):
    """The program: with --update, put what make() returns in place of the @group of the pattern
    @made in @page; then print the lines of wrong().  Returns the exit status."""
    if "--update" in sys.argv[1:]:
        text = read(page)
        start, end = made.search(text).span(group)
        with open(os.path.join(ROOT, page), "w", encoding="utf-8") as f:
            f.write(text[:start] + make() + text[end:])
    lines = list(wrong())
    print("\n".join(lines) or f"{page}: as {source} say")
    return 1 if lines else 0
