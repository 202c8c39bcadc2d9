"""The sections of docs/COMPARISONS.md as pages of ``conf/comparison/``: what is compared in each."""

from dataclasses import dataclass

from omegaconf import DictConfig, OmegaConf

from faststyle.errors import ConfigError, one_of
from faststyle.resources import CONF

SECTIONS = CONF / "comparison"


@dataclass(frozen=True)
class Section:
    """A page of ``conf/comparison/``.

    kind: ``settings`` of image optimisation, or ``recipes`` of trainings. shared: overrides of all variants.
    variants: each one's own, by name. content_error: at which all variants are held, or None.
    """

    title: str
    kind: str
    shared: str
    variants: dict[str, str]
    content_error: float | None


def section_names() -> list[str]:
    """Of all pages."""
    return sorted(path.stem for path in SECTIONS.glob("*.yaml"))


def read_section(name: str, kind: str) -> Section:
    """Reads a page. Raises ``ConfigError`` if there is none of that name, or it is of another kind."""
    one_of("--section", name, section_names())
    cfg = OmegaConf.merge(OmegaConf.structured(Section), OmegaConf.load(SECTIONS / f"{name}.yaml"))
    assert isinstance(cfg, DictConfig)
    section = OmegaConf.to_object(cfg)
    assert isinstance(section, Section)
    if section.kind != kind:
        raise ConfigError(f"--section {name}: faststyle compare-{section.kind} compares these")
    return section
