#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write the student's tree of a lab: `make skeleton LAB=n DIR=...`.

Usage: skeleton.py [--build DIR] [--track TRACK] [--own TREE] LAB DIR
       skeleton.py --leaks [LAB...]

The first form writes the tree to DIR, which must not exist.  In a track a lab may have fewer
functions to write.  The second says whether a student's tree shows the solution (`make labs-leak`).

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
from dataclasses import replace

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import bodies
import grade_build
import lab_build
import lab_kernel
import lab_race
import labs
import submission
from lab_make import Failed, run, write_changed

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
    found |= lab_race.texts(one)
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


def without(one, paths):
    """The lab @one without those of its files that are in @paths, and without mistakes in them."""
    left = [path for path in one.files if path not in paths]
    functions = {path: names for path, names in one.functions.items() if path in left}
    return one if left == one.files else replace(one, files=left, functions=functions, planted=[])


def to_come(one, track=None):
    """The labs after @one, each without the files of @one and of labs before it; not one that then
    has none, such as lab 10."""
    names, found = order(track), []
    at = names.index(one.name) + 1
    known = {path for name in names[:at] for path in labs.lab(name).files}
    for later in map(labs.lab, names[at:]):
        found.append(without(later, known))
        known.update(later.files)
    return [later for later in found if later.files]


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


README = """# Lab {lab}: {title}

Read [the handout](labs/{lab}/handout.md). In this tree these commands work:

    make grade LAB={lab}       grade what you have written
    make lab, make lab-kernel  the lab's suites, hosted and in QEMU
    make run                   boot a kernel with your code in it

All others need Quarry's own tree. [When a test fails](docs/students.md) says what to do then.
"""


def write(one, folder, track=None, own=None):
    """Write the student's tree into a new directory."""
    os.makedirs(folder)
    for path in rooms.all_files():
        if left_out(one, path):
            continue
        to = os.path.join(folder, path)
        os.makedirs(os.path.dirname(to), exist_ok=True)
        shutil.copy2(os.path.join(ROOT, path), to, follow_symlinks=False)
    changed = {**dict(texts(one)), **texts_to_come(one, track), **lab_race.without_answers(one)}
    for path, text in changed.items():
        rooms.write(os.path.join(folder, path), text)
    rooms.write(os.path.join(folder, "README.md"), README.format(lab=one.name, title=one.title))
    names = order(track)
    for path in [p for n in names[: names.index(one.name)] for p in labs.lab(n).files if own]:
        if os.path.exists(os.path.join(own, path)):
            shutil.copy(os.path.join(own, path), os.path.join(folder, path))
    write_changed(os.path.join(folder, labs.OF_LAB), one.name + "\n")


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
        command = [side.cc, *side.reference_flags]
        side.shared.compile_all([(p, to, command) for p, to in mine.items()])
        rows += [(side.KIND, p, to) for p, to in mine.items()]
    programs = lab_kernel.Programs(kernel, os.path.join(kernel.top, "programs"))
    rows += [(kernel.KIND, p, programs.compiled(p)) for p in wanted if p.startswith("user/")]
    for kind, path, made in rows:
        stripped(made, os.path.join(folder, lab_build.GIVEN, kind, path + ".o"))


def stripped(made, to):
    """Copy an object without its debugging information."""
    os.makedirs(os.path.dirname(to), exist_ok=True)
    run("objcopy", "--strip-debug", made, to)


def write_reference(one, folder, build, track=None):
    """Write the objects of the reference and its trampolines, but no source of the reference."""
    write_given(one, folder, build, track)
    lab_race.write_reference(one, folder, build)
    if one.in_ring_3():
        return
    for side in (f(one, build) for f in (lab_build.Hosted, lab_build.OnHost, lab_kernel.Kernel)):
        named = side.named()
        for path in one.twice():
            flat = path.replace("/", "_")
            to = os.path.join(folder, lab_build.REFERENCE, side.KIND, flat + ".o")
            stripped(side.reference(path, named), to)
            shutil.copy(side.trampoline(path), os.path.join(folder, lab_build.REFERENCE, flat))


# ---- does a student's tree show the solution? ----------------------------------------------------
# No run of TOKENS tokens of an emptied body may stand elsewhere in the student's tree, unless a
# line of labs/leaks.txt allows it: LAB FUNCTION FILE, and a reason behind "#".


TOKENS = 24
ALLOWED = os.path.join("labs", "leaks.txt")
READ = (".c", ".h", ".S", ".md", ".mut", ".pml", ".py", ".race", ".sh", ".txt", ".mk", ".svg")
TOKEN = re.compile(r"[A-Za-z_]\w*|\d\w*|->|[^\s\w]")
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def tokens(text):
    return TOKEN.findall(COMMENT.sub(" ", text))


def runs(row):
    """Each run of TOKENS tokens in the list @row."""
    return (tuple(row[i : i + TOKENS]) for i in range(len(row) - TOKENS + 1))


def solution(one):
    """{run: function} of all bodies that the lab empties."""
    found = {}
    all_of = list(one.functions.items())
    all_of += [(head["file"], bodies.bodies(text)) for head, text in mistakes(one)]
    for path, name in ((path, name) for path, names in all_of for name in names):
        body = one.body(path, name)
        for some in runs(tokens(labs.read(path)[body.begin : body.end])):
            found.setdefault(some, name)
    return found


def allowed():
    """{(lab, function, file)} of labs/leaks.txt; a line without a reason is an error."""
    rows = set()
    for line in labs.read(ALLOWED).split("\n"):
        words, _, reason = line.partition("#")
        if not words.strip():
            continue
        if len(words.split()) != 3 or not reason.strip():
            sys.exit(f"{ALLOWED}: wanted LAB FUNCTION FILE # reason: {line}")
        rows.add(tuple(words.split()))
    return rows


class Solutions:
    """The runs of several labs' emptied bodies."""

    PICKED = (0, TOKENS // 2, TOKENS - 1)  # places of tokens that tell most other runs from these

    def __init__(self, chosen):
        self.labs = {name: labs.lab(name) for name in chosen}
        self.runs = {name: solution(one) for name, one in self.labs.items()}
        self.own = {name: dict(texts(one)) for name, one in self.labs.items()}
        every = [some for found in self.runs.values() for some in found]
        self.picked = {tuple(some[at] for at in self.PICKED) for some in every}

    def in_row(self, row):
        """The runs that may be of some lab's solution, in their order."""
        keys = enumerate(zip(*(row[at:] for at in self.PICKED)))
        return [tuple(row[i : i + TOKENS]) for i, key in keys if key in self.picked]

    def leaks(self):
        """{lab: {(function, file)}}"""
        found = {name: set() for name in self.labs}
        for path in rooms.all_files():
            if not path.endswith(READ):
                continue
            here = self.in_row(tokens(labs.read(path)))
            for name, one in self.labs.items():
                own = self.own[name]
                # A student's tree shows a planted mistake with the rest of its function.
                if left_out(one, path) or one.planted and path in own:
                    continue
                for some in self.in_row(tokens(own[path])) if path in own else here:
                    if some in self.runs[name]:
                        found[name].add((self.runs[name][some], path))
        return found


def shown(chosen):
    """A line for each leak that labs/leaks.txt does not list, and each of its rows without one."""
    found, may, used, said = Solutions(chosen).leaks(), allowed(), set(), []
    for name in chosen:
        for function, path in sorted(found[name]):
            if (name, function, path) in may:
                used.add((name, function, path))
            else:
                said.append(f"lab {name}: {function} is shown by {path}")
    for row in sorted(may - used):
        if row[0] in chosen:
            said.append(f"{ALLOWED}: no longer so: {' '.join(row)}")
    return said


def has_solutions():
    """False in a student's tree."""
    return os.path.isdir(os.path.join(ROOT, "labs", "wrong"))


def print_leaks(chosen):
    said = shown(chosen)
    print("\n".join(said) if said else f"{len(chosen)} labs, no leak")
    sys.exit(bool(said))


def main():
    parser = rooms.parser(usage=__doc__, flags="leaks", words="track own")
    parser.add_argument("words", nargs="*", metavar="LAB")
    args = parser.parse_args()
    if args.leaks:
        print_leaks(args.words or list(labs.labs()))
    if not 1 <= len(args.words) <= 2:
        parser.error("wanted LAB DIR")
    one, where = labs.lab(args.words[0], args.track), "".join(args.words[1:])
    if not where:
        sys.exit("make skeleton LAB=n DIR=... : DIR is a directory that does not exist yet")
    folder = os.path.abspath(where)
    if os.path.exists(folder):
        sys.exit(f"{where} exists; the tree is written to a new directory")
    try:
        if args.own and not os.path.isdir(args.own):
            raise labs.BadLab(f"{args.own}: no such directory")
        write(one, folder, args.track, args.own)
        write_reference(one, folder, args.build, args.track)
    except BaseException:  # Ctrl-C, too: a second call must not find half a tree
        shutil.rmtree(folder, ignore_errors=True)
        raise
    count = len(one.names())
    what = f"{count} functions to write" if count else f"{len(one.files)} files to hand in"
    print(f"{where}: lab {one.name}, {one.title}; {what}")


if __name__ == "__main__":
    labs.run_tool(main, Failed)
