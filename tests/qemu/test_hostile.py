# SPDX-License-Identifier: MIT
"""user/hostile.c: what a program tries against the kernel and against others, and what must come of it."""
import re

import pytest

MODELS = ["qemu64", "Haswell", "max"]
# What the kernel says of cases that end their task, where it tells more than that a fault ended it.
SAYS = {
    "ldt.low_memory_is_read": r"page fault: read of 0000000000001000: not mapped",
}
# QEMU takes what a far return reads from the stack for an access of ring 0, which SMAP forbids.
FAR_RETURN = r"general protection|page fault: read of 00007fffffff\w{4} by the CPU itself"
for case in ("code_segment_is_returned_to", "kernel_code_is_returned_to"):
    SAYS[f"ldt.{case}"] = FAR_RETURN
# Of the subject of descriptors all else is refused by the processor, without a look at any memory.
GENERAL_PROTECTION = "general protection"


@pytest.mark.parametrize("cpu", MODELS)
def test_hostile(boot, cpu):
    """Every case ends as it must, on a machine without SMEP and SMAP, with SMEP, and with both."""
    run = boot("selftest=none user=hostile", cpu=cpu, programs=True, mem=256, timeout=600)
    assert run.passed, run.story()
    cases = re.findall(r"^hostile: (ok|not ok) (\w+)\.(\w+) ", run.text, re.M)
    assert len(cases) >= 24 and all(ok == "ok" for ok, _, _ in cases), run.story()
    assert run.has(rf"^hostile: {len(cases)} cases of seed \d+, 0 not as they must$"), run.story()
    # The report of a fault comes before the line of its case.
    reports = re.findall(r"^task \d+ hostile: ([^\n]*)\n(?:  [^\n]*\n)*hostile: ok (\S+) faulted", run.text, re.M)
    said = {name: what for what, name in reports}
    assert len(said) == len(re.findall(r"^hostile: ok \S+ faulted", run.text, re.M)), run.story()
    for name, what in said.items():
        want = SAYS.get(name, GENERAL_PROTECTION if name.startswith("ldt.") else ".*")
        assert re.fullmatch(want, what), f"{name}: {what!r}, not {want!r}\n{run.story()}"
