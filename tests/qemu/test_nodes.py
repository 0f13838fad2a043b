# SPDX-License-Identifier: MIT
"""NUMA: nodes, distances, nodes that are empty, come and go, and firmware tables that are broken.
test_boot.py boots with nodes by each path."""
import random
import re
import struct

import pytest
from conftest import SMALL
from slots import DONE, SOUND

BOOTS = "single"  # the tests judge the firmware's data about nodes


@pytest.mark.parametrize(
    "cpus, nodes",
    [
        (4, [256]),
        (4, [256] * 3),
        (4, [64, 512, 128]),
        (2, [128] * 4),  # some nodes have memory and no CPU
    ],
)
def test_nodes(passes, cpus, nodes):
    run = passes(cpus=cpus, nodes=nodes)
    run.says(rf"^machine: {cpus} CPUs online of {cpus}, {len(nodes)} nodes?,")


def test_cpus_go_and_come_back_on_two_nodes(passes):
    """The largest zone is far from the CPU that goes offline."""
    passes("selftest=hotplug", nodes=[256, 256])


# ---- unequal distances: nearest to node 0 is 2, then 3, then 1 -----------------------------------
DISTANCES = [(0, 1, 40), (0, 2, 15), (0, 3, 30), (1, 2, 25), (1, 3, 20), (2, 3, 35)]
MOVABLE = ", movable"


def expect_order(text, homes, nodes, kind="", names=(0, 1, 2, 3), distances=DISTANCES):
    """Check the result of suite node_order from each node of @homes: the @nodes, which have memory,
    in the order of distance. names: the kernel's number of each of our nodes."""
    apart = {frozenset((a, b)): d for a, b, d in distances}
    for home in homes:
        near = sorted(nodes, key=lambda node: 0 if node == home else apart[frozenset((home, node))])
        order = " ".join(str(names[node]) for node in near)
        line = f"# node_order: node {names[home]}{kind}: {order}"
        assert line in text.replace("\r", "").split("\n"), f"not there: {line}\n{text}"


# {name: (nodes, their CPUs, nodes with CPUs, nodes with memory, the kernel's number of each node)}.
# The kernel numbers nodes in the order in which the firmware names them.
UNEQUAL = {
    "all": ([128] * 4, None, range(4), range(4), (0, 1, 2, 3)),
    "no_memory": ([256, 0, 128, 128], ["2-3", "0-1", "", ""], (0, 1), (0, 2, 3), (1, 0, 2, 3)),
    "no_cpu": ([192, 128, 128, 128], ["0-3", "", "", ""], (0,), range(4), (0, 1, 2, 3)),
}


@pytest.mark.parametrize("kind", UNEQUAL)
def test_fallback_by_distance(passes, kind):
    """When a node is exhausted or has no memory, the others are used, the nearest first."""
    nodes, node_cpus, homes, filled, names = UNEQUAL[kind]
    machine = {"nodes": nodes, "node_cpus": node_cpus, "distances": DISTANCES}
    run = passes(SMALL + ",node_order,reclaim,nodes", **machine)
    run.says(r"^machine: 4 CPUs online of 4, 4 nodes,")
    for movable in ("", MOVABLE):
        expect_order(run.text, homes, filled, movable, names)


# ---- nodes that come and go ----------------------------------------------------------------------
def test_node_emptied_and_removed(host):
    """A node loses the memory that it had, and that was used, since boot. It has no CPU, so the
    firmware names it last."""
    h = host(nodes=[128] * 4, distances=DISTANCES, node_cpus=["0-1", "2", "", "3"])
    names, others, node = (0, 1, 3, 2), (0, 1, 3), 3

    def expect(nodes, kinds):
        text = h.ask("run node_order")
        for kind in kinds:
            expect_order(text, others, nodes, kind, names)

    expect(range(4), ("", MOVABLE))
    spans = h.spans(node)
    first, pages = spans[0][0], sum(present for _, _, present in spans)
    assert h.evacuate(node) == (pages, 0)
    assert [present for _, _, present in h.spans(node)] == [0] * len(spans)
    expect(others, ("", MOVABLE))
    assert "remove: done" in h.ask(f"remove {first:#x} {pages}")
    assert f"(pfn {first:#x}): hole" in h.ask(f"block {first:#x}")
    assert "evacuate: 0 pages are back online" in h.ask(f"evacuate {node} undo")
    assert ", 0 failed" in h.ask("run offline,drain,nodes")
    # The node comes back while other CPUs allocate. Added memory may be removed, so it is for
    # movable memory only.
    assert "stress on all CPUs" in h.ask("load 64")
    assert f"add: done: offline, on node {node}" in h.ask(f"add {first:#x} {pages}")
    assert "online: done" in h.ask(f"online {first:#x} {pages}")
    assert re.search(r"load: ended: \d+ operations, \d+ objects moved, 0 damaged", h.ask("load"))
    expect(others, ("",))
    expect(range(4), (MOVABLE,))
    assert SOUND in h.ask("check")


def test_cpu_with_a_node_of_its_own(host):
    """Twice, a node that has nothing at boot gets memory, which is used, offlined and removed."""
    distances = [(0, 1, 30), (0, 2, 15), (1, 2, 20)]
    h = host(nodes=[192, 128, 0], node_cpus=["0-1", "2-3", ""], distances=distances)
    assert 2 not in h.present()
    for number in range(2):
        h.give(number, 128, node=2, slot=0)
        assert h.present()[2] == 128 * 256
        text = h.ask("run node_order,offline")
        assert ", 0 failed" in text
        # Added memory may be removed, so it is for movable memory only.
        expect_order(text, (0, 1), (0, 1), distances=distances)
        expect_order(text, (0, 1), (0, 1, 2), MOVABLE, distances=distances)
        assert h.evacuate(2) == (128 * 256, 0)
        assert h.present().get(2, 0) == 0
        if number:
            assert "evacuate: 32768 pages are back online" in h.ask("evacuate 2 undo")
        h.take(f"d{number}")
        assert h.present().get(2, 0) == 0
        expect_order(h.ask("run node_order"), (0, 1), (0, 1), MOVABLE, distances=distances)
        assert SOUND in h.ask("check")


def test_each_node_gets_its_dimm(host):
    """Four nodes get DIMMs above all other memory, in mixed order."""
    h = host(nodes=[128] * 4)
    for number, node in enumerate((3, 1, 0, 2)):
        h.give(number, 64, node=node)
    present = h.present()
    assert all(present[node] >= 64 * 256 for node in range(4)), present
    assert ", 0 failed" in h.ask("run node_order,offline")
    for number in (1, 3, 0, 2):
        h.take(f"d{number}")
    assert SOUND in h.ask("check")


def test_cpu_of_a_node_without_memory_is_plugged(host):
    """A plugged CPU's node has no memory at first, and gets a DIMM later."""
    h = host(
        cpus="2,maxcpus=4,sockets=4,cores=1,threads=1",
        nodes=[256, 0],
        node_cpus=["0-1", "2-3"],
        threads="multi",  # with one thread for all CPUs, QEMU 7.2 crashes when a CPU is unplugged
    )
    h.give_cpu("c2", h.places()[0])
    assert re.search(r"^cpu \d: online, APIC id \d, node 1", h.ask("cpus"), re.MULTILINE)
    h.plug_dimm(0, 128, node=1)
    assert h.qmp.event("ACPI_DEVICE_OST")["info"]["status"] == DONE
    assert h.present()[1] == 128 * 256
    assert ", 0 failed" in h.ask("run drain,offline")
    h.take("d0")
    assert SOUND in h.ask("check")
    h.take("c2")


# ---- a broken SRAT -------------------------------------------------------------------------------
# QEMU makes its own tables, and corrects length and checksum of a table of -acpitable, so only the
# content of such a table can be wrong.  Here QEMU itself makes no SRAT.
def srat(*entries):
    body = struct.pack("<IQ", 1, 0) + b"".join(entries)
    fields = b"SRAT", 36 + len(body), 1, 0, b"QUARRY", b"BROKEN  ", 1, b"TEST", 1
    return struct.pack("<4sIBB6s8sI4sI", *fields) + body


def memory(node, base, length, flags=1):
    return struct.pack("<BBIHQQIIQ", 1, 40, node, 0, base, length, 0, flags, 0)


MIB = 1 << 20
BROKEN = {
    "no_entries": srat(),
    "overlapping_nodes": srat(memory(0, 0, 200 * MIB), memory(1, 100 * MIB, 156 * MIB)),
    "wraps_around": srat(memory(0, 0, 64 * MIB), memory(1, (1 << 64) - MIB, 2 * MIB)),
    "interleaved_nodes": srat(
        memory(0, 0, 64 * MIB), memory(1, 64 * MIB, 64 * MIB), memory(0, 128 * MIB, 128 * MIB)
    ),
    "huge_node_number": srat(memory(0xFFFFFFF0, 0, 256 * MIB)),
}


@pytest.mark.parametrize("kind", sorted(BROKEN))
def test_broken_srat(passes, text_file, kind):
    table = text_file("srat.bin", BROKEN[kind])
    run = passes(extra=["-acpitable", f"file={table}"])
    if kind == "interleaved_nodes":
        run.says("boot: memory of the nodes interleaves")


def test_random_srat(passes, text_file):
    """A SRAT of random bytes does no harm."""
    chance = random.Random(1)
    for i in range(3):
        table = text_file("srat.bin", srat(bytes(chance.randrange(256) for _ in range(300))))
        passes(extra=["-acpitable", f"file={table}"])
