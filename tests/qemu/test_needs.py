# SPDX-License-Identifier: MIT
"""tools/run/needs.txt: what is needed, what is left out where it cannot be had, and who says so."""
import os
import re
import shutil

import needs
import outer_make
import parts
import pytest
import qemu
import test as make_test
from conftest import status_and_output
from schedule import Verdict

TRAP = "#!/bin/sh\necho TRAP\nexit 9\n"
POLICY = "#!/bin/sh\necho '  Candidate: (none)'\n"


@pytest.fixture
def without(tmp_path):
    """without(TOOL, ...) -> environment of a machine without these tools, whose apt knows no
    package, and whose apt-get and sudo must not be called."""

    def made(*tools):
        for folder in reversed(os.environ["PATH"].split(":")):
            for name in os.listdir(folder) if os.path.isdir(folder) else ():
                link = tmp_path / name
                link.unlink(missing_ok=True)
                if name not in tools:
                    link.symlink_to(os.path.join(folder, name))
        for name, text in (("apt-cache", POLICY), ("apt-get", TRAP), ("sudo", TRAP)):
            (tmp_path / name).unlink(missing_ok=True)
            (tmp_path / name).write_text(text)
            (tmp_path / name).chmod(0o755)
        env = outer_make.env(PATH=str(tmp_path))
        env.pop(needs.FOUND, None)
        return env

    return made


def said(env, *command):
    return status_and_output(command, env, qemu.WATCHDOG)


def test_setup_prints_nothing_if_nothing_is_missing(without):
    assert said(without(), "sh", "tools/run/setup.sh", "run") == (0, "")


def test_setup_elsewhere_prints_the_command(tmp_path):
    """The system has another package manager, and none of the packages."""
    for tool in ("sed", "sort", "tr", "uname", "id", "cat"):
        (tmp_path / tool).symlink_to(shutil.which(tool))
    (tmp_path / "dnf").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "dnf").chmod(0o755)
    status, text = said({"PATH": str(tmp_path)}, "/bin/sh", "tools/run/setup.sh", "run")
    assert status == 1
    assert re.search(r"sudo dnf install .*\bgcc\b.*\bqemu-system-x86\b", text), text


def test_a_tool_that_cannot_be_had_is_left_out(without):
    """Set-up goes on, the check says that it is left out, and counts as skipped."""
    env = without("clang-tidy")
    status, text = said(env, "sh", "tools/run/setup.sh", "lint")
    assert status == 0 and text.startswith("setup: left out: tidy (no package clang-tidy)"), text
    build = os.path.relpath(qemu.BUILD, qemu.ROOT)
    status, text = said(env, "make", "-s", "lint", "ONLY=tidy,licence", f"B={build}")
    assert status == 0 and "left out: tidy (no clang-tidy here)" in text, text
    assert text.endswith("lint: 1 passed, 0 failed, 1 skipped\n"), text


def test_what_is_left_out_for_one_package_gets_none_of_its_others(without, tmp_path):
    """bochs-sdl depends on bochs: apt, asked for it alone, would install nothing at all."""
    env = without("bochs", "bochs-bin", "cppcheck")
    script = open(os.path.join(needs.HERE, "setup.sh"), encoding="utf-8").read()
    script = script.replace("apt_file() {", "apt_file() { false; }\nno_file() {")
    (tmp_path / "setup.sh").write_text(script.replace("here=${0%/*}", f"here={needs.HERE}"))
    policy = '#!/bin/sh\n[ "$2" = bochs ] || echo "  Candidate: 1"\n'
    (tmp_path / "apt-cache").write_text(policy)
    status, text = said(env, "sh", str(tmp_path / "setup.sh"), "-n", "lint", "bochs")
    assert status == 1 and "left out: bochs (no package bochs)\n" in text, text
    assert "missing: cppcheck" in text and "missing: bochs" not in text, text


def test_a_tool_without_which_nothing_works_is_asked_for(without):
    env = without("qemu-system-x86_64")
    status, text = said(env, "sh", "tools/run/setup.sh", "-n", "boot", "uefi")
    assert status == 1 and "missing: qemu-system-x86\n" in text and "TRAP" not in text, text


def test_a_part_of_a_release_asks_for_what_it_needs_only(without, tmp_path):
    env, build = without("pandoc"), f"B={tmp_path / 'build'}"
    for part, wrong in (("amalgamation", False), ("amalgamation,book", True)):
        status, text = said(env, "make", "-s", "dist", f"ONLY={part}", build)
        assert bool(status) == ("left out: book" in text or "pandoc" in text) == wrong, text


def test_nothing_is_asked_for_that_is_known_to_be_absent(without, tmp_path):
    """Without apt's lists the table says what a distribution has."""
    script = open(os.path.join(needs.HERE, "setup.sh"), encoding="utf-8").read()
    table = open(needs.TABLE, encoding="utf-8").read()
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "needs.txt").write_text(table)
    for name, release, more in (("a", "trixie", ""), ("b", "bookworm", " clang-format-14")):
        (tmp_path / name).write_text(f"VERSION_CODENAME={release}\n")
        text = script.replace("/etc/os-release", str(tmp_path / name))
        text = text.replace("/var/lib/apt/lists", str(tmp_path / "none"))
        (tmp_path / "tools" / "setup.sh").write_text(text)
        env = without("clang-format-14", "cppcheck")
        status, text = said(env, "sh", str(tmp_path / "tools" / "setup.sh"), "-n", "lint")
        assert status == 1 and f"missing: cppcheck{more}\n" in text, text
        assert "apt-get update" in text and ("left out: format" in text) != bool(more), text


def judged(monkeypatch, release, *lines, ci=True):
    """(failures, last line) of a run in which jobs have said @lines."""
    monkeypatch.setenv("CI", "true") if ci else monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(needs, "here", lambda: release)
    report = make_test.Report(parts.Run("build", 1), [])
    report.left = {"lint": 1}
    report.passed = 5
    for line in lines:
        report.skip(line)
    report.judge_left_out()
    return [f.name for f in report.failed], report.line()


def test_ci_leaves_nothing_out_that_its_distribution_has(monkeypatch):
    """A package that the distribution lacks, and an unknown distribution, are excuses."""
    monkeypatch.setenv(needs.FOUND, "tidy clang-tidy\nformat clang-format-14 trixie\n")
    needs.missing.cache_clear()
    tidy, form = (f"  left out: {what} (no such tool here)" for what in ("tidy", "format"))
    wrong = ["left out: tidy (no such tool here)"]
    assert judged(monkeypatch, "trixie", tidy, form) == (wrong, "5 passed, 1 failed, 2 skipped")
    assert judged(monkeypatch, "trixie", tidy, form, ci=False)[0] == []
    assert judged(monkeypatch, "slackware", tidy, form)[0] == []
    assert judged(monkeypatch, "trixie", "not counted: a: Skipped: left out: x (y)")[0] == []
    assert judged(monkeypatch, "trixie") == ([], "5 passed, 0 failed")
    needs.missing.cache_clear()


def test_a_job_that_only_leaves_out_has_not_failed():
    judge = parts.judge_tool(1)
    job = type("Job", (), {"part": "bochs", "name": "bochs"})
    text = "  left out: bochs (no bochs here)\nbochs: 0 passed, 0 failed, 1 skipped"
    assert judge(job, text, 0) == Verdict(0, 0, [], text.split("\n"))
    assert judge(job, "bochs: 0 passed, 0 failed", 0).failed == 1


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_only_warnings_of_tried_compilers_are_errors(tmp_path, compiler):
    """A compiler that is not in the table may warn of what others do not see."""
    known = next(versions for tool, _, versions in needs.tried() if tool == compiler)
    for version, errors in ((known[-1] + ".1.0", True), ("99.1.0", False)):
        fake = tmp_path / compiler
        fake.write_text(f"#!/bin/sh\necho {version}\n")
        fake.chmod(0o755)
        words = ["make", "-n", "B=build/none", f"CC={fake}", f"HOSTCC={fake}", "kernel"]
        assert ("-Werror" in said(outer_make.env(), *words)[1]) == errors


def test_the_table_is_whole():
    """Each row has five columns, and the last names known distributions."""
    with open(needs.TABLE, encoding="utf-8") as f:
        rows = [line.split("|") for line in f if re.match(r"[a-z-]+ +\| ", line)]
    assert len(rows) > 40 and all(len(row) == 5 for row in rows)
    assert {name for row in rows for name in row[4].split()} <= set(needs.distributions())
