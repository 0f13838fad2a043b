# SPDX-License-Identifier: MIT
"""One memory module and one CPU are plugged and unplugged: the slots' registers and their
interrupt.  test_slots.py has all other cases."""
import pytest

from slots import DONE, INSERT, SOUND

BOOTS = "multi"  # with one thread for all CPUs, QEMU 7.2 crashes when a CPU is unplugged


@pytest.mark.parametrize("machine", ["q35", "pc"])
def test_cpus_and_memory_are_plugged_and_unplugged(host, machine):
    h = host(machine=machine, cpus="1,maxcpus=2", mem=128, room=512)
    assert "slots: 8 for DIMMs, 2 for CPUs" in h.boot, h.boot
    h.plug_dimm(0, 128)
    h.ost(0, INSERT, DONE)
    h.unplug("d0")
    h.gone("d0")
    h.plug_cpu("c1", h.places()[0])
    assert h.qmp.event("ACPI_DEVICE_OST", 60)["info"]["status"] == DONE
    assert h.cpus() == ["online", "online"]
    h.unplug("c1")
    h.gone("c1")
    assert h.cpus() == ["online", "absent"]
    assert SOUND in h.ask("check")
