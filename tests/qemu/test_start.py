# SPDX-License-Identifier: MIT
"""The state after a boot: zones, exact to the page, and all that the boot starts; and each load on
a machine too small for it."""
import os
import re

import pytest

import qemu
from slots import DONE, SOUND

# {name: (options of the machine, words of its command line,
#         [(node, zone, first pfn, end, pages online) of each zone], MiB of standby memory)}
LAYOUTS = {
    "no_movable": (dict(mem=256), "movable=0", [(0, "DMA32", 0, 0x10000, 0x10000)], 0),
    "a_quarter": (
        dict(mem=256),
        "movable=25",
        [(0, "DMA32", 0, 0xC000, 0xC000), (0, "MOVABLE", 0xC000, 0x10000, 0x4000)],
        0,
    ),
    "odd": (
        dict(mem=258),
        "",
        [(0, "DMA32", 0, 0x8200, 0x8200), (0, "MOVABLE", 0x8200, 0x10200, 0x8000)],
        0,
    ),
    # 2 GiB lie below 4 GiB.
    "large": (
        dict(mem=5120),
        "",
        [
            (0, "DMA32", 0, 0x100000, 0x80000),
            (0, "NORMAL", 0x100000, 0x120000, 0x20000),
            (0, "MOVABLE", 0x120000, 0x1C0000, 0xA0000),
        ],
        0,
    ),
    "standby": (
        dict(mem=5120),
        "standby=256",
        [
            (0, "DMA32", 0, 0x100000, 0x80000),
            (0, "NORMAL", 0x100000, 0x120000, 0x10000),
            (0, "MOVABLE", 0x120000, 0x1C0000, 0x10000),
        ],
        2560,
    ),
    # The node with the CPUs is node 0. 30 % of 2048 pageblocks are 614, and the border is rounded
    # down to a step. A part of a step at the end does not become standby memory.
    "nodes": (
        dict(nodes=[64, 4096, 2048]),
        "standby=512 movable=30",
        [
            (0, "DMA32", 0x4000, 0x100000, 0x7C000),
            (0, "NORMAL", 0x100000, 0x130000, 0x20000),
            (0, "MOVABLE", 0x130000, 0x184000, 0x20000 + 0x4000),
            (1, "NORMAL", 0x184000, 0x1D0000, 0x2C000),
            (1, "MOVABLE", 0x1D0000, 0x204000, 0x24000),
            (2, "DMA32", 0, 0x2E00, 0x2E00),
            (2, "MOVABLE", 0x2E00, 0x4000, 0x1200),
        ],
        1792,
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_zones(host, layout):
    machine, words, zones, standby = LAYOUTS[layout]
    h = host("selftest=none " + words, cpus=2, room=0, **machine)
    have = [
        (int(node), kind, int(first, 16), int(end, 16), int(present))
        for node, kind, first, end, present in re.findall(
            r"^zone \d+: node (\d) (\S+) +pfn (\S+)-(\S+) present (\d+)", h.ask("zone"),
            re.MULTILINE,
        )
    ]
    assert have == zones
    assert f" {standby} MiB standby\n" in h.ask("mem")
    assert SOUND in h.ask("check")


def test_descriptors_that_fill_large_pages(passes):
    """The descriptors of 4 GiB to 7 GiB begin and end with a large page."""
    passes("selftest=arch_full", cpus=1, mem=5120)


def test_load_started_at_the_prompt(host):
    """A machine that waits at its prompt takes plugged memory and CPUs."""
    h = host(cpus="1,maxcpus=2", mem=128, extra=["-device", "virtio-balloon-pci,id=balloon"])
    assert h.ask("virtio") != "virtio\n"
    h.give(0, 128)
    assert h.managed() > 240
    h.plug_cpu("c1", h.places()[0])
    assert h.qmp.event("ACPI_DEVICE_OST", 60)["info"]["status"] == DONE
    assert h.cpus() == ["online", "online"]


def test_loads_on_small_machines(passes):
    """If no range can be offlined, each load says so, and passes."""
    run = passes("selftest=none movable=0 programs=2", tour=None, cpus=2, mem=128, programs=True)
    run.says("^programs: this machine is too small to take a movable range offline$")
    run = passes("selftest=none movable=0 hotplug=3", tour=None, cpus=1, mem=128)
    run.says(
        r"^hotplug: 0 downs and 0 ups of 1 CPUs in \d+ ms, 0 of the boot CPU, at most 0 down, 3 "
        r"refused as the "
        r"last; 0 offlines of 0 MiB in all meanwhile( \(no movable range on this machine\))?$"
    )
    run.says("^hotplug: PASS$")
    run = passes("selftest=none movable=0 rounds=2 isolation=disable", tour=None, cpus=1, mem=128)
    assert (
        re.findall("^rounds: (.*)$", run.text, re.M)[0]
        == "disable: no movable range to take offline on this machine"
    )


def program(name):
    with open(os.path.join(qemu.BUILD, "bin", name), "rb") as f:
        return f.read()


@pytest.mark.parametrize(
    "content, words, how",
    [
        (None, "", "error ENOEXEC, 0 pages held"),
        ("hello", "programs=1", "error none, 0 pages held"),
        ("fault", "programs=1 seed=6", "error none, 0 pages held"),
    ],
    ids=["none", "ends", "faults"],
)
def test_programs_that_fail_are_no_pass(boot, text_file, content, words, how):
    """A useless file replaces the program that holds memory: the tour runs to its end, and
    fails."""
    module = text_file("stress", program(content) if content else b"#!/bin/sh\n" + b"x" * 100)
    run = boot(
        f"selftest=none movable=90 {words}", tour=None, cpus=2, mem=96, module=module, programs=True
    )
    assert run.failed, run.story()
    nr = 4 if words else 2
    run.says(rf"^programs: not all of {nr} programs with \d+ pages each could be started: {how}$")
    ends = re.findall(r"^programs: task \d+ (.*)$", run.text, re.M)
    assert (
        ends
        == {None: [], "hello": ["exited, status 1"] * 4, "fault": ["faulted, status 0"] * 4}[
            content
        ]
    ), run.story()
    run.says(r"^programs: \d verified 0 pages, 0 wrong" + ("$" if content else "; all ended well$"))
    if not words:
        run.says("^act 3 of 4: ", "^  check_memory: every ")
        assert not run.has("0 before; 0 from standby"), run.story()


# {name: (words of the command line, the message, does the run pass)}
INSTEAD = {
    "race": ("race=all", "^race: this kernel has no scheduling points", False),
    "nothing": ("tour=off", None, True),
    "trace": ("tour=off trace=nosuch", "^trace=nosuch: no module of that name", False),
}


@pytest.mark.parametrize("choice", INSTEAD)
def test_scenarios_that_replace_the_tour(boot, choice):
    words, said, good = INSTEAD[choice]
    run = boot(f"selftest=none {words}", tour=None, cpus=2, mem=96, programs=True)
    assert run.passed if good else run.failed, run.story()
    assert not said or run.has(said), run.story()
    assert said or not run.has("^(trace|user|soak|poison)"), run.story()
    run.says(r"^machine: 2 CPUs online of 2, 1 node, \d\d MiB managed\n.*\nboot: by pvh, ")
    assert not run.has("^act |^monitor: |^quarry> "), run.story()
    run.says(r"^# selftest: 0 suites, 0 tests, 0 failed \(seed 0x\w+\), \d+ ms$")
