#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write the student's tree of a lab: `make skeleton LAB=n DIR=...`.

Usage: skeleton.py [--build DIR] [--track TRACK] [--own TREE] LAB DIR
       skeleton.py [--track TRACK] LAB --text FILE

The first form writes the tree to DIR, which must not exist; the second prints one emptied file.  In
a track a lab may have fewer functions to write.

labs/labs.ini names the differences from this tree: bodies are emptied, mistakes are planted, and
files that show solutions are left out.  The files of labs still to come are emptied too: these are
the later labs of TRACK, then those that it lacks; without TRACK, those that labs.ini names later.
The files of earlier labs are this tree's; with --own, a student's.

The student's tree also has objects, in labs/reference/: of the reference, beside which the
student's code is linked (lab_build.py), and in given/ of the labs to come.
"""
import os
import re
import shutil
import sys

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import grade_build
import lab_build
import lab_kernel
import lab_link
import labs
import submission

ROOT = labs.ROOT
INCLUDE = "#include <quarry/lab.h>\n"
SAYS = "LAB_TODO();"
USER_INCLUDE = '#include "lab.h"\n'  # the include for programs of ring 3


def emptied(one, path, text):
    """@text, of a file of the lab, as the student gets it: with emptied bodies."""
    names = one.functions.get(path, [])
    include = USER_INCLUDE if path.startswith("user/") else INCLUDE
    for body in sorted((one.body(path, name) for name in names), key=lambda b: -b.begin):
        neutral = one.neutral_of(body)
        does = neutral.replace("; ", ";\n\t")
        lines = ["{", "\t" + SAYS, *(["\t" + does] if does else []), "}"]
        text = text[: body.begin] + "\n".join(lines) + text[body.end :]
    if not names:
        return text
    last = [m.end() for m in re.finditer(r"^#include [^\n]*\n", text, re.MULTILINE)][-1]
    return text[:last] + include + text[last:]


def left_out(one, path):
    return any(path == out or path.startswith(out + "/") for out in one.leave_out)


def texts(one):
    """(path, text) of each file of the student's tree that differs from this tree."""
    found = {path: emptied(one, path, labs.read(path)) for path in one.files}
    for head, functions in mistakes(one):
        found[head["file"]] = submission.fitted(found[head["file"]], functions)
    return found.items()


def mistakes(one):
    """The lab's planted mistakes; none in a student's tree, which lacks their files."""
    there = os.path.isdir(os.path.join(ROOT, "labs", "planted"))
    return [planted(one, name) for name in (one.planted if there else [])]


def planted(one, name):
    """({title, file, test, verdict, says}, text of its functions) of a planted mistake."""
    text = labs.read(one.planted_path(name)).split("\n", 1)[1]
    head = submission.HEADER.match(text)
    rows = re.findall(r"^ \* (\w+): +(.*)$", head.group(1), re.MULTILINE)
    return dict(rows), text[head.end() :]


def order(track=None):
    """The labs, in the order in which students get them."""
    first = sum(labs.tracks()[track], []) if track else []
    return first + [name for name in labs.labs() if name not in first]


def to_come(one, track=None):
    """The labs after @one."""
    names = order(track)
    return [labs.lab(name) for name in names[names.index(one.name) + 1 :]]


def texts_to_come(one, track=None):
    """{path: emptied text} of the files of labs still to come, except a source that @one compiles
    with the student's headers: it has no object without them."""
    found = {path: text for later in to_come(one, track) for path, text in texts(later)}
    return {path: text for path, text in found.items() if path not in one.files + one.extra}


def without_source(one, track=None):
    """The sources of which a student's tree has objects: those of labs still to come, and those in
    which bodies of their headers are compiled."""
    later = to_come(one, track)
    found = {path for lab in later for path in lab.files + lab.extra}
    inline = [name for lab in later for path in lab.headers() for name in lab.functions[path]]
    calls = re.compile(rf"\b({'|'.join(inline) or '(?!)'})\(")
    texts_of = {p: labs.read(p) for p in rooms.all_files() if p.endswith((".c", ".h")) and inline}
    callers = {path for path, text in texts_of.items() if calls.search(text)}
    lines = [f'#include "{path}"' for path in callers - found if path.endswith(".h")]
    found |= callers
    found |= {path for path, text in texts_of.items() if any(line in text for line in lines)}
    return {path for path in found if path.endswith(".c")} - {*one.files, *one.extra}


def write(one, folder, track=None, own=None):
    """Write the student's tree into a new directory."""
    os.makedirs(folder)
    for path in rooms.all_files():
        if left_out(one, path):
            continue
        to = os.path.join(folder, path)
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copy2(os.path.join(ROOT, path), to, follow_symlinks=False)
    for path, text in [*texts(one), *texts_to_come(one, track).items()]:
        with open(os.path.join(folder, path), "w", encoding="utf-8") as f:
            f.write(text)
    names = order(track)
    for path in [p for n in names[: names.index(one.name)] for p in labs.lab(n).files if own]:
        if os.path.exists(os.path.join(own, path)):
            shutil.copy(os.path.join(own, path), os.path.join(folder, path))
    lab_link.write_changed(os.path.join(folder, labs.OF_LAB), one.name + "\n")


def write_given(one, folder, build, track=None):
    """Write the objects of the sources that are not for the student's eyes yet."""
    wanted = without_source(one, track)
    kernel, rows = lab_kernel.Kernel(one, build), []
    sides = [kernel]
    if not one.in_ring_3():
        sides.append(lab_build.Hosted(one, build))
        rows = grade_build.Programs(one, build).given(wanted)
    for side in sides:
        mine = {p: os.path.join(side.top, "given", p + ".o") for p in side.given() if p in wanted}
        side.shared.compile_all(
            [(p, to, [side.cc, *side.reference_flags]) for p, to in mine.items()]
        )
        side.shared.save()
        rows += [(side.KIND, p, to) for p, to in mine.items()]
    programs = lab_kernel.Programs(
        kernel.settings, kernel.cc, os.path.join(kernel.top, "programs")
    )
    rows += [(kernel.KIND, p, programs.compiled(p)) for p in wanted if p.startswith("user/")]
    programs.builder.save()
    for kind, path, made in rows:
        to = os.path.join(folder, lab_build.GIVEN, kind, path + ".o")
        os.makedirs(os.path.dirname(to), exist_ok=True)
        lab_link.run("objcopy", "--strip-debug", made, to)


def write_reference(one, folder, build, track=None):
    """Write the objects of the reference and its trampolines, but no source of the reference."""
    write_given(one, folder, build, track)
    if one.in_ring_3():
        return
    for side in (f(one, build) for f in (lab_build.Hosted, lab_build.OnHost, lab_kernel.Kernel)):
        named = side.named()
        for path in one.twice():
            flat = path.replace("/", "_")
            to = os.path.join(folder, lab_build.REFERENCE, side.KIND, flat + ".o")
            os.makedirs(os.path.dirname(to), exist_ok=True)
            lab_link.run("objcopy", "--strip-debug", side.reference(path, named), to)
            shutil.copy(side.trampoline(path), os.path.join(folder, lab_build.REFERENCE, flat))
        side.builder.save()


def main():
    parser = rooms.parser(usage=__doc__)
    parser.add_argument("--text")
    parser.add_argument("--track")
    parser.add_argument("--own", help="a tree with the student's files of earlier labs")
    parser.add_argument("lab")
    parser.add_argument("folder", nargs="?")
    args = parser.parse_args()
    one = labs.lab(args.lab, args.track)
    if args.text:
        print(dict(texts(one))[args.text], end="")
        return
    if not args.folder:
        sys.exit("make skeleton LAB=n DIR=... : DIR is a directory that does not exist yet")
    folder = os.path.abspath(args.folder)
    if os.path.exists(folder):
        sys.exit(f"{args.folder} exists; the tree is written to a new directory")
    try:
        if args.own and not os.path.isdir(args.own):
            raise labs.BadLab(f"{args.own}: no such directory")
        write(one, folder, args.track, args.own)
        write_reference(one, folder, args.build, args.track)
    except BaseException:  # Ctrl-C, too: a second call must not find half a tree
        shutil.rmtree(folder, ignore_errors=True)
        raise
    count = len(one.names())
    print(f"{args.folder}: lab {one.name}, {one.title}; {count} functions to write")


if __name__ == "__main__":
    labs.run_tool(main, lab_link.Failed)
