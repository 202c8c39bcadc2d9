"""Draws the shipped styles on the sample photographs, and writes checkpoints/README.md from what the weights say."""

import argparse
from pathlib import Path

from faststyle.checkpoint import Header
from faststyle.commands.terminal import one_line_errors
from faststyle.imaging.images import contact_sheet, resize_shorter_side, resize_to, write_picture
from faststyle.imaging.reading import read_picture
from faststyle.imaging.sample_photos import sample_photograph
from faststyle.inference.stylizer import Stylizer
from faststyle.resources import CHECKPOINTS, shipped_styles, style_picture

SHOWN = ("astronaut", "coffee", "cat")
HEIGHT = 400
FIGURES = ("content_error", "style_distance")  # the latter is missing in older files
NETWORK = ("width", "residual_blocks", "upsample", "dilation", "noise")
ALL = CHECKPOINTS.parent / "docs" / "images" / "all.jpg"

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


def main() -> None:
    """One picture for each style, and one with all of them for the project's README."""
    photographs = [resize_shorter_side(read_picture(sample_photograph(name)), HEIGHT).rgb for name in SHOWN]
    sections = [HEADER]
    rows = [[resize_to(p, HEIGHT // 2, p.shape[1] * (HEIGHT // 2) // p.shape[0]) for p in photographs]]
    for path in shipped_styles():
        stylizer = Stylizer.load(path, device="cpu")
        stylized = [stylizer.stylize(photograph) for photograph in photographs]
        write_picture(style_picture(path), contact_sheet([stylized]))
        rows.append([resize_to(p, HEIGHT // 2, p.shape[1] * (HEIGHT // 2) // p.shape[0]) for p in stylized])
        sections.append(describe(path, stylizer.header))
    write_picture(ALL, contact_sheet(rows))
    (CHECKPOINTS / "README.md").write_text("\n".join(sections))


def describe(path: Path, header: Header) -> str:
    """The section of one style."""
    recipe, outcome = header.recipe, header.outcome
    assert recipe is not None  # shipped weights have both
    assert outcome is not None
    time = f", {outcome.seconds / 60:.0f} min on {outcome.device}" if outcome.seconds else ""
    settings = {
        "style": path.stem,
        "style.size": recipe.styles[0].size,
        "loss.style_weight": f"{recipe.loss.style_weight:g}",
        "loss.statistic": recipe.loss.statistic,
        "loss.style_scales": recipe.loss.style_scales,
        "content_error": recipe.styles[0].content_error,
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
    style, data, megabytes = recipe.styles[0], recipe.data, path.stat().st_size / 1e6
    figures = [
        f"{name.replace('_', ' ')} {outcome.evaluation[name]:.3f}" for name in FIGURES if name in outcome.evaluation
    ]
    return f"""## {path.stem}

{style.title}, {style.artist}, {style.year} ([source]({style.source})).
{outcome.step} steps of {data.batch_size} crops of {data.image_size} px under {recipe.loss_network.architecture}{time}:
`{command}`.
{", ".join([*figures, f"{megabytes:.2f} MB"]).capitalize()}.

![{path.stem} on {", ".join(SHOWN)}](images/{path.stem}.jpg)
"""


if __name__ == "__main__":
    argparse.ArgumentParser(
        description="Draw every style in checkpoints/ on the sample photographs (checkpoints/images/) and write "
        "checkpoints/README.md: title, artist, year, recipe and errors come from the metadata of the weights. "
        "Run it after putting new weights into checkpoints/."
    ).parse_args()
    with one_line_errors():
        main()
