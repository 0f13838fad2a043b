# SPDX-License-Identifier: MIT
"""The jobs of `make test`, by part, and how each job is judged; for test.py.

A part is one tool, split into jobs if that keeps two cores busy.  A program that several jobs need
is built once, by a job of its own.  With FULL=1 there are more parts, and more tests in each.
"""
import contextlib
import json
import os
import re
import sys
from dataclasses import dataclass, field

import check
import labs_check
import library
import lint
import model
import mutants
import needs
import outer_make
import qemu
import rooms
import variant
import watchdog
from schedule import CPU, WALL, Job, Verdict

LENGTHS = os.path.join(qemu.ROOT, "tests", "lengths.txt")
BOCHS = ("x2apic", "xapic")
# Checks of lint that are jobs of their own; the others together are one job.
LONG_CHECKS = (["tidy"], ["cppcheck"], ["locks"], ["core"], ["alone", "plants"])
# Jobs that do more with FULL=1, as many tests in QEMU do.
MORE = ("bench", "races", "states")
# Done only with FULL=1: these parts and hosted builds, and the longest checks of lint.
FULL_PARTS = ("builds", "failures", "models", "bochs", "web", "minimal")
MINIMAL = {"bookworm": ["--archive"], "trixie": []}  # from an archive, and from a clone
FULL_BUILDS = ("order3", "threads-asan")
FULL_CHECKS = ("tidy", "cppcheck")
LIBRARY = ("core", "plain")  # the folders of library.py that `make test` builds
LABS_NEED = ["host-asan", "fiber", "kernel"]  # builds whose objects graded programs use
UPTO = 40  # allocations of each test that are made to fail, one per run
SWEEPS = 8  # jobs that share the sweep
SHORT = 0.4, 0.7  # seconds of CPU time and seconds of a short test in QEMU
BATCH = 30.0  # most seconds of a job that is a list of short tests
ALL_LINES = 400  # most lines of output that are shown of a failed job
COUNTS = re.compile(r"(\d+) passed, (\d+) failed")
# {part: the files of tests/qemu that it consists of}
FILES = {
    "user": [f"test_{name}.py" for name in ("user", "hostile", "memory")],
    "devices": [f"test_{name}.py" for name in ("virtio", "slots", "slots_busy")],
}
# A test that imports one of these tools, names a hosted build, or follows the commands of a text
# may call make for programs besides the kernel, or link their objects.  All programs are built
# before such a test starts.
BUILDERS = re.compile(
    r"^(?:import|from) (?:check|race\w*|mutants|mutate\w*|waiters|pressure|lab_\w+|grade\w*)\b"
    r"|\bhost-|README"
    r"|CONTRIBUTING|make\(\s*\"(?!run\"|help\")",
    re.MULTILINE,
)


@dataclass
class Run:
    """The options of one `make test`."""

    build: str
    cores: int
    full: bool = False
    python: str = ""  # path of a Python that has pytest
    options: list = field(default_factory=list)  # for pytest
    lengths: dict = field(default_factory=dict)  # {name: (seconds of CPU time, seconds)}

    @property
    def jobs(self):
        """The number of processes within a job; the scheduler fills the cores with other jobs."""
        return max(1, self.cores // 2)

    def key(self, name):
        """The name under which a job's length is kept; another one if FULL=1 makes it do more."""
        return f"{name} FULL=1" if self.full and ("::" in name or name in MORE) else name

    def limit(self, test):
        """The seconds of a CPU that a machine of this test in QEMU may use."""
        return watchdog.limit_of(self.length(test)[0])

    def length(self, name):
        return self.lengths.get(self.key(name)) or assumed(self.lengths, name)


def assumed(lengths, name):
    """The length of a job or a test without a row of its own.  A test with FULL=1 takes as long as
    without; any other test is short, and any other job is the mean of all jobs."""
    if name in lengths:
        return lengths[name]
    if "::" in name:
        return SHORT
    known = [row for name, row in lengths.items() if "::" not in name]
    if not known:
        return CPU, WALL
    return sum(row[0] for row in known) / len(known), sum(row[1] for row in known) / len(known)


def read_lengths(*paths):
    """{name: (seconds of CPU time, seconds)}; if several files have a name, the last counts."""
    found = {}
    for path in paths:
        try:
            with open(path, encoding="utf-8") as f:
                rows = [line.split(None, 2) for line in f if line.strip() and line[0] != "#"]
        except OSError:
            continue
        found.update({name.strip(): (float(cpu), float(wall)) for cpu, wall, name in rows})
    return found


def write_lengths(path, lengths):
    """Write the lengths; a test has a row only if it takes longer than is assumed without."""
    kept = {}
    for name, row in sorted(lengths.items()):  # the row with FULL=1 is behind the one without
        other = assumed(kept, name.removesuffix(" FULL=1"))
        if "::" not in name or max(row) > 1.5 * max(other) + 2:
            kept[name] = row
    with open(path, "w", encoding="utf-8") as f:
        f.write("# `make test` (build/lengths.txt): seconds of a CPU, seconds, job or test\n")
        for name, (cpu, wall) in kept.items():
            f.write(f"{cpu:.1f} {wall:.1f} {name}\n")


# ---- how a job is judged -------------------------------------------------------------------------


def judge_tool(tail):
    """Judge a tool by its last "N passed, N failed"; @tail: last lines to show if it passes."""

    def judge(job, text, status):
        lines = text.rstrip().split("\n")
        found = COUNTS.findall(text)
        passed, failed = (int(n) for n in found[-1]) if found else (0, 0)
        names = re.findall(r"^FAILED (.*)", text, re.MULTILINE)
        names = names or re.findall(r"^ *not ok (.*)", text, re.MULTILINE)
        names = [
            name if name.startswith(job.part) else f"{job.part}: {name}" for name in names[:failed]
        ]
        names += [f"{job.name}: {failed} failed"] if failed and not names else []
        if status and not failed or not passed + failed and not needs.LEFT_OUT.search(text):
            failed += 1
            names.append(f"{job.name}: ended with status {status} after {passed} tests")
        wrong = failed or status
        short = [line for line in lines[:-tail] if re.match(r" *(not )?ok | *left out: ", line)]
        shown = lines[-ALL_LINES:] if wrong else short + lines[-tail:]
        return Verdict(passed, failed, names, shown)

    return judge


def judge_build(counted):
    """Judge a build; one that works counts as a passed test if @counted."""

    def judge(job, text, status):
        if status == 0:
            said = [f"ok {job.name} ({job.took:.1f} s)"] if counted else []
            warnings = [line for line in text.split("\n") if ": warning: " in line]
            return Verdict(int(counted), 0, [], said + warnings)
        lines = [line for line in text.split("\n") if not re.match(r"(  |\[.*\]  )[A-Z]+ ", line)]
        wrong = [f"{job.name}: does not build"]
        return Verdict(0, 1, wrong, [f"not ok {job.name}", *lines], good=False)

    return judge


def judge_lane(ids, ends, run):
    """Judge a run of pytest by the notes of lane.py on each test."""

    def judge(job, text, status):
        rows = {row["id"]: row for row in read_rows(ends)}
        passed, names, said = 0, [], []
        for ident in ids:
            row = rows.get(ident)
            if row is None:
                names.append(f"{job.part}: {ident}: did not end")
                continue
            run.lengths[run.key(ident)] = (row["cpu"], row["wall"])
            passed += row["outcome"] == "passed"
            if row["outcome"] == "failed":
                names.append(f"{job.part}: {ident}")
            elif row["outcome"] == "skipped":
                said.append(f"not counted: {ident}: {row['why']}")
        failed = len(names)
        if status and not failed:
            failed += 1
            names.append(f"{job.name}: pytest ended with status {status}")
        lines = text.rstrip().split("\n")
        if not failed:
            lines = [line for line in lines if "::" in line or line.startswith("    ")]
        return Verdict(passed, failed, names, lines + said)

    return judge


def read_rows(path):
    """The JSON objects of a file, one a line; the last may be cut short."""
    rows = []
    with contextlib.suppress(OSError, ValueError), open(path, encoding="utf-8") as f:
        for line in f:
            rows.append(json.loads(line))
    return rows


# ---- builds --------------------------------------------------------------------------------------


def make_command(run, build, *words):
    return outer_make.command(build, *words, threads=run.jobs)


# {build: other builds whose objects it links}: SHARES_port and SHARES_silence of the Makefile.
LINKED_WITH = {"host-port": ("host-plain",), "host-silence": ("host-threads",)}


def hosted_builds(run):
    """The hosted builds whose suites run."""
    return [name for name in check.BUILDS if run.full or name not in FULL_BUILDS]


def builds(run):
    """{name: job} of all builds that other jobs need."""
    of = run.build
    commands = {"kernel": make_command(run, of, "kernel")}
    race = os.path.join(of, "race")
    commands["race-kernel"] = make_command(run, race, "kernel", "RACE=1", "KG=-g1")
    commands["fiber"] = make_command(run, of, os.path.join(of, "fiber", "race"))
    commands["states"] = make_command(run, of, os.path.join(of, "states", "states"))
    for name in hosted_builds(run):
        commands[f"host-{name}"] = make_command(run, of, os.path.join(of, f"host-{name}", "check"))
    judge = judge_build(False)
    return {
        name: new_job(run, f"build {name}", "build", command, judge, LINKED_WITH.get(name, ()))
        for name, command in commands.items()
    }


def new_job(run, name, part, command, judge, needs=(), **more):
    cpu, wall = run.length(name)
    needs = tuple(f"build {need}" for need in needs)
    return Job(name, part, command, judge, needs, cpu=cpu, wall=wall, **more)


def tool(run, name, part, words, tail, needs=()):
    """A job that runs a tool."""
    script, *words = words
    command = [sys.executable, rooms.tool(script), "--build", run.build, *words]
    return new_job(run, name, part, command, judge_tool(tail), needs)


# ---- the parts -----------------------------------------------------------------------------------


def part_hosted(run):
    for name in hosted_builds(run):
        words = ["check.py", "--only", name, "--jobs", str(run.jobs)]
        yield tool(run, f"hosted {name}", "hosted", words, 1, [f"host-{name}"])


def part_lint(run):
    names = [c.__name__[6:] for c in lint.CHECKS]
    long = [name for group in LONG_CHECKS for name in group]
    jobs = ["--jobs", str(run.jobs)]
    for group in LONG_CHECKS:
        if run.full or not set(group) & set(FULL_CHECKS):
            words = ["lint.py", "--only", ",".join(group), *jobs]
            yield tool(run, f"lint {'-'.join(group)}", "lint", words, 1)
    rest = [name for name in names if name not in long]
    words = ["lint.py", "--only", ",".join(rest), *jobs]
    yield tool(run, "lint rest", "lint", words, 1, ["kernel"])


def part_builds(run):
    for folder, setting in (("clang", "CC=clang"), ("cross", "CROSS_COMPILE=x86_64-linux-gnu-")):
        # KG=-g1 leaves out a debugger's data on variables, a quarter of the compile time.
        build = os.path.join(run.build, folder)
        command = make_command(run, build, "kernel", setting, "KG=-g1")
        yield new_job(run, f"make kernel {setting}", "builds", command, judge_build(True))


def part_library(run):
    folders = {}
    for name, (folder, _) in library.TESTS.items():
        folders.setdefault(folder, []).append(name)
    for folder, names in folders.items():
        if not run.full and folder not in LIBRARY:
            continue
        words = ["library.py", "--only", ",".join(names)]
        yield tool(run, f"library {folder}", "library", words, 1)


def part_races(run):
    """All race scripts, on right code and wrong: on fibers, and with FULL=1 in the kernel too."""
    words = ["race.py", "--no-explore", "--jobs", str(run.jobs)]
    words += [] if run.full else ["--engines", "fiber"]
    yield tool(run, "races", "races", words, 1, ["fiber", *(["race-kernel"] if run.full else [])])
    words = ["explore.py", "--matrix", "1" if run.full else "8"]
    yield tool(run, "matrix", "races", words, 1, ["fiber"])


def part_states(run):
    """Every state of small memories; with FULL=1 of larger ones, too."""
    words = ["states.py", "--jobs", str(run.jobs), *(["--full"] if run.full else [])]
    yield tool(run, "states", "states", words, 1, ["states"])


def chosen_variants(run):
    """All variants with FULL=1; otherwise the variants that name a mechanism."""
    found = map(variant.read, variant.known())
    return [v for v in found if run.full or v.get("mechanism")]


def part_mutants(run):
    by_base = {}
    for v in chosen_variants(run):
        bases = sorted({mutants.base_of(v, kill) for kill in v.kills})
        by_base.setdefault("+".join(bases), []).append(v.id)
    for bases, mine in by_base.items():
        cpu, wall = run.length(f"variant {bases}") if f"variant {bases}" in run.lengths else (1, 1)
        size = max(1, int(BATCH / max(cpu, wall)))
        batches = [mine[at : at + size] for at in range(0, len(mine), size)]
        needs = ["race-kernel" if b == "race" else b for b in bases.split("+")]
        for number, batch in enumerate(batches, 1):
            words = ["mutants.py", "--jobs", str(run.jobs), "--only", ",".join(batch)]
            words += ["--result", f"mutants-{bases}-{number}.json"]
            job = tool(run, f"mutants {bases} {number}", "mutants", words, 2, needs)
            job.cpu, job.wall = cpu * len(batch), wall * len(batch)
            job.holds = [f"variant {bases}"] * len(batch)
            yield job


def part_failures(run):
    for number in range(1, SWEEPS + 1):
        words = ["failsweep.py", "--upto", str(UPTO), "--jobs", str(4 * run.jobs)]
        words += ["--share", f"{number}/{SWEEPS}"]
        yield tool(run, f"failures {number}", "failures", words, 2, ["host-asan"])


def part_models(run):
    """Each long search is a job; short searches share jobs."""
    names = [f"{case[0]}-{case[1]}" for case in model.CASES]
    batches = pack([(name, f"model {name}", *run.length(f"model {name}")) for name in names], BATCH)
    for number, batch in enumerate(batches, 1):
        words = ["model.py", "--jobs", str(run.jobs), "--cases", ",".join(batch)]
        job = tool(run, f"models {number}", "models", words, 1)
        job.holds = [f"model {name}" for name in batch]
        job.cpu, job.wall = sum_lengths(run, job.holds)
        yield job


def part_labs(run):
    """The grader's verdicts on right and wrong solutions: on all with FULL=1, else on a sample."""
    sample = ",".join(name for names in labs_check.gate().values() for name in names)
    every = {f"labs {lab}": lab for lab in labs_check.labs.labs()}
    for job, names in (every if run.full else {"labs": sample}).items():
        words = ["labs_check.py", "--jobs", str(run.jobs), "--only", names]
        yield tool(run, job, "labs", words, 1, LABS_NEED)


def part_bochs(run):
    for name in BOCHS:
        yield tool(run, f"bochs {name}", "bochs", ["test-bochs.py", "--only", name], 1, ["kernel"])


def part_bench(run):
    """The figures that take seconds to measure; with FULL=1 all figures."""
    words = ["bench.py"] if run.full else ["bench.py", "--quick"]
    yield tool(run, "bench", "bench", words, 1, ["kernel"])


def part_web(run):
    """The laboratory in a browser: the traces of its modules, and its pages."""
    words = ["web-check.py", "--jobs", str(run.jobs)]
    yield tool(run, "web", "web", words, 1, ["fiber"])


def part_minimal(run):
    """README's commands and `make test` on minimal systems, which use all cores themselves."""
    for suite, more in MINIMAL.items():
        words = ["minimal.py", "--suite", suite, "--whole", *more]
        job = tool(run, f"minimal {suite}", "minimal", words, 1)
        job.alone = True
        yield job


ALL_PARTS = (
    part_hosted, part_lint, part_builds, part_library, part_races, part_states, part_mutants,
    part_failures, part_models, part_labs, part_bochs, part_bench, part_web, part_minimal,
)
PARTS = {make.__name__[5:]: make for make in ALL_PARTS}


# ---- lanes of pytest -----------------------------------------------------------------------------


def sum_lengths(run, names):
    rows = [run.length(name) for name in names]
    return sum(row[0] for row in rows), sum(row[1] for row in rows)


def pack(rows, limit):
    """Pack @rows, (name, group, seconds of CPU time, seconds), into lists of names.  Rows of one
    group stay together; groups share a list up to @limit seconds; the longest come first."""
    groups = {}
    for name, group, cpu, wall in rows:
        at = groups.setdefault(group, [0.0, []])
        at[0] += max(cpu, wall)
        at[1].append(name)
    batches = []
    for seconds, names in sorted(groups.values(), key=lambda at: -at[0]):
        home = next((b for b in batches if b[0] + seconds <= limit), None)
        if home is None:
            batches.append([seconds, list(names)])
        else:
            home[0] += seconds
            home[1] += names
    return [names for _, names in batches]


def part_of(ident):
    """The part that a test of tests/qemu belongs to."""
    name = os.path.basename(ident.split("::")[0])
    return next((part for part, names in FILES.items() if name in names), "qemu")


def lanes(run, tests, folder):
    """The jobs that run @tests, which are rows of lane.py."""
    for part in ("qemu", *FILES):
        mine = [t for t in tests if part_of(t["id"]) == part]
        alone = [[t["id"]] for t in mine if t["alone"]]
        rows = [(t["id"], t["id"].split("::")[0], *run.length(t["id"])) for t in mine]
        together = pack([row for row in rows if [row[0]] not in alone], BATCH)
        for number, ids in enumerate(together + alone, 1):
            yield lane(run, part, number, ids, folder, ids in alone)


def lane(run, part, number, ids, folder, alone):
    """A job that runs pytest with the tests @ids."""
    name = f"{part} {number}"
    files = sorted({ident.split("::")[0] for ident in ids})
    lists = {k: os.path.join(folder, f"{part}-{number}.{k}") for k in ("ids", "ends")}
    rooms.write(lists["ids"], "\n".join(ids) + "\n")
    if os.path.exists(lists["ends"]):
        os.unlink(lists["ends"])
    env = {"QUARRY_LANE": os.path.abspath(lists["ids"])}
    env["QUARRY_ENDS"] = os.path.abspath(lists["ends"])
    env["QUARRY_LIMIT"] = f"{max(map(run.limit, ids)):.0f}"
    cpu, wall = sum_lengths(run, ids)
    builders = any(BUILDERS.search(rooms.read(path)) for path in files)
    needs = {"kernel", *(builds(run) if builders else ())}
    needs = tuple(f"build {need}" for need in sorted(needs))
    judge, env = judge_lane(ids, lists["ends"], run), pytest_env(run, **env)
    return Job(name, part, pytest_command(run, *files), judge, needs, alone, cpu, wall, env)


def pytest_command(run, *files):
    plain = ["-p", "no:cacheprovider", "-p", "lane", "-v", "--no-header", "--tb=short"]
    return [run.python, "-m", "pytest", *plain, *run.options, *files]


def pytest_env(run, **more):
    env = {"QUARRY_BUILD": run.build, "PYTHONDONTWRITEBYTECODE": "1"}
    env["PYTHONPATH"] = os.path.dirname(__file__)  # where lane.py is
    return env | {"FULL": "1" if run.full else ""} | more
