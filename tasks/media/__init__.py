"""Pictures: canonical PNG files by their digest. Records name them; this package holds, reads and admits them."""

from tasks.media.admission import admit
from tasks.media.album import MissingPictureError, has, keep, lend, picture, reading, shown_by
from tasks.media.png import LARGEST, PictureError, encode, grey, pixels

__all__ = [
    "LARGEST",
    "MissingPictureError",
    "PictureError",
    "admit",
    "encode",
    "grey",
    "has",
    "keep",
    "lend",
    "picture",
    "pixels",
    "reading",
    "shown_by",
]
