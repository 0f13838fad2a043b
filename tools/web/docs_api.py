# SPDX-License-Identifier: MIT
"""The pages of the interface, made from the comments of public headers, for docs.py.

A header is read as entries: a comment, and the declarations that follow it up to an empty line or
the next comment.  A comment that an empty line follows stands for itself: a title, or a text.
"""
import html
import itertools
import re

from rooms import read

# In the order of the pages.
HEADERS = "mm memory_init memblock movable isolation memory_hotplug contig poison port arch"
HEADERS += " mm_types"
INDEX = """# The interface

The functions and structures that `mm/` offers, and those that it needs of a kernel (port.h) and of
a machine (arch.h).  These pages are made from the comments of `include/quarry/`.

| header | subject |
|---|---|
"""
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
# The beginnings of paragraphs in a comment.
LABEL = re.compile(r"(?:(?<=\.)|(?<=\n))\s*(?=Returns\b|Locks:|(?:Any c|C)ontext\b|@\w+:)")
ERROR = re.compile(r"(?:[;:.]|, or|; or)\s+(?=-E[A-Z]{3})")
WORD = re.compile(
    r"@(\w+)|-E[A-Z]{3,}|docs/[\w/-]+\.md|\b[\w/]+\.[chS]\b|(?<![\w/>])\w*_\w+\b(?:\(\))?"
)


class Entry:
    """A @comment and its @items, texts in C with a kind each: function, data, type, macro."""

    def __init__(self, comment):
        self.comment, self.items = comment, []

    def names(self):
        return list(dict.fromkeys(name for _, name, _ in self.items))


def blanked(text):
    """@text without the characters of comments and strings; its lines stay where they are."""
    found = r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"'
    return re.sub(found, lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.DOTALL)


def end_of(bare, at):
    """The line after the declaration or the macro that begins at line @at."""
    macro, depth = bare[at].startswith("#"), 0
    while True:
        line = bare[at].rstrip()
        at += 1
        depth += len(re.findall(r"[({]", line)) - len(re.findall(r"[)}]", line))
        if not line.endswith("\\") if macro else not depth and line.endswith((";", "}")):
            return at


def item(text):
    """(kind, name, text to show) of a declaration, or None if it is nothing to show."""
    bare = blanked(text)
    if text.startswith("#"):
        name = re.match(r"#\s*define (\w+)", text)
        shown = text if "\\\n" not in text else text.split("\\\n")[0].rstrip()
        return name and ("macro", name[1], shown)
    if kind := re.match(r"(?:struct|enum|union) \w+(?= \{)", bare):
        return "type", kind[0], text
    if name := re.match(r"enum \{\s*(\w+)", bare):
        return "type", name[1], text
    if name := re.match(r"typedef .*?(\w+);$", bare, re.DOTALL):
        return "type", name[1], text
    if re.match(r"(?:struct|union) \w+;|BUILD_ASSERT|LIST_HEAD", bare):
        return None
    if name := re.match(r"extern [^(;]*?(\w+)(?:\[.*\])?(?: [A-Z_]+\(.*\))?;", bare, re.DOTALL):
        return "data", name[1], text
    head = text.split("\n{")[0].rstrip(";\n")
    return "function", re.search(r"(\w+)\(", blanked(head))[1], head + ";"


def entries(text):
    """The entries of a header after its first comment."""
    lines, bare = text.split("\n"), blanked(text).split("\n")
    at, found, known = 0, [], set()
    fresh = True  # does the next declaration begin an entry?
    while at < len(lines):
        line = lines[at]
        if line.startswith("/*"):
            end = at
            while "*/" not in lines[end]:
                end += 1
            found.append(Entry("\n".join(lines[at : end + 1])))
            at, fresh = end + 1, at + 1 >= len(lines) or not lines[end + 1].strip()
        elif not line.strip() or re.match(r"#\s*(?!define)", line):
            fresh |= not line.strip()
            at += 1
        else:
            end = end_of(bare, at)
            made = item("\n".join(lines[at:end]))
            if line.startswith("BUILD_ASSERT") and not found[-1].items:
                found.pop()  # with the comment on it
            at = end
            if made and (made[0] != "function" or made[1] not in known):
                if fresh:
                    found.append(Entry(""))
                found[-1].items.append(made)
                known.add(made[1])
                fresh = False
    return found


def words(comment):
    """The text of a comment, line by line."""
    text = re.sub(r"^/\* ?|\s*\*/$", "", comment)
    return re.sub(r"^ \* ?", "", text, flags=re.MULTILINE).strip("\n")


def marked(text, links):
    """@text as HTML: names as code, those in @links {name: address} with a link."""

    def one(m):
        shown = f"<code>{html.escape(m[1] or m[0], quote=False)}</code>"
        address = links.get((m[1] or m[0]).removesuffix("()"))
        return f'<a href="{address}">{shown}</a>' if address and not m[1] else shown

    parts, at = [], 0
    for m in WORD.finditer(text):
        parts += [html.escape(text[at : m.start()], quote=False), one(m)]
        at = m.end()
    return "".join(parts) + html.escape(text[at:], quote=False)


def paragraph(text, links):
    """A paragraph; what a function returns becomes a list of its errors."""
    text = " ".join(text.split())
    label = re.match(r"(?:Returns|Locks|(?:Any c|C)ontext(?: and locks)?|@\w+)\b:?", text)
    first, *errors = ERROR.split(text) if text.startswith("Returns") else [text]
    last = ""
    if errors:
        errors[-1], _, last = errors[-1].rstrip(".").partition(". ")
    lead = f"<strong>{label[0].lstrip('@')}</strong>" if label else ""
    made = f"<p>{lead}{marked(first[label.end() if label else 0 :], links)}</p>"
    rows = "".join(f"<li>{marked(error, links)}</li>" for error in errors)
    made += f"<ul>{rows}</ul>" if rows else ""
    return made + (f"<p>{marked(last, links)}.</p>" if last else "")


def described(text, links):
    """The @text of a comment as HTML.  Lines that are indented stay as they are."""
    text = re.sub(r"^\w+ - (\w)", lambda m: m[1].upper(), text)
    # The rest of a long label is indented, too.
    text = re.sub(r"(?m)^((?:Locks|Returns|Context).*)\n {5,}(?=\S)", r"\1 ", text)
    out = []
    for block in text.split("\n\n"):
        for indented, lines in itertools.groupby(block.split("\n"), lambda l: l.startswith(" ")):
            joined = "\n".join(lines)
            if indented:
                out.append(f"<pre>{html.escape(joined, quote=False)}</pre>")
            else:
                out += [paragraph(p, links) for p in LABEL.split(joined) if p.strip()]
    return "\n".join(out)


def title(comment):
    """A comment that is a title, as `---- caches ----` or one short line."""
    text = words(comment)
    found = re.fullmatch(r"-+ (.*?) -+", text) or re.fullmatch(r"([A-Z][^.\n]{2,60})", text)
    return found and found[1]


def headers():
    """[(name, first comment, entries)]"""
    for name in HEADERS.split():
        text = read(f"include/quarry/{name}.h").replace("\r", "")
        first = next(c for c in COMMENT.findall(text) if "SPDX" not in c)
        rest = text.split(first, 1)[1].rsplit("#endif", 1)[0]
        rest = re.sub(r"^#(?:ifndef|define) QUARRY_\w+_H\n", "", rest, flags=re.MULTILINE)
        yield name, first, entries(rest)


def anchor(name):
    return name.lower().replace(" ", "-")


def addresses(found):
    """{name: address} of all that @found, the result of headers(), describes."""
    made = {}
    for header, _, listed in found:
        made[header + ".h"] = header + ".html"
        for name in (name for entry in listed for name in entry.names()):
            made[name] = f"{header}.html#{anchor(name)}"
            made.setdefault(name.split()[-1], made[name])
    return made


def page(name, first, found, links):
    """The page of one header, as Markdown with HTML in it."""
    out = [f"# {name}.h", described(about(first), links)]
    for entry in found:
        text, names = words(entry.comment), entry.names()
        if names:
            shown = ", ".join(f"`{n}`" for n in (names if len(names) < 5 else names[:3]))
            ids = [f'<a id="{anchor(n)}"></a>' for n in names] if len(names) > 1 else []
            out.append(f"### {''.join(ids)}{shown}{' ...' if len(names) > 4 else ''}")
            out.append("```c\n" + "\n".join(item[2] for item in entry.items) + "\n```")
        if heading := not names and title(entry.comment):
            out.append(f"## {heading[0].upper()}{heading[1:]}")
        elif text:
            out.append(described(text, links))
    return "\n\n".join(out) + "\n"


def about(first):
    """What the first comment of a header says about it, without its name."""
    text = words(first).split(": ", 1)[1]
    return text[0].upper() + text[1:]


def pages(links):
    """{name of a file: text} of all pages of the interface; @links: addresses of other pages."""
    found = list(headers())
    links = {**addresses(found), **links}
    made = {f"{name}.md": page(name, first, listed, links) for name, first, listed in found}
    rows = ""
    for name, first, _ in found:
        subject = re.split(r"\.\s", about(first))[0].replace("\n", " ")
        rows += f"| [{name}.h]({name}.md) | {subject.rstrip('.')} |\n"
    return {"README.md": INDEX + rows, **made}
