# SPDX-License-Identifier: MIT
"""tests/hostile/hostile.c: attacks of a program on the kernel and on other tasks, and the expected
results."""
import re

import conftest
import pytest

MODELS = [*map(conftest.full, ["qemu64", "Haswell"]), "max"]
# {case: the kernel's message about the fault that ends its task}
SAYS = {
    "ldt.low_memory_is_read": r"page fault: read of 0000000000001000: not mapped",
    "regs.gs_base_is_written": "invalid opcode",
    "regs.fs_base_is_read": "invalid opcode",
    "regs.gs_leads_to_the_first_page": r"page fault: read of 0000000000000000: not mapped",
    "regs.a_call_is_stepped_through": "debug",
}
# QEMU takes the stack reads of a far return, or of IRET, for accesses of ring 0, which SMAP
# forbids.
FAR_RETURN = r"general protection|page fault: read of 00007fffffff\w{4} by the CPU itself"
for case in (
    "ldt.code_segment_is_returned_to",
    "ldt.kernel_code_is_returned_to",
    "regs.interrupt_returns_to_the_kernel",
):
    SAYS[case] = FAR_RETURN
# In all other cases of these subjects the processor raises a fault without reading memory.
REFUSED = ("ldt.", "regs.")
GENERAL_PROTECTION = "general protection"


# The numbers of subjects, for user_arg=.
SCHED, OOM, PAID, RECLAIM, SERVED, GONE, DISGUISED, LATE, COSTLY = 6, 7, 8, 9, 10, 11, 12, 13, 14
IN_GUEST_TIME = [
    (RECLAIM, "reclaim", 5),
    (SERVED, "served", 2),
    (GONE, "gone", 2),
    (LATE, "late", 3),
    (COSTLY, "costly", 7),
]
DEAD, DEAD_BYTES = 240, 512  # dead tasks that a task hoards; the least bytes of each


def judge(run, least):
    """At least @least cases ended, and all as they must; returns their subjects."""
    assert run.passed, run.story()
    cases = re.findall(r"^hostile: (ok|not ok) (\w+)\.(\w+) ", run.text, re.M)
    assert len(cases) >= least and all(ok == "ok" for ok, _, _ in cases), run.story()
    run.says(rf"^hostile: {len(cases)} cases of seed \d+, 0 not as they must$")
    return [subject for _, subject, _ in cases]


@pytest.fixture
def hostile(boot):
    """hostile(subject, **machine) -> Run of the cases of a subject."""

    def run(subject, mem=64, **machine):
        words = f"selftest=none user=hostile user_arg={subject}"
        return boot(words, programs=True, mem=mem, **machine)

    return run


def test_hostile_to_the_scheduler(hostile):
    """The program measures guest time, so it runs under icount on one CPU, as in test_fair.py."""
    shift = 3 if conftest.whole() else 5  # fewer instructions in the same guest time
    run = hostile(SCHED, mem=256, cpus=1, icount=True, shift=shift)
    assert set(judge(run, 15)) == {"sched"}


def test_hostile_on_oom(hostile):
    """A task that takes all memory is killed, whatever it has hoarded before. The OOM killer's
    table shows the cost of dead tasks, and no name in it can forge a line of the kernel's."""
    run = hostile(OOM)
    assert set(judge(run, 12)) == {"oom"}
    kernel = [int(n) for n in re.findall(r"^oom:.* (\d+)  the most: killed", run.text, re.M)]
    assert kernel[-1] >= kernel[-2] + DEAD * DEAD_BYTES // 4096, run.story()
    assert not run.has("^kernel: forged"), run.story()


@pytest.mark.parametrize("subject, name, least", IN_GUEST_TIME)
def test_hostile_in_guest_time(hostile, subject, name, least):
    """Whatever pagers do, a task that takes all memory is killed in time, and no other task is
    killed. A killed task ends in any system call. A good pager's page comes in time."""
    run = hostile(subject, cpus=1, icount=True, shift=3)
    assert set(judge(run, least)) == {name}


@pytest.mark.parametrize("cpus", [1, *map(conftest.full, [2, 4])])
@pytest.mark.parametrize("subject, name, least", [(PAID, "paid", 5), (DISGUISED, "disguised", 7)])
def test_hostile_that_hide_what_they_take(hostile, subject, name, least, cpus):
    """The task that has created an object pays for its pages, whichever task they serve."""
    assert set(judge(hostile(subject, cpus=cpus), least)) == {name}


@pytest.mark.parametrize("cpu", MODELS)
def test_hostile(boot, cpu):
    """Every case ends as it must, on a machine without SMEP and SMAP, with SMEP, and with both."""
    run = boot("selftest=none user=hostile", cpu=cpu, programs=True, mem=256)
    subjects = judge(run, 85)
    assert all(subjects.count(subject) >= 5 for subject in subjects), subjects
    # The report of a fault comes before the line of its case.
    reports = re.findall(
        r"^task \d+ hostile: ([^\n]*)\n(?:  [^\n]*\n)*hostile: ok (\S+) faulted", run.text, re.M
    )
    said = {name: what for what, name in reports}
    assert len(said) == len(re.findall(r"^hostile: ok \S+ faulted", run.text, re.M)), run.story()
    for name, what in said.items():
        want = SAYS.get(name, GENERAL_PROTECTION if name.startswith(REFUSED) else ".*")
        assert re.fullmatch(want, what), f"{name}: {what!r}, not {want!r}\n{run.story()}"
