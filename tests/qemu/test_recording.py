# SPDX-License-Identifier: MIT
"""The pure parts of tools/web/recording.py, hosted: screens, frames, moments, the picture."""
import os
import re
import xml.etree.ElementTree as ET

import pyte
import pytest
import recording


@pytest.fixture
def shows():
    """shows(bytes) -> the lines of the screen after these bytes."""
    screen = pyte.Screen(40, 4)
    stream = pyte.ByteStream(screen)

    def feed(data):
        stream.feed(data)
        return recording.lines(screen)

    feed.screen = screen
    return feed


def test_a_question_for_the_size_is_answered():
    """The kernel asks for the cursor's position after a move far beyond the screen's corner."""
    answers = []
    screen = recording.terminal_screen(100, 30, answers.append)
    stream = pyte.ByteStream(screen)
    stream.feed(b"text\x1b7\x1b[999;999H\x1b[6n\x1b8 goes on")
    assert answers == [b"\x1b[30;100R"] and screen.display[0].startswith("text goes on")


def test_the_second_screen_leaves_the_first_as_it_was():
    screen = recording.terminal_screen(40, 4, None)
    stream = pyte.ByteStream(screen)
    stream.feed(b"first\r\nline\x1b[?1049h\x1b[?25l\x1b[0m\x1b[2J\x1b[3;3Hpicture")
    assert screen.display[2].rstrip() == "  picture" and "first" not in "".join(screen.display)
    stream.feed(b"\x1b[0m\x1b[?25h\x1b[?1049l and more")
    assert [line.rstrip() for line in screen.display] == ["first", "line and more", "", ""]


def plain(frame):
    return ["".join(run[1] for run in line) for line in frame]


def film(*frames):
    made = recording.Film(40, 4)
    for seconds, frame in frames:
        made.add(seconds, frame)
    return made


def test_a_line_is_cut_where_its_colour_changes(shows):
    frame = shows(b"ab \x1b[31mcd\x1b[0m  \x1b[7m e \x1b[0m\x1b[1mf")
    first = recording.COLORS["default"]
    assert frame[0] == (
        (0, "ab", first, None, False),
        (3, "cd", recording.COLORS["red"], None, False),
        (7, " e ", recording.BACKGROUND, first, False),
        (10, "f", first, None, True),
    )
    assert frame[1:] == ((), (), ())


def test_frames_are_half_a_second_apart_and_differ(shows):
    one, two = shows(b"one"), shows(b" two")
    made = recording.Film(40, 4)
    assert made.add(0.0, one) and not made.add(0.3, two) and made.add(0.6, one)
    assert made.add(0.7, two) and made.add(9.0, two)
    assert [seconds for seconds, _ in made.frames] == [0.0, 0.7]


def test_a_line_that_stands_still_is_drawn_once(shows):
    frames = [(i, shows(b"\x1b[Hstill\r\nturn %d\r\n" % i)) for i in range(5)]
    made = film(*frames)
    picture = recording.svg(made)
    assert picture.count(">still<") == 1 and all(f">turn {i}<" in picture for i in range(5))
    spans = {content[0][1]: spans for (_, content), spans in made.pieces().items()}
    assert spans["still"] == [(0, 5)] and spans["turn 2"] == [(2, 3)]


def keys(picture, text):
    """{time in %: opacity} of the group that has @text."""
    name = re.search(rf'<g class="(\w+)">(?:(?!</g>).)*>{text}<', picture).group(1)
    rule = re.search(rf"@keyframes {name}\{{(.*?\}})\}}", picture).group(1)
    return {float(t): int(on) for t, on in re.findall(r"([\d.]+)%\{opacity:(\d)\}", rule)}


def test_each_line_is_seen_in_its_time_only(shows):
    frames = [(2.0 * i, shows(b"\x1b[Hturn %d" % i)) for i in range(3)]
    frames.append((6.0, shows(b"\x1b[Hturn 0")))
    picture = recording.svg(film(*frames))
    total = 6.0 + recording.LAST
    assert f"animation-duration:{total:.1f}s" in picture
    at = {round(i * 2 * 100 / total, 3): i for i in range(4)}
    assert {at[t]: on for t, on in keys(picture, "turn 1").items()} == {0: 0, 1: 1, 2: 0}
    assert {at[t]: on for t, on in keys(picture, "turn 0").items()} == {0: 1, 1: 0, 3: 1}
    assert ET.fromstring(picture).tag.endswith("svg")


def test_where_nothing_moves_one_frame_is_shown(shows):
    frames = [(2.0 * i, shows(b"\x1b[Hturn %d" % i)) for i in range(3)]
    for still, turn in ((None, 2), (3.0, 1), (0.0, 0)):
        made = film(*frames)
        made.still = still
        picture = recording.svg(made)
        for i in range(3):
            name = re.search(rf'<g class="(\w+)">(?:(?!</g>).)*>turn {i}<', picture).group(1)
            rule = re.search(rf"\.{name}\{{(.*?)\}}", picture).group(1)
            assert ("opacity:1" in rule) == (i == turn), (still, i)


def test_text_is_escaped(shows):
    picture = recording.svg(film((0, shows(b"<<IPI>> & more"))))
    assert "&lt;&lt;IPI&gt;&gt; &amp; more" in picture and ET.fromstring(picture) is not None


def test_a_long_film_is_thinned_until_it_fits(shows, monkeypatch):
    frames = [(i, shows(b"\x1b[H" + b"%3d" % i * 13)) for i in range(64)]
    made = film(*frames)
    monkeypatch.setattr(recording, "MAX_BYTES", 5000)
    picture = recording.fitting(made)
    assert len(picture) <= 5000 and 2 < len(made.frames) < 64
    assert made.frames[0] == frames[0] and made.frames[-1] == frames[-1]


@pytest.mark.parametrize(
    "text, name",
    [
        (b"quarry: boot, 4 CPUs", "boot"),
        (b"act 3 of 4   precise", "act-3"),
        (b"act 3 of 4\r\n node 0  ###+" + b"-" * 24, "offline-seen"),
        ("act 3 of 4\r\n node 0  ····".encode() + b"-" * 24, "offline-seen"),
        (b"quarry: PASS", "verdict"),
        (b"quarry> ", "prompt"),
    ],
)
def test_moments(shows, text, name):
    shows(text)
    names = [n for n, _ in recording.MOMENTS]
    assert name in recording.seen(recording.text_of(shows.screen), names)
    assert name not in recording.seen("nothing of that\n", names)


def test_memory_that_a_selftest_offlines_is_not_the_moment():
    assert not recording.seen("selftests 3/9\n node 0  ....----....\n", ["offline-seen"])


def test_a_hyphen_in_a_word_is_no_offline_pageblock():
    assert not recording.seen("make run -j4, self-made: 3 - 1\n", ["offline-seen"])


def test_a_frame_that_is_half_drawn_is_not_recorded(tmp_path, monkeypatch):
    """The first part of a frame has FULL bytes or more; the rest comes 0.1 s later."""
    script = tmp_path / "kernel.sh"
    row = "x" * 40 + "\\033[H"
    script.write_text(
        "printf 'quarry: boot\\r\\nquarry: PASS\\r\\n\\033[?1049h\\033[2J'\n"
        f"for i in 0 1 2 3; do printf '\\033[Hact 1 of 4   half\\033[H{row * 30}'; sleep 0.1\n"
        "printf '\\033[2J\\033[Hact 1 of 4   whole %d\\r\\nmap' $i; sleep 0.7; done\n"
        "printf '\\033[?1049lquarry> '; read line\n"
    )
    monkeypatch.setattr(recording.qemu, "ROOT", str(tmp_path))
    monkeypatch.setattr(recording, "PAUSE", 0.1)
    monkeypatch.setattr(recording, "REST", 9)  # a busy host may stop the script for long
    made = recording.Recording(["sh", str(script)], 50, 6, str(tmp_path))
    assert made.run() == 0
    shown = ["\n".join(plain(frame)) for _, frame in made.film.frames]
    assert not [text for text in shown if "xxx" in text], shown
    # A host that stops this process for long lets it miss frames, but not the last one.
    assert any("whole 3" in text for text in shown), shown
    assert "whole 3" in (tmp_path / "03-act-1.txt").read_text()


def test_a_run_is_recorded_and_ended_at_its_prompt(tmp_path, monkeypatch):
    """The recording of a shell script that behaves as the kernel does."""
    script = tmp_path / "kernel.sh"
    script.write_text(
        "stty size; printf 'quarry: boot, 4 CPUs\\r\\n'; printf 'quarry: PASS\\r\\nquarry> '\n"
        "while read line; do printf \"$line\\n\" >> typed; [ \"$line\" = halt ] && exit 7\n"
        "printf 'quarry> '; done\n"
    )
    monkeypatch.setattr(recording.qemu, "ROOT", str(tmp_path))
    monkeypatch.setattr(recording, "PAUSE", 0.3)
    made = recording.Recording(["sh", str(script)], 50, 6, str(tmp_path))
    assert made.run() == 7
    assert (tmp_path / "typed").read_text() == "map\nhalt\n"
    assert "quarry: PASS" in (tmp_path / "08-verdict.txt").read_text()
    assert "6 50" in (tmp_path / "09-prompt.txt").read_text()
    assert not recording.NEEDED & set(made.left)
    assert "quarry> map" in (tmp_path / "10-map.txt").read_text()
    assert ">quarry: PASS<" in recording.fitting(made.film)


def test_texts_of_moments_leave_the_picture_of_the_docs_alone():
    assert recording.default_out("build/moments") == "build/moments/recording.svg"
    assert recording.default_out(None) == os.path.join(recording.qemu.ROOT, recording.OUT)
