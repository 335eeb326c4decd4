"""Pictures as SVG, by hand: the same arguments give the same bytes.

Conventions
-----------
- Positions and lengths are pixels from the upper left corner, drawn to half a pixel.
- Every function gives an element as text; `document` makes a file of them.
- Colours are classes, light on dark where the viewer asks for it: `ink` and `muted` for text, `grid` and
  `axis` for lines, `before` and `after` for what is compared. Whatever ignores the style sheet's dark part
  shows the light one; the background is always drawn.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

import numpy as np

_LIGHT = {
    "paper": "#ffffff",
    "ink": "#1f2430",
    "muted": "#5b6270",
    "grid": "#e3e6ea",
    "axis": "#9aa1ab",
    "before": "#8b929c",
    "after": "#c2410c",
}
_DARK = {
    "paper": "#15181d",
    "ink": "#eceef1",
    "muted": "#a3abb6",
    "grid": "#2c323a",
    "axis": "#69717c",
    "before": "#858d98",
    "after": "#fb923c",
}


def _rules(colours: dict[str, str]) -> str:
    fills = "".join(f".{name}{{fill:{colours[name]}}}" for name in ("paper", "ink", "muted"))
    strokes = "".join(f".{name}{{stroke:{colours[name]}}}" for name in ("grid", "axis", "before", "after"))
    return fills + strokes


_STYLE = (
    "text{font-family:Helvetica,Arial,sans-serif}path{fill:none;stroke-linecap:round}"
    f".dots{{stroke-width:3;opacity:.35}}{_rules(_LIGHT)}"
    f"@media (prefers-color-scheme:dark){{{_rules(_DARK)}}}"
)


def document(width: float, height: float, title: str, elements: Iterable[str], style: str = "") -> bytes:
    """An SVG file of the elements, `title` for those who cannot see it.

    `style` are rules for classes of this picture alone.
    """
    size = f"{_number(width)} {_number(height)}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" width="{_number(width)}" role="img"'
    lines = [
        f"{head} aria-label={quoteattr(_printable(title))}>",
        f"<style>{_STYLE}{style}</style>",
        f'<rect class="paper" width="{_number(width)}" height="{_number(height)}"/>',
        *elements,
        "</svg>",
    ]
    return ("\n".join(lines) + "\n").encode()


def text(
    x: float, y: float, content: str, colour: str = "ink", size: float = 12, anchor: str = "start"
) -> str:
    """A line of text with its base line at `y`; `anchor` is start, middle or end."""
    place = f'x="{_number(x)}" y="{_number(y)}" font-size="{_number(size)}" text-anchor="{anchor}"'
    return f'<text class="{colour}" {place}>{escape(_printable(content))}</text>'


def line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1) -> str:
    """A straight line."""
    way = f"M{_number(x1)} {_number(y1)}L{_number(x2)} {_number(y2)}"
    return f'<path class="{colour}" stroke-width="{_number(width)}" d="{way}"/>'


def area(x: float, y: float, width: float, height: float, colour: str) -> str:
    """A filled rectangle. Its right end, not its width, is rounded, so that neighbours meet."""
    place = f'x="{_number(x)}" y="{_number(y)}" width="{_number(x + width - round(2 * x) / 2)}"'
    return f'<rect class="{colour}" {place} height="{_number(height)}"/>'


def bars(x: np.ndarray, y: np.ndarray, length: np.ndarray, colour: str, width: float) -> str:
    """Level bars that begin at the places x and y (n,), as long as `length` (n,), with square ends."""
    halves = np.unique(np.rint(2 * np.stack([x, y, length], axis=1)).astype(np.int64), axis=0)
    way = "".join(f"M{_number(a / 2)} {_number(b / 2)}h{_number(c / 2)}" for a, b, c in halves.tolist())
    return f'<path class="{colour}" stroke-width="{_number(width)}" style="stroke-linecap:butt" d="{way}"/>'


def dots(x: np.ndarray, y: np.ndarray, colour: str) -> str:
    """Faint dots, x and y (n,); those that fall on the same half pixel are drawn once."""
    return f'<path class="dots {colour}" d="{"".join(f"M{a} {b}h0" for a, b in _places(x, y))}"/>'


def dashes(x: np.ndarray, y: np.ndarray, colour: str, length: float = 7, width: float = 2) -> str:
    """Level dashes around the places x and y (n,)."""
    way = "".join(f"M{a} {b}h{_number(length)}" for a, b in _places(np.asarray(x) - length / 2, y))
    return f'<path class="{colour}" stroke-width="{_number(width)}" d="{way}"/>'


def _places(x: np.ndarray, y: np.ndarray) -> list[tuple[str, str]]:
    """Distinct places to half a pixel, in order, as text."""
    halves = np.unique(np.rint(2 * np.stack([x, y], axis=1)).astype(np.int64), axis=0)
    return [(_number(a / 2), _number(b / 2)) for a, b in halves.tolist()]


def _number(value: float) -> str:
    return f"{round(2 * value) / 2:g}"


def _printable(content: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in content)
