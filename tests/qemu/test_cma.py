# SPDX-License-Identifier: MIT
"""The kernel's own area of contiguous memory: cma=SIZE, and the command at the prompt."""
import re

import pytest

from slots import SOUND

BLOCK = 512  # pages of a pageblock


def use(ask):
    """(MiB, first pfn, {use: pages}) of the area, by the output of `cma`."""
    words = re.search(r"cma: (\d+) MiB at pfn (0x\w+)\n  pages: (.*)", ask("cma"))
    counts = {name: int(nr) for nr, name in re.findall(r"(\d+) (\w+)", words.group(3))}
    return int(words.group(1)), int(words.group(2), 16), counts


def test_area_of_the_command_line(host):
    h = host("selftest=none cma=64M", mem=512)
    mib, start, counts = use(h.ask)
    assert mib == 64 and counts == {
        "users": 0,
        "lent": 0,
        "free": 32 * BLOCK,
        "offline": 0,
        "gone": 0,
    }
    # Allocations are contiguous and aligned, even after programs have borrowed the memory.
    assert "load" in h.ask("load 300")
    pfn = int(re.search(r"cma alloc: pfn (0x\w+)", h.ask("cma alloc 4096 9")).group(1), 16)
    assert start <= pfn <= start + 28 * BLOCK and pfn % BLOCK == 0
    assert use(h.ask)[2]["users"] == 4096
    shown = h.ask(f"query {pfn:#x} 512")
    user = f"pfn {pfn:#x} (ALLOC, of a user of the CMA area)\n"
    assert f" 512 pages: page busy, the first at {user}" in shown, shown
    assert f"query: an offline would wait for {user}" in shown, shown
    h.ask("load")
    assert "end: error" in h.ask("cma end")
    # A pageblock is offlined, and the area serves requests from the others.
    gone = start + 31 * BLOCK
    assert "done" in h.ask(f"offline {gone:#x} {BLOCK}")
    assert use(h.ask)[2]["offline"] == BLOCK
    assert "no free memory of that size in one piece" in h.ask(f"cma alloc {24 * BLOCK} 0")
    assert "cma alloc: pfn" in h.ask(f"cma alloc {23 * BLOCK} 0")
    assert "done" in h.ask(f"online {gone:#x} {BLOCK}")
    for where, nr in ((start + 8 * BLOCK, 23 * BLOCK), (pfn, 4096)):
        assert "done" in h.ask(f"cma free {where:#x} {nr}")
    assert "no such pages" in h.ask(f"cma free {pfn:#x} 1")
    assert "no such pages" in h.ask("cma free 0xffffffffffffffff 1")
    assert "cma end: done" in h.ask("cma end")
    assert "no area" in h.ask("cma") and SOUND in h.ask("check")


def test_area_made_at_the_prompt(host):
    h = host("selftest=none", mem=256)
    assert "no area" in h.ask("cma")
    assert "no free memory of that size in one piece" in h.ask("cma make 200")
    assert "no such pages" in h.ask("cma make 0")
    assert "no free memory of that size" in h.ask("cma make 0xffffffffffffffff")
    assert "done" in h.ask("cma make 31")
    assert use(h.ask)[0] == 32
    assert "one already" in h.ask("cma make 8")
    assert "usage" in h.ask("cma make") and "not a number" in h.ask("cma alloc x")
    assert "no such pages" in h.ask("cma alloc 1 64")
    assert ", 0 failed" in h.ask("run zone,contig,cma,compact")
    assert "done" in h.ask("cma end") and SOUND in h.ask("check")


def test_too_large_an_area_is_refused(passes):
    run = passes("selftest=cma,page_alloc cma=900M", mem=512)
    run.says("^cma: no area of 900 MiB: error ENOMEM: at most half")


@pytest.mark.long
@pytest.mark.full
def test_quick_suites_beside_an_area(passes):
    """Most suites run while a part of the kernel's memory is an area."""
    passes("selftest=most cma=64M", mem=512, threads="single")
