"""The one form of a picture inside: an 8-bit PNG, RGB or grey, without metadata.

Its bytes follow from the pixels alone, so equal pixels have an equal digest on every machine. Therefore nothing is
compressed (another release of zlib compresses to other bytes), and a picture without colour is always grey.
Source: PNG specification (ISO/IEC 15948), sections 5 and 10; RFC 1950 and 1951 for stored blocks.
"""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from tasks.errors import DataenvError

Pixels = npt.NDArray[np.uint8]
LARGEST = 1 << 22
"""Pixels of a picture, at the most: 2048 × 2048."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BLOCK = 0xFFFF
_GREY, _RGB = 0, 2
_HEAD = len(_SIGNATURE) + 8


class PictureError(DataenvError, ValueError):
    """What was given is no picture that can be taken; the sentence says why, and what to give."""


def encode(picture: Pixels) -> bytes:
    """The canonical PNG of some pixels.

    Args:
        picture: ``(height, width)`` or ``(height, width, 3)``, 8-bit.

    Raises:
        PictureError: If it has another form, or is too large.
    """
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8:
        raise PictureError(f"picture is {_form(picture)}; give an array of 8-bit pixels (uint8)")
    if picture.ndim not in (2, 3) or (picture.ndim == 3 and picture.shape[2] != 3) or not picture.size:
        raise PictureError(f"picture is {_form(picture)}; give (height, width) or (height, width, 3)")
    height, width = picture.shape[:2]
    check_size(width, height, "picture")
    if picture.ndim == 3 and (picture == picture[..., :1]).all():
        picture = picture[..., 0]
    rows = np.ascontiguousarray(picture).reshape(height, -1)
    raw = np.zeros((height, rows.shape[1] + 1), np.uint8)  # each row begins with its filter, 0 for none
    raw[:, 1:] = rows
    head = struct.pack(">IIBBBBB", width, height, 8, _RGB if picture.ndim == 3 else _GREY, 0, 0, 0)
    return _SIGNATURE + _chunk(b"IHDR", head) + _chunk(b"IDAT", _stored(raw.tobytes())) + _chunk(b"IEND", b"")


def check_size(width: int, height: int, what: str) -> None:
    """Refuse a picture that would hold too many pixels, before any is decoded.

    Raises:
        PictureError: If it is too large.
    """
    if width * height > LARGEST:
        raise PictureError(f"{what} is {width} × {height} pixels; give at most {LARGEST} in all")


def pixels(png: bytes) -> Pixels:
    """The pixels of a canonical PNG, ``(height, width, 3)``; those of a grey picture stand in all three channels.

    Raises:
        PictureError: If the bytes are no canonical PNG. Pictures from outside pass ``admit`` first.
    """
    found = _decoded(png)
    return found if found.ndim == 3 else np.repeat(found[..., None], 3, axis=2)


def grey(png: bytes) -> Pixels:
    """The brightness of a canonical PNG, ``(height, width)``: the mean of the channels, rounded down.

    Raises:
        PictureError: As ``pixels`` does.
    """
    found = _decoded(png)
    return found if found.ndim == 2 else (found.sum(2, dtype=np.uint16) // 3).astype(np.uint8)


@lru_cache(maxsize=4096)
def _decoded(png: bytes) -> Pixels:
    """Read-only pixels in their own form."""
    refusal = "picture is no canonical PNG; pass it through tasks.media.admit first"
    try:
        width, height, _, colour = struct.unpack(">IIBB", png[_HEAD : _HEAD + 10])
        start = _HEAD + 13 + 4 + 8
        check_size(width, height, "picture")
        shape = (height, width, 3) if colour == _RGB else (height, width)
        size = height * (width * (3 if colour == _RGB else 1) + 1)
        body = zlib.decompressobj().decompress(png[start:], size)
    except (struct.error, zlib.error):
        raise PictureError(refusal) from None
    if not size or len(body) != size:
        raise PictureError(refusal)
    found = np.frombuffer(body, np.uint8).reshape(height, -1)[:, 1:].reshape(shape)
    if encode(found) != png:  # whatever else could be wrong with it
        raise PictureError(refusal)
    found.flags.writeable = False
    return found


def _stored(raw: bytes) -> bytes:
    """A zlib stream of stored blocks."""
    parts = [raw[i : i + _BLOCK] for i in range(0, len(raw), _BLOCK)]
    blocks = (
        struct.pack("<BHH", i == len(parts) - 1, len(part), len(part) ^ 0xFFFF) + part for i, part in enumerate(parts)
    )
    return b"\x78\x01" + b"".join(blocks) + struct.pack(">I", zlib.adler32(raw))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _form(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype} with shape {value.shape}"
    return f"a {type(value).__name__}"
