"""From what Hydra composes of ``conf/`` to settings, and the ways to name layers and styles. No torch."""

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from faststyle.config import LAYER_TERMS, LossConfig
from faststyle.errors import ConfigError
from faststyle.experiments.launch import run_name
from faststyle.experiments.schema import TrainConfig
from faststyle.experiments.styles import several_styles, with_styles
from faststyle.imaging.sample_photos import sample_photograph
from faststyle.resources import CONF, ROOT, cache_folder

# What conf/ computes: the name of a picture, a shipped file, a folder for what can be made again, a sample photograph,
# room for random crops, and the name of a new run.
RESOLVERS = {
    "stem": lambda path: Path(path).stem if path else "style",
    "shipped": lambda path: str(ROOT / path),
    "cache": lambda path: str(cache_folder() / path),
    "sample": lambda name: str(sample_photograph(name)),
    "pack_size": lambda image_size: round(image_size * 1.125),
    "run": run_name,
}
for _name, _resolver in RESOLVERS.items():
    OmegaConf.register_new_resolver(_name, _resolver, replace=True)

Settings = TypeVar("Settings")


def resolve(cfg: DictConfig, kind: type[Settings]) -> Settings:
    """A composed configuration as one of the dataclasses of ``faststyle.experiments.schema``, without changing it.

    Raises ``ConfigError`` that names the key, what was found and what was expected.
    """
    try:
        known = with_styles(cfg) if kind is TrainConfig else cfg
        typed = OmegaConf.merge(_schema(kind), _with_layer_mappings(known))
        OmegaConf.resolve(typed)
        settings = OmegaConf.to_object(typed)
    except OmegaConfBaseException as error:
        raise ConfigError(one_line(error)) from error
    assert isinstance(settings, kind)
    return settings


def one_line(error: OmegaConfBaseException) -> str:
    """The key and what is wrong with it."""
    message = str(error).splitlines()[0]
    if error.full_key and message.startswith("Key "):
        return f"unknown setting {error.full_key}; --help lists all"
    return f"{error.full_key}: {message}" if error.full_key else message


def _schema(kind: type) -> DictConfig:
    """``OmegaConf.structured``, but writable, although the dataclasses are frozen."""
    node = OmegaConf.structured(kind)
    OmegaConf.set_readonly(node, None)
    for field in fields(kind):
        if is_dataclass(field.type):
            node[field.name] = _schema(field.type)  # type: ignore[arg-type]
    assert isinstance(node, DictConfig)
    return node


LAYER_KEYS = tuple(f"{term}_layers" for term in LAYER_TERMS)


def _with_layer_mappings(cfg: DictConfig) -> DictConfig:
    """A copy in which every ``*_layers`` is weights by name; lists, and strings of names, weigh all layers alike."""
    copy = cfg.copy()
    for node in _mappings(copy):
        for key in LAYER_KEYS:
            layers: Any = node.get(key) if key in node else None
            names = re.findall(r"[^\s,]+", layers) if isinstance(layers, str) else layers
            if isinstance(names, list | ListConfig):
                node[key] = dict.fromkeys(map(str, names), 1.0)
    return copy


def _mappings(cfg: DictConfig) -> Iterator[DictConfig]:
    return (cfg[key] for key in cfg if OmegaConf.is_dict(cfg._get_node(key)))


_LAYER_OVERRIDE = re.compile(rf"[\w.]*\b({'|'.join(LAYER_KEYS)})(\.\w+)?=")


def own_overrides(overrides: list[str]) -> list[str]:
    """Command line overrides as Hydra takes them, for the ways of naming styles and layers that it has no grammar for.

    ``loss.style_layers=[a,b]`` replaces all layers, though the preset has a mapping; ``loss.style_layers.a=2`` changes
    or adds one.
    """
    return [_translate(each) if _LAYER_OVERRIDE.match(each) else each for each in several_styles(overrides)]


def _translate(override: str) -> str:
    return "++" + re.sub(r"\[([^\[\]]*)\]", lambda match: "'" + match[1].replace(",", " ") + "'", override)


def balanced_loss() -> LossConfig:
    """The default loss, as ``conf/loss/balanced.yaml`` composes it."""
    parts = [OmegaConf.load(CONF / "loss" / file) for file in ("base.yaml", "layers/balanced.yaml", "balanced.yaml")]
    cfg = OmegaConf.merge(*parts)
    assert isinstance(cfg, DictConfig)
    del cfg["defaults"]
    return resolve(cfg, LossConfig)


def default_style_size() -> int:
    """Shorter side of a painting in pixels, as ``conf/style/base.yaml`` gives it."""
    cfg = OmegaConf.load(CONF / "style" / "base.yaml")
    size: int = cfg.size
    return size
