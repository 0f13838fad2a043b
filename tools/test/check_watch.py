# SPDX-License-Identifier: MIT
"""Run suites again whenever a source is saved: `make check WATCH=1`, for check.py.

First the chosen suites run, then those that a saved file names: the suites that a test's source
defines, or those after "Tests:" in the head of another source.  If it names none, all suites run.
"""
import os
import time

import check
import suites

ROOMS = ("arch", "bench", "demo", "drivers", "include", "kernel", "labs", "mm", "tests")
KINDS = (".c", ".h", ".mk")
LOOK = 0.3  # seconds between two checks


def times():
    """{path: when it was saved}, of all sources."""
    found = {}
    for room in ROOMS:
        for folder, _, names in os.walk(os.path.join(suites.ROOT, room)):
            for name in names:
                path = os.path.join(folder, name)
                if name.endswith(KINDS) and os.path.isfile(path):
                    found[os.path.relpath(path, suites.ROOT)] = os.stat(path).st_mtime_ns
    return found


def saved(before):
    """Wait until sources were saved, created or deleted, and change no more: (paths, times)."""
    last, now = before, times()
    while now == before or now != last:
        time.sleep(LOOK)
        last, now = now, times()
    return sorted(p for p in {*before, *now} if before.get(p) != now.get(p)), now


def named_by(path):
    """The suites that @path defines, or those after "Tests:" in its head; none if it is deleted."""
    try:
        with open(os.path.join(suites.ROOT, path), encoding="utf-8", errors="replace") as f:
            own = suites.names_in(f.read())
        return own or set(suites.named_in(path))
    except FileNotFoundError:
        return set()


def concerned(paths, has):
    """The suites of @has that test the saved files; an empty list stands for all suites."""
    named = [named_by(path) & has for path in paths]
    return sorted(set().union(*named)) if all(named) else []


def builds_for(wanted):
    """The builds to run without ONLY=: plain; for a suite not in plain, the first that has it."""
    have = [check.builds_of(test.split(".")[0]) for test in wanted] or [["plain"]]
    return sorted({"plain" if "plain" in names else names[0] for names in have})


def programs_have(build):
    """The suites of those test programs that are built."""
    programs = [os.path.join(build, f"host-{name}", "check") for name in check.BUILDS]
    built = [check.all_suites(program) for program in programs if os.path.exists(program)]
    return set().union(*built)


def watch(build, only, seed, wanted, fail_fast):
    """Run the suites for each saved file, until Ctrl-C."""
    before, now = times(), wanted
    while True:
        counts, start = check.Counts(), time.monotonic()
        check.check_some(counts, build, only or builds_for(now), seed, now, fail_fast)
        counts.close("hosted", start)
        print("waiting for a source to be saved; Ctrl-C ends this", flush=True)
        paths, before = saved(before)
        suites.suites.cache_clear()
        now = wanted or concerned(paths, programs_have(build))
        print(f"\nsaved: {' '.join(paths)}; suites: {' '.join(now) or 'all'}", flush=True)
