"""A mask painted over the photograph in the browser."""

import base64
from pathlib import Path

import streamlit as st

from faststyle.errors import ImageError

HTML = """<div class="painter">
<canvas></canvas>
<label>brush <input type="range" min="2" max="40" value="12"></label> <button type="button">clear</button>
</div>"""
CSS = """
.painter { font-family: var(--st-font); font-size: 0.875rem; color: var(--st-text-color); }
canvas { width: 100%; touch-action: none; cursor: crosshair; }
input { vertical-align: middle; accent-color: var(--st-primary-color); }
button { float: right; font: inherit; color: inherit; background: none; cursor: pointer;
  border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius); padding: 0.25rem 0.75rem; }
"""
JS = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
PREFIXES = {kind: f"data:image/{kind};base64," for kind in ("jpeg", "png")}
PAINTER = st.components.v2.component("faststyle.mask", html=HTML, css=CSS, js=JS)


def paint_mask(photograph: bytes, key: str) -> bytes | None:
    """Shows a JPEG to paint on. Returns the mask as PNG, white where painted; None where nothing is.

    key: another one begins anew. Raises ``ImageError`` if the browser sends something else.
    """
    data = {"photograph": PREFIXES["jpeg"] + base64.b64encode(photograph).decode(), "key": key}
    state = PAINTER(data=data, default={"mask": None}, key=f"painter {key}", on_mask_change=lambda: None)
    return decode_mask(state.get("mask"))


def decode_mask(sent: object) -> bytes | None:
    """The file in a data URL. Raises ``ImageError``."""
    if sent is None:
        return None
    try:
        if isinstance(sent, str) and sent.startswith(PREFIXES["png"]):
            return base64.b64decode(sent.removeprefix(PREFIXES["png"]), validate=True)
    except ValueError:
        pass
    raise ImageError("the painted mask is no picture")
