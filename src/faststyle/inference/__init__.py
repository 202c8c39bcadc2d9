"""Applying saved weights to pictures: ``Stylizer``."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from faststyle.inference.stylizer import Stylizer as Stylizer


def __getattr__(name: str) -> Any:
    """``Stylizer``, imported when it is asked for: the table of back ends is read without NumPy."""
    if name == "Stylizer":
        from faststyle.inference.stylizer import Stylizer

        return Stylizer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
