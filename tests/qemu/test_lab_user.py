# SPDX-License-Identifier: MIT
"""Lab P: a student's pager in ring 3, judged by the tasks that use its pages."""
import os

import pytest

import conftest
import labs_check
import lab_kernel
import labs
import skeleton
import submission

ROOT = labs.ROOT
BUILD = os.path.join(ROOT, os.environ.get("QUARRY_BUILD", "build"))
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
    assert len(labs.program_tests()) == 9
    text = labs.read(labs.PROGRAM_TEST)
    assert all(f"static void {name}(void)" in text for name in labs.program_tests())


@pytest.mark.full
def test_the_reference_passes(tmp_path):
    got, run = judged(tmp_path, labs.read(PATH))
    assert {verdict for verdict, _ in got.values()} == {"PASS"}, run.story()
    assert run.passed, run.story()


def test_the_emptied_pager_fails_every_test(tmp_path):
    text = dict(skeleton.texts(labs.lab("P")))[PATH]
    got, run = judged(tmp_path, text)
    assert {verdict for verdict, _ in got.values()} == {"FAIL"}, run.story()
    assert run.failed and run.has("^pager: # lab: main is not written yet$"), run.story()


EVERY_DAY = "done_without_taking"


@pytest.mark.full
@pytest.mark.parametrize(
    "name", [n if n == EVERY_DAY else conftest.full(n) for n in submission.names("wrong", "P")]
)
def test_wrong_pagers_lose_points(name, tmp_path):
    submission.write("P", name, str(tmp_path))
    one = labs_check.graded("P", str(tmp_path), BUILD)
    lost = labs_check.lost(one)
    assert lost and one.points() < 100
    assert all(r.layer == "kernel" and r.why for r in lost)


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
