# SPDX-License-Identifier: MIT
"""The timers that calibrate the clock.  Under icount an instruction takes 1 ns, so the right
figures are known."""
import re

import pytest

ASSUMED = "clock: no timer to measure by, 1 GHz assumed\n"


@pytest.mark.parametrize(
    "machine, assumed",
    [
        ("q35", False),  # the power management timer
        ("pc,acpi=off", False),  # the interval timer: no tables, so no other timer is known
        ("microvm,acpi=off", True),  # neither timer can be read
    ],
)
def test_frequencies(boot, machine, assumed):
    run = boot("selftest=none", machine=machine, cpus=1, icount=True)
    assert run.passed, run.story()
    assert re.search(
        r"^clock: TSC (999|1000) MHz, not invariant; APIC timer (999|1000) MHz$", run.text, re.M
    ), run.story()
    assert (ASSUMED in run.text) == assumed, run.story()


def test_assumed_rate_is_said_at_the_prompt(boot):
    """A machine without any timer of a known rate."""

    def look(qmp):
        qmp.wait_for("^clock: its rate was assumed")
        qmp("quit")

    run = boot(
        "selftest=none",
        machine="microvm,pit=off,pic=off,rtc=off",
        cpus=2,
        monitor="on",
        talk=look,
    )
    assert ASSUMED in run.text and run.has("^quarry: PASS$"), run.story()
