# SPDX-License-Identifier: MIT
"""The tour: four acts, each with figures that differ as docs/monitor.md says."""
import re

import pytest
from conftest import full, numbers

POLICIES = ("redrain", "disable", "precise")
LINES, COLUMNS = 40, 80
SMALL = "  this machine is too small to take a movable range offline"


def acts(run):
    """The lines of the tour's acts."""
    lines = run.text.replace("\r", "").split("\n")
    first = next(i for i, line in enumerate(lines) if line.startswith("act 1 of 4: "))
    last = next(i for i, line in enumerate(lines) if i > first and line.startswith("quarry: "))
    return lines[first:last]


def rows(run):
    """{policy: (rounds, IPIs, hits in per cent)}"""
    found = re.findall(
        r"^ *(redrain|disable|precise) +(\d+) rounds? +(\d+) IPIs? +(\d+) % hits", run.text, re.M
    )
    return {policy: tuple(map(int, figures)) for policy, *figures in found}


# {machine: (CPUs, MiB of each node, CPUs of the first node)}
MACHINES = {
    "4_on_2_nodes": (4, [512, 512], 2),
    "4_on_1_node": (4, [512], 4),
    "2_on_2_nodes": (2, [256, 256], 1),
    "2_on_1_node": (2, [256], 2),
}


@pytest.mark.parametrize("machine", MACHINES)
def test_figures_differ_as_documented(passes, machine):
    cpus, nodes, near = MACHINES[machine]
    run = passes("selftest=none", tour=None, cpus=cpus, nodes=nodes)
    # If a page is in another CPU's cache, only that CPU gets an IPI.
    run.says(r"^  page 0x\w+ is free, in the cache of cpu\d+: not in the buddy allocator$")
    run.says(r"^  isolated, and it cannot leave: 511 of 512 pages are in the buddy allocator$")
    run.says(r"^  after 1 drain round, \d IPIs?: it has left \(\d{1,5} ms\)$")
    figures = rows(run)
    assert set(figures) == set(POLICIES), run.story()
    rounds, ipis, hits = figures["redrain"]
    assert rounds >= 2 and hits >= 80, run.story()
    # redrain's first round leaves out the held CPU, and CPUs that cache no pages of the zone.
    assert 1 <= ipis and (near > 2 or ipis < 2 * (cpus - 1)), run.story()
    assert figures["disable"][:2] == figures["precise"][:2] == (1, cpus - 1), run.story()
    assert figures["disable"][2] <= 5 and figures["precise"][2] >= 80, run.story()
    run.says("^  redrain drains again; disable costs the caches; precise neither$")
    run.says("^  no programs among the boot modules: acts 3 and 4 are left out$")
    run.says("^  check_memory: every invariant holds$")
    run.says(r"^  \d+ cross-calls, \d+ IPIs?, of these 0 by allocations$")


def test_one_cpu_shows_what_it_can(passes):
    run = passes("selftest=none", tour=None, cpus=1, nodes=[256])
    run.says(r"^  after 1 drain round, 0 IPIs: it has left ")
    assert {p: f[:2] for p, f in rows(run).items()} == {p: (1, 0) for p in POLICIES}, run.story()
    assert rows(run)["disable"][2] <= 5 < rows(run)["precise"][2], run.story()
    run.says("^  no free was held back: one CPU, too small a cache, or a pause$")


@pytest.mark.parametrize("cpus, mem", [(1, 64), full(2, 64), full(16, 1024)])
def test_other_machines(passes, cpus, mem):
    run = passes("selftest=none", tour=None, cpus=cpus, mem=mem, programs=True)
    assert len(re.findall("^act [1-4] of 4: ", run.text, re.M)) >= 3, run.story()


def test_programs_run_on(passes):
    """Programs run on under an offline. The acts are short and narrow enough to be read."""
    run = passes("selftest=none", tour=None, cpus=4, nodes=[512, 512], programs=True)
    lines = acts(run)
    assert len(lines) <= LINES and max(map(len, lines)) <= COLUMNS, run.story()
    mapped, moved = numbers(run, r"^  (\d+) of 32768 pages were mapped; (\d+) moved,")
    # Each node has at least half of the programs' pages, less a quarter that may be in transit.
    assert mapped >= 2 * 6144 // 2 * 3 // 4 and moved > 2048, run.story()
    faults, verified = numbers(run, r"^  meanwhile (\d+) faults, (\d+) pages verified$")
    assert faults >= 100 and verified > 0, run.story()
    page = re.search(r"^  page (0x\w+), mapped by a program, begins to fail$", run.text, re.M)
    assert page and run.has(
        rf"^  page {page.group(1)} is out of use \(x\): its content was moved to another page$"
    ), run.story()
    run.says(r"^  the programs go on: [1-9]\d* pages verified since, 0 wrong$")
    run.says(r"^programs: 2 verified \d+ pages, 0 wrong; all ended well$")


def test_no_movable_memory(passes):
    run = passes("selftest=none movable=0", tour=None, cpus=2, mem=128, programs=True)
    assert acts(run).count(SMALL) == 3, run.story()
    run.says("^  check_memory: every invariant holds$")


def test_short_trace_is_replayed_on_request(passes):
    run = passes("selftest=none trace= movable=0", tour=None, cpus=2, mem=128)
    run.says(r"^trace short\.trace: \d+ events")
