# SPDX-License-Identifier: MIT
"""The texts of race scripts, hosted: what has no room is refused, and so is what is no script."""
import os
import subprocess

import check
import pytest
import qemu
import race

BOOTS = "single"  # no test boots


def run(*words):
    """(exit status, output) of the program that replays scripts."""
    program = os.path.join(qemu.BUILD, "fiber/race")
    assert check.make(qemu.BUILD, program)
    done = subprocess.run(
        [program, *words], capture_output=True, text=True, errors="replace", check=False
    )
    return done.returncode, done.stdout + done.stderr


def text_of(name="X", setup="A:scene", script="check", more=""):
    return f"race: {name}\n{more}setup: {setup}\nscript: {script}\nexpect: OK\n"


def replayed(path, **fields):
    path.write_text(text_of(**fields), encoding="utf-8")
    return run(str(path))


def test_a_script_of_160_entries_is_read(tmp_path):
    status, said = replayed(tmp_path / "x.race", script="check ; " * 159)
    assert status == 0 and said.endswith("\n159 - check ok\nrace: end X OK\n"), said


@pytest.mark.parametrize(
    "fields, says",
    [
        ({"script": "check ; " * 160}, 'too many entries: "check"'),
        ({"setup": "A:scene ; " * 161}, 'too many entries: "A:scene"'),
        ({"script": f"check{' ' * 200}off"}, 'too long: "check'),
        ({"script": ("check ;" + " " * 80) * 150 + "check off"}, 'too long: "check ;'),
        ({"script": "A?" + "p" * 40}, 'too long: "pppp'),
        ({"script": f"count {'p' * 40}"}, 'too long: "pppp'),
        ({"script": f"check {'p' * 40}"}, 'too long: "pppp'),
        ({"script": f"A:free({'p' * 40}"}, 'too long: "free(ppp'),
        ({"script": "A?free.prep#4294967297"}, "not a number of a hit"),
        ({"name": "X" * 40}, 'too long: "XXXX'),
        ({"more": "cpus: 0\n"}, 'not a number of CPUs, 1 to 8: "0"'),
        ({"more": "cpus: 9\n"}, 'not a number of CPUs, 1 to 8: "9"'),
        ({"more": "cpus: 4294967297\n"}, "not a number of CPUs, 1 to 8"),
        ({"more": "model: x86\n"}, 'not a model, sc or tso: "x86"'),
        ({"more": "cpus:\n"}, 'not a number of CPUs, 1 to 8: ""'),
    ],
    ids=range(15),
)
def test_what_has_no_room_is_refused(tmp_path, fields, says):
    status, said = replayed(tmp_path / "x.race", **fields)
    assert status == 1 and f" cannot be read: {says}" in said and "race: end" not in said, said


def test_a_file_that_is_no_script_is_refused(tmp_path):
    (tmp_path / "empty").write_text("")
    (tmp_path / "large").write_text(text_of() + "#" * 65536)
    for path, says in (
        ("empty", "it is empty, or no file"),
        ("", "it is empty, or no file"),
        ("large", "it is larger than 65535 bytes"),
    ):
        status, said = run(str(tmp_path / path))
        assert status == 1 and said.endswith(f" cannot be read: {says}\n"), said


@pytest.mark.parametrize(
    "role, says",
    [
        ("alloc ; " * 6 + "free", 'too many operations: "free"'),
        ("alloc" + " " * 200 + "=0", 'too long: "alloc'),
        ("cpu_" + "x" * 300, 'too long: "cpu_xxx'),
    ],
    ids=["many", "blanks", "long"],
)
def test_operations_of_the_explorer_that_have_no_room_are_refused(role, says):
    status, said = run("--explore", role)
    assert status == 1 and said.startswith(f"race: given: {says}"), said
    assert run("--explore", "alloc=0 ;" + " " * 300 + "free")[0] == 0


def test_the_script_that_the_documentation_shows_is_read(tmp_path):
    with open(os.path.join(qemu.ROOT, "docs/races/README.md"), encoding="utf-8") as f:
        text = "race: R-S1\n" + f.read().split("\nrace: R-S1\n")[1].split("```")[0]
    (tmp_path / "x.race").write_text(text, encoding="utf-8")
    status, said = run(str(tmp_path / "x.race"))
    assert status == 0 and said.endswith("\nrace: end R-S1 OK\n"), said
    script, known = race.Script(str(tmp_path / "x.race")), {s.name: s for s in race.scripts()}
    assert script.expect == known["R-S1"].expect and script.title == known["R-S1"].title


def test_a_script_names_its_model_and_an_option_overrides_it(tmp_path):
    """While A is held, B waits for a lock whose release it does not see, but not without end."""
    script = "A!drain ; A?ipi.sent ; count unseen(A) ; A@ipi.sent ; A:join=0"
    path, fields = tmp_path / "x.race", {"setup": "A:scene ; A:fill", "script": script}
    assert "unseen(A) 1: slot->request\n" in replayed(path, more="model: tso\n", **fields)[1]
    assert "count unseen(A) 0\n" in run("--model=sc", str(path))[1]
    assert run("--model=tso", "R-S0C", "R-S2", "R-VM-leaf", "R-PSN-gone", "R-PSN-for-ever")[0] == 0
