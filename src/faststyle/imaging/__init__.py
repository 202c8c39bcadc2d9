"""Pictures: files and NumPy arrays. No torch."""

from faststyle.imaging.images import Picture, write_picture
from faststyle.imaging.reading import read_picture

__all__ = ["Picture", "read_picture", "write_picture"]
