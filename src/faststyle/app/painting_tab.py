"""The tab of image optimisation: a photograph like any painting."""

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from faststyle.app.jobs import DONE, SIZES, STEPS, WAITING, Easel, Job, shown_command
from faststyle.app.studio import THUMBNAIL
from faststyle.app.uploads import SAMPLE, TYPES, open_once, telling
from faststyle.imaging.images import center_square

EVERY = 1  # seconds between looks at a job
SHOWN = 512  # pixels of the result's width


@dataclass(frozen=True)
class Work:
    """A job, its result's name, and the command line that makes the same of a user's own photograph."""

    job: Job
    output: str
    command: str | None


@st.fragment
def show_painting_tab(easel: Easel) -> None:
    """Draws it."""
    shown, turned = st.columns([3, 1], gap="medium")
    work: Work | None = st.session_state.get("work")
    busy = work is not None and work.job.state != DONE
    with turned:
        photograph_file = st.file_uploader("a photograph of yours", type=TYPES, key="optimized")
        painting_file = st.file_uploader("a painting", type=TYPES, key="painting")
        size = st.slider("shorter side, pixels", *SIZES, 256, 32, key="size")
        steps = st.slider("iterations", *STEPS, 100, 10, key="steps")
        started = st.button("start", key="start", disabled=painting_file is None or busy, type="primary")
    with shown, telling():
        _, photograph = open_once(photograph_file, "opened_photograph")
        with st.container(horizontal=True):
            st.image(center_square(photograph, THUMBNAIL), width=THUMBNAIL)
            if painting_file:
                _, painting = open_once(painting_file, "opened_painting")
                st.image(center_square(painting, THUMBNAIL), width=THUMBNAIL)
        if started and painting_file:
            job = Job(photograph, painting, size, steps)
            easel.add(job)
            name = Path(photograph_file.name).name if photograph_file else f"{SAMPLE}.png"
            output = f"{Path(name).stem}_painted.png"
            painting_name = Path(painting_file.name).name
            command = shown_command(name, painting_name, output, size, steps) if photograph_file else None
            st.session_state.work = Work(job, output, command)
            st.rerun()
        if work:
            st.fragment(show_work, run_every=EVERY if busy else None)(easel, work, busy)
        else:
            st.caption("upload a painting, then start: the photograph is painted like it, in a minute or two")


def show_work(easel: Easel, work: Work, busy: bool) -> None:
    """How far a job is, and its picture. busy: whether it was not done when the rest of the tab was drawn."""
    job, before = work.job, easel.ask(work.job)
    if job.state == DONE:
        if busy:
            st.rerun()
        if job.error:
            st.error(job.error)
    else:
        so_far = f"{job.step} of {job.steps} iterations, {job.seconds:.0f} s" if job.step else "starting"
        st.progress(job.step / job.steps, f"waiting, {before} before it" if job.state == WAITING else so_far)
        if st.button("stop", key="stop", disabled=job.unwanted.is_set()):
            easel.stop(job)
    if job.picture:
        st.image(job.picture, width=SHOWN)
    if job.state == DONE and job.picture:
        st.caption(f"{'stopped after' if job.unwanted.is_set() else 'done in'} {job.seconds:.0f} s")
        st.download_button("download", job.picture, work.output, "image/png", key="download_painted")
    if work.command:
        st.code(work.command, language=None, wrap_lines=True)
