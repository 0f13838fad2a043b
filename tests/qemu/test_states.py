# SPDX-License-Identifier: MIT
"""The search of all states of small memories: it ends with right code, and a wrong line of mm/ is
shown by a shortest list of calls."""
import glob
import os
import re
import subprocess

import pytest

import check
import fuzz
import outer_make
import qemu
import rooms
import states

BUILD = os.path.abspath(qemu.BUILD)
PROGRAM = os.path.join("states", "states")
# A scope, what it says, and of a source of mm/ a part and a wrong one.
SHOWN = [
    ("block", "0 events BAD_FREE", ("page_alloc.c", "\tMM_EVENT(mem, BAD_FREE);\n", "")),
    ("records", "not zeroed", ("page_alloc.c", "got; i++)\n\t\t\t\tz", "start; i++)\n\t\t\t\tz")),
    ("records", "0 events PCP_DRAINED", ("pcp.c", "MM_EVENT_ADD(zone->mem, PCP_DRAINED, n)", "")),
    (
        "records",
        "records of the call",
        ("pcp_slow.c", "trace_page(mem, TR_direct, pfn, order);", ""),
    ),
    ("report", "2 pageblocks are rep", ("page_report.c", "(type == MT_CMA) == lent && ", "")),
]
# A source of mm/, a part of it, and a wrong one.
WRONG = (
    "fallback.c",
    "[MT_UNMOVABLE] = {MT_RECLAIMABLE, MT_MOVABLE, NR_MIGRATETYPES}",
    "[MT_UNMOVABLE] = {MT_MOVABLE, MT_RECLAIMABLE, NR_MIGRATETYPES}",
)


@pytest.fixture(scope="module")
def program():
    path = os.path.join(BUILD, PROGRAM)
    assert check.make(BUILD, path)
    return path


def settings():
    """The compiler of hosted programs and its flags: (compiler, [flags])."""
    text = rooms.call(
        ["make", "--no-print-directory", "-C", qemu.ROOT, f"B={BUILD}", "lab-settings"],
        cwd=None, env=outer_make.env(), stderr=subprocess.PIPE, check=True
    ).stdout
    rows = dict(line.split(" ", 1) for line in text.splitlines() if " " in line)
    return rows["HOSTCC"], rows["HFLAGS"].split() + ["-w", "-DPAGEBLOCK_ORDER=3"]


def planted(program, folder, name, right, wrong):
    """The program with a wrong line in the source @name of mm/."""
    source = next(s for s in fuzz.mm_sources(qemu.ROOT) if os.path.basename(s) == name)
    with open(os.path.join(qemu.ROOT, source), encoding="utf-8") as f:
        text = f.read()
    assert text.count(right) == 1
    compiler, flags = settings()
    copy, to = str(folder / name), str(folder / "states")
    with open(copy, "w", encoding="utf-8") as f:
        f.write(text.replace(right, wrong))
    home = os.path.dirname(program)
    objects = set(glob.glob(os.path.join(home, "**", "*.o"), recursive=True))
    objects.remove(os.path.join(home, source + ".o"))
    command = [compiler, *flags, "-o", to, copy, *sorted(objects)]
    subprocess.run(command, cwd=qemu.ROOT, check=True)
    return to


def test_right_code_is_searched_to_its_last_state(program):
    good, text = states.search(program, "block")
    found = re.match(r"ok block COMPLETE: (\d+) states, (\d+) calls, depth \d+, ", text)
    assert good and found, text
    # The tree of a pageblock of 8 pages has 677 states, and in one more it is of another type.
    assert int(found[1]) >= 677 and int(found[2]) > 40 * int(found[1])


def test_a_wrong_line_is_shown_by_a_shortest_list(program, tmp_path):
    good, text = states.search(planted(program, tmp_path, *WRONG), "types")
    lines = text.splitlines()
    assert not good and lines[0].startswith("not ok types: "), text
    calls = [line for line in lines if line.startswith("  CPU 0: mem_alloc_pages(mem, GFP_")]
    assert calls == lines[1:-1] and len(calls) == 3, text
    assert "where one of type 2 has a block of order" in lines[-1]


@pytest.mark.parametrize("scope,says,wrong", SHOWN)
def test_a_mistake_is_shown(program, tmp_path, scope, says, wrong):
    good, text = states.search(planted(program, tmp_path, *wrong), scope)
    assert not good and says in text, text


def test_a_list_is_made_again(program):
    done = subprocess.run([program, "--again", "lent:0,0"], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and lines[-1] == "    all of it is right"
    assert [line[:30] for line in lines[1:-1]] == ["  CPU 0: mem_alloc_pages(mem, "] * 2


def test_scopes_are_listed_and_named(program):
    listed = states.scopes(program)
    assert list(listed) == states.names()
    with open(os.path.join(qemu.ROOT, "docs/proof.md"), encoding="utf-8") as f:
        rows = re.findall(r"^\| `(\w+)` \|", f.read(), re.MULTILINE)
    assert rows == states.names()
    tool = os.path.join(qemu.ROOT, "tools/test/states.py")
    done = subprocess.run(
        ["python3", tool, "--build", BUILD, "--scope", "nothing"], capture_output=True, text=True
    )
    assert done.returncode == 1 and "no scope nothing" in done.stderr
