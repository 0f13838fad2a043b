# SPDX-License-Identifier: MIT
"""SCRIPT=FILE of `make run`: commands of the prompt from a file, and their exit status."""
import os
import re

import conftest
import pexpect
import pytest
import qemu

QUICK = "selftest=none tour=off"


@pytest.fixture
def script(runs, text_file):
    """script(text, **variables) -> (status, console)."""

    def run(text, name="some.script", **variables):
        variables = {"BOOT": "pvh", "CPUS": 2, "MEM": "256M", "CMDLINE": QUICK} | variables
        return runs(SCRIPT=os.path.relpath(text_file(name, text), qemu.ROOT), **variables)

    return run


def test_script_passes(script):
    """Each command is echoed; the verdict is the last line."""
    status, out = script(
        "# A range leaves, and comes back.\r\n\n"
        "  policy disable\r\n"
        "offline 0x8800 512\r\n"
        "expect-fail offline 0 512\n"
        "online 0x8800 512\n"
        "cpu down 1\ncpu up 1\n"
        "check"
    )
    assert status == 0, out[-2000:]
    assert out.rstrip().endswith("\nquarry: PASS")
    said = out[out.index("> policy disable\n") :]
    assert "\n> offline 0x8800 512\noffline: done: 1 drain round" in said
    assert "\n> check\ncheck: every invariant holds\nscript: 7 commands done\n" in said
    assert "# A range" not in said and "\033[K" not in said


def test_commands_that_show_the_state_succeed(script):
    """Some of them need arguments to act, and show the state without."""
    shows = (
        "mem zone pcp history trace cma counts check offline online query policy evacuate add "
        "remove cpus cpu poison soft unpoison mce run rounds burst slots virtio user help"
    ).split()
    status, out = script("\n".join(shows))
    assert status == 0, out[-2000:]
    assert f"script: {len(shows)} commands done\n" in out


def test_script_by_grub_after_the_scenario(script):
    status, out = script("mem\n", BOOT="grub", CMDLINE="selftest=lock tour=off user=hello")
    assert status == 0, out[-2000:]
    assert out.index("user: hello exited") < out.index("> mem\n") < out.index("quarry: PASS")


@pytest.mark.parametrize(
    "text, says",
    [
        ("mem\noffline 0 512\ncheck\n", "script: line 2: offline 0 512: failed"),
        ("nosuch", "script: line 1: nosuch: failed"),
        ("\n\noffline 1\n", "script: line 3: offline 1: failed"),
        ("expect-fail mem\n", "script: line 1: expect-fail mem: failed"),
        ("expect-fail nosuch\n", "script: line 1: expect-fail nosuch: failed"),
        ("watch mem\n", "script: line 1: watch mem: failed"),
        ("user fault 16\n", "script: line 1: user fault 16: failed"),
    ],
    ids=["refused", "unknown", "usage", "no_failure", "unknown_failure", "keys", "user"],
)
def test_script_fails(script, text, says):
    """The first failure ends the script, and the run."""
    status, out = script(text)
    assert status != 0 and f"\n{says}\nquarry: FAIL\n" in out, out[-2000:]
    assert "> check" not in out


def test_script_that_cannot_be_read(runs, text_file):
    """The fault is reported at once; no machine is started."""
    bad = os.path.relpath(text_file("a b.script", "mem\n"), qemu.ROOT)
    hello = os.path.relpath(text_file("hello", "mem\n"), qemu.ROOT)
    long = os.path.relpath(text_file("n" * 64, "mem\n"), qemu.ROOT)
    for path, says in (
        ("no/such", "SCRIPT=no/such: no such file, or not readable"),
        ("tests", "SCRIPT=tests: no such file, or not readable"),
        (bad, f"SCRIPT={bad}: only letters, digits and . _ + - in the file's name"),
        (hello, f"SCRIPT={hello}: a program has that name"),
        (long, f"SCRIPT={long}: at most 63 letters in the file's name"),
    ):
        status, out = runs(SCRIPT=path, BOOT="pvh")
        assert status != 0 and f"run: {says}\n" in out and "quarry: boot" not in out, out


def on_terminal(script):
    """A run with this script on a terminal."""
    return conftest.spawn(
        ["sh", "tools/run/run.sh", os.path.relpath(qemu.BUILD, qemu.ROOT)],
        BOOT="pvh",
        CPUS="2",
        MEM="256M",
        CMDLINE=QUICK,
        SCRIPT=os.path.relpath(script, qemu.ROOT),
    )


@pytest.mark.parametrize("last, verdict", [("mem", "PASS"), ("offline 0 512", "FAIL")])
def test_prompt_follows_on_a_terminal(text_file, last, verdict):
    """The script gives the verdict, in whatever way the prompt is left. Keys that are typed before
    are for the prompt."""
    child = on_terminal(text_file("some.script", f"rounds 5\n{last}\n"))
    child.expect(r"> rounds 5\r*\n")
    child.send("check\r")
    child.expect_exact(f"quarry: {verdict}")
    assert re.search(rf"> {last}\r*\n", child.before)
    child.expect_exact("quarry> ")
    child.expect_exact("every invariant holds")
    child.send("halt\r")
    child.expect(pexpect.EOF)
    child.close()
    assert (child.exitstatus == 0) == (verdict == "PASS")


def test_halt_in_a_script_ends_the_run_on_a_terminal(text_file):
    child = on_terminal(text_file("some.script", "mem\nhalt\nnosuch\n"))
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0 and "quarry> " not in child.before
    assert "script: 2 commands done" in child.before
