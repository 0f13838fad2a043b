# SPDX-License-Identifier: MIT
"""Memory is added and removed: a DIMM that the firmware's memory map lacks, though the SRAT has its
range.

The DIMM is there from the start; a command at the monitor's prompt tells the kernel of it.
"""
import re

import pytest
from slots import FIRST, SOUND

UNALIGNED = "PFN and NR must be multiples of 512"
PAGES = 1 << 8  # pages of a MiB


def dimm(mib, number=0, node=0):
    return [
        "-object",
        f"memory-backend-ram,id=dimm{number},size={mib}M,reserve=off",
        "-device",
        f"pc-dimm,id=d{number},memdev=dimm{number},node={node}",
    ]


@pytest.fixture
def prompt(host):
    """prompt(cmdline, **machine) -> ask(command) -> its output."""

    def start(cmdline="selftest=none slots=off", mem=256, **machine):
        return host(cmdline, mem=mem, room=8192 - mem, **machine).ask

    return start


def managed(ask):
    return int(re.search(r"(\d+) MiB managed", ask("mem")).group(1))


def test_dimm_comes_and_goes(prompt):
    ask = prompt(extra=dimm(256))
    before = managed(ask)
    assert "add: done: offline, on node 0" in ask(f"add {FIRST:#x} {256 * PAGES}")
    assert managed(ask) in (before, before - 2)  # its descriptors may take 2 MiB
    assert "online: done" in ask(f"online {FIRST:#x} {256 * PAGES}")
    assert managed(ask) >= before + 256 - 2
    assert SOUND in ask("check")
    # The new memory is used: suites of all kinds run in it, and it can still be removed.
    assert ", 0 failed" in ask("run vm,migrate,offline,memory_add,memory_span")
    said = ask(f"remove {FIRST:#x} {256 * PAGES}")
    assert "remove: error EBUSY: some of it is not offline" in said
    assert "offline: done" in ask(f"offline {FIRST:#x} {256 * PAGES}")
    assert "remove: done" in ask(f"remove {FIRST:#x} {256 * PAGES}")
    assert managed(ask) == before
    assert "pfn 0x100000: no such page" in ask(f"page {FIRST:#x}") or "hole" in ask(
        f"block {FIRST:#x}"
    )
    # Add it again, in parts, and in another order.
    assert "add: done" in ask(f"add {FIRST + 128 * PAGES:#x} {128 * PAGES}")
    assert "add: done" in ask(f"add {FIRST:#x} {2 * PAGES}")
    assert "online: done" in ask(f"online {FIRST:#x} {2 * PAGES}")
    assert "online: done" in ask(f"online {FIRST + 128 * PAGES:#x} {128 * PAGES}")
    assert managed(ask) >= before + 130 - 2


def test_refusals_have_a_reason(prompt):
    ask = prompt(extra=dimm(128))
    for command, answer in (
        (f"add {FIRST:#x} 1", f"add: error EINVAL: {UNALIGNED}"),
        (
            "add 0x10000000 512",
            "add: error EINVAL: no memory can come there",
        ),
        ("add 0 512", "add: error EEXIST: some of it is there"),
        (f"add {FIRST:#x} 512 1", "add: error ENODEV: no such node"),
        (f"add {FIRST:#x}", "usage: add PFN NR [NODE]"),
        (f"remove {FIRST:#x} 512", "remove: error EINVAL: no memory is there"),
        ("remove 0 512", "remove: error EBUSY: some of it is not offline"),
    ):
        assert answer in ask(command), command


def test_dimms_go_to_their_nodes(prompt):
    """The lower of two DIMMs is on node 1, so that the spans of the two nodes overlap."""
    ask = prompt(nodes=[128, 128], extra=dimm(128, 0, node=1) + dimm(128, 1, node=0))
    assert "add: done: offline, on node 1" in ask(f"add {FIRST:#x} {128 * PAGES} 1")
    assert "add: done: offline, on node 0" in ask(f"add {FIRST + 128 * PAGES:#x} {128 * PAGES} 0")
    assert "online: done" in ask(f"online {FIRST:#x} {128 * PAGES}")
    assert "online: done" in ask(f"online {FIRST + 128 * PAGES:#x} {128 * PAGES}")
    zones = dict(re.findall(r"node (\d) MOVABLE pfn \S+ present (\d+)", ask("zone")))
    assert int(zones["0"]) >= 128 * PAGES and int(zones["1"]) >= 128 * PAGES, zones
    assert ", 0 failed" in ask("run node_order,offline,compact,memory_add,memory_span")
    assert re.search(r"evacuate: \d+ pages offlined, 0 stayed", ask("evacuate 1"))
    assert "remove: done" in ask(f"remove {FIRST:#x} {128 * PAGES}")
    assert SOUND in ask("check")
