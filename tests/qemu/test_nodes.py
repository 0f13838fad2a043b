# SPDX-License-Identifier: MIT
"""NUMA: nodes, distances, and firmware tables that are broken."""
import struct

import pytest


@pytest.mark.parametrize("nr", [1, 2, 3, 4])
def test_nodes(passes, nr):
    run = passes(nodes=[256] * nr)
    assert run.has(rf"^machine: 4 CPUs online of 4, {nr} nodes?,"), run.story()


def test_nodes_of_different_size(passes):
    run = passes(nodes=[64, 512, 128])
    assert run.has(r"^machine: 4 CPUs online of 4, 3 nodes,"), run.story()


def test_more_nodes_than_cpus(passes):
    """Nodes with memory and no CPU."""
    run = passes(cpus=2, nodes=[128] * 4)
    assert run.has(r"^machine: 2 CPUs online of 2, 4 nodes,"), run.story()


@pytest.mark.parametrize("path", ["pvh", "grub", "uefi"])
def test_nodes_by_path(passes, path):
    run = passes(boot=path, nodes=[256, 256])
    assert run.has(r"^machine: 4 CPUs online of 4, 2 nodes,"), run.story()


# ---- unequal distances: 0 is near 2, then 3, then 1 ---------------------------------------------------
DISTANCES = [(0, 1, 40), (0, 2, 15), (0, 3, 30), (1, 2, 25), (1, 3, 20), (2, 3, 35)]


def test_unequal_distances(passes):
    run = passes(nodes=[128] * 4, distances=DISTANCES)
    assert run.has(r"^machine: 4 CPUs online of 4, 4 nodes,"), run.story()


def test_fallback_by_distance(boot):
    """One node exhausted: the others are used in the order of their distance."""
    run = boot("selftest=fallback", nodes=[128] * 4, distances=DISTANCES)
    assert run.passed, run.story()
    assert run.has(r"^# fallback: node 0: 0 2 3 1$"), run.story()


# ---- a broken SRAT ------------------------------------------------------------------------------------
# QEMU puts its own tables together and mends length and checksum of what -acpitable brings, so what can
# be broken is what the table says.  QEMU has no SRAT of its own here.
def srat(*entries):
    body = struct.pack("<IQ", 1, 0) + b"".join(entries)
    header = struct.pack("<4sIBB6s8sI4sI", b"SRAT", 36 + len(body), 1, 0, b"QUARRY", b"BROKEN  ", 1, b"TEST", 1)
    return header + body


def memory(node, base, length, flags=1, size=40):
    return struct.pack("<BBIHQQIIQ", 1, size, node, 0, base, length, 0, flags, 0)


def cpu(node, apic_id, flags=1):
    return struct.pack("<BBBBIB3sI", 0, 16, node, apic_id, flags, 0, b"\0" * 3, 0)


MIB = 1 << 20
BROKEN = {
    "entry_of_length_0": srat(memory(0, 0, 64 * MIB, size=0), memory(1, 64 * MIB, 64 * MIB)),
    "entry_beyond_the_end": srat(cpu(0, 0), memory(0, 0, 64 * MIB, size=200)),
    "cut_off": srat(cpu(0, 0), memory(0, 0, 64 * MIB)[:20]),
    "no_entries": srat(),
    "overlapping_nodes": srat(memory(0, 0, 200 * MIB), memory(1, 100 * MIB, 156 * MIB)),
    "wraps_around": srat(memory(0, 0, 64 * MIB), memory(1, (1 << 64) - MIB, 2 * MIB)),
    "interleaved_nodes": srat(memory(0, 0, 64 * MIB), memory(1, 64 * MIB, 64 * MIB), memory(0, 128 * MIB, 128 * MIB)),
    "huge_node_number": srat(memory(0xfffffff0, 0, 256 * MIB)),
}
# What the kernel must say; it may take the others as they are.
REPORTED = {"entry_of_length_0": "acpi: table SRAT: ", "entry_beyond_the_end": "acpi: table SRAT: ",
            "cut_off": "acpi: table SRAT: ", "interleaved_nodes": "boot: memory of the nodes interleaves"}


@pytest.mark.parametrize("kind", sorted(BROKEN))
def test_broken_srat(passes, text_file, kind):
    table = text_file("srat.bin", BROKEN[kind])
    run = passes(extra=["-acpitable", f"file={table}"])
    if kind in REPORTED:
        assert run.has(REPORTED[kind]), run.story()


def test_random_srat(passes, text_file):
    """Bytes that mean nothing."""
    import random
    chance = random.Random(1)
    for i in range(3):
        table = text_file("srat.bin", srat(bytes(chance.randrange(256) for _ in range(300))))
        passes(extra=["-acpitable", f"file={table}"])
