"""Pictures: files and NumPy arrays. No torch."""

from faststyle.imaging.images import Picture, read_picture, write_picture

__all__ = ["Picture", "read_picture", "write_picture"]
