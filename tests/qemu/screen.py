# SPDX-License-Identifier: MIT
"""Reads the characters from a picture of the screen, pixel by pixel, with the font that drew
them."""
import struct


def load_font(path):
    """({lines of a glyph as a tuple of integers: character}, width, height) of the ASCII characters
    in a PSF file."""
    with open(path, "rb") as f:
        data = f.read()
    if data[:2] == b"\x36\x04":
        nr, size = 512 if data[2] & 1 else 256, data[3]
        start, width, height, table = 4, 8, size, data[2] & 6
    else:
        start, flags, nr, size, height, width = struct.unpack_from("<6I", data, 8)
        table = flags & 1
    codes = {i: i for i in range(min(nr, 128))}
    if table:
        codes, glyph, single = {}, 0, True
        rest = data[start + nr * size :]
        units = (
            struct.unpack(f"<{len(rest) // 2}H", rest[: len(rest) // 2 * 2]) if start == 4 else rest
        )
        end, sequence = (0xFFFF, 0xFFFE) if start == 4 else (0xFF, 0xFE)
        for unit in units:
            if unit == end:
                glyph, single = glyph + 1, True
            elif unit == sequence:
                single = False
            elif single and unit < 128:
                codes.setdefault(unit, glyph)
    stride = (width + 7) // 8
    glyphs = {}
    for code in range(127, 31, -1):
        if code in codes:
            at = start + codes[code] * size
            lines = tuple(
                int.from_bytes(data[at + y * stride : at + (y + 1) * stride], "big")
                >> (stride * 8 - width)
                for y in range(height)
            )
            glyphs[lines] = chr(code)
    return glyphs, width, height


def load_ppm(path):
    """(width, height, bytes of red, green and blue) of a file that QEMU's screendump wrote."""
    with open(path, "rb") as f:
        data = f.read()
    magic, size, depth, pixels = data.split(b"\n", 3)
    assert magic == b"P6" and depth == b"255", (magic, depth)
    width, height = map(int, size.split())
    return width, height, pixels


class Screen:
    """A screendump. rows: its text; colour(row, column): (front, back) as "rrggbb", front None for
    a blank."""

    def __init__(self, picture, font):
        self.glyphs, self.cell_width, self.cell_height = font
        self.width, self.height, self.pixels = load_ppm(picture)
        self.columns, self.nr_rows = self.width // self.cell_width, self.height // self.cell_height
        self.cells = [
            [self.cell(row, column) for column in range(self.columns)]
            for row in range(self.nr_rows)
        ]
        self.rows = ["".join(c for c, _, _ in row).rstrip() for row in self.cells]

    def cell(self, row, column):
        lines = []
        for y in range(row * self.cell_height, (row + 1) * self.cell_height):
            at = (y * self.width + column * self.cell_width) * 3
            lines.append([self.pixels[at + 3 * x : at + 3 * x + 3] for x in range(self.cell_width)])
        colours = sorted(set(p for line in lines for p in line))
        if len(colours) == 1:
            return " ", None, colours[0].hex()
        for front, back in (colours, colours[::-1]) if len(colours) == 2 else ():
            bits = tuple(
                sum((p == front) << (self.cell_width - 1 - x) for x, p in enumerate(line))
                for line in lines
            )
            if bits in self.glyphs:
                return self.glyphs[bits], front.hex(), back.hex()
        return "\0", None, None  # no character of the font

    def colour(self, row, column):
        return self.cells[row][column][1:]

    @property
    def text(self):
        return "\n".join(self.rows)


def terminal(text, columns, rows):
    """The rows of a terminal after @text, without escapes. The terminal scrolls by an eighth of its
    rows."""
    screen, column = [""], 0
    for c in text:
        if c == "\n" or column == columns:
            if len(screen) == rows:
                screen = screen[rows // 8 :]
            screen.append("")
            column = 0
        if c != "\n":
            screen[-1] += c
            column += 1
    return [line.rstrip() for line in screen + [""] * (rows - len(screen))]
