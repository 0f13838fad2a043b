# SPDX-License-Identifier: MIT
"""The samples of docs/monitor.md, which are what `make run` prints, then the commands typed at its
prompt, in the order of the page. Any number stands for any other number."""
import os
import re
import textwrap

import pytest
import qemu
import terminal
from test_recipes import PROMPT, at_prompt, says

BOOTS = "single"  # as `make run` chooses; the samples make no claim about time
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
