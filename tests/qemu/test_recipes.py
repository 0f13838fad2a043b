# SPDX-License-Identifier: MIT
"""The recipes of CONTRIBUTING.md, performed as they stand: patches, commands, and their output.

All run in one copy of the built tree, in order, so that a recipe can use objects of earlier
recipes.  Each recipe is a test. Sources of the hosted program that must be compiled again are
compiled without optimisation.

The samples of docs/monitor.md are what `make run` prints, then the commands typed at its prompt, in
the order of the page. Any number stands for any other number."""
import glob
import os
import re
import shlex
import shutil
import subprocess
import textwrap

import conftest
import outer_make
import pexpect
import pytest
import qemu
import terminal
from test_check import sources

BOOTS = "single"  # as `make run` chooses; the samples make no claim about time
PAGE = os.path.join(qemu.ROOT, "CONTRIBUTING.md")
PART = re.compile(
    r"^```diff\n(?P<diff>.*?)^```$|^```text\n(?P<said>.*?)^```$|^    (?P<command>\S[^\n]*)$",
    re.MULTILINE | re.DOTALL,
)
NAMES = ["A test", "A monitor command", "A program for ring 3", "A port", "A race script"]
NAMES += ["A counter", "A policy"]
# {copy that a recipe makes: its source}
COPIES = {"examples/my-port/": "examples/port-template/"}
PROMPT = "quarry> "
MODE = {"PYTHONDONTWRITEBYTECODE": "1", "MAKEFLAGS": r"HFLAGS_plain=-DHOST_PLAIN\ -O0 HOSTG=-g0"}
PARTS = ("kernel", "bin", "fiber")


def recipes(text):
    """{name: [("diff" | "command" | "said", text)]}, in their order."""
    found = {}
    for name, body in re.findall(
        r"^### ([^\n]*)\n(.*?)(?=^### |\Z)", text, re.MULTILINE | re.DOTALL
    ):
        found[name] = []
        for part in PART.finditer(body):
            found[name].append((part.lastgroup, part.group(part.lastgroup)))
    return found


def says(have, want):
    """None if @have has the lines of @want in order, else a fault; ... stands for any text."""
    at = 0
    for line in want.rstrip("\n").split("\n"):
        pattern = ".*".join(re.escape(piece) for piece in line.split("..."))
        found = re.compile(rf"^\s*{pattern}\s*$", re.MULTILINE).search(have, at)
        if not found:
            return f"not said, or too early: {line}"
        at = found.end()
    return None


def at_prompt(tree, command, script):
    """Type the lines of @script that begin with the prompt; returns the whole output."""
    log = os.path.join(qemu.BUILD, "qemu", "recipes-prompt.log")
    child = conftest.spawn(shlex.split(command), log, tree, **MODE)
    said = ""
    try:
        for line in re.findall(rf"^{PROMPT}(.*)$", script, re.MULTILINE) + ["halt"]:
            child.expect(PROMPT)
            said += child.before
            child.send(line + "\r")
            said += PROMPT
        child.expect(pexpect.EOF)
        said += child.before
    finally:
        child.close(force=True)
    assert child.exitstatus == 0, said[-3000:]
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said.replace("\r", ""))


def run(tree, command):
    done = subprocess.run(
        shlex.split(command), cwd=tree, env=outer_make.env(**MODE), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=qemu.WATCHDOG,
    )
    said = done.stdout.decode("utf-8", "replace").replace("\r", "")
    assert done.returncode == 0, f"{command}: status {done.returncode}\n{said[-3000:]}"
    return said


def patch(tree, text):
    done = subprocess.run(
        ["patch", "-p1", "--fuzz=0", "--no-backup-if-mismatch"],
        cwd=tree,
        input=text.encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout.decode()


def perform(tree, parts):
    checked = 0
    for i, (kind, text) in enumerate(parts):
        if kind == "diff":
            patch(tree, text)
        elif kind == "command":
            want = parts[i + 1][1] if parts[i + 1 : i + 2] and parts[i + 1][0] == "said" else ""
            said = at_prompt(tree, text, want) if PROMPT in want else run(tree, text)
            wrong = says(said, want.replace(PROMPT, "...")) if want else None
            assert not wrong, f"{text}: {wrong}\n{said[-3000:]}"
            checked += bool(want)
    assert checked, "a recipe that promises nothing"


def built_tree(tree, parts):
    """Make @tree a copy of this tree, with the objects of @parts of the build; times are kept."""
    sources(tree)
    for part in parts:
        if os.path.isdir(os.path.join(qemu.BUILD, part)):
            shutil.copytree(os.path.join(qemu.BUILD, part), os.path.join(tree, "build", part))
    for path in glob.glob(os.path.join(qemu.BUILD, "*.elf")):
        os.makedirs(os.path.join(tree, "build"), exist_ok=True)
        shutil.copy2(path, os.path.join(tree, "build"))
    return tree


@pytest.fixture(scope="module")
def tree():
    """(tree in which recipes are performed, list of failed recipes); it stays if one fails."""
    path = built_tree(os.path.join(qemu.BUILD, "qemu", "recipes"), PARTS)
    wrong = []
    yield path, wrong
    if not wrong:
        shutil.rmtree(path)


@pytest.mark.long
@pytest.mark.parametrize("name", [*NAMES[:-2], *map(conftest.full, NAMES[-2:])])
def test_recipe(tree, name):
    """Perform a recipe; the last two compile all of the hosted program again."""
    path, wrong = tree
    with open(PAGE, encoding="utf-8") as f:
        found = recipes(f.read())
    assert list(found) == NAMES
    wrong.append(name)
    perform(path, found[name])
    wrong.remove(name)


def test_each_patch_applies_alone(tmp_path):
    """A recipe works without the recipes before it, so that a reader may begin anywhere."""
    with open(PAGE, encoding="utf-8") as f:
        found = recipes(f.read())
    for number, (name, parts) in enumerate(found.items()):
        tree = tmp_path / str(number)
        tree.mkdir()
        for text in (text for kind, text in parts if kind == "diff"):
            for path in re.findall(r"^--- a/(\S+)", text, re.MULTILINE):
                (tree / path).parent.mkdir(parents=True, exist_ok=True)
                source = path
                for copy, original in COPIES.items():
                    source = source.replace(copy, original)
                shutil.copy(os.path.join(qemu.ROOT, source), tree / path)
            patch(tree, text)
            code = "".join(re.findall(r"^\+\+\+ b/\S+\.[ch]\n(?:[ @+-].*\n)*", text, re.MULTILINE))
            added = [line for line in code.split("\n") if line.startswith("+")] or [""]
            assert max(len(line.expandtabs(8)) for line in added) <= 101, name


def test_a_recipe_is_read_as_it_stands():
    text = (
        "### One\ntext\n\n```diff\n--- a/x\n+++ b/x\n```\n\n    make x\n    build/x\n\n"
        "```text\nok ... x\n```\n\n### Two\n\n    make y\n"
    )
    assert recipes(text) == {
        "One": [
            ("diff", "--- a/x\n+++ b/x\n"),
            ("command", "make x"),
            ("command", "build/x"),
            ("said", "ok ... x\n"),
        ],
        "Two": [("command", "make y")],
    }


@pytest.mark.parametrize(
    "want, wrong",
    [
        ("one\nthree\n", None),
        ("t...e\n", None),
        ("three\none\n", "not said, or too early: one"),
        ("on\n", "not said, or too early: on"),
        ("o.e\n", "not said, or too early: o.e"),
    ],
    ids=["order", "dots", "disorder", "part", "literal"],
)
def test_output_is_compared(want, wrong):
    assert says("one\ntwo\n  three\n", want) == wrong


# ---- the samples of docs/monitor.md --------------------------------------------------------------
# Blocks that other tests check: test_progress_is_lines_where_a_row_cannot_be_rewritten.
OTHERS = ("    offline: 4 s: waits for pfn 0x8803 (page busy); Ctrl-U cancels\n",)


def blocks():
    """The indented blocks of the page."""
    with open(os.path.join(qemu.ROOT, "docs/monitor.md"), encoding="utf-8") as f:
        return re.findall(r"(?<=\n\n)(?: {4}.*\n)+", f.read())


def of_kind(first):
    return [textwrap.dedent(b) for b in blocks() if re.match(" {4,}" + first, b)]


def plain(text):
    """@text with 1 for each number, singular nouns after numbers, single blanks, empty bars and
    rows of the map."""
    text = re.sub(r"[·.+#urURx-]{20,}|\[[#.]{10}\]", "cells", text)
    text = re.sub(r"hit (-|\d+%)", "hit 1", re.sub(r"0x[0-9a-f]+|\d+", "1", text))
    text = re.sub(r"\b1 ([a-zA-Z]+?)(?:(?<=ss)es|ies|y|(?<!s)s)?\b", r"1 \1", text)
    return re.sub(r"(?m)^ +", "", re.sub(r"[ \t]+", " ", text))


def test_every_block_is_performed():
    kinds = (PROMPT, "act 1 of 4", "quarry: boot", "QUARRY ", "> offline", "make run SCRIPT=")
    performed = [text for kind in kinds for text in of_kind(kind)]
    rest = [text for text in blocks() if textwrap.dedent(text) not in performed]
    assert rest == list(OTHERS) and len(performed) == len(set(performed)) > 20, rest


def test_run_and_prompt():
    script = "".join(of_kind(PROMPT))
    run = f"env TERM=dumb sh tools/run/run.sh {os.path.relpath(qemu.BUILD, qemu.ROOT)}"
    boot, *said = at_prompt(qemu.ROOT, run, script).split(PROMPT)
    for sample in of_kind("quarry: boot") + of_kind("act 1 of 4"):
        assert not (wrong := says(plain(boot), plain(sample))), f"{wrong}\n{boot}"
    wanted = re.split(f"^{PROMPT}", script, flags=re.MULTILINE)[1:]
    assert len(said) == len(wanted) + 1  # the last is halt
    for have, want in zip(said, wanted):
        assert not (wrong := says(plain(have), plain(want))), f"{wrong}\n{have}"


def test_live_screen():
    (sample,) = of_kind("QUARRY ")
    t = terminal.Terminal(CMDLINE="selftest=buddy tour=off")
    try:
        t.wait(f"^{PROMPT}?$", alternate=False)
        t.send("map\r")
        t.wait("any key: the prompt", alternate=True)
        t.rest(1)
        assert not (wrong := says(plain(t.text), plain(sample))), f"{wrong}\n{t.text}"
    finally:
        t.close()


def test_script(runs, text_file):
    (sample,) = of_kind("> offline")
    path = text_file("three.txt", "# a range\n\noffline 0 512\n")
    status, out = runs(BOOT="pvh", CMDLINE="selftest=none tour=off", SCRIPT=path)
    assert status == 1 and not (wrong := says(out, sample)), f"{wrong}\n{out}"


@pytest.mark.parametrize(
    "have, want",
    [
        ("2 rounds, 1 pass, 1 retry", "1 round, 3 passes, 0 retries"),
        ("  cpu3   has 0x1f pages", "cpu0 has 7 pages"),
        ("node 0  " + 64 * "·", " node 1  " + 63 * "·" + "U"),
    ],
)
def test_numbers_do_not_count(have, want):
    assert plain(have) == plain(want)
