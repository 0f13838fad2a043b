# SPDX-License-Identifier: MIT
"""`make check`: a failure is named at once, and a test that does not end does not keep the other
suites from running."""
import os
import re
import shutil
import subprocess

import check
import outer_make
import qemu

# "b" never ends; "d" is behind it.
PROGRAM = """#!/bin/sh
case $1 in
no-such-suite) printf 'selftest: known: all quick none a b\\nselftest: known: c d\\n'; exit 1 ;;
'') set a b ;;
*) set $(echo "$1" | tr , ' ') ;;
esac
for suite in "$@"; do
	if [ "$suite" = b ]; then
		printf '  not ok 1 test_of_b\\n  # begin b.second\\n'; exec sleep 600
	fi
	printf '  # begin %s.test_of_%s\\n' "$suite" "$suite"
	printf '  ok 1 test_of_%s\\nok 1 %s\\n' "$suite" "$suite"
done
echo '# selftest: some'
"""


def test_a_test_without_end_is_named_and_the_other_suites_run(name, monkeypatch, capsys):
    folder = os.path.join(qemu.BUILD, "qemu", name)
    program = os.path.join(folder, "host-plain", "check")
    os.makedirs(os.path.dirname(program), exist_ok=True)
    with open(program, "w", encoding="utf-8") as f:
        f.write(PROGRAM)
    os.chmod(program, 0o755)
    monkeypatch.setattr(check, "SUITE_LIMIT_PLAIN", 3)
    counts = check.Counts()
    check.judge(counts, folder, "plain", *check.run_build(folder, "plain", None))
    assert counts.names == [
        "hosted plain: test_of_b",
        "hosted plain: b.second did not end in its time",
    ]
    assert counts.passed == 3 and counts.failed == 2
    said = capsys.readouterr().out
    assert (
        said.index("not ok: test_of_b")
        < said.index("b.second has not ended in 3 s")
        < said.index("3 passed")
    )


def sources(into):
    """A copy of the built tree, with the objects of the hosted build; times kept."""
    shutil.rmtree(into, ignore_errors=True)
    listed = (
        subprocess.run(["git", "ls-files"], cwd=qemu.ROOT, stdout=subprocess.PIPE, check=False)
        .stdout.decode()
        .split()
    )
    for path in listed or ["."]:
        old, new = os.path.join(qemu.ROOT, path), os.path.join(into, path)
        if os.path.isdir(old):
            shutil.copytree(
                old, new, ignore=shutil.ignore_patterns("build", ".git"), dirs_exist_ok=True
            )
        elif os.path.exists(old):
            os.makedirs(os.path.dirname(new), exist_ok=True)
            shutil.copy2(old, new)
    objects = os.path.join(qemu.BUILD, "host-plain")
    if os.path.isdir(objects):
        shutil.copytree(objects, os.path.join(into, "build", "host-plain"))


def test_the_readmes_edit_is_caught_within_20_seconds(name):
    """The edit that README suggests."""
    with open(os.path.join(qemu.ROOT, "README.md"), encoding="utf-8") as f:
        text = f.read()
    function, path, words, command = re.search(
        r"in\s+`(\w+)` in `(\S+)`, leave out `([^`]+)`, and run `([^`]+)`", text
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
    proc = subprocess.Popen(
        command.split(),
        cwd=folder,
        env=outer_make.env(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    seen = []
    try:
        for line in proc.stdout:
            found = re.search(r"not ok: (\w+) \((\d+) s\)", line)
            if found:
                seen.append(found.group(1))
                assert int(found.group(2)) <= 20, line
            if len(seen) == 2:
                break
    finally:
        os.killpg(proc.pid, 9)
        proc.wait()
    assert tuple(seen) == named
