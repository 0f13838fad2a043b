# SPDX-License-Identifier: MIT
"""The end of a machine without QEMU's own exit: it powers off by ACPI, or stays on if the option
says so."""
import pytest
import qemu

EXIT = "isa-debug-exit,iobase=0xf4,iosize=4"


@pytest.fixture(autouse=True)
def no_exit(monkeypatch):
    """Remove QEMU's exit device, because no real machine has one."""
    whole = qemu.Machine.command

    def without(self, *args, **kw):
        command = whole(self, *args, **kw)
        at = command.index(EXIT)
        return command[: at - 1] + command[at + 1 :]

    monkeypatch.setattr(qemu.Machine, "command", without)


@pytest.mark.parametrize("machine", ["q35", "pc", "microvm"])
def test_power_goes_off(boot, machine):
    run = boot("selftest=none", machine=machine)
    assert run.status == 0 and run.last == qemu.PASS_LINE, run.story()


def test_power_stays_on(boot):
    seen = []

    def look(qmp):
        qmp.wait_for("^quarry: halted")
        seen.append(qmp("query-status")["status"])
        qmp("quit")

    run = boot("selftest=none poweroff=off", talk=look)
    assert seen == ["running"], run.story()
    assert run.has("^quarry: halted; the power may be switched off$"), run.story()
