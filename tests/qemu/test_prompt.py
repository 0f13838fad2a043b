# SPDX-License-Identifier: MIT
"""The prompt: help, commands without arguments, Tab, watch, progress."""
import re

import pytest

SOUND = "check: every invariant holds\n"


def at_prompt(h):
    """ask(line) -> its output; ask.keys(bytes) -> all that the terminal received up to the next
    prompt."""

    def ask(line):
        return h.ask(line).split("\n", 1)[1]

    def keys(typed, until="quarry> "):
        h.child.send(typed)
        h.child.expect_exact(until)
        return h.child.before.replace("\r\n", "\n")

    ask.host, ask.keys = h, keys
    return ask


@pytest.fixture
def prompt(host):
    return at_prompt(host(cpus=2, mem=256, programs=True))


def first(pattern, text):
    found = re.search(pattern, text, re.MULTILINE)
    assert found, f"{pattern}\nis not in\n{text}"
    return found.group(1)


def test_help_has_groups_and_examples(prompt):
    """The prompt begins with three suggested commands; help lists all, and explains each."""
    assert "Type help for the list" in prompt.host.boot
    suggested = re.findall(r"^  (\S.*?)  +\S", prompt.host.boot.split("Type help")[1], re.M)
    assert len(suggested) == 3
    said = prompt("help")
    rows = said.split("\n")
    assert len(rows) <= 24 and max(map(len, rows)) <= 80, said
    assert prompt("?") == said
    subjects = [row.split()[0] for row in rows[:-1] if re.match(r"[a-z]+ {2}", row)]
    assert subjects == ["memory", "hotplug", "broken", "tests", "machine"] + ["prompt"], said
    names = []
    for subject in subjects:
        title, *lines = prompt(f"help {subject}").split("\n")
        assert len(lines) < 22 and max(map(len, lines)) <= 80 and title, lines
        names += [line.split()[0] for line in lines if line]
    assert names == re.findall(r"^  (\S+)", prompt("help all"), re.MULTILINE)
    # The table of help has each command, too.
    table = " ".join(row[10:] for row in rows if row[:10].strip() in ("", *subjects)).split()
    assert sorted(table) == sorted(names), said
    for words in suggested:
        assert words.split()[0] in names
    for name in names:
        told = prompt(f"help {name}")
        example = first(r"^  for example: (.*)$", told)
        assert told.startswith(name) and max(map(len, told.split("\n"))) <= 80
        assert example.split()[0] in (name, "watch") and name in example
    assert prompt("help nosuch") == "nosuch: no such command; try help\n"


def test_bare_commands_show_the_present_state(prompt):
    """Commands without arguments show the state and change nothing."""
    policies = prompt("policy")
    assert re.findall(r"^(.) (\w+) ", policies, re.M) == [
        (" ", "redrain"),
        (" ", "disable"),
        ("*", "precise"),
    ]
    said = prompt("policy disable")
    assert said.startswith("policy: disable from now on:\n  one round switches "), said
    assert "\n* disable" in prompt("policy")
    for state in ("off", "on", "off"):
        assert prompt(f"trace {state}") == prompt("trace")
        assert prompt("trace").startswith(f"trace: {state}: ")
    assert prompt("busy") == "busy: no page is kept busy\n"
    assert re.fullmatch(r"burst: \d+ MiB are free\n", prompt("burst"))
    assert re.fullmatch(
        r"rounds: the busiest range that could leave: pfn 0x\w+, 4096 pages\n", prompt("rounds")
    )
    assert prompt("watch").startswith("  to be watched: mem ")
    assert prompt("load") == "load: not running\n"
    assert prompt("cpu") == "cpu: 2 of 2 online; cpus shows each\n"
    prompt("cpu down 1")
    assert prompt("run pcp") == "run: tests use CPU 1, which is offline: cpu up 1\n"
    prompt("cpu up 1")
    assert prompt("virtio") == "virtio: no memory device and no balloon\n"
    for name in ("poison", "soft", "unpoison"):
        assert prompt(name) == f"{name}: 0 pages retired, 0 flagged and in use, 0 offline\n"
    suites = prompt("run")
    assert re.search(r"^run: \d+ suites with \d+ tests", suites, re.M) and " pcp" in suites
    assert max(map(len, suites.split("\n"))) <= 80
    assert prompt("online") == "online: no memory is offline\n"
    assert prompt("remove") == "remove: no memory is offline\n"
    query = re.findall(
        r"query: pfn 0x\w+, (\d+) pages, node \d\n  (\d+) can move, (\d+) free, (\d+) neither",
        prompt("query"),
    )
    assert query and all(int(row[0]) == sum(map(int, row[1:])) for row in query), query
    assert re.match(r"evacuate: node 0: 32768 pages .*, 0 pages offline\n", prompt("evacuate"))
    could = prompt("offline")
    command = first(r"busiest of them: (offline 0x[0-9a-f]+ 4096)$", could)
    assert "offline: no memory is offline\n" in could
    assert prompt(command).startswith("offline: done")
    pfn = command.split()[1]
    range_ = f"is offline: pfn {pfn}, 4096 pages (16 MiB), node 0\n"
    assert prompt("online") == "online: " + range_
    assert "offline: " + range_ in prompt("offline")
    assert prompt("evacuate").endswith(", 4096 pages offline\n")
    assert max(map(len, could.split("\n"))) <= 80
    assert prompt(f"online {pfn} 4096") == "online: done\n"
    assert prompt("check") == SOUND


# Further commands than the examples of help: ones that are refused, or print more.
MORE = """offline 0x8000 4096|offline 0x8000 4096|offline 0 512|offline 1 2|offline x 1|offline
online|online 1 2|remove 0x8000 4096|remove 0 512|online 0x8000 4096|add 0x8000 512
add 1 512|add 0x100000 65536 7|add 0x7f00000000 65536|query 0 1024|query 0x8000 32768
query|evacuate 9|evacuate 0 whole|evacuate|evacuate 0 undo|busy 0x8803
offline 0x8800 512|query 0x8800 512|busy|busy 0|poison 0x8003|poison 0x8003|poison
soft 0x8003|soft 0|unpoison 0x8003|unpoison 0x9000|page 0x8003|page 0|page 0xffffffffff
block 0|block 0xffffffffff|cma make 100000|cma make 4|cma|cma alloc 2|cma free 9|cma end
trace maybe|trace|policy nosuch|policy|cpu down 9|cpu hang 1 1000|cpu down 0|cpu up 0
cpus|cpu|run nosuch|run quick|run fail|run|user nosuch|user fault|user|rounds x|rounds 2
load 16|load 16|load|burst 100000|burst 8 2|race R-S0A|map|map 0x8000|map x|watch map|watch halt
watch nosuch|mem|zone|pcp|counts|check|slots|virtio|mce|help nosuch|nosuch
expect-fail check"""


@pytest.mark.full
def test_no_line_is_wider_than_80_columns(host):
    """The output of all commands, and of a boot whose every option is wrong, fits the terminal."""
    h = host("selftest=buddy nosuch=1 fault=x cma=17T ipi_timeout=0", cpus=4, programs=True)
    names = re.findall(r"^  (\S+)", h.ask("help all"), re.MULTILINE)
    lines = list(names)
    for name in names:
        lines += [f"help {name}", first(r"^  for example: (.*)$", h.ask(f"help {name}"))]
    lines += [line for row in MORE.split("\n") for line in row.split("|")]
    said = {"(boot)": h.boot}
    for line in lines:
        if line.split()[0] not in ("halt", "map") and not re.match("watch (?!map|halt)", line):
            said[line] = h.ask(line).split("\n", 1)[1]
    wide = [
        f"{command}: {line}"
        for command, text in said.items()
        for line in text.replace("\r", "").split("\n")
        if len(line) > 80
    ]
    assert not wide, "\n".join(wide)
    assert len(said) > 100 and set(names) <= {line.split()[0] for line in said} | {"halt", "map"}


def test_tab_completes_words(prompt):
    """Tab completes commands, options, policies, suites, tests, and the likely pages for a
    command."""
    assert prompt.keys("che\t\r").endswith("\n" + SOUND)
    # If several words fit, Tab types their common part; the second Tab lists them.
    said = prompt.keys("c\t\t", until="quarry> c")
    assert said.endswith("\ncompact  cma  counts  check  cpus  cpu\n"), said
    assert prompt.keys("\x15\r").endswith("\n")
    assert "\npolicy: redrain from now on" in prompt.keys("pol\tred\t\r")
    assert "\npolicy: precise from now on" in prompt.keys("policy pre\t\r")
    said = prompt.keys("tra\to\t\t", until="quarry> trace o")
    assert said.endswith("\non  off\n"), said
    assert prompt.keys("\x15\r").endswith("\n")
    assert re.search(r"^ok 1 lock\b", prompt.keys("run loc\t\r"), re.MULTILINE)
    # After a dot, Tab shows the tests of a suite.
    assert re.search(r"\nlock\.\w+ ", prompt.keys("run lock.\t\t", until="quarry> run lock."))
    assert prompt.keys("\x15\r").endswith("\n")
    # Tab offers a range that can be offlined, then the same range to bring online, then a broken
    # page.
    said = prompt.keys("offline \t\tdis\t\r")
    pfn = first(r"^offline (0x\w+) 4096 disable", said)
    assert "offline: done: 1 drain round" in said
    assert prompt.keys("online \t\t\r").endswith("\nonline: done\n")
    assert prompt(f"soft {pfn}") == "soft: done\n"
    assert prompt.keys("unpoison \t\r").endswith("\nunpoison: done\n")
    # Tab completes the command after help and watch; CPUs; programs.
    assert "for example: evacuate" in prompt.keys("help evac\t\r")
    assert prompt.keys("help bro\t\r").split("\n")[1] == "pages that break"
    assert prompt.keys("cpu do\t1\t\r").endswith("cpu: done: 1 of 2 online\n")
    assert prompt.keys("cpu u\t1\r").endswith("cpu: done: 2 of 2 online\n")
    assert "exited, status 0" in prompt.keys("user hel\t\r")
    # If no word fits, Tab does nothing.
    assert prompt.keys("nosuch x\t\t\x15\x15check\t\r").endswith("\n" + SOUND)
    assert prompt("check") == SOUND


def test_watch_repeats_until_a_key(prompt):
    """Watch takes only commands that change nothing. An arrow key ends it, and types nothing."""
    for command in ("offline 1 2", "halt", "cpu down 1", "load"):
        said = prompt(f"watch {command}")
        assert said.startswith(f"watch: {command.split()[0]} changes something\n"), said
        listed = said
    # A command that follows changes by itself needs no watch; the error lists commands to watch.
    said = prompt("watch map")
    assert said.startswith("watch: map follows the memory by itself, until a key\n"), said
    shows, bare = re.fullmatch(
        r".*\n  to be watched: ([\w\s]+?)\n  and without arguments: ([\w\s]+)\n", said
    ).groups()
    assert said.split("\n", 1)[1] == listed.split("\n", 1)[1]
    assert {"mem", "zone", "check", "query"} <= set(shows.split())
    assert {"offline", "cma", "run"} <= set(bare.split()) and not {"map", "help", "race"} & set(
        shows.split() + bare.split()
    )
    # A command that needs keys itself would fail at once.
    for command in ("race", "race R-S0A", "watch", "watch mem"):
        said = prompt(f"watch {command}")
        name = command.split()[0]
        assert said.startswith(f"watch: {name} needs keys, and any key ends a watch\n"), said
    assert prompt("watch nosuch") == "nosuch: no such command; try help\n"
    child = prompt.host.child
    child.send("watch counts\r")
    for _ in range(3):
        child.expect_exact("watch: counts: every second; any key ends it")
        child.expect_exact("threads")
    assert prompt.keys("\x1b[A").endswith("\n")
    assert prompt.keys("check\r") == "check\n" + SOUND
    # A command that fails ends the watch at once.
    assert "not a number" in prompt("watch block x")
    child.send("watch policy\r")
    child.expect_exact("* precise")
    prompt.keys("q")
    assert prompt("check") == SOUND


def test_progress_is_shown_while_something_waits(host):
    """On a terminal, a row shows the progress after two seconds, and is erased at the end. This
    terminal does not tell its size, so there is no live screen."""
    prompt = at_prompt(host("selftest=none picture=live", cpus=2, mem=256))
    prompt("busy 0x8803")
    child = prompt.host.child
    child.send("offline 0x8800 512\r")
    child.expect(r"\r\033\[Koffline: (\d+) s: waits for pfn 0x8803 \(page busy\); Ctrl-U cancels")
    assert int(child.match.group(1)) >= 2
    child.send("busy\r")  # other keys are ignored
    child.expect(r"\r\033\[Koffline: \d+ s")
    said = prompt.keys("\x15")
    assert re.search(r"\r\033\[Koffline: error EINTR: ", said), said
    # A short command shows no progress.
    assert prompt("busy") == "busy: pfn 0x8803 released\n"
    assert "offline: 0 s" not in prompt("offline 0x8800 512")
    assert prompt("online 0x8800 512").endswith("online: done\n")


def test_progress_is_lines_where_a_row_cannot_be_rewritten(host):
    """Progress is lines on a terminal with picture=plain."""
    prompt = at_prompt(host("selftest=none picture=plain", cpus=2, mem=256))
    prompt("busy 0x8803")
    child = prompt.host.child
    child.send("offline 0x8800 512\r")
    child.expect(r"\noffline: \d+ s: waits for pfn 0x8803 \(page busy\); Ctrl-U cancels\r?\n")
    said = prompt.keys("\x15")
    assert re.match(r"offline: error EINTR: cancelled, ", said), said


def test_waits_are_cancelled(host):
    """Ctrl-U cancels each wait that may be long: tests, rounds, programs, loads, bursts. It
    cancels no other wait."""
    prompt = at_prompt(host("selftest=none", cpus=2, mem=256, programs=True))
    said = prompt.keys("run all\r\x15")
    found = re.search(r"^run: cancelled after (\d+) of (\d+) tests$", said, re.MULTILINE)
    assert found and int(found.group(1)) < int(found.group(2)), said
    said = prompt.keys("rounds 100000\r\x15")
    assert re.search(r"^rounds: ended early, as asked$", said, re.MULTILINE), said
    said = prompt.keys("user fuzz 3 100000000\r\x15")
    ends = r"^user: fuzz (was killed, status|not started: error EAGAIN)"
    assert re.search(ends, said, re.MULTILINE), said
    said = prompt.keys("load 100\r\x15")
    assert int(first(r"^load: (\d+) MiB in movable objects, ", said)) < 100
    assert ", 0 damaged\n" in prompt("load")
    said = prompt.keys("burst 8 100000\r\x15")
    assert re.search(r"^burst: \d{1,5} rounds? of \d+ MiB used and freed", said, re.MULTILINE)
    assert re.search(r"^compact: \d+ blocks? moved, ", prompt.keys("compact\r\x15"), re.MULTILINE)
    assert prompt("check") == SOUND


def test_newest_records_need_no_pfn(prompt):
    prompt("trace on")
    prompt("burst 1")
    said = prompt("history")
    assert said.startswith("last events: time, cpu, what, block\n"), said
    rows = re.findall(r"^ +(\d+) us  cpu \d+ +\S+ +pfn (0x\w+) order \d+$", said, re.MULTILINE)
    assert len(rows) == 12 and [int(row[0]) for row in rows] == sorted(int(row[0]) for row in rows)
    assert re.match(rf"history of pfn {rows[-1][1]}: time", prompt(f"history {rows[-1][1]}"))
    assert "not a number" in prompt("history x")


@pytest.mark.parametrize("word", ["quit", "exit"])
def test_other_words_for_halt(host, word):
    h = host("selftest=none", cpus=1, mem=128)
    h.child.send(word + "\r")
    h.child.wait()
    assert h.child.exitstatus == 33
