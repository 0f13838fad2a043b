# SPDX-License-Identifier: MIT
"""`make test` itself: the order of jobs, the jobs that are left out, and that no failure passes."""
import os
import signal
import subprocess
import sys
import time

import pytest

import parts
import qemu
import rooms
import schedule
import test as whole
import watchdog
from schedule import Job, Verdict
from test_make import wait_until

SLOW = 10.0


def job(name, *needs, **more):
    return Job(name, "part", [], None, needs, **more)


def names(jobs):
    return [j.name for j in jobs]


# ---- order ---------------------------------------------------------------------------------------


def test_the_longest_way_to_the_end_starts_first():
    jobs = [
        job("short", wall=1.0),
        job("build", wall=2.0),
        job("long", wall=8.0),
        job("after", "build", wall=7.0),
        job("alone", wall=50.0, alone=True),
    ]
    assert names(schedule.rank(jobs)) == ["build", "long", "after", "short", "alone"]


@pytest.mark.parametrize(
    "jobs", [[job("a", "b")], [job("a", "a")], [job("a", "b"), job("b", "a")], [job("a"), job("a")]]
)
def test_jobs_that_cannot_run_are_refused(jobs):
    with pytest.raises(ValueError):
        schedule.rank(jobs)


def next_name(waiting, running=(), done=(), cores=2):
    found = schedule.next_job(waiting, list(running), set(done), cores)
    return found.name if found else None


def test_a_job_starts_when_its_needs_are_done_and_cores_are_free():
    one, two = job("one"), job("two", cpu=2 * SLOW, wall=SLOW)
    assert next_name([job("later", "one"), two], done=[]) == "two"
    assert next_name([job("later", "one"), two], done=["one"]) == "later"
    assert next_name([two, one], running=[job("other")]) == "one"
    assert next_name([two], running=[job("other")]) is None
    # No job keeps its cores busy all the time, so jobs may want a little more than the machine's
    # cores.
    assert next_name([job("more", cpu=1.2 * SLOW, wall=SLOW)], running=[job("other")]) == "more"
    # A job that wants more cores than the machine has starts when no other job runs.
    assert next_name([job("eight", cpu=8 * SLOW, wall=SLOW)]) == "eight"
    # Jobs that mostly wait run together, up to three for each core.
    sleeps = [job(f"sleep{i}", cpu=0.1, wall=SLOW) for i in range(9)]
    assert next_name([sleeps[8]], running=sleeps[:5]) == "sleep8"
    assert next_name([sleeps[8]], running=sleeps[:6]) is None


def test_a_job_may_be_alone():
    alone, other = job("alone", alone=True), job("other")
    assert next_name([alone], running=[other]) is None
    assert next_name([other], running=[alone]) is None
    assert next_name([alone]) == "alone"


def test_short_tests_go_together_and_groups_stay_whole():
    rows = [(f"t{i}", f"file{i % 5}", 1.0 + i % 3, 2.0) for i in range(40)]
    rows += [("long", "file9", 90.0, 40.0), ("long too", "file9", 1.0, 1.0)]
    batches = parts.pack(rows, 30.0)
    assert sorted(name for batch in batches for name in batch) == sorted(row[0] for row in rows)
    assert batches[0] == ["long", "long too"]
    for group in {row[1] for row in rows}:
        mine = {row[0] for row in rows if row[1] == group}
        assert sum(bool(mine & set(batch)) for batch in batches) == 1
    for batch in batches[1:]:
        assert sum(max(row[2:]) for row in rows if row[0] in batch) <= 30.0


def test_lengths_are_read_as_written(tmp_path):
    lengths = {"a b": (1.0, 2.5), "test_x.py::test[a  b-c]": (0.5, 9.0), "z": (3.0, 3.0)}
    parts.write_lengths(tmp_path / "lengths.txt", lengths)
    assert parts.read_lengths(tmp_path / "none", tmp_path / "lengths.txt") == lengths
    run = parts.Run("build", 2, lengths=lengths)
    assert run.length("z") == (3.0, 3.0) and run.length("new") == (2.0, 2.75)
    assert run.length("test_y.py::test") == parts.SHORT
    assert parts.Run("build", 2).length("new") == (schedule.CPU, schedule.WALL)


def test_lengths_that_would_be_assumed_are_not_written(tmp_path):
    short = {"a b": (0.1, 0.1), "x::short": (3.0, 0.1), "x::short FULL=1": (3.0, 3.0)}
    long = {"x::long": (1.0, 9.0), "x::a": (0.1, 0.1), "x::a FULL=1": (4.0, 1.0)}
    alike = {"x::long FULL=1": (1.0, 15.0)}
    parts.write_lengths(tmp_path / "lengths.txt", short | long | alike)
    kept = {"a b": (0.1, 0.1), "x::long": (1.0, 9.0), "x::a FULL=1": (4.0, 1.0)}
    assert parts.read_lengths(tmp_path / "lengths.txt") == kept
    run = parts.Run("build", 2, full=True, lengths=kept)
    assert run.length("x::long") == (1.0, 9.0) and run.length("x::a") == (4.0, 1.0)


def test_lengths_with_full_are_their_own():
    test, long = "test_x.py::test", "test_x.py::test FULL=1"
    run = parts.Run("build", 2, lengths={test: (1.0, 2.0), "bench": (3.0, 3.0)})
    full = parts.Run("build", 2, full=True, lengths=run.lengths)
    assert full.length(test) == run.length(test) == (1.0, 2.0)
    run.lengths[full.key(test)] = (9.0, 9.0)
    assert full.length(test) == run.lengths[long] == (9.0, 9.0) and run.length(test) == (1.0, 2.0)
    assert full.key("bench") == "bench FULL=1" and full.key("lint locks") == "lint locks"


def test_the_line_of_progress_fits():
    line = schedule.progress_line(["hosted threads-asan"] * 9, 7, 210, 125, 80)
    assert line.startswith("[7/210] 2:05 left: hosted") and len(line) < 80


# ---- what is left out ----------------------------------------------------------------------------


def test_variants_of_make_test_stand_for_one_mechanism_each():
    some = parts.chosen_variants(parts.Run("build", 2))
    names = [v.get("mechanism") for v in some]
    assert len(names) > 100 and all(names) and len(set(names)) == len(names)
    assert not any("kernel" in parts.mutants.base_of(v, kill) for v in some for kill in v.kills)


def names_of(part, **more):
    return {j.name for j in parts.PARTS[part](parts.Run("build", 2, **more))}


def test_with_full_there_is_more():
    more = names_of("lint", full=True) - names_of("lint")
    assert more == {"lint tidy", "lint cppcheck"}
    more = names_of("hosted", full=True) - names_of("hosted")
    assert more == {"hosted order3", "hosted threads-asan"}
    assert names_of("library") < names_of("library", full=True)
    every = parts.builds(parts.Run("build", 2, full=True))
    assert set(every) - set(parts.builds(parts.Run("build", 2))) == {
        "host-order3",
        "host-threads-asan",
    }


def test_every_part_has_jobs_and_they_fit_together():
    everything = parts.Run("build", 2, True, lengths=parts.read_lengths(parts.LENGTHS))
    run = everything
    jobs = [j for make in parts.PARTS.values() for j in make(run)]
    schedule.rank(list(parts.builds(run).values()) + jobs)
    assert {j.part for j in jobs} == set(parts.PARTS)
    checks = [name for j in jobs if j.part == "lint" for name in j.command[5].split(",")]
    assert sorted(checks) == sorted(c.__name__[6:] for c in parts.lint.CHECKS)
    cases = [name for j in jobs if j.part == "models" for name in j.command[-1].split(",")]
    assert sorted(cases) == sorted("-".join(case[:2]) for case in parts.model.CASES)
    ids = [
        name
        for j in parts.part_mutants(everything)
        for name in j.command[j.command.index("--only") + 1].split(",")
    ]
    assert sorted(ids) == parts.variant.known()
    shares = [j.command[-1] for j in jobs if j.part == "failures"]
    assert shares == [f"{n}/{len(shares)}" for n in range(1, len(shares) + 1)]


# ---- nothing wrong passes ------------------------------------------------------------------------


def run_jobs(folder, *jobs):
    """Run @jobs; returns the report."""
    report = whole.Report(parts.Run("none", 2), jobs, str(folder))
    schedule.Pool(str(folder), 2, report.ended).run(list(jobs))
    return report


def said(report):
    return report.passed, len(report.failed), [f.name for f in report.failed]


def says(name, text, *needs, end="", judge=None):
    judge = judge or parts.judge_tool(1)
    return Job(name, "part", [sys.executable, "-c", f"print({text!r}){end}"], judge, needs)


def test_numbers_are_added(tmp_path):
    report = run_jobs(tmp_path, says("a", "3 passed, 0 failed"), says("b", "4 passed, 0 failed"))
    assert said(report) == (7, 0, [])
    assert (tmp_path / "a.log").read_text() == "3 passed, 0 failed\n"


@pytest.mark.parametrize(
    "text, end, name",
    [
        ("FAILED x\n1 passed, 1 failed", ";exit(1)", "part: x"),
        ("  not ok y: why\n1 passed, 1 failed", ";exit(1)", "part: y: why"),
        ("1 passed, 1 failed", ";exit(1)", "a: 1 failed"),
        ("5 passed, 0 failed", ";exit(3)", "a: ended with status 3 after 5 tests"),
        ("0 passed, 0 failed", "", "a: ended with status 0 after 0 tests"),
        ("nothing", "", "a: ended with status 0 after 0 tests"),
        ("", ";import os;os.kill(os.getpid(), 9)", "a: ended with status -9 after 0 tests"),
    ],
)
def test_a_tool_that_fails_or_says_nothing_fails(tmp_path, text, end, name):
    assert said(run_jobs(tmp_path, says("a", text, end=end)))[1:] == (1, [name])


def test_what_needs_a_failed_build_is_not_run_and_fails(tmp_path):
    build = says("build x", "mm/x.c:1: error", end=";exit(2)", judge=parts.judge_build(False))
    build.part = "build"
    report = run_jobs(tmp_path, build, says("a", "3 passed, 0 failed", "build x"))
    names = ["build x: does not build", "part: not run: what it needs failed"]
    assert said(report) == (0, 2, names)


def test_a_part_without_a_test_fails(tmp_path):
    empty = says("a", "", judge=lambda *_: Verdict(0, 0, [], []))
    assert said(run_jobs(tmp_path, empty)) == (0, 1, ["part: no test was run"])


# ---- a second try ------------------------------------------------------------------------------


@pytest.fixture
def tries(monkeypatch):
    """Make second tries pass if their command has the word "flaky"; returns the commands tried."""
    lines = []
    monkeypatch.delenv("QUARRY_AGAIN", raising=False)  # this may itself be a second try
    monkeypatch.setattr(
        whole, "tried", lambda line, folder, name: lines.append(line) or "flaky" in line
    )
    monkeypatch.setattr(
        whole, "again", lambda name, part, run: "" if "build" in name else f"try {name}"
    )
    return lines


def test_a_file_outside_of_the_build_directory_is_a_failure(monkeypatch):
    report = whole.Report(parts.Run("none", 2), [])
    monkeypatch.setattr(whole.rooms, "strays", lambda: ["mine", "OME/"])
    report.judge_strays(["mine"])
    assert [f.name for f in report.failed] == ["a file outside of none: OME/"]


def report_of(names, full=False):
    report = whole.Report(parts.Run("none", 2, full), [])
    report.passed = 7
    for name in names:
        report.fail(name, "part", "a.log")
    report.try_again()
    return report


def test_what_passes_alone_is_flaky_and_counts_as_passed(tries, capsys):
    report = report_of(["flaky a", "b", "build c"])
    assert tries == ["try flaky a", "try b"]
    assert said(report) == (8, 2, ["b", "build c"])
    report.close()
    lines = capsys.readouterr().out.split("\n")
    assert "FLAKY flaky a" in lines and "FAILED flaky a" not in lines
    assert lines[lines.index("FAILED b") :][:3] == ["FAILED b", "  again: try b", "  log:   a.log"]


def test_three_may_be_flaky_and_with_full_none(tries):
    some = [f"flaky {n}" for n in range(4)]
    assert said(report_of(some[:3])) == (10, 0, [])
    assert said(report_of(some))[:2] == (11, 1)
    assert said(report_of(some[:1], full=True)) == (7, 1, ["flaky 0"])


def test_a_second_try_makes_none_itself(monkeypatch, tmp_path):
    assert whole.tried("test $QUARRY_AGAIN", str(tmp_path), "again 1")
    monkeypatch.setenv("QUARRY_AGAIN", "1")
    assert said(report_of(["a"])) == (7, 1, ["a"])


def test_many_failures_are_not_tried_again(tries):
    assert said(report_of([f"flaky {n}" for n in range(13)]))[1] == 13 and not tries


@pytest.mark.parametrize(
    "part, name, line",
    [
        ("hosted", "hosted plain: drain.a_test", "build/host-plain/check drain.a_test"),
        ("hosted", "hosted port: drain.a_test hangs", "build/host-port/check drain.a_test"),
        (
            "hosted",
            "hosted port: ended with status -6 in pcp.x, before the last suite",
            "build/host-port/check pcp.x",
        ),
        ("hosted", "hosted port: ended with status 1", "make check ONLY=port"),
        ("hosted", "hosted port: does not build", ""),
        ("lint", "lint: words", "make lint ONLY=words"),
        ("races", "races: R-S0A with M02", "make race NAME='R-S0A M02'"),
        ("races", "races: R-S0A", "make race NAME=R-S0A"),
        ("races", "races: tables of docs/races", "make race"),
        ("mutants", "mutants: M05: SURVIVED: race R-S1: ", "make mutants ONLY=M05"),
        ("models", "models: putback late: HOLDS (1.0 s)", "make model ONLY=putback-late"),
        ("labs", "labs: 5.reference: lost 3", "make labs-check ONLY=5.reference"),
        ("library", "library: core", "python3 tools/test/library.py --only core"),
        ("bench", "bench: 1 failed", "make bench ONLY=1"),
        ("devices", "devices: 1 failed", "make test ONLY=devices"),
    ],
)
def test_a_failure_has_its_command(part, name, line):
    run = parts.Run("build", 2, python="python3")
    assert whole.again(name, part, run) == line


def test_a_build_that_fails_has_the_command_of_make():
    builds = parts.builds(parts.Run("build", 2))
    assert whole.build_again("build fiber: does not build", builds).endswith(
        "B=build build/fiber/race"
    )
    assert whole.build_again("races: not run: what it needs failed", builds) == ""


def test_a_failed_test_in_qemu_is_repeated_with_its_limit():
    name = "tests/qemu/test_x.py::test_a[1 b]"
    run = parts.Run("b", 2, True, "python3", lengths={name: (9.0, 9.0)})
    assert whole.again(f"qemu: {name}: did not end", "qemu", run) == (
        "FULL=1 QUARRY_LIMIT=180 QUARRY_BUILD=b python3 -m pytest -p no:cacheprovider "
        "'tests/qemu/test_x.py::test_a[1 b]'"
    )


# ---- a program that hangs ------------------------------------------------------------------------


@pytest.fixture
def started():
    """started(code) -> a process that runs this Python code; it is ended with the test."""
    programs = []

    def start(code):
        programs.append(subprocess.Popen([sys.executable, "-c", code]))
        return programs[-1]

    yield start
    for proc in programs:
        proc.kill()
        proc.wait()


def test_a_program_that_uses_far_too_much_of_a_cpu_hangs(started):
    proc = started("while 1: pass")
    dog = watchdog.Watchdog(proc.pid, 1.0)
    assert not dog.why()
    wait_until(dog.why)
    assert "of a CPU, of at most 1" in dog.why()
    dog.again()  # the limit now starts again
    assert not dog.why()
    proc.kill()
    proc.wait()
    assert not dog.why()


def test_a_program_that_waits_in_silence_hangs(started, monkeypatch):
    monkeypatch.setattr(watchdog, "SILENCE", 2.0)
    dog = watchdog.Watchdog(started("import time; time.sleep(600)").pid, 1.0)
    assert not dog.why()
    wait_until(dog.why)
    assert "neither said nor done anything for 2 s" in dog.why()
    dog.heard()
    assert not dog.why()


def test_the_time_of_a_program_is_that_of_its_children_too():
    before = watchdog.cpu_of(os.getpid())
    busy = "import time\nwhile time.process_time() < 0.6: pass"
    subprocess.run([sys.executable, "-c", busy], check=True)
    assert watchdog.cpu_of(os.getpid()) - before >= 0.5


def test_a_program_that_hangs_is_ended(started):
    """A test that waits for the program's output sees its end, and the reason."""
    hung = started("while 1: pass")
    with watchdog.Guard(hung.pid, 1.0, lambda: 0) as guard:
        assert hung.wait(qemu.WATCHDOG) == -signal.SIGKILL
        guard.join()
        assert "of a CPU, of at most 1" in guard.why
    well = started("import time; time.sleep(600)")
    with watchdog.Guard(well.pid, 1.0, lambda: 0) as guard:
        pass
    assert well.poll() is None and not guard.why


# ---- lanes ---------------------------------------------------------------------------------------


TESTS = """
import os, pytest

@pytest.fixture(scope="module")
def shared(): pass

def test_good(shared): pass
@pytest.mark.alone
def test_bad(): assert 0
def test_left_out(): pytest.skip("no such machine")
@pytest.mark.xfail(reason="not yet")
def test_expected(): assert 0
def test_ends_all(): os._exit(0)
def test_never_begins(): pass
"""


def test_a_lane_judges_each_test_and_misses_those_that_did_not_end(tmp_path, monkeypatch):
    monkeypatch.setattr(qemu, "ROOT", str(tmp_path))
    monkeypatch.setattr(rooms, "ROOT", str(tmp_path))
    for variable in ("QUARRY_LIST", "QUARRY_LANE", "QUARRY_ENDS"):  # set by the lane of this test
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "test_sample.py").write_text(TESTS)
    options = ["-c", os.devnull, f"--rootdir={tmp_path}"]
    run = parts.Run(str(tmp_path), 2, python=sys.executable, options=options)
    listed = tmp_path / "list"
    subprocess.run(
        [*parts.pytest_command(run, "test_sample.py"), "--collect-only"],
        cwd=tmp_path,
        env=dict(os.environ, QUARRY_LIST=str(listed), **parts.pytest_env(run)),
        check=True,
        capture_output=True,
    )
    rows = parts.read_rows(listed)
    ids = [row["id"] for row in rows]
    assert [row["alone"] for row in rows] == [False, True] + [False] * 4
    job = parts.lane(run, "qemu", 1, ids, str(tmp_path), False)
    job.needs = ()
    passed, failed, names = said(run_jobs(tmp_path, job))
    assert (passed, failed) == (1, 3)
    wanted = ["test_bad", "test_ends_all: did not end", "test_never_begins: did not end"]
    assert [name.split("::")[1] for name in names] == wanted


ENDLESS = """
import sys
sys.path.insert(0, {tools!r})
sys.dont_write_bytecode = True
import rooms
import schedule
# Beside its shell, and in a session of its own.
word = "sh -c 'setsid sleep {seconds} & sleep {seconds}'; sleep {seconds}"
jobs = [schedule.Job(f"j{{i}}", "part", ["sh", "-c", word], None) for i in range(2)]
try:
    schedule.Pool({folder!r}, 2, None).run(jobs)
except KeyboardInterrupt:
    sys.exit(130)
"""


def sleepers(seconds):
    """The pids of processes `sleep SECONDS`."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                found += [pid] if f.read() == f"sleep\0{seconds}\0".encode() else []
        except OSError:
            pass
    return found


def test_ctrl_c_ends_everything(tmp_path):
    seconds = 100000 + os.getpid()
    program = ENDLESS.format(
        tools=os.path.dirname(rooms.__file__), seconds=seconds, folder=str(tmp_path)
    )
    proc = subprocess.Popen(
        [sys.executable, "-c", program],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        wait_until(lambda: len(sleepers(seconds)) >= 4 or proc.poll() is not None)
        proc.send_signal(signal.SIGINT)
        assert proc.wait(qemu.WATCHDOG) == 130
        time.sleep(0.1)
        assert not sleepers(seconds) and not (tmp_path / "tmp").exists()
    finally:
        proc.kill()
        for pid in sleepers(seconds):
            os.kill(int(pid), signal.SIGKILL)


def test_the_lines_of_failed_tests_are_found():
    text = "boot\n  # begin a.b\n    # b.c:1: expected x\n  not ok 1 b\n  # begin a.c\n  ok 2 c\n"
    failed = ["  # begin a.b", "    # b.c:1: expected x", "  not ok 1 b", "..."]
    assert qemu.failures(text) == failed
    assert qemu.failures(text, nr=2) == failed[1:]
    assert qemu.failures("  # begin a.c\n  ok 1 c\n") == []
