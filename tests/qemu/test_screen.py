# SPDX-License-Identifier: MIT
"""The console on a framebuffer, judged by the pixels of a picture that QEMU takes."""
import os
import re
import subprocess
import sys
import time

import conftest
import pytest
import qemu
import rooms
import screen
from conftest import without_exit

BOOTS = "single"  # the tests judge only the drawn text

PROMPT = r"^quarry> "
VGA = ["-vga", "std"]
GREY, BLACK, RED = "aaaaaa", "000000", "ff5555"


def font_of(name):
    """The font in the boot image of the run @name."""
    return screen.load_font(os.path.join(qemu.BUILD, "qemu", name + ".iso.d", "boot", "font.psf"))


def dump(qmp, name):
    """Take a picture of the present screen: its path."""
    path = os.path.abspath(os.path.join(qemu.BUILD, "qemu", name + ".ppm"))
    qmp("screendump", filename=path)
    return path


def take(qmp, name):
    """The present screen."""
    return screen.Screen(dump(qmp, name), font_of(name))


@pytest.fixture
def shot(boot, name):
    """shot(cmdline, path) -> (Run, Screen at the prompt)."""

    def run(cmdline, path, tour="off"):
        seen = []

        def talk(qmp):
            qmp.wait_for(PROMPT, 800)
            seen.append(take(qmp, name))
            while "console=serial" not in cmdline and not re.search(
                PROMPT.strip(), seen[-1].text, re.MULTILINE
            ):
                seen.append(take(qmp, name))  # drawn later than on the serial line
            qmp("quit")

        done = boot(cmdline, boot=path, extra=VGA, tour=tour, monitor=None, talk=talk)
        return done, seen[-1]

    return run


@pytest.mark.parametrize("path", ["grub", conftest.full("uefi")])
def test_screen_shows_what_the_serial_line_says(shot, path):
    """All text is drawn: enough lines to scroll several times, each character in its place, grey on
    black."""
    run, seen = shot("selftest=memblock,page,buddy,zone,page_alloc,elf,text", path)
    assert (seen.width, seen.height, seen.columns, seen.nr_rows) == (1024, 768, 128, 48)
    assert run.text.count("\n") > 2 * seen.nr_rows, run.story()
    assert seen.rows == screen.terminal(run.text, seen.columns, seen.nr_rows), (
        seen.text + run.story()
    )
    # The blank at the cursor, after the prompt, is grey.
    colours = {cell[1:] for row in seen.cells for cell in row} - {(None, GREY)}
    assert colours == {(GREY, BLACK), (None, BLACK)}


# ---- machines without a serial line, or at their end ---------------------------------------------


KEYS = {" ": "spc", "\n": "ret", "\b": "backspace", "-": "minus", "_": "shift-minus"}


def press(qmp, text):
    """Type @text on the keyboard; "<" is the left arrow."""
    for c in text:
        keys = "left" if c == "<" else KEYS.get(c, f"shift-{c.lower()}" if c.isupper() else c)
        qmp("send-key", keys=[{"type": "qcode", "data": key} for key in keys.split("-")])


def watch(name, cmdline, change, enough, typed=(), **machine):
    """Boot with QEMU's command line changed by change(), until the screen matches @enough. Before
    that, for each (pattern, text) of @typed, wait for the pattern and type the text. Returns (the
    last screen, QEMU's last status)."""
    typed = list(typed)
    threads = conftest.threads_of(sys.modules[__name__])
    command = change(qemu.Machine(extra=VGA, threads=threads, **machine).command(name, cmdline))
    path = os.path.relpath(os.path.join(qemu.BUILD, "qemu", f"{os.getpid()}.qmp"))
    proc = subprocess.Popen(
        command + ["-qmp", f"unix:{path},server=on,wait=off"], stdin=subprocess.DEVNULL,
        preexec_fn=qemu._die_with_parent,
    )
    seen, last, read = None, None, None
    deadline = time.monotonic() + qemu.WATCHDOG
    try:
        with qemu.Qmp(path, proc, qemu.log_path(name)) as qmp:
            while time.monotonic() < deadline and not (
                seen and re.search(enough, seen.text, re.MULTILINE)
            ):
                time.sleep(0.5)
                assert proc.poll() is None, f"QEMU ended\n{seen and seen.text}"
                # Reading a picture takes longer than taking it, so a picture is read only if it is
                # the same as the one before.
                with open(dump(qmp, name), "rb") as f:
                    last, before = f.read(), last
                if last == before != read:
                    seen, read = screen.Screen(f.name, font_of(name)), last
                    if typed and re.search(typed[0][0], seen.text, re.MULTILINE):
                        press(qmp, typed.pop(0)[1])
                        seen = None
            return seen, qmp("query-status")["status"]
    finally:
        proc.kill()
        proc.wait()
        if os.path.exists(path):
            os.unlink(path)


@pytest.mark.parametrize("path", ["grub", conftest.full("uefi")])
def test_panic_is_on_the_screen(name, path):
    """The whole report is red, and the machine stays on. With three CPUs the report would be longer
    than the screen."""
    seen, status = watch(
        name, "selftest=none fault=badfree poweroff=off", without_exit, "^quarry: halted",
        boot=path, cpus=2,
    )
    assert status == "running", seen.text
    text = qemu.clean_log(qemu.log_path(name))[0]
    assert seen.rows == screen.terminal(text, seen.columns, seen.nr_rows), seen.text
    at = next(i for i, line in enumerate(seen.rows) if line.startswith("PANIC on CPU"))
    assert {c[1] for row in seen.cells[at:] for c in row} == {RED, None}, seen.text
    assert {c[1] for row in seen.cells[:at] for c in row} <= {GREY, None}, seen.text
    assert "To run it again" in seen.text and "CPU 1 (APIC id 1): asked" in seen.text, seen.text


def without_serial(command):
    """QEMU's command for a machine like a PC: no serial port, and nothing that only QEMU has."""
    command = without_exit(command)
    return command[: command.index("-chardev")] + ["-serial", "none"]


def from_usb(command):
    """without_serial(), and the image is on a USB stick, as `make usb` makes it."""
    command = without_serial(command)
    at = command.index("-cdrom")
    image = command[at + 1]
    said = rooms.call(
        ["sh", os.path.join(qemu.ROOT, "tools/run/usb.sh"), image],
        cwd=None, stderr=subprocess.PIPE, check=True
    ).stdout
    assert f"\n  sudo dd if={image} of=/dev/sdX bs=4M conv=fsync\n" in said, said
    command[at : at + 2] = [
        "-drive",
        f"if=none,id=stick,format=raw,file={image}",
        "-device",
        "qemu-xhci",
        "-device",
        "usb-storage,drive=stick",
    ]
    return command


@pytest.mark.parametrize("path", ["grub", "uefi"])
def test_usb_stick_a_screen_and_a_keyboard(name, path):
    """A machine like a PC boots from a USB stick. Its screen shows a page about the machine, and
    the prompt reads its keyboard."""
    seen, status = watch(
        name,
        "selftest=buddy,text tour=off",
        from_usb,
        "^A_b: no such command",
        typed=[(PROMPT.strip(), "elp<<<h\n"), ("^ *help COMMAND", "A_c\bb\n")],
        boot=path,
    )
    assert status == "running", seen.text
    assert re.search("^quarry> help$", seen.text, re.MULTILINE), seen.text
    at = next(i for i, line in enumerate(seen.rows) if line.startswith("What Quarry found on"))
    end = next(i for i, line in enumerate(seen.rows) if line.startswith("left out "))
    page = "\n".join(seen.rows[at:end])
    assert end - at < 24 and max(map(len, seen.rows[at:end])) < 80, page
    assert "QEMU TCG CPU" in page and "lines in use: 1 keyboard," in page, page
    assert "serial port none; keyboard i8042, real or emulated, by interrupt" in page, page


def test_panic_longer_than_the_screen_can_be_paged(name):
    """Without a serial port the end of the report has its reason again, and a key shows the report
    from its beginning."""
    seen, status = watch(
        name,
        "selftest=none fault=badfree",
        without_serial,
        "^any key: the next page$",
        typed=[("^PANIC on .*double free\n.*halted.*\npanic: any key shows the report", "\n")],
        boot="grub",
        cpus=8,  # each adds a backtrace of some lines
    )
    assert status == "running", seen.text
    assert seen.rows[1].startswith("PANIC on CPU"), seen.text
    assert "To run it again" not in seen.text, seen.text
    assert {c[1] for row in seen.cells for c in row} == {RED, None}, seen.text


def test_missing_no_execute_pages_are_on_the_screen(name):
    """As on a PC whose firmware has switched them off."""
    seen, status = watch(
        name, "selftest=none", without_serial, "^quarry: FAIL$", boot="grub", cpus=1, cpu="max,-nx"
    )
    assert status == "running", seen.text
    assert "\"Execute Disable\" (XD, NX) in the firmware's settings" in seen.text, seen.text


# ---- no screen -----------------------------------------------------------------------------------


def test_serial_only(shot):
    run, seen = shot("selftest=buddy console=serial", "grub")
    assert "quarry" not in seen.text and not run.has("^screen:"), seen.text


def test_no_font(passes, monkeypatch):
    """The boot continues without the font."""
    monkeypatch.setenv("FONT", "missing.psf")
    run = passes("selftest=buddy", boot="grub", extra=VGA)
    said = "screen: not used: the loader brought no boot module font.psf"
    run.says("^" + re.escape(said) + "$")


def test_no_display(passes):
    """Without a screen no message is about a screen, though GRUB describes one of 1 bit a pixel."""
    run = passes("selftest=buddy", boot="grub")
    assert not run.has("^screen"), run.story()
