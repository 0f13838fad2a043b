# SPDX-License-Identifier: MIT
"""`make test` itself: which jobs run when, what is left out, and that nothing wrong passes."""
import argparse
import os
import signal
import subprocess
import sys
import time

import pytest

import chosen
import lane
import parts
import qemu
import schedule
import test as whole
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
    # No job keeps its cores busy all the time: a little more than there is may be promised.
    assert next_name([job("more", cpu=1.2 * SLOW, wall=SLOW)], running=[job("other")]) == "more"
    # One that keeps more cores busy than there are starts where nothing runs.
    assert next_name([job("eight", cpu=8 * SLOW, wall=SLOW)]) == "eight"
    # Those that wait go together, up to three times as many as cores.
    sleeps = [job(f"sleep{i}", cpu=0.1, wall=SLOW) for i in range(9)]
    assert next_name([sleeps[8]], running=sleeps[:5]) == "sleep8"
    assert next_name([sleeps[8]], running=sleeps[:6]) is None


def test_a_job_may_be_alone_or_keep_a_file_for_itself():
    alone, other = job("alone", alone=True), job("other")
    assert next_name([alone], running=[other]) is None
    assert next_name([other], running=[alone]) is None
    assert next_name([alone]) == "alone"
    log = [job(f"log{i}", keeps=frozenset(["run.log"])) for i in range(2)]
    assert next_name([log[1], other], running=log[:1]) == "other"


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
    assert run.length("test_y.py::test") == (0.5, 9.0)
    assert parts.Run("build", 2).length("new") == (schedule.CPU, schedule.WALL)


def test_lengths_with_full_are_their_own():
    test, long = "test_x.py::test", "test_x.py::test FULL=1"
    run = parts.Run("build", 2, lengths={test: (1.0, 2.0), "bench": (3.0, 3.0)})
    full = parts.Run("build", 2, full=True, lengths=run.lengths)
    assert full.length(test) == run.length(test) == (1.0, 2.0)
    run.lengths[full.key(test)] = (9.0, 9.0)
    assert full.length(test) == run.lengths[long] == (9.0, 9.0) and run.length(test) == (1.0, 2.0)
    assert full.key("bench") == "bench FULL=1" and full.key("races") == run.key("races") == "races"


def test_the_line_of_progress_fits():
    line = schedule.progress_line(["hosted threads-asan"] * 9, 7, 210, 125, 80)
    assert line.startswith("[7/210] 2:05 left: hosted") and len(line) < 80


# ---- what is left out ----------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1, 7, 8, 9, 930])
def test_eighths_are_all_and_do_not_overlap(number):
    items = list(range(number))
    eighths = [chosen.eighth(items, nr) for nr in range(1, chosen.EIGHTHS + 1)]
    assert sorted(item for one in eighths for item in one) == items
    assert max(map(len, eighths)) - min(map(len, eighths)) <= 1


def test_the_days_eighth_is_one_of_them(monkeypatch):
    days = set()
    for day in range(8):

        class Date(chosen.datetime.date):
            @classmethod
            def today(cls, day=day):
                return cls(2024, 5, 1 + day)

        monkeypatch.setattr(chosen.datetime, "date", Date)
        days.add(chosen.today())
        monkeypatch.undo()
    assert days == set(range(1, 9))


@pytest.mark.parametrize("text", ["0", "9", "-1", "x", ""])
def test_no_other_eighths(text):
    with pytest.raises(ValueError, match="wanted 1 to 8"):
        chosen.eighth_of(text)


def test_changed_files_are_those_since_the_last_tag(tmp_path, monkeypatch):
    def git(*words):
        who = ["-c", "user.name=n", "-c", "user.email=n@n", "-c", "init.defaultBranch=main"]
        subprocess.run(["git", *who, *words], cwd=tree, check=True, capture_output=True)

    def commit(name):
        (tree / name).write_text(name)
        git("add", name)
        git("commit", "-m", name)

    tree = tmp_path / "tree"
    tree.mkdir()
    monkeypatch.setattr(qemu, "ROOT", str(tree))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert chosen.changed() == set()  # an unpacked archive
    git("init")
    commit("first.c")
    commit("second.c")
    assert chosen.changed() == set()
    (tree / "first.c").write_text("edited")
    (tree / "new.c").write_text("new")
    assert chosen.changed() == {"first.c", "new.c"}
    git("tag", "v1", "HEAD~1")
    assert chosen.changed() == {"first.c", "second.c", "new.c"}
    # A tree in another repository.
    (tree / "inner").mkdir()
    monkeypatch.setattr(qemu, "ROOT", str(tree / "inner"))
    assert chosen.changed() == set()


def test_variants_of_changed_files_run_besides_the_eighth():
    run = parts.Run("build", 2, eighth=3)
    ids, said = parts.chosen_variants(run)
    everything = parts.chosen_variants(parts.Run("build", 2, full=True))[0]
    assert ids == everything[2::8] and "eighth 3" in said
    run.changed = {"mm/buddy.c"}
    more = set(parts.chosen_variants(run)[0]) - set(ids)
    assert more and all(parts.touches(parts.variant.read(i), run.changed) for i in more)
    assert not any(
        parts.touches(parts.variant.read(i), run.changed) for i in set(everything) - more - set(ids)
    )
    run.changed = {f"tests/mutants/{everything[0]}.mut"}
    assert set(parts.chosen_variants(run)[0]) - set(ids) == {everything[0]}


def checked(build, monkeypatch, *words):
    """The sources that clang-tidy is asked to look at."""
    parser, seen = argparse.ArgumentParser(), []
    parts.lint.analyse.options(parser)
    for name in ("jobs", "part", "changed"):
        monkeypatch.setattr(parts.lint.analyse, name, getattr(parts.lint.analyse, name))
    parts.lint.analyse.take(parser.parse_args(words))
    monkeypatch.setattr(
        parts.lint.analyse, "run_together", lambda command, paths, build: seen.extend(paths) or ""
    )
    assert not list(parts.lint.analyse.check_tidy(str(build)))
    return seen


def test_sources_of_a_day_are_an_eighth_and_those_of_changed_files(tmp_path, monkeypatch):
    everything = checked(tmp_path, monkeypatch)
    days = [checked(tmp_path, monkeypatch, "--eighth", str(n)) for n in range(1, 9)]
    assert sorted(path for day in days for path in day) == sorted(everything)
    assert max(map(len, days)) - min(map(len, days)) <= 1
    changed = "--changed=mm/buddy.c,include/quarry/ipc.h"
    more = set(checked(tmp_path, monkeypatch, "--eighth", "1", changed)) | set(days[0])
    assert {"mm/buddy.c", "kernel/ipc.c"} <= more
    assert "mm/slab.c" not in more - set(days[0])


def test_clang_tidy_and_cppcheck_look_at_all_with_full():
    today = {j.name: j.command for j in parts.part_lint(parts.Run("build", 2, eighth=3))}
    full = {j.name: j.command for j in parts.part_lint(parts.Run("build", 2, full=True))}
    for name in ("lint tidy", "lint cppcheck"):
        assert today[name] == [*full[name], "--eighth", "3", "--changed="]
    assert all(today[name] == full[name] for name in set(full) - {"lint tidy", "lint cppcheck"})


def test_every_part_has_jobs_and_they_fit_together():
    run = parts.Run("build", 2, eighth=1, lengths=parts.read_lengths(parts.LENGTHS))
    jobs = [j for make in parts.PARTS.values() for j in make(run)]
    schedule.rank(list(parts.builds(run).values()) + jobs)
    assert {j.part for j in jobs} == set(parts.PARTS)
    checks = [name for j in jobs if j.part == "lint" for name in j.command[5].split(",")]
    assert sorted(checks) == sorted(c.__name__[6:] for c in parts.lint.CHECKS)
    cases = [name for j in jobs if j.part == "models" for name in j.command[-1].split(",")]
    assert sorted(cases) == sorted("-".join(case[:2]) for case in parts.model.CASES)
    everything = parts.Run("build", 2, full=True)
    ids = [
        name
        for j in parts.part_mutants(everything)
        for name in j.command[j.command.index("--only") + 1].split(",")
    ]
    assert sorted(ids) == parts.variant.known()
    assert len(list(parts.part_failures(everything))) == chosen.EIGHTHS


# ---- nothing wrong passes ------------------------------------------------------------------------


def run_jobs(folder, *jobs):
    """The counts of a run of these jobs."""
    report = whole.Report(parts.Run("none", 2), jobs)
    schedule.Pool(str(folder), 2, report.ended).run(list(jobs))
    return report.counts


def says(name, text, *needs, end="", judge=None):
    judge = judge or parts.judge_tool(1)
    return Job(name, "part", [sys.executable, "-c", f"print({text!r}){end}"], judge, needs)


def test_numbers_are_added(tmp_path):
    counts = run_jobs(tmp_path, says("a", "3 passed, 0 failed"), says("b", "4 passed, 0 failed"))
    assert (counts.passed, counts.failed, counts.names) == (7, 0, [])
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
    counts = run_jobs(tmp_path, says("a", text, end=end))
    assert (counts.failed, counts.names) == (1, [name])


def test_what_needs_a_failed_build_is_not_run_and_fails(tmp_path):
    build = says("build x", "mm/x.c:1: error", end=";exit(2)", judge=parts.judge_build(False))
    build.part = "build"
    counts = run_jobs(tmp_path, build, says("a", "3 passed, 0 failed", "build x"))
    assert counts.passed == 0
    assert counts.names == ["build x: does not build", "part: not run: what it needs failed"]


def test_a_part_without_a_test_fails(tmp_path):
    empty = says("a", "", judge=lambda *_: Verdict(0, 0, [], []))
    assert run_jobs(tmp_path, empty).names == ["part: no test was run"]


class Item:
    """A test as pytest has collected it; every third one rotates."""

    def __init__(self, number):
        self.number = number

    def get_closest_marker(self, name):
        return True if name == "rotates" and self.number % 3 == 0 else None


def test_each_combination_belongs_to_one_day_and_the_others_to_all(monkeypatch):
    items, days = [Item(number) for number in range(100)], []
    for number in range(1, chosen.EIGHTHS + 1):
        monkeypatch.setenv("QUARRY_EIGHTH", str(number))
        later = lane.not_today(items)
        days += [item for item in items if item not in later and item.number % 3 == 0]
        assert all(item.number % 3 == 0 for item in later) and len(later) in (29, 30)
    assert sorted(item.number for item in days) == list(range(0, 100, 3))
    monkeypatch.delenv("QUARRY_EIGHTH")
    assert lane.not_today(items) == []


@pytest.mark.parametrize(
    "full, options, today", [(False, [], "3"), (True, [], None), (False, ["-k", "x"], None)]
)
def test_all_combinations_run_where_all_or_some_are_asked_for(full, options, today):
    run = parts.Run("b", 2, full=full, eighth=3, options=options)
    assert whole.rotation(run).get("QUARRY_EIGHTH") == today
    assert parts.pytest_env(run).get("FULL") == ("1" if full else None)


def test_a_test_of_which_nothing_runs_today_is_named():
    rows = [{"id": "f::a[1]", "today": False}, {"id": "f::a[2]", "today": True}]
    assert whole.left_out(rows) == ""
    assert whole.left_out(rows[:1]) == "nothing of it runs today: f::a"


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
    for variable in ("QUARRY_LIST", "QUARRY_LANE", "QUARRY_ENDS"):  # of the lane that this is in
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
    counts = run_jobs(tmp_path, job)
    assert (counts.passed, counts.failed) == (1, 3)
    assert [name.split("::")[1] for name in counts.names] == [
        "test_bad",
        "test_ends_all: did not end",
        "test_never_begins: did not end",
    ]


ENDLESS = """
import sys
sys.path.insert(0, {tools!r})
sys.dont_write_bytecode = True
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
    """The processes `sleep SECONDS`."""
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
        tools=os.path.join(qemu.ROOT, "tools"), seconds=seconds, folder=str(tmp_path)
    )
    proc = subprocess.Popen(
        [sys.executable, "-c", program],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        wait_until(lambda: len(sleepers(seconds)) >= 4)
        proc.send_signal(signal.SIGINT)
        assert proc.wait(qemu.WATCHDOG) == 130
        time.sleep(0.1)
        assert not sleepers(seconds) and not (tmp_path / "tmp").exists()
    finally:
        proc.kill()
        for pid in sleepers(seconds):
            os.kill(int(pid), signal.SIGKILL)
