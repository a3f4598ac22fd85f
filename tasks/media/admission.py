"""Admission: a picture from outside becomes a canonical PNG, or is refused in one sentence.

The file is decoded by pillow (the extra ``vision``). Its size is read before any pixel is, so a decompression bomb is
refused unopened. Metadata, names and times stay behind.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from tasks.media.png import LARGEST, PictureError, check_size, encode

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
BIGGEST = 1 << 26
"""Bytes of a file, at the most."""


def admit(source: bytes | Path, name: str = "picture") -> bytes:
    """The canonical PNG of a picture from outside; what is transparent lies on white.

    Args:
        source: The bytes of the file, or its path. A text is refused: bytes cannot be mistaken for a path.
        name: What the sentences of errors call it.

    Raises:
        PictureError: If there is no such file, it is no picture of ``FORMATS``, or it is broken, animated, larger than
            ``LARGEST`` pixels or of more than 8 bits a channel.
    """
    if isinstance(source, Path):
        name = f"{name} {source}" if name == "picture" else name
    data = _bytes_of(source, name)
    image_module, operations, unreadable = _pillow()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pillow warns of large ones; they are refused here by their size
            image = image_module.open(io.BytesIO(data), formats=FORMATS)
            _check(image, data, name)
            image.load()
    except PictureError:
        raise
    except unreadable as error:
        if isinstance(error, image_module.DecompressionBombError):
            raise PictureError(f"{name} holds too many pixels; give at most {LARGEST} in all") from None
        raise PictureError(f"{name} is no whole picture ({_said(error)}); give a {', '.join(FORMATS)} file") from None
    return encode(_flat(operations.exif_transpose(image), image_module))


def _bytes_of(source: Any, name: str) -> bytes:
    if isinstance(source, bytes):
        data = source
    elif isinstance(source, Path):
        try:
            if source.stat().st_size > BIGGEST:
                raise PictureError(f"{name} is a file of {source.stat().st_size} bytes; give at most {BIGGEST}")
            data = source.read_bytes()
        except FileNotFoundError:
            raise PictureError(f"{name} is not there; give the path of a picture") from None
        except OSError as error:
            raise PictureError(f"{name} cannot be read ({error.strerror}); give the path of a picture") from None
    elif isinstance(source, str):
        raise PictureError(f"{name} is a text ({source[:40]!r}); give the bytes of a picture, not its path")
    else:
        raise PictureError(f"{name} is a {type(source).__name__}; give the bytes of a picture")
    if len(data) > BIGGEST:
        raise PictureError(f"{name} has {len(data)} bytes; give at most {BIGGEST}")
    return data


def _pillow() -> tuple[Any, Any, tuple[type[Exception], ...]]:
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise PictureError("pictures from outside need pillow; install it: pip install 'dataenv[vision]'") from None
    # What its decoders raise for broken files, by their own documentation and by fuzzing.
    return Image, ImageOps, (OSError, SyntaxError, ValueError, EOFError, TypeError, Image.DecompressionBombError)


def _check(image: Any, data: bytes, name: str) -> None:
    """Refuse by the header what is not to be decoded."""
    width, height = image.size
    check_size(width, height, name)
    if getattr(image, "n_frames", 1) > 1:
        raise PictureError(f"{name} is animated ({image.n_frames} frames); give a picture that stands still")
    deep = image.format == "PNG" and data[24] > 8
    if deep or image.mode.startswith("I") or image.mode == "F":
        raise PictureError(f"{name} has more than 8 bits a channel; convert it to 8 bits")


def _flat(image: Any, image_module: Any) -> Any:
    """Pixels as an array: grey or RGB, on white where they were transparent."""
    if "transparency" in image.info or image.mode in ("LA", "PA", "RGBA", "La", "RGBa"):
        image = image.convert("RGBA")
        white = image_module.new("RGBA", image.size, (255, 255, 255, 255))
        image = image_module.alpha_composite(white, image)
    image = image.convert("L" if image.mode in ("1", "L") else "RGB")
    return np.asarray(image, np.uint8)


def _said(error: Exception) -> str:
    """What pillow says, without the address of its buffer."""
    said = str(error).partition("<_io")[0].strip()
    return " ".join(said.split())[:80] or type(error).__name__
