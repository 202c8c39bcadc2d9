"""``style=[...]``: what of it Hydra gets, and what the training."""

from pathlib import Path

import pytest

from faststyle.errors import ConfigError
from faststyle.experiments.application import compose_settings
from faststyle.experiments.schema import TrainConfig
from faststyle.experiments.styles import several_styles


def compose(*overrides: str) -> TrainConfig:
    return compose_settings("train", TrainConfig, [*overrides, "run_dir=runs"])


def test_a_list_of_the_group_is_a_list_of_styles() -> None:
    assert several_styles(["style=[a,b@96]", "seed=1"]) == ["name='a+b'", "styles=[a,b@96]", "seed=1"]
    assert several_styles(["style.images=[x/a.jpg,b.png]"]) == ["name='a+b'", "styles=[x/a.jpg,b.png]"]
    assert several_styles(["style=[a,b,c,d,e]"])[0] == "name='a+b+c+2_more'"
    assert several_styles(["name=mine", "style=[a,b]"]) == ["name=mine", "styles=[a,b]"]
    assert several_styles(["style=a", "style.size=64"]) == ["style=a", "style.size=64"]
    assert several_styles(["style=glob(*)"]) == ["style=glob(*,exclude=[base])"]
    assert several_styles(["style=glob([a*,b], exclude=b*)"]) == ["style=glob([a*,b],exclude=[base,b*])"]
    assert several_styles(["style=glob(a,exclude=[b,c*])"]) == ["style=glob(a,exclude=[base,b,c*])"]


def test_one_style_is_a_list_of_one() -> None:
    settings = compose("style=great_wave", "style.size=96")
    assert settings.styles == [settings.style]
    assert (settings.name, settings.style.size, settings.style.content_error) == ("great_wave", 96, 0.75)
    assert compose("style=great_wave", "content_error=0.5").styles[0].content_error == 0.5
    assert compose("style=great_wave", "content_error=null").styles[0].content_error is None


def test_several_styles_each_with_its_own() -> None:
    settings = compose("style=[starry_night,great_wave@96,some/painting.jpg,stained_glass]", "style.size=128")
    assert [style.name for style in settings.styles] == ["starry_night", "great_wave@96", "painting", "stained_glass"]
    assert [style.size for style in settings.styles] == [128, 96, 128, 128]
    assert [style.content_error for style in settings.styles] == [0.95, 0.75, 0.95, 1.05]
    images = [style.image for style in settings.styles]
    assert images[1:3] == ["data/styles/great_wave.jpg", "some/painting.jpg"]
    assert Path(images[3] or "").is_file()
    assert settings.styles[1].artist == "Katsushika Hokusai"
    assert {style.content_error for style in compose("style=[a.jpg,great_wave]", "content_error=0.7").styles} == {0.7}


@pytest.mark.parametrize(
    ("styles", "words"),
    [
        ("[nowhere,great_wave]", "styles: 'nowhere' is neither the path of a picture nor one of brush_strokes, .*"),
        ("[a.jpg,x/a.jpg]", "styles: two of one name among a, a"),
        ("[great_wave,photograph.jpg]", "styles: photograph is the name of the photograph's own row"),
        ("[{a: 1}]", "styles: expected names of styles or paths of pictures, found .*"),
        ("[great_wave@7]", "style.size must be from 32 to .*"),
    ],
)
def test_styles_that_cannot_be_are_one_line(styles: str, words: str) -> None:
    with pytest.raises(ConfigError, match=f"^{words}$"):
        compose(f"styles={styles}")
