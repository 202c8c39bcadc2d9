"""The errors that a user of the package may want to catch. Each one's text is one line."""


class FaststyleError(Exception):
    """Base of all of them. The command lines print its text and exit with code 2."""


class ImageError(FaststyleError):
    """A picture cannot be read or written."""


class CheckpointError(FaststyleError):
    """A weights file or a Lightning checkpoint cannot be used."""


class LossNetworkError(FaststyleError):
    """A loss network, its layers or its weights cannot be had."""


class ConfigError(FaststyleError):
    """An option has a value that cannot work."""


class DataError(FaststyleError):
    """A source of photographs cannot be used."""


class NonFiniteLossError(FaststyleError):
    """The loss became infinite or NaN during training."""
