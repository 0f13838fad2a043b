# SPDX-License-Identifier: MIT
"""The report of an exception that ends the machine, line by line, for about a second each."""
import re

import pytest

import qemu

WORD = "[0-9a-f]{16}"
REGISTERS = (
    [rf"rip {WORD} cs 0008 rflags [0-9a-f]{{8}} rsp {WORD} ss (0000|0010)"]
    + [
        " ".join(rf"{name:3} {WORD}" for name in names.split())
        for names in ("rax rbx rcx rdx", "rsi rdi rbp r8", "r9 r10 r11 r12")
    ]
    + [rf"r13 {WORD} r14 {WORD} r15 {WORD} error [0-9a-f]+"]
)
BANK = rf"  bank \d+: status {WORD} address 0{{16}} misc 0{{16}}: "
# {fault: (number and name of its exception, thread, lines between the first line and the
# registers, place, reason)}
EXCEPTIONS = {
    "null": (
        "14",
        "page fault",
        "main",
        [
            "page fault: write of 0{14}10 by the kernel: not mapped",
            "null pointer, or a member of one",
        ],
        "write_to_null",
        "",
    ),
    "nulls": (
        "14",
        "page fault",
        r"(?:main|second)",
        [
            "page fault: write of 0{14}10 by the kernel: not mapped",
            "null pointer, or a member of one",
        ],
        r"write_\w+",
        "",
    ),
    "printk": ("13", "general protection", "main", [], r"[\w.]+", ""),
    "overflow": (
        "8",
        "double fault",
        "deep",
        ["guard page: kernel stack overflow"],
        "push_for_ever",
        "",
    ),
    "mce": (
        "18",
        "machine check",
        "main",
        [
            r"CPU 0: MCG_CAP 0x[0-9a-f]+, MCG_STATUS 0x1 RIPV",
            BANK + r"VAL UC EN PCC code 0x0000 no error",
        ]
        + [BANK + "code 0x0000 no error"] * 9,
        "mce_inject",
        r": the processor's state is corrupt \(PCC\)",
    ),
}


@pytest.mark.parametrize("fault", sorted(EXCEPTIONS))
def test_report(boot, fault):
    """One CPU reports, and makes the other CPU print its own backtrace. If both fault at the same
    time, the first reports."""
    number, name, thread, more, where, why = EXCEPTIONS[fault]
    run = boot(f"selftest=none fault={fault}", tour=None, cpus=2, icount=fault != "nulls")
    assert run.status == qemu.FAIL_STATUS and "the machine continues" not in run.text, run.story(80)
    lines = (
        [rf"CPU \d: exception {number}, {name}, in thread {thread}"]
        + more
        + REGISTERS
        + [
            rf"cr2 {'0{14}10' if 'null' in fault else WORD} cr3 {WORD}",
            rf"  {WORD} {where}\+0x[0-9a-f]+",
        ]
    )
    found = re.search("^" + r"\n".join(lines) + "$", run.text, re.M)
    assert found, run.story(80)
    end = rf"^PANIC on CPU \d, thread {thread}: exception {number}: {name}{why}$"
    assert re.search(end, run.text[found.end() :], re.M), run.story(80)
    for once in (": exception ", "guard page: ", "null pointer", "PANIC", "NMI in thread"):
        assert run.text.count(once) <= 1 + (
            once == ": exception "
        ), f"{once!r} again\n{run.story(80)}"
    # Under icount the other CPU has time to answer.
    answered = (
        run.has(r"^CPU \d \(APIC id \d\): asked, NMI in thread ")
        and "does not answer" not in run.text
    )
    assert answered or fault == "nulls", run.story(80)
