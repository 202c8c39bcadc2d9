"""Pictures that a user of the page gives."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from faststyle.app.studio import open_upload
from faststyle.errors import FaststyleError, describe
from faststyle.imaging.images import SUFFIXES, Picture
from faststyle.imaging.reading import read_picture
from faststyle.imaging.sample_photos import sample_photograph

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

TYPES = sorted(SUFFIXES)
SAMPLE = "astronaut"


def open_once(upload: "UploadedFile | None", slot: str) -> tuple[str, Picture]:
    """What tells the picture from others, and it; the sample where there is no upload. Raises ``ImageError``.

    slot: where the session keeps it, so that it is decoded once.
    """
    key = upload.file_id if upload else SAMPLE
    if st.session_state.get(slot, ("",))[0] != key:
        picture = (
            open_upload(upload.getvalue(), Path(upload.name).name)
            if upload
            else read_picture(sample_photograph(SAMPLE))
        )
        st.session_state[slot] = key, picture
    kept: tuple[str, Picture] = st.session_state[slot]
    return kept


@contextmanager
def telling() -> Iterator[None]:
    """Shows an error of the block on the page."""
    try:
        yield
    except MemoryError:
        st.error("not enough memory: a smaller photograph helps")
    except (FaststyleError, OSError) as error:
        st.error(describe(error))
