#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Make the documentation as a site, static files in build/site/: `make docs` (docs/web.md).

The pages are those of the tree, as they are there, and pages of the interface (docs_api.py).
mkdocs makes HTML of copies in build/site-src/, by web/site/mkdocs.yml.  In the copies links that
lead out of the site are changed, and races have links to the laboratory, build/web/, which is
copied to build/site/lab/ if it is there.  The navigation follows the tables of docs/README.md.

--repository: the address of the tree in a browser, for links to sources; without it such a link
becomes plain text.  --serve: serve the site to this machine.
"""
import glob
import html.parser
import json
import os
import posixpath
import re
import shutil
import subprocess
import sys
import urllib.parse

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
from rooms import read
import docs_api

INDEX = "docs/README.md"
TOP = ("README.md", "CHANGES.md", "CONTRIBUTING.md")
LOOK = os.path.join(rooms.ROOT, "web", "site")
STYLE = ("site.css", "site.js")
LAB, PAGE, OPEN = "lab/index.html", "docs/web.md", "Open the laboratory"
# Fenced and indented blocks of code; then spans of code, and links and pictures.
BLOCK = re.compile(r"(^```.*?^```$|(?:^(?: {4}|\t)[^\n]*\n)+)", re.DOTALL | re.MULTILINE)
SPAN = re.compile(r"`[^`]+`|\[((?:`[^`]*`|[^\]`])*)\]\(([^)\s]+)\)")
CELL = re.compile(r"(?<=\| )(R-[\w-]+)(?= \|(?: ([A-Z]+\d+) \|)?)")
MADE = re.compile(r"<!-- race (R-[\w-]+) ?(\w+)? -->\n")
NAMED = re.compile(r"`(?:make race NAME='?)?(R-[\w-]+)(?: ([A-Z]\w*\d))?\b[^`]*`")


class Wrong(Exception):
    """The tree cannot be made a site."""


# ---- the pages -----------------------------------------------------------------------------------


def labs():
    """The handouts, in the order of the labs."""
    names = re.findall(r"^\[lab (\w+)\]", read("labs/labs.ini"), re.MULTILINE)
    return [f"labs/{name}/handout.md" for name in names]


def sections():
    """[(title, pages)]: the tables of docs/README.md, after what is named before them."""
    text = read(INDEX).split("\n## Where")[0]
    tables = re.findall(r"^\| (.+?) \| \|\n\|---\|---\|\n((?:\| .*\n)+)", text, re.MULTILINE)
    named = [(title, re.findall(r"^\| \[.*?\]\((.*?)\)", rows, re.M)) for title, rows in tables]
    listed = {page for _, pages in named for page in pages}
    first = re.findall(r"\]\(([\w/-]+\.md)\)", text.split("\n## ")[0])
    first = [page for page in dict.fromkeys(first) if page not in listed]
    yield "Documentation", [*TOP[:1], INDEX, *(f"docs/{page}" for page in first), *TOP[1:]]
    for title, pages in named:
        yield title[0].upper() + title[1:], [f"docs/{page}" for page in pages]
    yield "The labs", labs()


def pages():
    found = [page for _, listed in sections() for page in listed]
    there = {path for path in rooms.all_files(".md") if path.startswith("docs/")}
    if there - set(found):
        raise Wrong(f"{INDEX} has no row for {min(there - set(found))}")
    return found


# ---- links ---------------------------------------------------------------------------------------


def to_lab(path, name, code):
    """The address of a race in the laboratory, from the page @path."""
    words = f"race={name}" + (f"&code={code}" if code else "")
    return f"{posixpath.relpath(LAB, posixpath.dirname(path) or '.')}#{words}"


class Rewriter:
    """The text of a page with the links of the site.  @known: the pages; @source: an address before
    a path of the tree, or ""; @races: the races with a link to the laboratory."""

    def __init__(self, known, source, races):
        self.known, self.source, self.races = set(known), source, set(races)
        self.pictures = set()  # that the pages show

    def link(self, path, m):
        shown, target = m[1], m[2]
        base = target.split("#")[0]
        if not base or ":" in base:
            return m[0]
        to = posixpath.normpath(posixpath.join(posixpath.dirname(path), base))
        if to.endswith((".svg", ".png")):
            self.pictures.add(to)
            return m[0]
        if to in self.known:
            title = re.match(r"# (.*)", read(to)) if shown == base else None
            return f"[{title[1]}]({target})" if title else m[0]
        if not os.path.exists(os.path.join(rooms.ROOT, to)):
            raise Wrong(f"{path} has a link to {to}, which is missing")
        if self.source:
            return f"[{shown}]({self.source}{to})"
        return shown if "`" in shown or " " in shown else f"`{shown}`"

    def span(self, path, m):
        if m[2]:
            return self.link(path, m)
        race = NAMED.fullmatch(m[0])
        if race and race[1] in self.races:
            return f'<a href="{to_lab(path, *race.groups())}">{m[0]}</a>'
        to = m[0].strip("`")
        if self.source and "/" in to and os.path.isfile(os.path.join(rooms.ROOT, to)):
            return f"[{m[0]}]({self.source}{to})"
        return m[0]

    def cell(self, path, m):
        return f'<a href="{to_lab(path, *m.groups())}">{m[1]}</a>' if m[1] in self.races else m[0]

    def made(self, path, m):
        if m[1] not in self.races:
            return m[0]
        what = m[1] + (f" with {m[2]}" if m[2] else "") + " in the laboratory"
        return f'{m[0]}\n<p class="to-lab"><a href="{to_lab(path, *m.groups())}">{what}</a></p>\n'

    def prose(self, path, text):
        text = SPAN.sub(lambda m: self.span(path, m), text)
        text = CELL.sub(lambda m: self.cell(path, m), text)
        text = MADE.sub(lambda m: self.made(path, m), text)
        # A bar inside code in a table: here a backslash before it would be shown.
        return re.sub(r"^\|.*", lambda m: m[0].replace("\\|", "|"), text, flags=re.MULTILINE)

    def page(self, path):
        text = read(path)
        if self.races and path == PAGE:
            link = f'<p class="to-lab"><a href="../{LAB}">{OPEN}</a></p>'
            text = text.replace("\n\n", f"\n\n{link}\n\n", 1)
        parts = BLOCK.split(text)
        return "".join(p if i % 2 else self.prose(path, p) for i, p in enumerate(parts))


# ---- the site ------------------------------------------------------------------------------------


def version():
    """The tag of this commit, its number, or, in an archive, "main"."""
    for words in ("describe --tags --exact-match", "rev-parse HEAD") if shutil.which("git") else ():
        done = rooms.call(["git", *words.split()], stderr=subprocess.DEVNULL)
        if said := done.stdout.strip():
            return said
    return "main"


def html_of(path):
    """The name of a page's file in the site."""
    return re.sub(r"README\.html$", "index.html", path[:-3] + ".html")


def write_sources(to, source, races):
    """Write the copies of all pages; return the navigation."""
    known = pages()
    rewriter = Rewriter(known, source, races)
    for path in known:
        rooms.write(os.path.join(to, path), rewriter.page(path))
    for path in sorted(rewriter.pictures):
        if not os.path.isfile(os.path.join(rooms.ROOT, path)):
            raise Wrong(f"a page shows {path}, which is missing")
        os.makedirs(os.path.dirname(os.path.join(to, path)), exist_ok=True)
        shutil.copyfile(os.path.join(rooms.ROOT, path), os.path.join(to, path))
    links = {path: "../" + html_of(path) for path in known}
    interface = docs_api.pages(links)
    for name, text in interface.items():
        rooms.write(os.path.join(to, "api", name), text)
    for name in STYLE:
        shutil.copyfile(os.path.join(LOOK, name), os.path.join(to, name))
    nav = [{title: listed} for title, listed in sections()]
    return [*nav, {"The interface": [f"api/{name}" for name in interface]}]


def make(build, repository=""):
    """Make all files in @build/site/; returns this folder."""
    to, sources = os.path.join(build, "site"), os.path.join(build, "site-src")
    web = os.path.join(build, "web")
    races = []
    if os.path.exists(os.path.join(web, "index.html")):
        names = rooms.all_files(".race")
        races = [os.path.basename(name)[:-5] for name in names if name.startswith("tests/races/")]
    shutil.rmtree(sources, ignore_errors=True)
    source = f"{repository.rstrip('/')}/blob/{version()}/" if repository else ""
    nav = write_sources(sources, source, races)
    config = {"INHERIT": os.path.join(LOOK, "mkdocs.yml"), "nav": nav}
    config |= {"docs_dir": sources, "site_dir": to}
    rooms.write(os.path.join(build, "site.yml"), json.dumps(config, indent=1) + "\n")
    done = rooms.call(["mkdocs", "build", "--quiet", "-f", os.path.join(build, "site.yml")])
    print(done.stdout, end="")
    if done.returncode:
        raise Wrong("mkdocs failed")
    for name in ("404.html", "sitemap.xml", "sitemap.xml.gz"):  # they name the site's address
        if os.path.exists(os.path.join(to, name)):
            os.remove(os.path.join(to, name))
    if races:
        shutil.copytree(web, os.path.join(to, "lab"))
        for page in glob.glob(os.path.join(to, "lab", "*.html")):
            back = '  <a href="../index.html">Documentation</a>\n    </nav>'
            rooms.write(page, rooms.read(page).replace("</nav>", back))
    return to


class Links(html.parser.HTMLParser):
    """The ids of a page, and the addresses that it names."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.addresses = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("id", "name") and tag != "meta":
                self.ids.add(value)
            if name in ("href", "src") and value:
                self.addresses.append(value)


def broken(site):
    """A line about each address in the site's pages that leads to nothing in the site."""
    found = {}
    for folder, folders, names in os.walk(site):
        folders[:] = [name for name in folders if os.path.join(folder, name) != f"{site}/lab"]
        for path in (os.path.join(folder, name) for name in names if name.endswith(".html")):
            with open(path, encoding="utf-8") as f:
                found[path] = Links(f.read())
    for path, links in sorted(found.items()):
        where, folder = os.path.relpath(path, site), os.path.dirname(path)
        for address in dict.fromkeys(links.addresses):
            url = urllib.parse.urlsplit(address)
            if url.scheme or url.netloc:
                continue
            name, place = map(urllib.parse.unquote, (url.path, url.fragment))
            to = os.path.normpath(os.path.join(folder, name)) if name else path
            to = os.path.join(to, "index.html") if os.path.isdir(to) else to
            if not os.path.exists(to):
                yield f"{where}: no file {address}"
            elif place and to in found and place not in found[to].ids:
                yield f"{where}: no place {address}"


def main():
    args = rooms.parser(__doc__, flags="serve", words="repository").parse_args()
    folder = make(os.path.abspath(args.build), args.repository)
    wrong = list(broken(folder))
    print("".join(f"docs: {line}\n" for line in wrong), end="")
    if not os.path.isdir(os.path.join(folder, "lab")):
        print("without the laboratory: make web docs has it, too")
    print(f"{os.path.relpath(folder)}: open index.html, or: make docs SERVE=1")
    if args.serve and not wrong:
        import web  # the races' modules are needed only here

        web.serve(folder)
    return 1 if wrong else 0


if __name__ == "__main__":
    rooms.run(main, Wrong)
