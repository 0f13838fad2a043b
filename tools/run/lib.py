#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""mm/ as a library: its public headers, a prefix for its names, and what it needs from outside; for
lib.mk.

"needs" prints the names that DIR/libquarry-mm.a needs.  "make" turns DIR/lib/plain.a into
DIR/libquarry-mm.a, and copies into DIR/include the headers that its sources include, for C and C++,
besides alone/, for machines without a C library.  With a prefix the names of functions and
variables are changed in the library and the headers, but not those of types and macros;
quarry/prefix.h has a #define for each changed name, for sources that use the old names.
"""
import glob
import os
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
from rooms import read, write

ALSO = ["include/quarry/lock.h"]  # cpu_hotplug's exclusive side: CPUs go online and offline
ALONE = ["alone/sys/queue.h", "alone/asm-generic/errno.h"]
# Names that get no prefix: those of a C library, and those that compilers call.
KEPT = re.compile(r"mem(cpy|move|set|cmp)|strcmp|_.*")
TOKEN = re.compile(
    r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\])*"|<[\w./-]+>|\'(?:\\.|[^\'\\])\'|->|\.\.\.|\w+|\s+|.',
    re.DOTALL,
)
MOST_NEEDED = 20  # names that the core may need from outside
INLINE = re.compile(r"^static (?:always_)?inline [^;{=]*?\b(\w+)\(", re.MULTILINE)
# What stands around declarations so that C++ programs link with the C functions.
C_BEGINS = '#ifdef __cplusplus\nextern "C" {\n#endif\n'
C_ENDS = "#ifdef __cplusplus\n}\n#endif\n"
GUARDED = re.compile(
    r"(.*?\n#define QUARRY_\w+_H\n(?:#include [^\n]+\n|\n)*)((?!#include)\S.*\n)(\n#endif\n)",
    re.DOTALL,
)


def program():
    """The program in docs/porting.md."""
    return re.search(r"^```c\n(.*?)^```", read("docs/porting.md"), re.M | re.S).group(1)


def cplusplus():
    """The command in docs/porting.md that compiles a C++ program."""
    return re.search(r"^    (g\+\+ (?:.*\\\n)*.*)$", read("docs/porting.md"), re.M).group(1)


def rust():
    """The command there that compiles a Rust program."""
    return re.search(r"^    (rustc (?:.*\\\n)*.*)$", read("docs/porting.md"), re.M).group(1)


def commands():
    """The make commands in docs/porting.md that build the library and its uses, in their order."""
    page = read("docs/porting.md").split("## What mm/ needs\n")[0]
    return re.findall(r"^    (make .*?)(?: {2,}.*)?$", page, re.M)


def symbols(path):
    """(names that an object or archive defines for others, names that it needs from outside)"""
    words = [os.environ.get("NM") or "nm", "-g", os.path.abspath(path)]
    out = rooms.call(words, stderr=None, check=True).stdout
    rows = [line.split() for line in out.split("\n")]
    defined = {row[2] for row in rows if len(row) == 3}
    return defined, {row[1] for row in rows if len(row) == 2} - defined


def needs(path, port):
    """The names that an archive needs from outside, except those that compilers call, and those in
    the port's arch_inline.h."""
    own = set(re.findall(r"\w+", read(os.path.join(port, "arch_inline.h"))))
    return {name for name in symbols(path)[1] if not name.startswith("_") and name not in own}


def documented():
    """[names that docs/porting.md lists for the core, further names that it lists for all of
    mm/]"""
    text = read("docs/porting.md").split("## What mm/ needs\n")[1].split("\n## ")[0]
    row = re.compile(r"^\| ((?:`\w+`(?:, )?)+) \|", re.MULTILINE)
    tables = [row.findall(part) for part in text.split("All of `mm/` needs besides")]
    return [{name for row in rows for name in re.findall(r"\w+", row)} for rows in tables]


def headers(build):
    """The public headers that the objects were compiled with."""
    found = set(ALSO)
    for path in glob.glob(os.path.join(os.path.abspath(build), "lib", "**", "*.d"), recursive=True):
        found.update(re.findall(r"(?:^|\s)(include/quarry/\w+\.h)", read(path)))
    return sorted(found)


def renamed(text, names, prefix):
    """The header with its functions and variables renamed; members of structures keep their
    names, and so do the rows X(name) of a table, which become parts of other names."""
    out, last, before, at_struct, scopes = [], "", "", False, []
    for token in TOKEN.findall(text):
        code = not token.isspace() and not token.startswith(("/*", "//"))
        if token == "{":
            scopes.append(at_struct)
            at_struct = False
        elif token == "}" and scopes:
            scopes.pop()
        elif token in ("struct", "union"):
            at_struct = True
        elif code and token in ";=()":
            at_struct = False
        kept = last in (".", "->", "struct", "union", "enum") or bool(scopes and scopes[-1])
        kept = kept or (before, last) == ("X", "(")
        out.append(prefix + token if token in names and not kept else token)
        before, last = (last, token) if code else (before, last)
    return "".join(out)


def check_renamed():
    """Check that renamed() works, before its output is used."""
    text = "struct a {\n\tint f;\n};\nint f(struct f *p); /* f */\n#define F(x) (f((x)->f) + g)\n"
    text += "X(g)\nextern struct a g;\n"
    want = text.replace("int f(", "int q_f(").replace("(f((x)->f) + g)", "(q_f((x)->f) + q_g)")
    want = want.replace("a g;", "a q_g;")
    if renamed(text, {"f", "g"}, "q_") != want:
        sys.exit("tools/run/lib.py: a prefix is not put where it belongs")


def for_cplusplus(text):
    """A header of C, for C++ too: there its declarations, behind the first #include lines, have C
    linkage.  A header without a guard has macros only."""
    return GUARDED.sub(rf"\1{C_BEGINS}\n\2\n{C_ENDS}\3", text)


def prefixed(path, texts):
    """(names of the object or archive @path that get the prefix, these and inline functions of the
    headers @texts)"""
    defined, needed = symbols(path)
    words = set(re.findall(r"\w+", " ".join(texts)))
    linked = {name for name in defined | (needed & words) if not KEPT.fullmatch(name)}
    return linked, linked | {name for text in texts for name in INLINE.findall(text)}


def check_prefix(prefix):
    """Check the prefix that was asked for, and renamed(), before their use."""
    check_renamed()
    if prefix and not re.fullmatch(r"[A-Za-z_]\w*", prefix):
        sys.exit(
            f"PREFIX={prefix}: it begins names, so wanted are letters, digits and _; "
            "the directory of make install is prefix="
        )


def make(build, prefix, defines):
    build = os.path.abspath(build)
    plain, made, folder = f"{build}/lib/plain.a", f"{build}/libquarry-mm.a", f"{build}/include"
    texts = {name: for_cplusplus(read(name)) for name in headers(build)}
    for define in defines:
        name, _, value = define[2:].partition("=")
        guarded = re.compile(rf"^(#ifndef {name}\n#define {name} )\S+", re.MULTILINE)
        for path, text in texts.items():
            texts[path] = guarded.sub(rf"\g<1>{value or 1}", text)
    shutil.rmtree(folder, ignore_errors=True)
    for name in ALONE:
        write(os.path.join(folder, name), read(os.path.join("include", name)))
    if not prefix:
        shutil.copy(plain, made)
        for path, text in texts.items():
            write(os.path.join(build, path), text)
        return
    linked, names = prefixed(plain, texts.values())
    for path, text in texts.items():
        write(os.path.join(build, path), renamed(text, names, prefix))
    head = "/* SPDX-License-Identifier: MIT */\n/* prefix.h: made by tools/run/lib.py, for sources "
    head += "written without the prefix. */\n"
    lines = "".join(f"#define {name} {prefix}{name}\n" for name in sorted(names))
    write(os.path.join(folder, "quarry", "prefix.h"), head + lines)
    table = os.path.join(build, "lib", "prefix")
    write(table, "".join(f"{name} {prefix}{name}\n" for name in sorted(linked)))
    words = [os.environ.get("OBJCOPY") or "objcopy", f"--redefine-syms={table}", plain, made]
    subprocess.run(words, check=True)


def main():
    parser = rooms.parser(__doc__)
    parser.add_argument("what", choices=("make", "needs"))
    parser.add_argument("--prefix", default="")
    parser.add_argument("--port", default="arch/host")
    parser.add_argument("--define", action="append", default=[])
    args = parser.parse_args()
    check_prefix(args.prefix)
    if args.what == "make":
        make(args.build, args.prefix, args.define)
    else:
        print("\n".join(sorted(needs(os.path.join(args.build, "libquarry-mm.a"), args.port))))


if __name__ == "__main__":
    rooms.run(main)
