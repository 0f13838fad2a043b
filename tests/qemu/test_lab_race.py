# SPDX-License-Identifier: MIT
"""Lab R: what the grader says of a set and of a script that show nothing (tools/grade/lab_race.py).
labs-check grades whole submissions."""
import os

import pytest

import lab_race
import labs
import skeleton
import submission
from grade_layers import Result

OPERATIONS = "drain=0 | drain=0"


def tree(folder, path, text):
    os.makedirs(folder / "labs" / "R", exist_ok=True)
    (folder / path).write_bytes(text.encode())
    return str(folder)


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "no line `set:"),
        ("set: drain=0; drain=0\n", "two roles or more"),
        (f"explore: {OPERATIONS}\n", "no setup: and no set:"),
        (f"set: {OPERATIONS}{' ' * 400}\n", "more than 400 characters"),
        (f"set: {OPERATIONS} \x1b[31m\n", "not plain ASCII"),
    ],
)
def test_a_set_without_its_form_is_refused(tmp_path, text, said):
    with pytest.raises(lab_race.Unfit, match=said):
        lab_race.read_set(tree(tmp_path, lab_race.SET_FILE, text))


def test_a_set_may_lack_its_setup_and_end_lines_as_on_other_systems(tmp_path):
    folder = tree(tmp_path, lab_race.SET_FILE, f"set: {OPERATIONS}\r\n")
    assert lab_race.read_set(folder) == ("A:scene", OPERATIONS)


@pytest.mark.parametrize("last", ["OK", "MISSED(A)", "COUNT(drain.mask_begin)", "WRONG", ""])
def test_a_script_must_end_with_a_failure(tmp_path, last):
    text = labs.read(lab_race.SCRIPT_FILE)
    assert lab_race.read_script(None) == (text, "WRONG(A)")
    changed = text.replace("WRONG(A)", last)
    with pytest.raises(lab_race.Unfit, match="must name a failure"):
        lab_race.read_script(tree(tmp_path, lab_race.SCRIPT_FILE, changed))
    with pytest.raises(lab_race.Unfit, match="one script"):
        lab_race.read_script(tree(tmp_path, lab_race.SCRIPT_FILE, text + text))


def test_a_fix_that_breaks_another_promise_does_not_hold():
    for verdict, want in (("PASS", "PASS"), ("HANG", "FAIL")):
        found = [Result("race", lab_race.FIX, "PASS"), Result("explorer", "drain-empty", verdict)]
        lab_race.joined(found)
        assert found[0].verdict == want


def test_the_reference_is_in_no_students_tree():
    """Of any lab: the files of lab R are there as students get them."""
    for name, one in labs.labs().items():
        given = {**dict(skeleton.texts(one)), **skeleton.texts_to_come(one)}
        for path, text in lab_race.HANDED.items():
            assert given[path] == text != labs.read(path), name
    later = skeleton.texts_to_come(labs.lab("4"))["mm/core/drain.c"]
    assert later == dict(skeleton.texts(labs.lab("5")))["mm/core/drain.c"]
    assert "mm/core/drain.c" not in skeleton.texts_to_come(labs.lab("6"))


def test_a_submission_may_be_a_text():
    text = submission.texts("R", "three_roles")[lab_race.SET_FILE]
    assert text.startswith("setup: ") and "/*" not in text
