"""Image classification: real pictures, a generator of some of them, and pictures of one's own."""

from tasks.images.collected import ImageCollection
from tasks.images.digits import Digits

__all__ = ["Digits", "ImageCollection"]
