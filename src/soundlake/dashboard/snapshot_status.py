"""How old the data on the page is, and the watch for a newer snapshot."""

from __future__ import annotations

import streamlit as st

from soundlake.dashboard.filters import Extent
from soundlake.dashboard.formatting import format_moment
from soundlake.dashboard.snapshot_reader import SnapshotFollower, SnapshotReader

WATCH_SECONDS = 3


@st.fragment(run_every=WATCH_SECONDS)
def watch_snapshots(readers: SnapshotFollower, reader: SnapshotReader, whole: Extent | None, appearance: str | None) -> None:
    """Says how fresh the page is, and draws it anew once another snapshot is published or another appearance is chosen."""
    if readers.find_newest_id() != reader.snapshot_id or st.context.theme.type != appearance:
        st.rerun()
    newest = f"  \nNewest play {format_moment(whole.last)}" if whole else ""
    st.caption(f":green[●] Updated {format_moment(reader.published_at)}{newest}", help=f"Snapshot {reader.snapshot_id}")


@st.fragment(run_every=WATCH_SECONDS)
def wait_for_snapshot(readers: SnapshotFollower) -> None:
    """Says what to run, and draws the page once there is a first snapshot."""
    if readers.find_newest_id() is not None:
        st.rerun()
    st.info("There is no data yet. This page fills by itself as soon as a first snapshot is published.", icon=":material/hourglass_empty:")
    st.markdown("Make listeners and their history, and build everything:")
    st.code("make demo", language="bash")
    st.markdown("or bring your own Spotify export:")
    st.code("soundlake import spotify-export ~/my_spotify_data --user me\nsoundlake transform", language="bash")


@st.fragment(run_every=WATCH_SECONDS)
def expect_snapshot(readers: SnapshotFollower) -> None:
    """Says on a page that does not need the first snapshot what the others wait for, and draws it anew once that is there."""
    if readers.find_newest_id() is not None:
        st.rerun()
    st.caption("The other pages fill by themselves as soon as a first snapshot is published.")
