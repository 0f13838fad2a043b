# SPDX-License-Identifier: MIT
"""Programs that want more memory than the machine has (tests/hostile/over.c), and the promises to
all programs (tests/hostile/promise.c). Families of tasks at random (tests/hostile/families.c): a
killed task has the most by its account, no other task waits for long, and nothing is left."""
import dataclasses
import re

import conftest
import pytest

import soak
from conftest import numbers

QUIET = "selftest=none"
ROW = re.compile(
    r"^oom: +(?P<id>\d+) (?P<name>\S+) +(?P<family>\d+) +(?P<threads>\d+) +(?P<own>\d+)"
    r" +(?P<shared>\d+) +(?P<has>\d+)"
    r" +(?P<kernel>\d+)"
    r"(?P<remark>|  .*)$",
    re.MULTILINE,
)


@pytest.fixture
def over(boot):
    """over(case) -> Run of a program that uses twice as much memory as the machine has."""

    def run(case, **kw):
        return boot(f"{QUIET} user=over user_arg={case}", programs=True, mem=64, **kw)

    return run


def finished(run):
    """The number of pages of each hog that verified its pages and ended."""
    return [int(n) for n in re.findall(r"^hog: (\d+) pages, 0 of them wrong$", run.text, re.M)]


def killed(run):
    """(rows of the OOM killer's only table, the victim's row). The victim must have the most pages
    of the tasks that may be killed."""
    assert len(re.findall(r"^oom: no memory for ", run.text, re.MULTILINE)) == 1, run.story()
    rows = [m.groupdict() for m in ROW.finditer(run.text)]
    for row in rows:
        row["pages"] = int(row["own"]) - int(row["shared"]) + int(row["has"])
    (victim,) = [row for row in rows if "the most: killed" in row["remark"]]
    most = max(row["pages"] for row in rows if "exempt" not in row["remark"])
    assert victim["pages"] == most, run.story()
    # The figures below the table add up to all memory.
    said = r"^oom: (\d+) pages are charged, (\d+) are free, (\d+) are the kernel's own$"
    managed = numbers(run, r"; of (\d+) pages in use none can be reclaimed")
    assert [sum(numbers(run, said))] == managed, run.story()
    # At least the pages that the victim alone paid for and mapped have come back: they are free, or
    # other tasks have taken them since.
    others = sum(row["pages"] for row in rows if row is not victim)
    said = r"^oom: task (\d+) (\S+) is gone, (\d+) pages are free$"
    gone = re.findall(said, run.text, re.MULTILINE)
    assert [g[:2] for g in gone] == [(victim["id"], victim["name"])], run.story()
    bound = int(victim["own"]) - int(victim["shared"])
    assert int(gone[0][2]) + max(0, sum(finished(run)) - others) >= bound, run.story()
    return rows, victim


@pytest.mark.long
def test_twice_the_memory_by_a_pager(over):
    """The working set is served through reclaim: no task is killed, and each page is as it was
    written."""
    run = over(1)
    assert run.passed, run.story()
    assert not run.has("^oom: ") and run.has("^over: 0 surprises$"), run.story()
    used, present = numbers(run, r"^over: (\d+) pages were used, (\d+) have memory$")
    managed = numbers(run, r"(\d+) MiB managed")[0] * 256
    assert used > 1.9 * managed and 0.5 * managed < present <= managed, run.story()
    said = r"^packer: \d+ pages: (\d+) supplied, (\d+) taken back, .* (\d+) wrong$"
    supplied, back, wrong = numbers(run, said)
    # Reclaimed pages came back with their content.
    assert supplied > 1.2 * used and back > 0.5 * used and wrong == 0, run.story()


@pytest.mark.parametrize("case", [2, 3], ids=["mapped", "unmapped"])
def test_twice_the_memory_anonymous(over, case):
    """The task that wants too much is killed, whether its pages are mapped or held; the other tasks
    verify their pages."""
    run = over(case)
    assert run.passed and run.has("^over: 0 surprises$"), run.story()
    rows, victim = killed(run)
    assert victim["name"] == "hog" and len(rows) == 5, run.story()
    assert len(finished(run)) == 3 and min(finished(run)) > 2000, run.story()


def test_pager_in_use_is_not_killed(over):
    """The pager's pages are present and mapped outside its family: its end would lose them."""
    run = over(6)
    assert run.passed and run.has("^over: 0 surprises$"), run.story()
    rows, victim = killed(run)
    pager = next(row for row in rows if row["name"] == "maker")
    assert victim["name"] == "hog", run.story()
    assert int(pager["own"]) > victim["pages"], run.story()
    assert int(pager["shared"]) > 0.9 * int(pager["own"]), run.story()


def test_pager_for_a_few_pages_is_killed(over):
    """Pages that a pager supplied to other tasks do not count as the pager's; its other pages do,
    including its store."""
    run = over(7)
    assert run.passed and run.has("^over: 0 surprises$"), run.story()
    _, victim = killed(run)
    assert victim["name"] == "pager", run.story()


def test_first_task_is_never_killed(over):
    """If only the first task could be killed, its access fails: it ends with a message, and the
    kernel goes on."""
    run = over(4)
    assert run.failed, run.story()
    assert not run.has("^oom: "), run.story()
    run.says(r"^task 1 over: page fault: write of [0-9a-f]{16}: no memory$")
    run.says(r"^user: over faulted, status 0$")


@pytest.mark.parametrize("cpus", [1, 4])
def test_promises(passes, cpus):
    """All promised pages come back, also when tasks die while their pages are moved, reclaimed or
    waited for."""
    run = passes(f"{QUIET} user=promise user_rounds=2", programs=True, cpus=cpus, mem=64)
    assert len(re.findall("^promise: 0 surprises$", run.text, re.M)) == 2, run.story()
    assert re.findall(r"^soak: round (\d of 2), seed (0x[0-9a-f]+): good$", run.text, re.M) == [
        ("1 of 2", "0x5eed"),
        ("2 of 2", "0x5eee"),
    ], run.story()
    downs, ups, offlines, refused = numbers(
        run,
        rf"^soak: (\d+) downs and (\d+) ups of {cpus} CPUs, (\d+) offlines that moved \d+ pages, "
        r"(\d+) refused; \d+ pages free as before; \d+ dropped, 0 killed$",
    )
    assert downs > 0 and ups <= downs if cpus > 1 else downs == ups == 0, run.story()
    assert offlines + refused > 0, run.story()


def test_random_calls_while_memory_is_short(passes):
    """Run a hundredth of `make soak TARGET=syscalls`."""
    calls = soak.TARGETS["syscalls"].rounds // 100
    cmdline = soak.plan("syscalls", calls, 0, 7)[0]
    run = passes(cmdline, programs=True, mem=64)
    assert not soak.complaints("syscalls", run, calls), run.story()
    for pattern, new in (
        (r"fuzz: \d+ calls", "fuzz: 1 calls"),
        (r"soak: \d+ downs", "soak: 0 downs"),
        (r"\d+ offlines", "0 offlines"),
        (r"\d+ killed", "0 killed"),
        (r"soak: (?=\d+ downs)", "soak "),
    ):
        text, n = re.subn(pattern, new, run.text)
        assert n, f"{pattern}: {run.story()}"
        assert (
            len(soak.complaints("syscalls", dataclasses.replace(run, text=text), calls)) == 1
        ), f"{pattern} -> {new}"


def test_hoarders_harm_no_other_task(boot):
    """Run a hundredth of `make soak TARGET=hoard`, on the smallest machine."""
    worth = soak.TARGETS["hoard"].rounds // 100
    cmdline = soak.plan("hoard", worth, 0, 7)[0]
    run = boot(cmdline, programs=True, mem=64)
    assert not soak.complaints("hoard", run, worth), run.story()
    for pattern, new in ((r"0 surprises", "1 surprises"), (rf"{worth} programs", "99 programs")):
        text = re.sub(pattern, new, run.text)
        assert (
            len(soak.complaints("hoard", dataclasses.replace(run, text=text), worth)) == 1
        ), f"{pattern} -> {new}"


# ---- families of tasks at random -----------------------------------------------------------------
EACH = 34 if conftest.whole() else 8  # number of families in a run


def tables(text):
    """The rows of each table of the OOM killer, which may be printed between other lines."""
    for table in re.split(r"^oom: no memory for ", text, flags=re.MULTILINE)[1:]:
        yield [m.groupdict() for m in ROW.finditer(table)]


def score(row):
    own, shared = int(row["own"]), int(row["shared"])
    return max(own - shared, 0) + int(row["has"]) + int(row["kernel"])


def judge(run, nr):
    assert run.passed, run.story()
    run.says(rf"^families: {nr} families of seed \d+, ")
    for rows in tables(run.text):
        victims = [row for row in rows if "the most: killed" in row["remark"]]
        if not victims:
            assert any("ending: waited for" in row["remark"] for row in rows), run.story()
            continue
        (victim,) = victims
        family = [row for row in rows if row["family"] == victim["family"]]
        family = [row for row in family if not re.search("exempt|ending", row["remark"])]
        assert score(victim) == max(map(score, family)), run.story()


COUNTED = {"icount": True, "shift": 3}


@pytest.mark.parametrize("machine", [{"cpus": 1, **COUNTED}, {"cpus": 2}, {"cpus": 4}])
@pytest.mark.parametrize("seed", range(1, 3))
def test_families(boot, machine, seed):
    """Waits are judged in guest time only, because others depend on the host's load."""
    words = f"{QUIET} user=families user_arg={EACH} seed={seed}"
    run = boot(words, programs=True, mem=64, **machine)
    judge(run, EACH)
    assert "icount" not in machine or "waited too long" not in run.text, run.story()
