# SPDX-License-Identifier: MIT
"""The variables of the labs' targets, as typed."""
import pytest

BOOTS = "single"  # none boots


@pytest.mark.parametrize(
    "goal, variables, says",
    [
        ("labs-check", {"SUITE": 6}, "SUITE=6: make labs-check does not take SUITE; it takes LAB "),
        ("labs-check", {"LAB": 6, "ONLY": 7}, "LAB=6 ONLY=7: wanted one of them; ONLY=6 is all"),
        ("labs-check", {"LAB": 66}, "66: wanted LAB or LAB.NAME; the labs are 0 1 2 "),
        ("labs-sure", {"MATRIX": 1}, "MATRIX=1: make labs-sure does not take MATRIX; it takes "),
        ("labs-sure", {"LAB": "2.nosuch"}, "2.nosuch: wanted LAB or LAB.NAME; the labs are "),
        ("labs", {"LAB": 2}, "LAB=2: make labs does not take LAB; it takes no variable"),
        ("grade", {"REPEAT": 2, "LAB": 2}, "REPEAT=2: make grade does not take REPEAT; it takes "),
    ],
)
def test_variables_are_not_ignored(make, goal, variables, says):
    status, out = make(goal, **variables)
    assert status != 0 and says in out, out


def test_one_test_of_a_grade_is_named_shortly(make):
    for variables, words in (
        ({"TEST": "drain.x", "SUB": "a"}, ["--only 'contract.drain.x,cost.drain.x'", "'5' 'a'"]),
        ({"SET": "free-disable", "GDB": 1}, ["--only 'explorer.free-disable'", "--gdb"]),
    ):
        status, out = make("-n", "grade", LAB=5, **variables)
        assert status == 0 and all(word in out for word in words), out


def test_a_lab_may_be_named_by_either_variable(make):
    for variables in ({"LAB": 2}, {"ONLY": 2}):
        status, out = make("-n", "labs-check", **variables)
        assert status == 0 and "--only '2'" in out, out
