#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Record `make run` in a terminal of a given size: docs/recording.svg; `make recording`.

The run gets a pseudo terminal, whose screen an emulator (pyte) keeps.  Nothing is typed until the
prompt is there; then, with --text, `map`, and at last `halt`.  The SVG shows the screen whenever
it has changed and is drawn, at most twice a second, in real time, as text; frames are left out
until it is at most MAX_BYTES long.  --text writes the screen to DIR/NN-NAME.txt when a moment of
MOMENTS is first seen, or an act last seen, and the SVG to DIR unless --out names a file.  Exit
status: that of `make run`, or 1 if the prompt or a moment was never seen.
"""
import copy
import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time
from xml.sax.saxutils import escape

sys.dont_write_bytecode = True  # nothing outside the build directory
sys.path.append(os.path.dirname(__file__) + "/../lib")
import rooms
import check
import outer_make
import qemu

OUT = "docs/recording.svg"
MAX_BYTES = 300_000
EVERY = 0.5  # least seconds between two frames
QUIET = 0.04  # seconds without output after which a frame is drawn
FULL = 1024  # bytes of output after which the rest of a frame may come later
REST = 0.4  # seconds after which a frame with so much output is drawn
LAST = 3.0  # seconds that the last frame stays
PAUSE = 3.0  # seconds between the prompt, or a command, and the next command
WIDTH, HEIGHT, MARGIN = 7.8, 16, 10  # pixels of a character, and around the screen
WATCHDOG = 900
PROMPT = r"quarry> ?$"
OTHER_SCREEN = 1049  # the terminal mode that switches to the second screen
# (moment, pattern of the screen's text), in order.  Moments of the live screen only may be missing.
MOMENTS = [
    ("boot", r"(?i)quarry.*\bCPUs?\b|quarry: boot"),
    ("selftests", r"(?i)selftests?\b.*\d|^ok \d"),
    ("act-1", r"act 1 of \d   "),
    ("act-2", r"act 2 of \d   "),
    ("act-3", r"act 3 of \d   "),
    ("act-4", r"act 4 of \d   "),
    # The line of dashes is in the act only, and not in a selftest.
    ("offline-seen", r"(?s)act 3 of.*-{24}"),
    ("verdict", r"quarry: (PASS|FAIL)\b"),
    ("prompt", PROMPT),
    ("map", r"(?!)"),  # kept by at_prompt(), some time after `map` was typed
]
NEEDED = {"boot", "verdict", "prompt"}
# The sixteen colours of a terminal, as pyte names them.
COLORS = {
    "default": "#d5dbe1",
    "black": "#484f58",
    "red": "#ff7b72",
    "green": "#56d364",
    "brown": "#e3b341",
    "blue": "#79c0ff",
    "magenta": "#d2a8ff",
    "cyan": "#56d4dd",
    "white": "#d5dbe1",
}
BACKGROUND = "#0d1117"


# ---- the screen ----------------------------------------------------------------------------------


def terminal_screen(columns, rows, answer):
    """A pyte screen that answers a program's queries by answer(bytes), and has a second screen."""
    import pyte

    class Screen(pyte.Screen):
        kept = None

        def write_process_input(self, data):
            answer(data.encode())

        def set_mode(self, *modes, **kw):
            super().set_mode(*modes, **kw)
            if kw.get("private") and OTHER_SCREEN in modes and self.kept is None:
                self.kept = (copy.deepcopy(self.buffer), copy.copy(self.cursor))

        def reset_mode(self, *modes, **kw):
            super().reset_mode(*modes, **kw)
            if kw.get("private") and OTHER_SCREEN in modes and self.kept:
                buffer, self.cursor = self.kept
                self.kept = None
                self.buffer.clear()
                self.buffer.update(buffer)
                self.dirty.update(range(self.lines))

    return Screen(columns, rows)


def color(name, default):
    name = name.replace("bright", "")
    return COLORS.get(name, f"#{name}" if re.fullmatch(r"[0-9a-f]{6}", name) else default)


def runs(screen, y):
    """The line @y as a tuple of (column, text, colour, background or None, bold)."""
    found, row = [], screen.buffer[y]
    for x in range(screen.columns):
        char = row[x]
        front, back = color(char.fg, COLORS["default"]), None
        if char.bg != "default":
            back = color(char.bg, BACKGROUND)
        if char.reverse:
            front, back = back or BACKGROUND, front
        style = (front, back, char.bold)
        if found and found[-1][2:] == style and found[-1][0] + len(found[-1][1]) == x:
            found[-1] = (found[-1][0], found[-1][1] + char.data, *style)
        else:
            found.append((x, char.data, *style))
    return tuple(
        (x, text if back else text.rstrip(" "), front, back, bold)
        for x, text, front, back, bold in found
        if back or text.strip(" ")
    )


def lines(screen):
    return tuple(runs(screen, y) for y in range(screen.lines))


def text_of(screen):
    return "\n".join(line.rstrip() for line in screen.display).rstrip("\n") + "\n"


class Film:
    """Frames: (seconds since the start, lines of the screen)."""

    def __init__(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.frames = []
        self.still = None  # the second whose frame is shown where pictures do not move

    def still_frame(self):
        """The number of the frame at the second self.still; if that is None, of the last frame."""
        before = [i for i, f in enumerate(self.frames) if self.still is None or f[0] <= self.still]
        return before[-1] if before else 0

    def add(self, seconds, frame):
        """Add a frame, unless it is the same as the last; False if it is too early to add it."""
        if self.frames and frame == self.frames[-1][1]:
            return True
        if self.frames and seconds - self.frames[-1][0] < EVERY:
            return False
        self.frames.append((seconds, frame))
        return True

    def thin(self):
        """Keep every second frame, and the last one."""
        self.frames = self.frames[:-1:2] + self.frames[-1:]

    def pieces(self):
        """{(row, content): [(first frame, frame behind the last)]}: the frames in which a row has
        that content."""
        found = {}
        for y in range(self.rows):
            since = 0
            for i in range(1, len(self.frames) + 1):
                last = i == len(self.frames)
                if last or self.frames[i][1][y] != self.frames[since][1][y]:
                    if self.frames[since][1][y]:
                        found.setdefault((y, self.frames[since][1][y]), []).append((since, i))
                    since = i
        return found


# ---- the picture ---------------------------------------------------------------------------------


def draw_line(y, content):
    top = MARGIN + y * HEIGHT
    for x, text, front, back, bold in content:
        left, wide = round(MARGIN + x * WIDTH, 1), round(len(text) * WIDTH, 1)
        if back:
            yield f'<rect x="{left}" y="{top}" width="{wide}" height="{HEIGHT}" fill="{back}"/>'
        if text.strip(" "):
            yield (
                f'<text x="{left}" y="{top + 12}" textLength="{wide}"'
                + (f' fill="{front}"' if front != COLORS["default"] else "")
                + (' font-weight="bold"' if bold else "")
                + f">{escape(text)}</text>"
            )


def percent(seconds, total):
    return f"{seconds * 100 / total:.3f}".rstrip("0").rstrip(".") + "%"


def svg(film):
    """The film as an SVG that repeats; a still picture if it has one frame."""
    wide = round(2 * MARGIN + film.columns * WIDTH)
    high = 2 * MARGIN + film.rows * HEIGHT
    start = film.frames[0][0]
    times = [seconds - start for seconds, _ in film.frames]
    total = times[-1] + LAST
    times.append(total)
    classes, body = {}, []
    for (y, content), spans in film.pieces().items():
        spans = tuple(spans)
        inside = "".join(draw_line(y, content))
        if spans == ((0, len(film.frames)),):
            body.append(inside)
            continue
        name = classes.setdefault(spans, f"f{len(classes)}")
        body.append(f'<g class="{name}">{inside}</g>')
    rules, still = [], film.still_frame()
    for spans, name in classes.items():
        ends = [behind for _, behind in spans if behind < len(film.frames)]
        at = {0.0: 0} | {times[behind]: 0 for behind in ends}
        at |= {times[first]: 1 for first, _ in spans}
        keys = "".join(f"{percent(t, total)}{{opacity:{on}}}" for t, on in sorted(at.items()))
        shown = ";opacity:1" * any(first <= still < behind for first, behind in spans)
        rules.append(f"@keyframes {name}{{{keys}}}.{name}{{animation-name:{name}{shown}}}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" '
        f'viewBox="0 0 {wide} {high}" font-family="ui-monospace,Menlo,Consolas,\'DejaVu Sans '
        f'Mono\',monospace" font-size="13">\n'
        "<style>text{white-space:pre}g{opacity:0;animation-duration:"
        f"{total:.1f}s;animation-timing-function:step-end;animation-iteration-count:infinite}}"
        f"{''.join(rules)}</style>\n"
        f'<rect width="{wide}" height="{high}" rx="8" fill="{BACKGROUND}"/>\n'
        f'<g style="opacity:1" fill="{COLORS["default"]}">\n' + "\n".join(body) + "\n</g>\n</svg>\n"
    )


def fitting(film):
    """The film as an SVG, with as many frames as MAX_BYTES allows."""
    picture = svg(film)
    while len(picture.encode()) > MAX_BYTES and len(film.frames) > 2:
        film.thin()
        picture = svg(film)
    return picture


# ---- the run -------------------------------------------------------------------------------------


def seen(text, names):
    """The moments of @names that the screen's @text shows."""
    return [n for n, pattern in MOMENTS if n in names and re.search(pattern, text, re.MULTILINE)]


def spawn(command, columns, rows):
    env = outer_make.env()
    env.update(TERM="xterm-256color", LC_ALL="C.UTF-8", COLUMNS=str(columns), LINES=str(rows))
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(qemu.ROOT)
        os.execvpe(command[0], command, env)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    return pid, terminal


class Recording:
    """A run, its film, and the moments that were seen."""

    def __init__(self, command, columns, rows, folder):
        import pyte

        self.screen = terminal_screen(columns, rows, self.answer)
        self.stream = pyte.ByteStream(self.screen)
        self.film = Film(columns, rows)
        self.folder = folder
        self.left = [n for n, _ in MOMENTS]
        self.typed = []
        self.pid, self.terminal = spawn(command, columns, rows)
        self.start = time.monotonic()

    def answer(self, data):
        os.write(self.terminal, data)

    def now(self):
        return time.monotonic() - self.start

    def keep(self, name, text):
        self.left.remove(name)
        print(f"  {self.now():6.1f} s  {name}", flush=True)
        self.write(name, text)
        if name == "offline-seen":
            self.film.still = self.now() + EVERY

    def write(self, name, text):
        if self.folder:
            number = [n for n, _ in MOMENTS].index(name) + 1
            rooms.write(os.path.abspath(f"{self.folder}/{number:02}-{name}.txt"), text)

    def moments(self):
        """Keep the text of each moment that the screen now shows first; of acts the last text."""
        text = text_of(self.screen)
        for name in seen(text, [n for n, _ in MOMENTS if n.startswith("act-")]):
            if name not in self.left and text.count("\n") > 1:
                self.write(name, text)
        for name in seen(text, self.left):
            self.keep(name, text)

    def at_prompt(self):
        """Type the next command.  q leaves a map that is shown live; if it is only a letter at the
        prompt, Ctrl-U deletes it."""
        words = (["map\r", "q"] if self.folder else []) + ["\x15halt\r"]
        if self.typed == ["map\r"]:
            self.keep("map", text_of(self.screen))
        if len(self.typed) < len(words):
            self.typed.append(words[len(self.typed)])
            os.write(self.terminal, self.typed[-1].encode())

    def run(self):
        """Record the run; returns its exit status.  On the live screen only drawn frames count."""
        since = None  # when the prompt came, or the last command was typed
        burst, half, fed, new = 0, False, 0.0, False
        while self.now() < WATCHDOG:
            if select.select([self.terminal], [], [], QUIET)[0]:
                try:
                    data = os.read(self.terminal, 2048)
                except OSError:
                    break
                if not data:
                    break
                self.stream.feed(data)
                burst, fed, new = burst + len(data), self.now(), True
                if self.screen.kept is None:
                    self.moments()
            elif burst:
                half, burst = self.screen.kept is not None and burst >= FULL, 0
            if new and not burst and (not half or self.now() - fed > REST):
                self.moments()
                new = not self.film.add(self.now(), lines(self.screen))
            if "prompt" not in self.left and since is None:
                since = self.now()
            if since is not None and self.now() - since > PAUSE:
                self.at_prompt()
                since = self.now()
        else:
            os.kill(self.pid, 15)
        self.film.add(self.now() + EVERY, lines(self.screen))
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def default_out(folder):
    """The path of the SVG: in the folder of the texts, if there is one."""
    return os.path.join(folder, "recording.svg") if folder else os.path.join(qemu.ROOT, OUT)


def main():
    parser = rooms.parser(__doc__)
    parser.add_argument("--size", default="80x24")
    parser.add_argument("--out", help=f"by default {OUT}, or DIR/recording.svg")
    parser.add_argument("--text", metavar="DIR", help="also the screen at named moments")
    args = parser.parse_args()
    size = re.fullmatch(r"(\d+)x(\d+)", args.size)
    if not size:
        parser.error(f"--size {args.size}: wanted COLUMNSxROWS")
    if not check.make(args.build, "kernel"):
        return 1
    args.out = args.out or default_out(args.text)
    command = ["make", "--no-print-directory", f"B={args.build}", "run"]
    recording = Recording(command, int(size.group(1)), int(size.group(2)), args.text)
    status = recording.run()
    if missing := NEEDED & set(recording.left):
        print(f"recording: never seen: {', '.join(sorted(missing))}", file=sys.stderr)
    if status or missing:
        return status or 1
    picture = fitting(recording.film)
    rooms.write(os.path.abspath(args.out), picture)
    print(f"  {args.out}: {len(recording.film.frames)} frames, {len(picture.encode())} bytes")
    return 0


if __name__ == "__main__":
    rooms.run(main)
