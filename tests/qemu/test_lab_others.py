# SPDX-License-Identifier: MIT
"""Labs R, 10 and P: what the grader says of a set and of a script that show nothing
(tools/grade/lab_race.py); the scale of points, and what is said of code that is not measured
(tools/grade/lab_perf.py); a student's pager in ring 3, judged by the tasks that use its pages.
labs-check grades whole submissions."""
import os
import types

import pytest

import lab_kernel
import lab_perf
import lab_race
import labs
import labs_check
import skeleton
import submission
from grade_layers import Result
from lab_trees import BUILD

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


# ---- lab P ---------------------------------------------------------------------------------------
PATH = "user/pager.c"


def judged(folder, text):
    """({test: (verdict, why)}, the run) of a pager with the source @text."""
    path = os.path.join(str(folder), PATH)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    user = lab_kernel.User(labs.lab("P"), BUILD)
    made = user.program(str(folder), "test")
    assert user.said == "", "a warning"
    run = lab_kernel.boot_user(made)
    return {name: (verdict, why) for name, verdict, why, _ in lab_kernel.verdicts(run)}, run


def test_every_test_is_listed():
    assert len(labs.program_tests()) == 11
    text = labs.read(labs.PROGRAM_TEST)
    assert all(f"static void {name}(void)" in text for name in labs.program_tests())


def test_the_emptied_pager_fails_every_test(tmp_path):
    text = dict(skeleton.texts(labs.lab("P")))[PATH]
    got, run = judged(tmp_path, text)
    assert {verdict for verdict, _ in got.values()} == {"FAIL"}, run.story()
    assert run.failed and run.has("^pager: # lab: main is not written yet$"), run.story()


def test_the_reference_has_all_points(tmp_path):
    submission.write("P", "reference", str(tmp_path))
    one = labs_check.graded("P", str(tmp_path), BUILD)
    assert labs_check.lost(one) == [] and one.points() == 100


def test_a_pager_that_prints_is_not_believed(tmp_path):
    """Each line of the console has the name of the task that wrote it."""
    says = "".join(f'printf("\\npager_test: ok {name}\\n");' for name in labs.program_tests())
    text = labs.read(PATH).replace("\tpages = arg0;\n", "\t" + says + "\n\treturn 0;\n", 1)
    got, run = judged(tmp_path, text)
    assert {verdict for verdict, _ in got.values()} == {"FAIL"}, run.story()
