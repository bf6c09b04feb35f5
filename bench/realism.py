"""Realism of the generated listeners, compared with Spotify exports of real people; prints one JSON line, and writes a page with plots.

    python bench/realism.py FOLDER... [--durations tracks.parquet...] [--artists user_artists.dat.gz] [--page docs]

Each FOLDER has the extended export files of one real listener. First, each measure: is the real listener between the 5th and the 95th
percentile of the generated ones (with 200 plays or more)? Then pairs of listeners: how well can a classifier distinguish the sessions of
two listeners, as AUC of LightGBM with default settings over five shuffled folds, with equal numbers, from plays, duration, share of short
plays, share of repeats, artists per play, mean and spread of gaps, hour and weekday of the start, mean and spread of ms_played? Six real
people, measured elsewhere: 0.83 to 0.99, median 0.95. `pairs` are pairs of generated listeners; `nearest` is the smallest AUC between a
real listener and any generated one, with the 90 % interval of a bootstrap over its predictions.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lightgbm
import numpy as np
import polars as pl

from realism_measures import (
    FEATURES,
    count_artist_listeners,
    describe,
    fit_slope,
    list_features,
    make_listeners,
    read_artist_listeners,
    read_durations,
    read_real,
)
from realism_page import write_page

FEWEST_PLAYS, FEWEST_SESSIONS, MOST_SESSIONS = 200, 200, 400
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def compute_auc(first: np.ndarray, second: np.ndarray, seed: int) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """AUC, the gain of each feature, and truth and out-of-fold prediction of each session."""
    count, random = min(len(first), len(second), MOST_SESSIONS), np.random.default_rng(seed)
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
    return compute_rank_auc(truth, guess), gain / gain.sum(), truth, guess


def compute_rank_auc(truth: np.ndarray, guess: np.ndarray) -> float:
    """Area under the ROC curve from ranks (Mann and Whitney), with ties counted as half."""
    _, inverse, counts = np.unique(guess, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    ones = truth.sum()
    return float((ranks[truth == 1].sum() - ones * (ones + 1) / 2) / (ones * (len(truth) - ones)))


def bootstrap(truth: np.ndarray, guess: np.ndarray, random: np.random.Generator) -> list[float]:
    """The 5th and 95th percentile of the AUC over 200 resamples of the sessions."""
    picks = (random.integers(0, len(truth), len(truth)) for _ in range(200))
    areas = [compute_rank_auc(truth[pick], guess[pick]) for pick in picks]
    return [round(float(np.quantile(areas, share)), 3) for share in (0.05, 0.95)]


def compare_measures(real: dict[str, pl.DataFrame], made: list[pl.DataFrame]) -> dict[str, object]:
    """For each measure the generated population and the real listeners, and which of them are outside its range."""
    described = [describe(plays) for plays in made if plays.height >= FEWEST_PLAYS]
    theirs = {name: describe(plays) for name, plays in real.items()}
    table, outside = {}, {name: [] for name in real}
    for measure in described[0]:
        population = np.quantile([one[measure] for one in described], QUANTILES)
        table[measure] = {"generated": round_all(population), **{name: round(one[measure], 3) for name, one in theirs.items()}}
        for name, one in theirs.items():
            if not population[0] <= one[measure] <= population[-1]:
                outside[name].append(measure)
    return {"generated": len(described), "measures": len(table), "outside": outside, "table": table}


def compare_pairs(features: list[np.ndarray], pairs: int) -> dict[str, object]:
    """How well pairs of generated listeners can be distinguished."""
    random = np.random.default_rng(1)
    chosen = [random.choice(len(features), 2, replace=False) for _ in range(pairs)]
    with ThreadPoolExecutor() as pool:
        results = pool.map(lambda seed: compute_auc(*(features[place] for place in chosen[seed]), seed), range(pairs))
        areas = np.array([result[0] for result in results])
    return {"pairs": pairs, "quantiles": round_all(np.quantile(areas, QUANTILES)), "areas": round_all(np.sort(areas))}


def compare_with_all(rows: np.ndarray, features: list[np.ndarray]) -> dict[str, object]:
    """A real listener compared with every generated one: the nearest, and the features that distinguish the farthest tenth."""
    with ThreadPoolExecutor() as pool:
        results = sorted(pool.map(lambda seed: compute_auc(rows, features[seed], seed), range(len(features))), key=lambda result: result[0])
    gain = np.mean([result[1] for result in results[-max(1, len(results) // 10) :]], axis=0)
    return {
        "sessions": len(rows),
        "nearest": round(results[0][0], 3),
        "interval": bootstrap(results[0][2], results[0][3], np.random.default_rng(1)),
        "nearest_ten": round_all(np.array([result[0] for result in results[:10]])),
        "at_most_0.80": sum(result[0] <= 0.8 for result in results),
        "quantiles": round_all(np.quantile([result[0] for result in results], QUANTILES)),
        "farthest_by_feature": dict(sorted(zip(FEATURES, round_all(gain), strict=True), key=lambda pair: -pair[1])),
    }


def round_all(values: np.ndarray) -> list[float]:
    """Round to three digits."""
    return [round(float(value), 3) for value in values]


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--durations", nargs="*", type=Path, default=[], help="Parquet files with track_id and duration_ms of real tracks")
    parser.add_argument("--artists", type=Path, help="real listening: tab-separated userID, artistID, weight")
    parser.add_argument("--page", type=Path, help="folder to write realism.md and its plots into")
    parser.add_argument("--listeners", type=int, default=680)
    parser.add_argument("--days", type=int, default=250)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--candidates", type=int, default=500)
    options = parser.parse_args()
    durations = read_durations(options.durations)
    real = {folder.name: read_real(folder, durations) for folder in options.folders}
    made = make_listeners(options.listeners, options.days, options.seed)
    features = [rows for plays in made if len(rows := list_features(plays)) >= FEWEST_SESSIONS][: options.candidates]
    slopes = {"generated": round(fit_slope(count_artist_listeners(made)), 3)}
    if options.artists is not None:
        slopes["real"] = round(fit_slope(read_artist_listeners(options.artists)), 3)
    report = {
        "world": {name: getattr(options, name) for name in ("listeners", "days", "seed")},
        "popularity_slope": slopes,
        "measures": compare_measures(real, made),
        "candidates": len(features),
        "among_generated": compare_pairs(features, options.pairs),
        "real": {name: compare_with_all(list_features(plays), features) for name, plays in real.items()},
    }
    print(json.dumps(report))
    if options.page is not None:
        write_page(options.page, report)


if __name__ == "__main__":
    main()
