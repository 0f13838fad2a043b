# SPDX-License-Identifier: MIT
"""The kill matrix of the labs is written and read, and mistakes in a matrix are found."""
import pytest

import grade
import lab_kills as kills
import labs
import labs_check
from grade_layers import Result


def layered():
    """A Layered of lab 2, with four tests and three solutions."""
    one = kills.Layered()
    one.tests = {"model": ["blocks", "full"], "contract": ["zone.first", "zone.second"]}
    one.rows = {
        "never_merges": {"model": ["blocks", "full"], "contract": []},
        "merges_once": {"model": ["blocks"], "contract": ["zone.first", "zone.second"]},
        "FM01": {"model": [], "contract": ["zone.second"]},
    }
    return one


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A tree whose lab 2 and whose table have the tests and solutions of layered()."""
    one = layered()
    (tmp_path / "labs").mkdir()
    (tmp_path / kills.STAYS).write_text(
        "[lab 2]\nmodel.full = a reason\ncontract.zone.first = others\n"
    )
    known = labs.labs()
    monkeypatch.setattr(labs, "ROOT", str(tmp_path))
    monkeypatch.setattr(labs, "labs", lambda: known)
    monkeypatch.setattr(kills, "wrong_of", lambda lab: list(layered().rows))
    monkeypatch.setattr(kills, "tests_of", lambda lab: layered().tests)
    kills.write({"2": one})
    return tmp_path


def test_numbers_are_ranges_and_read_back():
    names = [f"t{n}" for n in range(1, 10)]
    text = kills.numbers(["t9", "t1", "t2", "t3", "t5"], names)
    assert text == "1-3 5 9"
    assert kills.names_at(text, names) == ["t1", "t2", "t3", "t5", "t9"]
    assert kills.numbers([], names) == "" and kills.names_at("", names) == []


def test_what_is_written_is_read(tree):
    one = kills.known()["2"]
    assert one.tests == layered().tests
    assert one.rows == layered().rows


def test_a_row_that_looks_like_a_test_is_read(tree):
    one = layered()
    one.tests["model"] = [f"t{n}" for n in range(6)]
    one.rows = {"FM01": {}}
    one.rows["FM01"] = {"model": ["t0", "t2", "t3"], "contract": ["zone.second"]}
    one.tests["cost"], one.rows["FM01"]["cost"] = ["a"], ["a"]
    kills.write({"2": one})
    assert "| FM01 | 1 3-4 | 2 | 1 |" in (tree / kills.PATH).read_text()
    assert kills.known()["2"].rows["FM01"] == one.rows["FM01"]
    assert kills.known()["2"].tests == one.tests


def test_the_table_says_who_kills_alone(tree):
    text = (tree / kills.PATH).read_text()
    assert "| model | 1 blocks | 2 | merges_once |" in text
    assert "| model | 2 full | 1 | a reason |" in text
    assert "| contract | 2 zone.second | 2 | FM01 |" in text
    assert "| never_merges | 1-2 |  |" in text
    assert list(kills.faults("2")) == []


def test_what_is_new_or_gone_is_named(tree, monkeypatch):
    monkeypatch.setattr(kills, "wrong_of", lambda lab: ["merges_once", "FM01", "new_one"])
    said = "\n".join(kills.faults("2"))
    assert "new_one is not in" in said and "never_merges of" in said
    tests = {**layered().tests, "model": ["blocks", "full", "lent"]}
    monkeypatch.setattr(kills, "tests_of", lambda lab: tests)
    assert "lab 2 has other tests" in "\n".join(kills.faults("2"))


def test_a_test_that_kills_nothing_alone_needs_a_reason(tree):
    one = kills.known()["2"]
    one.rows["merges_once"]["contract"] = []
    kills.write({"2": one})
    (tree / kills.STAYS).write_text("[lab 2]\nmodel.f* = a reason\na.b = c\n")
    said = list(kills.faults("2"))
    assert not [line for line in said if "model." in line]
    assert [line for line in said if "zone.first kills nothing alone" in line]
    assert [line for line in said if "no test a.b" in line]


def test_a_reason_that_is_not_needed_is_named(tree):
    (tree / kills.STAYS).write_text(
        "[lab 2]\nmodel.* = some\nmodel.blocks = none\ncontract.zone.first = others\n"
    )
    assert list(kills.faults("2")) == [
        "labs/stays.ini, lab 2: model.blocks kills something alone, and needs no reason"
    ]


def test_an_update_keeps_what_is_not_graded(tree):
    found = kills.update(kills.known(), {"2": {"FM01": {"model": ["full"]}}})
    assert found["2"].rows["FM01"] == {"model": ["full"], "contract": []}
    assert found["2"].rows["never_merges"] == layered().rows["never_merges"]
    assert list(found["2"].rows) == list(layered().rows)


# ---- labs-check with the matrix ----


def test_a_wrong_one_is_graded_with_its_killer_first(tree, monkeypatch):
    known = kills.known()
    monkeypatch.setattr(labs_check, "layer_of", lambda lab, name: "contract")
    assert labs_check.tries("2", "merges_once", known) == ["contract.zone.first", "contract"]
    monkeypatch.setattr(labs_check, "layer_of", lambda lab, name: "")
    assert labs_check.tries("2", "FM01", known)[0] == "contract.zone.second"
    assert labs_check.tries("2", "never_merges", known)[-1] == ""
    assert labs_check.tries("2", "new_one", known) == [*labs_check.QUICK, ""]


class Graded:
    """The result of a solution."""

    def __init__(self, points, *results):
        self.results, self.all = [Result(*row) for row in results], points

    def points(self):
        return self.all


@pytest.mark.parametrize(
    "name, one, said",
    [
        ("reference", Graded(100), ""),
        ("reference", Graded(100, ("cost", "a", "FAIL")), "cost.a FAIL"),
        ("asks_all", Graded(100, ("cost", "a", "FAIL")), ""),
        ("asks_all", Graded(90, ("model", "a", "HANG")), "model.a HANG"),
        ("empty", Graded(0, ("model", "a", "FAIL"), ("model", "free", "PASS")), ""),
        ("empty", Graded(3.1, ("model", "free", "PASS")), "it has 3.1 points"),
        ("empty", Graded(0, ("model", "free", "FAIL")), "it does not pass model.free"),
        ("empty", Graded(0, ("model", "b", "PASS"), ("model", "free", "PASS")), "passes model.b"),
        ("depth_after_round", Graded(90, ("explorer", "a", "FAIL")), ""),
        ("depth_after_round", Graded(90, ("model", "a", "FAIL")), "no point in the layer explorer"),
        ("D02", Graded(90, ("model", "a", "FAIL")), ""),
        ("D02", Graded(100), "it has all points"),
        ("D02", Graded(0, ("build", "a", "FAIL")), "it does not build"),
    ],
)
def test_what_is_said_of_a_verdict(monkeypatch, name, one, said):
    monkeypatch.setattr(grade, "worthless", lambda lab: {"model.free"})
    found = labs_check.judge("5", name, one)
    assert said in found and bool(found) == bool(said)
