# SPDX-License-Identifier: MIT
"""`make check`: a failure is named at once. Other suites run even if a test does not end, or a
process ends early."""
import contextlib
import os
import pathlib
import re
import shutil
import subprocess

import pytest

import check
import outer_make
import qemu
import rooms
import watchdog
from conftest import copy_tree, needs_tool

# The suites HANGS and TALKS never end; EARLY ends the program before its last line.
PROGRAM = """#!/bin/sh
case $1 in
no-such-suite) printf 'selftest: known: all quick none a b\\nselftest: known: c d\\n'; exit 1 ;;
'') set a b c d ;;
*) set $(echo "$1" | tr , ' ') ;;
esac
for suite in "$@"; do
	if [ "$suite" = HANGS ]; then
		printf '  not ok 1 test_of_b\\n  # begin b.second\\n'; exec sleep 600
	fi
	[ "$suite" = EARLY ] && exit 0
	if [ "$suite" = TALKS ]; then
		printf '  # begin b.second\\n'; while :; do echo '    # more'; done
	fi
	printf '  # begin %s.test_of_%s\\n' "$suite" "$suite"
	printf '  ok 1 test_of_%s\\nok 1 %s\\n' "$suite" "$suite"
done
echo '# selftest: some'
"""


def made(name, hangs="", early="", talks=""):
    """Make a build directory with PROGRAM in it; returns its path."""
    folder = os.path.join(qemu.BUILD, "qemu", name)
    program = os.path.join(folder, "host-plain", "check")
    os.makedirs(os.path.dirname(program), exist_ok=True)
    with open(program, "w", encoding="utf-8") as f:
        program_text = PROGRAM.replace("HANGS", hangs or "none").replace("EARLY", early or "none")
        f.write(program_text.replace("TALKS", talks or "none"))
    os.chmod(program, 0o755)
    return folder


@pytest.fixture
def few(monkeypatch):
    """Limits for a program of four suites."""
    monkeypatch.setattr(watchdog, "SILENCE", 3.0)
    monkeypatch.setattr(check, "GROUND", 1)
    monkeypatch.setattr(check, "TOGETHER", 2)


@pytest.mark.parametrize("lanes", (1, 3))
def test_a_test_without_end_is_named_and_the_other_suites_run(few, name, capsys, lanes):
    folder, counts = made(name, hangs="b"), check.Counts()
    check.judge(counts, folder, "plain", *check.run_build(folder, "plain", None, lanes))
    assert counts.names == ["hosted plain: test_of_b", "hosted plain: b.second hangs"]
    assert counts.passed == 3 and counts.failed == 2
    said = capsys.readouterr().out
    assert (
        said.index("not ok: test_of_b")
        < said.index("b.second hangs: it has neither said nor done anything for 3 s")
        < said.index("3 passed")
    )


def test_a_test_that_talks_for_ever_hangs_too(few, name, monkeypatch):
    monkeypatch.setattr(check, "SUITE_LIMIT_PLAIN", 0.2)
    folder, counts = made(name, talks="b"), check.Counts()
    check.judge(counts, folder, "plain", *check.run_build(folder, "plain", None, 1))
    assert counts.names == ["hosted plain: b.second hangs"] and counts.passed == 3


@pytest.mark.parametrize("lanes", (1, 3))
def test_a_process_that_ends_early_fails(few, name, lanes):
    for early, passed in (("", 4), ("b", 1 if lanes == 1 else 2)):
        folder, counts = made(name, early=early), check.Counts()
        check.judge(counts, folder, "plain", *check.run_build(folder, "plain", None, lanes))
        assert counts.passed == passed
        assert [n.split(":")[1] for n in counts.names] == (
            [" ended with status 0, before the last suite"] if early else []
        )


def some(name, monkeypatch, wanted, fail_fast, **more):
    """The counts of `make check` of these suites; only the build "plain" has them."""
    folder, counts = made(name, **more), check.Counts()
    monkeypatch.setattr(check, "make", lambda *_: True)
    monkeypatch.setattr(check, "builds_of", lambda suite: ["plain"])
    check.check_some(counts, folder, ["plain"], None, wanted, fail_fast)
    return counts


def test_only_the_wanted_suites_run(few, name, monkeypatch):
    counts = some(name, monkeypatch, ["a", "c.test_of_c"], False, hangs="b")
    assert counts.names == [] and counts.passed == 2


def test_the_first_failure_is_the_last_with_fail_fast(few, name, monkeypatch, capsys):
    counts = some(name, monkeypatch, ["a", "b", "c"], True, hangs="b")
    assert counts.names == ["hosted plain: test_of_b"] and counts.passed == 1
    assert "/host-plain/check test_of_b" in capsys.readouterr().out


def test_a_suite_that_no_build_has_is_a_failure(few, name, monkeypatch):
    counts = some(name, monkeypatch, ["a", "nowhere"], False)
    assert counts.names == ["hosted: nowhere: no build that runs here has it"]


def test_objects_have_one_name_however_the_build_directory_is_given(monkeypatch):
    """With two names for an object, a changed header would rebuild it only under one of them."""
    told = []
    monkeypatch.setattr(check.subprocess, "run", lambda command, **_: told.append(command) or Done)
    for build in ("build/x", os.path.join(qemu.ROOT, "build/x")):
        assert check.make(build, os.path.join(build, "host-plain/check"))
    assert told[0] == told[1] and told[0][-2:] == ["B=build/x", "build/x/host-plain/check"]


class Done:
    """The result of a process that has ended well."""

    returncode = 0


def test_each_suite_has_builds():
    assert check.builds_of("drain")[:1] == ["tsan"] and "silence" not in check.builds_of("drain")
    assert check.builds_of("silence_lock") == ("silence",)
    assert check.builds_of("no_such") == []


def sources(into):
    """Copy the built tree to @into, with the hosted build's objects; files keep their times."""
    shutil.rmtree(into, ignore_errors=True)
    copy_tree(into)
    objects = os.path.join(qemu.BUILD, "host-plain")
    if os.path.isdir(objects):
        shutil.copytree(objects, os.path.join(into, "build", "host-plain"))


@contextlib.contextmanager
def output(folder, command):
    """The output of a command, which is killed at the end."""
    proc = subprocess.Popen(
        command, cwd=folder, env=outer_make.env(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, start_new_session=True,
    )
    try:
        yield proc.stdout
    finally:
        os.killpg(proc.pid, 9)
        proc.wait()


def test_the_suggested_edit_is_caught_by_the_tests_named(name):
    """After the edit that CONTRIBUTING.md suggests, the two tests that it names fail first."""
    with open(os.path.join(qemu.ROOT, "CONTRIBUTING.md"), encoding="utf-8") as f:
        text = f.read()
    function, path, words, command = re.search(
        r"in\s+`(\w+)`\s+in\s+`(\S+)`,\s+leave\s+out\s+`([^`]+)`,\s+and\s+run\s+`([^`]+)`", text
    ).groups()
    named = re.search(r"names\s+`(\w+)` and\s+`(\w+)`\s+first", text).groups()
    folder = os.path.join(qemu.BUILD, "qemu", name)
    sources(folder)
    file = os.path.join(folder, path)
    with open(file, encoding="utf-8") as f:
        source = f.read()
    at = source.index(words, source.index(f" {function}("))
    with open(file, "w", encoding="utf-8") as f:
        f.write(source[:at] + source[at + len(words) :])
    seen = []
    with output(folder, command.split()) as lines:
        for line in lines:
            seen += re.findall(r"not ok: (\w+) \(\d+ s\)", line)
            if len(seen) == 2:
                break
    assert tuple(seen) == named


def lines_until(stream, pattern):
    """The lines of @stream, up to the first that matches @pattern."""
    said = []
    for line in stream:
        said.append(line)
        if re.search(pattern, line):
            return "".join(said)
    raise AssertionError("it ended: " + "".join(said))


def test_a_saved_source_has_its_suites_run(name):
    """WATCH=1 runs the suite that was requested; a failure does not end the watch."""
    folder = os.path.join(qemu.BUILD, "qemu", name)
    sources(folder)
    waits = "^waiting for a source to be saved"
    test = "tests/suites/mm/core/test_free_map.c"
    with output(folder, ["make", "check", "WATCH=1", "SUITE=free_map"]) as lines:

        def saved(old, new):
            file = pathlib.Path(folder, test)
            file.write_text(file.read_text().replace(old, new, 1))
            return lines_until(lines, waits)

        assert " 0 failed" in lines_until(lines, waits)
        said = saved("\tEXPECT", "\tEXPECT(t, !t);\n\tEXPECT")
        assert f"saved: {test}; suites: free_map\n" in said
        assert "FAILED hosted plain: free_map." in said
        assert " 0 failed" in saved("\tEXPECT(t, !t);\n", "")


def test_a_file_without_suites_concerns_all():
    has = {"free_map", "buddy"}
    test = "tests/suites/mm/core/test_free_map.c"
    assert check.concerned([test], has) == ["free_map"]
    assert "free_map" in check.concerned(["mm/core/free_map.c"], has)
    assert check.concerned([test, "tests/files.mk"], has) == []
    assert check.concerned(["mm/gone.c"], has) == []


def test_what_is_saved_is_run_where_it_can_run():
    """A suite runs in plain; a suite that plain lacks, in the first build that has it."""
    assert check.builds_for([]) == check.builds_for(["free_map", "pcp.x"]) == ["plain"]
    assert check.builds_for(["silence_lock"]) == [check.builds_of("silence_lock")[0]]
    assert "plain" not in check.builds_for(["silence_lock"])


@needs_tool("git")
@needs_tool("format")
def test_a_commit_is_formatted(tmp_path):
    """The hook formats a commit. It refuses one that has only a part of a file's changes."""

    def git(*words, status=0):
        done = subprocess.run(["git", *words], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == status, done.stderr
        return done.stdout

    shutil.copytree(os.path.join(qemu.ROOT, "tools"), tmp_path / "tools")
    for folder in ("tests/mutants", "tests/fuzz/planted"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(os.path.join(qemu.ROOT, ".clang-format"), tmp_path)
    git("init", "-q")
    for line in ("user.name a", "user.email a@b", "core.hooksPath tools/lint/hooks"):
        git("config", *line.split())
    (tmp_path / "a.c").write_text("int  a ;\n")
    git("add", "a.c")
    git("commit", "-q", "-m", "a")
    assert git("show", "HEAD:a.c") == "int a;\n"
    (tmp_path / "a.c").write_text("int  b ;\n")
    git("add", "a.c")
    (tmp_path / "a.c").write_text("int  b ;\nint  c ;\n")
    git("commit", "-q", "-m", "b", status=1)
    assert git("show", "HEAD:a.c") == "int a;\n"


@pytest.mark.parametrize(
    "goal, folder",
    [
        ("host-plain/check", "host-plain"),
        ("host-port/check", "host-plain"),
        ("host-silence/check", "host-threads"),
        ("fiber/race", "fiber"),
        ("quarry.elf", "kernel"),
    ],
)
def test_changed_header_is_compiled_again(goal, folder):
    """Make reads the headers of the objects that a goal links, also of those in other folders."""
    build = os.path.relpath(qemu.BUILD, qemu.ROOT)
    said = rooms.call(
        ["make", "-n", "-W", "include/quarry/mm_types.h", f"B={build}", f"{build}/{goal}"],
        env=outer_make.env(), stderr=subprocess.PIPE, check=True
    ).stdout
    assert f"-o {build}/{folder}/mm/core/buddy.c.o" in said
