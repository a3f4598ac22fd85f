"""Pictures for a person to judge: as a row holds them, and as the page shows them.

A row holds the canonical PNG as base64, so a board's page needs no store. How many and how large they are is capped.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator

from tasks import media

LARGEST = 16_384
"""Bytes of a picture that a row holds; larger ones are left out."""
LISTED = 12
"""Pictures of the lessons of a run, and as many of its mistakes."""


def _checked(text: str) -> str:
    """A picture of a row; what is no canonical PNG of a small size is refused."""
    try:
        png = base64.b64decode(text.encode("ascii"), validate=True)
        sound = len(png) <= LARGEST and media.pixels(png).size > 0
    except (binascii.Error, UnicodeEncodeError, media.PictureError):
        sound = False
    if not sound:
        raise ValueError(f"a picture must be a canonical PNG of at most {LARGEST} bytes, as base64")
    return text


ShownPicture = Annotated[str, AfterValidator(_checked)]


class PictureList:
    """Pictures that a row still has room for."""

    def __init__(self) -> None:
        self._left = LISTED

    def of(self, pngs: Sequence[bytes]) -> dict[str, list[str]]:
        """The field of a row for what an example shows; empty where there is nothing to show or no room left."""
        small = [png for png in pngs if len(png) <= LARGEST][: self._left]
        self._left -= len(small)
        return {"pictures": [base64.b64encode(png).decode("ascii") for png in small]} if small else {}


def data_uris(pictures: Sequence[str]) -> list[str]:
    """The pictures of a row as addresses that hold the picture itself."""
    return [f"data:image/png;base64,{_checked(text)}" for text in pictures]
