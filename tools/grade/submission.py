#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Submissions to grade: those in labs/wrong/LAB/ and labs/right/LAB/, and variants by id.

Usage: submission.py list [LAB]             print the submissions, with their titles
       submission.py write LAB NAME DIR     write the lab's files as the submission has them
       submission.py compile [LAB]          compile each as a student would; show warnings

A submission is a few functions, which replace those of the same name in the file of the lab that
has them; other functions go in front of the first of these.  A file holds one or several, each
begun by a comment; in lab R a file NAME.txt may be the whole text of a file.  The comment says:

    name:  its name; that of the file, if this line is missing
    title: its fault, or its difference from the reference
    layer: for a wrong submission, the layer in which it must lose a point
    file:  the file of the lab; the one of the same name, if this line is missing

A file SOURCE.diff has submissions that change a few lines of the file of the lab with that name:
the same lines without a comment, then a diff, as docs/mutants.md has it.

A lab's other wrong solutions are variants of tests/mutants, whose ids labs/labs.ini lists.
"""
import functools
import os
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import bodies
import lab_build
import labs
import variant

KINDS = ("wrong", "right")
TEXT = ".txt"  # a submission that is the whole text of a file that is no code
EDITS = ".diff"  # submissions that are changes of a few lines
HEADER = re.compile(r"/\*(.*?)\*/\n+", re.DOTALL)
DIFF = re.compile(r"((?:(?:name|title|layer|file): .*\n)+)")
NAMED = re.compile(r"^(?:/\*\n \* )?name: +(\w+)\n", re.MULTILINE)
ROWS = re.compile(r"^(?: \* )?(title|layer|file): +(.*(?:\n(?: \*)?   +.*)*)", re.MULTILINE)


class BadSubmission(Exception):
    """The submission does not exist, or does not fit; the text is the reason."""


def folder(kind, lab):
    return os.path.join(labs.ROOT, "labs", kind, lab)


def stem_of(path):
    """Of free_map.c `free_map', of free_map.c.diff `free_map.c'."""
    return os.path.splitext(os.path.basename(path))[0]


@functools.lru_cache(maxsize=None)
def parts_of(path, _):
    """{name: (the name of the file, the text)} of the submissions in the file at @path."""
    text = re.sub(r"\A/\* SPDX[^\n]*\n", "", rooms.read(path))
    begins = [found.start() for found in NAMED.finditer(text)]
    stem = stem_of(path)
    if not begins:
        return {stem: (stem, text)}
    parts = [text[at:end].rstrip("\n") + "\n" for at, end in zip(begins, [*begins[1:], None])]
    return {NAMED.match(part).group(1): (stem, part) for part in parts}


def texts_of(kind, lab):
    """As parts_of, of all submissions of a lab; a second file of a name ends in _2, and so on."""
    found, path = {}, folder(kind, lab)
    for name in sorted(os.listdir(path)) if os.path.isdir(path) else []:
        if name.endswith((".c", TEXT, EDITS)):
            one = os.path.join(path, name)
            found.update(parts_of(one, os.stat(one).st_mtime_ns))
    return found


def names(kind, lab):
    return sorted(texts_of(kind, lab))


def read(kind, lab, name):
    """({title, layer, file, diff}, the text of the functions or, if `diff', of the diff)."""
    stem, text = texts_of(kind, lab)[name]
    diff = DIFF.match(text)
    head = diff or HEADER.match(text)
    rows = ROWS.findall(head.group(1))
    found = {key: " ".join(value.replace("\n *", " ").split()) for key, value in rows}
    found["diff"] = bool(diff)
    stem = re.sub(r"_\d$", "", stem)
    same = [path for path in labs.lab(lab).files if stem in (stem_of(path), os.path.basename(path))]
    if len(same) == 1:
        found.setdefault("file", same[0])
    if "title" not in found or "file" not in found or (kind == "wrong" and "layer" not in found):
        raise BadSubmission(f"labs/{kind}/{lab}: {name}: no title, layer or file")
    return found, text[head.end() :]


def function_parts(text):
    """[(name, text)] of the functions in @text, each with the comment before it."""
    found, at = [], 0
    for body in bodies.bodies(text).values():
        found.append((body.name, text[at : body.end].strip("\n") + "\n"))
        at = body.end
    return found


def fitted(base, new):
    """The text @base with its functions replaced by those of @new, and with new ones added."""
    known = bodies.bodies(base)
    parts = function_parts(new)
    others = [part for name, part in parts if name not in known]
    mine = [(known[name], part) for name, part in parts if name in known]
    if not mine:
        raise BadSubmission("none of its functions is in the file")
    first = min(body.begin - len(body.head) for body, _ in mine)
    for body, part in sorted(mine, key=lambda row: -row[0].begin):
        begin = body.begin - len(body.head)
        # Leave out the new function's comment: @base keeps the comment of the old one.
        part = re.sub(r"\A(/\*.*?\*/\n)?", "", part, flags=re.DOTALL)
        base = base[:begin] + part.rstrip("\n") + base[body.end :]
    # New functions go in front of the first replaced one, and of its comment.
    lines = base[:first].rstrip("\n")
    if others and lines.endswith("*/"):
        first = base.rindex("/*", 0, first)
    return base[:first] + "".join(part + "\n" for part in others) + base[first:]


def texts(lab, name):
    """{path: text} of the files that a submission changes."""
    for kind in KINDS:
        if name in names(kind, lab):
            head, new = read(kind, lab, name)
            if head["file"].endswith(TEXT):
                return {head["file"]: new}
            if head["diff"]:
                lines = [(f"{lab}.{name}", line) for line in new.splitlines()]
                edits = variant.parse_edits(lines, head["file"])
                return variant.edited(variant.Variant({"id": [f"{lab}.{name}"]}, edits))
            return {head["file"]: fitted(labs.read(head["file"]), new)}
    if name in variant.known():
        return variant.edited(variant.read(name))
    raise BadSubmission(f"lab {lab} has no submission {name}; submission.py list names them")


def write(lab, name, to):
    """Write the lab's files with the changes of @name to the folder @to; "reference" has none."""
    one = labs.lab(lab)
    changed = {} if name == "reference" else texts(lab, name)
    strange = sorted(set(changed) - set(one.files))
    if strange:
        raise BadSubmission(f"{name}: {strange[0]} is no file of lab {lab}")
    for path in one.files:
        text = changed.get(path, labs.read(path))
        rooms.write(os.path.join(os.path.abspath(to), path), text)


def warnings(lab, name, settings):
    """The compiler's output for the files that a submission changes."""
    one, said = labs.lab(lab), ""
    flags = settings["HFLAGS"]
    if one.files[0].startswith("user/"):
        flags = [*settings["KFLAGS"], "-iquote", "user"]
    with tempfile.TemporaryDirectory(prefix="submission-") as folder:
        write(lab, name, folder)
        for path in one.files:
            if path in texts(lab, name) and not path.endswith(TEXT):
                # A header is compiled in a source that includes it.
                source = os.path.join(folder, path) if path.endswith(".c") else one.extra[0]
                command = [settings["HOSTCC"][0], "-iquote", folder, *flags, "-O0"]
                command += ["-Wno-unused-function", "-fsyntax-only", source]
                said += rooms.call(command, stderr=subprocess.PIPE).stderr
    return said


def compile_all(chosen):
    settings = lab_build.Settings(os.path.join(labs.ROOT, "build"))
    bad = False
    for lab, _, name in all_of(chosen):
        said = warnings(lab, name, settings)
        if said:
            bad = True
            print(f"{lab}.{name}:\n{said}")
    sys.exit(bad)


def all_of(chosen):
    """[(lab, kind, name)] of the submissions of the labs @chosen, or of all."""
    every = [(lab, kind) for lab in chosen or labs.labs() for kind in KINDS]
    return [(*of, name) for of in every for name in names(of[1], of[0])]


def faults():
    """The submissions that do not fit the labs' files, a line each."""
    for lab, _, name in all_of([]):
        try:
            texts(lab, name)
        except (BadSubmission, variant.BadVariant) as error:
            yield str(error)


def main():
    step, *words = sys.argv[1:] or [""]
    if step == "list":
        for lab, kind, name in all_of(words):
            print(f"{lab}\t{kind}\t{name}\t{read(kind, lab, name)[0]['title']}")
    elif step == "compile":
        compile_all(words)
    elif step == "write" and len(words) == 3:
        write(*words)
    else:
        sys.exit(__doc__.strip())


if __name__ == "__main__":
    labs.run_tool(main, BadSubmission, variant.BadVariant)
