# SPDX-License-Identifier: MIT
"""The race program, hosted: the texts of scripts, the tables and time lines of docs/races/, the
explorer, and the memory page's operations (docs/web.md)."""
import json
import os
import random
import subprocess

import check
import orders
import pytest
import qemu
import race
import race_table


def program(name="fiber/race"):
    """The path of the program, which is built."""
    path = os.path.join(qemu.BUILD, name)
    assert check.make(qemu.BUILD, path)
    return path


def run(*words):
    """(exit status, output) of the program that replays scripts."""
    command = [program(), *words]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    return done.returncode, done.stdout + done.stderr


# ---- scripts: what has no room is refused, and so is what is no script ---------------------------


def text_of(name="X", setup="A:scene", script="check", more=""):
    return f"race: {name}\n{more}setup: {setup}\nscript: {script}\nexpect: OK\n"


def replayed(path, **fields):
    path.write_text(text_of(**fields), encoding="utf-8")
    return run(str(path))


def test_a_script_of_160_entries_is_read(tmp_path):
    status, said = replayed(tmp_path / "x.race", script="check ; " * 159)
    assert status == 0 and said.endswith("\n159 - check ok\nrace: end X OK\n"), said


@pytest.mark.parametrize(
    "fields, says",
    [
        ({"script": "check ; " * 160}, 'too many entries: "check"'),
        ({"setup": "A:scene ; " * 161}, 'too many entries: "A:scene"'),
        ({"script": f"check{' ' * 200}off"}, 'too long: "check'),
        ({"script": ("check ;" + " " * 80) * 150 + "check off"}, 'too long: "check ;'),
        ({"script": "A?" + "p" * 40}, 'too long: "pppp'),
        ({"script": f"count {'p' * 40}"}, 'too long: "pppp'),
        ({"script": f"check {'p' * 40}"}, 'too long: "pppp'),
        ({"script": f"A:free({'p' * 40}"}, 'too long: "free(ppp'),
        ({"script": "A?free.prep#4294967297"}, "not a number of a hit"),
        ({"name": "X" * 40}, 'too long: "XXXX'),
        ({"more": "cpus: 0\n"}, 'not a number of CPUs, 1 to 8: "0"'),
        ({"more": "cpus: 9\n"}, 'not a number of CPUs, 1 to 8: "9"'),
        ({"more": "cpus: 4294967297\n"}, "not a number of CPUs, 1 to 8"),
        ({"more": "model: x86\n"}, 'not a model, sc or tso: "x86"'),
        ({"more": "cpus:\n"}, 'not a number of CPUs, 1 to 8: ""'),
    ],
    ids=range(15),
)
def test_what_has_no_room_is_refused(tmp_path, fields, says):
    status, said = replayed(tmp_path / "x.race", **fields)
    assert status == 1 and f" cannot be read: {says}" in said and "race: end" not in said, said


def test_a_file_that_is_no_script_is_refused(tmp_path):
    (tmp_path / "empty").write_text("")
    (tmp_path / "large").write_text(text_of() + "#" * 65536)
    empty, large = "it is empty, or no file", "it is larger than 65535 bytes"
    for path, says in (("empty", empty), ("", empty), ("large", large)):
        status, said = run(str(tmp_path / path))
        assert status == 1 and said.endswith(f" cannot be read: {says}\n"), said


@pytest.mark.parametrize(
    "role, says",
    [
        ("alloc ; " * 6 + "free", 'too many operations: "free"'),
        ("alloc" + " " * 200 + "=0", 'too long: "alloc'),
        ("cpu_" + "x" * 300, 'too long: "cpu_xxx'),
    ],
)
def test_operations_of_the_explorer_that_have_no_room_are_refused(role, says):
    status, said = run("--explore", role)
    assert status == 1 and said.startswith(f"race: given: {says}"), said
    assert run("--explore", "alloc=0 ;" + " " * 300 + "free")[0] == 0


def test_the_script_that_the_documentation_shows_is_read(tmp_path):
    with open(os.path.join(qemu.ROOT, "docs/races/README.md"), encoding="utf-8") as f:
        text = "race: R-S1\n" + f.read().split("\nrace: R-S1\n")[1].split("```")[0]
    (tmp_path / "x.race").write_text(text, encoding="utf-8")
    status, said = run(str(tmp_path / "x.race"))
    assert status == 0 and said.endswith("\nrace: end R-S1 OK\n"), said
    script, known = race.Script(str(tmp_path / "x.race")), {s.name: s for s in race.scripts()}
    assert script.expect == known["R-S1"].expect and script.title == known["R-S1"].title


def test_a_script_names_its_model_and_an_option_overrides_it(tmp_path):
    """While A is held, B waits for a lock whose release it does not see, but not without end."""
    script = "A!drain ; A?ipi.sent ; count unseen(A) ; A@ipi.sent ; A:join=0"
    path, fields = tmp_path / "x.race", {"setup": "A:scene ; A:fill", "script": script}
    assert "unseen(A) 1: slot->request\n" in replayed(path, more="model: tso\n", **fields)[1]
    assert "count unseen(A) 0\n" in run("--model=sc", str(path))[1]
    assert run("--model=tso", "R-S0C", "R-S2", "R-VM-leaf", "R-PSN-gone", "R-PSN-for-ever")[0] == 0


# ---- pages: tables and time lines are compared with the run --------------------------------------
PAGE = (
    "before\n<!-- race R-S1 -->\n<!-- end -->\nbetween\n"
    "<!-- race R-S1 M05 -->\n<!-- end -->\nafter\n"
)


@pytest.fixture
def page(tmp_path, monkeypatch):
    path = tmp_path / "page.md"
    path.write_text(PAGE, encoding="utf-8")
    monkeypatch.setattr(race_table, "PAGES", str(tmp_path / "*.md"))
    return path


@pytest.fixture(scope="module")
def trace():
    """Two runs of R-S1 on fibers, with the right code."""
    return race.run_scripts(program(), "fiber", "none", ["R-S1"], 2)["R-S1"]


def show(trace, update, ident="none", everything=False):
    counts = check.Counts()
    pages = race_table.Pages(update)
    pages.show("R-S1", ident, trace[0][0], trace[0][1], "")
    known = {(s.name, i) for s in race.scripts() for i in s.expect}
    pages.judge(counts, known if everything else None)
    return counts


def test_runs_are_repeated(trace):
    assert len(trace) == 2 and trace[0][:2] == trace[1][:2] and trace[0][1] == "OK"


def test_table_is_written_once(page, trace):
    """An update changes only the table of the run; a second comparison then finds no fault."""
    assert show(trace, True).failed == 0
    text = page.read_text(encoding="utf-8")
    head, table = text.split("<!-- race R-S1 -->\n")
    assert head == PAGE.split("<!-- race R-S1 -->\n", maxsplit=1)[0]
    assert table.endswith("<!-- end -->\nafter\n")
    assert "| 1 | free(P) started |  |  |\n" in table and "Outcome: **OK**" in table
    assert show(trace, False).failed == 0 and page.read_text(encoding="utf-8") == text


def test_time_line_is_written_beside_the_page(page, trace):
    show(trace, True)
    assert "![R-S1 in time](figures/R-S1.svg)" in page.read_text(encoding="utf-8")
    figure = page.parent / "figures/R-S1.svg"
    svg = figure.read_text(encoding="utf-8")
    for _, _, text, _ in race_table.steps(trace[0][0]):
        assert f">{text}</text>" in svg, text
    assert "A on CPU 0" in svg and "outcome: OK" in svg and ">wrong</text>" not in svg
    assert len(svg) < race_table.MAX_BYTES


@pytest.mark.parametrize(
    "name, old, new",
    [
        ("page.md", "free.prep arrived", "free.prep left"),
        ("page.md", "**OK**", "**STUCK**"),
        ("page.md", "| 3 |", "| 4 |"),
        ("figures/R-S1.svg", "free.prep arrived", "free.prep left"),
        ("figures/R-S1.svg", "OK", "STUCK"),
    ],
)
def test_another_table_or_time_line_fails(page, trace, name, old, new):
    show(trace, True)
    file = page.parent / name
    file.write_text(file.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    counts = show(trace, False)
    assert counts.failed == 2 and "not what the run shows" in counts.names[0], counts.names


def test_missing_and_superfluous_time_lines_fail(page, trace):
    show(trace, True)
    figures = page.parent / "figures"
    (figures / "R-S1.svg").rename(figures / "R-S9.svg")
    names = " ".join(show(trace, False, everything=True).names)
    assert "R-S1.svg: R-S1: not what the run shows" in names
    assert "R-S9.svg: no page shows it" in names


def test_time_line_marks_the_first_other_step():
    right = "1 A free(P) started\n2 A free(P) returned 0\n3 - check ok\n"
    wrong = right.replace("returned 0", "returned -5").replace("check ok", "check I-P6")
    svg = race_table.draw(race_table.steps(wrong, right), "CHECK(I-P6)")
    assert svg.count(">wrong</text>") == 1
    lines = svg.split("\n")
    mark = next(i for i, line in enumerate(lines) if ">wrong</text>" in line)
    assert any("free(P) returned -5" in line for line in lines[mark : mark + 4])
    body = svg[svg.index("</style>") :]
    assert body.count('stroke="#c00000"') == 3  # the line of the mark, and two steps


def test_table_of_no_run_fails(page, trace):
    page.write_text(PAGE.replace("M05", "M98"), encoding="utf-8")
    counts = show(trace, True, everything=True)
    assert "docs/races: no such run: R-S1 M98" in counts.names, counts.names


# ---- the explorer: all schedules with at most two preemptions, or a requested number -------------
SET = "free-enable-disable"


def lines(name, *more, by="fiber/race"):
    command = [program(by), "--explore", name, "--json", *more]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def explored(*more):
    """(the line of the set, the lines before it)"""
    *before, line = lines(SET, *more).strip().split("\n")
    row = json.loads(line)
    del row["seconds"]
    return row, before


def test_some_schedules_of_many():
    whole, _ = explored()
    assert whole["complete"] and not whole["left_out"]
    some, _ = explored("--max=300")
    assert not some["complete"] and 200 < some["schedules"] < 400 < whole["schedules"]
    assert some["schedules"] + some["left_out"] == whole["schedules"]
    assert explored("--max=300")[0] == some


def test_a_schedule_that_runs_for_ever_would_print_nothing():
    """Schedules that end are reported, so that many of them do not look like an endless one."""
    row, alive = explored("--alive")
    assert set(alive) == {"alive"} and len(alive) >= row["schedules"] // 512
    assert explored()[1] == []


def test_right_code_has_its_barriers():
    """No set finds anything where other CPUs see stores late."""
    rows = [json.loads(line) for line in lines("all", "--model=tso", "--max=200").split("\n")[:-1]]
    assert len(rows) > 70 and {row["outcome"] for row in rows} == {"OK"}
    for row in rows:
        if row["set"].startswith("tso-"):
            for model in ("sc", "tso"):
                whole = json.loads(lines(row["set"], f"--model={model}"))
                assert whole["complete"] and whole["outcome"] == "OK"


def test_right_code_is_right_on_weaker_machines():
    """No set finds anything where stores overtake each other and loads are early."""
    said = lines("all", "--model=weak", "--max=60", by="fiber-weak/race")
    rows = [json.loads(line) for line in said.split("\n")[:-1]]
    assert len(rows) > 70 and {row["outcome"] for row in rows} == {"OK"}


def test_right_code_is_right_with_a_point_at_each_store():
    """The compiler puts a point before each store of mm/ and kernel/, and behind each unlock."""
    for model, most in (("sc", 60), ("tso", 25), ("weak", 15)):
        words = ["--fine", "--seed=1", f"--model={model}", f"--max={most}"]
        rows = lines("all", *words, by="fiber-weak/race").split("\n")[:-1]
        assert len(rows) > 70 and {json.loads(row)["outcome"] for row in rows} == {"OK"}


@pytest.mark.full
def test_threads_are_right_with_a_point_at_each_store():
    said = orders.output(program("threads-weak/check"), "--fine", "all")
    assert said[-1].endswith(" 0 failed"), "\n".join(said)


@pytest.mark.full
def test_threads_are_right_with_any_one_preemption():
    """`make test` makes a part of these runs in a set of more than 500 points."""
    said = orders.output(program("host-threads/check"), "--each", "all")
    assert said[-1].endswith(" 0 failed"), "\n".join(said)


def offsets(path, text, *args):
    """The places at which the program @path comes to an order whose place or line has the @text."""
    said = orders.output(path, *args, "--orders")
    found = [line.split()[1] for line in said if line.startswith("order ")]
    places = list(zip(found, orders.sources(path, found)))
    assert not [at for _, at in places if at.startswith(("/", ".."))]  # ccache: of any tree
    return [o for o, at in places if text in f"{at.split(':')[0]} {orders.line_of(at)}"]


def test_a_missing_barrier_is_noticed_on_weaker_machines_only():
    """A CPU that reads a stack's new count finds the blocks that left it: a barrier sees to this,
    which x86 does not need."""
    weak = program("fiber-weak/race")
    words = ["--explore", "drain-drained", "--model=weak", "--max=30"]
    here = offsets(weak, "core/pcp.c store_barrier", *words)
    assert here and orders.killed(weak, "weak", here, ["drain-drained"], 100)
    assert not orders.killed(weak, "tso", here, ["drain-drained"], 100)


def test_a_thread_sleeps_on_if_its_task_ends_without_a_barrier():
    """The model also runs the kernel's threads: the end is stored, then the thread's state read."""
    weak = program("threads-weak/check")
    name = "threads.a_task_ends_while_its_thread_goes_to_sleep"
    assert orders.output(weak, name)[-1].endswith(" 0 failed")
    here = offsets(weak, "kernel/task.c full_barrier", name)
    said = orders.output(weak, name, "--fine", "--leave-out=" + ",".join(here))
    assert any(": STUCK:" in line for line in said)


# ---- the memory page: --memory=OPERATIONS --------------------------------------------------------
PAGES, BLOCK, MOVABLE = 512, 8, 256  # all pages; pages of a pageblock; first page of zone MOVABLE
FREE, CACHED, OFFLINE = "FREE", "PCP", "offline"


def play(operations):
    """(printed states, exit status) of the program that performs the operations."""
    command = [program(), f"--memory={'; '.join(operations)}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [json.loads(line) for line in done.stdout.splitlines()], done.returncode


def block_of(state, pfn):
    return [block for block in state["blocks"] if block[0] <= pfn][-1]


def test_a_page_in_another_cpus_cache_is_drained_by_an_offline():
    states, status = play(["0 alloc movable", "0 free 504", "1 offline 504"])
    assert status == 0 and [s["result"] for s in states] == ["0"] * 4
    assert states[1]["pfn"] == 504
    assert block_of(states[2], 504)[2:4] == [CACHED, 0]
    kinds = [(cpu, kind) for cpu, kind, *_ in states[3]["history"]]
    assert (1, "isolate") in kinds and (0, "give") in kinds and (1, "offline") in kinds
    assert block_of(states[3], 504)[2] == OFFLINE


def test_what_is_movable_moves_and_what_is_not_stays():
    states, _ = play(["0 alloc movable 1", "1 alloc unmovable", "2 offline 504"])
    pfn = states[2]["pfn"]
    assert "moved" in [kind for _, kind, *_ in states[3]["history"]]
    states, _ = play(["1 alloc unmovable", f"2 offline {pfn}", f"3 fail {pfn}"])
    assert [s["result"] for s in states[2:]] == ["-EBUSY", "-EBUSY"]
    assert block_of(states[2], pfn)[2:] == ["ALLOC", None, False]
    assert block_of(states[3], pfn)[2:] == ["ALLOC", None, True]


def test_what_cannot_be_read_ends_it():
    for bad in ("4 drain", "0", "x drain", '0 free "', "0 free 504 1 2", "0 " + "a" * 60):
        states, status = play(["0 drain", bad, "1 drain"])
        assert status == 1 and len(states) == 3 and states[-1] == {"wrong": 2}, bad
    for refused in ("0 free", "0 free 9999", "0 alloc", "0 alloc movable 9"):
        states, status = play([refused])
        assert (status, states[-1]["result"]) == (0, "-EINVAL"), refused
    states, status = play(["0 stop 504"])
    assert (status, states[-1]["result"]) == (0, "-ENOSYS")


def test_any_operations_leave_a_sound_memory(drawn):
    rand = random.Random(int(drawn, 0))
    names = ["alloc movable", "alloc movable 2", "alloc unmovable", "drain", "disable", "enable"]
    of_pages = ["free", "free", "isolate", "undo", "offline", "online", "fail", "soft", "unpoison"]
    for _ in range(20):
        operations = []
        for _ in range(100):
            name = rand.choice(names + of_pages)
            pfn = f" {PAGES - 1 - rand.randrange(64)}" if name in of_pages else ""
            operations.append(f"{rand.randrange(4)} {name}{pfn}")
        states, status = play(operations)
        assert status == 0 and len(states) == 101, operations
        for state in states:
            assert state["sound"], (state["operation"], operations)
            # Each page is in one block.
            ends = [pfn + (1 << order) for pfn, order, *_ in state["blocks"]]
            assert [0] + ends[:-1] == [block[0] for block in state["blocks"]] and ends[-1] == PAGES
            for zone in state["zones"]:
                free = sum(
                    1 << order
                    for pfn, order, what, *_ in state["blocks"]
                    if what == FREE
                    and zone["start"] <= pfn < zone["end"]
                    and not state["pageblocks"][pfn // BLOCK][2]
                )
                assert free == zone["free"], (state["operation"], operations)
