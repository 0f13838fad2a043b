# SPDX-License-Identifier: MIT
"""Traces: boot modules that are replayed, and the messages about malformed ones."""
import gzip
import os
import re

import pytest

import qemu
from conftest import full

BOOTS = "single"  # the tests judge only the content of files

HEADER = "# events={} allocs={} frees={} ids={} peak_live_pages={} cpus={}\n"
GOOD = HEADER.format(4, 2, 2, 2, 2, 2) + "a 0 0 U 0\na 1 0 M 1\nf 0 1\nf 1 0\n"

# {name: (text, number of the wrong line, part of the reason)}
BROKEN = {
    "empty": ("", 1, "empty"),
    "no_header": ("a 0 0 U 0\n", 1, "expected"),
    "header_half": ("# events=4 allocs=2\n", 1, ""),
    "header_negative": (GOOD.replace("events=4", "events=-4"), 1, "not a number"),
    "header_huge": (GOOD.replace("events=4", "events=4294967295"), 1, ""),
    "header_sum": (GOOD.replace("allocs=2", "allocs=3"), 1, "allocs"),
    "no_cpus": (GOOD.replace("cpus=2", "cpus=0"), 1, "cpus"),
    "too_few_events": (GOOD.rsplit("f 1 0\n", 1)[0], 4, "ends after"),
    "too_many_events": (GOOD + "f 1 0\n", 6, "more events"),
    "order_too_large": (GOOD.replace("a 0 0 U", "a 0 99 U"), 2, "order"),
    "bad_type": (GOOD.replace("a 0 0 U", "a 0 0 Q"), 2, "type"),
    "id_too_large": (GOOD.replace("a 1 0 M", "a 7 0 M"), 3, "id"),
    "cpu_too_large": (GOOD.replace("U 0", "U 9"), 2, "cpu"),
    "twice_allocated": (GOOD.replace("a 1 0 M 1", "a 0 0 M 1"), 3, "allocated already"),
    "free_first": (
        GOOD.replace("a 0 0 U 0\na 1 0 M 1\nf 0 1", "f 0 1\na 1 0 M 1\na 0 0 U 0"),
        2,
        "not allocated",
    ),
    "double_free": (GOOD.replace("f 1 0", "f 0 0"), 5, "not allocated"),
    "more_on_a_line": (GOOD.replace("f 0 1", "f 0 1 1"), 4, ""),
    "two_blanks": (GOOD.replace("f 0 1", "f  0 1"), 4, ""),
    "carriage_returns": (GOOD.replace("\n", "\r\n"), 1, "carriage return"),
    "empty_line": (GOOD.replace("f 0 1\n", "\nf 0 1\n"), 4, "empty line"),
    "binary": (bytes(range(256)) * 16, 1, "not text"),
    "gzip": (gzip.compress(GOOD.encode() * 50), 1, "gzip"),
    "long_line": (GOOD.replace("f 0 1", "f 0 " + "1" * 5000), 4, ""),
    "nul": (GOOD.replace("f 0 1", "f 0 \0001"), 4, "not text"),
    "wrong_peak": (GOOD.replace("peak_live_pages=2", "peak_live_pages=9"), 1, "peak_live_pages"),
}


def test_good(passes, text_file):
    """Only the last part of a name with directories counts, as typed for make run."""
    run = passes(
        "selftest=none trace=some/where/good.trace", tour=None, module=text_file("good.trace", GOOD)
    )
    assert run.has(r"^trace good\.trace: "), run.story()


@pytest.mark.parametrize(
    "words, text, name", [("", GOOD, "module"), ("script=x", "mem\n", "short.trace")]
)
def test_no_name(passes, text_file, words, text, name):
    """The only module is replayed; if it may be the script, the kernel's own trace."""
    run = passes(f"selftest=none tour=off trace= {words}", tour=None, module=text_file("x", text))
    assert run.has(rf"^trace {re.escape(name)}: \d+ events"), run.story()
    assert run.has("^> mem$") == (text != GOOD), run.story()


def test_no_newline_at_the_end(passes, text_file):
    passes(
        "selftest=none trace=good.trace",
        tour=None,
        module=text_file("good.trace", GOOD.rstrip("\n")),
    )


@pytest.mark.parametrize("kind", sorted(BROKEN))
def test_broken(boot, text_file, kind):
    text, line, reason = BROKEN[kind]
    if kind == "empty":
        pytest.skip("QEMU passes no empty file; the hosted suite has this case")
    run = boot(
        f"selftest=none trace={kind}.trace", tour=None, module=text_file(kind + ".trace", text)
    )
    assert run.failed, run.story()
    assert run.has(rf"^{kind}\.trace:{line}: .*{re.escape(reason)}"), run.story()


def test_no_such_module(boot, text_file):
    """By GRUB modules have names, so a module of another name is not taken."""
    run = boot(
        "selftest=none trace=other.trace",
        tour=None,
        boot="grub",
        module=text_file("good.trace", GOOD),
    )
    assert run.failed, run.story()
    assert run.has(r"^trace=other\.trace: no module of that name"), run.story()


def test_no_module_at_all(boot):
    run = boot("selftest=none trace=good.trace", tour=None)
    assert run.failed, run.story()
    assert run.has(r"^trace=good\.trace: no module"), run.story()


@pytest.mark.parametrize("path", [full("grub"), "pvh"])
def test_recorded(make, path):
    """`make run` replays a packed trace of the repository."""
    folder = os.path.join(qemu.ROOT, "traces")
    packed = (
        sorted(f for f in os.listdir(folder) if f.endswith(".gz")) if os.path.isdir(folder) else []
    )
    if not packed:
        pytest.skip("no recorded trace in traces/")
    smallest = min(packed, key=lambda f: os.path.getsize(os.path.join(folder, f)))
    status, out = make(
        "run", BOOT=path, TRACE=os.path.join("traces", smallest), CMDLINE="selftest=none"
    )
    assert status == 0, out[-3000:]
    assert re.search(rf"^trace {re.escape(smallest[:-3])}: ", out, re.MULTILINE), out[-3000:]
