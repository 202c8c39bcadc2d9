"""Where shipped files are: in a checkout at its top level, in an installed package in its ``data`` folder."""

from pathlib import Path

from faststyle.errors import CheckpointError

_PACKAGE = Path(__file__).resolve().parent
_CHECKOUT = _PACKAGE.parents[1]

IN_CHECKOUT = (_CHECKOUT / "conf" / "train.yaml").is_file()
ROOT = _CHECKOUT if IN_CHECKOUT else _PACKAGE / "data"
CONF, CHECKPOINTS = ROOT / "conf", ROOT / "checkpoints"
COMMAND = "uv run faststyle" if IN_CHECKOUT else "faststyle"
PAINTINGS = CHECKPOINTS / "paintings.safetensors"  # many styles in one network
LOSS_NETWORKS = CHECKPOINTS / "loss_networks"
SAMPLE_PHOTOS = ROOT / "sample_photos"  # only in a package: a checkout has scikit-image


def cache_folder() -> Path:
    """Where downloads and packs go: ``data/`` of a checkout, else where the platform keeps caches."""
    if IN_CHECKOUT:
        return ROOT / "data"
    import platformdirs  # not needed in a checkout

    return platformdirs.user_cache_path("faststyle")


def shipped_styles() -> list[Path]:
    """Weights of the shipped styles that have a network of their own, by name."""
    return sorted(path for path in CHECKPOINTS.glob("*.safetensors") if path != PAINTINGS)


def style_picture(name: str) -> Path:
    """What a shipped style makes of the sample photographs."""
    return CHECKPOINTS / "images" / f"{name}.jpg"


def find_weights(name: str | Path) -> Path:
    """A file, or the shipped style of that name. Raises ``CheckpointError`` that lists the shipped ones."""
    path, shipped = Path(name), CHECKPOINTS / f"{name}.safetensors"
    if path.is_file() or path.suffix:
        return path
    if not shipped.is_file():
        known = ", ".join(path.stem for path in shipped_styles())
        raise CheckpointError(f"no checkpoint {name}; shipped styles: {known}")
    return shipped
