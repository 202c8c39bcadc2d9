"""The tab of the shipped styles: a photograph in all of them, and in one, turned as one likes."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import streamlit as st

from faststyle.app.mask_painter import paint_mask
from faststyle.app.studio import PREVIEW, THUMBNAIL, Look, Studio, encode, open_mask, smaller
from faststyle.app.uploads import SAMPLE, TYPES, open_once, telling
from faststyle.config import STRENGTHS, STROKE_SIZES
from faststyle.imaging.images import WRITERS, Picture, center_square

COLORS = {"the style's": "style", "the photograph's chroma": "luminance", "like the photograph's": "histogram"}


def show_photograph_tab(studio: Studio) -> None:
    """Draws it."""
    picture, turned = st.columns([3, 1], gap="medium")
    with turned:
        st.subheader("faststyle")
        upload = st.file_uploader("a photograph of yours", type=TYPES, key="photograph")
    name = Path(upload.name).name if upload else f"{SAMPLE}.png"
    with telling():
        key, photograph = open_once(upload, "opened")
        if st.session_state.get("key") != key:  # of this user's photograph
            small, thumbnails = smaller(photograph, PREVIEW), studio.thumbnails(photograph)
            st.session_state.update(key=key, preview=small, thumbnails=thumbnails, painted=None, full=None)
        with turned:
            look, mask, by_hand = controls(studio.styles)
        with picture:
            if by_hand:
                canvas, result = st.columns(2)
                with canvas:
                    mask = paint(Path(name).stem)
            with result if by_hand else st.container():
                show(studio, photograph, name, look, mask)
        show_thumbnails(st.session_state.thumbnails)


def show_thumbnails(thumbnails: dict[str, Picture]) -> None:
    """The photograph in all styles; a click chooses one."""
    with st.container(horizontal=True):
        for style, picture in thumbnails.items():
            with st.container(width=THUMBNAIL):
                st.image(center_square(picture, THUMBNAIL), width=THUMBNAIL)
                choose = partial(st.session_state.__setitem__, "style", style)
                st.button(title(style), key=f"choose {style}", on_click=choose, type="tertiary")


def controls(styles: list[str]) -> tuple[Look, tuple[str, bytes] | None, bool]:
    """The look that a user has chosen, the mask's name and file, and whether it is painted instead."""
    style = st.selectbox("style", styles, key="style", format_func=title)
    strength = st.slider("strength", *STRENGTHS, 1.0, 0.05, key="strength")
    size = st.slider("stroke size", *STROKE_SIZES, 1.0, 0.1, key="stroke_size")
    other = st.selectbox("mixed with", [None, *styles], key="other", format_func=lambda x: title(x) if x else "nothing")
    share = st.slider("share of it", 0.0, 1.0, 0.5, 0.05, key="share", disabled=other in (None, style))
    color = st.selectbox("colours", list(COLORS), key="color")
    mask = st.file_uploader("a mask: white where the style goes", type=TYPES, key="mask")
    by_hand = st.toggle("paint the mask", key="by_hand")
    other = None if other == style else other
    look = Look(style, other, share if other else 0.0, strength, size, COLORS[color])
    return look, (mask.name, mask.getvalue()) if mask else None, by_hand


def paint(stem: str) -> tuple[str, bytes] | None:
    """The mask that a user paints, with its name, if there is anything on it."""
    mask = paint_mask(encode(st.session_state.preview, ".jpg"), st.session_state.key)
    if mask is None:
        st.caption("paint where the style goes")
        return None
    st.download_button("download the mask", mask, f"{stem}_mask.png", "image/png", key="download_mask")
    return f"{stem}_mask.png", mask


def show(studio: Studio, photograph: Picture, name: str, look: Look, mask: tuple[str, bytes] | None) -> None:
    """The painted photograph, how to get it in full, and by what command."""
    white = open_mask(mask[1], mask[0]) if mask else None
    preview = st.session_state.preview
    wanted = (st.session_state.key, look, mask)
    painted, ms = paint_once(wanted, lambda: studio.paint(preview, look, white))
    until = st.slider("before and after", 0, 100, 0, format="%d %%", key="until")
    edge = preview.size[1] * until // 100
    st.image(np.concatenate([preview.rgb[:, :edge], painted.rgb[:, edge:]], 1), width="content")
    height, width = photograph.size
    st.caption(f"{preview.size[1]}x{preview.size[0]} pixels in {ms:.0f} ms; the photograph has {width}x{height}")
    suffix = Path(name).suffix.lower()
    output = f"{Path(name).stem}_{look.style}{suffix if suffix in WRITERS else '.png'}"
    if st.button("paint it in full size", key="paint"):
        full = painted if preview is photograph else studio.paint(photograph, look, white)
        st.session_state.full = (wanted, encode(full, Path(output).suffix))
    if st.session_state.full and st.session_state.full[0] == wanted:
        st.download_button("download", st.session_state.full[1], output, key="download")
    source = [name] if st.session_state.photograph else ["--sample", Path(name).stem]
    st.code(look.command(source, output, mask[0] if mask else None), language=None, wrap_lines=True)


def paint_once(wanted: object, work: Callable[[], Picture]) -> tuple[Picture, float]:
    """What ``work`` paints, kept until something else is wanted, and the ms that it took."""
    if st.session_state.painted is None or st.session_state.painted[0] != wanted:
        start = time.perf_counter()
        picture = work()
        st.session_state.painted = wanted, picture, (time.perf_counter() - start) * 1e3
    _, picture, ms = st.session_state.painted
    return picture, ms


def title(style: str) -> str:
    """A style's name for people."""
    return style.replace("_", " ")
