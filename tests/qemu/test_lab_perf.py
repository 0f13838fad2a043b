# SPDX-License-Identifier: MIT
"""Lab 10: the scale of points, and what is said of code that is not measured
(tools/grade/lab_perf.py).  labs-check grades whole submissions."""
import types

import pytest

import lab_perf
import labs
from grade_layers import Result


@pytest.mark.parametrize(
    "ratio, part", [(0.5, 1), (1.05, 1), (1.2875, 0.75), (1.525, 0.5), (2.0, 0), (9.0, 0)]
)
def test_the_points_fall_evenly_from_105_to_200_percent(ratio, part):
    assert lab_perf.part(ratio) == pytest.approx(part)
    found = lab_perf.result(lab_perf.INSTRUCTIONS, 80 * ratio, 80, ["40.0 of them in buddy_free"])
    assert found.gained() == pytest.approx(part)
    assert found.verdict == ("PASS" if part == 1 else "FAIL")
    assert f"so {ratio:.2f} times as many: {100 * part:.0f} %" in found.why


def test_nothing_is_measured_after_a_failure():
    bad = [Result("contract", "buddy.pageblocks_do_not_merge", "FAIL")]
    grade = types.SimpleNamespace(results=bad)
    found = lab_perf.results(grade, list(lab_perf.TESTS), "none")
    assert [(r.verdict, r.gained()) for r in found] == [("SKIP", 0)] * 2
    assert "contract.buddy.pageblocks_do_not_merge failed" in found[0].why


def test_one_lab_has_a_trace():
    assert [name for name, one in labs.labs().items() if lab_perf.tests(one)] == ["10"]
