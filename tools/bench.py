#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boot with bench under icount, for ring 3, and on the largest machine; collect the figures; `make
bench`.

Usage: tools/bench.py [--build DIR] [--out FILE]

Under icount (shift=0) one tick of the TSC is one instruction, the same in every run: the figures do
not depend on the host or its load.  The kernel prints "bench: NAME VALUE UNIT"; the figures go to
BUILD/bench.json:

  {"figures": [{"name": ..., "unit": ..., "value": ..., "engine": "icount", "compiler": ...}, ...]}
"""
import argparse
import json
import os
import re
import sys

sys.dont_write_bytecode = True  # nothing outside the build directory
import qemu

# The kernel's figures; and those of the program bench, with one CPU, so that threads switch and do
# not wake another CPU.
BOOTS = [
    (
        "bench selftest=none tour=off monitor=off",
        dict(cpus=4, nodes=[512, 512], icount=True, timeout=300),
    ),
    (
        "user=bench selftest=none tour=off monitor=off",
        dict(cpus=1, programs=True, icount=True, timeout=300),
    ),
    # The largest machine, for one figure: the longest hold of the hotplug mutex.
    (
        "bench selftest=none tour=off monitor=off",
        dict(cpus=255, mem=1 << 20, cpu="max,phys-bits=46", icount=True, timeout=900),
    ),
]
ONE_FIGURE = {255: "hotplug_hold_1t_255"}


def collect(text):
    """The figures in a console's text, and those printed twice with different values."""
    found = re.search(r"^bench: compiler (.*)$", text, re.MULTILINE)
    compiler = found.group(1).strip() if found else "unknown"
    if re.match(r"\d", compiler):
        compiler = "gcc " + compiler
    figures = {}
    for name, value, unit in re.findall(r"^bench: (\w+) (\d+) (\S+)$", text, re.MULTILINE):
        figures[name] = {
            "name": name,
            "unit": unit,
            "value": int(value),
            "engine": "icount",
            "compiler": compiler,
        }
    return list(figures.values())


def table(figures):
    widths = [max(len(str(f[k])) for f in figures) for k in ("name", "value", "unit")]
    for f in figures:
        print(f"  {f['name']:{widths[0]}}  {f['value']:{widths[1]}} {f['unit']:{widths[2]}}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--out", help="default: BUILD/bench.json")
    args = parser.parse_args()
    print("bench: booting under icount ...", flush=True)
    text, seconds = "", 0
    for cmdline, machine in BOOTS:
        run = qemu.Machine(**machine).run("bench", cmdline)
        if not run.passed or not collect(run.text):
            print(run.story())
            print(f"bench: {'no figures' if run.passed else 'the run did not pass'}")
            return 1
        only = ONE_FIGURE.get(machine["cpus"])
        text += (
            "".join(re.findall(rf"^bench: {only} .*\n", run.text, re.MULTILINE))
            if only
            else run.text
        )
        seconds += run.seconds
    figures = collect(text)
    out = args.out or os.path.join(args.build, "bench.json")
    with open(out, "w", encoding="utf-8") as f:
        json.dump({"figures": figures}, f, indent=1)
        f.write("\n")
    table(figures)
    print(
        f"bench: {len(figures)} figures, {figures[0]['compiler']}, icount, in {seconds:.1f} s "
        f"({out})"
    )
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
