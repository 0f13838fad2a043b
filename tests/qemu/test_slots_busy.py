# SPDX-License-Identifier: MIT
"""Memory modules and CPUs that come and go while every CPU is busy with memory."""
import os
import re
import subprocess

import conftest
import pytest
import qemu
from slots import BUSY, EJECT, MIB, SOUND

PAGE = 4096
OBJECTS = 32  # objects of a load in each MiB
BOOTS = "multi"  # every CPU is busy at the same time


def moved(text):
    found = re.search(r"load: ended: \d+ operations, (\d+) objects moved, 0 damaged", text)
    assert found, text
    return int(found.group(1))


@pytest.mark.parametrize("boot", ["pvh", conftest.full("uefi")])
def test_dimm_under_load(host, boot):
    """A module is unplugged after its pages are moved elsewhere. Without free memory for these
    pages it stays, and the host is told."""
    h = host(boot=boot, mem=192)
    movable = sum(h.present().values()) * PAGE // MIB
    h.give(0, 192)
    # The load is larger than the movable memory at boot, so a part of it lies in the module.
    beyond = 32
    assert "and stress on all CPUs" in h.ask(f"load {movable + beyond}")
    h.take("d0")
    h.says(r"slots: DIMM slot 0, \S+ MiB at \S+ domain 0: gone")
    # Another module is plugged and unplugged while the load goes on.
    h.give(1, 192, slot=0)
    h.take("d1")
    assert moved(h.ask("load")) >= beyond * OBJECTS
    # Now the load is larger than the memory that would be left without the module.
    h.give(2, 192, slot=0)
    assert "and stress on all CPUs" in h.ask("load 256")
    h.unplug("d2")
    h.ost(0, EJECT, BUSY)
    h.says(
        r"slots: DIMM slot 0, \S+ MiB at \S+ domain 0: cannot leave\s+"
        r"slots:   error EBUSY: too little memory would be left"
    )
    assert "blocker" not in h.child.before
    assert list(h.dimms()) == ["d2"]
    moved(h.ask("load"))
    h.take("d2")
    assert SOUND in h.ask("check")
    assert "3 taken, 3 given back, 1 refused, 0 odd" in h.ask("slots")


@pytest.fixture
def sturdy_qemu():
    """The environment in which QEMU 7.2 survives the unplug of a CPU: keep_freed.c."""
    library = os.path.join(qemu.BUILD, "qemu", "keep_freed.so")
    os.makedirs(os.path.dirname(library), exist_ok=True)
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "keep_freed.c")
    compiler = [os.environ.get("HOSTCC", "gcc"), *"-shared -fPIC -O2 -fno-builtin".split()]
    subprocess.run([*compiler, "-o", library, source], check=True)
    return {"LD_PRELOAD": os.path.abspath(library)}


def test_cpus_under_load(host, sturdy_qemu):
    """Two CPUs and a module are plugged and unplugged, again and again."""
    rounds = 3
    # QEMU starts a new thread for each plugged CPU, and maxcpus limits the number of all threads.
    h = host(cpus=f"2,maxcpus={2 + 2 * rounds}", env=sturdy_qemu)
    places = h.places()[:2]
    for number in range(rounds):
        slots = []
        for i, place in enumerate(places):
            info = h.give_cpu(f"c{i}", place)
            slots.append(int(info["slot"]))
        assert h.cpus().count("online") == 4
        if number == 0:
            # Threads run on the plugged CPUs, move to others when these are unplugged, and return
            # with the next ones.
            assert "and stress on all CPUs" in h.ask("load 64")
        h.give(number, 128, slot=0)
        # The CPUs work: with APIC ids in order a CPU's number is that of its slot.
        for slot in slots:
            assert "cpu: done: 3 of " in h.ask(f"cpu down {slot}")
            assert "cpu: done: 4 of " in h.ask(f"cpu up {slot}")
        for i in range(2):
            h.take(f"c{i}")
        assert h.cpus().count("online") == 2 and len(h.places()) == 2 * rounds
        h.take(f"d{number}")
    moved(h.ask("load"))
    assert SOUND in h.ask("check")
    assert "taken by CPUs not online 0; CPUs reported silent 0" in h.ask("cpus")
    assert re.search(
        rf"2 of \d+ CPU slots full; {2 * rounds} taken, {2 * rounds} given back, 0 refused, 0 odd",
        h.ask("slots"),
    )
