# SPDX-License-Identifier: MIT
"""The labs in the kernel: beside the reference's code, and in place of it (OWN=1)."""
import re
import sys

import pytest

import lab_kernel
import labs
import qemu
import submission
from lab_trees import BUILD, IN_KERNEL, Lab, boot, each, ending

MOST_MS = 1000  # most guest time, under icount, for all suites of an emptied lab


@pytest.mark.parametrize("name", each(IN_KERNEL, ("5",)))
def test_a_kernel_boots_and_ends_its_tests_whatever_the_student_wrote(name, tmp_path):
    lab = Lab(name, tmp_path)
    lab.empty()
    run = boot(lab, which=ending(lab.one))
    first = re.search(r"# lab: (\w+) is not written yet", run.text)
    assert first and first.group(1) in lab.one.names(), run.story()
    ended = re.search(r"# selftest: (\d+) suites?, \d+ tests?, [1-9]\d* failed", run.text)
    assert ended and run.failed and "PANIC" not in run.text, run.story()
    took = re.findall(r"^(?:not )?ok \d+ \w+ .*?(\d+) ms$", run.text, re.MULTILINE)
    assert took and sum(map(int, took)) < MOST_MS, run.story()


def test_a_kernel_with_both_codes_passes_and_prints_the_same_twice(tmp_path):
    lab = Lab("5", tmp_path)
    runs = [boot(lab) for _ in range(2)]
    assert re.search(r"# selftest: 2 suites, \d+ tests, 0 failed", runs[0].text), runs[0].story()
    assert runs[0].passed and runs[0].text == runs[1].text


@pytest.mark.parametrize("name", each([n for n in IN_KERNEL if n != "5"], ("2",)))
def test_the_reference_passes_as_a_student_in_the_kernel(name, tmp_path):
    run = boot(Lab(name, tmp_path))
    assert re.search(r"# selftest: \d+ suites?, \d+ tests?, 0 failed", run.text), run.story()
    assert run.passed, run.story()


def test_a_machine_that_does_not_end_is_timed_out(monkeypatch):
    monkeypatch.setattr(lab_kernel, "LIMIT", 1)
    # In QEMU's place a program that never ends.
    endless = [sys.executable, "-c", "while True: pass"]
    monkeypatch.setattr(qemu.Machine, "command", lambda *_: endless)
    assert lab_kernel.boot("none", "none").status == qemu.TIMED_OUT


@pytest.mark.parametrize(
    "status, last, code",
    [
        (qemu.PASS_STATUS, qemu.PASS_LINE, 0),
        (qemu.FAIL_STATUS, qemu.FAIL_LINE, 1),
        (qemu.TIMED_OUT, "", "lab_kernel.py: the kernel has not ended itself; QEMU: timeout"),
    ],
    ids=["passed", "failed", "hangs"],
)
def test_the_exit_status_says_whether_the_kernel_passed(status, last, code, monkeypatch):
    run = qemu.Run([], "", status, 0, text=f"{qemu.BOOT_LINE}\n{last}\n", booted=True)
    monkeypatch.setattr(lab_kernel, "boot", lambda *_, **__: run)
    monkeypatch.setattr(lab_kernel.Kernel, "program", lambda *_: "image")
    monkeypatch.setattr("sys.argv", ["lab_kernel.py", "--build", BUILD, "5", "--run"])
    with pytest.raises(SystemExit) as ended:
        lab_kernel.main()
    assert ended.value.code == code


OWN = [name for name in IN_KERNEL if labs.lab(name).own]
# {lab: a wrong solution that its suites find when the kernel's own memory uses it}
SHOWN = {
    "1": "never_moves_up",
    "2": "never_merges",
    "3": "steals_from_any",
    "4": "gives_back_the_newest",
    "5": "D02",
    "6": "I05",
    "7": "marks_are_kept",
    "8": "keeps_the_reference",
    "9": "hard_moves_too",
    "capstone": "any_type_will_do",
}


@pytest.mark.full
@pytest.mark.parametrize("name", each(OWN, ("7",)))
def test_the_whole_kernel_works_with_the_students_code(name, tmp_path):
    run = boot(Lab(name, tmp_path), own=True)
    assert re.search(r"# selftest: \d+ suites?, \d+ tests?, 0 failed", run.text), run.story()
    assert run.passed, run.story()
    if "programs" in labs.lab(name).own:
        assert run.has(r"^programs: 4 verified \d+ pages, 0 wrong; all ended well$"), run.story()


@pytest.mark.full
@pytest.mark.parametrize("name", each(SHOWN, ("7",)))
def test_the_whole_kernel_shows_a_wrong_solution(name, tmp_path):
    lab = Lab(name, tmp_path)
    for path, text in submission.texts(name, SHOWN[name]).items():
        lab.write(path, text)
    run = boot(lab, own=True)
    assert run.booted and not run.passed, run.story()
    assert run.has(r"^  not ok \d+ ") or "PANIC" in run.text, run.story()


@pytest.mark.full
def test_the_whole_kernel_needs_what_is_to_be_written(tmp_path):
    lab = Lab("7", tmp_path)
    lab.empty()
    assert not boot(lab, own=True).passed
