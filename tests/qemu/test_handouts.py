# SPDX-License-Identifier: MIT
"""The labs' handouts: each agrees with its lab, and leads to full points as it stands
(tools/grade/handout.py).  `make test` follows one of them; FULL=1 all."""
import os
import re

import conftest
import pytest

import bodies
import grade
import handout
import lab_kills
import labs
import skeleton

BUILD = os.environ.get("QUARRY_BUILD", "build")
SAMPLE = "2"
SHORTEST = "1"  # the lab whose commands take the least time
# It is for pageblocks of 8 pages only, and labs are graded with larger ones.
SKIPPED = "free_map.every_state_of_a_small_pageblock"


def reader(read, path, text):
    return lambda name: text if name == path else read(name)


def text_of(lab):
    return labs.read(handout.path_of(lab))


def ungraded(lab, only=""):
    """A grade of the lab, before any test has run."""
    return grade.Grade(labs.lab(lab), None, lab_kills.arguments(BUILD, None, only))


def section(lab, name):
    return re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", text_of(lab), re.M | re.S).group(1)


@pytest.mark.parametrize("name", handout.written())
def test_each_function_has_a_contract_and_is_written_once(name):
    one, text = labs.lab(name), text_of(name)
    functions = sorted(sum(one.functions.values(), []))
    planted = [n for _, mistake in skeleton.mistakes(one) for n in bodies.bodies(mistake)]
    table = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", section(name, "What to write"), re.M)
    assert sorted(re.findall(r"\w+", " ".join(table))) == functions
    assert sorted(sum(handout.steps(text), [])) == sorted(functions + planted)
    for path in one.files:
        assert f"`{path}`" in text, path
    for race in one.races:
        assert race in text, race


def test_a_handout_is_followed_in_the_same_way_on_github(monkeypatch, tmp_path):
    """The grader prints more there."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setattr("tempfile.mkdtemp", lambda **_: str(tmp_path))
    status, said, _ = handout.Follower(SAMPLE).run("printenv GITHUB_ACTIONS")
    assert status == 1 and said == []


CODE = r"MM_EVENT(?:_ADD)?\([^,]*, (\w+)|\bEV_(\w+)|-(E[A-Z]+)\b|\b(WHY_\w+|TR_\w+|POISON_[A-Z]+)"
SET = r"(?:->|\.)(\w+)(?:\[[^\]]*\])? *(?:[-+|&]?=[^=]|\+\+|--)|WRITE_ONCE\([^,]*?->(\w+),"


@pytest.mark.parametrize("name", handout.written())
def test_what_a_student_must_set_is_named(name):
    """Each event, error, reason and field that the reference's functions set."""
    one, text = labs.lab(name), text_of(name)
    for path, functions in one.functions.items():
        bodies_of = [one.body(path, function) for function in functions]
        code = "\n".join(labs.read(path)[body.begin : body.end] for body in bodies_of)
        code = re.sub(r"/\*.*?\*/", "", code, flags=re.S)
        found = {word for row in re.findall(f"{CODE}|{SET}", code) for word in row if word}
        assert {word for word in found if not re.search(rf"\b{word}\b", text)} == set(), path


@pytest.mark.parametrize("name", handout.written())
def test_the_points_are_those_of_the_grader(name):
    want = [(layer, f"{round(of, 1):g}") for layer, _, of in ungraded(name).scores()]
    rows = re.findall(r"^\| (\w+) \| ([\d.]+) \|", section(name, "Points"), re.M)
    assert rows == want
    costs = labs.lab(name).tests_tagged("cost")
    rows = re.findall(r"^\| `([\w.]+)` \|", section(name, "Costs"), re.M)
    assert sorted(rows) == sorted(costs)


@pytest.mark.parametrize("name", handout.written())
def test_a_sample_says_how_many_tests_there_are(name):
    """Else a new test of a lab is noticed only by FULL=1, which follows all handouts."""
    samples = [what for kind, what in handout.actions(text_of(name)) if kind == "run"]
    for command, lines in samples:
        only = re.search(r" ONLY=(\S+)", command)
        tests = ungraded(name, only[1] if only else "").tests()
        number = {layer: len(set(names) - {SKIPPED}) for layer, names in tests.items()}
        said = re.findall(r"^  (\w+): .*of (\d+) passed$", "\n".join(lines), re.M)
        assert said == [(layer, str(number[layer])) for layer, _ in said], command


@pytest.mark.long
@pytest.mark.parametrize("name", handout.written() if conftest.whole() else [SHORTEST])
def test_a_handout_can_be_followed(name):
    assert list(handout.Follower(name, BUILD).faults()) == []


@pytest.mark.parametrize("name", handout.written())
def test_the_notes_answer_each_question(name):
    """No student's tree has them."""
    path = f"labs/notes/{name}.md"
    answers = labs.read(path).split("\n## Answers\n")[1]
    numbers = re.compile(r"^(\d+)\. ", re.M)
    assert numbers.findall(answers) == numbers.findall(section(name, "Questions"))
    assert skeleton.left_out(labs.lab(name), path)


def test_a_command_must_say_what_the_handout_shows():
    have = ["lab 2", "  model: 4 of 4", "a", "b", "100 of 100 points in 2.5 s"]
    assert handout.matches(have, [*have[:4], "100 of 100 points in ... s"]) is None
    assert handout.matches(have, ["lab 2", "...", "100 of ..."]) is None
    assert handout.matches(have, ["lab 2", "...", "99 of ..."]) == "99 of ..."
    assert handout.matches(have, ["lab 2", "a", "..."]) == "a"
    assert "it goes on" in handout.matches(have, have[:3])


def test_the_numbers_of_a_sample_are_renewed():
    have = ["lab 2", "  model: 4 of 4", "a 7", "90.5 of 100 points in 2.5 s, 1.0 s", "end"]
    want = ["lab 2", "  model: 13 of 14", "...", "100 of 100 points in ... s, ... s", "other 3"]
    new = handout.renewed(have, want)
    assert new == [
        "lab 2",
        "  model: 4 of 4",
        "...",
        "90.5 of 100 points in ... s, ... s",
        "other 3",
    ]
    assert handout.renewed(have, new) == new


def test_hours_that_are_not_those_of_labs_ini_are_named(monkeypatch):
    assert list(labs.faults_of_texts()) == []
    read = labs.read
    page = read(labs.INSTRUCTOR)
    for old, new, said in (
        ("week 4: 7 | 32 |", "week 4: 7 | 40 |", "track short4 are 32"),
        ("the capstone | 54 |", "the capstone | about 54 |", "track core are 54"),
    ):
        assert old in page
        monkeypatch.setattr(labs, "read", reader(read, labs.INSTRUCTOR, page.replace(old, new)))
        assert [line for line in labs.faults_of_texts() if said in line]
    text = text_of("3")
    monkeypatch.setattr(
        labs, "read", reader(read, handout.path_of("3"), text.replace("8 h", "9 h"))
    )
    assert [line for line in labs.faults_of_texts() if line.startswith("lab 3: its handout")]


def test_rules_that_are_not_those_of_the_lab_are_named(monkeypatch):
    text = text_of("3")
    for old, new in (("`may_steal` 4", "`may_steal` 5"), (" `mm.h`", "")):
        assert old in text
        changed = reader(labs.read, handout.path_of("3"), text.replace(old, new))
        with monkeypatch.context() as patch:
            patch.setattr(labs, "read", changed)
            assert "lab 3: its handout has other rules" in "".join(labs.faults_of_texts())


def test_every_lab_has_a_handout():
    assert handout.written() == list(labs.labs())


def test_a_handout_that_is_wrong_is_noticed(monkeypatch):
    text = text_of(SAMPLE)
    changed = text.replace("8 functions to write", "9 functions to write")
    assert changed != text
    monkeypatch.setattr(labs, "read", reader(labs.read, handout.path_of(SAMPLE), changed))
    assert "9 functions" in next(iter(handout.Follower(SAMPLE, BUILD).faults()))
