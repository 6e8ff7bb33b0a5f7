#!/usr/bin/env python3
"""Draws a terminal's screen, as `tmux capture-pane -e -p -N` prints it, as an SVG: text in the reader's own monospace font, the sixteen
colours on a light background, no script, no font and nothing else from outside.

    to_svg.py COLUMNS ROWS TITLE < capture > picture.svg
"""

import re
import sys
import unicodedata
from dataclasses import dataclass, replace
from xml.sax.saxutils import escape, quoteattr

CELL, LINE, FONT, MARGIN, BAR = 8.4, 18, 14, 14, 26
PAPER, INK, FRAME = "#fbfaf6", "#24292f", "#d0cdc4"
# The sixteen colours, dark enough to be read on the paper.
COLOURS = [
    "#24292f", "#b42318", "#1a7f37", "#8a5a00", "#0550ae", "#8250df", "#0b7285", "#57606a",
    "#6e7781", "#cf222e", "#1a7f37", "#9a6700", "#0969da", "#8250df", "#1b7c83", "#8c959f",
]
SEQUENCE = re.compile(r"\x1b\[([0-9;:]*)([A-Za-z])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][A-Z0-9]|[\x0e\x0f]")


@dataclass(frozen=True)
class Style:
    """How a cell looks; colours as they are written into the picture, or nothing for the usual ones."""

    ink: str | None = None
    paper: str | None = None
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underlined: bool = False
    reversed: bool = False

    def colours(self):
        """Ink and paper as they are drawn; the paper is nothing where it is the page's own."""
        if self.reversed:
            return self.paper or PAPER, self.ink or INK
        return self.ink or INK, self.paper


def colour(codes):
    """The colour that follows a 38 or 48, taken off `codes`."""
    kind = codes.pop(0) if codes else 0
    if kind == 5 and codes:
        number = codes.pop(0)
        if number < 16:
            return COLOURS[number]
        if number < 232:
            steps = [0, 95, 135, 175, 215, 255]
            red, rest = divmod(number - 16, 36)
            return "#%02x%02x%02x" % (steps[red], steps[rest // 6], steps[rest % 6])
        return "#%02x%02x%02x" % ((8 + 10 * (min(number, 255) - 232),) * 3)
    if kind == 2 and len(codes) >= 3:
        return "#%02x%02x%02x" % tuple(min(codes.pop(0), 255) for _ in range(3))
    return None


def styled(style, parameters):
    """The style after one `ESC [ … m`."""
    codes = [int(code) if code else 0 for code in re.split("[;:]", parameters)]
    switches = {
        1: {"bold": True}, 2: {"dim": True}, 3: {"italic": True}, 4: {"underlined": True}, 7: {"reversed": True},
        22: {"bold": False, "dim": False}, 23: {"italic": False}, 24: {"underlined": False}, 27: {"reversed": False},
        39: {"ink": None}, 49: {"paper": None},
    }
    while codes:
        code = codes.pop(0)
        if code == 0:
            style = Style()
        elif code in switches:
            style = replace(style, **switches[code])
        elif code in (38, 48):
            style = replace(style, **{"ink" if code == 38 else "paper": colour(codes)})
        else:
            for base, field, shift in ((30, "ink", 0), (40, "paper", 0), (90, "ink", 8), (100, "paper", 8)):
                if base <= code < base + 8:
                    style = replace(style, **{field: COLOURS[code - base + shift]})
    return style


def cells(letter):
    """How many cells a character takes."""
    if unicodedata.combining(letter) or unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


@dataclass
class Run:
    """Letters of one style that are drawn together."""

    column: int
    width: int
    text: str
    style: Style

    def takes(self, column, width, style):
        """Whether a letter goes on with this run. A wide one stands alone, as fonts seldom draw it two cells wide."""
        is_alone = self.width == 2 and cells(self.text[0]) == 2
        return width == 0 or (width == 1 and not is_alone and self.style == style and self.column + self.width == column)


def runs(line, style, columns):
    """The runs of a line, and the style at its end."""
    found, column, at = [], 0, 0
    while at < len(line):
        sequence = SEQUENCE.match(line, at)
        if sequence:
            if sequence.group(2) == "m":
                style = styled(style, sequence.group(1))
            at = sequence.end()
            continue
        letter, width = line[at], cells(line[at])
        at += 1
        if ord(letter) < 32 or column + width > columns:
            continue
        if found and found[-1].takes(column, width, style):
            found[-1].width += width
            found[-1].text += letter
        elif width:
            found.append(Run(column, width, letter, style))
        column += width
    return found, style


def draw(capture, columns, rows, title):
    """The whole picture."""
    width, height = round(columns * CELL + 2 * MARGIN), rows * LINE + 2 * MARGIN + BAR
    shapes, texts, style = [], [], Style()
    for row, line in enumerate(capture.split("\n")[:rows]):
        parts, style = runs(line, style, columns)
        top = BAR + MARGIN + row * LINE
        for run in parts:
            left, text, look = MARGIN + run.column * CELL, run.text, run.style
            ink, paper = look.colours()
            if paper:
                shapes.append(f'<rect x="{left:.1f}" y="{top}" width="{run.width * CELL:.1f}" height="{LINE}" fill="{paper}"/>')
            if not text.strip():
                continue
            lead = len(text) - len(text.lstrip(" "))
            body, left = text.strip(" "), left + lead * CELL
            span = sum(map(cells, body)) * CELL
            marks = "".join(
                mark
                for mark, holds in (
                    (' font-weight="bold"', look.bold), (' font-style="italic"', look.italic),
                    (' text-decoration="underline"', look.underlined), (' opacity=".68"', look.dim),
                )
                if holds
            )
            ink = "" if ink == INK else f' fill="{ink}"'
            texts.append(f'<text x="{left:.1f}" y="{top + 13.5}" textLength="{span:.1f}"{ink}{marks}>{escape(body)}</text>')
    dots = "".join(f'<circle cx="{MARGIN + 5 + 16 * dot}" cy="{BAR / 2 + 1}" r="4.5" fill="{FRAME}"/>' for dot in range(3))
    name = f'<text x="{width / 2}" y="{BAR / 2 + 6}" text-anchor="middle" font-size="12" opacity=".68">{escape(title)}</text>'
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img"'
        f" aria-label={quoteattr(title)}>",
        f"<title>{escape(title)}</title>",
        "<style>text{white-space:pre}</style>",
        f'<rect x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="8" fill="{PAPER}" stroke="{FRAME}"/>',
        f'<path d="M0 {BAR}.5H{width}" stroke="{FRAME}"/>',
        *shapes,
        f'<g font-family="ui-monospace,\'DejaVu Sans Mono\',Menlo,Consolas,monospace" font-size="{FONT}" fill="{INK}">',
        dots, name, *texts, "</g>", "</svg>", "",
    ])


def main():
    columns, rows, title = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    sys.stdout.write(draw(sys.stdin.read(), columns, rows, title))


if __name__ == "__main__":
    main()
