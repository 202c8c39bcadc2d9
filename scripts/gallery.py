"""Draws the shipped styles on the sample photographs, and writes checkpoints/README.md from what the weights say."""

import argparse
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faststyle.checkpoint import Header, read_checkpoint
from faststyle.commands.terminal import one_line_errors
from faststyle.evaluation.flicker import RATE, known_clip
from faststyle.files import replacing
from faststyle.imaging.images import contact_sheet, resize_shorter_side, resize_to, write_picture
from faststyle.imaging.reading import read_picture
from faststyle.imaging.sample_photos import sample_photograph
from faststyle.inference.mixture import style_names
from faststyle.inference.strokes import Strokes
from faststyle.inference.stylizer import Stylizer
from faststyle.resources import CHECKPOINTS, PAINTINGS, shipped_styles, style_picture
from faststyle.video import STEADY as STEADY_LEVERS
from faststyle.video.clips import Frame
from faststyle.video.steady import Steady
from faststyle.video.writing import AnimationWriter

SHOWN = ("astronaut", "coffee", "cat")
HEIGHT = 400
FIGURES = ("content_error", "style_distance")  # the latter is missing in older files
NETWORK = ("width", "residual_blocks", "upsample", "dilation", "noise")
TURNED = (
    ("starry_night", (0, 0.25, 0.5, 0.75, 1, 1.25)),
    ("woodcut_waves", "pointillism", (0, 0.2, 0.4, 0.6, 0.8, 1)),
    ("leger_contrast_of_forms", (0.5, 0.7, 0.85, 1, 1.4, 2)),
)
DIALS = CHECKPOINTS.parent / "docs" / "images" / "dials.jpg"
STEADY = CHECKPOINTS.parent / "docs" / "images" / "steady.webp"
CLIP = (180, 320), 30  # pixels, frames
ALL = CHECKPOINTS.parent / "docs" / "images" / "all.webp"

HEADER = """# Shipped styles

Apply one by its name: `faststyle stylize photo.jpg --checkpoint NAME --output styled.jpg`.

Content error and style distance are means over photographs that were not trained on; the former under the loss network
that trained, the latter, how far the picture is from the painting's style, under the compact one. The files hold this
and the whole recipe in their metadata; `init=` of a file that is not here was an earlier state of that style. This page
and its pictures are made by `scripts/gallery.py`.

The loss network was the original VGG-19 of Simonyan & Zisserman (2014), released by the Visual Geometry Group, Oxford,
under CC BY 4.0, or the compact network distilled from it. Errors under the two differ a little; BENCHMARKS.md judges
all by VGG-19. The photographs are scikit-image's samples; the paintings are in the public domain or our own.
"""
SEVERAL = """One network of {n} paintings, the base from which others are trained (`init=auto`). Those that have a
network of their own, above, are in it, too: `--checkpoint paintings --style NAME`, also mixed, and with `--strength`.
The figures are means over all; the content error that each was held at stands in the file.
"""


def main() -> None:
    """One picture for each style, and one with all of them for the project's README."""
    photographs = [resize_shorter_side(read_picture(sample_photograph(name)), HEIGHT).rgb for name in SHOWN]
    paintings = read_checkpoint(PAINTINGS).header
    rows = [_smaller(photographs)]
    for name in shown_styles(paintings):
        stylizer = Stylizer.load(name, device="cpu")
        stylized = [stylizer.stylize(photograph) for photograph in photographs]
        write_picture(style_picture(name), contact_sheet([stylized]))
        rows.append(_smaller(stylized))
    first, *others = rows
    pairs = [first + first, *([p for row in others[i : i + 2] for p in row] for i in range(0, len(others), 2))]
    write_picture(ALL, contact_sheet(pairs))
    write_picture(DIALS, contact_sheet([_smaller(row) for row in dials(photographs[0])]))
    with replacing(STEADY) as path:
        write_steady(path, read_picture(sample_photograph(SHOWN[0])).rgb)
    (CHECKPOINTS / "README.md").write_text(page())


def write_steady(path: Path, photograph: NDArray[np.uint8]) -> None:
    """A camera moves over the photograph: painted frame by frame, and steadily."""
    size, frames = CLIP
    clip = known_clip(photograph, frames, size=size)
    stylizer = Stylizer.load(PAINTINGS, style=TURNED[0][0], device="cpu", backend="torch")
    painters = [Steady(stylizer, levers) for levers in (STEADY_LEVERS["none"], STEADY_LEVERS["both"])]
    writer = AnimationWriter(path, STEADY.suffix)
    for number, frame in enumerate(clip.frames):
        pair = contact_sheet([[painter.stylize(frame) for painter in painters]])
        writer.write(Frame(pair.rgb, Fraction(number, RATE), Fraction(1, RATE)))
    writer.close()


def dials(photograph: NDArray[np.uint8]) -> list[list[NDArray[np.uint8]]]:
    """What can be turned at run time: strength, a mixture, the size of the strokes, in a row each."""
    (one, strengths), (first, second, shares), (other, sizes) = TURNED
    stylizer = Stylizer.load(PAINTINGS, style=one, device="cpu")
    mixtures = [stylizer.with_style({first: 1 - share, second: share}) for share in shares]
    return [
        [stylizer.with_style(one, strength=strength).stylize(photograph) for strength in strengths],
        [mixture.stylize(photograph) for mixture in mixtures],
        [Strokes(stylizer.with_style(other), size).stylize(photograph) for size in sizes],
    ]


def shown_styles(paintings: Header) -> list[str]:
    """Those with a network of their own, then the other rows of the one that holds many."""
    return list(dict.fromkeys([*(path.stem for path in shipped_styles()), *style_names(paintings)]))


def _smaller(pictures: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    return [resize_to(p, HEIGHT // 2, p.shape[1] * (HEIGHT // 2) // p.shape[0]) for p in pictures]


def page() -> str:
    """checkpoints/README.md."""
    files = {path: read_checkpoint(path).header for path in shipped_styles()}
    sections = [HEADER]
    for path, header in files.items():
        sections += [f"## {path.stem}\n\n{describe_painting(path.stem, header)}", describe(path, header)]
        sections.append(_show(path.stem))
    paintings = read_checkpoint(PAINTINGS).header
    sections += [f"## {PAINTINGS.stem}\n\n{SEVERAL.format(n=len(style_names(paintings)))}"]
    sections.append(describe(PAINTINGS, paintings))
    for name in shown_styles(paintings)[len(files) :]:
        sections += [f"### {name}\n\n{describe_painting(name, paintings)}", _show(name)]
    return "\n".join(sections)


def _show(name: str) -> str:
    return f"![{name} on {', '.join(SHOWN)}](images/{style_picture(name).name})\n"


def describe_painting(name: str, header: Header) -> str:
    """Title, artist, year and source of a style."""
    style = header.style(name)
    assert style is not None  # shipped weights know it
    return f"{style.title}, {style.artist}, {style.year} ([source]({style.source}))."


def describe(path: Path, header: Header) -> str:
    """How a file was trained, and what came of it."""
    recipe, outcome = header.recipe, header.outcome
    assert recipe is not None  # shipped weights have both
    assert outcome is not None
    time = f", {outcome.seconds / 60:.0f} min on {outcome.device}" if outcome.seconds else ""
    names = [style.name for style in recipe.styles]
    errors = dict.fromkeys(f"{style.content_error}" for style in recipe.styles)
    settings = {
        "style": names[0] if len(names) == 1 else f"[{','.join(names)}]",
        "style.size": recipe.styles[0].size,
        "loss.style_weight": f"{recipe.loss.style_weight:g}",
        "loss.statistic": recipe.loss.statistic,
        "loss.style_scales": recipe.loss.style_scales,
        "loss.tone_weight": f"{recipe.loss.tone_weight:g}",
        "content_error": next(iter(errors)) if len(errors) == 1 else None,  # else each painting's, of conf/style/
        "strength": recipe.strength or None,
        "loss_network": recipe.loss_network.architecture,
        **{f"network.{key}": getattr(recipe.network, key) for key in NETWORK},
        "data.image_size": recipe.data.image_size,
        "data.batch_size": recipe.data.batch_size,
        "optimizer.algorithm": recipe.optimizer.algorithm,
        "optimizer.learning_rate": f"{recipe.optimizer.learning_rate:g}",
        "trainer.max_steps": recipe.max_steps,
        "init": recipe.init,
    }
    command = " ".join(f"{key}={value}" for key, value in settings.items() if value is not None)
    data, megabytes = recipe.data, path.stat().st_size / 1e6
    figures = [
        f"{name.replace('_', ' ')} {outcome.evaluation[name]:.3f}" for name in FIGURES if name in outcome.evaluation
    ]
    crops = f"{data.batch_size} crop{'s' if data.batch_size > 1 else ''} of {data.image_size} px"
    return f"""{outcome.step} steps of {crops} under {recipe.loss_network.architecture}{time}:
`{command}`.
{", ".join([*figures, f"{megabytes:.2f} MB"])}.
"""


if __name__ == "__main__":
    argparse.ArgumentParser(
        description="Draw every style in checkpoints/ on the sample photographs (checkpoints/images/) and write "
        "checkpoints/README.md: title, artist, year, recipe and errors come from the metadata of the weights. "
        "Run it after putting new weights into checkpoints/."
    ).parse_args()
    with one_line_errors():
        main()
