# SPDX-License-Identifier: MIT
"""The members of the memory manager's structures, compared with the table of fields.

fields.py CC FLAGS... compiles the headers below with debugging information, and reads from it which
structures they define, with which members.  Each member needs a row in tests/lib/fields_help.c,
which says what check_memory finds when it has a wrong value.  Structures of functions alone, and
the heads of lists and trees, need none.
"""
import os
import re
import subprocess
import sys
import tempfile

HEADERS = ("mm_types.h", "reclaim_state.h", "oom_state.h", "hotplug_state.h", "vm.h")
TABLE = "tests/lib/fields_help.c"
DIE = re.compile(r"^ *<(\d+)><([0-9a-f]+)>: Abbrev Number: \d+(?: \(DW_TAG_(\w+)\))?")
VALUE = re.compile(r"DW_AT_(name|type|decl_file) *: (?:\(.*?\): )?(?:<0x)?([^\s>]+)")


def entries(text):
    """The entries of readelf's listing: by offset, [tag, attributes, offsets of its members]."""
    found, stack, now = {}, [], None
    for line in text.splitlines():
        die = DIE.match(line)
        if die and die[3]:
            now = [die[3], {}, []]
            found[die[2]] = now
            del stack[int(die[1]) :]
            if stack:
                stack[-1][2].append(die[2])
            stack.append(now)
        elif now and (value := VALUE.search(line)):
            now[1].setdefault(value[1], value[2])
    return found


def members(dies, die):
    """The names of the members of a structure; those of a union without a name count as its own."""
    names = []
    for at in die[2]:
        tag, values, _ = dies[at]
        if tag == "member" and "name" in values:
            names.append((values["name"], values.get("type")))
        elif tag == "member":
            names += members(dies, dies[values["type"]])
    return names


def is_function(dies, at):
    """Is the type a pointer to a function?"""
    tag, values, _ = dies.get(at, ("", {}, ()))
    return tag == "pointer_type" and dies.get(values.get("type"), [""])[0] == "subroutine_type"


def structures(command):
    """{name: members} of the structures that the headers define."""
    text = "".join(open(f"include/quarry/{name}", encoding="utf-8").read() for name in HEADERS)
    names = re.findall(r"^struct (\w+) \{", text, re.M)
    with tempfile.TemporaryDirectory() as tmp:
        source, out = os.path.join(tmp, "fields.c"), os.path.join(tmp, "fields.o")
        with open(source, "w", encoding="utf-8") as f:
            f.writelines(f"#include <quarry/{name}>\n" for name in HEADERS)
            f.writelines(f"extern struct {n} *the_{n}; struct {n} *the_{n};\n" for n in names)
        subprocess.run(command + ["-g", "-w", "-c", source, "-o", out], check=True)
        words = ["readelf", "--debug-dump=info", out]
        listing = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    dies = entries(listing)
    found = {}
    for tag, values, inner in dies.values():
        if tag == "structure_type" and values.get("name") in names and inner:
            fields = members(dies, (tag, values, inner))
            if not all(is_function(dies, kind) for _, kind in fields):
                found[values["name"]] = [name for name, _ in fields]
    return found


def main():
    with open(TABLE, encoding="utf-8") as f:
        rows = set(re.findall(r"^    (?:SEEN|EACH|ITEM|IDLE|LEFT)\((\w+), (\w+),", f.read(), re.M))
    found = structures(sys.argv[1:])
    there = {(s, m) for s in found for m in found[s]}
    for struct, member in sorted(there - rows):
        print(f"{TABLE}: no row for the field {member} of struct {struct}", file=sys.stderr)
    for struct, member in sorted(row for row in rows - there if row[0] in found):
        print(f"{TABLE}: struct {struct} has no field {member}", file=sys.stderr)
    if not found:
        print("fields.py: no structures in the debugging information", file=sys.stderr)
    return bool({r for r in rows if r[0] in found} ^ there) or not found


if __name__ == "__main__":
    sys.exit(main())
