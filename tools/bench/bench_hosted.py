# SPDX-License-Identifier: MIT
"""The allocator as a process of the host, and a plugin beside it; the curves of churn; times.

The program for all but times is examples/plugin/compare.c.
"""
import json
import os
import platform
import re
import statistics

import bench_report
import figures as drawing
import outer_make
import rooms
from bench_report import Failed, said
from rooms import ROOT

MACHINE = "a process of the host, 8 GiB of page numbers, 1 thread"
CURVES = os.path.join(ROOT, "docs", "figures", "churn.crv")
TRACE_MACHINE = "a process of the host, 1 GiB of page numbers, 1 thread"
TITLE = "rounds of churn; blocks of 2 MiB of which nothing is held"
SUBJECTS = [("Quarry", None), ("LIFO", "buddy"), ("address order", "buddy-by-address")]


def make(build, *names):
    wrong = outer_make.run(build, *(f"{build}/{name}" for name in names))
    if wrong is not None:
        raise Failed(wrong)


def run(build, *words):
    return said(os.path.abspath(os.path.join(build, "use", "compare")), *words, cwd=None)


def rows(plugin=None):
    """The names of the figures."""
    ours = bench_report.of_group("hosted")
    plugin = [f"plugin_{name}" for name in ours] if plugin else []
    return ours + bench_report.of_group("hosted_traces") + plugin


def found(text, prefix="", suffix=""):
    """The figures in @text, in the form that bench.py uses."""
    version = rooms.call(["gcc", "-dumpfullversion"]).stdout.strip()
    how = {"engine": "hosted", "machine": MACHINE, "compiler": f"gcc {version}"}
    figures_ = []
    for name, value, unit in re.findall(r"^bench: (\w+) (\d+(?:\.\d+)?) (\S.*)$", text, re.M):
        value = float(value) if "." in value else int(value)
        figures_.append({"name": f"{prefix}{name}{suffix}", "unit": unit, "value": value, **how})
    return figures_


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
    rooms.write(CURVES, drawing.written(TITLE, (0, 100, 20), (0, 2048, 512), curves))
    print(f"bench: {os.path.relpath(CURVES, ROOT)} is measured; make figures draws it")


# ---- time: `make bench TIME=1` -------------------------------------------------------------------
# A process pinned to one CPU measures single operations.  bench/time has the programs: one for each
# allocator, in turn in each round, so that what else runs on the machine meets all of them.  A
# figure is the median of the rounds; a ratio is the median of the rounds' ratios.  Nothing fails by
# a time: a ratio to the floor that is WARN times the recorded one (bench/times.json, by the name of
# the CPU) is printed as a warning.

FOLDER = os.path.join(ROOT, "bench", "time")
PLUGINS = os.path.join(ROOT, "examples", "plugin")
RECORD = os.path.join(ROOT, "bench", "times.json")
ROUNDS, SECONDS, SHORT, WARN = 5, 0.2, 0.002, 1.3
OURS, FLOOR = "this tree", "floor"
# What the kernel is compiled with, but for its addresses; both trees, the port and the floor alike.
KERNEL = (
    "-fno-pie -fno-omit-frame-pointer -fno-stack-protector -fcf-protection=none "
    "-fno-delete-null-pointer-checks -fno-asynchronous-unwind-tables -falign-functions=64"
)
PROGRAM = f"-std=gnu11 -O2 -g1 -fno-strict-aliasing -no-pie -pthread -I{PLUGINS} -I{FOLDER} "
PROGRAM = (PROGRAM + KERNEL).split()


# ---- the programs --------------------------------------------------------------------------------


def base_tree(commit, build):
    """(name, folder) of the sources of @commit, unpacked in BUILD/time."""
    words = ["rev-parse", "--quiet", "--verify", "--short=8", f"{commit}^{{commit}}"]
    try:
        name = said("git", *words).strip()
    except Failed as error:
        why = "git is not installed" if "No such file" in str(error) else "no such commit here"
        raise Failed(f"BASE={commit}: {why}") from error
    folder = os.path.join(build, "time", name)
    if not os.path.isdir(folder):
        packed = os.path.join(build, "time", f"{name}.tar")
        said("git", "archive", f"--output={packed}", name)
        os.makedirs(folder + ".new", exist_ok=True)
        said("tar", "-xf", packed, "-C", folder + ".new")
        os.rename(folder + ".new", folder)
        os.unlink(packed)
    return name, folder


def compiler():
    return os.environ.get("HOSTCC") or "gcc"


def build_tree(tree, out):
    """The program with the core of the mm/ in @tree, unchanged."""
    header = rooms.read(os.path.join(tree, "include/quarry/memory_init.h"))
    more = ["-DTIME_EARLIER"] if "struct pcp **pcp;" in header else []
    flags = " ".join(["-mgeneral-regs-only", KERNEL, *more])
    library = f"{out}/libquarry-mm.a"
    words = [f"B={out}", "CORE=1", f"PORT={FOLDER}", f"LIBFLAGS={flags}", f"LIBCC={compiler()}"]
    make = os.environ.get("MAKE", "make")
    said(make, "-s", "-C", tree, *words, library, what="make lib", env=outer_make.env())
    includes = [f"-I{tree}/include", "-idirafter", f"{tree}/include/alone"]
    sources = [f"{FOLDER}/time.c", f"{FOLDER}/port.c", f"{tree}/kernel/lock.c", library]
    said(compiler(), *PROGRAM, *more, *includes, *sources, "-o", f"{out}/time")
    return f"{out}/time"


def build_other(path, out):
    """The program with a plugin, or with the floor; sources are compiled as the trees are."""
    path = os.path.abspath(path)
    more = [f"-Wl,-rpath,{os.path.dirname(path)}"] if not path.endswith(".c") else []
    said(compiler(), *PROGRAM, f"{FOLDER}/time.c", path, *more, "-o", out, what=path)
    return out


def subjects(build, base, plugin):
    """{name: program}; the floor is the last one."""
    build = os.path.abspath(build)
    os.makedirs(os.path.join(build, "time"), exist_ok=True)
    plugins = (plugin or "").split()
    for path in plugins:
        if not os.path.isfile(path):
            raise Failed(f"PLUGIN: {path}: no such file")
    unpacked = base_tree(base, build) if base is not None else None
    found = {OURS: build_tree(ROOT, os.path.join(build, "time", "tree"))}
    if unpacked:
        found[unpacked[0]] = build_tree(unpacked[1], os.path.join(unpacked[1], "build"))
    for path in plugins:
        name = os.path.splitext(os.path.basename(path))[0]
        if name in (*found, FLOOR):
            raise Failed(f"PLUGIN names two allocators {name}")
        found[name] = build_other(path, os.path.join(build, "time", f"plugin-{name}"))
    found[FLOOR] = build_other(os.path.join(FOLDER, "floor.c"), os.path.join(build, "time/floor"))
    return found


# ---- figures -------------------------------------------------------------------------------------


def measure(programs, rounds, seconds):
    """{row: {name: [ns of each round]}}"""
    *others, cpu = sorted(os.sched_getaffinity(0))
    words = [str(seconds), *map(str, others[-1:])]  # the CPU of a second thread
    rows = {}
    for _ in range(rounds):
        for name, program in programs.items():
            pinned = {"what": name, "preexec_fn": lambda: os.sched_setaffinity(0, {cpu})}
            times = said(program, *words, **pinned)
            for row, ns in re.findall(r"^time: (\w+) ([\d.]+)$", times, re.M):
                rows.setdefault(row, {}).setdefault(name, []).append(float(ns))
    return rows


def ratio(row, name, to):
    """The median of the rounds' ratios; None if one of the two has no such row."""
    if name not in row or to not in row:
        return None
    return statistics.median(a / b for a, b in zip(row[name], row[to]))


def cell(row, name):
    if name not in row:
        return ""
    text = f"{statistics.median(row[name]):.1f}"
    return text if name == OURS else f"{text} ({ratio(row, OURS, name):.2f})"


def table(rows, names):
    """Lines: the median ns of each allocator; in brackets what this tree takes of it."""
    width = [max(len(name), 14) for name in names]
    yield f"{'ns':24}" + "".join(f"  {name:>{w}}" for name, w in zip(names, width))
    for row, found in rows.items():
        yield f"{row:24}" + "".join(f"  {cell(found, n):>{w}}" for n, w in zip(names, width))


def cpu_name():
    found = dict(re.findall(r"^(model name|model)\s*: (.*)$", rooms.read("/proc/cpuinfo"), re.M))
    # Virtual machines call many CPUs the same: the model tells them apart.
    return f"{found.get('model name', 'unknown')}, model {found.get('model', '?')}"


def read_record(path=None):
    path = path or RECORD
    if not os.path.exists(path):
        return {}
    try:
        every = json.loads(rooms.read(path))
        return {cpu: {"why": e["why"], "rows": dict(e["rows"])} for cpu, e in every.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Failed(f"{path}: not a record of times: {error}") from error


def warnings(rows, known):
    """A line for each row whose ratio to the floor has risen far above the recorded one."""
    for name, row in rows.items():
        now, was = ratio(row, OURS, FLOOR), known.get(name, {}).get("to_floor")
        if now and was and now > WARN * was:
            yield f"warning: {name} takes {now:.2f} of the floor's time, recorded {was:.2f}"


def record(rows, cpu, why, path=None):
    path, every = path or RECORD, read_record(path)
    every[cpu] = {"why": why, "rows": {}}
    for name, row in rows.items():
        to = ratio(row, OURS, FLOOR)
        figure = {"ns": round(statistics.median(row[OURS]), 2)}
        every[cpu]["rows"][name] = figure | ({"to_floor": round(to, 2)} if to else {})
    bench_report.write_json(path, every)


def time(args):
    """`make bench TIME=1` with the arguments of bench.py; returns the exit status."""
    if platform.machine() != "x86_64":
        raise Failed("TIME=1 needs a host of x86_64")
    rounds = int(args.repeat) if args.repeat is not None else ROUNDS
    programs = subjects(args.build, args.base, args.plugin)
    cpu = cpu_name()
    print(f"bench: {rounds} rounds in a process, on {cpu}", flush=True)
    rows = measure(programs, rounds, SHORT if args.quick else SECONDS)
    for line in table(rows, list(programs)):
        print(line.rstrip())
    print("bench: ns of an operation; in brackets the time of this tree divided by that one's")
    known = read_record().get(cpu)
    if not known:
        print("bench: no times are recorded for this CPU")
    for line in warnings(rows, known["rows"] if known else {}):
        print(f"bench: {line}")
    if args.record is not None:
        record(rows, cpu, args.record)
        print(f"bench: recorded in {os.path.relpath(RECORD, ROOT)}")
    return 0
