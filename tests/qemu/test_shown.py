# SPDX-License-Identifier: MIT
"""The monitor's prompt, and offlining in rounds under stress (rounds=N)."""
import re

import conftest
import pexpect
import pytest
import qemu

POLICIES = ("redrain", "disable", "precise")


@pytest.mark.parametrize("policy", POLICIES)
def test_offline_rounds_under_stress(passes, policy):
    """A twentieth of `make soak TARGET=offline`."""
    run = passes(f"selftest=none isolation={policy} rounds=25", cpus=4, nodes=[512, 512])
    each = r"\d+ drain rounds" if policy == "redrain" else r"25 drain rounds \(one each\)"
    assert run.has(rf"^rounds: {policy}: 25 offlines of 16 MiB: {each}"), run.story()
    moved = int(re.search(r"(\d+) blocks moved", run.text).group(1))
    damaged = int(re.search(r"(\d+) damaged", run.text).group(1))
    assert moved > 0 and damaged == 0


class Monitor:
    """A booted kernel at its prompt; monitor("command") -> its output."""

    PROMPT = "quarry> "

    def __init__(self, name):
        machine = qemu.Machine(cpus=2, mem=256, threads=conftest.threads_of(None))
        command = machine.command(name, "selftest=none tour=off")
        at = command.index("-chardev")
        command[at : at + 4] = ["-serial", "stdio"]
        self.child = pexpect.spawn(
            command[0],
            command[1:],
            timeout=qemu.WATCHDOG,
            encoding="utf-8",
            codec_errors="replace",
            echo=False,
        )
        self.child.logfile_read = open(qemu.log_path(name), "w", encoding="utf-8")
        self.child.expect_exact(self.PROMPT)

    def __call__(self, line):
        self.child.send(line + "\r")
        self.child.expect_exact(self.PROMPT)
        return self.child.before.replace("\r", "")

    def interrupted(self, line):
        """The output of the command @line, which Ctrl-U cancels."""
        self.child.send(line + "\r\x15")
        self.child.expect_exact(self.PROMPT)
        return self.child.before.replace("\r", "")

    def halt(self):
        self.child.send("halt\r")
        self.child.expect(pexpect.EOF)
        self.child.close()
        return self.child.exitstatus


@pytest.fixture
def monitor(name):
    m = Monitor(name)
    yield m
    m.child.close(force=True)


def test_monitor_shows(monitor):
    assert "offline" in monitor("help")
    assert "MiB managed" in monitor("mem")
    assert "MOVABLE" in monitor("zone")
    assert "count/capacity" in monitor("pcp")
    assert "pageblock" in monitor("block 0x1000")
    assert "every invariant holds" in monitor("check")
    assert re.search(r"threads +[1-9]\d*\n", monitor("counts"))
    assert re.search(r"selftest: 1 suite, \d+ tests, 0 failed", monitor("run buddy"))
    assert monitor.halt() == qemu.PASS_STATUS


def test_monitor_offlines_and_onlines(monitor):
    zone = re.search(r"MOVABLE pfn (0x[0-9a-f]+)-0x", monitor("zone"))
    assert zone, "no zone MOVABLE"
    pfn = zone.group(1)
    assert "done: 1 drain round" in monitor(f"offline {pfn} 1024")
    assert "offline" in monitor(f"block {pfn}")
    assert "already offline" in monitor(f"offline {pfn} 1024")
    assert "online: done" in monitor(f"online {pfn} 1024")
    assert "already online" in monitor(f"online {pfn} 1024")
    assert "done: 1 drain round" in monitor(f"offline {pfn} 512 disable")
    assert "online: done" in monitor(f"online {pfn} 512")
    assert "every invariant holds" in monitor("check")
    assert monitor.halt() == qemu.PASS_STATUS


def test_monitor_retires_broken_pages(monitor):
    start = int(re.search(r"MOVABLE pfn (0x[0-9a-f]+)-0x", monitor("zone")).group(1), 16)
    soft, hard = start + 3, start + 700
    assert "soft: done" in monitor(f"soft {soft:#x}")
    assert "poison: page was FREE; out of use" in monitor(f"poison {hard:#x}")
    shown = monitor("poison")
    assert "poison: 2 pages retired, 0 flagged and in use, 0 offline" in shown, shown
    assert f"pfn {soft:#x} retired" in shown and f"pfn {hard:#x} retired" in shown, shown
    assert "error EHWPOISON: flagged already" in monitor(f"poison {hard:#x}")
    assert "error ENXIO: no such page" in monitor("soft 0xfffffff0")
    # A reserved page that breaks can only be flagged.
    assert "in use, until it is freed" in monitor("poison 0x1")
    assert "error EBUSY" in monitor("unpoison 0x1")
    assert "done: 1 drain round" in monitor(f"offline {start:#x} 1024")
    assert f"pfn {soft:#x} offline" in monitor("poison")
    assert "online: done" in monitor(f"online {start:#x} 1024")
    assert "2 are broken and out of use" in monitor(f"query {start:#x} 1024")
    assert "unpoison: done" in monitor(f"unpoison {soft:#x}")
    assert "unpoison: done" in monitor(f"unpoison {hard:#x}")
    assert "error EINVAL: it is not flagged" in monitor(f"unpoison {hard:#x}")
    assert "every invariant holds" in monitor("check")
    assert monitor.halt() == qemu.PASS_STATUS


def test_monitor_names_blockers(monitor):
    shown = monitor("query 0 512")
    assert re.search(r"\d+ pages: reserved page, the first at pfn 0\n", shown), shown
    refused = "query: an offline would be refused:\nquery: error EBUSY: reserved page, pfn 0\n"
    assert refused in shown, shown
    pfn = re.search(r"MOVABLE pfn (0x[0-9a-f]+)-0x", monitor("zone")).group(1)
    shown = monitor(f"query {pfn} 512")
    assert re.search(r"0 pages can move, 512 are free\n.*would be tried", shown), shown
    assert "must be multiples of 512" in monitor("query 1 512")
    assert "every invariant holds" in monitor("check")
    assert monitor.halt() == qemu.PASS_STATUS


def test_monitor_cancels_an_offline(monitor):
    """An offline waits for a page that stays in use until Ctrl-U cancels it; then all is as
    before."""
    start = int(re.search(r"MOVABLE pfn (0x[0-9a-f]+)-0x", monitor("zone")).group(1), 16)
    pfn, block = start + 77, f"{start:#x} 512"
    assert f"busy: pfn {pfn:#x} will not be moved" in monitor(f"busy {pfn:#x}")
    shown = monitor(f"query {block}")
    assert (
        " 1 page can move, 511 are free\n"
        f"         1 of them by its owner, the first at pfn {pfn:#x} (busy_isolate)\n"
    ) in shown, shown
    assert f"query: an offline would wait for pfn {pfn:#x}, which is kept busy\n" in shown, shown
    shown = monitor.interrupted(f"offline {block}")
    assert re.search(
        r"offline: error EINTR: cancelled, pfn 0x[0-9a-f]+\n"
        r"(offline: 0 blocks moved in \d+ pass(es)?, \d+ retr(y|ies)\n)?\Z",
        shown,
        re.MULTILINE,
    ), shown
    assert "isolated" not in monitor(f"block {pfn:#x}")
    assert "every invariant holds" in monitor("check")
    assert "released" in monitor("busy")
    assert "error EBUSY: reserved page" in monitor("busy 0")
    assert "done: 1 drain round" in monitor(f"offline {block}")
    assert "online: done" in monitor(f"online {block}")
    assert monitor.halt() == qemu.PASS_STATUS


def test_monitor_evacuates_a_node(monitor):
    went = re.search(
        r"evacuate: (\d+) pages offlined, 0 stayed; drain rounds: 1", monitor("evacuate 0")
    )
    assert went and int(went.group(1)) > 0
    assert "too little" not in monitor("mem")
    assert f"evacuate: {went.group(1)} pages are back online" in monitor("evacuate 0 undo")
    assert "evacuate: 0 pages are back online" in monitor("evacuate 0 undo")
    assert "done" in monitor("evacuate 0 whole")
    assert f"evacuate: {went.group(1)} pages are back online" in monitor("evacuate 0 undo")
    assert "no such node" in monitor("evacuate 7 undo")
    assert "usage: evacuate" in monitor("evacuate 0 all")
    assert "blocks moved" in monitor("compact")
    assert "every invariant holds" in monitor("check")
    assert monitor.halt() == qemu.PASS_STATUS


def test_monitor_refuses_bad_input(monitor):
    assert "no such command" in monitor("offlien 1 2")
    assert "usage: offline" in monitor("offline 1")
    assert "not a number" in monitor("block pfn")
    assert "must be multiples of 512" in monitor("offline 1 512")
    assert "outside" in monitor("offline 0x800000000 512")
    assert "error" in monitor("online 512 0")
    assert monitor("") == "\n"
    assert "no such command" in monitor("x" * 200)
    assert "every invariant holds" in monitor("check")
    assert monitor.halt() == qemu.PASS_STATUS


def test_monitor_takes_cpus_down_and_up(monitor):
    counts = (
        "calls to CPUs out of range 0, to CPUs not online 0\n"
        "  taken by CPUs not online 0; CPUs reported silent 0"
    )
    assert "cpu: done: 1 of 2 online" in monitor("cpu down 1")
    assert re.search(r"^cpu 1: down, ", monitor("cpus"), re.MULTILINE)
    assert "the last CPU online" in monitor("cpu down 0")
    assert "already offline" in monitor("cpu down 1")
    assert "no such CPU" in monitor("cpu down 2")
    assert "cpu: done: 2 of 2 online" in monitor("cpu up 1")
    assert re.search(r"cpu: all have answered after \d{3,} ms", monitor("cpu hang 1 200"))
    shown = monitor("cpus")
    assert re.search(r"^cpu 1: online, ", shown, re.MULTILINE) and counts in shown, shown
    assert "every invariant holds" in monitor("check")
    assert monitor.halt() == qemu.PASS_STATUS


def test_monitor_edits_lines(monitor):
    """Backspace, Ctrl-U and the arrow keys edit a line."""
    assert "every invariant holds" in monitor("chekc\x7f\x7fck")
    assert "every invariant holds" in monitor("junk\x15check")
    assert "every invariant holds" in monitor("\x1b[A")
    assert monitor.halt() == qemu.PASS_STATUS
