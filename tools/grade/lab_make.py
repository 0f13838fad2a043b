# SPDX-License-Identifier: MIT
"""Make files that are not up to date: the Makefile's settings, objects, and files made of objects;
for lab_build.py and the tools that build grading programs.
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

import labs
from lab_link import Failed, english, write_changed

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


class Limited(Failed):
    """A compiler has reached a limit; the text names the source and the limit."""


def compiled(command, source):
    """A compiler that has ended: (exit status, its output).  It runs with limits, since a short
    source can have an endless expansion."""
    limits = ["prlimit", f"--cpu={MOST_CPU}:{MOST_CPU + 5}", f"--as={MOST_MEMORY}"]
    limits += [f"--fsize={MOST_FILE}", "--core=0", "--"]
    with tempfile.TemporaryFile() as said:
        done = subprocess.run(
            [*limits, *command],
            cwd=ROOT,
            env=english(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            check=False,
        )
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
        kept = {}
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                kept = json.load(f)
        if kept.get("state") != state:
            kept = {"state": state, "values": self.asked()}
            write_changed(path, json.dumps(kept))
        self.values = kept["values"]

    def asked(self):
        """{name: value}, from make."""
        clean = {
            k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
        }
        text = subprocess.run(
            ["make", "-s", "--no-print-directory", "lab-settings"],
            cwd=ROOT,
            env=clean,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        return dict(line.split(" ", 1) for line in text.split("\n") if " " in line)

    def __getitem__(self, name):
        return self.values[name].split()


@contextlib.contextmanager
def locked(path):
    """Hold the lock of the file @path, against other processes and other threads of this one."""
    with open(path, "w", encoding="utf-8") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def alone(build):
    """A file lock: tools that run at the same time build their shared files one by one."""
    folder = os.path.join(os.path.abspath(os.path.join(ROOT, build)), "labs")
    os.makedirs(folder, exist_ok=True)
    with locked(os.path.join(folder, "lock")):
        yield


def inputs_of(path):
    """The inputs of an object, from the file @path in which the compiler lists them for make."""
    with open(path, encoding="utf-8") as f:
        rule = f.read().replace("\\\n", " ").split("\n")[0].split(":", 1)[1]
    names = re.findall(r"(?:\\[ \t#]|\S)+", rule)
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
        if not os.path.exists(self.path):
            return {}
        with open(self.path, encoding="utf-8") as f:
            return json.load(f)

    def save(self):
        """Save the stamps of what was made here, beside those that other processes have saved."""
        os.makedirs(self.folder, exist_ok=True)
        new = f"{self.path}.{threading.get_native_id()}"
        with locked(f"{self.path}.lock"):
            with open(new, "w", encoding="utf-8") as f:
                json.dump(self.saved() | dict(self.unsaved), f)
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
        text = json.dumps([command, [(path, self.time_of(path)) for path in sorted(inputs)]])
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
        """Compile an object, unless it is fresh; returns the compiler's output.  The compiler lists
        the inputs."""
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
        """Compile @rows, (source, object, command) each, as many at once as there are CPUs; returns
        the compiler's output."""
        said = ""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for nr, text in enumerate(pool.map(lambda row: self.compile(*row), rows), 1):
                said += text
                # A first build takes long, and may be interrupted: save its progress.
                if nr % 16 == 0 and self.made:
                    self.save()
        return said

    def make(self, to, inputs, step, *what):
        """Make the file @to from @inputs by step(); @what: other values on which it depends."""
        command = [step.__name__, *what]
        if self.fresh(to, command, inputs):
            return
        os.makedirs(os.path.dirname(to), exist_ok=True)
        with self.alone():
            # A file that an interrupted build has left must not count as new.
            if os.path.exists(to):
                os.unlink(to)
            step()
        self.done(to, command, inputs)
