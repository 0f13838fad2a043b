# SPDX-License-Identifier: MIT
"""Keys of all kinds, typed at random on a real terminal that changes its size: no garbage, no hang,
and a sound memory."""
import os
import random

import conftest
import pytest
import terminal

KEYS = ["\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[H", "\x1b[F", "\x1b[1~", "\x1b[3~"]
KEYS += ["\x1b[4~", "\x1bOP", "\x1bOR", "\x1b[[A", "\x1b[15~", "\x1b[1;5C", "\x1b", "\x1b["]
KEYS += ["\x1b]0;title\x07", "\t", "\t\t", "\b", "\x7f", "\x02", "\x05", "\x0b", "\x0c", "\x15"]
KEYS += ["\x17", "\r", "\r", "?"]
LINES = "mem|zone|pcp|map|map 0x8000|help|offline|query 0 512|policy|watch mem|busy 0x8803|history"
LINES += "|offline 0x8800 512|online 0x8800 512|rounds 1|load 4|load|burst 2|run lock|cpu down 1"
LINES += "|cpu up 1"
SIZES = [(80, 24), (120, 40), (60, 20), (100, 30)]
MAY = set(b"\a\b\t\n\r\x1b")  # control characters that the terminal may receive


@pytest.fixture
def term():
    all_of_them = []

    def start(**environment):
        all_of_them.append(terminal.Terminal(80, 24, **environment))
        return all_of_them[-1]

    yield start
    for t in all_of_them:
        t.close()


def typed(rand, t):
    """Perform one random action of a user."""
    what = rand.random()
    if what < 0.25:
        t.send(rand.choice(LINES.split("|")) + "\r")
    elif what < 0.9:
        t.send(rand.choice(KEYS) if rand.random() < 0.6 else chr(rand.randrange(32, 127)))
    elif what < 0.95:
        t.resize(*rand.choice(SIZES))
    else:
        t.send(bytes(rand.randrange(128, 256) for _ in range(3)).decode("latin-1"))


@pytest.mark.parametrize("picture", ["", pytest.param(" picture=plain", marks=pytest.mark.full)])
def test_random_keys(term, drawn, picture):
    """KEYS in the environment sets the number of actions; it is 200 otherwise, 600 with FULL=1."""
    rand = random.Random(int(drawn, 0))
    t = term(CMDLINE="selftest=none tour=off" + picture, CPUS="2", MEM="256M")
    t.wait(r"^quarry> ?$", alternate=False)
    for _ in range(int(os.environ.get("KEYS", 600 if conftest.whole() else 200))):
        typed(rand, t)
        t.rest(0.02)
    # A key ends a watch or the map; q leaves a live screen, which a key may have paused; Ctrl-U
    # ends a running command, or erases typed text.
    t.resize(80, 24)
    for _ in range(20):
        t.send("xq\x15\r")
        t.rest(0.5)
    t.send("\x0c")
    t.wait(r"\A\s*quarry> ?\s*\Z", alternate=False)
    t.send("check\r")
    t.wait(r"^check: every invariant holds$", alternate=False)
    assert t.sane(), (drawn, t.text)
    odd = {byte for byte in t.raw if byte < 32} - MAY
    assert not odd and 127 not in t.raw, (drawn, odd)
    t.raw.decode("utf-8")
    t.send("halt\r")
    assert t.end() == 0, (drawn, t.text)
