# SPDX-License-Identifier: MIT
"""Link two objects of one source, the reference's and the student's, into one program; for
lab_build.py and lab_kernel.py.

A function f of a lab's source is ref_f in the reference's object and lab_f in the student's.  Other
code calls a trampoline f, which checks the memory of the call: it calls ref_f for the kernel's own
memory, and lab_f for the memories that tests build.  Calls among the files of a lab stay within the
reference's code or within the student's.
"""
import os
import re
import subprocess

import bodies
import labs
import nm

# Symbols that the headers of a port need where interrupts or preemption are switched on again.
BY_PORT = {
    *("host_attend", "host_attention"),
    *("fiber_at_lock", "fiber_interrupt", "fiber_preempt"),
    "preempt_schedule",
}
# (type of a parameter, test whether it belongs to the kernel's memory).  A function uses the first
# row whose type one of its parameters has.
MEMORY_OF = (
    ("struct memory *", "{0} == &kernel_memory"),
    ("struct zone *", "{0}->mem == &kernel_memory"),
    ("struct node *", "{0}->mem == &kernel_memory"),
    ("struct cma *", "{0}->mem == &kernel_memory"),
    ("struct poison_request *", "{0}->mem == &kernel_memory"),
    ("struct evacuation *", "{0}->zone->mem == &kernel_memory"),
    ("struct free_map *", "map_of_kernel({0})"),
)
# All trees of free blocks of a memory are in one array: the address of a tree tells its memory.
MAP_OF_KERNEL = """
static inline bool map_of_kernel(const struct free_map *map)
{
	const struct memory *mem = &kernel_memory;
	uintptr_t at = (uintptr_t)map;

	return at >= (uintptr_t)tree_of(mem, mem->start_pfn) &&
	    at < (uintptr_t)tree_of(mem, mem->end_pfn);
}
"""


class Failed(Exception):
    """A step of the build failed; the text is the tool's output."""


def run(*command, cwd=labs.ROOT):
    """The command's output; raises Failed with its errors."""
    done = finished(command, cwd)
    if done.returncode:
        raise Failed(done.stderr.strip() or f"{command[0]}: exit status {done.returncode}")
    return done.stdout


def english():
    """The environment of a tool whose output is searched for words."""
    return {**os.environ, "LC_ALL": "C"}


def finished(command, cwd=labs.ROOT):
    """A tool that has ended.  A source that it quotes may be in any encoding."""
    return subprocess.run(
        command,
        cwd=cwd,
        env=english(),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def symbols(path):
    """[(type, name)] of an object's symbols; type U: it needs the symbol."""
    rows = [line.split() for line in run(*nm.COMMAND, path).split("\n") if line]
    return [(row[-2], row[-1]) for row in rows]


def exported(path):
    """(functions, data) that an object defines for others, without weak symbols: objects share
    these."""
    found = symbols(path)
    functions = {name for kind, name in found if kind == "T"}
    return functions, {name for kind, name in found if kind in "BDRC"}


def rename(objcopy, source, to, names):
    """A copy of an object with symbols renamed: {old: new}."""
    listed = to + ".names"
    with open(listed, "w", encoding="utf-8") as f:
        f.writelines(f"{old} {new}\n" for old, new in sorted(names.items()))
    run(objcopy, f"--redefine-syms={listed}", source, to)


def parameters(head, name):
    """(return type, [(type, name)], the text between the brackets)"""
    at = head.index(name + "(") + len(name) + 1
    depth, end = 1, at
    while depth:
        depth += {"(": 1, ")": -1}.get(head[end], 0)
        end += 1
    inner = " ".join(head[at : end - 1].split())
    parts, depth, part = [], 0, ""
    for char in inner + ",":
        depth += {"(": 1, ")": -1}.get(char, 0)
        if char == "," and not depth:
            parts.append(part.strip())
            part = ""
        else:
            part += char
    rows = []
    for part in parts if inner != "void" else []:
        pointer = re.search(r"\(\*(\w+)\)", part)
        word = pointer.group(1) if pointer else re.search(r"(\w+)$", part).group(1)
        rows.append((part if pointer else part[: -len(word)].strip(), word))
    return rows, inner


def condition(rows):
    """The C test whether a call is for the kernel's memory; None if no parameter tells."""
    for kind, text in MEMORY_OF:
        for has, name in rows:
            if has.replace("const ", "") == kind:
                return text.format(name)
    return None


def trampolines(path):
    """The source of a lab file's trampolines: each calls the reference's function or the
    student's."""
    text = labs.read(path)
    head = "".join(line + "\n" for line in text.split("\n") if line.startswith("#include "))
    out = [f"/* Of {path}: the reference's code or the student's (lab_link.py). */\n", head]
    out.append("#include <quarry/mm.h>\n")
    if "free_map.h" in head:
        out.append(MAP_OF_KERNEL)
    for body in bodies.bodies(text).values():
        if re.search(r"\bstatic\b", body.head):
            continue
        rows, inner = parameters(body.head, body.name)
        words = ", ".join(name for _, name in rows)
        back = "" if body.type == "void" else "return "
        gap = "" if body.type.endswith("*") else " "
        which = condition(rows)
        out.append(f"\n{body.type}{gap}ref_{body.name}({inner});\n")
        out.append(f"{body.type}{gap}lab_{body.name}({inner});\n")
        out.append(f"{body.type}{gap}{body.name}({inner})\n{{\n")
        if which:
            out.append(f"\tif (!({which})) {{\n\t\t{back}lab_{body.name}({words});\n")
            out.append("\t\treturn;\n\t}\n" if not back else "\t}\n")
        out.append(f"\t{back}ref_{body.name}({words});\n}}\n")
    return "".join(out)


def write_changed(path, text):
    """Write @text to @path, where a byte that is not UTF-8 is a surrogate; a file that already has
    this text keeps its time."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.exists(path):
        with open(path, encoding="utf-8", errors="surrogateescape") as f:
            if f.read() == text:
                return
    new = f"{path}.{os.getpid()}"
    with open(new, "w", encoding="utf-8", errors="surrogateescape") as f:
        f.write(text)
    os.replace(new, path)
