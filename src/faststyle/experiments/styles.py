"""The styles of a training: ``style=NAME``, or several as ``style=[NAME,NAME@SIZE,PICTURE]``."""

import re
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from faststyle.errors import ConfigError
from faststyle.resources import CONF

NAMED = 3  # of several styles, in the name of a run
_GLOB = re.compile(r"style=glob\((.+?)(?:, *exclude=\[?([^\[\]]*)\]?)?\)")
_SEVERAL = re.compile(r"(?:style|style\.images|styles)=\[(.*)\]")


def several_styles(overrides: list[str]) -> list[str]:
    """Overrides with ``style=[a,b]`` as ``styles=[a,b]``: a list of a group means something else to Hydra. Such a run
    has its name of theirs, unless it is given. Of all pages ``style=glob(*)`` leaves out what is no style."""
    result = []
    for override in overrides:
        if found := _SEVERAL.fullmatch(override):
            names = [Path(_picture_and_size(each)[0]).stem for each in found[1].split(",")]
            more = [f"{len(names) - NAMED}_more"] if len(names) > NAMED else []
            if not any(each.startswith("name=") for each in overrides):
                result.append(f"name='{'+'.join([*names[:NAMED], *more])}'")
            override = f"styles=[{found[1]}]"
        elif found := _GLOB.fullmatch(override):
            override = f"style=glob({found[1]},exclude=[base,{found[2] or ''}])".replace(",]", "]")
        result.append(override)
    return result


def _picture_and_size(entry: str) -> tuple[str, str]:
    """Of ``NAME@SIZE`` or ``PICTURE@SIZE``; no size is an empty one."""
    picture, _, size = entry.strip().strip("'\"").rpartition("@")
    return (picture, size) if picture and size.isdecimal() else (entry.strip().strip("'\""), "")


def with_styles(cfg: DictConfig) -> DictConfig:
    """A copy of ``conf/train.yaml`` as composed in which ``styles`` is a list of what ``conf/style/`` says of each, or
    of the one ``style``. Sizes, and ``content_error`` if it is given, are the one's, unless an entry has its own.

    Raises ``ConfigError`` on a style that is neither a page nor the path of a picture.
    """
    copy = cfg.copy()
    entries, own = cfg.get("styles"), OmegaConf.is_interpolation(cfg, "content_error")
    if not entries:
        styles = [cfg.style]
    elif OmegaConf.is_list(entries) and all(isinstance(entry, str | int) for entry in entries):
        styles = [_page(str(entry), cfg.style.size) for entry in entries]
    else:
        raise ConfigError(f"styles: expected names of styles or paths of pictures, found {entries}")
    if not own:
        styles = [OmegaConf.merge(style, {"content_error": cfg.content_error}) for style in styles]
    copy.styles = styles
    copy.styles = OmegaConf.to_container(copy.styles, resolve=True)  # a list of frozen dataclasses resolves nothing
    return copy


def _page(entry: str, size: Any) -> DictConfig:
    picture, own_size = _picture_and_size(entry)
    page = CONF / "style" / f"{picture}.yaml"
    if not page.is_file() and not Path(picture).suffix:
        known = ", ".join(sorted(path.stem for path in page.parent.glob("*.yaml") if path.stem != "base"))
        raise ConfigError(f"styles: {picture!r} is neither the path of a picture nor one of {known}")
    try:
        parts = [OmegaConf.load(CONF / "style" / "base.yaml")]
        parts.append(OmegaConf.load(page) if page.is_file() else OmegaConf.create({"image": picture}))
        style = OmegaConf.merge(*parts, {"size": int(own_size) if own_size else size})
    except (OmegaConfBaseException, OSError) as error:
        raise ConfigError(f"styles: {picture!r} cannot be read ({str(error).splitlines()[0]})") from error
    assert isinstance(style, DictConfig)
    style.pop("defaults", None)
    if own_size:
        style.name = f"{Path(picture).stem}@{own_size}"
    return style
