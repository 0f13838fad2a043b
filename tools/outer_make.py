# SPDX-License-Identifier: MIT
"""A make that has called us says so in the environment; what we call shall not hear of it."""
import os

VARIABLES = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MAKE_TERMOUT", "MAKE_TERMERR")


def env(*without, **more):
    """The environment less what such a make says, and less @without; with @more."""
    return {k: v for k, v in os.environ.items() if k not in VARIABLES + without} | more
