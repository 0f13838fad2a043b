# SPDX-License-Identifier: MIT
"""The live screen on a terminal, driven by keys and read from the terminal."""
import os
import random
import re
import signal

import conftest
import pytest

import qemu
import terminal

QUIET = "selftest=none tour=off"
CELLS = set(" ·.+#urURxiI-")


@pytest.fixture
def term():
    """term(cols, rows, **environment) -> Terminal"""
    all_of_them = []

    def start(*size, **environment):
        all_of_them.append(terminal.Terminal(*size, **environment))
        return all_of_them[-1]

    yield start
    for t in all_of_them:
        t.close()


def movable(t):
    """The first pfn of the last zone MOVABLE, by the command `zone`."""
    t.send("zone\r")
    t.wait(r"MOVABLE")
    t.rest(0.5)
    spans = re.findall(r"MOVABLE pfn (0x[0-9a-f]+)-(0x[0-9a-f]+)", qemu_log(t))
    return int(spans[-1][0], 16)


def qemu_log(t):
    return t.raw.decode("utf-8", "replace").replace("\r", "")


def prompt(t):
    t.wait(r"^quarry> ?$", alternate=False)


def at_prompt(t):
    prompt(t)
    return t


def opened(t):
    """@t at its prompt, and then with the live screen."""
    prompt(t)
    t.send("map\r")
    t.wait("any key", alternate=True)
    return t


@pytest.mark.parametrize("cols, rows", [(80, 24), (120, 40)])
def test_screen_has_its_parts(term, cols, rows):
    t = opened(term(cols, rows, CMDLINE=QUIET))
    t.rest(1)
    lines = t.lines
    assert re.fullmatch(r"QUARRY  4 CPUs · 2 nodes · \d+ MiB", lines[0]), t.text
    assert re.fullmatch(r"map: all memory, as it is +0:0\d", lines[1]), t.text
    cells = t.map_rows()
    assert len(cells) <= rows - 14 and set("".join(cells)) <= CELLS and "·" in "".join(cells)
    # 1 GiB: a cell is a pageblock of 2 MiB, and none is missing.
    assert sum(len(row) for row in cells) == 512, t.text
    assert [line[:7] for line in lines if line.startswith(" node")] == [" node 0", " node 1"]
    at = 2 + len(cells)
    assert lines[at].startswith(" · free  + some  # busy"), t.text
    assert lines[at + 1].startswith(" 1 cell = 2 MiB"), t.text
    cpus = re.findall(r"cpu(\d) cache \[[#. of]{10}\]", t.text)
    assert cpus == ["0", "1", "2", "3"], t.text
    assert all(len(line) <= cols for line in lines)
    t.send("x")
    prompt(t)
    assert t.sane()
    # The terminal shows its earlier text again.
    assert "quarry: PASS" in t.text


MACHINES = {
    "one_cpu": (dict(CPUS="1", NODES="1", MEM="256M"), "1 CPU · 1 node"),
    "eight_nodes": (dict(CPUS="8", NODES="8", MEM="1G"), "8 CPUs · 8 nodes"),
    "255_cpus": (dict(CPUS="255", NODES="2", MEM="1G"), "255 CPUs · 2 nodes"),
}
UNIT = {"MiB": 1, "GiB": 1024}


def expect_whole(t, cols, rows, machine, mib):
    """Check that the screen shows each node, each CPU and, by its legend, all memory."""
    lines, story = t.lines, f"{cols} x {rows}\n{t.text}"
    assert len(lines) == rows and all(len(line) <= cols for line in lines), story
    assert re.fullmatch(rf"QUARRY  {machine} · \d+ MiB", lines[0]), story
    cells = t.map_rows()
    nodes = int(machine.split()[3])
    labels = [int(n) for n in re.findall(r"^ node (\d+) ", t.text, re.MULTILINE)]
    assert labels == list(range(nodes)), story
    legend = re.search(r"^ 1 cell = (\d+) (MiB|GiB)", t.text, re.MULTILINE)
    cell = int(legend.group(1)) * UNIT[legend.group(2)]
    shown = sum(len(row) for row in cells)
    assert mib <= shown * cell <= mib + 2 * nodes * cell, story
    rest = lines[2 + len(cells) + 2 : -2]
    cpus = int(machine.split()[0])
    bars = re.findall(r"cpu\d+ cache \[[#. of]{10}\]", "\n".join(rest))
    digits = "".join(line[9:] for line in rest if re.match(r" cpu\d+ +[^c ]", line))
    assert len(bars) == cpus or (not bars and len(digits) == cpus), story
    assert lines[-1] == " any key: the prompt", story


@pytest.mark.parametrize("kind", MACHINES)
def test_screen_on_other_machines(term, kind):
    """The screen fits both sizes, and the first size again when the terminal returns to it. Nothing
    is written behind a row's end. The screen is erased only when it is opened or resized."""
    environment, machine = MACHINES[kind]
    mib = int(environment["MEM"][:-1]) * (1024 if environment["MEM"].endswith("G") else 1)
    t = at_prompt(term(80, 24, CMDLINE=QUIET, **environment))
    size = (80, 24)
    for cols, rows in (80, 24), (120, 40), (80, 24):
        t.other.wrapped = t.other.erased = 0
        if (cols, rows) == size:
            t.send("map\r")
        else:
            t.resize(cols, rows)
            t.until(lambda: t.other.erased)
            t.other.wrapped = 0  # earlier output was for another width
        t.wait(r"^ any key: the prompt$", alternate=True)
        t.rest(3)
        expect_whole(t, cols, rows, machine, mib)
        assert t.other.wrapped == 0 and t.other.erased == 1, (t.other.erased, t.text)
        size = (cols, rows)
    t.send("x")
    prompt(t)
    assert t.sane()


def test_offline_is_seen(term):
    """The screen shows an offline's steps and, as `-`, its pageblocks; its result follows."""
    t = at_prompt(term(CMDLINE=QUIET))
    start = movable(t)
    t.seen.clear()
    t.send(f"offline {start:#x} 8192 precise\r")
    t.wait(r"1 isolate \[done\] > 2 drain \[done\] > 3 move \[done\] > 4 offline \[done\]")
    assert t.lines[1].startswith(f"offline {start:#x} 8192 precise")
    t.wait("<<IPI>>", alternate=True)
    t.wait(r"^offline: done: 1 drain round, ", alternate=False)
    prompt(t)
    assert "-" in t.seen and t.sane(), t.seen
    # Commands that do not open the screen print lines as usual.
    t.send("policy precise\r")
    t.rest(1)
    assert not t.alternate


def test_size_is_followed(term):
    t = at_prompt(term(80, 24, CMDLINE=QUIET))
    t.send("zone\rzone\r")  # the prompt is then in a row that a small terminal lacks
    t.rest(0.5)
    opened(t)
    assert t.text.count("node") >= 3 and "cpu1 " in t.lines[12] + t.lines[13] + t.lines[11]
    t.resize(120, 40)
    t.wait(r"cpu0 .*cpu1 .*cpu2 ", alternate=True)
    t.resize(80, 24)
    t.wait(r"cpu0 (?!.*cpu2).*cpu1 ", alternate=True)
    # This terminal is too small for the screen, so lines are printed again.
    t.resize(60, 20)
    prompt(t)
    assert t.sane()


def test_ctrl_c_restores_the_terminal(term):
    """Ctrl-C ends the run while the screen shows the selftests, and after the verdict."""
    t = term(CMDLINE="selftest=all tour=off")
    t.wait(r"selftests \[#", alternate=True)
    t.send("\x03")
    assert t.end() == 130 and t.sane() and t.cooked(), t.text
    t = opened(term(CMDLINE=QUIET))
    t.send("\x03")
    assert t.end() == 0 and t.sane() and t.cooked(), t.text


@pytest.mark.parametrize(
    "typed", ["halt\r", "\x04", "\x03", "\x01x"], ids=["halt", "ctrl-d", "ctrl-c", "ctrl-a-x"]
)
def test_a_shell_goes_on_below_the_output(term, typed):
    """However the prompt is left after a live screen, the next output is the terminal's last."""
    t = opened(term(CMDLINE=QUIET))
    t.send("x")
    prompt(t)
    t.send("check\r")
    t.wait(r"^check: every invariant holds\nquarry> ?$", alternate=False)
    t.send(typed)
    assert t.end() == 0 and t.sane(), t.text
    t.feed(b"shell$ ")
    shown = [line for line in t.lines if line]
    assert shown[-1] == "shell$" and "check: every invariant holds" in shown, t.text


def test_killed_qemu_leaves_the_terminal_sane(term):
    path = os.path.join(qemu.BUILD, "terminal.pid")
    t = opened(term(CMDLINE=QUIET, QEMU_FLAGS=f"-pidfile {path}"))
    with open(path, encoding="ascii") as f:
        pid = int(f.read())
    os.kill(pid, signal.SIGKILL)
    assert t.end() == 1 and t.sane() and t.cooked(), t.text


def test_panic_is_readable(term):
    """The report of a fault that occurs while the screen is shown appears outside the screen."""
    t = term(120, 40, CMDLINE="selftest=none fault=null poweroff=off")
    t.wait("panic|fault", alternate=False)
    t.rest(2)
    assert t.sane(), t.text
    assert re.search(rb"1049h.*1049l.*(panic|fault)", t.raw, re.DOTALL), t.raw[-3000:]


@pytest.mark.parametrize(
    "environment",
    [{"TERM": "dumb"}, {"CMDLINE": QUIET + " picture=plain"}, {"answers": False}, {"cols": 79}],
)
def test_other_terminals_get_lines(term, environment):
    t = at_prompt(term(**{"CMDLINE": QUIET, **environment}))
    t.send("map\r")
    t.wait(r"x broken", alternate=False)
    assert b"1049h" not in t.raw
    t.send("offline 0 512\r")
    t.wait("^offline: error", alternate=False)


def test_without_utf8_a_full_stop(term):
    t = at_prompt(term(80, 24, CMDLINE=QUIET, LC_ALL="C"))
    t.send("map\r")
    t.wait(r" \. free", alternate=True)
    assert t.raw.isascii()


def test_acts_are_paused_stepped_and_left_for_lines(term):
    """While an act pauses, each `s` shows one step more. After `l` the rest is printed as lines."""
    t = term(CMDLINE="selftest=none")
    t.wait(r"^act 1 of 4 ", alternate=True)
    t.send(" ")
    for steps in range(60):
        t.send("s")
        t.rest(0.3)
        if t.lines[1].startswith("act 2 of 4"):
            break
    assert 1 <= steps < 59 and t.alternate, t.text
    t.send(" l")
    t.wait(r"^act 2 of 4: ", alternate=False)
    prompt(t)
    assert t.sane() and qemu_log(t).count("1049h") == 1
    assert re.search(r"^  precise +1 round ", qemu_log(t), re.MULTILINE), qemu_log(t)[-3000:]


def steps_to(t, pattern):
    """Pause, and step until the screen shows @pattern."""
    t.wait(r"^act 1 of 4 ", alternate=True)
    t.send(" ")
    for _ in range(60):
        if re.search(pattern, t.text, re.MULTILINE):
            return
        t.send("s")
        t.rest(0.3)
    raise AssertionError(t.story(pattern))


@pytest.mark.parametrize(
    "where",
    ["interrupts off for a moment", r"^act 2 of 4(.*\n)+ 1 isolate \[done\]"],
    ids=["before", "while"],
)
def test_lines_are_asked_for_when_a_cpu_is_held(term, where):
    """Act 1 pauses before a CPU has interrupts off; act 2 shows a range while it holds the CPU of a
    drawing thread. Both acts go on when lines are asked for."""
    t = term(CMDLINE="selftest=none", NODES="1")
    steps_to(t, where)
    t.rest(1)
    if "moment" in where:
        t.resize(60, 20)
    else:
        t.send("l")
    prompt(t)
    said = qemu_log(t)
    assert t.sane() and "quarry: PASS" in said, said[-3000:]
    assert re.search(r"^  redrain drains again; ", said, re.MULTILINE), said[-3000:]


def test_tab_goes_to_the_next_policy(term):
    """Tab ends the run of a policy, and the next policy's begins, even while the act pauses."""
    t = term(CMDLINE="selftest=none")
    t.wait(r"^act 1 of 4 ", alternate=True)
    t.send(" ")
    while "[tab] policy" not in t.text:
        t.send("s")
        t.rest(0.3)
    for policy, following in ("redrain", "disable"), ("disable", "precise"), ("precise", None):
        t.wait(rf"^  {policy} .* running$", alternate=True)
        t.send("\t")
        if following:
            t.wait(rf"^  {policy} .* \d+\.\d\d s.*\n(.*\n)?  {following} .* running$")
    # The act pauses at the result; now Tab goes to the next act, as in any act.
    t.wait(r"^ redrain drains again; ", alternate=True)
    t.wait(r"\[tab\] next", alternate=True)
    t.rest(2)
    assert t.lines[1].startswith("act 2 of 4"), t.text
    t.send(" ")
    t.wait(r"^act 3 of 4 ", alternate=True)
    assert "redrain drains again" not in t.text
    t.send("q")
    prompt(t)


def test_prompt_before_the_end_of_the_acts(term):
    t = term(CMDLINE="selftest=none")
    t.wait(r"^act 1 of 4 ", alternate=True)
    t.send("q")
    prompt(t)
    assert t.sane() and "quarry: PASS" in t.text and "act 3 of 4" not in qemu_log(t)
    t.send("halt\r")
    assert t.end() == 0


def test_selftests_are_a_bar(term):
    t = term(80, 24, CMDLINE="selftest=buddy,fail tour=off")
    t.wait(r"^not ok fail\.", alternate=False)
    t.wait("^quarry: FAIL", alternate=False)
    assert "selftests: " in t.text


def test_a_script_gets_one_frame(host):
    h = host(cpus=2, mem=256)
    out = h.ask("map")
    assert re.search(r"^ node 0  [.+#urUR]{60}", out, re.MULTILINE), out
    assert max(len(line) for line in out.split("\n")) <= 80


def test_map_around_a_page(term):
    """In the map of all memory a cell has several pageblocks; in the map around a page it has one,
    and the row of the page is marked with >."""
    t = at_prompt(term(CMDLINE=QUIET, MEM="64G"))
    t.send("map\r")
    t.wait(r"1 cell = \d+ MiB, \d+ pageblocks", alternate=True)
    t.send("x")
    prompt(t)
    t.send("map 0x800000\r")
    t.wait(r"1 cell = 2 MiB, a pageblock", alternate=True)
    cell = int(t.wait(r"^ pfn 0x800000: cell (\d+) of the row with >").group(1))
    marked = [line for line in t.lines[2:] if line[8:9] == ">"]
    assert len(marked) == 1 and len(marked[0]) > 8 + cell, t.text
    t.send("x")
    prompt(t)
    t.send("map 0xfffffffff\r")
    t.wait(r"^map: pfn 0xfffffffff: no such page", alternate=False)


def test_offline_says_what_it_waits_for(term):
    """The live screen shows the page for which an offline waits, below the figures."""
    t = at_prompt(term(CMDLINE=QUIET))
    start = movable(t)
    t.send(f"busy {start + 7:#x}\r")
    t.wait("will not be moved")
    t.send(f"offline {start:#x} 512\r")
    t.wait(rf"^ offline: \d+ s: waits for pfn {start + 7:#x} \(page busy\); Ctrl-U cancels", True)
    t.send("\x15")
    t.wait(r"^offline: error EINTR: cancelled, pfn ", alternate=False)
    prompt(t)


# ---- keys of all kinds, at random, on a terminal that changes its size ---------------------------
KEYS = ["\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1b[H", "\x1b[F", "\x1b[1~", "\x1b[3~"]
KEYS += ["\x1b[4~", "\x1bOP", "\x1bOR", "\x1b[[A", "\x1b[15~", "\x1b[1;5C", "\x1b", "\x1b["]
KEYS += ["\x1b]0;title\x07", "\t", "\t\t", "\b", "\x7f", "\x02", "\x05", "\x0b", "\x0c", "\x15"]
KEYS += ["\x17", "\r", "\r", "?"]
LINES = "mem|zone|pcp|map|map 0x8000|help|offline|query 0 512|policy|watch mem|busy 0x8803|history"
LINES += "|offline 0x8800 512|online 0x8800 512|rounds 1|load 4|load|burst 2|run lock|cpu down 1"
LINES += "|cpu up 1"
SIZES = [(80, 24), (120, 40), (60, 20), (100, 30)]
MAY = set(b"\a\b\t\n\r\x1b")  # control characters that the terminal may receive


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


@pytest.mark.parametrize("picture", ["", conftest.full(" picture=plain")])
def test_random_keys(term, drawn, picture):
    """No garbage is shown, nothing hangs, and the memory is sound.
    KEYS in the environment sets the number of actions; it is 200 otherwise, 600 with FULL=1."""
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
