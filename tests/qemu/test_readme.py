# SPDX-License-Identifier: MIT
"""The commands of README, unchanged, typed by a user without root in a copy of the built tree.

Variables in that user's environment make the commands short, but start them in the same way.
`make minimal` does the same in a chroot of a minimal Debian, from a clean clone."""
import os
import re
import shutil
import subprocess
import tempfile
import textwrap

import minimal
import outer_make
import pytest
import qemu
from conftest import full
from test_recipes import PARTS, built_tree, says

NOBODY = 65534
SHORT = {
    "make run": {"CMDLINE": "selftest=buddy tour=off"},
    "make race NAME=R-S0A STEP=1": {},
    "make lib CORE=1": {},
    # With -n make only prints the command, which would take long.
    "make check ONLY=plain": {"MAKEFLAGS": "n"},
}
SAYS = {
    "make run": r"^quarry: PASS$",
    "make race NAME=R-S0A STEP=1": r"R-S0A",
    "make lib CORE=1": r"^a program of yours: .*libquarry-mm\.a",
    "make check ONLY=plain": r"tools/test/check\.py .*--only plain",
}
KEYS = {"make race NAME=R-S0A STEP=1": "rq"}  # the recorded order


@pytest.fixture(scope="module")
def tree():
    """A copy of the tree outside of the build directory, whose parents the user without rights may
    not be able to enter."""
    folder = tempfile.mkdtemp(prefix="quarry-readme-", dir="/tmp")
    os.chmod(folder, 0o755)
    path = built_tree(os.path.join(folder, "quarry"), PARTS)
    if os.geteuid() == 0:
        for at, _, files in os.walk(path):
            for name in [".", *files]:
                os.chown(os.path.join(at, name), NOBODY, NOBODY, follow_symlinks=False)
    yield path
    shutil.rmtree(folder)


def as_user(tree, command, keys="", **env):
    """Run a command as a user without rights: (exit status, output)."""
    user = [shutil.which("setpriv"), f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    done = subprocess.run(
        [*(user if os.geteuid() == 0 else []), "sh", "-c", command],
        cwd=tree,
        env=outer_make.env(HOME=tree, TMPDIR="/tmp", PYTHONDONTWRITEBYTECODE="1", **env),
        input=keys.encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=qemu.WATCHDOG,
    )
    return done.returncode, done.stdout.decode("utf-8", "replace").replace("\r", "")


def readme():
    with open(os.path.join(qemu.ROOT, "README.md"), encoding="utf-8") as f:
        return f.read()


@pytest.mark.parametrize("command", [full(c) if c == "make lib CORE=1" else c for c in SHORT])
def test_command_of_readme(tree, command):
    status, said = as_user(tree, command, KEYS.get(command, ""), **SHORT[command])
    assert status == 0, said[-3000:]
    assert re.search(SAYS[command], said, re.MULTILINE), said[-3000:]
    assert "apt-get" not in said, said[-3000:]
    sample = re.search(rf"^    {command}\n\n((?: {{4}}.*\n)*)", readme(), re.MULTILINE).group(1)
    wrong = sample and says(said, textwrap.dedent(sample))
    assert not wrong, f"{wrong}\n{said[-3000:]}"


def test_all_that_the_tests_need_is_there(tree):
    status, said = as_user(tree, "sh tools/run/setup.sh run test")
    assert status == 0 and re.fullmatch(r"(setup: left out: .*\n)?", said), said


def test_the_hosted_loop(tree):
    """The hosted build and one of its suites, as a user who is not root."""
    status, said = as_user(tree, "make build/host-plain/check && build/host-plain/check buddy")
    assert status == 0 and re.search(r"^# selftest: 1 suite.* 0 failed", said, re.MULTILINE), said


def test_these_are_all_commands_of_readme():
    assert minimal.commands(readme()) == list(SHORT)


def test_readme_is_short():
    """The first screen has the recording, the first commands and the races of Linux; the table
    follows."""
    lines = readme().split("\n")
    table = lines.index("| you are | start with |")
    assert table <= 40 and len(lines) < 60
    assert all(len(line) <= 80 for line in lines[:table])
    first = "\n".join(lines[:table])
    wanted = ("docs/recording.svg", *minimal.commands(first), "docs/races/linux.md")
    assert all(word in first for word in wanted)


def test_missing_packages_are_named_for_a_user_without_root(tree):
    """A user without root and sudo gets the command that root must type; nothing is installed."""
    tools = os.path.join(tree, "few")
    os.makedirs(tools, exist_ok=True)
    for tool in ("sh", "id", "uname", "sed", "dirname", "cat", "tr", "sort", "apt-get"):
        found = shutil.which(tool) or "/bin/true"
        if not os.path.islink(os.path.join(tools, tool)):
            os.symlink(found, os.path.join(tools, tool))
    status, said = as_user(tree, "sh tools/run/setup.sh boot", PATH=tools)
    assert status == 1 and minimal.INSTALL.search(said), said
    assert "qemu-system-x86" in minimal.INSTALL.search(said).group(1)
