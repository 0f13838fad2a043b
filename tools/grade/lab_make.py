# SPDX-License-Identifier: MIT
"""Make files that are not up to date: the Makefile's settings, objects, and files made of objects;
for lab_build.py, lab_kernel.py and the tools that build grading programs.

They link two objects of one source, the reference's and the student's, into one program.  A
function f of a lab's source is ref_f in the reference's object and lab_f in the student's.  Other
code calls a trampoline f, which checks the memory of the call: it calls ref_f for the kernel's own
memory, and lab_f for the memories that tests build.  Calls among the files of a lab stay within the
reference's code or within the student's.
"""
import contextlib
import fcntl
import hashlib
import json
import os
import re
import signal
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor

import bodies
import labs
import nm
import outer_make
import rooms

ROOT = labs.ROOT
# Limits of one compilation: seconds of processor time, and bytes.
MOST_CPU, MOST_MEMORY, MOST_FILE = 60, 2 << 30, 64 << 20
SAID = 1 << 20  # most bytes that are read of a compiler's output
# (what a compiler says, or the signal by which it ends; which limit it has reached)
REACHED = (
    (r"CPU time limit exceeded", signal.SIGXCPU, "seconds of processor time"),
    (r"out of memory|memory exhausted|bad_alloc|[Cc]annot allocate memory", None, "MiB of memory"),
    (r"[Ff]ile (size limit exceeded|too large)", signal.SIGXFSZ, "MiB of output"),
)


class Failed(Exception):
    """A step of the build failed; the text is the tool's output."""


class Limited(Failed):
    """A compiler has reached a limit; the text names the source and the limit."""


def english():
    """The environment of a tool whose output is searched for words."""
    return {**os.environ, "LC_ALL": "C"}


def run(*command):
    """The command's output; raises Failed with its errors."""
    done = rooms.call(command, env=english(), stderr=subprocess.PIPE)
    if done.returncode:
        raise Failed(done.stderr.strip() or f"{command[0]}: exit status {done.returncode}")
    return done.stdout


def compiled(command, source):
    """A compiler that has ended: (exit status, its output).  It runs with limits, since a short
    source can have an endless expansion."""
    limits = ["prlimit", f"--cpu={MOST_CPU}:{MOST_CPU + 5}", f"--as={MOST_MEMORY}"]
    limits += [f"--fsize={MOST_FILE}", "--core=0", "--"]
    with tempfile.TemporaryFile() as said:
        words = [*limits, *command]
        done = rooms.call(words, env=english(), stdout=subprocess.DEVNULL, stderr=said)
        size = said.tell()
        said.seek(0)
        text = said.read(SAID).decode("utf-8", "replace")
        said.seek(max(0, size - SAID))
        end = said.read().decode("utf-8", "replace")
    if done.returncode:
        most = (MOST_CPU, MOST_MEMORY >> 20, MOST_FILE >> 20)
        for (words, number, unit), limit in zip(REACHED, most):
            if re.search(words, end) or (number and done.returncode == -number):
                name = re.sub(r".*/staged/[^/]+/", "", source)
                raise Limited(f"{name}: its compilation needs more than {limit} {unit}")
    return done.returncode, text


class Once:
    """Keeps results that depend on this tree only, for a process that grades many submissions while
    the tree does not change.  In other processes kept is None: they check each time."""

    kept = None

    @classmethod
    def begin(cls):
        cls.kept = {}

    @classmethod
    def of(cls, make, *key):
        """The result of make(); if results are kept, make() is called once for each @key."""
        if cls.kept is None:
            return make()
        if key not in cls.kept:
            cls.kept[key] = make()
        return cls.kept[key]


class Settings:
    """The compilers, flags and lists of the Makefile."""

    # Variables of the environment that the Makefile uses.
    NAMES = ("CC", "LD", "NM", "HOSTCC", "CROSS_COMPILE", "RACE", "CHECKED", "KG", "VARIANT")

    def __init__(self, build):
        path = os.path.join(build, "labs", "settings.json")
        inputs = [os.path.join(ROOT, "Makefile")]
        for folder, folders, files in os.walk(ROOT):
            folders[:] = [name for name in folders if not name.startswith((".", "build"))]
            inputs += [os.path.join(folder, n) for n in files if n[-3:] == ".mk"]
            if os.path.relpath(folder, ROOT).startswith("tests/"):  # wildcards are lists of files
                inputs.append(folder)
        state = [[name, os.stat(name).st_mtime_ns] for name in sorted(inputs)]
        state += [[name, os.environ.get(name)] for name in self.NAMES]
        kept = json.loads(rooms.read(path)) if os.path.exists(path) else {}
        if kept.get("state") != state:
            kept = {"state": state, "values": self.asked()}
            write_changed(path, json.dumps(kept))
        self.values = kept["values"]

    def asked(self):
        """{name: value}, from make."""
        command = ["make", "-s", "--no-print-directory", "lab-settings"]
        text = rooms.call(command, env=outer_make.env(), stderr=subprocess.PIPE, check=True).stdout
        return dict(line.split(" ", 1) for line in text.split("\n") if " " in line)

    def __getitem__(self, name):
        return self.values[name].split()


@contextlib.contextmanager
def locked(path):
    """Hold the lock of the file @path, against other processes and other threads of this one."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def alone(build):
    """A file lock: tools that run at the same time build their shared files one by one."""
    return locked(os.path.join(os.path.abspath(os.path.join(ROOT, build)), "labs", "lock"))


def inputs_of(path):
    """The inputs of an object, from the file @path in which the compiler lists them for make.  If
    it is empty, since a compiler is at work: a file that does not exist."""
    rule = rooms.read(path).replace("\\\n", " ").split("\n")[0].partition(":")[2]
    names = re.findall(r"(?:\\[ \t#]|\S)+", rule) or [path + ".empty"]
    return [re.sub(r"\\([ \t#])", r"\1", name).replace("$$", "$") for name in names]


class Builder:
    """
    Makes files that are older than their inputs, or whose command has changed.  Several processes
    may build in one directory: an object appears only when it is whole, and only one process at a
    time makes files from objects.
    """

    def __init__(self, folder):
        self.folder = folder
        self.path = os.path.join(folder, "stamps.json")
        self.stamps, self.times, self.made, self.unsaved = self.saved(), {}, 0, {}

    def saved(self):
        return json.loads(rooms.read(self.path)) if os.path.exists(self.path) else {}

    def save(self):
        """Save the stamps of what was made here, beside those that other processes have saved."""
        if not self.unsaved:
            return
        new = f"{self.path}.{threading.get_native_id()}"
        with locked(f"{self.path}.lock"):
            rooms.write(new, json.dumps(self.saved() | dict(self.unsaved)))
            os.replace(new, self.path)

    def alone(self):
        """A file lock: no other process makes files from objects meanwhile."""
        top = self.folder[: self.folder.rindex("/labs/")]
        return locked(os.path.join(top, "labs", ".lock"))

    def time_of(self, path):
        if path not in self.times:
            full = os.path.join(ROOT, path)
            self.times[path] = os.stat(full).st_mtime_ns if os.path.exists(full) else 0
        return self.times[path]

    def state(self, command, inputs):
        times = [(path, self.time_of(path)) for path in sorted(inputs)]
        text = json.dumps([command, times], sort_keys=True)
        return hashlib.sha1(text.encode()).hexdigest()

    def fresh(self, to, command, inputs=None):
        kept = self.stamps.get(to)
        if not kept or not os.path.exists(to):
            return False
        return kept["state"] == self.state(command, kept["inputs"] if inputs is None else inputs)

    def done(self, to, command, inputs):
        self.times.pop(to, None)
        self.stamps[to] = {"inputs": inputs, "state": self.state(command, inputs)}
        self.unsaved[to] = self.stamps[to]
        self.made += 1

    def cache(self, source):
        """ccache, but only for sources of this tree: its objects name the folder of their first
        compilation, and the report of a student's crash would show that folder."""
        given = not os.path.isabs(source) and not source.startswith("build")
        return os.environ.get("CCACHE", "").split() if given else []

    def compile(self, source, to, command):
        """Compile an object, unless it is fresh; returns what the compiler says."""
        command = [*command, "-c", source]
        if self.fresh(to, command):
            return ""
        os.makedirs(os.path.dirname(to), exist_ok=True)
        new = f"{to}.{threading.get_native_id()}"
        # The same target for all threads and folders, because ccache keeps it with the object.
        dependencies = ["-MD", "-MT", "object", "-MF", new + ".d"]
        status, said = compiled([*self.cache(source), *command, *dependencies, "-o", new], source)
        if status:
            raise Failed(said.strip() or f"{source}: the compiler ended with status {status}")
        inputs = inputs_of(new + ".d")
        os.unlink(new + ".d")
        os.replace(new, to)
        self.done(to, command, inputs)
        return said

    def compile_all(self, rows):
        """Compile @rows, (source, object, command) each, as many at once as there are CPUs, and
        save; returns the compiler's output."""
        said = ""
        try:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                for nr, text in enumerate(pool.map(lambda row: self.compile(*row), rows), 1):
                    said += text
                    # A first build takes long, and may be interrupted: save its progress.
                    if nr % 16 == 0 and self.made:
                        self.save()
        finally:
            self.save()
        return said

    def make(self, to, inputs, step, *what):
        """Make the file @to from @inputs by step(*what), and save; returns @to."""
        command = [step.__name__, *what]
        if self.fresh(to, command, inputs):
            return to
        os.makedirs(os.path.dirname(to), exist_ok=True)
        with self.alone():
            # A file that an interrupted build has left must not count as new.
            if os.path.exists(to):
                os.unlink(to)
            step(*what)
        self.done(to, command, inputs)
        self.save()
        return to


# ---- the reference's and the student's objects ---------------------------------------------------


# Symbols that the headers of a port need where interrupts or preemption are switched on again.
BY_PORT = set(
    "host_attend host_attention fiber_at_irq fiber_at_lock fiber_interrupt fiber_preempt".split()
)
BY_PORT |= {"preempt_schedule"}
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


def rename(source, to, names):
    """A copy of an object with symbols renamed: {old: new}."""
    rooms.write(to + ".names", "".join(f"{old} {new}\n" for old, new in sorted(names.items())))
    run("objcopy", f"--redefine-syms={to}.names", source, to)


def parameters(head, name):
    """(return type, [(type, name)], the text between the brackets)"""
    at = head.index(name + "(") + len(name) + 1
    depth, end = 1, at
    while depth:
        depth += {"(": 1, ")": -1}.get(head[end], 0)
        end += 1
    inner = " ".join(head[at : end - 1].split())
    rows = []
    for part in re.findall(r"((?:\([^()]*\)|[^(),])+),?", inner) if inner != "void" else []:
        pointer = re.search(r"\(\*(\w+)\)", part)
        word = pointer.group(1) if pointer else re.search(r"(\w+)$", part).group(1)
        rows.append(((part if pointer else part[: -len(word)]).strip(), word))
    return rows, inner


def condition(rows):
    """The C test whether a call is for the kernel's memory; None if no parameter tells."""
    for kind, text in MEMORY_OF:
        for has, name in rows:
            if has.replace("const ", "") == kind:
                return text.format(name)
    return None


def trampolines(path):
    """The source of a lab file's trampolines, which call the reference's or the student's code."""
    text = labs.read(path)
    head = "".join(line + "\n" for line in text.split("\n") if line.startswith("#include "))
    out = [f"/* Of {path}: the reference's code or the student's (lab_make.py). */\n", head]
    out.append("#include <quarry/mm.h>\n")
    if "free_map.h" in head:
        out.append(MAP_OF_KERNEL)
    for body in bodies.bodies(text).values():
        if re.search(r"\bstatic\b", body.head):
            continue
        rows, inner = parameters(body.head, body.name)
        words = ", ".join(name for _, name in rows)
        back = "" if body.type == "void" else "return "
        kind = body.type + ("" if body.type.endswith("*") else " ")
        which = condition(rows)
        out += [f"\n{kind}ref_{body.name}({inner});\n", f"{kind}lab_{body.name}({inner});\n"]
        out.append(f"{kind}{body.name}({inner})\n{{\n")
        if which:
            out.append(f"\tif (!({which})) {{\n\t\t{back}lab_{body.name}({words});\n")
            out.append("\t\treturn;\n\t}\n" if not back else "\t}\n")
        out.append(f"\t{back}ref_{body.name}({words});\n}}\n")
    return "".join(out)


def write_changed(path, text):
    """Write @text, bytes or not, to @path; a file that already has this text keeps its time."""
    data = text if isinstance(text, bytes) else text.encode()
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.exists(path):
        with open(path, "rb") as f:
            if f.read() == data:
                return
    new = f"{path}.{os.getpid()}"
    with open(new, "wb") as f:
        f.write(data)
    os.replace(new, path)
