"""Measures of a listener, generated or real: shares and quantiles of the whole history, and features of each session."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl

from soundlake.generator import GeneratorConfig, make_world

SESSION_GAP_SECONDS = 1_800
BEST_ARTISTS, SLOPE_RANKS = 50, 300
FEATURES = ("plays", "seconds", "short", "repeats", "artists", "gap_mean", "gap_spread", "hour", "weekday", "ms_mean", "ms_spread")
ENDS = ("trackdone", "fwdbtn", "endplay", "logout", "backbtn", "unknown")


def read_durations(files: list[Path]) -> pl.DataFrame:
    """Durations of real tracks: `track` (URI) and `duration` in ms, from Parquet files with track_id and duration_ms."""
    known = [pl.read_parquet(file, columns=["track_id", "duration_ms"]) for file in files]
    empty = pl.DataFrame(schema={"track_id": pl.String, "duration_ms": pl.Int64})
    every = pl.concat([empty, *(part.cast(empty.schema) for part in known)]).unique("track_id", keep="first", maintain_order=True)
    return every.select(track="spotify:track:" + pl.col("track_id"), duration="duration_ms")


def read_real(folder: Path, durations: pl.DataFrame) -> pl.DataFrame:
    """The track plays of an extended export, as input of `describe`."""
    rows = [
        row
        for file in sorted(folder.glob("*.json"))
        for row in json.loads(file.read_text(encoding="utf-8"))
        if row.get("spotify_track_uri")
    ]
    return pl.DataFrame(
        {
            "end": pl.Series([row["ts"] for row in rows]).str.to_datetime("%Y-%m-%dT%H:%M:%SZ").dt.epoch("ms"),
            "ms": [row["ms_played"] for row in rows],
            "track": [row["spotify_track_uri"] for row in rows],
            "artist": [row["master_metadata_album_artist_name"] for row in rows],
            "reason_end": [row["reason_end"] for row in rows],
        }
    ).join(durations, on="track", how="left", maintain_order="left")


def make_listeners(listeners: int, days: int, seed: int) -> list[pl.DataFrame]:
    """The plays of generated listeners, in the same columns: ends in whole seconds, as in Spotify's exports."""
    world = make_world(GeneratorConfig(listeners=listeners, days=days, seed=seed))
    plays = pl.concat(
        pl.from_arrow(world.make_events(chunk))
        .filter(pl.col("event_type") == "play")
        .select("user_id", "played_at", "reason_end", ms="ms_played", track="track_id", artist="artist_id", duration="duration_ms")
        for chunk in world.list_chunks()
    )
    ends = plays.with_columns(end=(pl.col("played_at").dt.epoch("ms") + pl.col("ms")) // 1_000 * 1_000).drop("played_at")
    return [part for _, part in ends.group_by("user_id", maintain_order=True)]


def split_into_sessions(plays: pl.DataFrame) -> pl.DataFrame:
    """The plays in order of time, with the gap before each in seconds (null at the start of a session), the session, and repeats."""
    ordered = plays.with_columns(start=pl.col("end") - pl.col("ms")).sort("end", "start")
    gap = ordered.select((pl.col("start") - pl.col("end").shift(1)) / 1_000).to_series()
    begins = (gap > SESSION_GAP_SECONDS).fill_null(value=True)
    return ordered.with_columns(
        between=gap,
        gap=pl.when(begins).then(None).otherwise(gap),
        begins=begins,
        session=begins.cum_sum(),
        repeat=~pl.col("track").is_first_distinct(),
    )


def describe(plays: pl.DataFrame) -> dict[str, float]:
    """The measures of one listener."""
    cut = split_into_sessions(plays)
    sizes = cut.group_by("session").len()["len"]
    within, between = cut["gap"].drop_nulls(), cut.filter("begins")["between"].drop_nulls() / 3_600
    artists = cut["artist"].value_counts()["count"]
    hours = np.bincount((cut["start"] // 3_600_000 % 24).to_numpy(), minlength=24) / cut.height
    heard = cut.drop_nulls("duration").select((pl.col("ms") / pl.col("duration")).clip(0, 1)).to_series().to_numpy()
    days = np.bincount(((cut["start"] // 86_400_000 + 3) % 7).to_numpy(), minlength=7) / cut.height
    return {
        "share_under_30s": float((cut["ms"] < 30_000).mean()),
        "heard_over_duration_mean": float(np.mean(heard)),
        "heard_whole": float(np.mean(heard > 0.97)),
        **{f"end_{reason}": float((cut["reason_end"] == reason).mean()) for reason in ENDS},
        "plays_per_session_mean": float(sizes.mean()),
        **{f"plays_per_session_q{share}": float(sizes.quantile(share / 100)) for share in (50, 75, 90)},
        **{f"gap_within_q{share}_s": float(within.quantile(share / 100)) for share in (25, 50, 75, 90)},
        **{f"gap_between_q{share}_h": float(between.quantile(share / 100)) for share in (25, 50, 75, 90)},
        "busiest_hour": float(hours.max()),
        "quietest_six_hours": float(np.sort(hours)[:6].sum()),
        "busiest_weekday": float(days.max()),
        "share_of_repeats": float(cut["repeat"].mean()),
        "plays_per_track": cut.height / cut["track"].n_unique(),
        "plays_per_artist": cut.height / len(artists),
        "top_artist": float(artists.max()) / cut.height,
    }


def list_features(plays: pl.DataFrame) -> np.ndarray:
    """One row per session of two plays or more: FEATURES."""
    cut = split_into_sessions(plays)
    sessions = cut.group_by("session", maintain_order=True).agg(
        plays=pl.len(),
        seconds=(pl.col("end").max() - pl.col("start").min()) / 1_000,
        short=(pl.col("ms") < 30_000).mean(),
        repeats=pl.col("repeat").mean(),
        artists=pl.col("artist").n_unique() / pl.len(),
        gap_mean=pl.col("gap").mean(),
        gap_spread=pl.col("gap").std(ddof=0),
        hour=pl.col("start").first() // 3_600_000 % 24,
        weekday=(pl.col("start").first() // 86_400_000 + 3) % 7,
        ms_mean=pl.col("ms").mean(),
        ms_spread=pl.col("ms").std(ddof=0),
    )
    return sessions.filter(pl.col("plays") > 1).select(FEATURES).to_numpy().astype(float)


def fit_slope(listeners_of_artist: np.ndarray) -> float:
    """The decline of popularity: the slope of log(listeners) over log(rank), for the first 300 ranks, evenly spaced in the logarithm."""
    counts = np.sort(listeners_of_artist)[::-1]
    ranks = np.unique(np.geomspace(1, min(SLOPE_RANKS, len(counts)), 60).astype(int))
    return float(np.polyfit(np.log(ranks), np.log(counts[ranks - 1]), 1)[0])


def count_artist_listeners(made: list[pl.DataFrame]) -> np.ndarray:
    """The number of listeners with each artist among their fifty most played, as in the Last.fm data."""
    best = pl.concat([plays["artist"].value_counts(sort=True).head(BEST_ARTISTS).select("artist") for plays in made])
    return best["artist"].value_counts()["count"].to_numpy()


def read_artist_listeners(file: Path) -> np.ndarray:
    """The same from a tab-separated file with userID, artistID, weight."""
    return pl.read_csv(file, separator="\t")["artistID"].value_counts()["count"].to_numpy()
