# SPDX-License-Identifier: MIT
"""Programs in ring 3: their output, their end, and that the kernel survives whatever they do."""
import dataclasses
import re

import conftest
import pytest

import soak

# The kernel's messages about the faults of user/fault.c, in order.
FAULTS = [
    r"page fault: read of 0000000000000000: not mapped",
    r"page fault: write of 0000000000000008: not mapped",
    r"page fault: read of ffffffff80100000: not a user address",
    r"page fault: write of ffff888000200000: not a user address",
    r"page fault: execute of ffffffff80100000: not a user address",
    r"general protection",  # a jump to an address that is not canonical
    r"invalid opcode",
    r"divide error",
    r"general protection",  # hlt
    r"general protection",  # outl to the port that would end QEMU as passed
    r"page fault: write of 000000000040[0-9a-f]{4}: not allowed there",  # a constant
    r"page fault: write of 000000000040[0-9a-f]{4}: not allowed there",  # its own code
    r"page fault: execute of 000000000040[0-9a-f]{4}: not allowed there",  # its own data
    r"page fault: write of 00007ffffffe[0-9a-f]{4}: not mapped",  # below its stack
    r"general protection",  # int 0x41
    "general protection|invalid opcode",  # sysenter: of Intel, of AMD
]
MACHINES = {
    "pvh-max-4": dict(boot="pvh", cpu="max", cpus=4),
    "pvh-max-1": dict(boot="pvh", cpu="max", cpus=1),
    "pvh-qemu64-4": dict(boot="pvh", cpu="qemu64", cpus=4),
    "pvh-Nehalem-8": dict(boot="pvh", cpu="Nehalem", cpus=8),
    "grub-max-2": dict(boot="grub", cpu="max", cpus=2),
    "uefi-max-2": dict(boot="uefi", cpu="max", cpus=2),
}
QUIET = "selftest=none"


@pytest.fixture
def user(boot):
    """user(program, arg) -> Run of the kernel with @program as its first program."""

    def run(program, arg=None, **kw):
        line = f"{QUIET} user={program}" + ("" if arg is None else f" user_arg={arg}")
        return boot(kw.pop("line", line), programs=True, **kw)

    return run


@pytest.mark.long
@pytest.mark.parametrize(
    "machine",
    [name if name == "pvh-max-4" else conftest.full(name) for name in MACHINES],
)
def test_init(user, machine):
    """init runs and judges all programs; the kernel reports each program that faults."""
    run = user("init", **MACHINES[machine])
    assert run.passed, run.story()
    assert not run.has("not ok"), run.story()
    run.says("^init: 0 not as expected$", "^user: init exited, status 0$")
    reports = re.findall(r"^task \d+ fault: (.*)$", run.text, re.M)
    assert len(reports) == len(FAULTS), run.story()
    for have, want in zip(reports, FAULTS):
        assert re.fullmatch(want, have), f"{have!r}, not {want!r}\n{run.story()}"
    # Four tasks needed a page that no pager supplied.
    lacking = r"^task \d+ paged: page fault: read of [0-9a-f]{16}: not supplied$"
    assert len(re.findall(lacking, run.text, re.M)) == 4, run.story()
    # Each report has the program's registers; no other report is printed.
    assert run.text.count("\n  rip ") == len(FAULTS) + 4, run.story()


@pytest.mark.parametrize(
    "cpu, smep, smap, by",
    [
        ("max", "on", "on", "XSAVE"),
        ("qemu64", "not there", "not there", "FXSAVE"),
        ("qemu64,+smep", "on", "not there", "FXSAVE"),
        ("qemu64,+smap", "not there", "on", "FXSAVE"),
    ],
)
def test_protection(passes, cpu, smep, smap, by):
    """SMEP and SMAP are on if the machine has them; the suite proves it by touching user memory
    from the kernel."""
    run = passes("selftest=task,task_cpu", cpu=cpu)
    run.says(rf"^ring 3: SMEP {smep}, SMAP {smap}, FPU registers by {by}$")
    run.says(r"^  ok \d+ smap_and_smep_are_on\b")


@pytest.mark.parametrize("cpus", [1, conftest.full(2), 8])
def test_suites(passes, cpus):
    run = passes("selftest=task,task_cpu,ipc,pager,pager_wait,elf", cpus=cpus)
    run.says("^ok 6 ")


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_fuzz(passes, seed):
    """The program mostly sleeps; under icount sleep takes none of the host's time."""
    counted = {} if conftest.whole() else {"icount": True, "shift": 3}
    run = passes(f"{QUIET} user=fuzz user_arg=50000 seed={seed}", programs=True, **counted)
    run.says(r"^fuzz: 50000 calls of seed \d+: \d{4,} succeeded, \d{4,} failed$")


def test_stress(user):
    run = user("stress", 60)
    assert run.passed, run.story()
    run.says(r"^stress: 240 rounds of 4 threads, 0 pages wrong, \d+ times no memory$")


def test_offline_under_programs(user):
    """With FULL=1 a twentieth of `make soak TARGET=programs`: no program notices that its memory is
    offlined and onlined."""
    rounds, node = (10, 512) if conftest.whole() else (2, 256)
    run = user("", line=f"{QUIET} programs={rounds}", cpus=4, nodes=[node, node])
    assert run.passed, run.story()
    mapped, pages, moved = conftest.numbers(
        run,
        rf"^programs: {rounds} offlines, each at the first call: (\d+) of (\d+) pages mapped, "
        r"(\d+) moved",
    )
    assert pages == rounds * node * 64 and mapped > 0.8 * pages and moved > 0.3 * pages, run.story()
    run.says(
        r"^programs: compaction: [1-9]\d* pages moved .*; [1-4] of 4 blocks of 2 MiB allocated$"
    )
    run.says(r"^programs: 4 verified \d+ pages, 0 wrong; all ended well$")
    assert not soak.complaints("programs", run, rounds), run.story()
    other = dataclasses.replace(run, text=run.text.replace(", 0 wrong;", ", 1 wrong;"))
    assert soak.complaints("programs", other, rounds), run.story()


def test_failure_is_seen(user):
    """The run fails if a program faults, or exits with a status but 0; the kernel ends in order."""
    run = user("fault", 0, line=f"{QUIET} user=fault seed=6")
    assert run.failed, run.story()
    run.says(r"^task 1 fault: invalid opcode$", r"^user: fault faulted, status 0$")
    run = user("fault", 0, line=f"{QUIET} user=fault seed=16")
    assert run.failed and run.has(r"^user: fault exited, status 77$"), run.story()


def test_no_such_program(user):
    run = user("nobody")
    assert run.failed, run.story()
    run.says(
        r"^user=nobody: no such program among the boot modules:\n(.*\n)* .* fuzz\b[^:]* init\b"
    )
    run.says(r"^user: nobody not started: error ENOENT$")


def test_no_modules(boot):
    run = boot(f"{QUIET} user=init")
    assert run.failed, run.story()
    run.says(r"^user=init: no such program .*the loader brought no boot module")


@pytest.mark.parametrize(
    "name, content, why",
    [
        ("text", b"#!/bin/sh\n" + b"x" * 100, "not an ELF file"),
        ("short", b"\x7fELF", "too short for an ELF file"),
        ("ones", b"\x7fELF" + b"\x01" * 200, "not 64-bit little-endian"),
    ],
    ids=["text", "short", "ones"],
)
def test_bad_program(user, text_file, name, content, why):
    run = user(name, module=text_file(name, content))
    assert run.failed, run.story()
    run.says(rf"^program {name}: {why}$", rf"^user: {name} not started: error ENOEXEC$")


def test_trace_beside_programs(passes, text_file):
    """By PVH the trace and the programs are in one archive."""
    trace = "# events=2 allocs=1 frees=1 ids=1 peak_live_pages=1 cpus=1\na 0 0 U 0\nf 0 0\n"
    run = passes(
        "selftest=none trace=tiny.trace user=hello", tour=None, programs=True,
        module=text_file("tiny.trace", trace),
    )
    run.says(r"^trace tiny\.trace: ", "^hello: hello from ring 3")


def test_nmi_in_ring_3(user):
    """NMIs hit the CPUs while programs run: each is reported, and no program is disturbed."""
    in_ring_3 = r"^  00000000004[0-9a-f]{5} in ring 3$"

    def nmis(qmp):
        text, nr = qmp.wait_for("^ring 3:"), 0
        while nr < 20 or not re.search(in_ring_3, text, re.MULTILINE):
            nr += 1
            qmp("inject-nmi")
            text = qmp.wait_for("NMI in thread", times=nr)

    run = user("fpu", 3000, line=f"{QUIET} user=fpu seed=8 user_arg=3000", talk=nmis)
    assert run.passed, run.story()
    run.says(in_ring_3, r" 0 found a register changed$")


def test_counted(user):
    """Under icount, QEMU runs one CPU at a time, and changes it by work done, not by time."""
    run = user("abi", icount=True, cpus=2)
    assert run.passed and run.has("^abi: 0 surprises$"), run.story()
