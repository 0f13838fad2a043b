# SPDX-License-Identifier: MIT
"""Memory modules and CPUs that the host plugs and unplugs while the kernel runs, judged by QEMU's
replies."""
import re

import pytest
from slots import BUSY, DONE, EJECT, FAILED, FIRST, INSERT, SOUND

PAGES = 1 << 8  # pages of a MiB
BY_HAND = "selftest=none slots=off"  # the kernel is told of a DIMM at the prompt


def dimm(mib, number=0, node=0):
    memory = f"memory-backend-ram,id=dimm{number},size={mib}M,reserve=off"
    device = f"pc-dimm,id=d{number},memdev=dimm{number},node={node}"
    return ["-object", memory, "-device", device]


# ---- memory modules ------------------------------------------------------------------------------


@pytest.mark.parametrize("machine", ["q35", "pc"])
def test_dimm_comes_and_goes(host, machine):
    h = host(machine=machine)
    assert "slots: 8 for DIMMs, 0 for CPUs" in h.boot
    before = h.managed()
    for number in range(3):
        h.give(number, 256, slot=0)
        h.says(r"slots: DIMM slot 0, 256 MiB at 0x100000000, domain 0: in use")
        assert h.managed() >= before + 256 - 3
        assert list(h.dimms()) == [f"d{number}"]
        h.take(f"d{number}")
        h.says(r"slots: DIMM slot 0, \S+ MiB at \S+ domain 0: gone")
        assert h.dimms() == {}
        h.qmp("object-del", id=f"m{number}")
        # Page tables for the module's addresses stay.
        assert before - 1 <= h.managed() <= before
    assert SOUND in h.ask("check")
    assert "0 of 8 DIMM slots full; 3 taken, 3 given back, 0 refused, 0 odd" in h.ask("slots")


def test_several_dimms_of_several_sizes(host):
    h = host()
    for number, mib in enumerate((128, 2, 64, 512)):
        h.give(number, mib)
    assert "4 of 8 DIMM slots full; 4 taken" in h.ask("slots")
    assert h.managed() >= 256 + 706 - 40
    # The modules are used, and then unplugged in another order.
    assert ", 0 failed" in h.ask("run offline,memory_span")
    for number in (2, 0, 3, 1):
        h.take(f"d{number}")
    assert h.dimms() == {}
    assert SOUND in h.ask("check")


def test_dimm_ejected_before_the_first_scan(host):
    """A module is unplugged. The next module in its slot, which no request ejects, stays."""
    h = host()
    h.qmp("stop")
    h.plug_dimm(0, 128)
    h.unplug("d0")
    h.qmp("cont")
    h.ost(0, INSERT, DONE)
    h.gone("d0")
    h.give(1, 128, slot=0)
    assert "1 of 8 DIMM slots full; 2 taken, 1 given back, 0 refused, 0 odd" in h.ask("slots")
    assert list(h.dimms()) == ["d1"]


def test_dimm_that_was_there_at_boot(host):
    h = host(extra=dimm(128))
    assert re.search(r"slots: DIMM slot 0, 128 MiB at 0x100000000, domain 0: in use", h.boot)
    h.take("d0")
    assert h.dimms() == {}


def test_slots_off(host):
    h = host("selftest=none slots=off")
    assert "for DIMMs" not in h.boot
    h.plug_dimm(0, 128)
    assert "slots: none" in h.ask("slots")
    assert h.managed() <= 256


def test_dimm_in_use_stays(host):
    """If a page cannot be moved, the host is told, nothing changes, and a later unplug succeeds."""
    h = host()
    h.give(0, 128)
    before = h.managed()
    assert f"busy: pfn {FIRST + 100:#x} will not be moved" in h.ask(f"busy {FIRST + 100:#x}")
    for _ in range(2):
        h.unplug("d0")
        h.ost(0, EJECT, BUSY)
        h.says(rf"slots: blocker: pfn {FIRST + 100:#x}: ")
        h.says(r"slots: DIMM slot 0, 128 MiB at \S+ domain 0: cannot leave\s+slots:   error E\w+: ")
        assert list(h.dimms()) == ["d0"]
        assert before - 1 <= h.managed() <= before
        assert SOUND in h.ask("check")
    assert "last refused:\nslots:   error E" in h.ask("slots")
    h.ask("busy")
    h.take("d0")
    assert h.dimms() == {}


def test_dimm_with_broken_pages_is_unplugged(host):
    """An unplugged module's broken pages are forgotten: the next module in its slot has none."""
    h = host()
    for number in range(2):
        h.give(number, 128, slot=0)
        assert "poison: 0 pages retired, 0 flagged and in use, 0 offline" in h.ask("poison")
        for pfn in (FIRST + 77, FIRST + 5000):
            h.ask(f"poison {pfn:#x}")
        assert "poison: 2 pages retired" in h.ask("poison")
        h.take(f"d{number}")
        assert SOUND in h.ask("check")
    assert "poison: 0 pages retired, 0 flagged and in use, 0 offline" in h.ask("poison")


def test_dimm_offlined_by_hand(host):
    """A module that is partly offline cannot be unplugged; one that is wholly offline can."""
    h = host()
    h.give(0, 128)
    assert "offline: done" in h.ask(f"offline {FIRST:#x} 512")
    h.unplug("d0")
    h.ost(0, EJECT, FAILED)
    assert "offline: done" in h.ask(f"offline {FIRST + 512:#x} {128 * 256 - 512}")
    h.take("d0")
    assert h.dimms() == {}


def test_dimm_too_large_to_be_described(host):
    """If memory for a module's descriptors is lacking, the host is told so, no task is killed, and
    the module can be unplugged."""
    h = host(mem=64, room=16384)
    before = h.managed()
    h.plug_dimm(0, 8192)
    h.ost(0, INSERT, FAILED)
    h.says(
        r"slots: DIMM slot 0, 8192 MiB at \S+ domain 0: not taken\s+"
        r"slots:   error ENOMEM: no memory for its descriptors"
    )
    text = h.ask("mem")
    assert "ALLOC_FAIL" in text and "OOM_" not in text, text
    assert before - 1 <= h.managed() <= before
    # A module that fits is still used.
    h.give(1, 64)
    for number in range(2):
        h.take(f"d{number}")
    assert before - 1 <= h.managed() <= before
    assert SOUND in h.ask("check")


# ---- memory added and removed at the prompt: DIMMs that the firmware's memory map lacks ----------
def test_dimm_that_the_firmware_does_not_name(host):
    h = host(BY_HAND, room=7936, extra=dimm(256))
    ask, before = h.ask, h.managed()
    assert "add: done: offline, on node 0" in ask(f"add {FIRST:#x} {256 * PAGES}")
    assert h.managed() in (before, before - 2)  # its descriptors may take 2 MiB
    assert "online: done" in ask(f"online {FIRST:#x} {256 * PAGES}")
    assert h.managed() >= before + 256 - 2
    assert SOUND in ask("check")
    # The new memory is used: suites of all kinds run in it, and it can still be removed.
    assert ", 0 failed" in ask("run vm,migrate,offline,memory_add,memory_span")
    said = ask(f"remove {FIRST:#x} {256 * PAGES}")
    assert "remove: error EBUSY: some of it is not offline" in said
    assert "offline: done" in ask(f"offline {FIRST:#x} {256 * PAGES}")
    assert "remove: done" in ask(f"remove {FIRST:#x} {256 * PAGES}")
    assert h.managed() == before
    gone = "pfn 0x100000: no such page" in ask(f"page {FIRST:#x}")
    assert gone or "hole" in ask(f"block {FIRST:#x}")
    # Add it again, in parts, and in another order.
    assert "add: done" in ask(f"add {FIRST + 128 * PAGES:#x} {128 * PAGES}")
    assert "add: done" in ask(f"add {FIRST:#x} {2 * PAGES}")
    assert "online: done" in ask(f"online {FIRST:#x} {2 * PAGES}")
    assert "online: done" in ask(f"online {FIRST + 128 * PAGES:#x} {128 * PAGES}")
    assert h.managed() >= before + 130 - 2


def test_dimms_go_to_their_nodes(host):
    """The lower of two DIMMs is on node 1, so that the spans of the two nodes overlap."""
    extra = dimm(128, 0, node=1) + dimm(128, 1, node=0)
    h = host(BY_HAND, room=7936, nodes=[128, 128], extra=extra)
    ask = h.ask
    assert "add: done: offline, on node 1" in ask(f"add {FIRST:#x} {128 * PAGES} 1")
    assert "add: done: offline, on node 0" in ask(f"add {FIRST + 128 * PAGES:#x} {128 * PAGES} 0")
    assert "online: done" in ask(f"online {FIRST:#x} {128 * PAGES}")
    assert "online: done" in ask(f"online {FIRST + 128 * PAGES:#x} {128 * PAGES}")
    present = h.present()
    assert present[0] >= 128 * PAGES and present[1] >= 128 * PAGES, present
    assert ", 0 failed" in ask("run node_order,offline,compact,memory_add,memory_span")
    assert h.evacuate(1)[1] == 0
    assert "remove: done" in ask(f"remove {FIRST:#x} {128 * PAGES}")
    assert SOUND in ask("check")


# ---- CPUs ----------------------------------------------------------------------------------------
UNPLUG = {"threads": "multi"}  # with one thread for all CPUs, QEMU 7.2 crashes on an unplug


@pytest.mark.parametrize("machine", ["q35", "pc"])
def test_cpu_comes_and_goes(host, machine):
    h = host(cpus="2,maxcpus=4", room=0, machine=machine, **UNPLUG)
    assert "machine: 2 CPUs online of 4" in h.boot and "slots: 0 for DIMMs, 4 for CPUs" in h.boot
    assert h.cpus() == ["online", "online", "absent", "absent"]
    assert "cpu: error ENODEV: no such CPU" in h.ask("cpu up 3")
    places = h.places()
    assert len(places) == 2
    for i, place in enumerate(places):
        h.give_cpu(f"c{i}", place)
    assert h.cpus() == ["online"] * 4
    # The CPU is unplugged at the end, here and below: QEMU 7.2 damages its own memory when a CPU is
    # unplugged. test_slots_busy.py unplugs more CPUs.
    h.take("c1")
    assert sorted(h.cpus()) == ["absent", "online", "online", "online"]
    assert len(h.places()) == 1
    assert SOUND in h.ask("check")
    assert "3 of 4 CPU slots full; 2 taken, 1 given back, 0 refused, 0 odd" in h.ask("slots")


def test_plugged_cpu_works(host):
    """Threads run on a plugged CPU, and it goes down and up like any other CPU, while others call
    it."""
    h = host(cpus="1,maxcpus=3", room=0, **UNPLUG)
    devices = {}
    for i, place in enumerate(h.places()):
        info = h.give_cpu(f"c{i}", place)
        devices[int(info["slot"])] = info["device"]
    assert "cpu: done: 2 of 3 online" in h.ask("cpu down 1")
    assert "cpu: done: 3 of 3 online" in h.ask("cpu up 1")
    assert "cpu: done: 2 of 3 online" in h.ask("cpu down 0")
    assert "cpu: done: 3 of 3 online" in h.ask("cpu up 0")
    assert ", 0 failed" in h.ask("run smp,drain,disable,offline")
    # A CPU that is down can be unplugged, too.  With APIC ids in order a CPU has its slot's number.
    first = min(devices)
    assert "cpu: done: 2 of 3 online" in h.ask(f"cpu down {first}")
    h.take(devices[first])
    assert sorted(h.cpus()) == ["absent", "online", "online"]
    assert SOUND in h.ask("check")


def test_last_cpu_stays(host):
    h = host(cpus="1,maxcpus=2", room=0, **UNPLUG)
    h.give_cpu("c1", h.places()[0])
    assert "cpu: done: 1 of 2 online" in h.ask("cpu down 0")
    h.unplug("c1")
    info = h.qmp.event("ACPI_DEVICE_OST")["info"]
    assert (info["source"], info["status"]) == (EJECT, BUSY), info
    assert h.cpus() == ["down", "online"]
    assert "cpu: done: 2 of 2 online" in h.ask("cpu up 0")
    h.take("c1")
    assert h.cpus() == ["online", "absent"]


def test_absent_cpus_cost_only_their_descriptors(passes):
    """The tests use the present CPUs and ignore the absent ones."""
    run = passes(
        "selftest=smp,drain,disable,hotplug,cpu_plug,task,task_cpu", cpus="2,maxcpus=6", mem=512
    )
    run.says(r"^machine: 2 CPUs online of 6")
