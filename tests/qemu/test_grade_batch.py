# SPDX-License-Identifier: MIT
"""grade-batch: a directory of submissions of every form is graded, interrupted and continued;
the table and the page."""
import csv
import html
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import zipfile
from urllib.parse import unquote, urlparse

import pytest

import grade_batch
import labs
import outer_make
import rooms
import submission

BUILD = os.environ.get("QUARRY_BUILD", "build")
LAB = "2"
RIGHT = "O'Hara  anna #2 (late)"
OPTIONS = ["--build", BUILD, "--only", "model.one_block"]


def fill(folder):
    """Submissions: a tree, an archive, an archive that does not compile, and two folders without
    the lab's files."""
    submission.write(LAB, "reference", str(folder / RIGHT))
    (folder / RIGHT / "notes.txt").write_text("not looked at\n")
    work = folder.parent / "work"
    submission.write(LAB, "never_merges", str(work))
    with tarfile.open(folder / "wrong.tar.gz", "w:gz") as archive:
        archive.add(work, "hand-in/lab")
    with zipfile.ZipFile(folder / "broken.zip", "w") as archive:
        archive.writestr("mm/core/free_map.c", "int f(void)\n{\n\treturn 1\n}\n")
    (folder / "none").mkdir()
    (folder / "none" / "answers.md").write_text("1. Because.\n")
    (folder / "link/mm/core").mkdir(parents=True)
    (folder / "link/mm/core/free_map.c").symlink_to("/etc/passwd")


def batch(folder, out):
    """Both folders are named as seen from the one that has them."""
    return rooms.call(
        [os.path.join(labs.ROOT, "tools/grade/grade-batch"), LAB, folder.name, out.name, *OPTIONS],
        cwd=folder.parent, env=outer_make.env(PYTHONDONTWRITEBYTECODE="1"), stderr=subprocess.PIPE
    )


def left(folder, out):
    one = labs.lab(LAB)
    return [
        name
        for name, path in grade_batch.submissions(str(folder)).items()
        if not grade_batch.is_done(one, path, str(out), name, OPTIONS)
    ]


@pytest.mark.long
def test_a_batch_is_graded_and_gone_on_with(tmp_path):
    folder, out = tmp_path / "of  monday", tmp_path / "out"
    folder.mkdir()
    fill(folder)
    done = batch(folder, out)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 of 5 submissions graded, 0 with 100 points" in done.stdout
    rows = {row["submission"]: row for row in csv.DictReader(open(out / "grades.csv"))}
    assert float(rows[RIGHT]["points"]) > float(rows["wrong"]["points"]) == 0
    assert rows["wrong"]["first fault"].split()[0] in ("FAIL", "CRASH")
    assert rows["broken"]["first fault"].startswith("FAIL build.compile")
    assert "none of the lab's files" in rows["none"]["first fault"]
    assert "none of the lab's files" in rows["link"]["first fault"]
    page = (out / "report.html").read_text()
    assert all(f">{html.escape(name)}<" in page for name in rows)
    links = [urlparse(link).path for link in re.findall('href="(.*?)"', page)]
    assert len(links) == 5 and all((out / unquote(link)).read_text() for link in links)
    # Only results are kept of a graded submission.
    assert sorted(os.listdir(out / RIGHT)) == [
        "grade.json",
        "junit.xml",
        "key",
        "results.json",
        "said.txt",
    ]
    staged = os.path.join(labs.ROOT, BUILD, "labs", "staged")
    assert not [name for name in os.listdir(staged) if name.startswith(("in-in-O'", "in-in-wr"))]

    # An interrupted batch: one submission has no result, and one has half a result.
    assert left(folder, out) == []
    shutil.rmtree(out / RIGHT)
    (out / "broken" / "grade.json").write_text('{"lab": "2", "poi')
    assert left(folder, out) == [RIGHT, "broken"]
    before = os.stat(out / "wrong" / "grade.json").st_mtime_ns
    assert batch(folder, out).returncode == 0
    assert left(folder, out) == []
    assert os.stat(out / "wrong" / "grade.json").st_mtime_ns == before


def of_anna(place):
    return {name for name in os.listdir(place) if name.startswith("in-in-anna-")}


@pytest.mark.long
def test_only_the_programs_of_the_submission_are_removed(tmp_path):
    submission.write(LAB, "reference", str(tmp_path / "in" / "anna"))
    top = os.path.join(labs.ROOT, BUILD, "labs")
    places = [os.path.join(top, "staged"), os.path.join(top, "suites", LAB)]
    other = "in-in-anna-maria-1f"  # another submission, graded at the same time
    for place in places:
        os.makedirs(os.path.join(place, other), exist_ok=True)
    before = [of_anna(place) for place in places]
    options = ["--build", BUILD, "--only", "contract.free_map"]
    try:
        grade_batch.one_of(
            labs.lab(LAB), "anna", str(tmp_path / "in"), str(tmp_path / "out"), options
        )
        assert "5 of 5 passed" in (tmp_path / "out" / "anna" / "said.txt").read_text()
        assert [of_anna(place) for place in places] == before
    finally:
        for place in places:
            shutil.rmtree(os.path.join(place, other), ignore_errors=True)


def result(points, verdict, why="", layer="model"):
    test = {"layer": layer, "name": "blocks", "verdict": verdict, "why": why, "details": []}
    layers = [{"name": "model", "points": points, "of": 100}]
    return {"lab": LAB, "points": points, "layers": layers, "tests": [test], "notes": []}


def test_the_table_and_the_page_quote_what_they_are_given():
    rows = [("a<b", result(100, "PASS")), ("c", result(0, "FAIL", 'x, "y" <z>')), ("d", None)]
    text = io.StringIO()
    grade_batch.as_csv(rows, text)
    table = list(csv.reader(io.StringIO(text.getvalue())))
    head = "submission,id,time,late days,best,before,points,model,passed,tests,first fault,notes"
    assert table[0] == head.split(",")
    assert table[1:] == [
        ["a<b", "a<b", "", "", "yes", "", "100", "100", "1", "1", "", ""],
        ["c", "c", "", "", "yes", "", "0", "0", "0", "1", 'FAIL model.blocks: x, "y" <z>', ""],
        ["d", "d", "", "", "", "", "", "", "", "", "not graded", ""],
    ]
    page = "\n".join(grade_batch.as_html(labs.lab(LAB), rows))
    assert "2 of 3 submissions graded, mean 50.0, median 50.0" in page
    assert "a&lt;b" in page and "<z>" not in page and "not graded" in page


def test_the_best_of_several_and_the_days_late(tmp_path, monkeypatch):
    monkeypatch.setenv("DUE", "2026-11-03T23.59")
    points = {
        "anna@2026-11-03T18.20": 80,
        "anna@2026-11-04T00.10": 90,
        "anna@2026-11-06T12.00": 90,
        "bert": 70,
        "carl@2026-11-02T00.00+00.00": 60,
    }
    for name in points:
        (tmp_path / name).mkdir()
    os.utime(tmp_path / "bert", (0, 0))
    rows, text = [(name, result(nr, "PASS")) for name, nr in points.items()], io.StringIO()
    rows[3][1]["notes"] = ["mm/core/free_map.h is not handed in"]
    grade_batch.as_csv(rows, text, str(tmp_path))
    table = list(csv.DictReader(io.StringIO(text.getvalue())))
    assert [row["id"] for row in table] == ["anna", "anna", "anna", "bert", "carl"]
    assert [row["late days"] for row in table] == ["0", "1", "3", "0", "0"]
    assert [row["best"] for row in table] == ["", "yes", "", "yes", "yes"]
    assert table[0]["time"] == "2026-11-03T18:20:00" and table[3]["time"].startswith("19")
    assert table[3]["notes"] == "mm/core/free_map.h is not handed in"


def test_points_that_change_are_named(tmp_path, monkeypatch, capsys):
    one, folder, out = labs.lab(LAB), str(tmp_path / "in"), str(tmp_path / "out")
    submission.write(LAB, "reference", os.path.join(folder, "anna"))

    def graded(points):
        def grade(_, tree, options, more):
            made = json.dumps(result(points, "PASS"))
            grade_batch.write(os.path.join(more[-1], "grade.json"), made)
            return type("Done", (), {"stdout": ""})

        monkeypatch.setattr(grade_batch, "grade", grade)
        grade_batch.one_of(one, "anna", folder, out, [f"--seed={points}"])
        grade_batch.report(one, folder, out)
        return capsys.readouterr().out

    assert "other points" not in graded(100)
    assert "other points than before: anna" in graded(90)
    assert [row["before"] for row in csv.DictReader(open(f"{out}/grades.csv"))] == ["100"]


def test_a_failure_of_the_grader_is_graded_again(tmp_path):
    one, tree, out = labs.lab(LAB), str(tmp_path / "in" / "right"), str(tmp_path / "out")
    submission.write(LAB, "reference", tree)
    key = grade_batch.key_of(one, grade_batch.texts(one, tree), [])
    for verdict, layer, done in (("FAIL", "model", True), ("ERROR", "model", False)):
        made = json.dumps(result(0, verdict, layer=layer))
        grade_batch.write(os.path.join(out, "right", "grade.json"), made)
        grade_batch.write(os.path.join(out, "right", "key"), key + "\n")
        assert grade_batch.is_done(one, tree, out, "right", []) == done
    assert not grade_batch.is_done(one, tree, out, "right", ["--seed", "7"])


def test_no_student_loses_points_by_a_failure_of_the_grader(tmp_path, capsys):
    out = tmp_path / "out"
    rows = {
        "anna": result(100, "PASS"),
        "bert": result(80, "ERROR", "the judge ended: <killed>"),
        "carl": result(0, "FAIL", "no ;", "build"),  # does not compile
    }
    for name, made in rows.items():
        (tmp_path / "in" / name).mkdir(parents=True)
        grade_batch.write(str(out / name / "grade.json"), json.dumps(made))
    assert grade_batch.report(labs.lab(LAB), str(tmp_path / "in"), str(out)) == 1
    assert capsys.readouterr().out.startswith("2 of 3 submissions graded, 1 with 100 points\n")
    why = "not graded, since the grader failed: model.blocks: the judge ended: <killed>"
    table = list(csv.DictReader(open(out / "grades.csv", encoding="utf-8")))
    assert [row["points"] for row in table] == ["100", "", "0"]
    assert [row["best"] for row in table] == ["yes", "", "yes"]
    assert table[1]["first fault"] == why
    page = (out / "report.html").read_text()
    assert "2 of 3 submissions graded, mean 50.0, median 50.0" in page
    assert html.escape(why) in page and "<td>model.blocks</td>" not in page
    shutil.rmtree(tmp_path / "in" / "bert")
    assert grade_batch.report(labs.lab(LAB), str(tmp_path / "in"), str(out)) == 0


@pytest.mark.parametrize(
    "changed",
    "labs/variant.mk tests/races/fiber_explore.c demo/handle.c user/a.S Makefile labs/R/set.txt "
    "bench/traces/cc-build.trace.gz tools/run/mkcpio.sh".split(),
)
def test_the_key_changes_with_each_file_of_the_grader(tmp_path, changed):
    def key_of_tree(name, **more):
        files = {"mm/core/buddy.c": "1", "tests/races/fiber_explore.c": "1", "docs/labs.md": "1"}
        files |= more
        for path, text in files.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_text(text)
        return grade_batch.grader_key(str(tmp_path / name))

    key = key_of_tree("first")
    assert key_of_tree("same", **{"docs/labs.md": "2", "mm/core/buddy.o": "2"}) == key
    assert key_of_tree("other", **{changed: "2"}) != key


def test_files_alone_are_taken_unless_they_lie_in_their_folder(tmp_path):
    one = labs.lab(LAB)
    names = ("free_map.c", "old/mm/core/free_map.c", "a/longer/mm/core/free_map.c")
    for name in reversed(names):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "free_map.h").write_text("alone")
    taken = {"mm/core/free_map.h": b"alone", "mm/core/free_map.c": b"old/mm/core/free_map.c"}
    assert grade_batch.texts(one, str(tmp_path)) == taken


def test_a_refusal_replaces_the_grade_of_an_earlier_hand_in(tmp_path):
    one, folder, out = labs.lab(LAB), tmp_path / "in", str(tmp_path / "out")
    tree = folder / "anna"
    submission.write(LAB, "reference", str(tree))
    grade_batch.write(os.path.join(out, "anna", "grade.json"), json.dumps(result(100, "PASS")))
    key = grade_batch.key_of(one, grade_batch.texts(one, str(tree)), [])
    grade_batch.write(os.path.join(out, "anna", "key"), key + "\n")
    assert grade_batch.is_done(one, str(tree), out, "anna", [])
    shutil.rmtree(tree / "mm")
    assert not grade_batch.is_done(one, str(tree), out, "anna", [])
    grade_batch.one_of(one, "anna", str(folder), out, [])
    assert "none of the lab's files" in grade_batch.first_fault(grade_batch.result_of(out, "anna"))
    assert grade_batch.is_done(one, str(tree), out, "anna", [])


def zip_with(byte, at, method):
    """An archive whose two headers have this byte at this place, as counted in the first header."""
    text = io.BytesIO()
    with zipfile.ZipFile(text, "w", method) as archive:
        archive.writestr("mm/core/free_map.c", "int f(void);\n" * 99)
    data = bytearray(text.getvalue())
    for header in (at, data.index(b"PK\1\2") + 2 + at):
        data[header] = byte
    return bytes(data)


@pytest.mark.parametrize(
    "byte, at, method",
    [(1, 6, zipfile.ZIP_DEFLATED), (77, 8, zipfile.ZIP_DEFLATED), (8, 8, zipfile.ZIP_STORED)],
    ids=["encrypted", "unknown", "damaged"],
)
def test_an_archive_that_cannot_be_read_is_refused(tmp_path, byte, at, method):
    (tmp_path / "anna.zip").write_bytes(zip_with(byte, at, method))
    with pytest.raises(grade_batch.BadBatch, match="anna.zip cannot be read"):
        grade_batch.texts(labs.lab(LAB), str(tmp_path / "anna.zip"))


def tar_of(size, kind):
    """A tar archive whose second member has this kind, claims this size, and has no bytes."""
    first, member = tarfile.TarInfo("README"), tarfile.TarInfo("mm/core/free_map.c")
    member.type = kind
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = tarfile.itn(size, 12, tarfile.GNU_FORMAT)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return first.tobuf() + bytes(header) + bytes(2 * tarfile.BLOCKSIZE)


@pytest.mark.parametrize("kind", grade_batch.HEADERS)
def test_a_header_of_an_archive_does_not_fill_the_memory(tmp_path, kind):
    (tmp_path / "anna.tar").write_bytes(tar_of(1 << 30, kind))
    why = "anna.tar cannot be read: a header of 1073741824 bytes"
    with pytest.raises(grade_batch.BadBatch, match=why):
        grade_batch.texts(labs.lab(LAB), str(tmp_path / "anna.tar"))


def test_no_member_of_an_archive_leads_back_to_itself():
    text = io.BytesIO(tar_of(-512, tarfile.REGTYPE))
    with tarfile.open(fileobj=text, tarinfo=grade_batch.Member) as archive:
        archive.next()
        with pytest.raises(tarfile.ReadError, match="invalid offset"):
            archive.next()


def test_an_archive_that_needs_too_much_memory_is_refused(tmp_path, monkeypatch):
    def of_tar(_):
        raise MemoryError

    monkeypatch.setattr(grade_batch, "of_tar", of_tar)
    with pytest.raises(grade_batch.BadBatch, match="anna.tar cannot be read: MemoryError"):
        grade_batch.texts(labs.lab(LAB), str(tmp_path / "anna.tar"))


@pytest.mark.parametrize("form", (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT))
def test_a_long_name_in_an_archive_is_read(tmp_path, form):
    submission.write(LAB, "reference", str(tmp_path / "work"))
    with tarfile.open(tmp_path / "anna.tar.gz", "w:gz", format=form) as archive:
        archive.add(tmp_path / "work", "a/" * 200)
    assert len(grade_batch.texts(labs.lab(LAB), str(tmp_path / "anna.tar.gz"))) == 2


def test_a_file_that_is_too_large_is_refused(tmp_path):
    one, folder, out = labs.lab(LAB), str(tmp_path / "in"), str(tmp_path / "out")
    submission.write(LAB, "reference", os.path.join(folder, "anna"))
    with open(os.path.join(folder, "anna/mm/core/free_map.c"), "a", encoding="utf-8") as f:
        f.write("/" * (1 << 20))
    grade_batch.one_of(one, "anna", folder, out, OPTIONS)
    fault = grade_batch.first_fault(grade_batch.result_of(out, "anna"))
    assert fault == "FAIL build.rules: mm/core/free_map.c has more than 1 MiB"


@pytest.mark.parametrize(
    "words, said",
    [
        (("one", LAB, "nobody"), "has no submission nobody"),
        (("nth", LAB, "x"), "x: .* has submissions 1 to 1"),
        (("nth", LAB, "2"), "2: .* has submissions 1 to 1"),
    ],
    ids=["name", "word", "number"],
)
def test_a_submission_that_does_not_exist_is_named(tmp_path, monkeypatch, words, said):
    (tmp_path / "in" / "anna").mkdir(parents=True)
    words = ["grade_batch.py", *words, str(tmp_path / "in"), str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(grade_batch.BadBatch, match=said):
        grade_batch.main()


def test_two_submissions_of_one_name_are_refused(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a.tar").write_bytes(b"")
    with pytest.raises(grade_batch.BadBatch, match="a is there twice"):
        grade_batch.submissions(str(tmp_path))
