# SPDX-License-Identifier: MIT
"""The limits of compilers, and what the grader does with odd names, empty files, and a judge that
has not ended well."""
import csv
import json
import os

import pytest

import grade_batch
import grade_layers
import grade_run
import lab_make
import labs
import test_grade
from test_grade import LAB

# Each line doubles the expansion of the line before.
DOUBLES = "\n".join(f"#define E{i + 1} E{i} E{i}" for i in range(40)) + "\n"
# The depth of includes is limited, but not their number.
TIME = '#include "here.h"\n#include "here.h"\n'
MEMORY = "#define E0 +1\n" + DOUBLES + "int x = 0 E40;\n"


@pytest.mark.parametrize(
    "text, limits, said",
    (
        (TIME, {"MOST_CPU": 1, "MOST_FILE": 1 << 30}, "more than 1 seconds of processor time"),
        (MEMORY, {"MOST_MEMORY": 256 << 20}, "more than 256 MiB of memory"),
    ),
    ids=["time", "memory"],
)
def test_a_compiler_that_reaches_a_limit(tmp_path, monkeypatch, text, limits, said):
    for name, value in limits.items():
        monkeypatch.setattr(lab_make, name, value)
    folder = tmp_path / "staged" / "in-anna" / "mm/core"
    folder.mkdir(parents=True)
    (folder / "here.h").write_text(text)
    (folder / "here.c").write_text('#include "here.h"\n')
    builder = lab_make.Builder(str(tmp_path / "labs" / "x"))
    with pytest.raises(lab_make.Limited) as error:
        builder.compile(str(folder / "here.c"), str(tmp_path / "x.o"), ["gcc", "-w"])
    assert str(error.value) == f"mm/core/here.c: its compilation needs {said}"


def test_a_limit_fails_the_build_of_the_submission(tmp_path, monkeypatch):
    # Make the objects that submissions share.
    assert test_grade.lost(test_grade.graded(tmp_path / "in", only="model.one_block")) == []
    monkeypatch.setattr(lab_make, "MOST_CPU", 1)
    path = "mm/core/free_map.h"
    text = {path: f'#include "{path}"\n' * 2 + labs.read(path)}
    one = test_grade.graded(tmp_path / "in", text=text, only="model.one_block")
    (row,) = one.results
    assert row.verdict == "FAIL" and "1 seconds of processor time" in row.why, row


def test_an_empty_file_is_named(tmp_path):
    one = test_grade.graded(tmp_path, text={"mm/core/free_map.c": ""}, only="model.one_block")
    assert [r.why for r in one.results] == ["mm/core/free_map.c is empty"]


def test_a_function_that_is_missing_is_named(tmp_path):
    here, other = "int free_map_order_at(", "static inline int order_of("
    text = labs.read("mm/core/free_map.c").replace(here, other)
    one = test_grade.graded(tmp_path, text={"mm/core/free_map.c": text}, only="model.one_block")
    assert "mm/core/free_map.c does not define free_map_order_at" in [
        line for r in one.results for line in (r.why, *r.details)
    ]


def test_a_name_with_a_percent_sign(tmp_path):
    """gcc replaces it in -o."""
    one = test_grade.graded(tmp_path / "c%d", only="model.one_block")
    assert test_grade.lost(one) == [] and "%" not in one.name()


@pytest.mark.parametrize(
    "verdicts, how, status, passed",
    (
        ("PP", "ended", 0, 2),
        ("PF", "ended", 1, 1),
        ("PP", "ended", 1, 0),
        ("PF", "ended", 0, 0),
        ("PP", "ended", -9, 0),
        ("PP", "cpu", 0, 0),
    ),
)
def test_the_judges_exit_status_must_fit_its_rows(verdicts, how, status, passed):
    done = grade_run.Done()
    done.how, done.status = how, status
    names = {"P": "PASS", "F": "FAIL"}
    done.records = [
        json.dumps({"test": str(i), "verdict": names[v]}) for i, v in enumerate(verdicts)
    ]
    rows = grade_layers.judged(done).values()
    assert sum(row["verdict"] == "PASS" for row in rows) == passed
    assert sum(row["verdict"] == "FAIL" for row in rows) == verdicts.count("F")


def test_names_that_cannot_be_printed(tmp_path, capsys):
    """They get rows, and do not hide those of other submissions."""
    folder, out = tmp_path / "in", tmp_path / "out"
    for name in (b"caf\xe9", b"two\nlines", b"zoe"):
        os.makedirs(os.path.join(os.fsencode(str(folder)), name))
    one = labs.lab(LAB)
    names = list(grade_batch.submissions(str(folder)))
    assert len(names) == 3 and all(name.isprintable() for name in names)
    for name in names:
        grade_batch.one_of(one, name, str(folder), str(out), [])
    assert grade_batch.report(one, str(folder), str(out)) == 0
    table = list(csv.reader(open(out / "grades.csv", encoding="utf-8")))
    assert [row[0] for row in table[1:]] == names
    assert all("none of the lab's files" in row[table[0].index("first fault")] for row in table[1:])


def test_a_batch_without_grades_has_a_report(tmp_path):
    (tmp_path / "in" / "anna").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    assert grade_batch.report(labs.lab(LAB), str(tmp_path / "in"), str(tmp_path / "out")) == 1
    assert "0 of 1 submissions graded.<" in (tmp_path / "out" / "report.html").read_text()
