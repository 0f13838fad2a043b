# SPDX-License-Identifier: MIT
"""Time of single operations, in a process pinned to one CPU; `make bench TIME=1`.

bench/time has the programs: one for each allocator, in turn in each round, so that what else runs
on the machine meets all of them.  A figure is the median of the rounds; a ratio is the median of
the rounds' ratios.  Nothing fails by a time: a ratio to the floor that is WARN times the recorded
one (bench/times.json, by the name of the CPU) is printed as a warning.
"""
import json
import os
import platform
import re
import statistics
import subprocess

import outer_make
import qemu

FOLDER = os.path.join(qemu.ROOT, "bench", "time")
PLUGINS = os.path.join(qemu.ROOT, "examples", "plugin")
RECORD = os.path.join(qemu.ROOT, "bench", "times.json")
ROUNDS, SECONDS, SHORT, WARN = 5, 0.2, 0.002, 1.3
OURS, FLOOR = "this tree", "floor"
# What the kernel is compiled with, but for its addresses; both trees, the port and the floor alike.
KERNEL = (
    "-fno-pie -fno-omit-frame-pointer -fno-stack-protector -fcf-protection=none "
    "-fno-delete-null-pointer-checks -fno-asynchronous-unwind-tables -falign-functions=64"
)
PROGRAM = f"-std=gnu11 -O2 -g1 -fno-strict-aliasing -no-pie -I{PLUGINS} -I{FOLDER} {KERNEL}".split()


class Failed(Exception):
    """An allocator could not be built or run."""


def run(*command, cwd=qemu.ROOT, what=None, **more):
    try:
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, check=False, errors="replace", **more
        )
    except OSError as error:
        raise Failed(f"{what or command[0]}: {error.strerror}") from error
    if done.returncode:
        said = (done.stdout + done.stderr).strip() or f"ended with {done.returncode}"
        raise Failed(f"{what}: {said}" if what else said)
    return done.stdout


# ---- the programs --------------------------------------------------------------------------------


def base_tree(commit, build):
    """(name, folder) of the sources of @commit, unpacked in BUILD/time."""
    words = ["rev-parse", "--quiet", "--verify", "--short=8", f"{commit}^{{commit}}"]
    try:
        name = run("git", *words).strip()
    except Failed as error:
        why = "git is not installed" if "No such file" in str(error) else "no such commit here"
        raise Failed(f"BASE={commit}: {why}") from error
    folder = os.path.join(build, "time", name)
    if not os.path.isdir(folder):
        packed = os.path.join(build, "time", f"{name}.tar")
        run("git", "archive", f"--output={packed}", name)
        os.makedirs(folder + ".new", exist_ok=True)
        run("tar", "-xf", packed, "-C", folder + ".new")
        os.rename(folder + ".new", folder)
        os.unlink(packed)
    return name, folder


def compiler():
    return os.environ.get("HOSTCC") or "gcc"


def build_tree(tree, out):
    """The program with the core of the mm/ in @tree, unchanged."""
    with open(os.path.join(tree, "include/quarry/memory_init.h"), encoding="utf-8") as f:
        more = ["-DTIME_EARLIER"] if "struct pcp **pcp;" in f.read() else []
    flags = " ".join(["-mgeneral-regs-only", KERNEL, *more])
    library = f"{out}/libquarry-mm.a"
    words = [f"B={out}", "CORE=1", f"PORT={FOLDER}", f"LIBFLAGS={flags}", f"LIBCC={compiler()}"]
    make = os.environ.get("MAKE", "make")
    run(make, "-s", "-C", tree, *words, library, what="make lib", env=outer_make.env())
    includes = [f"-I{tree}/include", "-idirafter", f"{tree}/include/alone"]
    sources = [f"{FOLDER}/time.c", f"{FOLDER}/port.c", f"{tree}/kernel/lock.c", library]
    run(compiler(), *PROGRAM, *more, *includes, *sources, "-o", f"{out}/time")
    return f"{out}/time"


def build_other(path, out):
    """The program with a plugin, or with the floor; sources are compiled as the trees are."""
    path = os.path.abspath(path)
    more = [f"-Wl,-rpath,{os.path.dirname(path)}"] if not path.endswith(".c") else []
    run(compiler(), *PROGRAM, f"{FOLDER}/time.c", path, *more, "-o", out, what=path)
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
    found = {OURS: build_tree(qemu.ROOT, os.path.join(build, "time", "tree"))}
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
    cpu = max(os.sched_getaffinity(0))
    rows = {}
    for _ in range(rounds):
        for name, program in programs.items():
            pinned = {"what": name, "preexec_fn": lambda: os.sched_setaffinity(0, {cpu})}
            said = run(program, str(seconds), **pinned)
            for row, ns in re.findall(r"^time: (\w+) ([\d.]+)$", said, re.M):
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
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        found = dict(re.findall(r"^(model name|model)\s*: (.*)$", f.read(), re.M))
    # Virtual machines call many CPUs the same: the model tells them apart.
    return f"{found.get('model name', 'unknown')}, model {found.get('model', '?')}"


def read_record(path=None):
    path = path or RECORD
    if not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as f:
        try:
            every = json.load(f)
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
    with open(path, "w", encoding="utf-8") as f:
        json.dump(every, f, indent=1)
        f.write("\n")


def main(args):
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
        print(f"bench: recorded in {os.path.relpath(RECORD, qemu.ROOT)}")
    return 0
