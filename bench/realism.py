"""How real the made-up listeners are, held against real people's Spotify exports; prints one JSON line, and writes a page with plots.

    python bench/realism.py FOLDER... [--durations tracks.parquet...] [--artists user_artists.dat.gz] [--page docs]

Each FOLDER holds the extended export files of one real listener. First, measure by measure: does the real listener lie between the 5th
and the 95th percentile of the generated ones (with 200 plays or more)? Then listener against listener: how well can sittings of two be
told apart, by AUC of LightGBM with default settings over five shuffled folds, equal numbers, from plays, duration, share of short plays,
share of repeats, artists a play, mean and spread of gaps, hour and weekday of the start, mean and spread of ms_played? Six real people,
measured elsewhere: 0.83 to 0.99, median 0.95. `pairs` are generated ones among themselves; `double` is the smallest AUC between a real
listener and any generated one, with the 90 % interval of a bootstrap over its predictions.
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

FEWEST_PLAYS, FEWEST_SITTINGS, MOST_SITTINGS = 200, 200, 400
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def tell_apart(first: np.ndarray, second: np.ndarray, seed: int) -> tuple[float, np.ndarray, np.ndarray, np.ndarray]:
    """AUC, the gain of each feature, truth and prediction of each sitting, out of fold."""
    count, random = min(len(first), len(second), MOST_SITTINGS), np.random.default_rng(seed)
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
    """The generated population measure by measure, and what each real listener has, inside or not."""
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
    """How well generated listeners are told from each other."""
    random = np.random.default_rng(1)
    chosen = [random.choice(len(features), 2, replace=False) for _ in range(pairs)]
    with ThreadPoolExecutor() as pool:
        results = pool.map(lambda seed: tell_apart(*(features[place] for place in chosen[seed]), seed), range(pairs))
        areas = np.array([result[0] for result in results])
    return {"pairs": pairs, "quantiles": round_all(np.quantile(areas, QUANTILES)), "areas": round_all(np.sort(areas))}


def compare_with_all(rows: np.ndarray, features: list[np.ndarray]) -> dict[str, object]:
    """A real listener against every generated one: the nearest, and by what the tenth that is farthest away is told."""
    with ThreadPoolExecutor() as pool:
        results = sorted(pool.map(lambda seed: tell_apart(rows, features[seed], seed), range(len(features))), key=lambda result: result[0])
    gain = np.mean([result[1] for result in results[-max(1, len(results) // 10) :]], axis=0)
    return {
        "sittings": len(rows),
        "double": round(results[0][0], 3),
        "interval": bootstrap(results[0][2], results[0][3], np.random.default_rng(1)),
        "nearest_ten": round_all(np.array([result[0] for result in results[:10]])),
        "at_most_0.80": sum(result[0] <= 0.8 for result in results),
        "quantiles": round_all(np.quantile([result[0] for result in results], QUANTILES)),
        "farthest_told_by": dict(sorted(zip(FEATURES, round_all(gain), strict=True), key=lambda pair: -pair[1])),
    }


def round_all(values: np.ndarray) -> list[float]:
    """Three digits are enough."""
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
    features = [rows for plays in made if len(rows := list_features(plays)) >= FEWEST_SITTINGS][: options.candidates]
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
