# SPDX-License-Identifier: MIT
"""The grader's layer that boots: a right submission, a wrong one, and one that powers the machine
off with success."""
import pytest

import labs
import test_grade

pytestmark = pytest.mark.long
LAB = "6"
FUNCTION = "int isolate_range("


def graded(folder, **more):
    return test_grade.graded(folder, lab=LAB, only="kernel", kernel=True, **more)


@pytest.mark.full
def test_reference_passes(tmp_path):
    one = graded(tmp_path)
    assert one.results and test_grade.lost(one) == []


def test_wrong_submission_fails(tmp_path):
    one = graded(tmp_path, name="steals_isolation")
    bad = [r for r in one.results if r.verdict == "FAIL"]
    assert bad and all(r.why for r in bad)


def test_powering_off_is_not_allowed(tmp_path):
    text = labs.read("mm/hotplug/page_isolation.c")
    at = text.index(FUNCTION)
    before = "void machine_power_off(bool ok);\n"
    end = text.index("\n{\n", at) + 3
    text = text[:at] + before + text[at:end] + "\tmachine_power_off(true);\n" + text[end:]
    one = graded(tmp_path, text={"mm/hotplug/page_isolation.c": text})
    assert one.points() == 0
    assert "uses machine_power_off" in one.results[0].why
