# SPDX-License-Identifier: MIT
"""The memory page's program: `race --memory=OPERATIONS` (docs/web.md)."""
import json
import os
import random
import subprocess

import pytest
import qemu

PAGES, BLOCK, MOVABLE = 512, 8, 256  # all pages; pages of a pageblock; first page of zone MOVABLE
FREE, CACHED, OFFLINE = "FREE", "PCP", "offline"


@pytest.fixture(scope="module")
def program():
    path = os.path.join(qemu.BUILD, "fiber/race")
    subprocess.run(["make", f"B={qemu.BUILD}", path], cwd=qemu.ROOT, check=True)
    return path


def play(program, operations):
    """(printed states, exit status) of the program that performs the operations."""
    done = subprocess.run(
        [program, f"--memory={'; '.join(operations)}"], capture_output=True, text=True, check=False
    )
    return [json.loads(line) for line in done.stdout.splitlines()], done.returncode


def block_of(state, pfn):
    return [block for block in state["blocks"] if block[0] <= pfn][-1]


def test_a_page_in_another_cpus_cache_is_drained_by_an_offline(program):
    states, status = play(program, ["0 alloc movable", "0 free 504", "1 offline 504"])
    assert status == 0 and [s["result"] for s in states] == ["0"] * 4
    assert states[1]["pfn"] == 504
    assert block_of(states[2], 504)[2:4] == [CACHED, 0]
    kinds = [(cpu, kind) for cpu, kind, *_ in states[3]["history"]]
    assert (1, "isolate") in kinds and (0, "give") in kinds and (1, "offline") in kinds
    assert block_of(states[3], 504)[2] == OFFLINE


def test_what_is_movable_moves_and_what_is_not_stays(program):
    states, _ = play(program, ["0 alloc movable 1", "1 alloc unmovable", "2 offline 504"])
    pfn = states[2]["pfn"]
    assert "moved" in [kind for _, kind, *_ in states[3]["history"]]
    states, _ = play(program, ["1 alloc unmovable", f"2 offline {pfn}", f"3 fail {pfn}"])
    assert [s["result"] for s in states[2:]] == ["-EBUSY", "-EBUSY"]
    assert block_of(states[2], pfn)[2:] == ["ALLOC", None, False]
    assert block_of(states[3], pfn)[2:] == ["ALLOC", None, True]


def test_what_cannot_be_read_ends_it(program):
    for bad in ("4 drain", "0", "x drain", '0 free "', "0 free 504 1 2", "0 " + "a" * 60):
        states, status = play(program, ["0 drain", bad, "1 drain"])
        assert status == 1 and len(states) == 3 and states[-1] == {"wrong": 2}, bad
    for refused in ("0 free", "0 free 9999", "0 alloc", "0 alloc movable 9"):
        states, status = play(program, [refused])
        assert (status, states[-1]["result"]) == (0, "-EINVAL"), refused
    states, status = play(program, ["0 stop 504"])
    assert (status, states[-1]["result"]) == (0, "-ENOSYS")


def test_any_operations_leave_a_sound_memory(program, drawn):
    rand = random.Random(int(drawn, 0))
    names = ["alloc movable", "alloc movable 2", "alloc unmovable", "drain", "disable", "enable"]
    of_pages = ["free", "free", "isolate", "undo", "offline", "online", "fail", "soft", "unpoison"]
    for _ in range(20):
        operations = []
        for _ in range(100):
            name = rand.choice(names + of_pages)
            pfn = f" {PAGES - 1 - rand.randrange(64)}" if name in of_pages else ""
            operations.append(f"{rand.randrange(4)} {name}{pfn}")
        states, status = play(program, operations)
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
