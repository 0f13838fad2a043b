# SPDX-License-Identifier: MIT
"""The allocator as a process of the host, and a plugin beside it; the curves of churn.

The program is examples/plugin/compare.c.
"""
import os
import re
import subprocess

import bench_report
import curve
import qemu

MACHINE = "a process of the host, 8 GiB of page numbers, 1 thread"
CURVES = os.path.join(qemu.ROOT, "docs", "figures", "churn.crv")
TRACE_MACHINE = "a process of the host, 1 GiB of page numbers, 1 thread"
TITLE = "rounds of churn; blocks of 2 MiB of which nothing is held"
SUBJECTS = [("Quarry", None), ("LIFO", "buddy"), ("address order", "buddy-by-address")]


class Failed(Exception):
    """The program could not be built, or it refused the plugin."""


def make(build, *names):
    command = [os.environ.get("MAKE", "make"), "--no-print-directory", "-C", qemu.ROOT]
    command += [f"B={build}", *(f"{build}/{name}" for name in names)]
    # Without the variables and the jobs of an outer make.
    env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(done.stdout + done.stderr)


def run(build, *words):
    command = [os.path.join(build, "use", "compare"), *words]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode < 0:
        raise Failed(
            f"{' '.join(command)}: ended by signal {-done.returncode}\n{done.stdout}".strip()
        )
    if done.returncode:
        raise Failed((done.stdout + done.stderr).strip())
    return done.stdout


def rows(plugin=None):
    """The names of the figures."""
    ours = bench_report.of_group("hosted")
    plugin = [f"plugin_{name}" for name in ours] if plugin else []
    return ours + bench_report.of_group("hosted_traces") + plugin


def found(text, prefix="", suffix=""):
    """The figures in @text, in the form that bench.py uses."""
    version = subprocess.run(
        ["gcc", "-dumpfullversion"], capture_output=True, text=True, check=False
    )
    lines = re.findall(r"^bench: (\w+) (\d+(?:\.\d+)?) (\S.*)$", text, re.M)
    return [
        {
            "name": f"{prefix}{name}{suffix}",
            "unit": unit,
            "value": float(value) if "." in value else int(value),
            "engine": "hosted",
            "machine": MACHINE,
            "compiler": f"gcc {version.stdout.strip()}",
        }
        for name, value, unit in lines
    ]


def fragmentation(build, traces):
    """Fragmentation at the end of each trace, {name: path}: Quarry's, and a LIFO allocator's."""
    lifo = os.path.join(build, "plugin", "buddy.so")
    make(build, "use/compare", "plugin/buddy.so")
    figures = []
    for name, path in traces.items():
        figures += found(run(build, "--trace", path), "hosted_", f"_{name}")
        text = run(build, "--trace", path, lifo).replace("plugin_", "")
        figures += found(text, "lifo_", f"_{name}")
    for figure in figures:
        figure["machine"] = TRACE_MACHINE
    return figures


def figures(build, plugin=None):
    """Quarry's figures and the plugin's, whose names begin with plugin_."""
    make(build, "use/compare")
    return found(run(build, *([os.path.abspath(plugin)] if plugin else [])))


# ---- curves --------------------------------------------------------------------------------------


def measured(text):
    """[(round, number of 2 MiB blocks of which nothing is held)]"""
    return [(int(a), int(b)) for a, b in re.findall(r"^churn (\d+) (\d+)$", text, re.M)]


def draw(build):
    """Measure the curves of docs/figures/churn.crv, from which figures.py draws churn.svg."""
    make(build, "use/compare", *(f"plugin/{p}.so" for _, p in SUBJECTS if p))
    curves = {}
    for name, plugin in SUBJECTS:
        words = [os.path.join(build, "plugin", f"{plugin}.so")] if plugin else []
        curves[name] = measured(run(build, "--curve", *words))
    with open(CURVES, "w", encoding="utf-8") as f:
        f.write(curve.written(TITLE, (0, 100, 20), (0, 2048, 512), curves))
    print(f"bench: {os.path.relpath(CURVES, qemu.ROOT)} is measured; make figures draws it")
