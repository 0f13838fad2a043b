# SPDX-License-Identifier: MIT
"""A machine at the monitor's prompt with QEMU's protocol beside it, to plug and unplug devices."""
import os
import re
import signal

import conftest
import pexpect
import qemu
import watchdog

SOUND = "check: every invariant holds"
MIB = 1 << 20
FIRST = 0x100000  # the first pfn of DIMMs in QEMU, if RAM ends below 4 GiB
INSERT, EJECT, DONE, FAILED, BUSY = 1, 3, 0, 1, 0x82  # values of _OST


class Host:
    """A machine at its prompt. env: environment variables of QEMU, besides this process's."""

    def __init__(self, name, machine, cmdline, env=None):
        self.path = os.path.relpath(os.path.join(qemu.BUILD, "qemu", f"{os.getpid()}.qmp"))
        os.makedirs(os.path.dirname(qemu.log_path(name)), exist_ok=True)
        command = machine.command(name, cmdline + " tour=off", console="stdio,id=con,signal=off")
        command += ["-qmp", f"unix:{self.path},server=on,wait=off"]
        self.child = conftest.spawn(
            command,
            qemu.log_path(name),
            cwd=None,
            timeout=None,  # the guard ends a machine that hangs
            echo=False,
            **env or {},
        )
        self.log = self.child.logfile_read
        self.guard = watchdog.Guard(
            self.child.pid, machine.timeout, lambda: qemu.size_of(self.log.name)
        )
        self.qmp = qemu.Qmp(self.path, self, qemu.log_path(name)).__enter__()
        self.boot = self.until("quarry> ")

    def poll(self):
        return None if self.child.isalive() else self.child.exitstatus

    def close(self):
        self.guard.close()
        self.qmp.__exit__()
        if not self.child.isalive() and self.child.signalstatus == signal.SIGSEGV:
            qemu.crashes.append(self.log.name)
        self.child.close(force=True)
        self.log.close()
        if os.path.exists(self.path):
            os.unlink(self.path)

    def ask(self, line):
        self.child.sendline(line)
        return self.until("quarry> ")

    def says(self, pattern):
        """Wait for a line that does not answer a command."""
        self.until(pattern)

    def until(self, pattern):
        """Wait until the console matches @pattern; returns the text before the match."""
        try:
            self.child.expect(pattern)
        except pexpect.EOF:
            raise AssertionError(
                f"QEMU ended before {pattern!r}: {self.guard.why or 'by itself'}; console "
                f"{self.log.name}:\n{self.child.before[-2000:]}"
            ) from None
        return self.child.before.replace("\r", "")

    def ost(self, slot, source, status):
        """Check that the kernel reports this result to the host (_OST)."""
        info = self.qmp.event("ACPI_DEVICE_OST")["info"]
        assert (info["slot"], info["source"], info["status"]) == (str(slot), source, status), info

    def plug_dimm(self, number, mib, node=0, **more):
        memory = {"qom-type": "memory-backend-ram", "id": f"m{number}", "size": mib * MIB}
        self.qmp("object-add", **memory, reserve=False)
        device = {"driver": "pc-dimm", "id": f"d{number}", "memdev": f"m{number}", "node": node}
        self.qmp("device_add", **device, **more)

    def give(self, number, mib, node=0, slot=None):
        """Plug a DIMM, which the kernel uses."""
        self.plug_dimm(number, mib, node)
        self.ost(number if slot is None else slot, INSERT, DONE)

    def take(self, device):
        """Unplug a device; the kernel gives it back."""
        self.unplug(device)
        self.gone(device)

    def unplug(self, device):
        """Request the unplug; the kernel decides."""
        self.qmp("device_del", id=device)

    def gone(self, device):
        while True:
            data = self.qmp.event("DEVICE_DELETED")
            # For a CPU, QEMU 7.2 names only its local APIC.
            lapic = data["path"] == f"/machine/peripheral/{device}/lapic"
            if data.get("device") == device or lapic:
                break
        there = self.qmp("qom-list", path="/machine/peripheral")
        assert device not in [child["name"] for child in there]

    def dimms(self):
        return {d["data"]["id"]: d["data"] for d in self.qmp("query-memory-devices")}

    def managed(self):
        return int(re.search(r"(\d+) MiB managed", self.ask("mem")).group(1))

    def present(self):
        """Pages present in each node's zone MOVABLE."""
        rows = re.findall(r"node (\d) MOVABLE pfn \S+ present (\d+)", self.ask("zone"))
        return {int(n): int(p) for n, p in rows}

    def spans(self, node):
        """(first pfn, end, pages present) of each of a node's zones."""
        row = rf": node {node} \S+ +pfn (\S+)-(\S+) present (\d+)"
        found = re.findall(row, self.ask("zone"))
        return [(int(first, 16), int(end, 16), int(present)) for first, end, present in found]

    def evacuate(self, node):
        """(pages that went offline, pages that stayed)."""
        said = self.ask(f"evacuate {node}")
        found = re.search(r"evacuate: (\d+) pages offlined, (\d+) stayed", said)
        return tuple(map(int, found.groups()))

    def places(self):
        """The arguments of device_add for each absent CPU."""
        return [cpu for cpu in self.qmp("query-hotpluggable-cpus") if "qom-path" not in cpu]

    def plug_cpu(self, device, place):
        self.qmp("device_add", driver=place["type"], id=device, **place["props"])

    def give_cpu(self, device, place):
        """Plug a CPU, which the kernel uses: what it told the host."""
        self.plug_cpu(device, place)
        info = self.qmp.event("ACPI_DEVICE_OST")["info"]
        assert (info["source"], info["status"]) == (INSERT, DONE), info
        return info

    def cpus(self):
        """The state of each CPU."""
        return re.findall(r"^cpu \d+: (\w+)", self.ask("cpus"), re.MULTILINE)
