# SPDX-License-Identifier: MIT
"""Command lines that are wrong are reported by name, and the boot goes on."""
import pytest


def test_unknown_option(passes):
    run = passes("selftest=smp nosuchthing=1 alsonot")
    assert run.has(r'no option "nosuchthing"') and run.has(r'no option "alsonot"'), run.story()
    for known in ("selftest", "seed", "isolation", "movable", "trace", "monitor", "ipi_timeout", "badpage"):
        assert run.has(rf"^  {known} "), f"{known} is not in the list\n{run.story()}"


@pytest.mark.parametrize("word", ["seed=twelve", "seed=", "seed=0x", "seed=99999999999999999999999", "seed=-1",
                                  "movable=101%", "movable=half", "movable=%", "movable=", "isolation=maybe",
                                  "isolation=", "ipi_timeout=soon", "badpage=ignore", "tour=perhaps", "monitor=1"])
def test_malformed_value(boot, word):
    known = word.split("=")[0]
    run = boot(f"selftest=smp {word}", tour=None if known == "tour" else "off",
               monitor=None if known == "monitor" else "off",
               **({"timeout": 20} if known == "monitor" else {}))
    assert run.has(r"command line: .*\b" + known), run.story()
    assert run.has(r"malformed"), run.story()
    if known != "monitor":  # a kernel that took it for "on" waits at its prompt, as it should
        assert run.passed, run.story()


@pytest.mark.parametrize("path", ["pvh", "grub"])
def test_long(boot, path):
    """4000 bytes arrive whole: the last word counts."""
    words = "selftest=smp monitor=off tour=off"
    filler = " seed=1" * ((4000 - len(words) - 20) // 7)
    line = (words + filler + " seed=0x600df00d").ljust(4000)
    run = boot(line.strip(), boot=path, tour=None, monitor=None)
    assert run.passed, run.story()
    assert run.has(r"\(seed 0x600df00d\)"), run.story()


def test_too_long(boot):
    """What does not fit is cut off, and that is said."""
    run = boot("selftest=smp monitor=off tour=off" + " seed=1" * 900, tour=None, monitor=None)
    assert run.passed, run.story()
    assert run.has(r"command line: too long"), run.story()


@pytest.mark.parametrize("line", ["= == =x x=", "selftest", "\t selftest=smp   seed=3\t", "seed=1 seed=2 selftest=smp",
                                  "%s%n%d \x7f \x01", "a" * 1000])
def test_odd(boot, line):
    run = boot(line)
    assert run.passed or run.failed, run.story()


def test_empty(passes):
    """No command line at all: selftest=quick, as documented."""
    run = passes("")
    assert run.has(r"^ok 1 "), run.story()


def test_unknown_suite(boot):
    run = boot("selftest=nosuchsuite")
    assert run.failed, run.story()
    assert run.has(r'no suite "nosuchsuite"; known: .*\bsmp\b'), run.story()


def test_all_suites(passes):
    run = passes("selftest=all", timeout=240, mem=1024)
    passed, _, _, _ = run.ktap()
    assert passed >= 19, run.story()


def test_failing_selftest(boot):
    """What all of this stands on: a failed test is seen outside."""
    run = boot("selftest=fail")
    assert run.failed, run.story()
    assert run.has(r"^  not ok \d+ fails_as_it_should") and run.has(r"^not ok \d+ fail$"), run.story()
