# SPDX-License-Identifier: MIT
"""`make debug`: the session of docs/debugging.md, typed exactly, and every k- command."""
import os
import re

import pytest
import qemu
from conftest import gdb_says, needs_tool
from test_recipes import says

pytestmark = needs_tool("debug")
PAGE = os.path.join(qemu.ROOT, "docs", "debugging.md")
PROMPT = "(gdb) "
# {command: its output} of commands that the page's session does not type. They run after the
# session, on the same machine.
REST = {
    "k-help": "k-type WORD ... ... Quarry's prompt; ...",
    "k-page 0x8100": "pfn 0x8100: FREE order 8 refs 0\n  its block: 0x8100-0x8200",
    "k-page 0": "pfn 0x0: RESERVED...",
    "k-page kernel_memory.end_pfn": "...is outside 0x0-...",
    "k-zone 0": "zone 0: node 0 DMA32, pfn 0x0-...\n  watermarks ...; pageblocks isolated 1; ...",
    "k-zone 99": "k-zone: there is no zone 99",
    "k-pcp": "cpu 0: cached, of the capacity\n  ... of ... zone ..., order ...\ncpu 3: ...",
    "k-pcp 99": "k-pcp: there is no CPU 99",
    "k-threads": "... runs on CPU 1\n",
    "k-threads mce": "mce ... sleeping CPU ... in ...\n  ...sched_switch...",
    "k-threads nobody": "no thread nobody...",
    "k-locks": "cpu 0: ...\n... sleeping locks are free",
    "k-history": "... kcycles  cpu ...",
    "k-log 0": "usage: k-log [LINES]",
    "k-page": "usage: k-page PFN",
}


def page():
    with open(PAGE, encoding="utf-8") as f:
        return f.read()


def hunt():
    """[(command, its output)] of the page, in order."""
    typed = []
    for block in re.findall(r"^```gdb\n(.*?)^```", page(), re.MULTILINE | re.DOTALL):
        for line in block.rstrip("\n").split("\n"):
            if line.startswith(PROMPT):
                typed.append((line[len(PROMPT) :], []))
            else:
                typed[-1][1].append(line)
    return [(command, "\n".join(said)) for command, said in typed]


def script(commands):
    """A script for gdb: each command after a line with its number; an error does not end it."""
    lines = []
    for i, command in enumerate(commands):
        lines += [f"echo \\n==== {i}\\n", "python", "try:", f"    gdb.execute({command!r})"]
        lines += ["except gdb.error as e:", "    print(e)", "end"]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def said():
    """[(command, gdb's output)] of the session and of REST, on one machine."""
    commands = [command for command, _ in hunt()] + list(REST)
    said = gdb_says(script(commands), "debug")
    parts = re.split(r"^==== (\d+)$\n", said, flags=re.MULTILINE)
    assert len(parts) == 2 * len(commands) + 1, said
    return list(zip(commands, parts[2::2]))


def test_the_hunt_finds_the_owner(said):
    """Each command prints the lines that the page shows."""
    steps = hunt()
    assert len(steps) > 10
    for (command, want), (typed, text) in zip(steps, said):
        wrong = says(text, want) if want else None
        assert command == typed and not wrong, f"{command}: {wrong}\n{text}"


@pytest.mark.parametrize("command", list(REST))
def test_command(said, command):
    text = dict(said[-len(REST) :])[command]
    wrong = says(text, REST[command])
    assert not wrong, f"{wrong}\n{text}"
    assert "Python" not in text and "Traceback" not in text


def test_lines_are_readable(said):
    """Lines have at most 80 columns, and no structure is dumped."""
    for command, text in said:
        if command.startswith("k-") and command != "k-start":
            assert max(map(len, text.split("\n"))) <= 80, f"{command}\n{text}"
            assert "<repeats" not in text and " = {" not in text


def test_the_most_memory_is_debugged():
    assert "kernel_main" in gdb_says("k-start\n", "debug-1T", MEM="1T")


def test_the_page_lists_every_command():
    with open(os.path.join(qemu.ROOT, "tools/run/quarry_gdb.py"), encoding="utf-8") as f:
        usages = set(re.findall(r'usage(?:, \w+)*(?:, \w+)? = "(k-[^"]*)"', f.read()))
    assert set(re.findall(r"^\| `(k-[^`]*)` \|", page(), re.MULTILINE)) == usages
