# SPDX-License-Identifier: MIT
"""Traces: boot modules that are replayed, and the messages about malformed ones."""
import os
import re

import pytest

import qemu
from conftest import full

BOOTS = "single"  # the tests judge only the content of files

HEADER = "# events={} allocs={} frees={} ids={} peak_live_pages={} cpus={}\n"
GOOD = HEADER.format(4, 2, 2, 2, 2, 2) + "a 0 0 U 0\na 1 0 M 1\nf 0 1\nf 1 0\n"


def test_good(passes, text_file):
    """Only the last part of a name with directories counts, as typed for make run."""
    run = passes(
        "selftest=none trace=some/where/good.trace", tour=None, module=text_file("good.trace", GOOD)
    )
    run.says(r"^trace good\.trace: ")


@pytest.mark.parametrize(
    "words, text, name", [("", GOOD, "module"), ("script=x", "mem\n", "short.trace")]
)
def test_no_name(passes, text_file, words, text, name):
    """The only module is replayed; if it may be the script, the kernel's own trace."""
    run = passes(f"selftest=none tour=off trace= {words}", tour=None, module=text_file("x", text))
    run.says(rf"^trace {re.escape(name)}: \d+ events")
    assert run.has("^> mem$") == (text != GOOD), run.story()


def test_broken(boot, text_file):
    """The file and the line are named; the hosted suite `trace` has every other mistake."""
    text = GOOD.replace("f 1 0", "f 0 0")
    run = boot("selftest=none trace=bad.trace", tour=None, module=text_file("bad.trace", text))
    assert run.failed, run.story()
    run.says(r"^bad\.trace:5: .*not allocated")


def test_no_such_module(boot, text_file):
    """By GRUB modules have names, so a module of another name is not taken."""
    run = boot(
        "selftest=none trace=other.trace", tour=None, boot="grub",
        module=text_file("good.trace", GOOD),
    )
    assert run.failed, run.story()
    run.says(r"^trace=other\.trace: no module of that name")


@pytest.mark.parametrize("path", [full("grub"), "pvh"])
def test_recorded(make, path):
    """`make run` replays a packed trace of the repository."""
    folder = os.path.join(qemu.ROOT, "bench/traces")
    packed = (
        sorted(f for f in os.listdir(folder) if f.endswith(".gz")) if os.path.isdir(folder) else []
    )
    if not packed:
        pytest.skip("no recorded trace in bench/traces/")
    smallest = min(packed, key=lambda f: os.path.getsize(os.path.join(folder, f)))
    status, out = make(
        "run", BOOT=path, TRACE=os.path.join("bench/traces", smallest), CMDLINE="selftest=none"
    )
    assert status == 0, out[-3000:]
    assert re.search(rf"^trace {re.escape(smallest[:-3])}: ", out, re.MULTILINE), out[-3000:]
