# SPDX-License-Identifier: MIT
"""The symbols of objects, by nm."""
import os
import platform
import subprocess

COMMAND = (os.environ.get("NM") or "nm").split()
# Before it reads a file of unknown format, GNU's nm loads the plugin of each compiler, which takes
# a tenth of a second.  These tools read objects of the machine on which they run.
if COMMAND == ["nm"] and platform.machine() == "x86_64":
    COMMAND.append("--target=elf64-x86-64")


def symbols(paths):
    """{path: (names that the object exports, names that it needs)}"""
    found = {path: (set(), set()) for path in paths}
    if not found:
        return found
    out = subprocess.run(
        [*COMMAND, "-gA", *found], capture_output=True, text=True, check=True
    ).stdout
    for line in out.split("\n")[:-1]:
        path, words = line.split(":", 1)
        words = words.split()
        found[path][len(words) == 2].add(words[-1])
    return found
