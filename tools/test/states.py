#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Search every state of small memories, with every call in each; `make states`.

tests/states/scopes.c has the memories and their calls.  Without --scope, the scopes of `make test`
are searched, with --full also the larger ones.  The search of a scope ends with a line that has its
states and calls, and COMPLETE if there are no more; or with a shortest list of calls that shows
what is wrong.  docs/proof.md explains both.
"""
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
from rooms import read
import check

WHEN = {False: ("each",), True: ("each", "full")}
SCOPE = re.compile(r'^    \{\.name = "(\w+)",', re.MULTILINE)


def names():
    """The names of all scopes, from the source."""
    return SCOPE.findall(read("tests/states/scopes.c"))


def scopes(program):
    """{name: (when it is searched, what it is)} of a built program."""
    text = rooms.call([program, "--list"], check=True).stdout
    rows = [line.split("\t") for line in text.splitlines()]
    return {name: (when, about) for name, when, about in rows}


def search(program, name):
    """Search one scope: (was nothing found?, the program's output)."""
    done = rooms.call([program, name])
    return done.returncode == 0 and done.stdout.startswith("ok "), done.stdout


def main():
    parser = rooms.parser(__doc__)
    parser.add_argument("--full", action="store_true", help="the larger scopes, too")
    parser.add_argument("--scope", help="only these, with commas")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--list", action="store_true", help="print the scopes")
    args = parser.parse_args()
    program = os.path.join(os.path.abspath(args.build), "states", "states")
    if not check.make(args.build, program):
        return 1
    known = scopes(program)
    if args.list:
        for name, (when, about) in known.items():
            print(f"{name:10} {when:5} {about}")
        return 0
    chosen = [name for name, (when, _) in known.items() if when in WHEN[args.full]]
    if args.scope:
        chosen = args.scope.split(",")
        unknown = [name for name in chosen if name not in known]
        if unknown:
            sys.exit(f"states.py: no scope {', '.join(unknown)}; LIST=1 names them")
    counts = check.Counts()
    with ThreadPoolExecutor(max(1, args.jobs)) as pool:
        for name, (good, text) in zip(chosen, pool.map(lambda n: search(program, n), chosen)):
            print("\n".join("  " + line for line in text.rstrip().split("\n")), flush=True)
            counts.one(good, f"states {name}")
    return counts.close("states")


if __name__ == "__main__":
    rooms.run(main)
