"""The age of the data on the page, and the redraw when a newer snapshot is ready."""

from __future__ import annotations

import streamlit as st

from soundlake.dashboard.filters import Extent
from soundlake.dashboard.formatting import format_moment
from soundlake.dashboard.snapshot_follower import SnapshotFollower
from soundlake.dashboard.snapshot_reader import SnapshotReader

CHECK_SECONDS = 5
"""A check compares two objects in memory, but Streamlit spends about 0.1 s of CPU on each run of a fragment in each tab."""


@st.fragment(run_every=CHECK_SECONDS)
def show_snapshot_status(follower: SnapshotFollower, reader: SnapshotReader, whole: Extent | None, appearance: str | None) -> None:
    """Shows how fresh the page is, and redraws it when a newer snapshot is ready or the visitor chooses another appearance."""
    if not follower.is_newest(reader) or st.context.theme.type != appearance:
        st.rerun()
    newest = f"  \nNewest play {format_moment(whole.last)}" if whole else ""
    st.caption(f":green[●] Updated {format_moment(reader.built_at)}{newest}", help=f"Snapshot {reader.snapshot_id}")


@st.fragment(run_every=CHECK_SECONDS)
def wait_for_snapshot(follower: SnapshotFollower) -> None:
    """Shows which commands to run, and draws the page when the first snapshot is ready."""
    if not follower.is_newest(None):
        st.rerun()
    st.info("There is no data yet. This page appears as soon as the first snapshot is published.", icon=":material/hourglass_empty:")
    st.markdown("Generate listeners with their history and build everything:")
    st.code("make demo", language="bash")
    st.markdown("or import your own Spotify export:")
    st.code("soundlake import spotify-export ~/my_spotify_data --user me\nsoundlake transform", language="bash")


@st.fragment(run_every=CHECK_SECONDS)
def announce_snapshot(follower: SnapshotFollower) -> None:
    """On a page that needs no snapshot: says that the other pages wait for the first one, and redraws the page when it is ready."""
    if not follower.is_newest(None):
        st.rerun()
    st.caption("The other pages appear as soon as the first snapshot is published.")
