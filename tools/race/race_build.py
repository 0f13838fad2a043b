# SPDX-License-Identifier: MIT
"""Programs that replay races, of the tree and of wrong variants; for race.py."""
import atexit
import os
import shutil
from functools import lru_cache

import check
import variant
import variant_build


def build_one(build, ident, engines):
    """{engine: program} of a variant, or None if it does not build."""
    goals = []
    if "fiber" in engines:
        goals.append((build, f"{build}/fiber/race", {}))
    if set(engines) - {"fiber"}:
        goals.append((f"{build}/race", "kernel", {"RACE": "1"}))
    if not all(check.make(where, goal, **settings) for where, goal, settings in goals):
        return None
    if ident != "none":
        return build_own(build, ident, tuple(engines))
    return {
        e: os.path.join(build, "fiber/race" if e == "fiber" else "race/quarry.elf") for e in engines
    }


@lru_cache(None)
def build_own(build, ident, engines):
    """The programs of build_quick(), which are removed when this process ends."""
    programs, tree = build_quick(build, ident, engines)
    atexit.register(shutil.rmtree, tree, ignore_errors=True)
    return programs


@lru_cache(None)
def base_of(build, name):
    """The build of the unmodified tree, which must be finished."""
    return variant_build.Base(build, name)


def build_quick(build, ident, engines):
    """As build_one(), of a variant that is run and not debugged: (programs or None, its tree)."""
    tree, programs = os.path.join(build, "mutant", f"race-{ident}-{os.getpid()}"), {}
    changed = variant.thin_tree(variant.read(ident), tree)
    for name, mine in (("fiber", {"fiber"}), ("race", set(engines) - {"fiber"})):
        if not mine & set(engines):
            continue
        base = base_of(build, name)
        try:
            program = base.link(tree, base.compile(tree, changed))
        except variant_build.BuildError as e:
            print(e)
            return None, tree
        programs.update(dict.fromkeys(mine & set(engines), program))
    return programs, tree
