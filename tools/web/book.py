#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The book "How memory leaves a running machine", DIR/book.pdf: `make book`.

Its chapters are pages of docs/, its code the sources, its exercises the labs' handouts.

Each sitting of the evening is followed by the functions of mm/ that its table names, as they stand
there; the exhibits are chapters, with a row for the steps that a CPU makes one after the other, and
without what only the explorer and the models show; the labs give goals and questions.  Links
between pages of the book become its references, other links text.  pandoc makes DIR/book.html, and
weasyprint the PDF.
"""
import os
import re
import sys

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import bodies
import labs
import stable

TITLE = "How memory leaves a running machine"
EXHIBITS = "a-offline-and-caches b-disable c-drain-by-ipi d-waiters e-put-or-putback f-poison"
PARTS = [
    ("The model", ["docs/mm/model.md", "docs/mm/pcp.md"]),
    ("An evening", ["docs/evening.md"]),
    ("A range goes", ["docs/mm/isolation.md", "docs/mm/offline.md", "docs/mm/migrate.md"]),
    ("Races", [f"docs/races/{name}.md" for name in [*EXHIBITS.split(), "g-two-stores"]]),
    ("Exercises", [f"labs/{name}/handout.md" for name in labs.labs()]),
    ("Words", ["docs/GLOSSARY.md"]),
]
PAGES = [path for _, paths in PARTS for path in paths]
LINK = re.compile(r"(!?)\[((?:[^][]|\[[^]]*\])*)\]\(([^)#\s]*)(#[^)\s]*)?\)")
STOP = re.compile(r"^\| \d+ \| ([^|]*) \| [\d ]+ \| (.*) \|$", re.MULTILINE)
LONGEST = 45  # lines of a function that is shown
STYLE = """
@page { size: A4; margin: 15mm 18mm 17mm;
  @bottom-center { content: counter(page); font: 8pt serif } }
@page :first { @bottom-center { content: none } }
html { font: 9pt/1.3 "DejaVu Serif", serif; hyphens: auto }
h1 { font-size: 17pt; string-set: chapter content() }
h1.part { break-before: page; text-align: center; font-size: 22pt }
header { padding-top: 70mm; text-align: center; break-after: page }
header .title { font-size: 26pt; break-before: avoid } col { width: auto !important }
h2 { font-size: 12pt; margin: 3mm 0 1.5mm } h3 { font-size: 9pt; margin: 2mm 0 1mm }
p, ul, ol { margin: 1.4mm 0 } h1, h2, h3 { break-after: avoid; line-height: 1.2 }
pre, code { font: 6.8pt/1.14 "DejaVu Sans Mono", monospace; hyphens: none }
pre { margin: 1mm 0; white-space: pre-wrap; background: #f4f4f1; padding: 1.5mm;
  border-left: 1mm solid #ccc }
table { border-collapse: collapse; font-size: 7.4pt; width: 100%; margin: 1mm 0 }
td, th { border-bottom: 0.2mm solid #bbb; padding: 0 1mm; text-align: left;
  vertical-align: top; line-height: 1.12 }
td code { overflow-wrap: anywhere } .two { columns: 2 }
img { max-width: 100%; max-height: 62mm } a { color: inherit; text-decoration: none }
#TOC ul { list-style: none; padding-left: 4mm } #TOC a::after { content: leader(". ")
  target-counter(attr(href), page) }
blockquote { margin: 2mm 4mm; font-style: italic }
"""


def anchor(path, part=""):
    return re.sub(r"\W+", "-", path.removesuffix(".md")) + part.replace("#", "--")


def linked(path, text):
    """@text of the page @path, with links that lead inside of the book, or nowhere."""

    def one(found):
        image, words, to, part = found[1], found[2], found[3], found[4] or ""
        target = os.path.normpath(os.path.join(os.path.dirname(path), to)) if to else path
        if image:
            return f"![{words}]({os.path.join(rooms.ROOT, target)})"
        if to.startswith(("http:", "https:")):
            return found[0]
        return f"[{words}](#{anchor(target)})" if target in PAGES else words

    return LINK.sub(one, text)


def without_fences(text, change):
    """@change applied to what is not code between fences."""
    parts = re.split(r"(^```.*?^```$)", text, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if i % 2 else change(part) for i, part in enumerate(parts))


def function(path, name):
    """The function with the comment above it; None if it is not there or too long."""
    text = rooms.read(path)
    body = bodies.bodies(text).get(name)
    if not body or body.lines(text) > LONGEST:
        return None
    begin = body.begin - len(body.head)
    above = re.search(r"(/\*(?:(?!\*/).)*\*/\n)\Z", text[:begin], re.DOTALL)
    return (above[1] if above else "") + text[begin : body.end]


def with_code(text):
    """The evening: behind each sitting the functions that its stops name."""
    out, at = [], 0
    for sitting in re.finditer(r"^## .*?(?=^## |\Z)", text, re.MULTILINE | re.DOTALL):
        out.append(text[at : sitting.end()])
        at = sitting.end()
        for files, words in STOP.findall(sitting[0]):
            for path in [p for p in re.findall(r"`(mm/[\w/]+\.[ch])`", files)]:
                for name in dict.fromkeys(re.findall(r"`(\w+)`", words)):
                    if code := function(path, name):
                        out.append(f"\n### `{name}` ({path})\n\n```c\n{code}\n```\n\n")
    return "".join([*out, text[at:]])


def exercises(text):
    """A handout's title, goal and questions."""
    head = text[: text.index("\n## ")]
    kept = re.findall(r"^## (?:Goal|Questions)\n+(.*?)(?=^## |\Z)", text, re.M | re.S)
    return head + "\n\n" + "\n".join(kept)


def joined(rows):
    """The rows of a run; neighbours with a step of one CPU are one row, unless one is marked."""
    out = []
    for row in rows:
        step, *cells = [cell.strip() for cell in row.strip("|\n").split("|")]
        step, _, mark = step.partition(" ")
        done = [i for i, cell in enumerate(cells) if cell]
        if out and len(done) == 1 and out[-1][:2] == [done, mark]:
            out[-1][3] = step
            out[-1][4][done[0]] += "; " + cells[done[0]]
        else:
            out.append([done, mark, step, step, cells])
    lines = []
    for _, mark, first, last, cells in out:
        steps = first if first == last else f"{first}\u2011{last}"  # no line ends in it
        lines.append(f"| {steps}\u00a0{mark} | {' | '.join(cells)} |\n")
    return "".join(lines)


def exhibit(text):
    """An exhibit's page: its runs as tables only, short ones; no results of other programs."""
    elsewhere = r"^## (?:Found without a script|The model)\n.*?(?=^## )"
    text = re.sub(elsewhere, "", text, flags=re.M | re.S)
    text = re.sub(r"^!\[.* in time\].*\n\n", "", text, flags=re.M)
    rows = r"((?:^\| \d+[ *]*\|.*\n)+)"
    return re.sub(rows, lambda found: joined(found[1].splitlines()), text, flags=re.M)


def chapter(path):
    text = rooms.read(path)
    text = with_code(text) if path == "docs/evening.md" else text
    text = exercises(text) if path.startswith("labs/") else text
    text = exhibit(text) if path.startswith("docs/races/") else text
    text = without_fences(text, lambda part: linked(path, part))
    mark = f"{{#{anchor(path)}{' .short' if path.startswith('labs/') else ''}}}"
    text = re.sub(r"^# (.*)$", rf"# \1 {mark}", text, count=1, flags=re.MULTILINE)
    return f"::: two\n{text}\n:::\n" if path == "docs/GLOSSARY.md" else text


def book():
    """All of it as Markdown."""
    parts = []
    for title, paths in PARTS:
        parts.append(f"# {title} {{.part}}\n\n")
        parts += [chapter(path) + "\n\n" for path in paths]
    return "".join(parts)


def main():
    args = rooms.parser(__doc__).parse_args()
    made = os.path.join(os.path.abspath(args.build), "book")
    for name, text in (("md", book()), ("css", STYLE)):
        rooms.write(f"{made}.{name}", text)
    words = ["pandoc", "-f", "markdown-smart-tex_math_dollars-yaml_metadata_block", "-s"]
    words += ["--toc", "--toc-depth=1", "-c", f"{made}.css", "-M", f"title={TITLE}"]
    words += ["-M", f"subtitle=Quarry {stable.version()}", "-M", "lang=en"]
    for command in (
        [*words, f"{made}.md", "-o", f"{made}.html"],
        ["weasyprint", "-q", f"{made}.html", f"{made}.pdf"],
    ):
        done = rooms.call(command)
        if done.returncode:
            sys.exit(f"{command[0]}: {done.stdout[-2000:]}")
    print(f"{os.path.join(args.build, 'book.pdf')}")


if __name__ == "__main__":
    rooms.run(main)
