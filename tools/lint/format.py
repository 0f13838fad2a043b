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
# head, or an item of a list.  TERM: a defined term begins one, too.
ITEM = re.compile(
    r"^(?:[A-Z][A-Za-z ]{1,14}:\s{2,}|(?:Owns|Locks|Invariants|Tests|References|Order):\s+"
    r"|[-*] |\d+[.)] |[a-z]\) |@\w+ {2,})"
)
TERM = re.compile(r"^(?:.{1,45}?\S {3,}|.{0,45}?[^\s.:;!?] {2,})(?=\S)")
COLUMNS = re.compile(r"\S {3,}\S")  # a table


def width(line):
    return len(line.expandtabs(8))


# ---- comments ------------------------------------------------------------------------------------


def hang(text):
    """The beginning of @text that indents its further lines: "1. ", "@page  "; or ""."""
    found = ITEM.match(text) or TERM.match(text)
    return found.group() if found else ""


def indent_of(line):
    return len(line) - len(line.lstrip())


def fill(prefix, first, indent, text):
    """@text in lines that begin with @prefix; behind it the first line has @first, and the others
    have @indent blanks."""
    lines, line, empty = [], prefix + first, True
    for gap, word in re.findall(r"(\s*)(`[^`]*`|\S+)", text):
        if not empty and width(line + (gap or " ") + word) > MAX_COLUMNS:
            lines.append(line.rstrip())
            line, empty = prefix + " " * indent, True
        line += word if empty else (gap or " ") + word
        empty = False
    return lines + [line.rstrip()]


def paragraph_end(lines, start):
    """(index behind the paragraph that begins at @start, the indent of its further lines)"""
    indent, term = indent_of(lines[start]), hang(lines[start].lstrip())
    further, end = None, start + 1
    while end < len(lines) and lines[end].strip():
        here, text = indent_of(lines[end]), lines[end].lstrip()
        if hang(text) and (here <= indent or not term) or COLUMNS.search(text):
            break
        # Does the sentence go on in this line?
        goes_on = not re.search(r"[.:;!?]$", lines[end - 1].rstrip())
        if further is None and (here < indent or here > indent and not term and not goes_on):
            break
        if further not in (None, here):
            break
        further, end = here, end + 1
    return end, indent + len(term) if further is None else further


def wrap_paragraphs(prefix, lines):
    """The @lines of a comment, each behind @prefix; a paragraph with too wide a line is filled
    again."""
    result, start = [], 0
    while start < len(lines):
        first = lines[start].lstrip()
        end, further = paragraph_end(lines, start) if first else (start + 1, 0)
        part, term = lines[start:end], hang(first)
        wide = any(width(prefix + line) > MAX_COLUMNS for line in part)
        if wide and not COLUMNS.search(first[len(term) :]):
            text = part[0].strip()
            for line in part[1:]:
                sentence = re.search(r"[.!?:]$", text) and re.match(r"[A-Z@]", line.strip())
                text += ("  " if sentence else " ") + line.strip()
            result += fill(prefix, " " * indent_of(part[0]) + term, further, text[len(term) :])
        else:
            result += [(prefix + line).rstrip() for line in part]
        start = end
    return result


def wrap_block(block):
    """Wrap a comment of several lines, each of which begins with a star."""
    indent = re.match(r"\s*", block[0]).group()
    texts = [re.sub(r"^\s* \* ?", "", line) for line in block[1:]]
    texts[-1] = re.sub(r"\s*\*?/$", "", texts[-1])
    first = block[0].strip()[2:].strip()
    texts = ([first] if first else []) + texts[:-1] + ([texts[-1]] if texts[-1] else [])
    return [indent + "/*"] + wrap_paragraphs(indent + " * ", texts) + [indent + " */"]


def starts_something(line, before):
    """Is @line the first line of a statement, a member or an entry?"""
    return (
        not before.strip()
        or re.search(r"([;{}:]|\*/)\s*(/\*.*\*/)?$", before.rstrip())
        or before.rstrip().endswith(",")
        and re.match(r"^\s*(\[|\{|[A-Z_]+( = .*)?,)", line)
    )


def wrap_line(line, before):
    """Wrap a line that its comment makes too wide."""
    if line.endswith("\\") or before.endswith("\\"):
        return [line]
    alone = re.match(r"^(\s*)/\* (.*) \*/\s*$", line)
    if alone and "/*" not in alone.group(2):
        indent, text = alone.groups()
        return [indent + "/*"] + wrap_paragraphs(indent + " * ", [text]) + [indent + " */"]
    behind = re.match(r"^(\s*)(\S.*?)\s+/\* (.*) \*/\s*$", line)
    if not behind:
        return [line]
    indent, code, text = behind.groups()
    if "/*" in code or "NOLINT" in text or code.startswith("#"):
        return [line]
    if width(f"{indent}{code} /* {text} */") <= MAX_COLUMNS:
        return [f"{indent}{code} /* {text} */"]
    if not starts_something(line, before):
        return [line]
    comment = f"{indent}/* {text} */"
    return (wrap_line(comment, "") if width(comment) > MAX_COLUMNS else [comment]) + [indent + code]


def wrap_comments(text):
    lines, result, at = text.split("\n"), [], 0
    while at < len(lines):
        line, end = lines[at], at + 1
        if re.match(r"^\s*/\*(?!.*\*/)", line) and not line.endswith("\\"):
            while end < len(lines) and "*/" not in lines[end - 1]:
                end += 1
            block = lines[at:end]
            starred = all(re.match(r"^\s* \*( |$|/)", other) for other in block[1:])
            wide = any(width(other) > MAX_COLUMNS for other in block)
            result += wrap_block(block) if starred and wide else block
        else:
            wide = width(line) > MAX_COLUMNS
            result += wrap_line(line, result[-1] if result else "") if wide else [line]
        at = end
    return "\n".join(result)


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
