# SPDX-License-Identifier: MIT
"""The command that runs one failed test again, alone: printed by test.py, and tried by it.

The name of a failure begins with its part: "hosted plain: drain.a_test", "lint: words".
"""
import re
import shlex

import check

# Part: (its make target, a pattern for a test's name, whose groups make the target's ONLY).
TARGETS = {
    "lint": ("lint", r"lint: (\w+)"),
    "mutants": ("mutants", r"mutants: (\w+): "),
    "failures": ("failsweep", r"failures: (\w+\.\w+)"),
    "labs": ("labs-check", r"labs: ([\w.]+): "),
    "bench": ("bench", r"bench: (\w+)"),
    "bochs": ("test-bochs", r"bochs: (\w+): "),
    "models": ("model", r"models: (\w+) ([\w-]+): "),
}


def command(name, part, run):
    """The shell command that runs a failed test again; "" if there is none, as for a build."""
    if not part or name.endswith("does not build") or ": not run: " in name:
        return ""
    known = {"hosted": hosted, "races": race, "library": library}.get(part)
    line = known(name, run) if known else ""
    if part in TARGETS:
        target, pattern = TARGETS[part]
        found = re.match(pattern, name)
        line = make(run, target, ONLY="-".join(found.groups())) if found else ""
    found = re.match(r"\w+: (tests/qemu/\S+\.py::.*?)(: did not end)?$", name)
    if found:
        line = pytest(found.group(1), run)
    return line or make(run, "test", ONLY=part, **({"FULL": 1} if run.full else {}))


def build(name, builds):
    """The command of a failed build, or ""; @builds: {name: job} of parts.py."""
    job = next((job for job in builds.values() if name.startswith(job.name + ":")), None)
    return shlex.join(job.command) if job else ""


def make(run, target, **variables):
    words = [f"B={run.build}"] if run.build != "build" else []
    words += [f"{key}={shlex.quote(str(value))}" for key, value in variables.items()]
    return " ".join(["make", target, *words])


def hosted(name, run):
    found = re.match(r"hosted ([\w-]+): (?:.* in )?(\w+\.\w+)", name)
    if not found:
        build = re.match(r"hosted ([\w-]+)", name)
        return make(run, "check", ONLY=build.group(1)) if build else ""
    build, test = found.groups()
    return check.repeat(run.build, build, test)


def race(name, run):
    found = re.match(r"races: (\S+)(?: with (\w+))?$", name)
    words = " ".join(word for word in found.groups() if word) if found else ""
    return make(run, "race", NAME=words) if words else make(run, "race")


def library(name, run):
    found = re.match(r"library: (?:library: )?(\w+)", name)
    build = f" --build {run.build}" if run.build != "build" else ""
    return f"python3 tools/test/library.py{build} --only {found.group(1)}" if found else ""


def pytest(ident, run):
    full = "FULL=1 " if run.full else ""
    limit = f"QUARRY_LIMIT={run.limit(ident):.0f} "
    return (
        f"{full}{limit}QUARRY_BUILD={run.build} {run.python} -m pytest -p no:cacheprovider "
        f"{shlex.quote(ident)}"
    )
