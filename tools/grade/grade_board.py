# SPDX-License-Identifier: MIT
"""The leaderboard: how many instructions a kernel whose own memory uses the student's code takes
for an event of the kernel's short trace (bench/traces/README.md); for grade.py.

QEMU counts: under icount the time stamp counter counts instructions, so the figure is the same each
time, on any host.
"""
import re
import sys

sys.dont_write_bytecode = True
import lab_kernel
from lab_make import alone

MORE = "tour=off monitor=off trace="
FIGURE = re.compile(r"^ +([\d.]+) cycles \(instructions under icount\) per event", re.MULTILINE)


def of_kernel(one, build, tree, name):
    """The instructions per event, or None if the kernel does not get so far."""
    with alone(build):
        image = lab_kernel.Kernel(one, build, own=True).program(tree, name)
    found = FIGURE.search(lab_kernel.boot(image, "none", cpus=1, more=MORE).text)
    return float(found.group(1)) if found else None


def measure(one, build, tree, name):
    """{"instructions": of the student's code, "reference", "ratio"}, or None."""
    if one.in_ring_3() or not one.own:
        return None
    theirs = of_kernel(one, build, tree, name)
    if theirs is None:
        return None
    ours = of_kernel(one, build, None, "reference") if tree else theirs
    return {"instructions": theirs, "reference": ours, "ratio": round(theirs / ours, 3)}
