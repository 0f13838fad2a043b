# SPDX-License-Identifier: MIT
"""Wrong options are reported by name, and the boot continues."""
import re

import pytest
import suites


def test_shortest_ipi_timeout_boots(passes):
    passes("selftest=buddy ipi_timeout=200")


@pytest.mark.parametrize("path", ["pvh", "grub"])
def test_long(boot, path):
    """A line of 4000 bytes arrives whole: of several seeds the last one counts."""
    words = "selftest=buddy monitor=off tour=off"
    filler = " seed=1" * ((4000 - len(words) - 20) // 7)
    line = (words + filler + " seed=0x600df00d").ljust(4000)
    run = boot(line.strip(), boot=path, tour=None, monitor=None)
    assert run.passed, run.story()
    run.says(r"\(seed 0x600df00d\)")


def test_too_long(boot):
    """A line that is too long is truncated, with a message.  (With PVH, QEMU itself fails beyond
    4095 bytes.)"""
    run = boot(
        "selftest=buddy monitor=off tour=off" + " seed=1" * 900, boot="grub", tour=None,
        monitor=None,
    )
    assert run.passed, run.story()
    run.says(r"command line: too long")


@pytest.mark.parametrize(
    "line",
    [
        "= == =x x= selftest=buddy",
        "selftest",
        "\t selftest=buddy   seed=3\t",
        "seed=1 seed=2 selftest=buddy",
        "%s%n%d \x7f \x01 selftest=buddy",
        "a" * 1000 + " selftest=buddy",
    ],
    ids=["equals", "no_value", "blanks", "twice", "binary", "long_word"],
)
def test_odd(boot, line):
    run = boot(line)
    assert run.passed or run.failed, run.story()


@pytest.mark.long
def test_empty(boot):
    """Without options for selftests, the kernel takes selftest=quick and report=short."""
    run = boot("", threads="single", ktap=False)
    assert run.passed, run.story()
    run.says(r"^ok 1 ", "^# selftest=quick left out ")
    assert "# begin" not in run.text and not run.has("^  ok "), run.story()


def test_unknown_suite(boot):
    run = boot("selftest=nosuchsuite")
    assert run.failed, run.story()
    run.says('no suite or test "nosuchsuite"', r"^selftest: known:.*\bsmp\b")


def test_unknown_group_of_figures(boot):
    """It is named, and nothing is measured."""
    run = boot("selftest=none bench=memmap,nosuch,pairs", tour=None)
    assert run.failed, run.story()
    run.says(r'^bench: no group "nosuch"; known: all memmap pairs ')
    assert not run.has("^bench: memmap_bytes_per_page"), run.story()


@pytest.mark.full
def test_all_figures(passes):
    """`all`, also beside a group: the figures that every machine can measure, and that group's."""
    run = passes("selftest=none bench=contig,all", tour=None, mem=1024)
    for figure in ("memmap_bytes_per_page", "order0_pair", "check_memory_page", "alloc_contig_2m"):
        run.says(rf"^bench: {figure}")
    assert not run.has("could not be measured|act 1"), run.story()


def test_one_test(passes):
    """SUITE.TEST selects only that test; numbers and plan are those of the selected tests."""
    run = passes("selftest=buddy.pageblocks_do_not_merge,zone.isolated_pages_do_not_count")
    run.says(
        r"^  1\.\.1\n  # begin buddy.pageblocks_do_not_merge\n  ok 1 pageblocks_do_not_merge "
        r"# \d+ ms\nok 1 buddy +# 1 test, \d+ ms$"
    )
    run.says(r"^# selftest: 2 suites, 2 tests, 0 failed")


def test_tests_of_one_tag(passes):
    """The tests that the sources tag as cost run, and no others; hosted ones are left out."""
    run = passes("selftest=cost")
    begun = set(re.findall(r"^  # begin (\S+)$", run.text, re.MULTILINE))
    tagged = {
        f"{name}.{test}"
        for name, suite in suites.suites().items()
        for test, tag in suite.tests.items()
        if tag == "cost"
    }
    assert len(begun) > 40 and begun <= tagged, (begun - tagged, run.story())


@pytest.mark.parametrize(
    "name",
    ["buddy.nosuchtest", "buddy.", "buddy.pageblocks_do_not", "nosuch.pageblocks_do_not_merge"],
)
def test_unknown_test(boot, name):
    run = boot(f"selftest=zone,{name}")
    assert run.failed, run.story()
    assert f'no suite or test "{name}"' in run.text and "ok 1" not in run.text, run.story()


@pytest.mark.long
def test_all_suites(passes):
    run = passes("selftest=all", mem=1024)
    passed, _, _, _ = run.ktap()
    assert passed >= 19, run.story()


@pytest.mark.long
def test_failing_selftest(boot):
    """A failed selftest is seen outside: all tests of this directory rely on that."""
    run = boot("selftest=fail")
    assert run.failed, run.story()
    run.says(r"^  not ok \d+ fails_as_it_should", r"^not ok \d+ fail +# 2 tests, 2 failed, \d+ ms$")
    run.says(r"slab 128: \d+ before the test, \d+ after it", r"^  not ok \d+ leaves_memory_behind")
