"""How real the made-up listeners are, held against real people's Spotify exports; prints one JSON line.

    python bench/realism.py FOLDER... [--listeners 300] [--days 250] [--pairs 200] [--candidates 500]

Each FOLDER holds the extended export files of one real listener. First, measure by measure: does the real listener lie between the 5th
and the 95th percentile of the generated ones (with 200 plays or more)? Then listener against listener (needs lightgbm, skipped without
it): how well can sittings of two be told apart, by AUC of LightGBM with default settings over five shuffled folds, equal numbers, from
plays, duration, share of short plays, share of repeats, artists a play, mean and spread of gaps, hour and weekday of the start, mean and
spread of ms_played? Six real people, measured elsewhere: 0.83 to 0.99, median 0.95. `pairs` are generated ones among themselves; `double`
is the smallest AUC between a real listener and any generated one, with the 90 % interval of a bootstrap over its predictions.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import warnings
from pathlib import Path

import numpy as np
import polars as pl

from soundlake.generator import GeneratorConfig, make_world

SITTING_GAP_SECONDS = 1_800
FEWEST_PLAYS, FEWEST_SITTINGS, MOST_SITTINGS = 200, 200, 400
FEATURES = ("plays", "seconds", "short", "repeats", "artists", "gap_mean", "gap_spread", "hour", "weekday", "ms_mean", "ms_spread")
ENDS = ("trackdone", "fwdbtn", "endplay", "logout", "backbtn", "unknown")


def read_real(folder: Path) -> pl.DataFrame:
    """The track plays of an extended export, as `describe` wants them."""
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
    )


def make_listeners(listeners: int, days: int, seed: int) -> list[pl.DataFrame]:
    """The plays of generated listeners, in the same shape: ends to the second, as Spotify's exports have them."""
    world = make_world(GeneratorConfig(listeners=listeners, days=days, seed=seed))
    plays = pl.concat(
        pl.from_arrow(world.make_events(stretch))
        .filter(pl.col("event_type") == "play")
        .select("user_id", "played_at", "reason_end", ms="ms_played", track="track_id", artist="artist_id")
        for stretch in world.list_stretches()
    )
    ends = plays.with_columns(end=(pl.col("played_at").dt.epoch("ms") + pl.col("ms")) // 1_000 * 1_000).drop("played_at")
    return [part for _, part in ends.group_by("user_id", maintain_order=True)]


def cut_sittings(plays: pl.DataFrame) -> pl.DataFrame:
    """The plays in time: the gap before each in seconds (null where a sitting begins), the sitting, and whether it is a repeat."""
    ordered = plays.with_columns(start=pl.col("end") - pl.col("ms")).sort("end", "start")
    gap = ordered.select((pl.col("start") - pl.col("end").shift(1)) / 1_000).to_series()
    begins = (gap > SITTING_GAP_SECONDS).fill_null(value=True)
    return ordered.with_columns(
        between=gap,
        gap=pl.when(begins).then(None).otherwise(gap),
        begins=begins,
        sitting=begins.cum_sum(),
        repeat=~pl.col("track").is_first_distinct(),
    )


def describe(plays: pl.DataFrame) -> dict[str, float]:
    """The measures of one listener."""
    cut = cut_sittings(plays)
    sizes = cut.group_by("sitting").len()["len"]
    within, between = cut["gap"].drop_nulls(), cut.filter("begins")["between"].drop_nulls() / 3_600
    artists = cut["artist"].value_counts()["count"]
    hours = np.bincount((cut["start"] // 3_600_000 % 24).to_numpy(), minlength=24) / cut.height
    days = np.bincount(((cut["start"] // 86_400_000 + 3) % 7).to_numpy(), minlength=7) / cut.height
    return {
        "share_under_30s": float((cut["ms"] < 30_000).mean()),
        **{f"end_{reason}": float((cut["reason_end"] == reason).mean()) for reason in ENDS},
        "plays_a_sitting_mean": float(sizes.mean()),
        **{f"plays_a_sitting_q{share}": float(sizes.quantile(share / 100)) for share in (50, 75, 90)},
        **{f"gap_within_q{share}_s": float(within.quantile(share / 100)) for share in (25, 50, 75, 90)},
        **{f"gap_between_q{share}_h": float(between.quantile(share / 100)) for share in (25, 50, 75, 90)},
        "busiest_hour": float(hours.max()),
        "quietest_six_hours": float(np.sort(hours)[:6].sum()),
        "busiest_weekday": float(days.max()),
        "share_of_repeats": float(cut["repeat"].mean()),
        "plays_a_track": cut.height / cut["track"].n_unique(),
        "plays_an_artist": cut.height / len(artists),
        "top_artist": float(artists.max()) / cut.height,
    }


def list_features(plays: pl.DataFrame) -> np.ndarray:
    """One row a sitting of two plays or more: FEATURES."""
    cut = cut_sittings(plays)
    sittings = cut.group_by("sitting", maintain_order=True).agg(
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
    return sittings.filter(pl.col("plays") > 1).select(FEATURES).to_numpy().astype(float)


def tell_apart(first: np.ndarray, second: np.ndarray, random: np.random.Generator) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """AUC, the gain of each feature, truth and prediction of each sitting, out of fold."""
    lightgbm = importlib.import_module("lightgbm")
    count = min(len(first), len(second), MOST_SITTINGS)
    rows = np.concatenate(
        [first[random.choice(len(first), count, replace=False)], second[random.choice(len(second), count, replace=False)]]
    )
    truth, fold = np.repeat([0, 1], count), random.permutation(2 * count) % 5
    guess, gain = np.empty(2 * count), np.zeros(len(FEATURES))
    for number in range(5):
        learned = lightgbm.Dataset(rows[fold != number], truth[fold != number])
        model = lightgbm.train({"objective": "binary", "verbosity": -1, "num_threads": 1}, learned, num_boost_round=100)
        guess[fold == number] = model.predict(rows[fold == number])
        gain += model.feature_importance("gain")
    return rank_area(truth, guess), gain / gain.sum(), truth, guess


def rank_area(truth: np.ndarray, guess: np.ndarray) -> float:
    """Area under the ROC curve, from ranks (Mann and Whitney), ties by half."""
    _, inverse, counts = np.unique(guess, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    ones = truth.sum()
    return float((ranks[truth == 1].sum() - ones * (ones + 1) / 2) / (ones * (len(truth) - ones)))


def bootstrap(truth: np.ndarray, guess: np.ndarray, random: np.random.Generator) -> list[float]:
    """The 5th and 95th percentile of the AUC over 200 resamples of the sittings."""
    picks = (random.integers(0, len(truth), len(truth)) for _ in range(200))
    areas = [rank_area(truth[pick], guess[pick]) for pick in picks]
    return [round(float(np.quantile(areas, share)), 3) for share in (0.05, 0.95)]


def compare_measures(real: dict[str, pl.DataFrame], made: list[pl.DataFrame]) -> dict[str, object]:
    """Where each real listener stands among the generated ones, measure by measure; only what is outside is spelled out."""
    described = [describe(plays) for plays in made if plays.height >= FEWEST_PLAYS]
    report: dict[str, object] = {"generated": len(described)}
    for name, plays in real.items():
        outside = {}
        for measure, value in describe(plays).items():
            low, high = np.quantile([one[measure] for one in described], [0.05, 0.95])
            if not low <= value <= high:
                outside[measure] = [round(float(part), 3) for part in (value, low, high)]
        report[name] = {"measures": len(described[0]), "inside": len(described[0]) - len(outside), "outside [value, p5, p95]": outside}
    return report


def compare_listeners(real: dict[str, pl.DataFrame], made: list[pl.DataFrame], pairs: int, candidates: int) -> dict[str, object]:
    """AUC among generated listeners, and between each real one and the nearest generated one."""
    random = np.random.default_rng(1)
    features = [rows for plays in made if len(rows := list_features(plays)) >= FEWEST_SITTINGS][:candidates]
    among = [tell_apart(*(features[place] for place in random.choice(len(features), 2, replace=False)), random)[0] for _ in range(pairs)]
    report: dict[str, object] = {
        "generated": len(features),
        "pairs": {f"q{share}": round(float(np.quantile(among, share / 100)), 3) for share in (5, 25, 50, 75, 95)},
    }
    for name, plays in real.items():
        rows = list_features(plays)
        results = [tell_apart(rows, other, random) for other in features]
        nearest, farthest = min(results, key=lambda result: result[0]), max(results, key=lambda result: result[0])
        told_by = sorted(zip(farthest[1].round(2).tolist(), FEATURES, strict=True), reverse=True)[:3]
        interval = bootstrap(nearest[2], nearest[3], random)
        report[name] = {"sittings": len(rows), "double": round(nearest[0], 3), "interval": interval, "farthest_told_by": told_by}
    return report


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--listeners", type=int, default=300)
    parser.add_argument("--days", type=int, default=250)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--candidates", type=int, default=500)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", message="X does not have valid feature names")
    real = {folder.name: read_real(folder) for folder in options.folders}
    made = make_listeners(options.listeners, options.days, options.seed)
    report = {"measures": compare_measures(real, made)}
    if importlib.util.find_spec("lightgbm") is not None:
        report["listener_against_listener"] = compare_listeners(real, made, options.pairs, options.candidates)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
