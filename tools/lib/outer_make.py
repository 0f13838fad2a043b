# SPDX-License-Identifier: MIT
"""Hide an outer make, which passes its state in the environment, from the programs that we call."""
import os

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
