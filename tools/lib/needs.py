# SPDX-License-Identifier: MIT
"""What needs.txt says, and what is not here: for tools that leave something out without it.

A check, a part or a test of which a tool is missing is left out: a line "left out: NAME (why)" says
so, it counts as skipped, and `make test` lists it at the end.  With CI=true on a known distribution
it fails, unless this distribution is known not to have the package.
"""
import functools
import os
import re
import subprocess

import rooms
from rooms import ROOT, read

HERE = os.path.join(ROOT, "tools", "run")
TABLE = os.path.join(HERE, "needs.txt")
LEFT_OUT = re.compile(r"left out: (.+?) \((.*)\)$", re.MULTILINE)
# The sets of which `make test FULL=1` leaves out what cannot be had.
SETS = ("test", "web", "web-check", "docs", "rust", "minimal")
FOUND = "QUARRY_LEFT_OUT"


class LeftOut(Exception):
    """Something cannot be done here; the text says why."""


@functools.lru_cache(None)
def words(kind):
    """The rest of each line of the table that begins with the word @kind."""
    with open(TABLE, encoding="utf-8") as f:
        return [line.split(None, 1)[1].strip() for line in f if line.startswith(kind + " ")]


def distributions():
    """{code name of a known distribution: its container image}"""
    return dict(word.split("=") for word in words("known")[0].split())


def here():
    """The code name of this distribution, or ""."""
    try:
        with open("/etc/os-release", encoding="utf-8") as f:
            return (re.findall(r'^VERSION_CODENAME="?(\w+)', f.read(), re.MULTILINE) or [""])[0]
    except OSError:
        return ""


@functools.lru_cache(None)
def missing():
    """{what is left out here: (package that is missing, distributions without it)}.  Looking takes
    a second, so the processes that this one starts get the answer in their environment."""
    script = ["sh", os.path.join(HERE, "setup.sh"), "-l", *SETS]
    said = os.environ.get(FOUND)
    if said is None:
        said = rooms.call(script, stderr=None, check=True).stdout
        os.environ[FOUND] = said
    rows = [line.split() for line in said.split("\n") if line]
    return {what: (package, absent) for what, package, *absent in reversed(rows)}


def why(what):
    """Why @what is left out, for people; "" if it is not."""
    return f"no {missing()[what][0]} here" if what in missing() else ""


def need(what):
    """Raise LeftOut if @what is left out; its text is the whole line."""
    if why(what):
        raise LeftOut(line(what, why(what)))


def line(what, reason):
    """The line that says so; LEFT_OUT finds it."""
    return f"left out: {what} ({reason})"


def excused(what):
    """May @what be left out even by CI?  Only what a known distribution has may not."""
    return what not in missing() or here() not in set(distributions()) - set(missing()[what][1])


# ---- versions ------------------------------------------------------------------------------------


def tried():
    """[(tool, command that says its version, versions that have been tried)]"""
    rows = (re.split(r"\s+\|\s+", row) for row in words("tried"))
    return [(tool, command.split(), versions.split()) for tool, command, versions in rows]


def version_of(command):
    """The version that @command prints, "1.2" of 1.2.3; "" if it does not run."""
    try:
        done = rooms.call(command, stderr=subprocess.DEVNULL)
    except OSError:
        return ""
    return (re.findall(r"\d+(?:\.\d+)?", done.stdout) or [""])[0]


def versions():
    """One line: the versions of the tools here, and those that are not among the tried ones."""
    said = []
    for tool, command, known in tried():
        version = version_of(command)
        same = {version, version.split(".")[0]} & set(known)
        more = "" if same or not version else f" (tried: {', '.join(known)})"
        said.append(f"{tool} {version or 'not here'}{more}")
    return ", ".join(said)


# ---- lint ----------------------------------------------------------------------------------------

WORKFLOW = ".github/workflows/test.yml"
CONTAINER = ".devcontainer/Dockerfile"


def commands(readme, word="make"):
    """The commands in README that begin with @word, word for word."""
    return re.findall(rf"^    ({word} .*?)(?: {{2,}}.*)?$", readme, re.MULTILINE)


def check_distributions(_):
    """the workflow and the container have the distributions of needs.txt and README's commands, and
    each workflow can check out"""
    images, workflow, container = distributions().values(), read(WORKFLOW), read(CONTAINER)
    matrix = re.findall(r"image: \[(.*)\]", workflow)
    if matrix != [", ".join(images)]:
        yield f"{WORKFLOW}: the images are {matrix}, wanted [{', '.join(images)}]"
    get = commands(read("README.md"), "sudo")[0].split("sudo ")[-1]
    for line in (get, "run: make run", "run: .ci/run"):
        if line not in workflow:
            yield f"{WORKFLOW}: does not run what README says: {line}"
    folder = os.path.dirname(WORKFLOW)
    for name in sorted(os.listdir(os.path.join(ROOT, folder))):
        text = read(os.path.join(folder, name))
        for word in ("ca-certificates", "safe.directory") if "actions/checkout" in text else ():
            if word not in text:
                yield f"{folder}/{name}: a checkout in a container needs {word}"
    if not re.search(rf"^FROM ({'|'.join(images)})$", container, re.MULTILINE):
        yield f"{CONTAINER}: its distribution is not in tools/run/needs.txt"
    for line in (get, "setup.sh test"):
        if line not in container:
            yield f"{CONTAINER}: does not run {line}"
    if '"Dockerfile"' not in read(".devcontainer/devcontainer.json"):
        yield ".devcontainer/devcontainer.json: does not name the Dockerfile"


CHECKS = [check_distributions]
