# SPDX-License-Identifier: MIT
"""`make race STEP=1` on fibers: the screen, the keys, the text at the end, and ways to leave."""
import os
import re
import subprocess
import termios
import time

import conftest
import pexpect
import pyte
import pytest
import qemu
import race
import race_engine
import race_step
import race_view
import race_why
from test_step import PROMPT, outcome_of, race_child, rows, script_of

SCRIPTS = {s.name: s for s in race.scripts()}


def text_of(name):
    with open(os.path.join(qemu.ROOT, "tests/races", name + ".race"), encoding="utf-8") as f:
        return f.read()


@pytest.fixture(scope="module")
def fiber():
    """fiber(variant) -> the hosted program."""
    return lambda ident="none": race_step.fiber_program(qemu.BUILD, ident)


@pytest.fixture
def steps(make, text_file):
    """steps("R-S0A", "abq") -> the stepper's output; it gets the keys from a pipe."""

    def run(name, keys, expected=0, **settings):
        with open(text_file("keys", keys), encoding="utf-8") as f:
            status, out = make(
                "race", stdin=f, timeout=qemu.WATCHDOG, NAME=name, STEP=1, **settings
            )
        assert status == expected, out
        assert not [line for line in out.split("\n") if len(line) > race_view.WIDTH], out
        return out

    return run


# ---- a terminal ----------------------------------------------------------------------------------


class Terminal:
    def __init__(self, name, **environment):
        self.child = race_child(name, **({"TERM": "xterm"} | environment))
        self.screen = pyte.Screen(race_view.WIDTH + 1, 24)
        self.stream = pyte.Stream(self.screen)
        self.text = self.shown()

    def shown(self):
        """The screen at the next prompt; nothing is behind the columns that it has."""
        self.child.expect(PROMPT)
        self.stream.feed(self.child.before + self.child.after)
        lines = [line.rstrip() for line in self.screen.display]
        assert max(map(len, lines)) <= race_view.WIDTH, lines
        return "\n".join(lines)

    def press(self, key):
        self.child.send(key)
        return self.shown()

    def left(self, how):
        """Leave by how(): (exit status, output)."""
        how()
        self.child.expect(pexpect.EOF)
        text = self.child.before
        if self.child.isalive():
            self.child.wait()
        return self.child.exitstatus or self.child.signalstatus or 0, text


@pytest.fixture
def terminal():
    started = []

    def start(name, **environment):
        started.append(Terminal(name, **environment))
        return started[-1]

    yield start
    for one in started:
        one.child.close(force=True)


def test_screen(terminal):
    """The first screen names the code, and how to choose right or wrong code. Each move shows its
    source; the end gives the reason."""
    one = terminal("R-S0A")
    text = one.text
    assert text.startswith("R-S0A: a page slips into a cache")
    assert "WRONG CODE M02" in text and "The right code: NAME='R-S0A right'" in text
    assert re.search(r"\[b\] B on CPU 1: next: offline\(P\)\n +tests/races/ops.c:\d+ ", text)
    text = one.press("a")
    assert re.search(
        r"\[a\] A on CPU 0: at free.prep, irqs on\n"
        r" +mm/core/pcp_inline.h:\d+  flags = arch_irq_save\(\);\n"
        r" +behind: the page was looked at; ahead: the interrupt-off section\n",
        text,
    ), text
    assert "  1 a  A at free.prep; P is being freed\n" in text
    text = one.press("?")
    assert all(line in text for line in race_step.KEYS.split("\n")), text
    text = one.press("r")
    assert re.search(r"STUCK after \d+ moves:\nB waits in a loop", text), text
    assert "The cache of CPU 0 holds P since move" in text
    assert "The right code prevents it at mm/core/pcp_inline.h:" in text
    text = one.press("u")
    assert "undone: back after" in text and "STUCK" not in text
    status, text = one.left(lambda: one.child.send("q"))
    assert status == 0 and re.search(r"left after \d+ of about \d+ moves", text), text


def test_arrows_follow_the_recorded_order_and_go_back(terminal):
    """As on the web page. A terminal sends an arrow in either of two forms."""
    one = terminal("R-S0A")
    assert "right arrow (>) the next recorded move, left arrow (<) back" in " ".join(
        one.text.split()
    )
    assert "  1 a  A at free.prep; " in one.press("\x1b[C")
    assert re.search(r"^   2 b  B ", one.press("\x1bOC"), re.MULTILINE)
    assert "undone: back after 1 move" in one.press("\x1b[D")
    text = one.press("\x1bOD")
    assert "undone: back after 0 moves" in text and " 1 a " not in text, text
    text = one.press("r")
    assert "STUCK" in text and "'>': it is over; u goes back" in one.press("\x1b[C")


OTHERS = ["\x1b[5~", "\x1b[15~", "\x1b[1;5C", "\x1b[A", "\x1b[[A", "\x1bOP", "\x1ba", "\x1b\x1b[C"]


def test_other_escape_sequences_do_nothing(terminal):
    """Not one byte of them is a key: neither the letter of a role nor an unknown one."""
    one = terminal("R-S0A")
    one.child.send("".join(OTHERS) + "\x1b]0;a\x07\x1b]0;b\x1b\\\x1b")
    time.sleep(5 * race_step.PAUSE)  # after which the last Escape is a key of its own
    text = one.press("b")
    assert re.search(r"^   1 b  B ", text, re.MULTILINE) and "no such key" not in text, text


def test_right_code_on_a_dumb_terminal(terminal):
    """With `right` the same order ends well. A dumb terminal gets lines, and no escapes."""
    one = terminal("R-S0A right", TERM="dumb")
    assert "\x1b" not in one.child.before
    assert "RIGHT CODE" in one.child.before and "Wrong code: NAME=R-S0A" in one.child.before
    one.child.send("r")
    one.child.expect(PROMPT)
    assert "OK after" in one.child.before and "\x1b" not in one.child.before
    status, text = one.left(lambda: one.child.send("q"))
    assert status == 0 and "played to its end: OK after" in text


@pytest.mark.parametrize("way", ["interrupt", conftest.full("end")])
def test_leaving_restores_the_terminal(terminal, way):
    one = terminal("R-S1")
    one.press("b")
    during = termios.tcgetattr(one.child.child_fd)[3]
    assert not during & termios.ICANON
    keep = os.dup(one.child.child_fd)
    try:
        status, text = one.left(one.child.sendintr if way == "interrupt" else one.child.sendeof)
        assert "left after 1 of about" in text and "nothing was judged" in text, text
        assert (status != 0) == (way == "interrupt")
        after = termios.tcgetattr(keep)
        assert after[3] & termios.ICANON and after[3] & termios.ECHO
    finally:
        os.close(keep)


# ---- a pipe --------------------------------------------------------------------------------------


def test_keys_from_a_pipe(steps, fiber, text_file):
    """Newlines are ignored; unknown keys are refused; the script printed for a hang hangs."""
    out = steps("R-S0A M02", "a\nB\nAx a\nBBBBBBB q")
    assert "'x': no such key" in out and "A cannot move: free(P) returned 0" in out, out
    assert "played to its end: STUCK after" in out
    assert "your moves: ab\n" in steps("R-S0A M02", "\x1b[C>\x1b[C\x1b[D\x1b[5~\x1b")
    script = script_of(out)
    assert "expect: STUCK" in script and outcome_of(fiber("M02"), text_file, script) == "STUCK"


def test_end_of_the_keys_leaves(steps, fiber, text_file):
    """The script ends where the reader stopped; `none` is the right code."""
    out = steps("R-S0A none", "")
    assert "RIGHT CODE" in out and "your moves: none" in out
    assert re.search(r"left after 0 of about \d+ moves: .*nothing was judged", out)
    out = steps("R-S0A,right", "abbb")
    assert "your moves: abbb" in out and "left after 4 of about" in out
    script = script_of(out)
    assert script.endswith("B?iso.range_done\nexpect: OK\n"), script
    assert outcome_of(fiber(), text_file, script) == "OK"


def test_stores_that_other_cpus_see_late(steps):
    """A store is named while only its CPU sees it, and again when it arrives."""
    out = steps("R-TSO", ">>>>>r")
    assert "written, not seen yet by other CPUs: page->word, stack->top" in out, out
    assert "returned -EBUSY; A's stores arrive: page->word" in out, out
    assert "model: tso" in out and "not seen yet" not in steps("R-TSO", "r", MODEL="sc")


def test_undo(steps):
    """A step back and the same move again lead to the same place; before the first move, no step
    back is possible."""
    once, again = steps("R-S1b", "ubbb"), steps("R-S1b", "bbbu<bb")
    assert "there is no move to undo" in once
    assert [r for r in rows(once)] == [r for r in rows(again)][-3:] or rows(again)[-1] == rows(
        once
    )[-1]
    assert "undone: back after 1 move\n" in again and "your moves: bbb" in again


def test_from_the_hang_back_to_success(fiber):
    """Moves are undone until the drain has not begun. Then the page is freed in time, and all
    operations end."""
    stepper = race_engine.Stepper(fiber("M02"), SCRIPTS["R-S0A"])
    stepper.boot("abbbbbb")
    while not stepper.outcome:
        stepper.move(stepper.movable[0].upper() if "b" not in stepper.movable else "b")
        if stepper.movable == "ab" and stepper.pictures[-1].roles["B"] == "at offline.test":
            stepper.move("A")
    assert stepper.outcome == "STUCK" and "in the cache of" in stepper.pictures[-1].page
    while stepper.pictures[-1].roles["B"] != "at iso.range_done":
        before = stepper.moves
        assert stepper.back() and stepper.moves == before[:-1]
    stepper.move("A")
    while not stepper.outcome:
        stepper.move(stepper.movable[0].upper())
    stepper.end()
    assert stepper.outcome == "OK", stepper.why


def test_left_the_recorded_order(steps):
    out = steps("R-S0A right", "aA bbr q")
    assert "your moves left the recorded order at move 2" in out, out


def test_result_that_the_script_does_not_expect(steps):
    """A wrong result is explained by the expected and the real result, the move that caused it, and
    the line that prevents it."""
    out = steps("R-VM-limit", "r")
    assert re.search(
        r"WRONG after \d+ moves: an operation of B failed its script\.\n"
        r"Expected of B in the recorded order: 0; its operation returned -EDQUOT\.\n"
        r"It has been so since move \d+\.\n"
        r"The right code ",
        out,
    ), out


def test_broken_invariant(steps):
    out = steps("R-S1b", "r")
    assert re.search(
        r"WRONG after \d+ moves, CHECK\(I-P6\):\n"
        r"Expected: while caches are off, every capacity is 0 \(I-P6\); found: cached while\n"
        r"disabled, on CPU 0: 1, should be 0\.\n"
        r"The last check that passed was at the start, so it broke by move \d+; page P and\n"
        r"the caches are as shown since move \d+ \(b\)\.\n"
        r"The right code prevents it at mm/core/drain.c:\d+, ",
        out,
    ), out


def test_count_of_the_script(steps):
    out = steps("R-S2", "r")
    assert "WRONG, COUNT(tries): in the recorded order the script expects tries=1;" in out, out


STUCK = [
    ("R-S3C", "A waits for an answer from CPU 1, irqs off; B", "B keeps interrupts off on CPU"),
    ("R-S3B U05", "B waits for the reclaim thread", "The reclaim thread needs cpu_hotplug"),
    ("R-S2-stray J03", "B waits for lock page moved", "No role holds it: the page has moved"),
]
MORE_STUCK = [
    ("R-S3B M81", "B waits for lock cpu_hotplug", "B itself holds cpu_hotplug since move 1 "),
    ("R-S3G", "B waits for lock zone", "A holds zone, and would release it once its own"),
    ("R-ADD OD03", "B waits for lock mem_hotplug", "A holds mem_hotplug since move 2 "),
]


@pytest.mark.parametrize("name, waits, holds", STUCK + [conftest.full(*row) for row in MORE_STUCK])
def test_stuck(steps, name, waits, holds):
    """Three sentences name the lock or answer that is waited for, its holder, and the line of the
    right code."""
    out = " ".join(steps(name, "r").split())
    said = out[out.index("STUCK ") :]
    assert waits in said and holds in said, said
    assert re.search(r"The right code (prevents it at|has no) .*\w+/\w+\.[ch]:\d+", said), said


# ---- every script --------------------------------------------------------------------------------


def recorded(program, script, text):
    """(stepper, record) after all moves of the recorded script."""
    stepper = race_engine.Stepper(program, script)
    record = race_engine.Record(text)
    stepper.boot()
    record.take(stepper.pictures[0])
    while not stepper.outcome:
        key = record.next(stepper.movable)
        if not key:
            break
        stepper.move(key)
        record.take(stepper.pictures[-1])
    stepper.end()
    return stepper, record


@pytest.mark.full
def test_every_recorded_move_fits_the_screen(fiber):
    """In all scripts with the right code, each state fits 80 columns and 24 rows, with a source
    line and a phrase for each role that can move. The recorded order reaches its end."""
    program = fiber()
    source = race_view.Source(qemu.ROOT)
    played = 0
    for name, script in SCRIPTS.items():
        stepper, record = recorded(program, script, text_of(name))
        # These scripts stop the reclaim thread, or a role that another needs; a stepper cannot.
        if name not in ("R-S3K", "R-STUCK"):
            assert stepper.outcome and not record.lost, (name, record.lost, record.cursor)
            assert (stepper.outcome == "OK") == (script.expect["none"] == "OK"), name
            assert not record.strayed and not record.wrong, (name, record.strayed)
        view = race_view.View(race_step.heading(script, "none"), source)
        for i, picture in enumerate(stepper.pictures):
            view.notes = race_view.wrap("a note of some words " * 8)
            lines = view.screen(stepper.pictures[: i + 1], picture.movable(), {}, 23)
            assert len(lines) <= 23 and max(map(len, lines)) <= 80, "\n".join(lines)
            full = view.blocks.of(picture, picture.movable(), {})
            for key in picture.movable():
                at = next(n for n, line in enumerate(full) if line.startswith(f"[{key}]"))
                at += full[at + 1].startswith("      written, not seen yet by other CPUs: ")
                assert re.match(r" {6}\S+\.[ch]:\d+", full[at + 1]), "\n".join(full)
                assert re.match(r" {6}(behind: \S.*; ahead: \S|it begins )", full[at + 2]), full
        played += len(stepper.moves)
    assert played > 1000


# A script as the explorer prints it.  No entry says that A arrives at the place that it leaves, or
# when B goes on.
FOUND = """race: found
title: found by the explorer
policy: precise
setup: A:scene
script: A!free(P) ; B!offline(P) ; A@free.prep ; A:join ; B:join=0 ; check final
expect: STUCK
"""


def test_a_script_of_the_explorer_ends_as_the_engine_ends_it(fiber, text_file):
    path = text_file("found.race", FOUND)
    script = race.Script(path)
    script.name = path  # the program takes a file, too, instead of a name
    stepper, record = recorded(fiber("M02"), script, FOUND)
    assert stepper.outcome == "STUCK" and not record.strayed, (stepper.moves, record.strayed)


def test_source_lines_are_there():
    """Each point of the code has a line, which is in the named file at that number."""
    source = race_view.Source(qemu.ROOT)
    for point in source.sites:
        place = source.point(point)
        path, number = re.match(r"([\w/.]+):(\d+)", place.where).groups()
        with open(os.path.join(qemu.ROOT, path), encoding="utf-8") as f:
            assert " ".join(f.read().split("\n")[int(number) - 1].split()) == place.line
        assert place.behind and place.ahead, point


def test_every_variant_names_its_line():
    """The text about each wrong variant names a line of the right code, or a line that the variant
    adds."""
    for script in SCRIPTS.values():
        assert race_step.shown_variant(script) in script.expect
        for ident in script.expect:
            text = race_why.right_code(ident, script)
            assert ident == "none" or re.search(r"\w+/\w+\.[ch]:\d+", text), (ident, text)


def test_default_variant():
    """The default is the variant that docs/races shows with the script."""
    shown = {name: race_step.shown_variant(s) for name, s in SCRIPTS.items()}
    assert shown["R-S0A"] == "M02" and shown["R-S3B"] == "M81" and shown["R-OVL"] == "none"


@pytest.mark.full
def test_program_from_nothing(tmp_path, capfd):
    """In an empty build directory only the hosted program is built, with progress."""
    program = race_step.fiber_program(str(tmp_path), "none")
    assert program and sorted(os.listdir(tmp_path)) == ["fiber"], os.listdir(tmp_path)
    assert "building the race program ..." in capfd.readouterr().out
    assert subprocess.run([program, "R-S1"], stdout=subprocess.DEVNULL).returncode == 0
