"""docs/realism.md and its two plots, from what bench/realism.py measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

PERCENTILES = ("5 %", "25 %", "median", "75 %", "95 %")
INK, BAND, BOX, COLOURS = "#222222", "#d7e3f4", "#8fb3dd", ("#d1495b", "#2e8b57", "#b8860b", "#6a4c93")

_PAGE = """# Realism, measured

How much the generated listeners are like real ones. The real ones here are {names}: Spotify exports that
their owners published, read by this bench only and never part of this project. The generator reads nothing of them. What they showed of
people in general (skips come in quick bursts, few plays have the longer pauses between) shaped its ranges. Made by

    python bench/realism.py FOLDER... --durations TRACKS.parquet... --artists user_artists.dat.gz --page docs

where each FOLDER holds the extended export of one person ({listeners} generated listeners, {days} days, seed {seed}).

## Measure by measure
For each of {measures} measures the generated population ({generated} listeners with 200 plays or more) from its 5th to its 95th percentile,
and the real listeners in it. {outside}

![Measures](realism-measures.svg)

{table}

Measured as the exports have it: ends to the second, sittings cut at 30 minutes of silence, hours in UTC. `heard_over_duration` is known
only for tracks whose length is known (for the real ones: found in public lists of tracks).

**Popularity**: listeners an artist, of each listener's fifty most played, over the artist's rank (slope of the logarithms, ranks 1 to 300):
{slopes}.

## Listener against listener
LightGBM with default settings tells sittings (two plays or more) of two listeners apart; five shuffled folds, equal numbers (200 to 400
each), from plays, duration, share of short plays, share of repeats, artists a play, mean and spread of the gaps, hour and weekday of the
start, mean and spread of `ms_played`. 0.5 is a coin. Real people are told from each other with 0.83 to 0.99, median 0.95 (15 pairs of six
people), so nobody can be "indistinguishable from real": the question is whether generated listeners differ among themselves as people do,
and whether a real person has a double among them.

![Listener against listener](realism-pairs.svg)

**Generated among themselves** ({pairs} pairs): {quantiles}.

{doubles}

What tells the farthest tenth of the generated listeners from the real one (share of the gain):

{told}

## Limits
- Two real listeners are few: one of them mostly hears one artist, the other's file holds only a part of a long history. The population is
  meant to be wide, not to match these two; other people's exports can be held against it by the command above.
- A wide population costs nearness: the more kinds of listeners there are, the fewer of 500 are near to a given person.
- Another seed is another population: the nearest to listener-c was seen between 0.73 and 0.81, because few hear one artist only.
- About one generated listener in six is devoted to one artist, more than is natural; with one in eight, and more mood from sitting to
  sitting, the nearest to listener-c was at 0.81 to 0.82.
- A sitting is told mostly by its artists a play and its gaps. Real gaps have more shapes than the generator's moods and pauses give.
"""


def write_page(folder: Path, report: dict[str, Any]) -> None:
    """Write realism.md and the plots beside it."""
    mpl.rcParams.update({"svg.hashsalt": "realism", "svg.fonttype": "none", "font.size": 8, "text.color": INK, "axes.spines.top": False})
    measures, pairs = report["measures"], report["among_generated"]
    outside = [f"{name}: {', '.join(missed)}" for name, missed in measures["outside"].items() if missed]
    page = _PAGE.format(
        names=" and ".join(report["real"]) or "none",
        **report["world"],
        measures=measures["measures"],
        generated=measures["generated"],
        outside=f"Outside: {'; '.join(outside)}." if outside else "All lie inside.",
        table=_write_table(
            ["measure", *PERCENTILES, *report["real"]],
            [[name, *row["generated"], *(row[person] for person in report["real"])] for name, row in measures["table"].items()],
        ),
        slopes=", ".join(f"{whose} {value}" for whose, value in report["popularity_slope"].items()),
        pairs=pairs["pairs"],
        quantiles=", ".join(f"{name} {value}" for name, value in zip(PERCENTILES, pairs["quantiles"], strict=True)),
        doubles=_write_table(
            ["real listener", "sittings", "nearest of " + str(report["candidates"]), "90 % interval", "at 0.80 or less", "median"],
            [
                [name, one["sittings"], one["double"], " to ".join(map(str, one["interval"])), one["at_most_0.80"], one["quantiles"][2]]
                for name, one in report["real"].items()
            ],
        ),
        told=_write_table(
            ["real listener", "first", "second", "third", "fourth"],
            [
                [name, *(f"{feature} {gain}" for feature, gain in list(one["farthest_told_by"].items())[:4])]
                for name, one in report["real"].items()
            ],
        ),
    )
    (folder / "realism.md").write_text(page, encoding="utf-8")
    _plot_measures(folder / "realism-measures.svg", report)
    _plot_pairs(folder / "realism-pairs.svg", report)


def _write_table(head: list[str], rows: list[list[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _plot_measures(file: Path, report: dict[str, Any]) -> None:
    """A bar a measure, from the 5th to the 95th percentile of the generated, and a dot a real listener."""
    table = report["measures"]["table"]
    figure, axes = plt.subplots(figsize=(7, 0.2 * len(table) + 0.6))
    for line, (name, row) in enumerate(reversed(table.items())):
        low, lower, middle, upper, high = row["generated"]
        scale = (high - low) or 1.0
        axes.barh(line, 1, color=BAND, height=0.7)
        axes.barh(line, (upper - lower) / scale, left=(lower - low) / scale, color=BOX, height=0.7)
        axes.plot([(middle - low) / scale] * 2, [line - 0.35, line + 0.35], color=INK, linewidth=1)
        for person, colour in zip(report["real"], COLOURS, strict=False):
            axes.plot((row[person] - low) / scale, line, "o", color=colour, markersize=4, label=person if line == 0 else None)
        axes.text(-0.02, line, name, ha="right", va="center")
    axes.set(yticks=[], xticks=[0, 1], xticklabels=["5 %", "95 %"], xlim=(-0.08, 1.08))
    axes.spines[["left", "right"]].set_visible(False)
    _finish(figure, axes, file)


def _plot_pairs(file: Path, report: dict[str, Any]) -> None:
    """How many pairs have each AUC, and where the real listeners' nearest ones are."""
    figure, axes = plt.subplots(figsize=(7, 2.2))
    axes.hist(report["among_generated"]["areas"], bins=[0.5 + 0.02 * step for step in range(26)], color=BOX, label="pairs of generated")
    axes.axvspan(0.83, 0.99, color="#eeeeee", zorder=0, label="pairs of real ones, elsewhere")
    for (name, one), colour in zip(report["real"].items(), COLOURS, strict=False):
        axes.plot(one["nearest_ten"], [1] * len(one["nearest_ten"]), "|", color=colour, markersize=14, label=f"the ten nearest to {name}")
    axes.set(xlabel="AUC", ylabel="pairs", xlim=(0.5, 1))
    _finish(figure, axes, file)


def _finish(figure: Any, axes: Any, file: Path) -> None:  # noqa: ANN401  # matplotlib's own types are unions of half its classes
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=4)
    figure.savefig(file, bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
