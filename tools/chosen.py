# SPDX-License-Identifier: MIT
"""The files that have changed since the last release, and eighths of a list; for tools that do not
repeat everything in every `make test`: tools/mutants.py, tools/failsweep.py."""
import datetime
import subprocess

import qemu

EIGHTHS = 8


def git(*words):
    """The lines that git prints; None without git, or without its history."""
    try:
        done = subprocess.run(
            ["git", *words], cwd=qemu.ROOT, capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return None if done.returncode else done.stdout.split("\n")[:-1]


def changed():
    """Paths changed since the last release's tag, or without a tag since the last commit; also in
    the work tree.  Without history nothing has changed."""
    # A tree that lies unpacked in another repository has no history of its own.
    if git("rev-parse", "--show-prefix") != [""]:
        return set()
    tags = git("describe", "--tags", "--abbrev=0")
    against = git("diff", "--name-only", tags[0] if tags else "HEAD") or []
    return set(against) | set(git("ls-files", "--others", "--exclude-standard") or [])


def today():
    """The day's eighth: 1 to 8."""
    return datetime.date.today().toordinal() % EIGHTHS + 1


def eighth(items, number):
    """Every eighth of @items, from the one of that number on."""
    return list(items)[number - 1 :: EIGHTHS]


def eighth_of(text):
    """An argument: 1 to 8."""
    if not text.isdigit() or not 1 <= int(text) <= EIGHTHS:
        raise ValueError(f"EIGHTH={text}: wanted 1 to {EIGHTHS}")
    return int(text)
