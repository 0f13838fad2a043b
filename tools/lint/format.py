#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Format the C and C++ sources, and the texts of the wrong variants with them; `make format`.

Comments are wrapped at 100 columns, paragraph by paragraph; clang-format 14 does the rest, as
.clang-format says.  Another version would format differently.  --check changes nothing, and prints
which files are not formatted; exit status 1 if there is one.
"""
import difflib
import os
import re
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import needs
import variant

ROOT = variant.ROOT
TOOL = "clang-format-14"
KINDS = (".c", ".cc", ".h")
MAX_COLUMNS = 100
# The beginning of a paragraph whose further lines are indented below its text: a field of a file's
# head, an item of a list, or a row of a table.
ITEM = re.compile(
    r"(?:[A-Z][A-Za-z ]{1,14}:\s{2,}|(?:Owns|Locks|Invariants|Tests|References|Order):\s+"
    r"|[-*] |\d+[.)] |[a-z]\) |[A-Z]\d+ {2}|@\w+ {2,}|\S.{0,44}?\S {3,}(?=\S))"
)


# ---- comments ------------------------------------------------------------------------------------


def width(line):
    return len(line.expandtabs(8))


def filled(lines, at, prefix, blanks, text):
    """(the paragraph of a comment from its line @at on, @prefix, @blanks and @text, in lines that
    fit; the index behind it)"""
    item = ITEM.match(text)
    head, hang, end = item[0] if item else "", len(blanks + (item[0] if item else "")), at + 1
    while more := re.fullmatch(re.escape(prefix) + r"( *)(\S.*)", "".join(lines[end : end + 1])):
        inside = len(more[1]) > len(blanks) if item else more[1] == blanks
        if not inside or ITEM.match(more[2]) or end > at + 1 and len(more[1]) != hang:
            break
        sentence = re.search(r"[.!?:]$", text) and re.match(r"[A-Z@]", more[2])
        text += ("  " if sentence else " ") + more[2]
        hang, end = len(more[1]), end + 1
    how = {"initial_indent": blanks + head, "subsequent_indent": " " * hang}
    how |= {"break_long_words": False, "break_on_hyphens": False}
    rows = textwrap.wrap(text[len(head) :], MAX_COLUMNS - width(prefix), **how)
    return [prefix + row for row in rows], end


def wrap_comments(text):
    """@text, in which no comment makes a line wider than MAX_COLUMNS: a comment of several lines is
    filled again; one behind code comes to stand above it."""
    lines, at = text.split("\n"), 0
    while at < len(lines):
        line = lines[at]
        inside = re.fullmatch(r"(\s* \* )( *)(\S.*)", line)
        alone = re.fullmatch(r"(\s*)/\* (.*) \*/", line)
        behind = re.fullmatch(r"(\s*)([^\s#].*?)\s+(/\* .* \*/)", line)
        if width(line) <= MAX_COLUMNS or line.endswith("\\") or "NOLINT" in line:
            at += 1
        elif inside:
            new, end = filled(lines, at, *inside.groups())
            lines[at:end], at = new, at + len(new)
        elif alone and "/*" not in alone[2]:
            lines[at : at + 1] = [f"{alone[1]}/*", f"{alone[1]} * {alone[2]}", f"{alone[1]} */"]
        elif behind and "/*" not in behind[2]:
            lines[at : at + 1] = [behind[1] + behind[3], behind[1] + behind[2]]
        else:
            at += 1
    return "\n".join(lines)


def formatted(path, text):
    words = [TOOL, f"--assume-filename={os.path.join(ROOT, path)}"]
    done = rooms.call(words, input=wrap_comments(text), stderr=subprocess.PIPE)
    if done.returncode:
        raise OSError(f"{TOOL}: {path}: {done.stderr.strip()}")
    return done.stdout


# ---- variants ------------------------------------------------------------------------------------


def pieces(old, new):
    """[(text, its replacement)] that turn @old into @new; each text is in @old exactly once."""
    a, b = old.splitlines(True), new.splitlines(True)
    opcodes = difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
    parts = [list(op[1:]) for op in opcodes if op[0] != "equal"]
    again = True
    while again:
        again, below = False, True
        for part in parts:  # [begin in a, end in a, begin in b, end in b]
            while not (text := "".join(a[part[0] : part[1]])).strip() or old.count(text) != 1:
                if below and part[1] < len(a) or part[0] == 0:
                    part[1], part[3] = part[1] + 1, part[3] + 1
                else:
                    part[0], part[2] = part[0] - 1, part[2] - 1
                again, below = True, not below
        apart = []
        for part in sorted(parts):
            if apart and part[0] < apart[-1][1]:
                last, again = apart[-1], True
                last[1], last[3] = max(last[1], part[1]), max(last[3], part[3])
            else:
                apart.append(part)
        parts = apart
    return [("".join(a[p[0] : p[1]]), "".join(b[p[2] : p[3]])) for p in parts]


def replaced(text, edits):
    """@text with all of @edits, or None if the text of an edit is not in it exactly once."""
    for old, new in edits:
        if text.count(old) != 1:
            return None
        text = text.replace(old, new)
    return text


def diff(edits, path):
    """The lines of a diff with @edits, of which the first may be one of the file @path."""
    text = ""
    for number, (other, old, new) in enumerate(edits):
        if other != path or number:
            text += "@@\n" if other == path else f"@@ {other}\n"
        path, old, new = other, old.splitlines(True), new.splitlines(True)
        text += "".join(list(difflib.unified_diff(old, new, n=len(old)))[3:])
    return re.sub("^ $", "", text, flags=re.MULTILINE)


def file_text(path, before, after):
    """The text of a file of variants for the formatted sources, or None if it need not change."""
    had = [(first, text) for _, first, text in variant.split(path)]
    now = [adapted(path, first, text, before, after) or text for first, text in had]
    return None if now == [text for _, text in had] else "\n".join(now)


def adapted(path, first, text, before, after):
    """A variant's text for the formatted sources, or None if it need not change."""
    v, edits, changed = variant.parse(path, first, text, ()), [], False
    for name in dict.fromkeys(name for name, _, _ in v.edits):
        mine = [(old, new) for other, old, new in v.edits if other == name]
        if before.get(name) != after.get(name):
            had = replaced(before[name], mine)
            if had is None:
                raise OSError(f"{v.id}: its text is not in {name}: tools/mutate/variant.py check")
            wanted = formatted(name, had)
            fits = replaced(after[name], mine)
            if fits is None or formatted(name, fits) != wanted:
                mine, changed = pieces(after[name], wanted), True
        edits += [(name, *pair) for pair in mine]
    header = re.match("([a-z]+:.*\n)*", text).group()
    return header + diff(edits, variant.source_of(path)) if changed else None


def main():
    parser = rooms.parser(__doc__)
    parser.add_argument("--check", action="store_true", help="only say what is not formatted")
    parser.add_argument("files", nargs="*")
    args = parser.parse_args()
    needs.need("format")
    others = [path for path in args.files if not path.endswith(KINDS)]
    if others:
        parser.error(f"not a C source: {' '.join(others)}")
    files = args.files or rooms.all_files(*KINDS)
    before = {path: rooms.read(path) for path in files}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        after = dict(zip(before, pool.map(formatted, before, before.values())))
        changed = [path for path in before if before[path] != after[path]]
        if args.check:
            lines = [f"{path}: not formatted: make format" for path in changed]
            print("\n".join(lines) or "format: all is formatted")
            return 1 if changed else 0
        muts = variant.paths(variant.MUTANTS) + variant.paths(variant.PLANTED)
        texts = dict(zip(muts, pool.map(lambda path: file_text(path, before, after), muts)))
    for path in changed:
        rooms.write(path, after[path])
    for path in (path for path in muts if texts[path]):
        rooms.write(path, texts[path])
    print(f"format: {len(changed)} sources changed, {sum(map(bool, texts.values()))} .mut files")
    return 0


if __name__ == "__main__":
    rooms.run(main, OSError, needs.LeftOut, variant.BadVariant)
