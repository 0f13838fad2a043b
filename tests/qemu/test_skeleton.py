# SPDX-License-Identifier: MIT
"""The files that a student's tree is made of, and a tree that is not finished."""
import os
import subprocess

import pytest

import lab_link
import labs
import skeleton
import tree
from conftest import needs_tool


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
    monkeypatch.setattr(tree, "ROOT", str(tmp_path))
    assert tree.all_files() == own


@pytest.mark.parametrize(
    "error, code",
    [(lab_link.Failed("no nm"), "tools/grade/skeleton.py: no nm"), (KeyboardInterrupt(), 130)],
    ids=["failed", "interrupted"],
)
def test_half_a_skeleton_is_removed(tmp_path, monkeypatch, error, code):
    def fails(*_):
        raise error

    monkeypatch.setattr(skeleton, "write_reference", fails)
    monkeypatch.setattr("sys.argv", ["skeleton.py", "2", str(tmp_path / "lab")])
    with pytest.raises(SystemExit) as ended:
        labs.run_tool(skeleton.main, lab_link.Failed)
    assert ended.value.code == code
    assert not os.listdir(tmp_path)
