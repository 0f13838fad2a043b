# SPDX-License-Identifier: MIT
"""Machine checks, injected by QEMU's `mce` command. The console, QEMU's own events, and the end of
the run show the result of each."""
import contextlib
import re

import pytest

import conftest
import qemu

BANK = 9
MISC = 0x8C  # MCi_MISC: the address is physical, and its low 12 bits have no meaning
SCRUB, LOAD, FETCH = 0xC0, 0x134, 0x150
VAL, OVER, UC, EN, MISCV, ADDRV, PCC, S, AR = (
    1 << bit for bit in (63, 62, 61, 60, 59, 58, 57, 56, 55)
)
RIPV, EIPV, MCIP = 1, 2, 4
OPTIONAL = VAL | UC | EN | MISCV | ADDRV | S | SCRUB
REQUIRED = VAL | UC | EN | MISCV | ADDRV | S | AR | LOAD
# {kind: (MCi_STATUS, MCG_STATUS, further arguments of the command)}
KINDS = {
    "optional": (OPTIONAL, RIPV | MCIP, ""),
    "broadcast": (OPTIONAL, RIPV | MCIP, "-b "),
    "required": (REQUIRED, RIPV | EIPV | MCIP, ""),
    "fetched": (REQUIRED ^ LOAD ^ FETCH, MCIP, ""),
    "corrected": (VAL | EN | MISCV | ADDRV | SCRUB, 0, ""),
}
WANTED = re.compile(r"^inject: (\w+) cpu (\d+) address (0x[0-9a-f]+)\n", re.M)
READY = "^Type help"
# QEMU 9 sends machine checks to all CPUs only if they are Intel's, and its "max" is AMD's.
INTEL = "max,vendor=GenuineIntel,family=6,model=15"
# An error without an address is only counted and reported.
SAID = rf"^mce: CPU \d bank {BANK}: action optional, no page: nothing was done$"


def inject(qmp, status, mcg_status, address=0, cpu=0, more=""):
    """Inject a machine check on CPU @cpu."""
    said = qmp(
        "human-monitor-command",
        **{
            "command-line": f"mce {more}{cpu} {BANK} {status:#x} {mcg_status:#x}"
            f" {address:#x} {MISC:#x}"
        },
    )
    assert not said.strip(), said


def injected(qmp):
    """The actions in QEMU's events so far."""
    qmp("query-status")  # reads the events that came before its answer
    return [e["data"]["action"] for e in qmp.events if e["event"] == "MEMORY_FAILURE"]


def server(cpus, asked):
    """A function that serves the requests of the kernel's suite, and appends their kinds to
    @asked."""

    def serve(qmp):
        while True:
            text = qmp.wait_for(
                r"^inject: .*\n|^(not )?ok 1 mce_outside|^PANIC", qemu.WATCHDOG,
                times=len(asked) + 1,
            )
            wanted = WANTED.findall(text)
            if len(wanted) == len(asked):
                return
            kind, cpu, address = wanted[len(asked)]
            asked.append(kind)
            status, mcg_status, more = KINDS[kind]
            qmp("stop")  # else QEMU may end before its events are read
            inject(qmp, status, mcg_status, int(address, 16), int(cpu), more)
            # A request causes one event, a broadcast one event for each CPU; an event is "reset" if
            # the machine could not take the error.
            assert injected(qmp) == ["inject"] * (
                len(asked) + (cpus - 1) * asked.count("broadcast")
            )
            qmp.go_on()

    return serve


def test_standby(boot):
    """A page of standby memory breaks, in the pageblock that was to hold the descriptors."""
    asked = []
    run = boot(
        "selftest=mce_outside.error_in_standby_memory_keeps_the_page_out standby=256",
        cpus=2,
        mem=8192,
        talk=server(2, asked),
    )
    assert run.passed and asked == ["optional"], run.story(80)
    assert run.ktap()[:3] == (1, 0, 0), run.story(80)
    run.says(
        rf"^mce: CPU \d bank {BANK}: action optional, pfn 0x[0-9a-f]+: standby memory; "
        "out of use, with all of its pageblock$"
    )


@pytest.mark.parametrize("cpus", [conftest.full(2), 4])
def test_each_kind(passes, cpus):
    """The suite requests each kind of machine check."""
    asked = []
    machine = dict(cpu=INTEL, cpus=cpus, programs=True)
    run = passes("selftest=mce_outside", **machine, talk=server(cpus, asked))
    passed, failed, skipped, names = run.ktap()
    assert (passed, failed, skipped) == (9, 0, 1), run.story(80)
    assert set(asked) == set(KINDS), asked
    lines = re.findall(
        rf"^mce: CPU (\d+) bank {BANK}: (.*?), pfn 0x[0-9a-f]+: (.*)$", run.text, re.M
    )
    # Each error about a page has a line, except the two corrected errors before the last.
    assert len(lines) == len(asked) - 2, run.story(80)
    assert [what for _, what, _ in lines].count("action required") == 4, lines
    assert ("corrected", "number 3: out of use") in [line[1:] for line in lines], lines
    lost = r"^task \d+ lost: page fault: read of 0000000030000000: lost, its memory broke$"
    assert len(re.findall(lost, run.text, re.M)) == 2, run.story(80)
    run.says(
        r"^task \d+ lost: machine check: data that it needs is damaged, and cannot be retired$"
    )
    run.says(
        r"^task \d+ lost: machine check: data that it needs is damaged, and it cannot continue$"
    )


# {fatal error: (MCi_STATUS, MCG_STATUS, the expected report)}
FATAL = {
    "pcc": (OPTIONAL | PCC, RIPV | MCIP, r"the processor's state is corrupt \(PCC\)"),
    "no-ripv": (OPTIONAL, MCIP, r"the interrupted code cannot go on \(no RIPV\)"),
    "kernel": (REQUIRED, RIPV | EIPV | MCIP, "action required in the kernel"),
    "kernel-fetch": (REQUIRED ^ LOAD ^ FETCH, MCIP, "action required in the kernel"),
    "unknown": (
        REQUIRED ^ LOAD ^ (LOAD | 1), RIPV | EIPV | MCIP, "action required for an unknown error",
    ),
    "lost": (
        REQUIRED | OVER, RIPV | EIPV | MCIP,
        r"action required, and another error was lost \(OVER\)",
    ),
}


@pytest.mark.parametrize(
    "kind, more", [(kind, "") for kind in sorted(FATAL)] + [("pcc", "-b "), ("kernel", "-b ")]
)
def test_fatal(boot, kind, more):
    """The kernel panics, and prints all banks of the CPU that has the error."""
    status, mcg_status, why = FATAL[kind]

    def break_it(qmp):
        qmp.wait_for(READY, qemu.WATCHDOG)
        with contextlib.suppress(EOFError, OSError):  # QEMU may end before it answers
            inject(qmp, status, mcg_status, 0x5432100, 1, more)

    run = boot("selftest=none", cpu=INTEL, cpus=2, monitor=None, talk=break_it)
    assert run.status == qemu.FAIL_STATUS, run.story()
    run.says(rf"^PANIC on CPU 1, thread .*: exception 18: machine check: {why}$")
    run.says(r"^CPU 1: exception 18, machine check, in thread ")
    run.says(rf"^CPU 1: MCG_CAP 0x[0-9a-f]+, MCG_STATUS {mcg_status:#x}( [A-Z]+)+$")
    banks = re.findall(
        r"^  bank (\d+): status ([0-9a-f]{16}) address ([0-9a-f]{16}) misc ([0-9a-f]{16}): (.*)$",
        run.text,
        re.M,
    )
    assert len(banks) == 10, run.story(80)
    assert banks[BANK][1:4] == (f"{status:016x}", f"{0x5432100:016x}", f"{MISC:016x}"), banks
    run.says(r"^To run it again: ")


def test_too_many_at_once(boot):
    """The ring of machine checks is full, and no record may be lost: the kernel panics."""
    run = boot("selftest=none fault=mcering", cpus=2)
    assert run.status == qemu.FAIL_STATUS, run.story()
    run.says(
        r"^PANIC on CPU \d, thread main: exception 18: machine check: too many machine checks "
        r"waiting$"
    )


def test_storm(boot):
    """Many machine checks, with NMIs among them, hit anywhere: in ring 3, on the way into and out
    of the kernel, in other handlers."""
    rounds, cpus = 60, 3

    def storm(qmp):
        qmp.wait_for("^# selftest: ", qemu.WATCHDOG)
        for i in range(rounds):
            # Most NMIs are still being handled when the machine check hits.
            if i % 3 == 0:
                qmp("inject-nmi")
            # The last machine check is a broadcast; after it no other may follow.
            inject(
                qmp, OPTIONAL & ~ADDRV, RIPV | MCIP, 0, i % cpus, "-b " if i == rounds - 1 else ""
            )
            qmp.wait_for(SAID, qemu.WATCHDOG, times=i + 1)
        assert set(injected(qmp)) == {"inject"}
        qmp("quit")

    # The program stress verifies each word of its memory, and reports a wrong word at once.
    machine = dict(cpu=INTEL, cpus=cpus, programs=True)
    run = boot("selftest=none user=stress user_arg=100000", **machine, talk=storm)
    assert run.status == 0 and len(re.findall(SAID, run.text, re.M)) == rounds, run.story()
    assert not run.has("^stress: page |PANIC|^task|^user: "), run.story()


@pytest.mark.parametrize(
    "machine",
    [
        dict(cpu="max"),
        conftest.full(dict(cpu="Nehalem")),
        conftest.full(dict(cpu="qemu64", cpus=1)),
        conftest.full(dict(cpu="max", boot="grub")),
        dict(cpu="max", icount=True, shift=3),
    ],
)
def test_suites(passes, machine):
    run = passes("selftest=mce,mce_cpu", **{"cpus": 4, **machine})
    run.says("^ok 2 mce_cpu")
    assert "# SKIP" not in run.text, run.story()


def test_machine_without(passes):
    """A CPU without banks: nothing is done, and nothing fails."""
    run = passes("selftest=mce,mce_cpu", cpus=2, cpu="max,-mce,-mca")
    run.says("# SKIP needs an emulator with machine checks")


def test_broadcast_reaches_another_cpu(host):
    """Nothing is interrupted on a CPU that is down, and one that is online deals with the check."""
    h = host(cpus=3, room=0)
    for cpu in (1, 0):
        assert "cpu: done: " in h.ask(f"cpu down {cpu}")
    for times in (1, 2):
        for cpu in (0, 1):
            inject(h.qmp, OPTIONAL & ~ADDRV, RIPV | MCIP, cpu=cpu)
            h.says(rf"mce: CPU {cpu} bank {BANK}: action optional, no page: nothing was done")
    assert h.cpus() == ["down", "down", "online"]
    for cpu in (0, 1):
        assert "cpu: done: " in h.ask(f"cpu up {cpu}")
    assert re.search(r"0 flagged", h.ask("poison"))
