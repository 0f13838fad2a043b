# SPDX-License-Identifier: MIT
"""Programs that want more memory than the machine has (tests/hostile/over.c), and the promises to
all programs (tests/hostile/promise.c)."""
import dataclasses
import re

import pytest

import soak

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
    victims = [row for row in rows if "the most: killed" in row["remark"]]
    assert len(victims) == 1, run.story()
    victim = victims[0]
    assert victim["pages"] == max(
        row["pages"] for row in rows if "exempt" not in row["remark"]
    ), run.story()
    # The figures below the table add up to all memory.
    sums = re.search(
        r"^oom: (\d+) pages are charged, (\d+) are free, (\d+) are the kernel's own$",
        run.text,
        re.MULTILINE,
    )
    managed = int(re.search(r"; of (\d+) pages in use none can be reclaimed", run.text).group(1))
    assert sum(map(int, sums.groups())) == managed, run.story()
    # At least the pages that the victim alone paid for and mapped have come back: they are free, or
    # other tasks have taken them since.
    others = sum(row["pages"] for row in rows if row is not victim)
    gone = re.findall(
        r"^oom: task (\d+) (\S+) is gone, (\d+) pages are free$", run.text, re.MULTILINE
    )
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
    used, present = map(
        int, re.search(r"^over: (\d+) pages were used, (\d+) have memory$", run.text, re.M).groups()
    )
    managed = int(re.search(r"(\d+) MiB managed", run.text).group(1)) * 256
    assert used > 1.9 * managed and 0.5 * managed < present <= managed, run.story()
    supplied, back, wrong = map(
        int,
        re.search(
            r"^packer: \d+ pages: (\d+) supplied, (\d+) taken back, .* (\d+) wrong$", run.text, re.M
        ).groups(),
    )
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
    assert not run.has("^oom: ") and run.has(
        r"^task 1 over: page fault: write of [0-9a-f]{16}: no memory$"
    ), run.story()
    assert run.has(r"^user: over faulted, status 0$"), run.story()


@pytest.mark.parametrize("cpus", [1, 4])
def test_promises(boot, cpus):
    """All promised pages come back, also when tasks die while their pages are moved, reclaimed or
    waited for."""
    run = boot(f"{QUIET} user=promise user_rounds=2", programs=True, cpus=cpus, mem=64)
    assert run.passed, run.story()
    assert len(re.findall("^promise: 0 surprises$", run.text, re.M)) == 2, run.story()
    assert re.findall(r"^soak: round (\d of 2), seed (0x[0-9a-f]+): good$", run.text, re.M) == [
        ("1 of 2", "0x5eed"),
        ("2 of 2", "0x5eee"),
    ], run.story()
    done = re.search(
        rf"^soak: (\d+) downs and (\d+) ups of {cpus} CPUs, (\d+) offlines that moved \d+ pages, "
        r"(\d+) refused; "
        r"\d+ pages free as before; \d+ dropped, 0 killed$",
        run.text,
        re.M,
    )
    assert done, run.story()
    downs, ups, offlines, refused = map(int, done.groups())
    assert (
        downs > 0 and ups <= downs if cpus > 1 else downs == ups == 0
    ) and offlines + refused > 0, run.story()


def test_random_calls_while_memory_is_short(boot):
    """Run a hundredth of `make soak TARGET=syscalls`."""
    calls = soak.TARGETS["syscalls"].rounds // 100
    cmdline = soak.plan("syscalls", calls, 0, 7)[0]
    run = boot(cmdline, programs=True, mem=64)
    assert run.passed, run.story()
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
