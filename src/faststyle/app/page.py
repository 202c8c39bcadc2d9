"""The page. Streamlit runs this file for each user at every change."""

import time
from functools import partial
from pathlib import Path

import numpy as np
import streamlit as st

from faststyle.app.studio import PREVIEW, THUMBNAIL, Look, Studio, encode, open_mask, open_upload, smaller
from faststyle.config import STRENGTHS, STROKE_SIZES
from faststyle.errors import FaststyleError
from faststyle.imaging.images import SUFFIXES, WRITERS, Picture, center_square
from faststyle.imaging.reading import read_picture
from faststyle.imaging.sample_photos import sample_photograph

TYPES = sorted(SUFFIXES)
COLORS = {"the style's": "style", "the photograph's chroma": "luminance", "like the photograph's": "histogram"}


@st.cache_resource(show_spinner="opening the styles")
def open_studio() -> Studio:
    """One for the server."""
    return Studio()


def main() -> None:
    """Draws the page."""
    st.set_page_config("faststyle", layout="wide")
    studio = open_studio()
    picture, turned = st.columns([3, 1], gap="medium")
    with turned:
        st.subheader("faststyle")
        upload = st.file_uploader("a photograph of yours", type=TYPES, key="photograph")
    name = Path(upload.name).name if upload else "astronaut.png"
    try:
        key = upload.file_id if upload else name
        if st.session_state.get("key") != key:  # of this user's photograph
            photograph = (
                open_upload(upload.getvalue(), name) if upload else read_picture(sample_photograph("astronaut"))
            )
            st.session_state.update(key=key, opened=photograph, thumbnails=studio.thumbnails(photograph), full=None)
        photograph = st.session_state.opened
        with turned:
            look, mask = controls(studio.styles)
        with picture:
            show(studio, photograph, name, look, mask)
        show_thumbnails(st.session_state.thumbnails)
    except (FaststyleError, MemoryError) as error:
        st.error(str(error) or "not enough memory: a smaller photograph helps")


def show_thumbnails(thumbnails: dict[str, Picture]) -> None:
    """The photograph in all styles; a click chooses one."""
    with st.container(horizontal=True):
        for style, picture in thumbnails.items():
            with st.container(width=THUMBNAIL):
                st.image(center_square(picture, THUMBNAIL), width=THUMBNAIL)
                choose = partial(st.session_state.__setitem__, "style", style)
                st.button(title(style), key=f"choose {style}", on_click=choose, type="tertiary")


def controls(styles: list[str]) -> tuple[Look, tuple[str, bytes] | None]:
    """The look that a user has chosen, and the mask's name and file."""
    style = st.selectbox("style", styles, key="style", format_func=title)
    strength = st.slider("strength", *STRENGTHS, 1.0, 0.05, key="strength")
    size = st.slider("stroke size", *STROKE_SIZES, 1.0, 0.1, key="stroke_size")
    other = st.selectbox("mixed with", [None, *styles], key="other", format_func=lambda x: title(x) if x else "nothing")
    share = st.slider("share of it", 0.0, 1.0, 0.5, 0.05, key="share", disabled=other in (None, style))
    color = st.selectbox("colours", list(COLORS), key="color")
    mask = st.file_uploader("a mask: white where the style goes", type=TYPES, key="mask")
    other = None if other == style else other
    look = Look(style, other, share if other else 0.0, strength, size, COLORS[color])
    return look, (mask.name, mask.getvalue()) if mask else None


def show(studio: Studio, photograph: Picture, name: str, look: Look, mask: tuple[str, bytes] | None) -> None:
    """The painted photograph, how to get it in full, and by what command."""
    white = open_mask(mask[1], mask[0]) if mask else None
    preview = smaller(photograph, PREVIEW)
    start = time.perf_counter()
    painted = studio.paint(preview, look, white)
    ms = (time.perf_counter() - start) * 1e3
    until = st.slider("before and after", 0, 100, 0, format="%d %%", key="until")
    edge = preview.size[1] * until // 100
    st.image(np.concatenate([preview.rgb[:, :edge], painted.rgb[:, edge:]], 1), width="stretch")
    height, width = photograph.size
    st.caption(f"{preview.size[1]}x{preview.size[0]} pixels in {ms:.0f} ms; the photograph has {width}x{height}")
    suffix = Path(name).suffix.lower()
    output = f"{Path(name).stem}_{look.style}{suffix if suffix in WRITERS else '.png'}"
    wanted = (st.session_state.key, look, mask)
    if st.button("paint it in full size", key="paint"):
        full = painted if preview is photograph else studio.paint(photograph, look, white)
        st.session_state.full = (wanted, encode(full, Path(output).suffix))
    if st.session_state.full and st.session_state.full[0] == wanted:
        st.download_button("download", st.session_state.full[1], output, key="download")
    source = [name] if st.session_state.photograph else ["--sample", Path(name).stem]
    st.code(look.command(source, output, mask[0] if mask else None), language=None)


def title(style: str) -> str:
    """A style's name for people."""
    return style.replace("_", " ")


if __name__ == "__main__":
    main()
