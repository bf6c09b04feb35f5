"""One truth by three ways: what poller and backfill saw of simulated listeners, and the export of the same plays, is each play once."""

from __future__ import annotations

from bench.spotify_merge import run


def test_a_play_that_came_live_by_recently_played_and_by_export_is_one_play(tmp_path):
    figures = run(tmp_path, plays=250, listeners=2, seed=7)
    in_silver = figures["in_silver"]
    assert min(figures["precision"], figures["recall"]) >= 0.985  # few plays: three pairs are a percent
    assert min(in_silver["precision"], in_silver["recall"]) >= 0.985
    assert {pair for pair, score in figures["by_source_pair"].items() if score["pairs"] > 50} >= {
        "extended spotify_live", "extended spotify_recent", "spotify_live spotify_recent"
    }  # fmt: skip
    assert in_silver["ms_played_p50_p95_p99"][1] <= 6_000
    assert in_silver["start_p50_p95_p99"][1] <= 6_000
