# SPDX-License-Identifier: MIT
"""The files of this tree.  After `import rooms` the modules of all rooms can be imported."""
import argparse
import glob
import os
import signal
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = glob.glob(os.path.join(ROOT, "tools", "*", ""))


def tool(name):
    """The path of the tool @name, such as "check.py"."""
    return glob.glob(os.path.join(ROOT, "tools", "*", name))[0]


def read(path):
    """The text of a file of the tree."""
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as f:
        return f.read()


def write(path, text):
    """Write a file of the tree, or another one by its whole path; its directory is made."""
    path = os.path.join(ROOT, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def call(command, **more):
    """Run a command at the tree's top, without input.  In the result, stdout is all that it says;
    @more are arguments of subprocess.run()."""
    usual = {"cwd": ROOT, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    usual |= {"encoding": "utf-8", "errors": "replace"}
    usual |= {} if "input" in more else {"stdin": subprocess.DEVNULL}
    return subprocess.run(command, **usual | more)


def chosen(parser_, words, known, what="name"):
    """The names in @words, with commas between them, or all that are @known; an error if one is
    none of these."""
    names = words.split(",") if words else list(known)
    if wrong := [name for name in names if name not in known]:
        parser_.error(f"no {what} {', '.join(wrong)}; known: {' '.join(known)}")
    return names


def parser(doc="", usage=None, flags="", words=""):
    """A parser of a tool's arguments, of which --build is one; @doc: its first line says what the
    tool does, the rest explains @flags and @words, options without and with a value; or @usage."""
    first, *rest = doc.split("\n")
    made = argparse.ArgumentParser(usage=usage, description=first)
    if flags or words:
        made.formatter_class = argparse.RawDescriptionHelpFormatter
        made.epilog = "\n".join(rest).strip()
    made.add_argument("--build", default="build")
    for name in flags.split():
        made.add_argument("--" + name, action="store_true")
    for name in words.split():
        made.add_argument("--" + name, default="")
    return made


def run(main, *errors, interrupted=""):
    """Run a tool's main(), which returns the exit status; @errors and Ctrl-C end it shortly.  With
    @interrupted, a line to print, Ctrl-C waits for no thread: the end of a pool would wait for all
    of its jobs, also those that have not begun."""

    def leave(*_):
        print(interrupted, file=sys.stderr, flush=True)
        os._exit(130)  # the programs of the threads end with this one

    if interrupted and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, leave)
    try:
        sys.exit(main())
    except errors as error:
        sys.exit(f"{os.path.basename(sys.argv[0])[:-3]}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


# ---- all files -----------------------------------------------------------------------------------


# Left out if git does not list the tree's files, for a tree that is no clone.
UNTRACKED = {"build", ".git", "__pycache__"}


def git_lists(*words):
    """What `git ls-files` lists, or None without git or in a tree that is no clone."""
    if not os.path.exists(os.path.join(ROOT, ".git")):
        return None
    try:
        words = ["git", "ls-files", "-z", "--others", "--exclude-standard", *words]
        done = call(words, stderr=subprocess.DEVNULL)
    except FileNotFoundError:
        return None
    return None if done.returncode else [row for row in done.stdout.split("\0") if row]


def strays():
    """The files and directories that are neither of the tree nor of those that git ignores."""
    return git_lists("--directory") or []


def listed():
    """The files that git lists, or None.  A new directory at the top, such as one of submissions,
    is not of the tree until git has a file of it."""
    found = git_lists("-t", "--cached")
    if found is None:
        return None
    rows = [row.split(" ", 1) for row in found]
    tops = {path.split("/")[0] for tag, path in rows if tag != "?"}
    # A path that ends with a slash is another repository.
    return [p for _, p in rows if p.split("/")[0] in tops and not p.endswith("/")]


def all_files(*ends):
    """The paths of the files, from the tree's top; with @ends only those that end so."""
    found = listed()
    if found is None:
        found = []
        for folder, folders, files in os.walk(ROOT):
            folders[:] = [name for name in folders if name not in UNTRACKED]
            found += [os.path.relpath(os.path.join(folder, name), ROOT) for name in files]
    return sorted(
        path
        for path in found
        if path and path.endswith(ends or "") and os.path.exists(os.path.join(ROOT, path))
    )
