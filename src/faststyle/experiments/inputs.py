"""What a user gives, checked before anything heavy is imported. No torch."""

from faststyle.errors import ImageError
from faststyle.imaging.images import Picture, read_picture, resize_shorter_side


def load_style(image: str | None, size: int) -> Picture:
    """The style picture, its shorter side at ``size`` pixels. Raises ``ImageError`` that says what to set."""
    if not image:
        raise ImageError("style.image: set style.image=PATH to a painting, or style=NAME")
    try:
        picture = read_picture(image)
    except ImageError as error:
        raise ImageError(f"style.image: {error}; set style.image=PATH to a painting") from error
    return resize_shorter_side(picture, size)
