# SPDX-License-Identifier: MIT
"""The variables of make's targets, as typed: tools/run/args.mk."""
import os
import re

import pytest
import qemu

BOOTS = "single"  # no test boots


@pytest.mark.parametrize(
    "goal, variables, says",
    [
        ("labs-check", {"SUITE": 6}, "SUITE=6: make labs-check does not take SUITE; it takes LAB "),
        ("labs-check", {"LAB": 6, "ONLY": 7}, "LAB=6 ONLY=7: wanted one of them; ONLY=6 is all"),
        ("labs-check", {"LAB": 66}, "66: wanted LAB or LAB.NAME; the labs are 0 1 2 "),
        ("labs-sure", {"MATRIX": 1}, "MATRIX=1: make labs-sure does not take MATRIX; it takes "),
        ("labs-sure", {"PAIRS": "foo"}, "--pairs: invalid choice: 'foo'"),
        ("labs-sure", {"LAB": "2.nosuch"}, "2.nosuch: wanted LAB or LAB.NAME; the labs are "),
        ("labs", {"LAB": 2}, "LAB=2: make labs does not take LAB; it takes no variable"),
        ("grade", {"REPEAT": 2, "LAB": 2}, "REPEAT=2: make grade does not take REPEAT; it takes "),
        ("lint", {"CHECK": "facts"}, "CHECK=facts: make lint does not take CHECK; it takes ONLY"),
        ("run", {"CPU": 2}, "CPU=2: make run does not take CPU; it takes CPUS MEM NODES "),
        ("race", {"NAME": "R-S1", "REPEAT": 0}, "error: --repeat (REPEAT=) is at least 1"),
        ("clean", {"CMDLINE": "a b"}, "CMDLINE=a b: make clean does not take CMDLINE; "),
    ],
)
def test_variables_are_not_ignored(make, goal, variables, says):
    status, out = make(goal, **variables)
    assert status != 0 and says in out, out


def test_one_test_of_a_grade_is_named_shortly(make):
    for variables, words in (
        ({"TEST": "drain.x", "SUB": "a"}, ["--test 'drain.x'", "'5' 'a'"]),
        ({"SET": "free-disable", "GDB": 1}, ["--only 'explorer.free-disable'", "--gdb"]),
    ):
        status, out = make("-n", "grade", LAB=5, **variables)
        assert status == 0 and all(word in out for word in words), out


def test_a_lab_may_be_named_by_either_variable(make):
    for variables in ({"LAB": 2}, {"ONLY": 2}):
        status, out = make("-n", "labs-check", **variables)
        assert status == 0 and "--only '2'" in out, out


def test_help_fits_a_terminal(make):
    """With ALL=1 it has all targets and variables."""
    status, out = make("help")
    lines = out.split("\n")[:-1]
    assert status == 0 and 10 < len(lines) <= 22 and max(map(len, lines)) <= 80, out
    assert "make run" in lines[0] and "make help ALL=1" in lines[-1], out
    status, out = make("help", ALL=1)
    with open(os.path.join(qemu.ROOT, "tools/run/help.txt"), encoding="utf-8") as file:
        assert status == 0 and out == file.read(), out


def test_what_help_documents_is_taken(make):
    with open(os.path.join(qemu.ROOT, "tools/run/help.txt"), encoding="utf-8") as file:
        targets = file.read().split("\n\n")[0]
    rows = re.findall(r"^  ([a-z][\w.-]*) +(.*(?:\n {8,}.*)*)", targets, re.MULTILINE)
    assert len(rows) > 30
    with open(os.path.join(qemu.ROOT, "tools/run/args.mk"), encoding="utf-8") as file:
        takes = dict(re.findall(r"^TAKES_(\S+) *:= *(.*)$", file.read(), re.MULTILINE))
    for target, text in rows:
        documented = set(re.findall(r"\b([A-Z]+)=", text))
        words = takes.get(target, "")
        words = re.sub(r"\$\(TAKES_(\w+)\)", lambda m: takes[m[1]], words)
        assert documented <= set(words.split()) or target not in takes, (target, documented)
    for value in ("-vga none", "a=b c=d $$x"):
        status, out = make("-n", "run", QEMU_FLAGS=value)
        assert status == 0 and "does not take" not in out, out
