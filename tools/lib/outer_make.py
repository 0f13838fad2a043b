# SPDX-License-Identifier: MIT
"""Call make.  An outer make passes its state in the environment: it is hidden from what we call."""
import os
import re
import shlex

import rooms
from rooms import ROOT

VARIABLES = (
    *("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MAKE_TERMOUT", "MAKE_TERMERR"),
    "ONLY",  # a choice made for the outer make, not for the programs
)


def env(*without, **more):
    """The environment without an outer make's variables and without @without; with @more."""
    return {k: v for k, v in os.environ.items() if k not in VARIABLES + without} | more


def named(path):
    """The name of a file or directory for make: relative to the tree if it lies there.  So all
    callers of make give an object the same name in dependency files."""
    return os.path.relpath(path, ROOT) if path.startswith(ROOT + os.sep) else path


def jobs():
    """The number of processes that keep this machine's cores busy."""
    return max(2, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)


def command(build, *words, threads=None):
    """The command that makes @words in the directory @build."""
    make = [os.environ.get("MAKE", "make"), "--no-print-directory", "-C", ROOT]
    return [*make, f"-j{threads or jobs()}", f"B={named(build)}", *map(named, words)]


def values(build, wanted, settings=None):
    """{key: words} with the values of @wanted, {key: expression of the Makefile}."""
    rule = "make-values: ; @" + "".join(f"echo '{k}' '{v}';" for k, v in wanted.items())
    words = [*(f"{k}={v}" for k, v in (settings or {}).items()), "-s", "--eval", rule]
    make = [*command(build, *words, "make-values"), f"B={build}"]  # whole paths
    out = rooms.call(make, env=env(), stderr=None, check=True).stdout
    return {words[0]: words[1:] for words in map(shlex.split, out.strip().split("\n"))}


def run(build, *goals, **variables):
    """Make @goals: None, or if it fails what make said, without the lines that name compiled
    files, or else its exit status."""
    settings = [f"{name}={value}" for name, value in variables.items()]
    done = rooms.call(command(build, *settings, *goals), env=env())
    if not done.returncode:
        return None
    said = "\n".join(t for t in done.stdout.split("\n") if not re.match(r"  [A-Z]+ ", t))
    return said or f"make ended with {done.returncode}"
