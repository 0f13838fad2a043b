#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boot with bench under icount, collect the figures, and judge them; `make bench`.

Under icount (shift=0) one tick of the TSC is one instruction, the same in every run: the figures do
not depend on the host or its load.  The kernel prints "bench: NAME VALUE UNIT"; the figures go to
BUILD/bench.json, with the machine of each, and to BUILD/bench.html:

  {"figures": [{"name": ..., "unit": ..., "value": ..., "engine": ..., "machine": ..., "compiler":
  ...}, ...]}

A figure that is more than 3 % worse than the one recorded for the same version of the compiler
(bench/history.jsonl) fails by its name, and so does one that is missing (bench_report.py).  Without
a record it is compared with the nearest version's, and 10 % worse fails.  --record adds a line to
that file.
"""
import difflib
import glob
import gzip
import os
import re
import sys
import zlib
from dataclasses import dataclass

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import bench_count
import bench_hosted
import bench_report
from bench_report import Failed
import qemu

# Without this QEMU's CPU is one of AMD's before Zen: each switch clears x87 registers there.
CPU = "max,vendor=GenuineIntel"
LARGEST = dict(cpus=255, mem=1 << 20, cpu=CPU + ",phys-bits=46")
TWO_NODES = dict(cpus=4, nodes=[512, 512])
PLAIN = "selftest=none tour=off monitor=off"
TRACES = os.path.join(qemu.ROOT, "bench", "traces")
LEAST = "memmap,pairs,batches,recorded,check,drain,softfree,offline"


@dataclass
class Boot:
    """One boot, and the figures that it measures."""

    machine: dict
    groups: str = ""
    quick: bool = False  # make test runs it too
    only: tuple = ()  # keep only these figures
    more: str = ""
    trace: str = ""  # the file of a trace to replay
    count: bool = False  # with the plugin of bench_count.py

    @property
    def command_line(self):
        bench = f"bench={self.groups} " if self.groups else ""
        return " ".join(f"{bench}{self.more} {PLAIN}".split())

    @property
    def rows(self):
        """The names of the figures that this boot gives."""
        if self.only:
            return list(self.only)
        if self.trace:
            return [f"{what}_{trace_name(self.trace)}" for what in ("trace", "fragmentation")]
        groups = self.groups.split(",") if self.groups else ["ring3"]
        return [row for group in groups for row in bench_report.of_group(group)]

    @property
    def said(self):
        """The machine, in words."""
        cpus, nodes = self.machine["cpus"], self.machine.get("nodes")
        text = f"{cpus} CPU{'s' if cpus > 1 else ''}, "
        if nodes:
            text += f"{len(nodes)} nodes of {size(nodes[0])}"
        else:
            text += size(self.machine.get("mem", 256))
        if self.machine.get("room"):
            text += f", room for {size(self.machine['room'])}"
        return text


def size(mib):
    for unit, factor in (("TiB", 1 << 20), ("GiB", 1 << 10)):
        if mib >= factor and mib % factor == 0:
            return f"{mib // factor} {unit}"
    return f"{mib} MiB"


def trace_boot(path, quick=False):
    return Boot(dict(cpus=1, mem=1024), "trace", quick, trace=path)


def tree_trace(name, quick=False):
    return trace_boot(os.path.join(TRACES, f"{name}.trace.gz"), quick)


BOOTS = [
    Boot(TWO_NODES, LEAST, quick=True),
    # One CPU, so that threads switch and do not wake another CPU.
    Boot(dict(cpus=1, programs=True), more="user=bench", quick=True),
    Boot(dict(cpus=4, nodes=[2048, 2048]), "largest", quick=True),
    Boot(dict(TWO_NODES, room=1024), "fresh", quick=True),
    tree_trace("tar-gzip", quick=True),
    tree_trace("cc-build"),
    tree_trace("mixed-2cpu"),
    Boot(TWO_NODES, "object"),
    Boot(TWO_NODES, "elsewhere,wait,teardown,contig"),
    Boot(TWO_NODES, "migrate"),
    # No third CPU: under icount one CPU runs at a time, and an idle CPU answers late.
    Boot(dict(cpus=2, mem=1024), "policies", count=True),
    Boot(TWO_NODES, "fill"),
    Boot(TWO_NODES, "counted", count=True),
    Boot(TWO_NODES, "load", count=True),
    # Enough memory to fill the caches: a failed request would drain them.
    Boot(dict(cpus=4, nodes=[2048, 2048]), "drainfull", count=True),
    Boot(dict(cpus=255, nodes=[2048, 2048]), "stranded"),
    # The largest machine: the longest hold of the hotplug mutex.
    Boot(LARGEST, "offline", only=("hotplug_hold_1t_255",)),
]


# ---- a boot --------------------------------------------------------------------------------------


def compiler_of(text):
    found = re.search(r"^bench: compiler (.*)$", text, re.MULTILINE)
    compiler = found.group(1).strip() if found else "unknown"
    clang = re.search(r"clang (\d\S*)", compiler, re.IGNORECASE)
    if clang:
        return f"clang {clang.group(1)}"
    return "gcc " + compiler if re.match(r"\d", compiler) else compiler


def trace_name(path):
    """cc-build.trace.gz gives cc_build."""
    name = re.sub(r"(\.trace)?(\.gz)?$", "", os.path.basename(path))
    return re.sub(r"\W", "_", name)


def collect(text, machine, only=(), trace="", more=()):
    """The figures in a console's text, and those of @more, a list of (name, value, unit)."""
    compiler, figures = compiler_of(text), []
    lines = re.findall(r"^bench: (\w+) (\d+(?:\.\d+)?) (\S.*)$", text, re.M)
    lines = [(name, float(v) if "." in v else int(v), unit) for name, v, unit in lines]
    for name, value, unit in lines + list(more):
        # Under icount a cycle of the time stamp counter is an instruction.
        unit = "instructions" if unit == "cycles" else unit
        if only and name not in only:
            continue
        if trace and name in ("trace", "fragmentation"):
            name = f"{name}_{trace_name(trace)}"
        figure = {"name": name, "unit": unit, "value": value, "engine": "icount"}
        figures.append({**figure, "machine": machine, "compiler": compiler})
    return figures


def unpacked(path, build):
    """The path of the trace's text; @path itself unless it is packed."""
    try:
        with open(path, "rb") as f:
            data = f.read()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except OSError as error:
        raise Failed(f"{path}: {error.strerror or error}") from error
    except EOFError as error:
        raise Failed(f"{path}: the packed file is cut short") from error
    except zlib.error as error:
        raise Failed(f"{path}: the packed file is damaged: {error}") from error
    os.makedirs(os.path.join(build, "qemu"), exist_ok=True)
    out = os.path.join(build, "qemu", f"bench-{trace_name(path)}.trace")
    with open(f"{out}.{os.getpid()}", "wb") as f:
        f.write(data)
    os.replace(f.name, out)  # another process may read it
    return out


def unpacked_traces(build):
    """{name: path} of the tree's traces, unpacked."""
    paths = [boot.trace for boot in BOOTS if boot.trace]
    return {trace_name(path): unpacked(path, build) for path in paths}


def measure(boot, number, build, profile=()):
    """(figures, seconds) of one boot; with @profile, names of functions, the lines of their profile
    replace the figures."""
    # With disks, as all that was recorded: without, CPUs under load meet at other moments.
    machine = dict(boot.machine, machine="q35,sata=on", icount=True, timeout=900)
    more, name = "", f"bench-{os.getpid()}-{number}"  # several may run at once in one tree
    if boot.trace:
        machine["module"] = unpacked(boot.trace, build)
        more = f" trace={os.path.basename(boot.trace).removesuffix('.gz')}"
    if boot.count or profile:
        machine["extra"], counts = bench_count.options(build, name, profile)
    run = qemu.Machine(**{"cpu": CPU, **machine}).run(name, boot.command_line + more)
    if profile and run.passed:
        figures = list(bench_count.profile_of_calls(counts, profile, build))
    else:
        counted = bench_count.figures(counts, run.text, build) if boot.count and run.passed else []
        figures = collect(run.text, boot.said, boot.only, boot.trace, counted)
    if run.passed and (figures or profile):
        for path in glob.glob(os.path.join(build, "qemu", f"{name}.*")):
            os.unlink(path)
        return figures, run.seconds
    if boot.trace:
        wrong = [line for line in run.lines if re.match(r"\S+:\d+: |trace .*not run", line)]
        if wrong:
            raise Failed(f"{boot.trace}: not a trace\n  " + "\n  ".join(wrong))
    why = "no figures" if run.passed else "the run did not pass"
    raise Failed(f"{run.story()}\nbench: {why}")


def measure_all(boots, build):
    figures, seconds = [], 0.0
    for number, boot in enumerate(boots, 1):
        more, took = measure(boot, number, build)
        check_compiler(more)
        figures += more
        seconds += took
    if unknown := [f["name"] for f in figures if f["compiler"] == "unknown"]:
        raise Failed(f"no line names the compiler of {unknown[0]}")
    return figures, seconds


# ---- the request ---------------------------------------------------------------------------------


def boots_of_traces(words):
    paths = words.split()
    if not paths:
        raise Failed('TRACES names no file: TRACES="file ..."')
    names = [trace_name(path) for path in paths]
    for path, name in zip(paths, names):
        if not os.path.isfile(path):
            raise Failed(f"{path}: no such file")
        if names.count(name) > 1:
            raise Failed(f"TRACES names two files whose row would be trace_{name}")
    return [trace_boot(path) for path in paths]


def rows_named(text):
    """The rows that ONLY names, one by one or by their group."""
    every = [row for boot in BOOTS for row in boot.rows] + bench_hosted.rows()
    groups = {name: bench_report.of_group(name) for name in bench_report.ROWS}
    found = []
    for name in text.split(","):
        if name not in every and name not in groups:
            near = difflib.get_close_matches(name, [*every, *groups], 3, 0.5)
            known = f"near it: {', '.join(near)}" if near else f"groups: {', '.join(groups)}"
            raise Failed(f'ONLY: no row or group is named "{name}"; {known}')
        found += groups.get(name, [name])
    return list(dict.fromkeys(found))


def check_request(args):
    """Refuse arguments that do not go together, before anything is measured."""
    kinds = ("only", "traces", "plugin", "curves", "time")
    alone = [name for name in kinds if getattr(args, name) not in (None, False)]
    if args.time and "plugin" in alone:
        alone.remove("plugin")
    if args.base is not None and not args.time:
        raise Failed("BASE goes with TIME=1")
    if len(alone) > 1:
        raise Failed(f"{' and '.join(name.upper() for name in alone)} do not go together")
    if args.record is not None and alone not in ([], ["only"], ["time"]):
        raise Failed(f"RECORD keeps the tree's own rows: not with {alone[0].upper()}")
    if args.record is not None and not args.record.strip():
        raise Failed('RECORD gives no reason: make bench RECORD="why"')
    chosen_ = args.record is None and alone in (["only"], ["traces"])
    if args.profile is not None and not chosen_:
        raise Failed("PROFILE goes with ONLY or TRACES, which say what runs, and with nothing else")
    if args.plugin is not None and not args.time and not os.path.isfile(args.plugin):
        raise Failed(f'PLUGIN: {args.plugin or "no name"}: no such file')
    if args.repeat is not None and (not args.repeat.isdigit() or int(args.repeat) < 1):
        raise Failed(f"REPEAT={args.repeat}: wanted a number of runs")
    if args.repeat is not None and (args.profile or alone in (["plugin"], ["curves"])):
        raise Failed("REPEAT goes with rows, TRACES and TIME=1")


def chosen(args):
    """(the boots to run, the names of the expected rows)"""
    if args.plugin is not None:
        return [], bench_hosted.rows(args.plugin)
    if args.traces is not None:
        boots = boots_of_traces(args.traces)
    else:
        boots = [boot for boot in BOOTS if boot.quick or not args.quick]
    rows = [row for boot in boots for row in boot.rows]
    if args.only is not None:
        rows = rows_named(args.only)
        boots = [boot for boot in boots if set(boot.rows) & set(rows)]
    elif boots == BOOTS:
        rows += bench_hosted.rows()
    return boots, rows


def check_compiler(figures):
    """Refuse figures of a compiler other than CC: `make` does not build again when CC changes."""
    wanted = os.environ.get("CC", "")
    kind = next((kind for kind in ("clang", "gcc") if kind in wanted), None)
    built_by = figures[0]["compiler"]
    if kind and built_by != "unknown" and kind not in built_by.split():
        how = f"build with {kind} in another directory: make bench CC={wanted} B=build/{kind}"
        raise Failed(f"CC={wanted}, but the kernel was built by {built_by}: {how}")


def measure_rows(args, boots, rows):
    """(figures of the boots and, if @rows has some, of hosted programs; seconds of the boots)"""
    figures, seconds = measure_all(boots, args.build)
    if set(rows) & set(bench_report.of_group("hosted")):
        figures += bench_hosted.figures(args.build, args.plugin)
    if set(rows) & set(bench_report.of_group("hosted_traces")):
        figures += bench_hosted.fragmentation(args.build, unpacked_traces(args.build))
    return figures, seconds


def measured(args):
    """(figures, the names of the expected rows, seconds)"""
    boots, rows = chosen(args)
    if boots:
        print("bench: booting under icount ...", flush=True)
    figures, seconds = measure_rows(args, boots, rows)
    for run in range(1, int(args.repeat or 1)):
        again, more = measure_rows(args, boots, rows)
        seconds += more
        for line in bench_report.unequal(figures, again):
            print(f"bench: run {run + 1} differs: {line}")
    if args.only is not None:
        figures = [figure for figure in figures if figure["name"] in rows]
    return figures, rows, seconds


def print_profile(args):
    """Measure the named rows or traces, and print the profile of the functions in args.profile."""
    boots = chosen(args)[0]
    if not boots:
        raise Failed("PROFILE: no boot measures these rows")
    for number, boot in enumerate(boots, 1):
        print(f"bench: {boot.command_line}, {boot.said} ...", flush=True)
        for line in measure(boot, f"profile-{number}", args.build, args.profile.split(","))[0]:
            print(line)


def main(argv=None):
    parser = rooms.parser(__doc__)
    parser.add_argument("--only", metavar="NAMES", help="these rows, or those of these groups")
    parser.add_argument("--out", help="default: BUILD/bench.json")
    parser.add_argument("--quick", action="store_true", help="the rows of make test")
    parser.add_argument("--traces", help="replay these files, and measure nothing else")
    parser.add_argument("--plugin", metavar="FILE", help="a shared object beside ours, hosted")
    parser.add_argument("--profile", metavar="FUNCTIONS", help="where their instructions are")
    parser.add_argument("--curves", action="store_true", help="measure docs/figures/churn.crv")
    parser.add_argument("--repeat", help="so many runs, compared")
    parser.add_argument("--time", action="store_true", help="time in a process, not instructions")
    parser.add_argument("--base", metavar="COMMIT", help="with --time: another tree beside this")
    parser.add_argument("--record", metavar="WHY", help="add a line to bench/history.jsonl")
    args = parser.parse_args(argv)
    try:
        check_request(args)
        if args.time:
            return bench_hosted.time(args)
        if args.curves:
            bench_hosted.draw(args.build)
            return 0
        if args.profile is not None:
            print_profile(args)
            return 0
        history, peers = bench_report.read_history(), bench_report.read_peers()
        figures, expected, seconds = measured(args)
        recorded = bench_report.known_of(figures, history)
        missing = bench_report.wrong(figures, expected)
        compiler = figures[0]["compiler"]
        compared = bench_report.nearest(history, compiler)
        bounds = [bench_report.WIDER] if compared != compiler else []
        verdict = missing + bench_report.judge(figures, recorded, *bounds)
        out = args.out or os.path.join(args.build, "bench.json")
        bench_report.write_json(out, {"figures": figures})
        page = os.path.splitext(out)[0] + ".html"
        bench_report.write(page, figures, peers, history)
        beside = bench_report.others(history, compiler)
        bench_report.print_rows(bench_report.cells_of(figures, recorded, peers, beside))
        print(f"bench: {len(figures)} figures, {compiler}, in {seconds:.1f} s")
        print(f"bench: {out}, {page}")
        if args.record is not None and missing:
            print("bench: not recorded")
        elif args.record is not None:
            return bench_report.record(figures, history, args.record)
    except Failed as error:
        print(f"bench: {error}")
        return 1
    return bench_report.say(verdict, len(figures), compiler, compared)


if __name__ == "__main__":
    rooms.run(main)
