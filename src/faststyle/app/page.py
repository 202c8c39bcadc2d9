"""The page. Streamlit runs this file for each user at every change."""

import sys
from pathlib import Path

import streamlit as st

from faststyle.app.jobs import Easel
from faststyle.app.painting_tab import show_painting_tab
from faststyle.app.photograph_tab import show_photograph_tab
from faststyle.app.studio import Studio
from faststyle.app.trainings_tab import show_trainings_tab


@st.cache_resource(show_spinner="opening the styles")
def open_studio() -> Studio:
    """One for the server."""
    return Studio()


@st.cache_resource(show_spinner=False)
def open_easel() -> Easel:
    """One for the server."""
    return Easel()


def main(runs: Path) -> None:
    """Draws the page. runs: the folder of the trainings."""
    st.set_page_config("faststyle", layout="wide")
    tabs = st.tabs(["a photograph", "any painting", "trainings"], on_change="rerun", key="tab")
    with tabs[0]:
        show_photograph_tab(open_studio())
    with tabs[1]:
        show_painting_tab(open_easel())
    with tabs[2]:
        if tabs[2].open:
            show_trainings_tab(runs)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
