# SPDX-License-Identifier: MIT
"""The rules for the text of a student's sources and headers; for grade.py.

A source has no assembly, includes no file from outside, and has no macro or function whose name
belongs to the tests or the explorer: it could switch them off.  The text is read as the compilers
read it: first lines that end with a backslash are joined, then comments and strings are found.
"""
import errno
import os
import re
import stat
from functools import lru_cache

import labs
import skeleton

# A comment, or a string or character constant; the latter two end at the latest with their line.
TOKEN = re.compile(
    r"/\*.*?(?:\*/|\Z)|//[^\n]*|\"(?:[^\"\\\n]|\\[^\n])*\"?|'(?:[^'\\\n]|\\[^\n])*'?", re.DOTALL
)
CONTROL = re.compile(r"[\x00-\x08\x0d-\x1f\x7f]")
DIRECTIVE = re.compile(r"^[^\S\n]*#[^\S\n]*(\w*)(.*)$", re.MULTILINE)
ALLOWED = {"include", "define", "undef", "if", "ifdef", "ifndef", "elif", "else", "endif", "error"}
INCLUDED = re.compile(r'\s*(?:"([\w./-]+)"|<([\w./-]+)>)\s*')
# (what may not be in the code, with "" for each string; how a report names it)
FORBIDDEN = (
    (re.compile(r"\b(__asm__|__asm|asm)\b|##"), "assembly, or pastes names together"),
    (re.compile(r"\b(_Pragma|__has_include\w*)\b"), "an operator of the preprocessor"),
    (re.compile(r"%:|<:|:>|<%|%>"), "a digraph"),
    (re.compile(r'(?<!\w)(u8|[uUL])?R"'), "a raw string"),
    (re.compile(r"\b(_*no_(sanitize|address_safety)|__[at]san_|__ubsan_)"), "a sanitizer's name"),
    (
        re.compile(r"\b(__SANITIZE\w*|__has_feature|__OPTIMIZE\w*|LAB_OWN|(RACE|CHECKED)_BUILD)\b"),
        "a name by which it could tell the grader's builds apart",
    ),
    (re.compile(r"(?s)\A(?=.*(__attribute|\[\s*\[)).*\b(section|__section__)\b"), "a section"),
)
# Headers of the tests and the explorer.  The names with these beginnings are theirs alone.
TESTS = ("labs/grade/points.h", "include/quarry/ktest.h", "include/quarry/sched_point.h")
THEIRS = ("ktest_", "race_", "lab_")


def stripped(text):
    """(the text without comments, the same with "" for each string)"""
    text = re.sub(r"\\[ \t\f\v]*\n", "", text)
    plain = TOKEN.sub(lambda m: " " if m.group().startswith("/") else m.group(), text)
    return plain, TOKEN.sub('""', plain)


@lru_cache(None)
def words(path):
    """All words of a file of this tree, without those in comments and strings."""
    return set(re.findall(r"\w+", stripped(labs.read(path))[1]))


def macros(path):
    return set(re.findall(r"^\s*#\s*define\s+(\w+)", labs.read(path), re.MULTILINE))


@lru_cache(None)
def points():
    """Matches a function at which the explorer stops, in another form than a call: a macro with
    parameters would not see it."""
    names = re.findall(r"^#define (\w+)\(", labs.read(TESTS[0]), re.MULTILINE)
    return re.compile(rf"\b({'|'.join(names)})\b(?!\s*\()")


def name_faults(one, path, plain, code):
    """Names of the tests and the explorer.  A header's macros also change the tests of its lab."""
    tests = set().union(*map(words, TESTS))
    for name in sorted(set(re.findall(r"\w+", code)) & tests):
        if name.startswith(THEIRS):
            yield f"{path} names {name}, which belongs to the tests"
    if path in one.headers():
        given = [words(p) for p in one.extra if p.startswith("tests/")]
        tests = tests.union(*given) - macros(path)
    for name, rest in DIRECTIVE.findall(plain):
        macro = re.match(r"\s*(\w+)", rest)
        if name in ("define", "undef") and macro and macro.group(1) in tests:
            yield f"{path} has a macro {macro.group(1)}, a name that the tests use"
    for name in sorted(set(points().findall(code))):
        yield f"{path} has {name} in another form than a call, where the explorer misses it"


def source_faults(one, there, path):
    """Faults of a source or header as handed in, at path @there."""
    with open(there, encoding="utf-8-sig", errors="replace", newline="") as f:
        text = f.read().replace("\r\n", "\n")
    if CONTROL.search(text):
        yield f"{path} has control characters"
    plain, code = stripped(text)
    for pattern, what in FORBIDDEN:
        if pattern.search(code):
            yield f"{path} has {what}"
    for name, rest in DIRECTIVE.findall(plain):
        if name == "include" and not included_ok(one, rest):
            yield f"{path} includes {rest.strip()}, which is no header of mm/"
        elif name not in ALLOWED and (name or rest.strip()):
            yield f"{path} has #{name or rest.strip()}"
    if not one.in_ring_3():
        yield from name_faults(one, path, plain, code)


def included_ok(one, rest):
    """May a submission include this header: of the memory manager, its interface, or the lab?
    @rest: the line behind the word include."""
    found = INCLUDED.fullmatch(rest)
    if not found:
        return False
    name = found.group(1) or found.group(2)
    if {"", ".", ".."} & set(name.split("/")) or not name.endswith(".h"):
        return False
    places = (name, os.path.join("include", name))
    if one.in_ring_3():
        return "/" not in name and os.path.exists(os.path.join(labs.ROOT, "user", name))
    rooms = ("mm/", "quarry/", "sys/queue", "demo/", f"labs/{one.name}/")
    if name in one.headers():
        return bool(found.group(1))  # in <> it would be this tree's
    return name.startswith(rooms) and any(
        os.path.exists(os.path.join(labs.ROOT, p)) for p in places
    )


# ---- the copy of what is handed in ---------------------------------------------------------------
# Of a submission the lab's files are copied, each a regular file of at most 1 MiB, to a folder that
# has no other files. A grader, above all as root, may read files that a student may not, and a
# compiler's output quotes the files that it reads.  So no link is followed in any part of a path,
# and no read waits.


MOST_BYTES = 1 << 20  # bytes of a file that is handed in
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


class NotTaken(Exception):
    """The path is no regular file, or the file is too large; the text is the reason."""


def read_taken(tree, path):
    """The bytes of the file @path of @tree, or None if it does not exist."""
    at = -1
    try:
        at = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
        *folders, name = path.split("/")
        for folder in folders:
            below = os.open(folder, FOLDER, dir_fd=at)
            os.close(at)
            at = below
        with open(os.open(name, FILE, dir_fd=at), "rb") as f:
            if not stat.S_ISREG(os.fstat(f.fileno()).st_mode):
                raise NotTaken(f"{path} is no regular file")
            text = f.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        # These errors mean that the file or one of its folders is a link, or of a wrong kind.
        if error.errno not in (errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO):
            raise labs.BadLab(f"{os.path.join(tree, path)}: {error.strerror}") from None
        raise NotTaken(f"{path} is a link, or no regular file") from None
    finally:
        if at >= 0:
            os.close(at)
    if len(text) > MOST_BYTES:
        raise NotTaken(f"{path} has more than {MOST_BYTES >> 20} MiB")
    return text


def read_bytes(path):
    with open(path, "rb") as f:
        return f.read()


def stage(one, tree, to):
    """Copy the lab's files from @tree to the folder @to.  Returns the missing ones; they are copied
    as students get them."""
    texts = {path: read_taken(tree, path) for path in one.files}
    if all(text is None for text in texts.values()):
        raise labs.BadLab(f"{tree} has no {one.files[0]}")
    missing = []
    for path, text in texts.items():
        target = os.path.join(to, path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if text is None:
            missing.append(path)
            text = dict(skeleton.texts(one))[path].encode()
        # A file that has this text keeps its time, so that its object stays up to date.
        if not os.path.exists(target) or read_bytes(target) != text:
            with open(target, "wb") as f:
                f.write(text)
    return missing
