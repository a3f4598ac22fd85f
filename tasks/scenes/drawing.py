"""Scenes and their pictures. A scene is drawn pixel by pixel, and read back from the pixels.

Nothing is smoothed, so every release of every library draws the same picture. A picture is read by comparing each cell
of its grid with all things that can stand in one; so the judge needs no note of what was drawn, and a teacher cannot
forge one.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tasks import media

COLOURS = {
    "red": (220, 40, 40),
    "green": (40, 170, 60),
    "blue": (50, 90, 230),
    "yellow": (235, 205, 40),
    "white": (240, 240, 240),
    "purple": (150, 50, 190),
}
GROUND = (40, 40, 40)
SIZES = {"small": 5, "large": 7}
"""Pixels of a side."""
CELL, GRID = 8, 4
"""Pixels of a cell, and cells of a side: a picture has 32 × 32 pixels."""
_CIRCLES = {5: (".###.", "#...#", "#...#", "#...#", ".###."),
            7: ("..###..", ".##.##.", "##...##", "#.....#", "##...##", ".##.##.", "..###..")}  # fmt: skip
_TRIANGLES = {5: ("..#..", "..#..", ".###.", ".###.", "#####"),
              7: ("...#...", "...#...", "..###..", "..###..", ".#####.", ".#####.", "#######")}  # fmt: skip
_CROSSES = {5: ("#...#", ".#.#.", "..#..", ".#.#.", "#...#"),
            7: ("#.....#", ".#...#.", "..#.#..", "...#...", "..#.#..", ".#...#.", "#.....#")}  # fmt: skip
SHAPES = {"square": {n: ("#" * n,) * n for n in (5, 7)}, "circle": _CIRCLES, "triangle": _TRIANGLES, "cross": _CROSSES}
Cells = npt.NDArray[np.uint8]


class Thing(NamedTuple):
    """A thing of a scene, its cell (row and column, from the top and the left), and its place within the cell."""

    colour: str
    shape: str
    size: str
    row: int
    column: int
    down: int = 0
    right: int = 0


Scene = tuple[Thing, ...]
"""Things in the order of their cells; no two share one."""


def draw(scene: Scene) -> bytes:
    """The canonical PNG of a scene."""
    pixels = np.empty((GRID * CELL, GRID * CELL, 3), np.uint8)
    pixels[:] = GROUND
    for thing in scene:
        top, left = thing.row * CELL, thing.column * CELL
        pixels[top : top + CELL, left : left + CELL] = _cell(thing[:3], thing.down, thing.right)
    return media.encode(pixels)


def read(png: bytes) -> Scene | None:
    """The scene of a picture; ``None`` for one that ``draw`` does not make."""
    pixels = media.pixels(png)
    if pixels.shape != (GRID * CELL, GRID * CELL, 3):
        return None
    known, found = _known(), []
    for row, column in product(range(GRID), range(GRID)):
        cell = pixels[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL].tobytes()
        if cell not in known:
            return None
        if (held := known[cell]) is not None:
            (colour, shape, size), down, right = held
            found.append(Thing(colour, shape, size, row, column, down, right))
    return tuple(found)


def slack(size: str) -> int:
    """By how many pixels a thing of a size can be shifted within its cell."""
    return CELL - SIZES[size]


@cache
def _cell(look: tuple[str, str, str], down: int, right: int) -> Cells:
    """The pixels of a cell that holds a thing."""
    colour, shape, size = look
    cell = np.empty((CELL, CELL, 3), np.uint8)
    cell[:] = GROUND
    n = SIZES[size]
    mask = np.array([[mark == "#" for mark in line] for line in SHAPES[shape][n]])
    cell[down : down + n, right : right + n][mask] = COLOURS[colour]
    cell.flags.writeable = False
    return cell


@cache
def _known() -> dict[bytes, tuple[tuple[str, str, str], int, int] | None]:
    """What a cell holds, by its pixels; ``None`` for an empty one."""
    empty = np.empty((CELL, CELL, 3), np.uint8)
    empty[:] = GROUND
    looks = product(COLOURS, SHAPES, SIZES)
    held = {
        _cell(look, down, right).tobytes(): (look, down, right)
        for look in looks
        for down, right in product(range(slack(look[2]) + 1), repeat=2)
    }
    return {empty.tobytes(): None} | held
