# SPDX-License-Identifier: MIT
"""A terminal of some size with `tools/run/run.sh` on it; pyte reads the text that it shows.

pyte knows no alternate screen, so a second screen is kept here, and the cursor that a switch to it
saves. As terminals do, each switch back restores it, even from the main screen."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

import pyte

import outer_make
import qemu

SWITCH = re.compile(rb"(\x1b\[\?1049[hl])")
PART = re.compile(rb"\x1b(\[[0-9;?]*)?")  # the beginning of an escape sequence


class _Screen(pyte.Screen):
    """Answers queries for the cursor's position; counts changes that would make a picture jump."""

    fd = None
    wrapped = 0  # number of characters behind the last column, and of scrolls
    erased = 0  # times that the whole screen was erased

    def draw(self, data):
        for char in data:
            self.wrapped += self.cursor.x == self.columns
            super().draw(char)

    def index(self):
        self.wrapped += self.cursor.y == self.lines - 1  # it scrolls
        super().index()

    def erase_in_display(self, how=0, *args, **kwargs):
        self.erased += how == 2
        super().erase_in_display(how, *args, **kwargs)

    def write_process_input(self, data):
        os.write(self.fd, data.encode())

    def resize(self, lines, columns):
        """Resize as terminals do: the cursor stays on the screen; for it rows go from the top."""
        up = max(0, self.cursor.y + 1 - lines)
        rows = {y - up: self.buffer[y] for y in range(up, min(self.lines, up + lines))}
        y = self.cursor.y - up
        super().resize(lines, columns)
        self.buffer.clear()
        self.buffer.update(rows)
        self.cursor.x, self.cursor.y = min(self.cursor.x, columns - 1), y


class Terminal:
    """Runs QEMU as a user would.  @answers: does the terminal tell its size?  @environment:
    variables of tools/run/run.sh, TERM, LC_ALL."""

    def __init__(self, cols=80, rows=24, answers=True, **environment):
        self.answers = answers
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            build = os.path.relpath(qemu.BUILD, qemu.ROOT)
            os.chdir(qemu.ROOT)
            env = dict(outer_make.env(), TERM="xterm", LC_ALL="C.UTF-8", BOOT="pvh")
            env.update(environment)
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python has it ignored
            os.execvpe("sh", ["sh", "tools/run/run.sh", build], env)
        self.main, self.other = _Screen(cols, rows), _Screen(cols, rows)
        self.main.fd = self.other.fd = self.fd
        self.stream = pyte.ByteStream(self.main)
        self.raw = self.rest_of = b""
        self.alternate = self.ended = False
        self.saved = 0, 0  # the main screen's cursor
        self.status = None
        self.seen = set()  # characters seen in the map's rows
        self.resize(cols, rows)

    def resize(self, cols, rows):
        for screen in (self.main, self.other):
            screen.resize(rows, cols)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))

    @property
    def screen(self):
        return self.other if self.alternate else self.main

    @property
    def lines(self):
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self):
        return "\n".join(self.lines)

    def feed(self, data):
        self.raw += data
        data, self.rest_of = self.rest_of + data, b""
        cut = data.rfind(b"\x1b")
        if cut >= 0 and PART.fullmatch(data[cut:]):
            data, self.rest_of = data[:cut], data[cut:]
        for part in SWITCH.split(data):
            if SWITCH.fullmatch(part):
                self.switch(part.endswith(b"h"))
            elif part:
                self.stream.feed(part if self.answers else part.replace(b"\x1b[6n", b""))
        if self.alternate:
            self.seen |= set("".join(self.map_rows()))

    def switch(self, alternate):
        cursor = self.main.cursor
        self.stream.detach(self.screen)
        if not alternate:
            cursor.x = min(self.saved[0], self.main.columns - 1)
            cursor.y = min(self.saved[1], self.main.lines - 1)
        elif not self.alternate:
            self.saved = cursor.x, cursor.y
        self.alternate = alternate
        self.stream.attach(self.screen)

    def map_rows(self):
        rows = []
        for line in self.lines[2:]:
            if "isolated" in line:
                break
            rows.append(line[9:])
        return rows

    def turn(self):
        """Read the output of the next tenth of a second."""
        if self.ended or not select.select([self.fd], [], [], 0.1)[0]:
            return
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        if data:
            self.feed(data)
        else:
            self.ended = True

    def wait(self, pattern, alternate=None):
        """Wait until the screen matches @pattern; returns the match."""
        until = time.time() + qemu.WATCHDOG
        while time.time() < until:
            found = re.search(pattern, self.text, re.MULTILINE)
            if found and alternate in (None, self.alternate):
                return found
            assert not self.ended, self.story(pattern)
            self.turn()
        raise AssertionError(self.story(pattern))

    def until(self, happened):
        """Wait until happened() is true."""
        until = time.time() + qemu.WATCHDOG
        while not happened():
            assert time.time() < until and not self.ended, self.story("that it would")
            self.turn()

    def rest(self, seconds):
        until = time.time() + seconds
        while time.time() < until and not self.ended:
            self.turn()

    def story(self, pattern):
        which = "alternate" if self.alternate else "main"
        return f"no {pattern!r} on the {which} screen:\n" + self.text

    def send(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        """Wait until run.sh has ended; returns its exit status."""
        until = time.time() + qemu.WATCHDOG
        while self.status is None and time.time() < until:
            self.turn()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
                while not self.ended and select.select([self.fd], [], [], 0)[0]:
                    self.turn()
        return self.status

    def sane(self):
        """Is the main screen shown, with a cursor, and without colour for later text?"""
        cursor = self.main.cursor
        plain = cursor.attrs.fg == "default" and not cursor.attrs.bold
        return not self.alternate and not cursor.hidden and plain

    def cooked(self):
        """Does the line discipline echo and edit, as a shell expects?"""
        flags = termios.tcgetattr(self.fd)[3]
        return bool(flags & termios.ECHO and flags & termios.ICANON)

    def close(self):
        if self.status is None:
            os.kill(self.pid, signal.SIGTERM)
            self.end()
        os.close(self.fd)
