# SPDX-License-Identifier: MIT
"""results.json by the documented interface of Gradescope, and the archive that is uploaded."""
import json
import os
import re
import subprocess
import sys
import zipfile

import pytest

import grade
import grade_report
import lab_kernel
import gradescope
import labs
import outer_make
import submission
from test_grade import unbuilt

BUILD = os.environ.get("QUARRY_BUILD", "build")
LAB = "1"  # the lab that is graded in the least time
# The documented fields, of the file and of a test.
FIELDS = "score execution_time output visibility stdout_visibility extra_data tests leaderboard"
OF_TEST = "score max_score status name number output tags visibility extra_data"


def checked(result):
    """Check what the interface says, and return the entries by their names."""
    assert set(result) <= set(FIELDS.split())
    for test in result["tests"]:
        assert set(test) <= set(OF_TEST.split()) and 0 <= test["score"] <= test["max_score"]
        assert test["status"] in ("passed", "failed")
    for row in result.get("leaderboard", []):
        assert set(row) <= {"name", "value", "order"}
    tests = {test["name"]: test for test in result["tests"]}
    assert len(tests) == len(result["tests"])
    return tests


def file_of(one):
    one.args.kernel, one.args.plan = False, ""
    return json.loads(json.dumps(grade_report.as_gradescope(one)))


@pytest.mark.parametrize("lab", [lab for lab in labs.labs() if lab != "P"])
@pytest.mark.parametrize("fails", ([], ["model"], ["contract", "contract"]))
def test_the_entries_add_up(lab, fails):
    one = unbuilt(lab, fails)
    result = file_of(one)
    tests = checked(result)
    assert set(tests) == {f"{layer}.{n}" for layer, names in one.layers().items() for n in names}
    assert round(sum(test["max_score"] for test in tests.values()), 2) == 100
    assert abs(sum(test["score"] for test in tests.values()) - one.points()) < 0.1
    assert result["score"] == one.points() and result["leaderboard"][0]["value"] == one.points()
    # A test of cost, or one that the empty tree passes, gives no points.
    assert all(not t["max_score"] for name, t in tests.items() if name.startswith("cost."))
    assert all(not tests[name]["max_score"] for name in one.worthless)


def test_what_was_not_graded_says_why():
    one = unbuilt(LAB)
    one.results = [grade.Result("build", "compile", "FAIL", "free_map.c:3: error: no ;")]
    result = file_of(one)
    tests = checked(result)
    assert result["score"] == 0 and "not graded: free_map.c:3: error" in result["output"]
    assert {test["output"] for test in tests.values()} == {"not run"}
    assert round(sum(test["max_score"] for test in tests.values()), 2) == 100


def test_instructions_are_on_the_leaderboard():
    one = unbuilt("4")
    one.board = {"instructions": 64.5, "reference": 60.0, "ratio": 1.075}
    board = {row["name"]: row for row in file_of(one)["leaderboard"]}
    row = board["instructions per event of a trace"]
    assert (row["value"], row["order"]) == (64.5, "asc")
    assert board["ratio to the reference"]["value"] == 1.075


def test_the_figures_are_of_the_students_kernel_and_of_the_references(monkeypatch):
    line = "  56.9 cycles (instructions under icount) per event in the allocator; 3 ms in all"
    assert lab_kernel.FIGURE.search(f"trace short.trace: 9 events\n{line}\n").group(1) == "56.9"
    unit = re.search(r'clock_tsc = \{arch_tsc, "(.*)"\}', labs.read("demo/trace_boot.c")).group(1)
    assert f" {unit} per event in the allocator;" in line
    figures = {"../lab4": 60.0, None: 50.0}
    monkeypatch.setattr(lab_kernel, "of_kernel", lambda one, build, tree, name: figures[tree])
    board = lab_kernel.measured(labs.lab("4"), BUILD, "../lab4", "anna")
    assert board == {"instructions": 60.0, "reference": 50.0, "ratio": 1.2}
    figures["../lab4"] = None  # the kernel does not get so far
    assert lab_kernel.measured(labs.lab("4"), BUILD, "../lab4", "anna") is None
    assert lab_kernel.measured(labs.lab("P"), BUILD, "../labP", "anna") is None


def place(folder, when, files=True):
    """A directory as Gradescope makes it, without the archive's files."""
    (folder / "results").mkdir(parents=True)
    (folder / "submission").mkdir()
    if files:
        submission.write(LAB, "reference", str(folder / "submission"))
    times = {"created_at": when, "assignment": {"due_date": "2018-07-31T23:00:00.000000-07:00"}}
    (folder / "submission_metadata.json").write_text(json.dumps(times))
    return folder


def test_the_archive_has_what_the_harness_calls(tmp_path):
    gradescope.pack(LAB, str(tmp_path / "lab.zip"), ["--seed", "7"])
    with zipfile.ZipFile(tmp_path / "lab.zip") as archive:
        names = archive.namelist()
        texts = {name: archive.read(name).decode() for name in gradescope.TEXTS}
        assert archive.getinfo("run_autograder").external_attr >> 16 & 0o111
    assert {"quarry/tools/grade/grade.py", "quarry/labs/labs.ini", "quarry/Makefile"} <= set(names)
    for name in ("setup.sh", "run_autograder"):
        assert texts[name].startswith("#!/bin/sh\n") and "--seed 7" in texts[name]
        subprocess.run(["sh", "-n"], input=texts[name], text=True, check=True)
    assert f"gradescope.py run {LAB} " in texts["run_autograder"]
    sets = re.search(r"setup\.sh (.*)", texts["setup.sh"]).group(1).split()
    needs = labs.read("tools/run/needs.txt")
    assert all(re.search(rf"^{name} *\|", needs, re.MULTILINE) for name in sets)


@pytest.mark.long
def test_a_submission_is_graded_as_the_harness_does_it(tmp_path):
    """/autograder is elsewhere here, and its source/quarry is this tree."""
    autograder = place(tmp_path / "autograder", "2018-08-02T14:22:32.365935-07:00")
    (autograder / "source").mkdir()
    (autograder / "source" / "quarry").symlink_to(labs.ROOT)
    text = gradescope.TEXTS["run_autograder"].format(lab=LAB, options=f"--build {BUILD}")
    env = outer_make.env(AUTOGRADER=str(autograder), PYTHONDONTWRITEBYTECODE="1")
    subprocess.run(["sh", "-c", text], cwd=autograder, env=env, check=True)
    result = json.loads((autograder / "results" / "results.json").read_text())
    tests = checked(result)
    assert result["score"] == 100 and {test["status"] for test in tests.values()} == {"passed"}
    assert result["extra_data"]["late_days"] == 2
    assert result["output"].startswith("Handed in late: days begun: 2\nlab 1, ")


def test_files_that_are_missing_are_named(tmp_path):
    autograder = place(tmp_path / "autograder", "2018-07-01T14:22:32.365935-07:00", files=False)
    assert gradescope.run(LAB, str(autograder), []) == 0
    result = json.loads((autograder / "results" / "results.json").read_text())
    assert result["score"] == 0 and "mm/core/memblock.c" in result["output"]
    assert result["extra_data"]["late_days"] == 0


def test_a_failure_of_the_grader_is_no_result(tmp_path, monkeypatch):
    autograder = place(tmp_path / "autograder", "no time")

    def grade_fails(one, tree, options, more):
        return subprocess.run([sys.executable, "-c", ""], stdout=subprocess.PIPE, check=True)

    monkeypatch.setattr(gradescope.grade_batch, "grade", grade_fails)
    assert gradescope.run(LAB, str(autograder), []) == 1
    assert not os.listdir(autograder / "results")
