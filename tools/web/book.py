#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The book "How memory leaves a running machine", DIR/book.pdf: `make book`.

Its chapters are pages of docs/, its code the sources, its exercises the labs' handouts.

Each sitting of the evening is followed by the functions that its table names, as they stand in the
sources; the exhibits are chapters; the labs give goals and questions as exercises.  Links between
pages of the book become its references, other links text.  pandoc makes DIR/book.html, and
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
@page { size: A4; margin: 18mm 22mm 20mm;
  @bottom-center { content: counter(page); font: 8pt serif } }
@page :first { @bottom-center { content: none } }
html { font: 9.4pt/1.38 "DejaVu Serif", serif; hyphens: auto }
h1 { break-before: page; font-size: 17pt; string-set: chapter content() }
h1.part { text-align: center; padding: 12mm 0; font-size: 22pt }
h1.part + h1, h1.short { break-before: avoid }
header { padding-top: 70mm; text-align: center; break-after: page }
header .title { font-size: 26pt; break-before: avoid } col { width: auto !important }
h2 { font-size: 12pt } h3 { font-size: 10pt } h1, h2, h3 { break-after: avoid; line-height: 1.2 }
pre, code { font: 7.2pt/1.25 "DejaVu Sans Mono", monospace; hyphens: none }
pre { white-space: pre-wrap; background: #f4f4f1; padding: 2mm; border-left: 1mm solid #ccc }
table { border-collapse: collapse; font-size: 7.8pt; width: 100%; margin: 1.5mm 0 }
td, th { border-bottom: 0.2mm solid #bbb; padding: 0.25mm 1mm; text-align: left;
  vertical-align: top; line-height: 1.22;  overflow-wrap: anywhere }
img { max-width: 100%; max-height: 110mm } a { color: inherit; text-decoration: none }
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
            for path in [p for p in re.findall(r"`([\w/]+\.[ch])`", files)]:
                for name in dict.fromkeys(re.findall(r"`(\w+)`", words)):
                    if code := function(path, name):
                        out.append(f"\n### `{name}` ({path})\n\n```c\n{code}\n```\n\n")
    return "".join([*out, text[at:]])


def exercises(text):
    """A handout's title, goal and questions."""
    head = text[: text.index("\n## ")]
    kept = re.findall(r"^## (?:Goal|Questions)\n+(.*?)(?=^## |\Z)", text, re.M | re.S)
    return head + "\n\n" + "\n".join(kept)


def chapter(path):
    text = rooms.read(path)
    text = with_code(text) if path == "docs/evening.md" else text
    text = exercises(text) if path.startswith("labs/") else text
    text = without_fences(text, lambda part: linked(path, part))
    mark = f"{{#{anchor(path)}{' .short' if path.startswith('labs/') else ''}}}"
    return re.sub(r"^# (.*)$", rf"# \1 {mark}", text, count=1, flags=re.MULTILINE)


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
