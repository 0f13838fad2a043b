# SPDX-License-Identifier: MIT
"""Every command of the monitor: its exact output, its arguments, and its refusals; offlining in
rounds under stress (rounds=N)."""
import re

import pytest

NUMBER = "{}: not a number (decimal, or 0x and hexadecimal)"
UNALIGNED = "PFN and NR must be multiples of 512"
FIRST = 0x8000  # first pfn of zone MOVABLE, on a machine of 256 MiB
COME = 0x100000  # a pfn at which memory may be added
POLICIES = ("redrain", "disable", "precise")


@pytest.mark.parametrize("policy", POLICIES)
def test_offline_rounds_under_stress(passes, policy):
    """A twentieth of `make soak TARGET=offline`."""
    run = passes(f"selftest=none isolation={policy} rounds=25", cpus=4, nodes=[512, 512])
    each = r"\d+ drain rounds" if policy == "redrain" else r"25 drain rounds \(one each\)"
    run.says(rf"^rounds: {policy}: 25 offlines of 16 MiB: {each}")
    moved = int(re.search(r"(\d+) blocks moved", run.text).group(1))
    damaged = int(re.search(r"(\d+) damaged", run.text).group(1))
    assert moved > 0 and damaged == 0


@pytest.fixture
def ask(host):
    """ask(line) -> its output, without the line itself; ask.says(line, words) checks that the
    output consists of the lines @words; ask.cancelled(line) types Ctrl-U behind the line."""

    def start(**machine):
        h = host(cpus=2, mem=256, programs=True, **machine)

        def ask(line):
            # The log has the typed line, then the output.
            return h.ask(line).split("\n", 1)[1]

        def says(line, *words):
            assert ask(line) == "".join(w + "\n" for w in words), line

        def cancelled(line):
            h.child.send(line + "\r\x15")
            return h.until("quarry> ").split("\n", 1)[1]

        ask.says, ask.cancelled, ask.host = says, cancelled, h
        return ask

    return start


def matches(have, *lines):
    """Check that @have consists of the lines @lines, which are regular expressions."""
    pattern = "".join(line + "\n" for line in lines)
    assert re.fullmatch(pattern, have), f"{have}\nis not\n{pattern}"


def test_ranges(ask):
    ask = ask()
    before = ask.host.managed()
    pfn, done = (
        FIRST + 0x4000,
        "offline: done: 1 drain round, {}\noffline: 0 blocks moved in 1 pass, 0 retries",
    )
    for command in ("offline", "online", "remove", "query", "add"):
        ask.says(f"{command} x 512", NUMBER.format("x"))
        ask.says(f"{command} 512 y", NUMBER.format("y"))
        assert ask(f"{command} 512").startswith(f"usage: {command} PFN NR")
        assert ask(f"{command} 512 1 2 3").startswith(f"usage: {command} PFN NR")
    ask.says(f"offline {pfn:#x} 512 nope", "nope: no such policy: redrain, disable, precise")
    ask.says(f"offline {pfn:#x} 512 redrain", done.format("0 IPIs"))
    ask.says(f"offline {pfn:#x} 512", f"offline: error EALREADY: already offline, pfn {pfn:#x}")
    matches(
        ask(f"block {pfn:#x}"),
        rf"pageblock 0x60 \(pfn {pfn:#x}\): offline, movable, zone 2, 0 pages free",
    )
    ask.says(f"online {pfn + 1:#x} 512", f"online: error EINVAL: {UNALIGNED}")
    ask.says(f"online {pfn:#x} 512", "online: done")
    ask.says(f"online {pfn:#x} 512", f"online: error EALREADY: already online, pfn {pfn:#x}")
    ask.says("online 512 0", "online: error EINVAL: no pages: NR is 0")
    nowhere = "offline: error EINVAL: outside of the memory that there is"
    ask.says("offline 0x800000000 512", nowhere)
    # An offline without a policy's name uses the machine's policy.
    ask.says("policy nope", "nope: no such policy: redrain, disable, precise")
    assert ask("policy redrain").startswith("policy: redrain from now on:\n  drain the CPUs ")
    assert "policy redrain" in ask("mem")
    ask.says(f"offline {pfn:#x} 512", done.format("0 IPIs"))
    ask.says(f"online {pfn:#x} 512", "online: done")
    assert ask("policy precise").startswith("policy: precise from now on:\n  one round fetches ")
    ask.says(f"offline {pfn:#x} 512 disable", done.format("1 IPI"))
    # Offline memory can be removed, and then added as new memory.
    ask.says(f"remove {FIRST:#x} 512", "remove: error EBUSY: some of it is not offline")
    ask.says(f"remove {FIRST + 1:#x} 512", f"remove: error EINVAL: {UNALIGNED}")
    ask.says(f"remove {pfn:#x} 512", "remove: done")
    matches(ask(f"block {pfn:#x}"), r".*: hole.*")
    # A script would end at a command that fails; the page is gone, its history is not.
    said = ask(f"expect-fail page {pfn:#x}")
    assert said.startswith(f"page: pfn {pfn:#x}: no such page\nhistory of pfn {pfn:#x}: "), said
    assert "did not fail" not in said
    assert ask(f"history {pfn:#x}").startswith(f"history of pfn {pfn:#x}: ")
    ask.says("add 1 512", f"add: error EINVAL: {UNALIGNED}")
    ask.says(f"add {FIRST:#x} 32768", "add: error EEXIST: some of it is there")
    ask.says("add 0x10000000 512", "add: error EINVAL: no memory can come there")
    ask.says(f"add {COME:#x} 32768 1", "add: error ENODEV: no such node")
    ask.says(f"add {COME:#x} 32768 8589934592", "add: error ENODEV: no such node")
    ask.says(f"add {COME:#x} 32768 z", NUMBER.format("z"))
    ask.says(f"add {COME:#x} 32768", "add: done: offline, on node 0")
    ask.says(f"add {COME:#x} 32768 0", "add: error EEXIST: some of it is there")
    ask.says(f"online {COME:#x} 32768", "online: done")
    assert ask.host.managed() == before - 2 + 128
    ask.says(f"offline {COME:#x} 32768 precise", done.format("1 IPI"))
    ask.says(f"remove {COME:#x} 32768", "remove: done")
    ask.says(f"remove {COME:#x} 32768", "remove: error EINVAL: no memory is there")
    # A query names the blockers.
    matches(
        ask("query 0 512"),
        r" +(\d+) pages: reserved page, the first at pfn 0",
        r"         0 pages can move, \d+ are free",
        "query: an offline would be refused:",
        "query: error EBUSY: reserved page, pfn 0",
    )
    ask.says(
        f"query {FIRST + 1:#x} 512",
        "         0 pages can move, 0 are free",
        "query: an offline would be refused:",
        f"query: error EINVAL: {UNALIGNED}",
    )
    ask.says(
        f"query {FIRST:#x} 512",
        "         0 pages can move, 512 are free",
        "query: an offline would be tried",
    )
    ask.says("check", "check: every invariant holds")


def test_nodes_and_busy_pages(ask):
    ask = ask()
    gone = "evacuate: {0} pages offlined, 0 stayed; drain rounds: {1}, blocks moved: 0"
    ask.says("evacuate 0 all", "usage: evacuate NODE [whole|undo]")
    ask.says("evacuate x", NUMBER.format("x"))
    # All pageblocks are offlined except the last, which holds the boot modules.
    pages = 63 * 512
    ask.says("evacuate 0", gone.format(pages, 1), "evacuate: done")
    ask.says("evacuate 0 undo", f"evacuate: {pages} pages are back online")
    ask.says("evacuate 0 whole", gone.format(pages, 1), "evacuate: done")
    ask.says("evacuate 0 undo", f"evacuate: {pages} pages are back online")
    assert ask("evacuate 1").startswith(
        "evacuate: 0 pages offlined, 0 stayed; drain rounds: 0, blocks moved: 0\nevacuate: error "
        "EINVAL: no such node"
    )
    for node in ("1", "4294967296"):
        ask.says(f"evacuate {node} undo", "evacuate: error EINVAL: no such node")
    matches(ask("compact"), r"compact: \d+ blocks? moved, \d+ could not be moved")
    # A page that cannot be moved keeps its pageblock online. Then `whole` offlines no pageblock.
    pfn = FIRST + 0x803
    ask.says(f"busy {pfn:#x}", f"busy: pfn {pfn:#x} will not be moved")
    matches(
        ask.cancelled("evacuate 0 whole"),
        r"evacuate: 0 pages offlined, \d+ stayed; .*",
        r"evacuate: error (EINTR|EBUSY): .*",
    )
    # An offline waits for the page until it is cancelled; then all is as before.
    block = f"{FIRST + 0x800:#x} 512"
    ask.says(
        f"query {block}",
        "         1 page can move, 511 are free",
        f"         1 of them by its owner, the first at pfn {pfn:#x} (busy_isolate)",
        f"query: an offline would wait for pfn {pfn:#x}, which is kept busy",
    )
    shown = ask.cancelled(f"offline {block}")
    assert re.fullmatch(
        r"offline: error EINTR: cancelled, pfn 0x[0-9a-f]+\n"
        r"(offline: 0 blocks moved in \d+ pass(es)?, \d+ retr(y|ies)\n)?",
        shown,
    ), shown
    assert "isolated" not in ask(f"block {pfn:#x}")
    ask.says("busy x", f"busy: pfn {pfn:#x} released", NUMBER.format("x"))
    ask.says("busy", "busy: no page is kept busy")
    ask.says("busy 0", "busy: error EBUSY: reserved page, pfn 0")
    ask.says(f"busy {pfn + 1:#x}", f"busy: pfn {pfn + 1:#x} will not be moved")
    ask.says(
        f"busy {pfn:#x}",
        f"busy: pfn {pfn + 1:#x} released",
        f"busy: pfn {pfn:#x} will not be moved",
    )
    ask.says("busy", f"busy: pfn {pfn:#x} released")
    assert ask(f"offline {block}").startswith("offline: done: 1 drain round, ")
    ask.says(f"online {block}", "online: done")
    ask.says("check", "check: every invariant holds")


def test_broken_pages(ask):
    ask = ask()
    pfn = FIRST + 0x700
    for command in ("poison", "soft", "unpoison"):
        ask.says(f"{command} x", NUMBER.format("x"))
    ask.says("poison", "poison: 0 pages retired, 0 flagged and in use, 0 offline")
    ask.says(f"poison {pfn:#x}", "poison: done", "poison: page was FREE; out of use")
    ask.says(
        f"poison {pfn:#x}",
        "poison: error EHWPOISON: flagged already",
        "poison: page was HWPOISON; nothing was done",
    )
    ask.says(
        "poison 0x1",
        "poison: error EBUSY: in use, and cannot be moved",
        "poison: page was RESERVED; in use, until it is freed",
    )
    ask.says(f"soft {pfn + 1:#x}", "soft: done")
    ask.says("soft 0xfffffff0", "soft: error ENXIO: no such page, or it is offline")
    ask.says("poison 0xfffffff0", "poison: error ENXIO: no such page, or it is offline")
    ask.says(
        "poison",
        "poison: 2 pages retired, 1 flagged and in use, 0 offline",
        "  pfn 0x1 in use",
        f"  pfn {pfn:#x} retired",
        f"  pfn {pfn + 1:#x} retired",
    )
    ask.says("unpoison 0x1", "unpoison: error EBUSY: in use, and cannot be moved")
    ask.says(f"unpoison {pfn:#x}", "unpoison: done")
    ask.says(f"unpoison {pfn:#x}", "unpoison: error EINVAL: it is not flagged")
    # In an offline pageblock only the flag of a broken page is known.
    block = FIRST + 0x600
    assert ask(f"offline {block:#x} 512").startswith("offline: done")
    matches(
        ask(f"poison {block:#x}"),
        "poison: .*",
        "poison: offline; flagged, so it stays out of use when it comes online",
    )
    ask.says(
        "poison",
        "poison: 0 pages retired, 1 flagged and in use, 2 offline",
        "  pfn 0x1 in use",
        f"  pfn {block:#x} offline",
        f"  pfn {pfn + 1:#x} offline",
    )
    ask.says(f"online {block:#x} 512", "online: done")
    assert "         2 are broken and out of use\n" in ask(f"query {block:#x} 512")
    for broken in (block, pfn + 1):
        ask.says(f"unpoison {broken:#x}", "unpoison: done")
    # The printed list of broken pages has a maximal length.
    for broken in range(64):
        ask(f"soft {FIRST + 1024 + broken:#x}")
    assert ask("poison").count("\n") == 1 + 64 + 1 and ask("poison").endswith("\n  and more\n")
    ask.says(f"unpoison {FIRST + 1024:#x}", "unpoison: done")
    assert ask("poison").count("\n") == 1 + 64 and not ask("poison").endswith("\n  and more\n")
    ask.says("check", "check: every invariant holds")


def test_cpus_and_counts(ask):
    ask = ask()
    usage = "usage: cpu down N, cpu up N, cpu hang N [MS]"
    ask.says("cpu foo 1", usage)
    ask.says("cpu down x", NUMBER.format("x"))
    ask.says("cpu hang 1 y", NUMBER.format("y"))
    assert ask("cpu down") == ask("cpu hang 1 2 3") == "usage: cpu down|up|hang N [MS]\n"
    ask.says("cpu down 1 5", usage)
    ask.says("cpu up 1 5", usage)
    for cpu in ("2", "4294967296", "99999999999"):
        ask.says(f"cpu down {cpu}", "cpu: error ENODEV: no such CPU")
        ask.says(f"cpu up {cpu}", "cpu: error ENODEV: no such CPU")
        ask.says(f"cpu hang {cpu}", "cpu: error ENODEV: no such CPU")
    ask.says("cpu hang 1 3600001", "cpu hang: at most 3600000 ms")
    threads = re.compile(r"^  (?:threads|objects|tasks) .*$", re.MULTILINE)
    rests = threads.findall(ask("counts"))
    took = int(
        re.fullmatch(
            r"cpu: CPU 1 has interrupts off for 300 ms; a call waits for it\n"
            r"cpu: all have answered after (\d+) ms\n",
            ask("cpu hang 1 300"),
        ).group(1)
    )
    assert took >= 299
    assert threads.findall(ask("counts")) == rests  # the thread that made the CPU hang has ended
    ask.says("cpu up 1", "cpu: error EALREADY: already online")
    ask.says("cpu down 1", "cpu: done: 1 of 2 online")
    assert re.search(r"^cpu 1: down, ", ask("cpus"), re.MULTILINE)
    ask.says("cpu down 1", "cpu: error EALREADY: already offline")
    ask.says("cpu down 0", "cpu: error EBUSY: the last CPU online")
    ask.says("cpu hang 1 1", "cpu: error ENODEV: no such CPU")
    ask.says("cpu up 1", "cpu: done: 2 of 2 online")
    assert ask("cpus").endswith(
        "calls to CPUs out of range 0, to CPUs not online 0\n"
        "  taken by CPUs not online 0; CPUs reported silent 0\n"
    )
    # The command load works, and all its memory is free again afterwards.
    counts, managed = ask("counts"), ask.host.managed()
    ask.says("load", "load: not running")
    for mib in ("0", "1025"):
        ask.says(f"load {mib}", "load: 1 to 1024 MiB")
    ask.says("load x", NUMBER.format("x"), "load: 1 to 1024 MiB")
    ask.says("load 16", "load: 16 MiB in movable objects, and stress on all CPUs")
    ask.says("load 3", "load: running already; load without a number ends it")
    assert (
        int(re.search(r"^  threads +(\d+)$", ask("counts"), re.MULTILINE).group(1))
        == int(re.search(r"^  threads +(\d+)$", counts, re.MULTILINE).group(1)) + 4
    )
    # The walk of query may miss objects that the stress moves meanwhile.
    can_move = re.search(r"(\d+) pages can move", ask(f"query {FIRST:#x} 32256"))
    assert int(can_move.group(1)) >= 15 * 256
    assert ask(f"offline {FIRST:#x} 512").startswith("offline: done: 1 drain round, ")
    matches(ask("load"), r"load: ended: [1-9]\d* operations, \d+ objects moved, 0 damaged")
    ask.says(f"online {FIRST:#x} 512", "online: done")
    ask.says("load", "load: not running")
    ask.says("load 1", "load: 1 MiB in movable objects, and stress on all CPUs")
    matches(ask("load"), r"load: ended: \d+ operations, \d+ objects moved, 0 damaged")
    assert threads.findall(ask("counts")) == threads.findall(counts)
    ask.says("burst x", NUMBER.format("x"))
    ask.says("burst 4 y", NUMBER.format("y"))
    ask.says("burst 4", "burst: 1 round of 4 MiB used and freed, 0 pages damaged")
    ask.says("burst 5 2", "burst: 2 rounds of 5 MiB used and freed, 0 pages damaged")
    ask.says("burst 4 0", "burst: 0 rounds of 0 MiB used and freed, 0 pages damaged")
    most = int(
        re.fullmatch(
            r"burst: 1 round of (\d+) MiB used and freed, 0 pages damaged\n", ask("burst 1000")
        ).group(1)
    )
    assert managed * 9 // 10 <= most < managed
    # More MiB than a machine has, and than 64 bits count as pages, are all there are, too.
    huge = ask("burst 0x100000000000000")
    assert managed * 9 // 10 <= int(re.search(r"of (\d+) MiB used", huge).group(1)), huge
    assert ask.host.managed() == managed
    ask.says("rounds x", NUMBER.format("x"))
    for rounds in ("0", "1000000"):
        ask.says(f"rounds {rounds}", "rounds: 1 to 999999")
    assert ask("rounds 1").count(": 1 offline of 16 MiB: ") == 3
    ask.says("check", "check: every invariant holds")


def test_events_of_selftests_are_left_out(host):
    """`mem` has no wrong calls that tests made, at boot or by `run`; but it has the others."""
    h = host("selftest=badinput", cpus=2, mem=256)

    def events():
        return dict(re.findall(r"^  ([A-Z_]+) +(\d+)$", h.ask("mem"), re.MULTILINE))

    assert h.ask("mem").endswith("\n  events since the selftests:\n  none\n")
    assert h.ask("offline 0x8800 512").count("offline: done") == 1
    assert events()["OFFLINE_OK"] == "1"
    assert "\nok 1 badinput " in h.ask("run badinput")
    assert events()["OFFLINE_OK"] == "1" and "BAD_FREE" not in events(), events()


def test_shown_state(ask):
    ask = ask()
    helped = ask("help all").split("\n")
    names = [line.split()[0] for line in helped if line.startswith("  ")]
    assert names == sorted(set(names), key=names.index) and len(names) == 39, names
    assert helped[:2] == ["memory as it is", "  mem" + " " * 35 + "totals and event counters"]
    assert max(map(len, helped)) <= 80
    for name in "mem zone pcp check counts cpus compact halt mce slots virtio".split():
        ask.says(f"{name} 1", f"usage: {name} ")
    assert ask("nosuch") == "nosuch: no such command; try help\n" and ask("   ") == ""
    nearest = {"ofline": "offline", "zoen": "zone", "helpp": "help", "q": "help", "act": "help"}
    for typed, meant in nearest.items():
        assert ask(typed) == f"{typed}: no such command; try {meant}\n"
    assert ask("  check  ") == "check: every invariant holds\n"
    # More words than any command takes.
    assert ask("a b c d e f g h i j").startswith("a: no such command")
    matches(ask("block 0x100000000"), r"pfn 0x100000000: outside 0-0x[0-9a-f]+0000")
    ask.says("block x", NUMBER.format("x"))
    ask.says("page x", NUMBER.format("x"))
    # PFN_NONE among them, which stands for all pages in a search of the records.
    for pfn in ("0xffffffff", "0x100000000"):
        ask.says(f"page {pfn}", f"page: pfn {pfn}: no such page")
        ask.says(f"history {pfn}", f"history: pfn {pfn}: no such page")
    ask.says("trace maybe", "usage: trace on|off")
    matches(
        ask(f"block {FIRST:#x}"),
        r"pageblock 0x40 .*: online, movable, zone 2, \d+ pages free",
        r"  .*",
        r"page: pfn .*",
        "page: block .*",
    )
    # A page's history has only recorded events.
    pfn = FIRST + 0x1000
    matches(
        ask(f"page {pfn:#x}"),
        "page: pfn .* FREE order 9 .*",
        "page: block .* movable, zone 2",
        f"history of pfn {pfn:#x}: nothing recorded",
    )
    pfn = FIRST + 0x7C00  # in the last block, which burst takes first

    def freed():
        return len(re.findall(r" free +pfn", ask(f"page {pfn:#x}")))

    ask("burst 8")
    assert not freed()
    ask.says("trace on", "trace: on: every allocation and free is recorded")
    ask("burst 8")
    off = "trace: off: of allocations and frees, only slow paths are recorded"
    ask.says("trace off", off)
    assert freed()
    # New records replace old ones.
    ask("burst 8 50")
    assert not freed()
    assert "count/capacity by order" in ask("pcp")
    assert re.search(r"^cpu 1: online, APIC id 1, node 0, \d+ threads?,", ask("cpus"), re.MULTILINE)
    matches(ask("slots"), r"slots: 0 of 8 DIMM slots full; 0 taken, 0 given back, 0 refused, 0 odd")
    assert ask("mce").count("banks are empty") == 2 and ask("virtio") == (
        "virtio: no memory device and no balloon\n"
    )
    assert ask("race x").startswith("race: this kernel has no scheduling points")
    # Programs take up to two numbers.
    assert re.match(r"user: programs:\n(\s+\w+)* hello(\s+\w+)*\n", ask("user"))
    ask.says("user hello x", NUMBER.format("x"))
    ask.says("user hello 1 y", NUMBER.format("y"))
    assert ask("user hello").endswith("user: hello exited, status 0\n")
    assert re.match(r"task \d+ fault: invalid opcode\n", ask("user fault 6"))
    assert ask("user fault 16").endswith("user: fault exited, status 77\n")
    assert "fuzz: 9 calls of seed 3: " in ask("user fuzz 3 9")
    assert ask("user nobody").endswith("user: nobody not started: error ENOENT\n")
    assert "selftest: 1 suite, " in ask("run lock") and "seed 0x5eed" in ask("run none")
    assert 'no suite or test "nosuch"' in ask("run nosuch")


def test_keys(ask):
    """Typed lines are shown, corrected and remembered; the hosted suite line_edit has each key."""
    ask = ask()
    sound = "check: every invariant holds\n"

    def keys(typed):
        ask.host.child.send(typed)
        ask.host.child.expect("quarry> ")
        return ask.host.child.before.replace("\r", "")

    assert keys("chekc\x7f\x08ck\r") == "chekc\b\033[K\b\033[Kck\n" + sound
    assert keys("\x1b[A\r").endswith("\n" + sound)
    # Ctrl-D at the start of a line types "halt" and the end of the line.
    ask.host.child.send("\x04")
    ask.host.child.expect("halt\r*\n")
    ask.host.child.wait()
    assert ask.host.child.exitstatus == 33
