# SPDX-License-Identifier: MIT
"""The files that a student's tree is made of, and a tree that is not finished."""
import os
import subprocess
import sys

import pytest

import grade_build
import lab_build
import lab_make
import labs
import skeleton
import rooms
from conftest import needs_tool

ORDERS = (None, *labs.tracks())
# Sources of labs to come that are compiled with the headers of another lab's student.
STAYS = {("2", "mm/core/buddy.c")}


def git(folder, *words):
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)


@needs_tool("git")
def test_submissions_in_the_tree_are_not_of_the_tree(tmp_path, monkeypatch):
    own = ["labs/labs.ini", "labs/variant.mk", "mm/core/drain.c"]
    handed = ["submissions/anna/mm/core/drain.c", "labs/otto/mm/core/drain.c"]
    for name in [*own, "grades.csv", *handed]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    git(tmp_path, "init")
    git(tmp_path, "add", "labs/labs.ini", "mm")
    git(tmp_path / "labs" / "otto", "init")
    monkeypatch.setattr(rooms, "ROOT", str(tmp_path))
    assert rooms.all_files() == own


@pytest.mark.parametrize(
    "error, code",
    [(lab_make.Failed("no nm"), "tools/grade/skeleton.py: no nm"), (KeyboardInterrupt(), 130)],
    ids=["failed", "interrupted"],
)
def test_half_a_skeleton_is_removed(tmp_path, monkeypatch, error, code):
    def fails(*_):
        raise error

    monkeypatch.setattr(skeleton, "write_reference", fails)
    monkeypatch.setattr("sys.argv", ["skeleton.py", "2", str(tmp_path / "lab")])
    with pytest.raises(SystemExit) as ended:
        labs.run_tool(skeleton.main, lab_make.Failed)
    assert ended.value.code == code
    assert not os.listdir(tmp_path)


def shown(texts, other):
    """The functions of the lab @other whose solution is in its files @texts, but may not be."""
    solution, found = skeleton.solution(other), set()
    for path in [path for path in other.files if path in texts]:
        runs = {solution.get(run) for run in skeleton.runs(skeleton.tokens(texts[path]))}
        found |= {(other.name, name, path) for name in runs - {None}}
    return found - skeleton.allowed()


@pytest.mark.parametrize("track", ORDERS)
def test_a_tree_shows_no_code_of_labs_to_come(track):
    names, stays = skeleton.order(track), set()
    assert sorted(names) == sorted(labs.labs())
    for at, one in enumerate(map(labs.lab, names)):
        texts, objects = skeleton.texts_to_come(one, track), skeleton.without_source(one, track)
        known = {path for name in names[: at + 1] for path in labs.lab(name).files}  # for lab R
        assert {path for path in texts if path.endswith(".c")} <= objects
        later = {lab.name for lab in skeleton.to_come(one, track)}  # lab 10 has no files of its own
        for other in [labs.lab(name) for name in names[at + 1 :] if name in later]:
            stays |= {(one.name, path) for path in other.files if path not in {*texts, *known}}
            assert {*other.extra} - {*one.files, *one.extra} <= objects
        if at == 0:  # all others are to come, each with the same text in every tree
            assert not [row for name in names[1:] for row in shown(texts, labs.lab(name))]
            # Bodies of an emptied header are compiled in these, too.
            assert {"mm/core/buddy_batch.c", "tests/suites/mm/core/test_buddy_batch.c"} <= objects
    assert stays <= STAYS


def test_an_object_takes_the_place_of_an_emptied_source(tmp_path, monkeypatch):
    """In each kind of program."""
    monkeypatch.setattr(lab_build, "ROOT", str(tmp_path))
    source = "mm/core/drain.c"
    for kind in ("suites", "explorer"):
        kept = tmp_path / lab_build.GIVEN / kind / (source + ".o")
        kept.parent.mkdir(parents=True)
        kept.write_text("")
        hosted = lab_build.Hosted(labs.lab("4"), "build")
        assert (hosted.object_of(source) == str(kept)) == (kind == "suites")
    made = grade_build.objects_of(
        lab_build.Builder(str(tmp_path / "labs" / "obj")), "obj", [source], list, "explorer"
    )
    assert made == [str(kept)]


def test_a_students_own_files_of_earlier_labs_go_on(tmp_path):
    own, folder = tmp_path / "own", tmp_path / "lab5"
    for path in ("mm/core/pcp.c", "mm/core/drain.c", "mm/core/memblock.c"):
        (own / path).parent.mkdir(parents=True, exist_ok=True)
        (own / path).write_text("mine\n")
    skeleton.write(labs.lab("5"), str(folder), "core", str(own))
    readme = (folder / "README.md").read_text()
    assert "make grade LAB=5" in readme and "(labs/5/handout.md)" in readme
    # Lab 4 comes before lab 5, and lab 1 is not of the track.
    assert (folder / "mm/core/pcp.c").read_text() == "mine\n"
    assert "LAB_TODO" in (folder / "mm/core/drain.c").read_text()
    assert "LAB_TODO" in (folder / "mm/core/memblock.c").read_text()
    assert (folder / "mm/core/free_map.c").read_text() == labs.read("mm/core/free_map.c")


def test_a_students_tree_grades_its_own_lab_only(tmp_path, monkeypatch):
    four, five = labs.lab("4"), labs.lab("5")
    (tmp_path / labs.REFERENCE).mkdir(parents=True)
    (tmp_path / labs.OF_LAB).write_text("5\n")
    monkeypatch.setattr(labs, "ROOT", str(tmp_path))
    assert five.tree(None) is None
    with pytest.raises(labs.BadLab, match="student's tree of lab 5"):
        four.tree(None)


def test_races_are_not_replayed_in_a_students_tree(tmp_path):
    (tmp_path / labs.REFERENCE).mkdir(parents=True)
    (tmp_path / labs.OF_LAB).write_text("5\n")
    words = [sys.executable, rooms.tool("race.py"), "R-S1"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "needs Quarry's own tree" in done.stderr
