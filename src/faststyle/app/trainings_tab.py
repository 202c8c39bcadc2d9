"""The tab of the trainings on this machine."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import streamlit as st

from faststyle.app.trainings import Point, Training, find_trainings, read_curves
from faststyle.app.uploads import telling
from faststyle.imaging.reading import decode_picture

EVERY = 3  # seconds


@st.fragment(run_every=EVERY)
def show_trainings_tab(folder: Path) -> None:
    """Draws it. folder: of all runs."""
    trainings = find_trainings(folder)
    if not trainings:
        st.caption(f"no training in {folder}: `faststyle train style.image=PAINTING data.root=PHOTOGRAPHS` makes one")
        return
    training = trainings[st.selectbox("training", trainings, key="training")]
    losses, pictures = st.columns(2, gap="medium")
    with losses, telling():
        show_losses(training)
    with pictures, telling():
        show_grids(training)


def show_losses(training: Training) -> None:
    """The state of a training, and its curves."""
    points = read_curves(training.table) if training.table else []
    step = points[-1].step + 1 if points else 0
    st.caption(f"{training.state}; {step:,} steps")
    if points:
        st.vega_lite_chart(spec=chart(points), width="stretch", key="losses")


def chart(points: list[Point]) -> dict[str, Any]:
    """Curves on a logarithmic scale, for Vega-Lite."""
    return {
        "data": {"values": [asdict(point) for point in points if point.value > 0]},
        "mark": "line",
        "height": 400,
        "encoding": {
            "x": {"field": "step", "type": "quantitative"},
            "y": {"field": "value", "type": "quantitative", "scale": {"type": "log"}, "title": None},
            "color": {"field": "loss", "type": "nominal", "legend": {"orient": "top", "title": None}},
        },
    }


def show_grids(training: Training) -> None:
    """The newest sample grid, or an earlier one."""
    grids = training.grids
    if not grids:
        st.caption("no samples yet")
        return
    steps, state = list(grids), st.session_state
    key = f"grid of {training.folder}"
    newest, state.newest = state.get("newest"), steps[-1]
    if state.get(key) == newest or state.get(key) not in grids:
        state[key] = steps[-1]  # follows
    step = st.select_slider("samples at step", steps, key=key) if len(steps) > 1 else steps[0]
    st.image(read_grid(grids[step], grids[step].stat().st_mtime_ns), width="stretch")


@st.cache_data(max_entries=8, show_spinner=False)
def read_grid(path: Path, changed: int) -> bytes:
    """A PNG that is known to be whole. changed: when it was; read again if that differs. Raises ``ImageError``."""
    data = path.read_bytes()
    decode_picture(data, name=path.name)
    return data
